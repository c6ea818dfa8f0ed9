import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

from finelens.data.augment.augmentation import Augmentation
from finelens.data.augment.generator import sample_generator
from finelens.data.contact_sheet import Panel, draw_sheet, write_sheet
from finelens.data.images import decode_image
from finelens.data.preprocessing import Preprocessing
from finelens.errors import ConfigError

PREPROCESSING = Preprocessing(224, (0.5,) * 3, (0.5,) * 3)
JITTER = ({"color_jitter": {"brightness": 0.5}}, {"flip": {}})


def picture():
    coarse = np.random.default_rng(0).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    return np.array(Image.fromarray(coarse).resize((300, 250), Image.Resampling.BICUBIC))


def sheet_of(*policies):
    panels = [Panel(f"phase {n}", Augmentation(p, PREPROCESSING)) for n, p in enumerate(policies)]
    return np.array(draw_sheet(lambda _: picture(), panels, title="title", subtitle="subtitle"))


def place_of(view_CHW, sheet):
    """Return the only row and column at which a view lies on a sheet."""
    view = view_CHW.permute(1, 2, 0).numpy()
    height, width = view.shape[:2]
    near = np.argwhere((sheet[: 1 - height, : 1 - width] == view[0, 0]).all(axis=2))
    places = [
        (row, column)
        for row, column in near
        if np.array_equal(sheet[row : row + height, column : column + width], view)
    ]
    assert len(places) == 1
    return places[0]


def test_sheet_holds_the_16_draws_in_rows_of_four_as_the_network_sees_them():
    sheet = sheet_of(JITTER)
    augmentation = Augmentation(JITTER, PREPROCESSING)
    views = [augmentation(picture(), sample_generator(0, epoch, 0)) for epoch in range(16)]
    places = np.array([place_of(view, sheet) for view in views]).reshape(4, 4, 2)
    assert np.all(places[..., 0] == places[:, :1, 0])
    assert np.all(places[..., 1] == places[:1, :, 1])
    assert np.all(np.diff(places[:, 0, 0]) >= 224)
    assert np.all(np.diff(places[0, :, 1]) >= 224)


def test_sheet_of_a_clip_holds_a_draw_a_row_and_its_frames_in_time():
    augmentation = Augmentation(JITTER, PREPROCESSING)
    frames_THWC = np.stack([np.roll(picture(), 9 * n, axis=1) for n in range(9)])
    panels = [Panel("", augmentation)]
    sheet = np.array(draw_sheet(lambda _: frames_THWC, panels, title="title", subtitle="subtitle"))
    views = [augmentation(frames_THWC, sample_generator(0, epoch, 0)) for epoch in range(4)]
    shown = [view[n] for view in views for n in (1, 3, 5, 7)]
    places = np.array([place_of(view, sheet) for view in shown]).reshape(4, 4, 2)
    assert np.all(places[..., 0] == places[:, :1, 0])
    assert np.all(places[..., 1] == places[:1, :, 1])
    assert np.all(np.diff(places[:, 0, 0]) >= 224)
    assert np.all(np.diff(places[0, :, 1]) >= 224)
    scored = [place_of(PREPROCESSING(frames_THWC[n]), sheet) for n in (1, 3, 5, 7)]
    assert scored == sorted(scored)
    assert max(column for _, column in scored) < places[..., 1].min()


def test_sheet_of_a_big_jpeg_shows_what_training_and_scoring_decode():
    file = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (1400, 1500, 3), dtype=np.uint8)
    Image.fromarray(noise).save(file, "JPEG")

    def read(least_side):
        return decode_image(file.getvalue(), "a", least_side=least_side)

    preprocessing = dataclasses.replace(PREPROCESSING, size=456, crop_fraction=1.0)
    panel = Panel("", Augmentation("standard", PREPROCESSING))
    sheet = np.array(draw_sheet(read, [panel], title="title", subtitle="subtitle"))
    assert panel.augmentation.least_side > 700 > PREPROCESSING.least_side
    draw = panel.augmentation(read(panel.augmentation.least_side), sample_generator(0, 0, 0))
    assert place_of(draw, sheet)
    # the scoring view has twice the side of a draw, so that here it is as it is
    panel = Panel("", Augmentation([{"random_crop": {}}], preprocessing))
    sheet = np.array(draw_sheet(read, [panel], title="title", subtitle="subtitle"))
    assert place_of(preprocessing(read(preprocessing.least_side)), sheet)


def test_sheet_of_a_short_clip_has_as_many_frames_as_there_are():
    panels = [Panel("", Augmentation("light", PREPROCESSING))]
    sheet = draw_sheet(
        lambda _: np.stack([picture()] * 2), panels, title="title", subtitle="subtitle"
    )
    assert sheet.width == sheet_of("light").shape[1]


def test_sheet_holds_a_panel_for_each_policy():
    one, two = sheet_of(JITTER), sheet_of(JITTER, "standard")
    assert one.shape[1] == two.shape[1]
    assert np.array_equal(one[:900], two[:900])
    second = Augmentation("standard", PREPROCESSING)(picture(), sample_generator(0, 3, 0))
    assert place_of(second, two)[0] > one.shape[0] - 100


def test_many_steps_make_room_for_their_names():
    steps = [{"one_of": {"steps": [{"flip": {}}] * 30, "weights": [0.25] * 30}}]
    assert len(sheet_of(steps)) > len(sheet_of("light"))


def test_long_names_and_foreign_letters_keep_the_width():
    panel = Panel("", Augmentation("none", PREPROCESSING.resized(16)))
    sheet = draw_sheet(lambda _: picture(), [panel], title="Łódź 猫 " * 60, subtitle="ß" * 900)
    assert sheet.width == sheet_of("none").shape[1]
    assert np.all(np.array(sheet)[:, -20:] == np.array(sheet)[0, 0])


def test_written_sheet_is_a_png_that_replaces_the_old_one(tmp_path):
    path = tmp_path / "sheet.png"
    path.write_text("old")
    write_sheet(Image.new("RGB", (5, 4)), path)
    with Image.open(path) as image:
        assert (image.format, image.size) == ("PNG", (5, 4))
    assert list(tmp_path.iterdir()) == [path]


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none/sheet.png cannot be written: No such file"):
        write_sheet(Image.new("RGB", (5, 4)), tmp_path / "none" / "sheet.png")
