from functools import partial

import finelens_train
from suite.rows import ROWS

from finelens.config.load import load_recipe
from finelens.config.schema import InputConfig, ModelConfig
from finelens.models.build import build_classifier, build_preprocessing
from finelens.training.phases import build_phases
from finelens.training.setting import fitting_size


def test_rounds_have_an_epoch_of_each_phase_at_the_sizes_that_the_row_tells() -> None:
    settings = (*finelens_train.SETTINGS, *finelens_train.every_phase(20, num_rounds=3))
    recipe, own = (load_recipe(finelens_train.RECIPE, chosen) for chosen in (settings, ()))
    assert recipe.train.batches_per_epoch == 20
    assert {phase.epochs for phase in recipe.phases} == {1}
    backbone = build_classifier(
        ModelConfig(backbone="resnet18", pretrained=False), 2, size=224
    ).backbone
    preprocessing = build_preprocessing(InputConfig(size=224), backbone.input_spec)
    fits = partial(fitting_size, backbone)
    sizes, own_sizes = (
        [phase.augmentation.preprocessing.size for phase in build_phases(one, preprocessing, fits)]
        for one in (recipe, own)
    )
    assert sizes == own_sizes * 3
    [told] = {row.what for row in ROWS if row.key.startswith("recipe-")}
    assert told.endswith(" and ".join(map(str, own_sizes)) + " pixels")
