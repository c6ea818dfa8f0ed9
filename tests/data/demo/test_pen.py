import numpy as np
import pytest
from PIL import Image, ImageDraw

from finelens.data.demo.pen import Box, Pen

RED, BLACK = (255, 0, 0), (0, 0, 0)


def painted(pen: Pen, place_px: tuple[float, float], outline_px: float = 0.0) -> np.ndarray:
    canvas = Image.new("RGB", (80, 60), (255, 255, 255))
    draw = ImageDraw.Draw(canvas, "RGBA")
    pen.paint(draw, place_px, scale=2, outline=BLACK, outline_px=outline_px)
    return np.asarray(canvas.reduce(2))


def test_overlap_is_the_shared_part_of_the_smaller_box():
    large, small = Box(0, 0, 10, 10), Box(8, 5, 12, 10)
    assert large.overlap(small) == small.overlap(large) == pytest.approx(0.5)
    assert large.overlap(small.moved(2, 0)) == 0
    assert large.overlap(Box(2, 2, 3, 3)) == 1


def test_the_union_of_boxes_holds_both():
    assert Box(0, 1, 2, 3).union(Box(-1, 2, 1, 9)) == Box(-1, 1, 2, 9)


def test_shapes_are_painted_where_the_box_says():
    pen = Pen(10, height=0.5)
    pen.disc((0.3, 0.6), 0.5, RED)
    pixels = painted(pen, (15, 25))
    rows, columns = np.nonzero((pixels != 255).any(axis=2))
    box = pen.box().moved(15, 25)
    seen = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    assert seen == pytest.approx((box.left, box.top, box.right, box.bottom), abs=1)


def test_an_actor_facing_left_is_the_mirror_of_one_facing_right():
    boxes = []
    for facing in (1, -1):
        pen = Pen(10, facing=facing, tilt_rad=0.4)
        pen.limb([(0, 0), (1, 0.2)], 0.1, RED)
        boxes.append(pen.box())
    right, left = boxes
    assert (left.left, left.right) == pytest.approx((-right.right, -right.left))
    assert (left.top, left.bottom) == pytest.approx((right.top, right.bottom))


def test_a_positive_tilt_lifts_the_nose():
    pen = Pen(10, tilt_rad=0.5)
    pen.limb([(0, 0), (1, 0)], 0, RED)
    assert pen.box().top == pytest.approx(-10 * np.sin(0.5))


def test_the_outline_goes_around_all_shapes_and_not_between_them():
    pen = Pen(10)
    pen.polygon([(0, 0), (0, 1), (1, 1), (1, 0)], RED)
    pen.polygon([(1, 0), (1, 1), (2, 1), (2, 0)], RED)
    row = painted(pen, (10, 20), outline_px=2)[15]
    assert row[8:10].max() == 0
    assert (row[11:29] == RED).all()


def test_a_shape_without_outline_gets_none():
    pen = Pen(10)
    pen.polygon([(0, 0), (0, 1), (1, 1), (1, 0)], RED, outlined=False)
    assert (painted(pen, (10, 20), outline_px=2)[15, 7:9] == 255).all()
