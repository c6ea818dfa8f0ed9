import os
import subprocess
import sys
from pathlib import Path

import pytest

from finelens.installation import check_torch

MISMATCHES = {
    "other torch": 'raise RuntimeError("operator torchvision::nms does not exist\\nmore")',
    "symbol": 'raise OSError("_C.so: undefined symbol: _ZN3c10")',
    "missing part": 'raise ImportError("cannot import name")',
}


def test_a_sound_installation_passes():
    check_torch()
    assert "torchvision" in sys.modules


@pytest.mark.parametrize("source", MISMATCHES.values(), ids=list(MISMATCHES))
def test_a_torchvision_of_another_torch_is_told_with_its_mend(tmp_path: Path, source: str):
    (tmp_path / "torchvision.py").write_text(source)
    code = "import sys, finelens.cli.main as cli; sys.argv = ['finelens', 'check', '.']; cli.main()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: torch and torchvision do not fit each other (")
    assert "pip install --force-reinstall torch torchvision" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 2
