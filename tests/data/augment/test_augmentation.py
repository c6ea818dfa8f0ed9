import copy
import dataclasses
import io
import pickle

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms.v2 import functional

from finelens.data.augment.augmentation import Augmentation
from finelens.data.augment.generator import sample_generator
from finelens.data.augment.policies import POLICIES
from finelens.data.augment.steps import FRAMINGS, STEPS
from finelens.data.images import decode_image
from finelens.data.preprocessing import Preprocessing
from finelens.errors import ConfigError

PREPROCESSING = Preprocessing(32, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def smooth(height=60, width=80):
    coarse = np.random.default_rng(0).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    return np.array(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def difference(one, other):
    return (one.int() - other.int()).abs().max().item()


class Rigged:
    """A generator whose every uniform draw lies at one place of its range."""

    def __init__(self, place):
        self.place = place

    def random(self):
        return 0.0

    def uniform(self, low, high, size=None):
        value = low + self.place * (high - low)
        return value if size is None else np.full(size, value)

    def permutation(self, count):
        return np.arange(count)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1), (60, 80), (32, 32)])
def test_every_policy_gives_the_input_shape_for_every_picture(policy, shape):
    augmentation = Augmentation(policy, PREPROCESSING)
    for index in range(5):
        view = augmentation(smooth(*shape), sample_generator(0, 0, index))
        assert view.shape == augmentation.shape == (3, 32, 32)
        assert view.dtype == torch.uint8


@pytest.mark.parametrize("name", [name for name in STEPS if name != "one_of"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 90), (90, 1), (2, 3), (60, 80)])
def test_every_step_takes_a_picture_of_any_size(name, shape):
    augmentation = Augmentation([{name: {}}], PREPROCESSING)
    [step] = augmentation.steps
    picture = torch.from_numpy(smooth(*shape)).permute(2, 0, 1)
    before = picture.clone()
    for index in range(3):
        view = step(picture, sample_generator(0, 0, index), PREPROCESSING)
        assert view.dtype == torch.uint8
        assert torch.equal(picture, before)
        assert (name in FRAMINGS) or view.shape == picture.shape


ALL_STEPS = [*({name: {}} for name in STEPS if name != "one_of"),
             {"one_of": {"steps": [{"color_jitter": {"contrast": 0.5}}], "p": 1}},
             {"color_jitter": {"brightness": 0.5, "contrast": 0.5, "saturation": 0.5, "hue": 0.1}},
             {"random_crop": {"size": 90}}]  # fmt: skip


@pytest.mark.parametrize("step", ALL_STEPS, ids=str)
@pytest.mark.parametrize("shape", [(2, 3), (37, 52)])
def test_a_step_does_to_every_frame_what_it_does_to_a_picture(step, shape):
    [built] = Augmentation([step], PREPROCESSING).steps
    noise = np.random.default_rng(1).integers(0, 256, (5, *shape, 3), dtype=np.uint8)
    frames_TCHW = torch.from_numpy(noise).permute(0, 3, 1, 2)
    before = frames_TCHW.clone()
    for index in range(6):
        views = built(frames_TCHW, sample_generator(0, 0, index), PREPROCESSING)
        alone = [built(frame, sample_generator(0, 0, index), PREPROCESSING) for frame in before]
        # sums of floats may round apart with the number of frames
        assert difference(views, torch.stack(alone)) <= 1
    assert torch.equal(frames_TCHW, before)


@pytest.mark.parametrize("policy", POLICIES)
def test_a_clip_is_seen_as_its_frames_are_under_one_draw(policy):
    augmentation = Augmentation(policy, PREPROCESSING)
    frames_THWC = np.stack([smooth(), smooth()[::-1], 255 - smooth()])
    for index in range(4):
        views = augmentation(frames_THWC, sample_generator(0, 0, index))
        alone = [augmentation(frame, sample_generator(0, 0, index)) for frame in frames_THWC]
        assert difference(views, torch.stack(alone)) <= 1


@pytest.mark.parametrize("resize", ["shorter", "squash", "pad"])
def test_the_evaluation_view_of_a_clip_is_that_of_its_frames(resize):
    preprocessing = Preprocessing(32, (0.2, 0.4, 0.6), (0.5,) * 3, resize=resize)
    frames_THWC = np.stack([smooth(), smooth()[::-1], 255 - smooth()])
    alone = torch.stack([preprocessing(frame) for frame in frames_THWC])
    assert torch.equal(preprocessing(frames_THWC), alone)


def test_large_frames_of_a_clip_begin_no_larger_than_the_smallest_box_needs():
    preprocessing = Preprocessing(32, (0.5,) * 3, (0.5,) * 3, frames=2)
    augmentation = Augmentation([{"random_resized_crop": {"scale": [0.25, 1]}}], preprocessing)
    frames_THWC = np.stack([smooth(120, 160)] * 2)
    begun = augmentation.begin(frames_THWC)
    assert begun.shape == (2, 3, 64, 85)
    assert torch.equal(augmentation.begin(frames_THWC[:, :60, :80])[0],
                       torch.from_numpy(frames_THWC[0, :60, :80]).permute(2, 0, 1))  # fmt: skip
    # a scaling counts the pixels of the whole frame
    scaling = Augmentation([{"random_scale": {}}, {"random_crop": {}}], preprocessing)
    assert scaling.begin(frames_THWC).shape == (2, 3, 120, 160)
    pictures = Augmentation([{"random_resized_crop": {"scale": [0.25, 1]}}], PREPROCESSING)
    assert pictures.begin(frames_THWC[0]).shape == (3, 120, 160)


@pytest.mark.parametrize("steps", ["none", "standard", "a2d-deep", ({"random_scale": {}},)])
@pytest.mark.parametrize("shape", [(32, 32), (48, 48), (40, 32), (120, 160)])
@pytest.mark.parametrize(
    ("resize", "fraction"), [("shorter", 0.875), ("shorter", 1.0), ("squash", 1.0), ("pad", 1.0)]
)
def test_frames_that_begin_unchanged_are_not_even_copied(steps, shape, resize, fraction):
    preprocessing = Preprocessing(
        32, (0.5,) * 3, (0.5,) * 3, resize=resize, crop_fraction=fraction, frames=2
    )
    augmentation = Augmentation(steps, preprocessing)
    frames_THWC = np.stack([smooth(*shape)] * 2)
    begun = augmentation.begin(frames_THWC)
    is_unchanged = augmentation.begins_unchanged(*shape)
    if is_unchanged:
        assert torch.equal(begun, torch.from_numpy(frames_THWC).movedim(-1, -3))
    if resize != "pad":
        assert (begun.data_ptr() == frames_THWC.ctypes.data) == is_unchanged


def test_a_resize_that_comes_first_is_done_before_any_draw():
    augmentation = Augmentation([{"resize": {"shorter": 40}}, {"random_crop": {}}], PREPROCESSING)
    begun = augmentation.begin(smooth(60, 80))
    assert begun.shape == (3, 40, 53)
    whole = torch.from_numpy(smooth(60, 80)).permute(2, 0, 1)
    assert torch.equal(begun, PREPROCESSING.resample(whole, 40, 53))


@pytest.mark.parametrize(
    ("steps", "least_side"),
    [
        ("none", 74),
        ("voc-rotation", 74),
        # the narrower side of the smallest box is twice the input size
        ([{"random_resized_crop": {"scale": [0.25, 1], "ratio": [1, 1]}}], 128),
        ([{"random_resized_crop": {"scale": [0.25, 1], "ratio": [0.25, 1]}}], 256),
        ([{"random_resized_crop": {"scale": [0.25, 1], "ratio": [2, 4]}}], 256),
        ([{"random_resized_crop": {"scale": [1, 1], "ratio": [1, 1]}}, {"flip": {}}], 64),
        ([{"resize": {"shorter": 40}}, {"random_crop": {}}], 80),
        ([{"resize": {"scale": 1.5}}, {"random_scale": {}}], 96),
        # these count the pixels of the picture
        ([{"random_crop": {}}], None),
        ([{"random_scale": {}}, {"resize": {}}], None),
        ([{"flip": {}}, {"resize": {}}], None),
        ([{"one_of": {"steps": [{"resize": {}}]}}], None),
    ],
)
def test_pictures_are_decoded_with_the_pixels_that_draws_need(steps, least_side):
    assert Augmentation(steps, PREPROCESSING).least_side == least_side
    for other in ({"interpolation": "nearest"}, {"reducing_gap": None}, {"frames": 2}):
        preprocessing = dataclasses.replace(PREPROCESSING, **other)
        assert Augmentation(steps, preprocessing).least_side is None


@pytest.mark.parametrize("policy", ["none", "light", "standard", "voc-rotation"])
def test_draws_from_a_part_of_a_big_jpeg_are_those_from_all_of_it(policy):
    file = io.BytesIO()
    Image.fromarray(smooth(1200, 1600)).save(file, "JPEG", quality=90)
    augmentation = Augmentation(policy, PREPROCESSING)
    full = decode_image(file.getvalue(), "a")
    part = decode_image(file.getvalue(), "a", least_side=augmentation.least_side)
    assert len(part) <= 300
    for index in range(6):
        one, other = (augmentation(image, sample_generator(0, 0, index)) for image in (part, full))
        # a pixel of the part, of which places are counted, is a fraction of one of the view
        assert (one.float() - other.float()).abs().mean() < 3


def test_what_draws_begin_from_is_told_apart():
    other = Preprocessing(48, (0.5,) * 3, (0.5,) * 3)
    clips = Preprocessing(32, (0.5,) * 3, (0.5,) * 3, frames=2)
    full = Preprocessing(32, (0.5,) * 3, (0.5,) * 3, reducing_gap=None)
    resized = [[{"resize": {"shorter": side}}, {"random_crop": {}}] for side in (40, 50)]
    different = [
        Augmentation("none", PREPROCESSING), Augmentation("none", other),
        Augmentation("light", PREPROCESSING), Augmentation("light", clips),
        Augmentation("standard", clips), *(Augmentation(one, PREPROCESSING) for one in resized),
        *(Augmentation(one, full) for one in ("none", "light", resized[0])),
    ]  # fmt: skip
    assert len({one.beginning for one in different}) == len(different)
    same = (Augmentation("none", PREPROCESSING), Augmentation("voc-rotation", PREPROCESSING))
    assert same[0].beginning == same[1].beginning


def test_steps_without_framing_begin_from_the_evaluation_view():
    view = Augmentation([{"flip": {"p": 1}}], PREPROCESSING)(smooth(), sample_generator(0, 0, 0))
    assert torch.equal(view, PREPROCESSING(smooth()).flip(2))


def test_steps_before_a_framing_act_on_the_whole_picture():
    steps = [{"flip": {"p": 1}}, {"resize": {"shorter": 60}}]
    view = Augmentation(steps, PREPROCESSING)(smooth(60, 80), sample_generator(0, 0, 0))
    mirrored = torch.from_numpy(smooth(60, 80)).permute(2, 0, 1).flip(2)
    assert torch.equal(view, PREPROCESSING.resample(mirrored, 32, 32))


def test_a_framing_inside_a_choice_begins_from_the_whole_picture():
    steps = [{"one_of": {"steps": [{"random_scale": {}}], "p": 0}}]
    view = Augmentation(steps, PREPROCESSING)(smooth(60, 80), sample_generator(0, 0, 0))
    whole = torch.from_numpy(smooth(60, 80)).permute(2, 0, 1)
    assert torch.equal(view, PREPROCESSING.resample(whole, 32, 32))


def test_none_is_the_evaluation_view():
    view = Augmentation("none", PREPROCESSING)(smooth(), sample_generator(0, 0, 0))
    assert torch.equal(view, PREPROCESSING(smooth()))


@pytest.mark.parametrize("policy", sorted(set(POLICIES) - {"none"}))
def test_views_repeat_for_a_key_and_differ_between_keys(policy):
    augmentation = Augmentation(policy, PREPROCESSING)
    views = [augmentation(smooth(), sample_generator(0, 0, index)) for index in range(6)]
    again = [augmentation(smooth(), sample_generator(0, 0, index)) for index in range(6)]
    assert all(torch.equal(one, other) for one, other in zip(views, again, strict=True))
    assert len({view.numpy().tobytes() for view in views}) == 6


def test_no_global_random_state_is_read_or_changed():
    inner = [{name: {}} for name in STEPS if name not in ("random_resized_crop", "one_of")]
    steps = [*inner, {"one_of": {"steps": inner, "p": 1}}]
    augmentation = Augmentation(steps, PREPROCESSING)
    torch_state, numpy_state = torch.get_rng_state(), copy.deepcopy(np.random.get_state())  # noqa: NPY002
    first = augmentation(smooth(), sample_generator(0, 0, 0))
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert np.array_equal(np.random.get_state()[1], numpy_state[1])  # noqa: NPY002
    torch.manual_seed(99)
    assert torch.equal(augmentation(smooth(), sample_generator(0, 0, 0)), first)


def test_picture_is_left_as_it_was():
    image = smooth(32, 32)
    before = image.copy()
    preprocessing = Preprocessing(32, (0.5,) * 3, (0.5,) * 3, crop_fraction=1.0)
    jitter = {"brightness": 0.5, "contrast": 0.5, "saturation": 0.5, "hue": 0.1}
    augmentation = Augmentation([{"flip": {"p": 1}}, {"color_jitter": jitter}], preprocessing)
    augmentation(image, sample_generator(0, 0, 0))
    assert np.array_equal(image, before)


def test_crop_of_the_whole_picture_is_its_resize():
    steps = [{"random_resized_crop": {"scale": [1, 1], "ratio": [1, 1]}}]
    view = Augmentation(steps, PREPROCESSING)(smooth(64, 64), sample_generator(0, 0, 0))
    picture = torch.from_numpy(smooth(64, 64)).permute(2, 0, 1)
    assert torch.equal(view, functional.resize(picture, [32, 32], antialias=True))


def test_crops_have_the_asked_area_and_reach_all_places():
    rows, columns = np.mgrid[0:200, 0:200]
    image = np.stack([rows, columns, np.zeros_like(rows)], axis=2).astype(np.uint8)
    steps = [{"random_resized_crop": {"scale": [0.2, 0.3], "ratio": [0.5, 2.0]}}]
    augmentation = Augmentation(steps, PREPROCESSING)
    views = [augmentation(image, sample_generator(0, 0, i)).int() for i in range(300)]
    # the ends of a row and a column tell the box, up to half a step of the view
    tall = np.array([(view[0, -1, 0] - view[0, 0, 0]).item() * 32 / 31 for view in views])
    wide = np.array([(view[1, 0, -1] - view[1, 0, 0]).item() * 32 / 31 for view in views])
    area = tall * wide / 200**2
    assert area.min() > 0.18
    assert area.max() < 0.32
    assert (wide / tall).min() < 0.6
    assert (wide / tall).max() > 1.7
    assert min(view[0, 0, 0].item() for view in views) < 8
    assert max(view[0, -1, 0].item() for view in views) > 191


def test_flip_mirrors_with_its_probability():
    plain = PREPROCESSING(smooth())
    augmentation = Augmentation([{"flip": {"p": 0.3}}], PREPROCESSING)
    views = [augmentation(smooth(), sample_generator(0, 0, index)) for index in range(300)]
    mirrored = sum(torch.equal(view, plain.flip(2)) for view in views)
    assert mirrored + sum(torch.equal(view, plain) for view in views) == 300
    assert 60 < mirrored < 120


@pytest.mark.parametrize("setting", ["brightness", "contrast", "saturation", "hue"])
@pytest.mark.parametrize("place", [0.0, 0.3, 1.0])
def test_each_colour_change_agrees_with_torchvision(setting, place):
    adjust = getattr(functional, f"adjust_{setting}")
    amount = (2 * place - 1) * 0.4
    expected = adjust(PREPROCESSING(smooth()), amount if setting == "hue" else 1 + amount)
    augmentation = Augmentation([{"color_jitter": {setting: 0.4}}], PREPROCESSING)
    assert difference(augmentation(smooth(), Rigged(place)), expected) <= 1


def test_colour_changes_compose_in_order_as_in_torchvision():
    image = (smooth() // 3 + 80).astype(np.uint8)  # nothing is clipped
    expected = PREPROCESSING(image)
    for name in ("brightness", "contrast", "saturation"):
        expected = getattr(functional, f"adjust_{name}")(expected, 1.2)
    settings = {"brightness": 0.2, "contrast": 0.2, "saturation": 0.2}
    augmentation = Augmentation([{"color_jitter": settings}], PREPROCESSING)
    assert difference(augmentation(image, Rigged(1.0)), expected) <= 3


def test_rotation_agrees_with_torchvision_and_fills_with_the_mean_colour():
    preprocessing = Preprocessing(32, (0.2, 0.4, 0.6), (1, 1, 1))
    view = Augmentation([{"rotate": {"degrees": 45}}], preprocessing)(smooth(), Rigged(1.0))
    assert view[:, 0, 0].tolist() == [51, 102, 153]
    reference = functional.rotate(
        preprocessing(smooth()), 45, interpolation=functional.InterpolationMode.BILINEAR
    )
    assert difference(view[:, 12:20, 12:20], reference[:, 12:20, 12:20]) <= 1


def test_augmentation_can_be_sent_to_another_process():
    augmentation = Augmentation("standard", PREPROCESSING)
    sent = pickle.loads(pickle.dumps(augmentation))
    view = augmentation(smooth(), sample_generator(0, 0, 0))
    assert torch.equal(sent(smooth(), sample_generator(0, 0, 0)), view)


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ("standart", 'policy "standart" is unknown; did you mean "standard"'),
        ([{"flop": {}}], 'step "flop" is unknown; did you mean "flip"'),
        ([{"flip": {"q": 1}}], 'flip has no setting "q"; known are "p"'),
        ([{"color_jitter": {"brightnes": 1}}], 'did you mean "brightness"'),
        ([{"flip": {"p": 2}}], "flip.p: 2 does not fit: .*less than or equal to 1"),
        ([{"flip": {"p": "often"}}], "flip.p: often does not fit: it must be a number"),
        ([{"random_resized_crop": {"scale": [0.8, 0.2]}}], "the first must not exceed the second"),
        ([{"random_resized_crop": {"scale": [0.0, 0.2]}}], "greater than 0"),
        ([{"random_resized_crop": {"ratio": 2}}], "random_resized_crop.ratio: 2 does not fit"),
        ([{"flip": {}}, {"random_resized_crop": {}}], "must be the first step"),
        ([{"random_resized_crop": {}}, {"resize": {}}], "the only one to choose what is seen"),
        ([{"one_of": {"steps": [{"random_resized_crop": {}}]}}], "must be the first step"),
        ([{"flip": {}, "rotate": {}}], "must name one step"),
        ([{}], "must name one step"),
    ],
)
def test_policy_that_does_not_fit_is_named_when_it_is_built(steps, message):
    with pytest.raises(ConfigError, match=message):
        Augmentation(steps, PREPROCESSING)
