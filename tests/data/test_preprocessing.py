import io
import json

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from finelens.data.images import decode_image
from finelens.data.preprocessing import INTERPOLATIONS, RESIZES, Preprocessing
from finelens.errors import ConfigError

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def smooth(height, width, seed=0):
    coarse = np.random.default_rng(seed).integers(0, 256, (7, 9, 3), dtype=np.uint8)
    return np.array(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def as_float(view_CHW):
    return view_CHW.numpy().astype(float)


@pytest.mark.parametrize("shape", [(300, 400), (400, 300), (256, 256), (97, 131), (1200, 800)])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_shorter_agrees_with_resize_and_centre_crop_of_torchvision(shape, interpolation):
    image = smooth(*shape)
    mode = INTERPOLATIONS[interpolation]
    reference = v2.Compose([v2.Resize(256, interpolation=mode, antialias=True), v2.CenterCrop(224)])
    expected = as_float(reference(torch.from_numpy(image).permute(2, 0, 1)))
    view = Preprocessing(224, MEAN, STD, interpolation=interpolation)(image)
    assert np.abs(as_float(view) - expected).mean() < 1.5


def test_shorter_sees_the_middle_and_squash_and_pad_see_all():
    image = np.zeros((40, 120, 3), dtype=np.uint8)
    image[:, :40, 0], image[:, 40:80, 1], image[:, 80:, 2] = 255, 255, 255
    middle = Preprocessing(16, MEAN, STD, crop_fraction=1.0)(image)
    assert (middle == torch.tensor([0, 255, 0], dtype=torch.uint8).view(3, 1, 1)).all()
    for resize in ("squash", "pad"):
        whole = Preprocessing(48, MEAN, STD, resize=resize)(image)
        assert whole[:, 24, 8].tolist() == [255, 0, 0]
        assert whole[:, 24, 40].tolist() == [0, 0, 255]


@pytest.mark.parametrize("resize", ["shorter", "squash", "pad"])
def test_views_are_channels_last_in_memory(resize):
    preprocessing = Preprocessing(16, MEAN, STD, resize=resize)
    view = preprocessing(np.zeros((40, 60, 3), dtype=np.uint8))
    assert view.movedim(0, -1).is_contiguous()


def test_pad_surrounds_the_picture_with_the_mean_colour():
    view = Preprocessing(48, MEAN, STD, resize="pad")(np.zeros((40, 120, 3), dtype=np.uint8))
    colour = [round(255 * channel) for channel in MEAN]
    assert view[:, 0, 24].tolist() == colour
    assert view[:, 47, 0].tolist() == colour
    assert (view[:, 16:32] == 0).all()


def test_a_picture_of_the_crop_size_is_not_resampled():
    image = smooth(64, 64)
    view = Preprocessing(56, MEAN, STD)(image)
    assert torch.equal(view, torch.from_numpy(image[4:60, 4:60]).permute(2, 0, 1))


@pytest.mark.parametrize("resize", RESIZES)
@pytest.mark.parametrize("shape", [(150, 240), (240, 150), (200, 200), (31, 37)])
def test_the_box_says_where_in_the_picture_a_view_lies(resize, shape):
    # of a ramp, every value tells the place it came from
    rows_HW, columns_HW = np.mgrid[: shape[0], : shape[1]]
    image = np.stack([rows_HW, columns_HW, 0 * rows_HW], axis=-1).astype(np.uint8)
    view_CSS = Preprocessing(100, MEAN, STD, resize=resize)(image).numpy().astype(float)
    box = Preprocessing(100, MEAN, STD, resize=resize).box(*shape)
    places = (np.arange(100) + 0.5) / 100
    rows = box.top + places * box.height - 0.5
    columns = box.left + places * box.width - 0.5
    # at the very edge a resample repeats the last pixel
    inside_rows, inside_columns = (
        (part > 1) & (part < side - 2) for part, side in zip((rows, columns), shape, strict=True)
    )
    seen_CRR = view_CSS[:, inside_rows][:, :, inside_columns]
    assert min(seen_CRR.shape[1:]) >= 60
    np.testing.assert_allclose(seen_CRR[0] - rows[inside_rows, None], 0, atol=1)
    np.testing.assert_allclose(seen_CRR[1] - columns[inside_columns], 0, atol=1)


@pytest.mark.parametrize("resize", RESIZES)
@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1), (2, 3), (3, 640)])
def test_extreme_shapes_give_the_input_shape(resize, interpolation, shape):
    preprocessing = Preprocessing(32, MEAN, STD, resize=resize, interpolation=interpolation)
    view = preprocessing(np.full((*shape, 3), 200, dtype=np.uint8))
    assert view.shape == (3, 32, 32)
    assert view.dtype == torch.uint8
    assert (view[:, 15:17, 15:17] == 200).any()


@pytest.mark.parametrize(
    ("options", "least_side"),
    [
        ({}, 512),
        ({"crop_fraction": 0.9}, 498),
        ({"crop_fraction": 1.0}, 448),
        ({"resize": "squash", "crop_fraction": 0.5}, 448),
        ({"resize": "pad", "interpolation": "bicubic"}, 448),
        ({"reducing_gap": 3.0}, 768),
        ({"reducing_gap": None}, None),
        ({"interpolation": "nearest"}, None),
        ({"frames": 4}, None),
    ],
)
def test_pictures_are_decoded_with_twice_the_pixels_that_are_resampled(options, least_side):
    assert Preprocessing(224, MEAN, STD, **options).least_side == least_side


@pytest.mark.parametrize("resize", RESIZES)
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("noise", [0, 20])
@pytest.mark.parametrize("shape", [(1200, 1600), (1600, 1200), (1203, 1605)])
def test_the_view_of_a_part_of_a_big_jpeg_is_that_of_all_of_it(resize, interpolation, noise, shape):
    image = smooth(*shape) + np.random.default_rng(1).normal(0, noise, (*shape, 3))
    file = io.BytesIO()
    Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=90)
    preprocessing = Preprocessing(128, MEAN, STD, resize=resize, interpolation=interpolation)
    full = decode_image(file.getvalue(), "a")
    part = decode_image(file.getvalue(), "a", least_side=preprocessing.least_side)
    assert min(part.shape[:2]) == -(-min(shape) // 4)
    difference = np.abs(as_float(preprocessing(part)) - as_float(preprocessing(full)))
    assert difference.mean() < 1


def test_preprocessing_from_before_the_gap_sees_pictures_of_full_size():
    values = Preprocessing(32, MEAN, STD).to_json()
    assert Preprocessing.from_json(values).reducing_gap == 2.0
    del values["reducing_gap"]
    assert Preprocessing.from_json(values).reducing_gap is None


def test_normalise_agrees_with_torchvision():
    images = torch.randint(0, 256, (2, 3, 5, 5), dtype=torch.uint8)
    expected = v2.functional.normalize(images.float() / 255, list(MEAN), list(STD))
    normalised = Preprocessing(5, MEAN, STD).normalise(images)
    torch.testing.assert_close(normalised, expected, rtol=1e-5, atol=1e-5)


def test_normalise_keeps_its_input_the_memory_format_and_leading_shape():
    preprocessing = Preprocessing(5, MEAN, STD)
    images = torch.full((2, 3, 5, 5), 7, dtype=torch.uint8)
    last = images.contiguous(memory_format=torch.channels_last)
    assert preprocessing.normalise(last).is_contiguous(memory_format=torch.channels_last)
    clips = preprocessing.normalise(images[:, None].expand(2, 4, 3, 5, 5))
    assert torch.equal(clips[:, 0], preprocessing.normalise(images))
    assert (images == 7).all()


def test_normalise_leaves_float_input_as_it_was():
    floats = torch.full((1, 3, 2, 2), 255.0)
    Preprocessing(2, MEAN, STD).normalise(floats)
    assert (floats == 255).all()


def test_json_round_trip_gives_an_equal_value():
    preprocessing = Preprocessing(
        160, MEAN, STD, resize="pad", crop_fraction=0.9, interpolation="bicubic", frames=8
    )
    read = Preprocessing.from_json(json.loads(json.dumps(preprocessing.to_json())))
    assert read == preprocessing
    assert hash(read) == hash(preprocessing)


def test_resized_changes_only_the_size():
    preprocessing = Preprocessing(160, MEAN, STD, resize="squash")
    assert preprocessing.resized(96) == Preprocessing(96, MEAN, STD, resize="squash")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"resize": "shortest"}, 'resize: "shortest" is unknown; did you mean "shorter"?'),
        ({"interpolation": "cubic"}, 'did you mean "bicubic"?'),
        ({"crop_fraction": 0}, r"crop_fraction: 0 must be in \(0, 1\]"),
        ({"size": 0}, "must be 1 or more"),
        ({"std": [1, 1, 0]}, "std above 0"),
        ({"mean": [0.5]}, "three numbers"),
        ({"mean": 0.5}, "a value does not fit"),
        ({"size": "large"}, "a value does not fit"),
        ({"means": [0, 0, 0]}, '"means" is unknown; did you mean "mean"'),
    ],
)
def test_values_that_do_not_fit_are_named(change, message):
    values = Preprocessing(16, MEAN, STD).to_json() | change
    with pytest.raises(ConfigError, match=message.replace("?", r"\?")):
        Preprocessing.from_json(values)


def test_missing_key_is_named():
    with pytest.raises(ConfigError, match="'std' is missing"):
        Preprocessing.from_json({"size": 16, "mean": [0, 0, 0]})


@pytest.mark.parametrize("shape", [(3, 40, 57), (3, 16, 16), (4, 3, 33, 21), (3, 1, 90)])
def test_bytes_are_resized_as_torchvision_does(shape):
    picture = torch.randint(
        0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    preprocessing = Preprocessing(16, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    for height, width in ((16, 16), (20, 7), (50, 60)):
        expected = v2.functional.resize(picture, [height, width], antialias=True)
        found = preprocessing.resample(picture, height, width)
        assert torch.equal(found, expected)
        # as batches are: turning it over would take as long as a third of the resampling
        assert found.movedim(-3, -1).is_contiguous()


@pytest.mark.parametrize("shape", [(2, 3, 9, 5), (2, 4, 3, 5, 9), (3, 8, 8)])
def test_channels_last_in_memory_change_no_bit_of_normalised_pictures(shape):
    pictures = torch.randint(
        0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    preprocessing = Preprocessing(8, MEAN, STD)
    channels_last = pictures.movedim(-3, -1).contiguous().movedim(-1, -3)
    normalised = preprocessing.normalise(channels_last)
    assert torch.equal(normalised, preprocessing.normalise(pictures))
    assert normalised.stride() == channels_last.stride()
    assert torch.equal(channels_last, pictures)
