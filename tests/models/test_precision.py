import pytest
import torch
from torch import nn

from finelens.models.precision import resolve_precision

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
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_auto_is_bf16_on_recent_gpus():
    expected = "bf16" if torch.cuda.get_device_capability() >= (8, 0) else "fp32"
    assert resolve_precision("auto", torch.device("cuda"), NETWORK) == expected
