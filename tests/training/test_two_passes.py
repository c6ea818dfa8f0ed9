from dataclasses import replace

import pytest
import torch
from torch import nn

from finelens.data.dataset import Batch
from finelens.data.preprocessing import Preprocessing
from finelens.task import Task, TaskKind
from finelens.training.losses import cross_entropy
from finelens.training.profile import Profile
from finelens.training.step import Step
from finelens.training.two_passes import CompiledPasses, DirectPasses, UpdateRule

RULE = UpdateRule(
    loss=cross_entropy, auxiliary_weight=0.0,
    preprocessing=Preprocessing(4, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    task=Task(TaskKind.MULTI_CLASS, ("a", "b")), threshold=0.5, accumulate=1, clip_norm=None,
    channels_last=True, seed=0,
)  # fmt: skip


class Accelerator:
    """As much of one as the passes need."""

    num_processes = 1

    def __init__(self, device="cpu"):
        self.device = torch.device(device)

    def autocast(self):
        return torch.autocast("cpu", enabled=False)

    def backward(self, loss):
        loss.backward()


def network(device="cpu"):
    return nn.Sequential(nn.Flatten(), nn.Linear(48, 2)).to(device)


def batch():
    images = torch.randint(0, 256, (3, 3, 4, 4), dtype=torch.uint8)
    targets = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    return Batch(images, targets, torch.arange(3), (None,) * 3, (None,) * 3)


@pytest.fixture
def compiled(monkeypatch):
    """Return a function from a stand-in of a compiled network to its passes, and what they say."""

    def make(stand_in):
        monkeypatch.setattr(torch, "compile", lambda *_, **__: stand_in)
        said, model = [], network()
        passes = CompiledPasses(RULE, model, Accelerator(), say=said.append)
        return passes, model, said

    return make


def test_gradients_are_those_of_the_mean_loss_times_the_share():
    model, one = network(), batch()
    passes = DirectPasses(RULE, model, Accelerator())
    loss, right = passes.forward(one.images_BCHW, one.targets_BK).tolist()
    passes.backward(0.25)
    mine = model[1].weight.grad.clone()
    model.zero_grad()
    logits = model((one.images_BCHW.float() / 255 - 0.5) / 0.5)
    expected = nn.functional.cross_entropy(logits, one.targets_BK.argmax(1))
    (expected / 4).backward()
    torch.testing.assert_close(mine, model[1].weight.grad)
    assert loss == pytest.approx(3 * expected.item())
    assert right == (logits.argmax(1) == one.targets_BK.argmax(1)).sum()


def test_a_network_that_cannot_be_compiled_is_used_as_it_is(compiled):
    def fail(_):
        raise RuntimeError("no compiler\nat all")

    passes, model, said = compiled(fail)
    one = batch()
    for _ in range(2):
        passes.forward(one.images_BCHW, one.targets_BK)
        passes.backward(1.0)
    assert model[1].weight.grad is not None
    assert said == ["training: the network cannot be compiled: no compiler at all"]


def test_an_error_of_a_network_that_was_compiled_comes_out(compiled):
    calls = []

    def works_once(x):
        calls.append(x)
        if len(calls) > 1:
            raise RuntimeError("out of memory")
        return x.flatten(1)[:, :2] * torch.ones(1, requires_grad=True)

    passes, _, said = compiled(works_once)
    one = batch()
    passes.forward(one.images_BCHW, one.targets_BK)
    passes.backward(1.0)
    with pytest.raises(RuntimeError, match="out of memory"):
        passes.forward(one.images_BCHW, one.targets_BK)
    assert not said


def test_batches_are_brought_to_whatever_device_it_is():
    step = Step(
        replace(RULE, channels_last=False), network("meta"), Accelerator("meta"),
        compiles=True, batch_size=3, num_batches=1000, profile=Profile(), say=print,
    )  # fmt: skip
    with step.running():
        assert step(batch(), share=1.0).device.type == "meta"
