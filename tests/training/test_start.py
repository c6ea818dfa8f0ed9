import numpy as np

from finelens.evaluation.evaluate import quick_metrics
from finelens.training.profile import Profile
from finelens.training.start import start_from_probe


def test_the_head_gives_the_probes_scores(make_setting):
    setting = make_setting("model.head.dropout=0.0")
    probed = start_from_probe(setting, Profile())
    scored = setting.score("val")
    np.testing.assert_allclose(probed.logits_NK, scored.logits_NK, rtol=1e-3, atol=1e-4)
    assert quick_metrics(probed)["mean_average_precision"] > 0.9


def test_no_features_are_left_behind(make_setting):
    setting = make_setting()
    start_from_probe(setting, Profile())
    assert not list(setting.run.checkpoints.glob("features*"))
