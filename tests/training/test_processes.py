"""Several processes train to what one does, on a CPU through gloo."""

import os
import subprocess
import sys

import numpy as np
from safetensors.numpy import load_file

import finelens

SETTINGS = ("train.batch_size=7", "model.head.dropout=0.0", "phases.1.augment=none",
            "phases.0.augment=none", "train.accumulate=2")  # fmt: skip


def test_two_processes_train_to_the_weights_of_one(tmp_path, table_data, tiny_settings):
    settings = tiny_settings(*SETTINGS)
    one = finelens.train("finetune", table_data, settings=settings, run=tmp_path / "one")
    script = tmp_path / "train.py"
    script.write_text("from finelens.cli.main import main\nmain()\n")
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2",
               "--standalone", "--",
               str(script), "train", "finetune", "--data", str(table_data),
               "--run", str(tmp_path / "two")]  # fmt: skip
    for setting in settings:
        command += ["--set", setting]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    ended = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert ended.returncode == 0, ended.stderr
    weights = "model/weights.safetensors"
    first, second = load_file(one / weights), load_file(tmp_path / "two" / weights)
    for name, tensor in first.items():
        np.testing.assert_allclose(second[name], tensor, rtol=1e-3, atol=1e-4, err_msg=name)
