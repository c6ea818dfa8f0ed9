from contextlib import ExitStack

import pytest
import torch
from torch import nn

from finelens.models.precision import depthwise_in_fp32, resolve_precision

CPU = torch.device("cpu")
NETWORK, OVER_TIME = nn.Conv2d(3, 4, 3), nn.Sequential(nn.Conv3d(3, 4, 3))


@pytest.mark.parametrize(("wanted", "resolved"), [("fp32", "fp32"), ("bf16", "bf16")])
def test_a_wanted_precision_is_kept(wanted, resolved):
    assert resolve_precision(wanted, CPU, NETWORK) == resolved


def test_auto_is_bf16_exactly_where_the_processor_has_it():
    flags = open("/proc/cpuinfo").read() if torch.backends.cpu else ""  # noqa: PTH123, SIM115
    has_bf16 = "avx512_bf16" in flags or "amx_bf16" in flags
    expected = "bf16" if has_bf16 else "fp32"
    assert resolve_precision("auto", CPU, NETWORK) == expected
    assert resolve_precision("auto", CPU, OVER_TIME) == "fp32"
    assert resolve_precision("bf16", CPU, OVER_TIME) == "bf16"


@pytest.mark.gpu
def test_auto_is_bf16_on_recent_gpus():
    expected = "bf16" if torch.cuda.get_device_capability() >= (8, 0) else "fp32"
    assert resolve_precision("auto", torch.device("cuda"), NETWORK) == expected


def test_depthwise_convolutions_compute_in_fp32_and_give_what_they_got():
    torch.manual_seed(0)
    depthwise, plain = nn.Conv2d(4, 8, 3, groups=4), nn.Conv2d(8, 3, 1)
    network = nn.Sequential(nn.Conv2d(3, 4, 1), depthwise, plain)
    seen = {}
    hook = depthwise.register_forward_hook(lambda _, args, out: seen.update(x=args[0], out=out))
    with torch.autocast("cpu", torch.bfloat16), depthwise_in_fp32(network):
        network(torch.randn(2, 3, 8, 8))
    hook.remove()
    assert seen["x"].dtype == seen["out"].dtype == torch.bfloat16
    assert torch.equal(seen["out"], depthwise(seen["x"].float()).bfloat16())
    with torch.autocast("cpu", torch.bfloat16):
        outside = depthwise(seen["x"])
    assert not torch.equal(seen["out"], outside)  # the bias is rounded too
    assert "forward" not in vars(depthwise)


def test_gradients_with_depthwise_convolutions_in_fp32_are_nearer_those_of_fp32():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 32, 1), nn.Conv2d(32, 32, 3, groups=32), nn.ReLU())
    x_BCHW = torch.randn(4, 3, 16, 16)

    def gradient(*contexts):
        with ExitStack() as stack:
            for context in contexts:
                stack.enter_context(context)
            loss = network(x_BCHW).float().square().mean()
        [found] = torch.autograd.grad(loss, [network[1].weight])
        return found

    def mixed():
        return torch.autocast("cpu", torch.bfloat16)

    exact = gradient()
    far, near = (
        (gradient(*contexts) - exact).norm() / exact.norm()
        for contexts in ([mixed()], [mixed(), depthwise_in_fp32(network)])
    )
    assert near < far
    assert near < 0.01


def test_a_failure_leaves_the_network_as_it_was():
    network = nn.Sequential(nn.Conv2d(4, 4, 3, groups=4))
    with pytest.raises(RuntimeError), depthwise_in_fp32(network):
        network(torch.ones(1, 3, 8, 8))
    assert "forward" not in vars(network[0])
