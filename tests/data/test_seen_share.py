import numpy as np
import pytest

from finelens.data.preprocessing import Preprocessing
from finelens.data.seen_share import seen_share, unseen_note

HALF = (0.5, 0.5, 0.5)


@pytest.mark.parametrize("resize", ["shorter", "squash", "pad"])
@pytest.mark.parametrize(("height", "width"), [(120, 160), (64, 64), (90, 31)])
def test_it_is_the_share_of_pixels_that_the_view_shows(resize, height, width):
    preprocessing = Preprocessing(32, HALF, HALF, resize=resize, crop_fraction=0.75)
    box = preprocessing.box(height, width)
    # counted pixel by pixel, each by its middle
    rows, columns = np.mgrid[:height, :width] + 0.5
    is_seen = (rows > box.top) & (rows < box.bottom) & (columns > box.left) & (columns < box.right)
    assert seen_share(preprocessing, height, width) == pytest.approx(is_seen.mean())


def test_what_is_cut_away_is_told_with_the_mend():
    shorter = Preprocessing(64, HALF, HALF)
    # 105 x 105 of 160 x 120
    assert unseen_note(shorter, [(120, 160)] * 3, media="clips") == (
        "seen: the middle 57% of a frame (input.resize: shorter, input.crop_fraction: 0.875); "
        "all of it: --set input.resize=squash, or pad"
    )


def test_the_median_size_counts():
    shorter = Preprocessing(64, HALF, HALF, crop_fraction=1.0)
    wide, square = (100, 200), (100, 100)
    told = unseen_note(shorter, [wide, square, wide], media="pictures")
    assert told is not None
    assert told.startswith("seen: the middle 50% of a picture ")
    assert unseen_note(shorter, [wide, square, square], media="pictures") is None


def test_nothing_is_told_where_all_is_seen_or_nothing_is_known():
    whole = Preprocessing(64, HALF, HALF, resize="pad")
    assert unseen_note(whole, [(100, 200)], media="pictures") is None
    assert unseen_note(Preprocessing(64, HALF, HALF), [], media="pictures") is None
