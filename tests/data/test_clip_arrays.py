import zipfile

import numpy as np
import pytest

from finelens.data.clip_arrays import open_clip_array, stored_frame_size
from finelens.data.clips import read_clip
from finelens.data.sampling import Sampling
from finelens.errors import DataError

CLIPS = np.random.default_rng(0).integers(0, 256, (5, 7, 4, 6, 3), dtype=np.uint8)


def write(folder, kind, **members):
    members = members or {"clips": CLIPS, "labels": np.arange(5)}
    file = folder / f"clips{kind}"
    if kind == ".npy":
        np.save(file, CLIPS)
    else:
        (np.savez if kind == ".npz" else np.savez_compressed)(folder / "clips.npz", **members)
        file = folder / "clips.npz"
    return file


@pytest.mark.parametrize("kind", [".npy", ".npz", "compressed"])
def test_an_element_is_a_clip(tmp_path, kind):
    file = write(tmp_path, kind)
    clip = read_clip(f"{file}#3", Sampling(7))
    assert np.array_equal(clip.frames_THWC, CLIPS[3])
    assert clip.note is None
    assert np.array_equal(
        read_clip(f"{file}#0", Sampling(2, stride=3)).frames_THWC, CLIPS[0, ::3][:2]
    )
    clip.frames_THWC[:] = 0
    assert np.array_equal(read_clip(f"{file}#3", Sampling(7)).frames_THWC, CLIPS[3])


@pytest.mark.parametrize("kind", [".npy", ".npz"])
def test_what_lies_uncompressed_is_mapped(tmp_path, kind):
    array = open_clip_array(str(write(tmp_path, kind)))
    assert isinstance(array, np.memmap)
    assert not array.flags.writeable
    assert np.array_equal(array, CLIPS)


def test_columns_first_arrays_are_read(tmp_path):
    np.save(tmp_path / "a.npy", np.asfortranarray(CLIPS))
    np.savez(tmp_path / "a.npz", x=np.asfortranarray(CLIPS))
    for name in ("a.npy", "a.npz"):
        assert np.array_equal(read_clip(f"{tmp_path / name}#4", Sampling(7)).frames_THWC, CLIPS[4])


def test_members_are_found_by_name_or_by_shape(tmp_path):
    write(tmp_path, ".npz", x_train=CLIPS, y_train=np.arange(5))
    assert np.array_equal(read_clip(f"{tmp_path}/clips.npz#1", Sampling(7)).frames_THWC, CLIPS[1])
    write(tmp_path, ".npz", first=CLIPS, second=255 - CLIPS)
    with pytest.raises(DataError, match="which member holds the clips"):
        read_clip(f"{tmp_path}/clips.npz#1", Sampling(7))
    named = read_clip(f"{tmp_path}/clips.npz#second/1", Sampling(7))
    assert np.array_equal(named.frames_THWC, 255 - CLIPS[1])
    with pytest.raises(DataError, match="third"):
        read_clip(f"{tmp_path}/clips.npz#third/1", Sampling(7))


def test_a_member_of_a_zip_with_other_local_headers_is_read(tmp_path):
    np.save(tmp_path / "x.npy", CLIPS)
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("read me.txt", "not an array")
        with archive.open("x.npy", "w", force_zip64=True) as member:
            member.write((tmp_path / "x.npy").read_bytes())
    assert np.array_equal(read_clip(f"{tmp_path}/a.npz#2", Sampling(7)).frames_THWC, CLIPS[2])


def test_a_file_that_changed_is_opened_anew(tmp_path):
    file = write(tmp_path, ".npy")
    assert read_clip(f"{file}#0", Sampling(1)).frames_THWC[0, 0, 0, 0] == CLIPS[0, 3, 0, 0, 0]
    np.save(file, (255 - CLIPS)[:2])
    assert np.array_equal(read_clip(f"{file}#0", Sampling(7)).frames_THWC, 255 - CLIPS[0])


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (CLIPS.astype(np.float32), "clips are uint8"),
        (CLIPS[..., 0], "clips are uint8"),
        (CLIPS[..., :1], "clips are uint8"),
        (CLIPS[:0], "clips are uint8"),
        (np.array([{"a": 1}], dtype=object), "damaged"),
    ],
)
def test_other_arrays_are_refused(tmp_path, array, reason):
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    with pytest.raises(DataError, match=f"a.npy#0: .*{reason}"):
        read_clip(f"{tmp_path}/a.npy#0", Sampling(2))


@pytest.mark.parametrize("kind", [".npy", ".npz", "compressed"])
def test_damaged_and_missing_files_are_told(tmp_path, kind):
    file = write(tmp_path, kind)
    with pytest.raises(DataError, match="#9: there is no clip 9, it holds 5"):
        read_clip(f"{file}#9", Sampling(2))
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(DataError, match="#0: not an array file, or damaged"):
        read_clip(f"{file}#0", Sampling(2))
    file.unlink()
    with pytest.raises(DataError, match="#0: cannot be opened: No such file"):
        read_clip(f"{file}#0", Sampling(2))


def test_pickles_in_an_archive_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", clips=np.full((2, 2, 2, 2, 3), None, dtype=object))
    with pytest.raises(DataError, match="damaged"):
        read_clip(f"{tmp_path}/a.npz#0", Sampling(2))


@pytest.mark.parametrize(
    ("kind", "size"), [(".npy", (4, 6)), (".npz", (4, 6)), ("compressed", None)]
)
def test_the_frame_size_of_uncompressed_clips_is_known(tmp_path, kind, size):
    assert stored_frame_size(f"{write(tmp_path, kind)}#3") == size


def test_other_places_have_no_stored_frame_size(tmp_path):
    (tmp_path / "broken.npy").write_bytes(b"no array")
    (tmp_path / "broken.npz").write_bytes(b"no archive")
    np.save(tmp_path / "flat.npy", np.zeros((4, 6), dtype=np.uint8))
    for name in ("broken.npy#0", "broken.npz#0", "flat.npy#0", "none.npy#0", "a.avi", "frames/"):
        assert stored_frame_size(f"{tmp_path}/{name}") is None
