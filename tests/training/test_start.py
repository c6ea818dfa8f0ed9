import numpy as np

from finelens.evaluation.evaluate import quick_metrics
from finelens.training.features import KeptFeatures
from finelens.training.profile import Profile
from finelens.training.start import start_from_probe


def start(setting):
    return start_from_probe(setting, KeptFeatures(setting, Profile()), Profile())


def test_the_probes_scores_are_those_of_the_head_it_sets(make_setting):
    setting = make_setting("model.head.dropout=0.5")
    probed = start(setting)
    np.testing.assert_array_equal(probed.logits_NK, setting.score("val").logits_NK)
    assert quick_metrics(probed)["mean_average_precision"] > 0.9
