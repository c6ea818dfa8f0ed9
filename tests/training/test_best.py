import math

import pytest
import torch
from safetensors.torch import load_file

from finelens.training.best import Best, BestWeights, is_better


@pytest.fixture
def weights():
    return {"layer.weight": torch.randn(3, 4).to(memory_format=torch.contiguous_format)}


def test_loss_is_better_when_smaller_and_metrics_when_larger():
    assert is_better("loss", 0.1, than=0.2)
    assert not is_better("accuracy", 0.1, than=0.2)
    assert is_better("accuracy", 0.3, than=0.2)


def test_equal_is_not_better():
    assert not is_better("accuracy", 0.2, than=0.2)


def test_nan_beats_nothing_and_anything_beats_nan():
    assert not is_better("accuracy", math.nan, than=0.0)
    assert is_better("loss", 9.0, than=math.nan)
    assert not is_better("accuracy", math.nan, than=math.nan)


def test_each_metric_keeps_its_own_epoch(tmp_path, weights):
    best = BestWeights(tmp_path, ("precision", "loss"))
    best.offer({"precision": 0.5, "loss": 0.9}, epoch=1, weights=weights)
    other = {"layer.weight": weights["layer.weight"] + 1}
    assert best.offer({"precision": 0.4, "loss": 0.8}, epoch=2, weights=other) == ["loss"]
    assert best.main == Best(0.5, 1)
    assert torch.equal(best.load("precision")["layer.weight"], weights["layer.weight"])
    assert torch.equal(best.load("loss")["layer.weight"], other["layer.weight"])


def test_prune_leaves_best_and_kept_epochs(tmp_path, weights):
    best = BestWeights(tmp_path, ("accuracy",))
    for epoch, value in enumerate((0.1, 0.2, 0.3)):
        best.offer({"accuracy": value}, epoch=epoch, weights=weights)
    best.prune(keep_epochs=[1])
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["best-epoch-0001.safetensors", "best-epoch-0002.safetensors"]


def test_channels_last_and_shared_tensors_are_saved(tmp_path):
    kernel = torch.randn(2, 3, 3, 3).to(memory_format=torch.channels_last)
    best = BestWeights(tmp_path, ("accuracy",))
    best.offer({"accuracy": 1.0}, epoch=0, weights={"a": kernel, "b": kernel})
    assert torch.equal(best.load("accuracy")["b"], kernel)


def test_state_returns(tmp_path, weights):
    best = BestWeights(tmp_path, ("accuracy",))
    best.offer({"accuracy": 0.7}, epoch=3, weights=weights)
    restored = BestWeights(tmp_path, ("accuracy",))
    restored.load_state_dict(best.state_dict())
    assert restored.best == best.best


def test_only_the_writing_process_writes(tmp_path, weights):
    best = BestWeights(tmp_path, ("accuracy",), is_writer=False)
    best.offer({"accuracy": 0.7}, epoch=3, weights=weights)
    assert best.main.epoch == 3
    assert not list(tmp_path.iterdir())


def test_each_metric_gets_a_file_of_its_own_name(tmp_path, weights):
    best = BestWeights(tmp_path, ("loss", "accuracy"))
    best.offer({"loss": 1.0, "accuracy": 0.9}, epoch=1, weights=weights)
    best.offer(
        {"loss": 0.5, "accuracy": 0.8}, epoch=2, weights={k: v + 1 for k, v in weights.items()}
    )
    for _ in range(2):  # finishing again, after a kill, changes nothing
        best.link_by_metric()
    for metric in ("loss", "accuracy"):
        named = load_file(tmp_path / f"best-{metric}.safetensors")
        assert all(torch.equal(named[k], v) for k, v in best.load(metric).items())
    best.prune()
    assert len(list(tmp_path.glob("best-*.safetensors"))) == 4
