import numpy as np
import pytest
from PIL import Image

from finelens.data.fingerprints import difference_hash, near_pairs, take_fingerprints


def picture(seed, size=(60, 80)):
    """Return a smooth random picture: one without fine detail, like a photograph of blobs."""
    coarse = np.random.default_rng(seed).integers(0, 256, (7, 9, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize(size[::-1], Image.Resampling.BICUBIC))


def test_difference_hash_is_that_of_pixel_comparisons_in_reading_order():
    image = picture(0)
    grey = Image.fromarray(image).convert("L").resize((9, 8), Image.Resampling.LANCZOS)
    bits = ""
    for y in range(8):
        for x in range(8):
            bits += "1" if grey.getpixel((x, y)) < grey.getpixel((x + 1, y)) else "0"
    assert difference_hash(image) == int(bits, 2)
    assert difference_hash(np.full((20, 20, 3), 7, dtype=np.uint8)) == 0


def test_unreadable_files_have_no_fingerprint(tmp_path):
    Image.fromarray(picture(1)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"no")
    prints = take_fingerprints([str(tmp_path / "a.png"), str(tmp_path / "b.png")])
    assert prints["content"].is_null().to_list() == [False, True]
    assert prints["look"][0] == difference_hash(picture(1))


def test_a_big_jpeg_and_its_copy_of_another_kind_look_alike(tmp_path):
    image = picture(2, (2403, 3205))
    Image.fromarray(image).save(tmp_path / "a.jpg", quality=90)
    Image.fromarray(image).save(tmp_path / "a.bmp")
    prints = take_fingerprints([str(tmp_path / "a.jpg"), str(tmp_path / "a.bmp")])
    assert (prints["look"][0] ^ prints["look"][1]).bit_count() <= 1
    one, other = prints["thumbnail"].to_numpy().astype(int)
    assert np.abs(one - other).mean() < 1


@pytest.mark.parametrize("seed", range(3))
def test_near_pairs_are_those_of_comparing_everything(seed):
    generator = np.random.default_rng(seed)
    base = generator.integers(0, 2**64, 20, dtype=np.uint64)
    look = np.repeat(base, 6)
    for n in range(len(look)):
        for bit in generator.choice(64, size=n % 4, replace=False):
            look[n] ^= np.uint64(1) << np.uint64(bit)
    thumbnail = generator.integers(0, 2, (120, 192)).astype(np.uint8) * 9
    expected = [
        [a, b]
        for a in range(120)
        for b in range(a + 1, 120)
        if int(look[a] ^ look[b]).bit_count() <= 3
        and np.abs(thumbnail[a].astype(float) - thumbnail[b]).mean() <= 4.5
    ]
    assert len(expected) > 0
    np.testing.assert_array_equal(near_pairs(look, thumbnail, most_difference=4.5), expected)
