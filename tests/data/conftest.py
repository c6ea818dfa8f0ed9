import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="session")
def paths(tmp_path_factory):
    """Eleven small JPEGs of noise, no two alike; nobody changes them."""
    folder = tmp_path_factory.mktemp("pictures")
    files = [str(folder / f"{n:02}.jpg") for n in range(11)]
    for n, file in enumerate(files):
        noise = np.random.default_rng(n).integers(0, 256, (20, 24, 3), dtype=np.uint8)
        Image.fromarray(noise).save(file)
    return files
