import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from finelens.data.heat_drawing import (
    COLOURS,
    draw_heat_sheet,
    draw_pictures,
    draw_views,
)
from finelens.data.heat_map import HeatMap
from finelens.data.preprocessing import Preprocessing

SIZE = 32


def heat_map(heat_TSS, *, shape=(60, 100), resize="shorter", seed=0):
    """Return heat over noise, seen as a preprocessing sees it."""
    preprocessing = Preprocessing(SIZE, (0.5,) * 3, (0.5,) * 3, resize=resize, crop_fraction=0.8)
    generator = np.random.default_rng(seed)
    heat_TSS = np.asarray(heat_TSS, dtype=np.float32)
    pictures = generator.integers(0, 256, (len(heat_TSS), *shape, 3), dtype=np.uint8)
    views = [preprocessing(picture).permute(1, 2, 0).numpy() for picture in pictures]
    return HeatMap(pictures, np.stack(views), heat_TSS, preprocessing.box(*shape))


def colourfulness(image):
    """Return how far each pixel is from grey."""
    pixels = np.asarray(image, dtype=float)
    return pixels.max(axis=2) - pixels.min(axis=2)


def test_where_it_is_cold_the_view_is_grey_and_at_its_hottest_mostly_the_scale_s_last_colour():
    heat_SS = np.zeros((SIZE, SIZE))
    heat_SS[:, 16:] = 1
    heat = heat_map([heat_SS])
    (image,) = draw_views(heat, side_px=SIZE)
    grey_SS = np.asarray(Image.fromarray(heat.views_TSSC[0]).convert("L"), dtype=float)
    cold = np.asarray(image)[:, :15]
    assert np.array_equal(cold, np.repeat(grey_SS[:, :15, None], 3, axis=2))
    last = 255 * np.array(mpl.colormaps[COLOURS](1.0)[:3])
    expected = 0.25 * grey_SS[:, 17:, None] + 0.75 * last
    np.testing.assert_allclose(np.asarray(image)[:, 17:], expected, atol=1)


@pytest.mark.parametrize(
    ("resize", "shape", "place"),
    [
        # the upper left quarter of the central square of 48 pixels
        ("shorter", (60, 100), (6, 30, 26, 50)),
        ("squash", (60, 100), (0, 30, 0, 50)),
        # 20 rows of padding above and below
        ("pad", (60, 100), (0, 30, 0, 50)),
        ("pad", (100, 60), (0, 50, 0, 30)),
    ],
)
def test_heat_lies_where_in_the_whole_picture_it_belongs(resize, shape, place):
    heat_SS = np.zeros((SIZE, SIZE))
    heat_SS[: SIZE // 2, : SIZE // 2] = 1
    heat = heat_map([heat_SS], shape=shape, resize=resize)
    (image,) = draw_pictures(heat, longest_px=100)
    assert image.size == (shape[1], shape[0])
    top, bottom, left, right = place
    colour_HW = colourfulness(image)
    hot_HW = np.zeros(shape, dtype=bool)
    hot_HW[top:bottom, left:right] = True
    assert (colour_HW[hot_HW] > 20).mean() > 0.9
    assert (colour_HW[~hot_HW] > 20).mean() < 0.05


def test_what_the_network_did_not_see_is_veiled():
    heat = heat_map(np.zeros((1, SIZE, SIZE)))
    dark = HeatMap(0 * heat.pictures_THWC, 0 * heat.views_TSSC, heat.heat_TSS, heat.box)
    (image,) = draw_pictures(dark, longest_px=100)
    pixels = np.asarray(image)
    assert (pixels[7:53, 27:73] == 0).all()
    assert (pixels[:5] > 120).all()
    assert (pixels[:, :25] > 120).all()
    assert (pixels[6, 26:74] == 255).all()


def test_pictures_are_scaled_to_a_side():
    heat = heat_map(np.zeros((2, SIZE, SIZE)))
    assert [image.size for image in draw_pictures(heat, longest_px=50)] == [(50, 30)] * 2
    assert [image.size for image in draw_views(heat, side_px=77)] == [(77, 77)] * 2


@pytest.mark.parametrize("shape", [(1, 1), (1, 400), (400, 1), (2, 3)])
@pytest.mark.parametrize("resize", ["shorter", "squash", "pad"])
def test_extreme_shapes_can_be_drawn(resize, shape):
    heat = heat_map(np.ones((1, SIZE, SIZE)), shape=shape, resize=resize)
    (image,) = draw_pictures(heat, longest_px=40)
    assert max(image.size) == 40
    assert draw_heat_sheet(heat, title="t", subtitle="s").size[0] > 0


def test_a_sheet_holds_the_picture_beside_its_heat():
    heat = heat_map(np.ones((1, SIZE, SIZE)), resize="squash")
    sheet = np.asarray(draw_heat_sheet(heat, title="bird 0.93", subtitle="a.jpg"))
    big = np.asarray(
        Image.fromarray(heat.pictures_THWC[0]).resize((480, 288), Image.Resampling.LANCZOS)
    )
    assert_is_on(big, sheet)
    assert_is_on(np.asarray(draw_pictures(heat, longest_px=480)[0]), sheet)


@pytest.mark.parametrize(
    ("num_frames", "shown", "left_out"), [(3, (0, 1, 2), ()), (30, (0, 3, 16, 29), (1, 2, 28))]
)
def test_a_sheet_of_a_clip_holds_frames_above_their_heat_evenly_spread(num_frames, shown, left_out):
    heat = heat_map(np.ones((num_frames, SIZE, SIZE)), resize="squash")
    sheet = np.asarray(draw_heat_sheet(heat, title="walking 0.93", subtitle="a.avi"))
    hot = draw_pictures(heat, longest_px=216)
    assert [is_on(np.asarray(hot[frame]), sheet) for frame in shown] == [True] * len(shown)
    assert [is_on(np.asarray(hot[frame]), sheet) for frame in left_out] == [False] * len(left_out)


def is_on(part, sheet):
    """Return whether a picture lies somewhere on a sheet, pixel by pixel."""
    part_HW, sheet_HW = packed(part), packed(sheet)
    height, width = part_HW.shape
    near = np.argwhere(sheet_HW[: 1 - height, : 1 - width] == part_HW[0, 0])
    return any(
        np.array_equal(sheet_HW[row : row + height, column : column + width], part_HW)
        for row, column in near
    )


def packed(pixels):
    red, green, blue = np.moveaxis(pixels.astype(np.int32), -1, 0)
    return red << 16 | green << 8 | blue


def assert_is_on(part, sheet):
    assert is_on(part, sheet)
