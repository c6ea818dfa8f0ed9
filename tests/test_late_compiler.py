import subprocess
import sys


def run(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_networks_compute_without_the_compiler_being_imported():
    run("""
import sys
from finelens.installation import check_torch
check_torch()
import finelens.models.backbones as backbones
import torch
network = backbones.create_backbone("test_resnet").eval()
with torch.inference_mode():
    assert network(torch.zeros(1, 3, 32, 32)).shape[0] == 1
assert "torch._dynamo" not in sys.modules
assert "torch._dynamo.utils" not in sys.modules
assert torch.compiler.disable.__module__ == "torch.compiler"
""")


def test_what_needs_the_compiler_still_has_it():
    run("""
import torch
from finelens.installation import check_torch
from finelens.late_compiler import late_compiler
check_torch()
with late_compiler():
    from torch._dynamo.utils import is_compile_supported, counters

from torchvision.ops import roi_align
pooled = roi_align(torch.ones(1, 1, 4, 4), torch.tensor([[0, 0, 0, 4, 4.0]]), 2)
assert pooled.shape == (1, 1, 2, 2)
from torchvision.tv_tensors import Image, wrap
assert type(wrap(torch.ones(3, 2, 2), like=Image(torch.zeros(3, 2, 2)))) is Image
doubled = torch.compile(lambda x: 2 * x, backend="eager")(torch.ones(2))
assert doubled.tolist() == [2, 2]

import torch._dynamo.utils as utils
assert counters is utils.counters
assert is_compile_supported("cpu") == utils.is_compile_supported("cpu")
with late_compiler():
    assert torch.compiler.disable.__module__ == "torch.compiler"
""")
