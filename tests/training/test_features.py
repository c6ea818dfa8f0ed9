import numpy as np
import pytest
import torch

from finelens.training.features import extract_features, forget_features
from finelens.training.interruption import Interrupted
from finelens.training.profile import Profile


def path_of(setting):
    return setting.run.checkpoints / "features-train.npy"


def extract(setting, advance=lambda _num, _note: None):
    return extract_features(
        setting.classifier,
        setting.loader("train"),
        setting.passes.features,
        shape=(1, 24, setting.classifier.num_features),
        path=path_of(setting),
        profile=Profile(),
        advance=advance,
    )


def test_features_are_the_classifiers_own(make_setting):
    setting = make_setting("train.precision=fp32")
    [features_NF] = extract(setting)
    batch = next(iter(setting.loader("train")))
    own_BF = setting.classifier.features(setting.preprocessing.normalise(batch.images_BCHW))
    assert features_NF.shape == (24, setting.classifier.backbone.num_features)
    np.testing.assert_allclose(
        features_NF[: len(own_BF)], own_BF.detach().numpy(), rtol=1e-4, atol=1e-5
    )


@pytest.fixture
def with_threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_a_stopped_pass_goes_on_where_it_was(make_setting, with_threads):
    with_threads(1)
    setting = make_setting()
    done = []

    def stop_after_two(num_pictures, _note):
        done.append(num_pictures)
        if len(done) == 2:
            raise Interrupted("stopped")

    with pytest.raises(Interrupted):
        extract(setting, stop_after_two)
    rest = []
    features_VNF = extract(setting, lambda num_pictures, _note: rest.append(num_pictures))
    # what was done is told first
    assert (sum(done), rest) == (16, [16, 8])
    assert path_of(setting).with_suffix(".count").read_text() == "24"
    forget_features(path_of(setting))
    np.testing.assert_array_equal(features_VNF, extract(setting))


def test_a_stopped_pass_goes_on_where_more_is_read_at_a_time(make_setting, with_threads):
    with_threads(1)
    setting = make_setting()

    def stop(_num_pictures, _note):
        raise Interrupted("stopped")

    with pytest.raises(Interrupted):
        extract(setting, stop)
    with_threads(2)
    rest = []
    features_VNF = extract(setting, lambda num_pictures, _note: rest.append(num_pictures))
    assert rest == [16, 8]
    forget_features(path_of(setting))
    np.testing.assert_array_equal(features_VNF, extract(setting))


def test_a_count_that_a_kill_left_behind_is_not_believed(make_setting):
    setting = make_setting()
    features_VNF = extract(setting)
    path = path_of(setting)
    forget_features(path)
    assert not list(setting.run.checkpoints.iterdir())
    np.testing.assert_array_equal(features_VNF, extract(setting))
