import numpy as np
from PIL import Image

from finelens.data.lettering import write_words


def inked(words, width=200, **settings):
    """Return which columns of a white sheet are no longer white."""
    sheet = Image.new("RGB", (width, 40), "white")
    write_words(sheet, (10, 5), words, size_px=16, **settings)
    return np.flatnonzero((np.asarray(sheet) < 128).any(axis=(0, 2)))


def test_words_begin_at_their_place_and_end_before_the_margin():
    columns = inked("a picture's name that is far too long for the sheet.jpg", margin_px=30)
    assert 10 <= columns[0] < 14
    assert 150 < columns[-1] <= 170


def test_short_words_are_not_cut():
    assert np.array_equal(inked("Kegel ß", margin_px=0), inked("Kegel ß", width=400, margin_px=0))


def test_where_there_is_no_room_little_is_written_and_nothing_hangs():
    assert len(inked("words", width=12, margin_px=0)) <= 2
