"""Tiny data in the true on-disk formats, and settings that train in a second."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import cycle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

TINY = (
    "model.backbone=test_resnet",
    "model.pretrained=false",
    "input.size=32",
    "train.batch_size=8",
    "train.num_workers=0",
)
"""Settings over ``finetune``: a small network on small pictures."""


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs a GPU where there is none."""
    if item.get_closest_marker("gpu") is not None:
        import torch

        if not torch.cuda.is_available():
            pytest.skip("needs a CUDA device")


@pytest.fixture(scope="session", autouse=True)
def cache_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return the folder that holds caches: never the home folder of who runs the tests."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("XDG_CACHE_HOME", str(folder))
        yield folder


def draw(colour: tuple[int, int, int], seed: int) -> Image.Image:
    """Return a noisy picture of one colour, 40 x 36 pixels."""
    noise = np.random.default_rng(seed).normal(0, 12, (36, 40, 3))
    return Image.fromarray(np.clip(np.asarray(colour) + noise, 0, 255).astype(np.uint8))


@pytest.fixture(scope="session")
def folder_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of three class folders with 20 JPEG pictures each, told by colour."""
    root = tmp_path_factory.mktemp("data") / "pictures"
    colours = {"blue": (40, 60, 200), "green": (50, 190, 60), "red": (200, 40, 40)}
    for name, colour in colours.items():
        (root / name).mkdir(parents=True)
        for n in range(20):
            draw(colour, n).save(root / name / f"{n:02d}.jpg", quality=90)
    return root


@pytest.fixture(scope="session")
def table_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a CSV table of 48 multi-label pictures: left half and right half have a colour."""
    root = tmp_path_factory.mktemp("table")
    colours = {"blue": (40, 60, 200), "green": (50, 190, 60), "red": (200, 40, 40)}
    rows = ["path,labels,split"]
    names = list(colours)
    for n in range(48):
        left, right = names[n % 3], names[(n // 3) % 3]
        picture = draw(colours[left], n)
        picture.paste(draw(colours[right], n + 100).crop((0, 0, 20, 36)), (20, 0))
        picture.save(root / f"{n:02d}.png")
        labels = "|".join(sorted({left, right}))
        split = ("train", "train", "val", "test")[n // 12]
        rows.append(f"{n:02d}.png,{labels},{split}")
    (root / "labels.csv").write_text("\n".join(rows) + "\n")
    return root / "labels.csv"


A2D_VALUES = (
    11, 12, 13, 15, 16, 17, 18, 19, 21, 22, 26, 28, 29, 34, 35, 36, 39, 41, 43, 44, 45, 46,
    48, 49, 54, 55, 56, 57, 59, 61, 63, 65, 66, 67, 68, 69, 72, 73, 75, 76, 77, 78, 79,
)  # fmt: skip
"""The valid pixel values of A2D, in class order."""


def write_a2d_annotation(path: Path, mask_HW: np.ndarray) -> None:
    """Write pixel labels as MATLAB saves them with ``-v7.3``: HDF5 behind a text header."""
    import h5py

    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w", userblock_size=512) as file:
        # MATLAB stores by columns, HDF5 by rows: a file holds the transpose
        file.create_dataset("reS_id", data=mask_HW.T, compression="gzip")
        file.create_dataset("reBBox", data=np.array([[1.0, 2.0, 20.0, 30.0]]))
        file.create_dataset("id", data=np.array([[float(mask_HW.max())]]))
    header = b"MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: Mon Jun 08 12:00:00 2015"
    header += b" HDF5 schema 1.00 ."
    with path.open("r+b") as file:
        file.write(header.ljust(116) + bytes(8) + b"\x00\x02IM")


def a2d_mask(values: Sequence[int]) -> np.ndarray:
    """Return pixel labels, uint8 (48, 64): for each value a tile on background."""
    mask_HW = np.zeros((48, 64), dtype=np.uint8)
    for n, value in enumerate(values):
        row, column = divmod(n, 2)
        mask_HW[4 + row * 22 : 20 + row * 22, 3 + column * 31 : 29 + column * 31] = value
    return mask_HW


def write_a2d_clip(
    root: Path, split: str, clip: str, frames: dict[int, Sequence[int]], *, is_annotated: bool
) -> None:
    """Write a clip's pictures and annotations, and its lines at the end of a split's list."""
    with (root / "list" / f"{split}.txt").open("a") as file:
        file.writelines(f"{clip}/{frame:05d}\n" for frame in frames)
    pictures = root / "pngs320H" / clip
    pictures.mkdir(parents=True)
    for frame, values in frames.items():
        mask_HW = a2d_mask(values)
        # actor and action show in the colour, so that there is something to learn
        colour_HW3 = np.stack([mask_HW // 10 * 30, mask_HW % 10 * 25, mask_HW * 2], axis=-1)
        noise_HW3 = np.random.default_rng([frame, *clip.encode()]).integers(0, 20, colour_HW3.shape)
        Image.fromarray((colour_HW3 + noise_HW3).astype(np.uint8)).save(
            pictures / f"{frame:05d}.png"
        )
        if is_annotated:
            write_a2d_annotation(root / "Annotations/mat" / clip / f"{frame:05d}.mat", mask_HW)


@pytest.fixture(scope="session")
def a2d_data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return the root of an A2D tree: 12 train and 6 val pictures, 4 unlabelled test ones.

    Its train split holds all 43 classes and a mask of background alone; its val split a mask of
    nothing but values that A2D does not know. Do not change it.
    """
    root = tmp_path_factory.mktemp("a2d") / "A2D"
    (root / "list").mkdir(parents=True)
    tiles = [(), *(A2D_VALUES[n : n + 4] for n in range(0, 44, 4))]
    for n in range(6):
        frames = {15 + 30 * m: tiles[2 * n + m] for m in range(2)}
        write_a2d_clip(root, "train", f"_train-{n}_Q", frames, is_annotated=True)
    val = {
        "-val0": {20: (11, 14), 40: (14, 99)},
        "val1": {7: (34, 55), 9: (21, 61)},
        "val2": {3: (79,), 31: (48, 72)},
    }
    for clip, frames in val.items():
        write_a2d_clip(root, "val", clip, frames, is_annotated=True)
    for n in range(2):
        frames = {12: A2D_VALUES[n : n + 2], 5: A2D_VALUES[n + 20 : n + 23]}
        write_a2d_clip(root, "test", f"test{n}", frames, is_annotated=False)
    with pytest.MonkeyPatch.context() as environment:
        # labels are cached: never in the home folder of who runs the tests
        environment.setenv("XDG_CACHE_HOME", str(root.parent / "cache"))
        yield root


@pytest.fixture
def write_annotation() -> Callable[[Path, np.ndarray], None]:
    """Return the function that writes one A2D annotation."""
    return write_a2d_annotation


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, table_data: Path) -> Path:
    """Return a complete multi-label run; do not change it."""
    import finelens

    run = tmp_path_factory.mktemp("runs") / "trained"
    return finelens.train("finetune", table_data, settings=[*TINY, *EPOCHS], run=run)


EPOCHS = ("phases.0.epochs=1", "phases.1.epochs=1")
"""Settings over ``finetune``: two epochs."""


@pytest.fixture
def tiny_settings() -> Callable[..., list[str]]:
    """Return a function from more settings to all that make ``finetune`` tiny.

    Where its phases are given as a whole, their epochs are not set.
    """

    def settings(*more: str) -> list[str]:
        is_whole = any(one.startswith("phases=") for one in more)
        return [*TINY, *(() if is_whole else EPOCHS), *more]

    return settings


def write_clip(path: Path, frames_THWC: np.ndarray, *, rate: int = 25) -> None:
    """Write frames, uint8 (T, H, W, 3), as a video: MPEG-1 for .mpg, MJPEG for all else."""
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    is_mpeg = path.suffix == ".mpg"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg1video" if is_mpeg else "mjpeg", rate=rate)
        stream.height, stream.width = frames_THWC.shape[1:3]
        stream.pix_fmt = "yuv420p" if is_mpeg else "yuvj420p"
        for frame_HWC in frames_THWC:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame_HWC, format="rgb24")))
        container.mux(stream.encode(None))


@pytest.fixture(scope="session")
def write_video() -> Callable[..., None]:
    """Return the function that writes frames as a video."""
    return write_clip


def moving_square(step: int, seed: int, num_frames: int = 8) -> np.ndarray:
    """Return a clip, uint8 (T, 24, 32, 3): a square that moves by a step of pixels a frame."""
    generator = np.random.default_rng(seed)
    frames_THWC = generator.integers(0, 40, (num_frames, 24, 32, 3), dtype=np.uint8)
    top, left = generator.integers(0, 16), generator.integers(0, 24)
    for number, frame_HWC in enumerate(frames_THWC):
        columns = (left + number * step + np.arange(8)) % 32
        frame_HWC[top : top + 8, columns] = 230
    return frames_THWC


UCF11_PREFIXES = {"basketball": "shooting", "biking": "biking", "walking": "walk_dog"}
"""Three of UCF-11's classes, and what their groups and clips are called there."""


UCF11_OTHER_PREFIXES = {
    "diving": "diving", "golf_swing": "golf", "horse_riding": "riding",
    "soccer_juggling": "juggle", "swing": "swing", "tennis_swing": "tennis",
    "trampoline_jumping": "jumping", "volleyball_spiking": "spiking",
}  # fmt: skip
"""Its other eight classes."""


def write_ucf11(
    root: Path,
    *,
    extension: str,
    num_groups: int = 6,
    prefixes: Mapping[str, str] = UCF11_PREFIXES,
) -> Path:
    """Write UCF-11's layout below a root: of each class groups of two clips, and return it."""
    for step, (name, prefix) in zip(cycle((-3, 0, 3)), prefixes.items(), strict=False):
        (root / name / "Annotation").mkdir(parents=True)
        (root / name / "Annotation" / f"v_{prefix}_01_01.xgtf").write_text("<viper/>")
        for group in range(1, num_groups + 1):
            for clip in (1, 2):
                stem = f"v_{prefix}_{group:02d}"
                path = root / name / stem / f"{stem}_{clip:02d}{extension}"
                write_clip(path, moving_square(step, 10 * group + clip))
    return root


@pytest.fixture(scope="session")
def ucf11_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return UCF-11's .avi form: 36 clips of 8 frames, 3 classes told by motion. Leave as is."""
    root = tmp_path_factory.mktemp("ucf11") / "action_youtube_naudio"
    return write_ucf11(root, extension=".avi")


@pytest.fixture(scope="session")
def ucf11_mpg_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return UCF-11's .mpg form: 6 clips of 8 frames, 3 classes. Do not change it."""
    root = tmp_path_factory.mktemp("ucf11") / "UCF11_updated_mpg"
    return write_ucf11(root, extension=".mpg", num_groups=1)


@pytest.fixture(scope="session")
def ucf11_all_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return UCF-11's .mpg form, its eleven classes: 66 clips of 8 frames. Do not change it."""
    root = tmp_path_factory.mktemp("ucf11") / "UCF11_updated_mpg"
    prefixes = UCF11_PREFIXES | UCF11_OTHER_PREFIXES
    return write_ucf11(root, extension=".mpg", num_groups=3, prefixes=prefixes)


@pytest.fixture(scope="session")
def array_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an .npz of UCF-11's processed form: 30 clips (8, 24, 32, 3), 3 numbered classes."""
    path = tmp_path_factory.mktemp("arrays") / "clips.npz"
    labels_N = np.arange(30) % 3
    clips_NTHWC = np.stack([moving_square(3 * (label - 1), n) for n, label in enumerate(labels_N)])
    np.savez(path, clips=clips_NTHWC, labels=labels_N, class_names=["left", "right", "still"])
    return path
