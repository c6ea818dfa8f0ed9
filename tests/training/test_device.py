from torch import nn

from finelens.config.training import TrainConfig
from finelens.runs.directory import RunDirectory
from finelens.training.device import build_accelerator

NETWORK = nn.Conv2d(3, 4, 3)


def test_two_runs_in_one_process_may_differ_in_precision(tmp_path):
    run = RunDirectory(tmp_path)
    # accelerate's state is shared: an older accelerator says what the newest does
    assert build_accelerator(TrainConfig(precision="fp32"), run, NETWORK).mixed_precision == "no"
    assert build_accelerator(TrainConfig(precision="bf16"), run, NETWORK).mixed_precision == "bf16"
