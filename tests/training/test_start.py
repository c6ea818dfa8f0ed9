import numpy as np

from finelens.evaluation.evaluate import quick_metrics
from finelens.training.features import KeptFeatures
from finelens.training.profile import Profile
from finelens.training.start import start_from_probe


def start(setting):
    return start_from_probe(setting, KeptFeatures(setting, Profile()), Profile())


def test_the_head_gives_the_probes_scores(make_setting):
    setting = make_setting("model.head.dropout=0.5")
    probed = start(setting)
    scored = setting.score("val")
    np.testing.assert_allclose(probed.logits_NK, scored.logits_NK, rtol=1e-3, atol=1e-4)
    assert quick_metrics(probed)["mean_average_precision"] > 0.9
