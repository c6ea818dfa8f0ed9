import pytest
import torch

from finelens.config.training import TrainConfig
from finelens.runs.directory import RunDirectory
from finelens.training.device import build_accelerator, resolve_precision


@pytest.mark.parametrize(("wanted", "resolved"), [("fp32", "no"), ("bf16", "bf16")])
def test_a_wanted_precision_is_kept(wanted, resolved):
    assert resolve_precision(wanted, torch.device("cpu")) == resolved


def test_auto_is_bf16_exactly_where_the_processor_has_it():
    flags = open("/proc/cpuinfo").read() if torch.backends.cpu else ""  # noqa: PTH123, SIM115
    has_bf16 = "avx512_bf16" in flags or "amx_bf16" in flags
    expected = "bf16" if has_bf16 else "no"
    assert resolve_precision("auto", torch.device("cpu")) == expected
    assert resolve_precision("auto", torch.device("cpu"), has_conv3d=True) == "no"
    assert resolve_precision("bf16", torch.device("cpu"), has_conv3d=True) == "bf16"


def test_two_runs_in_one_process_may_differ_in_precision(tmp_path):
    run = RunDirectory(tmp_path)
    # accelerate's state is shared: an older accelerator says what the newest does
    assert build_accelerator(TrainConfig(precision="fp32"), run).mixed_precision == "no"
    assert build_accelerator(TrainConfig(precision="bf16"), run).mixed_precision == "bf16"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_auto_is_bf16_on_recent_gpus():
    expected = "bf16" if torch.cuda.get_device_capability() >= (8, 0) else "no"
    assert resolve_precision("auto", torch.device("cuda")) == expected
