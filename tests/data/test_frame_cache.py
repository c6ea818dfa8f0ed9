import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from finelens.data.cache_eviction import evict
from finelens.data.file_content import ContentKeys
from finelens.data.frame_cache import FrameCache
from finelens.data.images import read_image
from finelens.errors import ConfigError, DataError

RNG = np.random.default_rng(0)
GENEROUS = 1 << 30


def file_of(folder, name, content=b"some bytes"):
    path = folder / name
    path.write_bytes(content)
    return str(path)


class Maker:
    """Makes an array of a value and counts how often it had to."""

    def __init__(self, value, num_bytes=1000):
        self.array = np.full((num_bytes,), value, dtype=np.uint8)
        self.count = 0

    def __call__(self):
        self.count += 1
        return self.array


def entries(folder):
    return [file for file in folder.rglob("*.npy") if not file.name.startswith(".")]


@pytest.mark.parametrize("shape", [(30, 8, 9, 3), (8, 9, 3)])
def test_the_second_time_is_the_first_again_whatever_was_written_to_it(tmp_path, shape):
    array = RNG.integers(0, 256, shape, dtype=np.uint8)
    path, cache = file_of(tmp_path, "a.mp4"), FrameCache(tmp_path / "c", max_bytes=GENEROUS)
    kept = array.copy()
    cache.get(path, "key", lambda: kept)[:] = 7
    for _ in range(2):
        again = FrameCache(tmp_path / "c", max_bytes=GENEROUS).get(path, "key", Maker(0))
        assert again.dtype == np.uint8
        assert np.array_equal(again, array)
        again[:] = 7


def test_what_was_done_to_the_frames_tells_entries_apart(tmp_path):
    path, cache = file_of(tmp_path, "a.mp4"), FrameCache(tmp_path / "c", max_bytes=GENEROUS)
    assert cache.get(path, "size 64", Maker(1))[0] == 1
    assert cache.get(path, "size 32", Maker(2))[0] == 2
    assert cache.get(path, "size 64", Maker(3))[0] == 1


def test_copies_and_moved_files_share_an_entry_and_changed_files_do_not(tmp_path):
    cache = FrameCache(tmp_path / "c", max_bytes=GENEROUS)
    path = file_of(tmp_path, "a.mp4")
    assert cache.get(path, "k", Maker(1))[0] == 1
    assert cache.get(file_of(tmp_path, "copy.mp4"), "k", Maker(2))[0] == 1
    assert cache.get(file_of(tmp_path, "a.mp4", b"other byte"), "k", Maker(3))[0] == 3


def test_a_file_is_hashed_once_until_it_changes(tmp_path):
    path, folder = file_of(tmp_path, "a.mp4"), tmp_path / "c"
    first = ContentKeys(folder).of(path)
    status = Path(path).stat()
    # other bytes behind the same size and time are not looked at: the hash is remembered
    file_of(tmp_path, "a.mp4", b"OTHER BYTE")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert ContentKeys(folder).of(path) == first
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert ContentKeys(folder).of(path) != first


def test_a_process_has_the_latest_hashes_at_hand_until_they_change_or_it_forgets(tmp_path):
    path, folder = file_of(tmp_path, "a.mp4"), tmp_path / "c"
    keys = ContentKeys(folder)
    first = keys.of(path)
    (remembered,) = folder.rglob("*.hash")
    remembered.unlink()
    assert keys.of(path) == first
    assert not remembered.exists()
    keys.forget()
    assert keys.of(path) == first
    assert remembered.exists()
    file_of(tmp_path, "a.mp4", b"other byte!")
    assert keys.of(path) != first


def test_folders_and_array_elements_have_keys_of_their_own(tmp_path):
    frames, keys = tmp_path / "frames", ContentKeys(tmp_path / "c")
    frames.mkdir()
    file_of(frames, "1.png")
    whole = keys.of(str(frames))
    assert keys.of(f"{frames}#1-1") != whole
    assert keys.of(str(frames)) == whole
    file_of(frames, "2.png")
    assert keys.of(str(frames)) != whole
    file_of(tmp_path, "a.npy")
    rows = [keys.of(f"{tmp_path}/a.npy#{row}") for row in (0, 1, 0)]
    assert rows[0] == rows[2] != rows[1]


@pytest.mark.parametrize("damage", ["empty", "cut", "text", "header", "token", "other kind"])
def test_a_broken_entry_is_made_again(tmp_path, damage):
    path, cache = file_of(tmp_path, "a.mp4"), FrameCache(tmp_path / "c", max_bytes=GENEROUS)
    cache.get(path, "k", Maker(1))
    (entry,) = entries(tmp_path / "c")
    whole = entry.read_bytes()
    if damage == "other kind":
        np.save(entry, np.zeros(4, dtype=np.float32))
    else:
        damaged = {
            "empty": b"",
            "cut": whole[:-9],
            "text": b"x" * 200,
            "header": whole[:10] + b"[" + whole[11:],
            "token": whole[:12] + b"\x00" + whole[13:],
        }
        entry.write_bytes(damaged[damage])
    maker = Maker(2)
    assert cache.get(path, "k", maker)[0] == 2
    assert cache.get(path, "k", maker)[0] == 2
    assert maker.count == 1


def test_the_error_of_an_unreadable_file_is_not_kept(tmp_path):
    path = file_of(tmp_path, "a.png", b"no picture")
    cache = FrameCache(tmp_path / "c", max_bytes=GENEROUS)
    for _ in range(2):
        with pytest.raises(DataError, match=r"a.png: not a picture"):
            cache.get(path, "k", lambda: read_image(path))
    assert entries(tmp_path / "c") == []
    Image.new("RGB", (4, 3), "white").save(path)
    assert cache.get(path, "k", lambda: read_image(path)).shape == (3, 4, 3)
    missing = str(tmp_path / "none.png")
    with pytest.raises(DataError, match=r"none.png: cannot be opened"):
        cache.get(missing, "k", lambda: read_image(missing))


def used_bytes(folder):
    return sum(file.stat().st_blocks * 512 for file in folder.rglob("*.*"))


def test_the_least_recently_used_go(tmp_path):
    bound = 1_000_000
    paths = [file_of(tmp_path, f"{n}.mp4", bytes([n])) for n in range(40)]
    found = []
    for n, path in enumerate(paths):
        # of another run each
        cache = FrameCache(tmp_path / "c", max_bytes=bound)
        found.append(cache.get(path, "k", Maker(n, 50_000)))
        # the first is used all the time
        assert cache.get(paths[0], "k", Maker(99, 50_000))[0] == 0
        assert used_bytes(tmp_path / "c") <= bound
    assert 10 <= len(entries(tmp_path / "c")) <= 20
    assert all((one == n).all() for n, one in enumerate(found))
    maker = Maker(1, 50_000)
    assert cache.get(paths[1], "k", maker)[0] == 1
    assert maker.count == 1


def test_of_epochs_that_do_not_fit_as_many_are_found_again_as_there_is_room_for(tmp_path):
    bound, size = 10_000_000, 500_000
    older = FrameCache(tmp_path / "c", max_bytes=bound)
    for n in range(12):
        older.get(file_of(tmp_path, f"old{n}.mp4", bytes([100 + n])), "k", Maker(n, size))
    paths = [file_of(tmp_path, f"{n}.mp4", bytes([n])) for n in range(40)]
    time.sleep(0.02)
    cache = FrameCache(tmp_path / "c", max_bytes=bound)
    made = []
    with pytest.warns(UserWarning, match=r"a larger data\.cache_gb \(it is 0\.01\)") as caught:
        for _ in range(3):
            makers = [Maker(n, size) for n in range(40)]
            for n, (path, maker) in enumerate(zip(paths, makers, strict=True)):
                assert (cache.get(path, "k", maker) == n).all()
            made.append(sum(maker.count for maker in makers))
            assert used_bytes(tmp_path / "c") <= bound
    assert len(caught) == 1
    # what older runs left has made room
    assert made[0] == 40
    assert 40 - 18 <= made[1] == made[2] <= 40 - 16


def test_what_was_used_before_makes_room_once_the_cache_is_renewed(tmp_path):
    bound, size = 10_000_000, 500_000
    cache = FrameCache(tmp_path / "c", max_bytes=bound)
    paths = [file_of(tmp_path, f"{n}.mp4", bytes([n])) for n in range(30)]
    with pytest.warns(UserWarning, match="is full"):
        for path in paths:
            cache.get(path, "small", Maker(1, size))
    time.sleep(0.02)
    cache.renew()
    for path in paths[:10]:
        cache.get(path, "large", Maker(2, size))
    again = Maker(3, size)
    assert all(cache.get(path, "large", again)[0] == 2 for path in paths[:10])


def test_files_beyond_a_full_cache_leave_nothing_in_it(tmp_path):
    cache = FrameCache(tmp_path / "c", max_bytes=1_000_000)
    paths = [file_of(tmp_path, f"{n}.mp4", n.to_bytes(2, "big")) for n in range(400)]
    with pytest.warns(UserWarning, match="is full"):
        for path in paths:
            cache.get(path, "k", Maker(1, 50_000))
    assert used_bytes(tmp_path / "c") <= 1_000_000


def test_processes_that_read_warn_once(tmp_path):
    if sys.platform != "linux":
        pytest.skip("a function of the test's own needs a safe fork")
    context = multiprocessing.get_context("fork")
    paths = [file_of(tmp_path, f"{n}.mp4", bytes([n])) for n in range(10)]
    cache = FrameCache(tmp_path / "c", max_bytes=100_000)

    def read():
        with warnings.catch_warnings(record=True) as caught:
            for path in paths:
                cache.get(path, "k", Maker(1, 40_000))
        sys.exit(len(caught))

    exit_codes = []
    for _ in range(2):
        process = context.Process(target=read)
        process.start()
        process.join()
        exit_codes.append(process.exitcode)
    assert exit_codes == [1, 0]


def test_an_array_that_would_fill_half_the_cache_is_not_kept(tmp_path):
    path, cache = file_of(tmp_path, "a.mp4"), FrameCache(tmp_path / "c", max_bytes=1000)
    maker = Maker(1, 501)
    assert cache.get(path, "k", maker) is maker.array
    assert entries(tmp_path / "c") == []


def test_what_a_kill_left_behind_goes_and_what_is_being_written_stays(tmp_path):
    old, new = tmp_path / ".a.npy.1.tmp", tmp_path / ".b.npy.2.tmp"
    for file in (old, new):
        file.write_bytes(bytes(100))
    two_hours_ago_s = time.time() - 7200
    os.utime(old, (two_hours_ago_s, two_hours_ago_s))
    evict(tmp_path, GENEROUS)
    assert not old.exists()
    assert new.exists()


def test_one_process_evicts_and_a_dead_one_leaves_no_lock(tmp_path):
    fcntl = pytest.importorskip("fcntl")
    for n in range(10):
        file_of(tmp_path, f"{n}.npy", bytes(4096))
    code = (
        "import fcntl, sys, time; f = open(sys.argv[1], 'a'); fcntl.flock(f, fcntl.LOCK_EX);"
        "print('held', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / ".lock")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        evict(tmp_path, 4096)
        assert len(entries(tmp_path)) == 10
        other.send_signal(signal.SIGKILL)
    evict(tmp_path, 4096)
    assert len(entries(tmp_path)) == 0
    with (tmp_path / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_without_a_folder_it_works_and_says_so_once(tmp_path):
    (tmp_path / "c").write_text("a file where the folder should be")
    path, cache = file_of(tmp_path, "a.mp4"), FrameCache(tmp_path / "c", max_bytes=GENEROUS)
    maker = Maker(7)
    with pytest.warns(UserWarning, match="cannot be written") as caught:
        assert [cache.get(path, "k", maker)[0] for _ in range(3)] == [7, 7, 7]
    assert len(caught) == 1
    assert maker.count == 3


def test_a_full_disk_is_no_error(tmp_path):
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no full device here")
    path, cache = file_of(tmp_path, "a.mp4"), FrameCache(tmp_path / "c", max_bytes=GENEROUS)
    cache.get(path, "k", Maker(1))
    (entry,) = entries(tmp_path / "c")
    entry.unlink()
    temporary = entry.with_name(f".{entry.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    temporary.symlink_to(full)
    with pytest.warns(UserWarning, match="No space left"):
        assert cache.get(path, "k", Maker(2))[0] == 2
    assert entries(tmp_path / "c") == []


_USE = """
import sys, warnings
import numpy as np
from pathlib import Path
from finelens.data.frame_cache import FrameCache

warnings.simplefilter("error")
warnings.filterwarnings("ignore", "cache folder .* is full of this run")
for _ in range(5):
    cache = FrameCache(Path(sys.argv[1]), max_bytes=10_000_000)
    for n, path in enumerate(sys.argv[2:]):
        found = cache.get(path, "k", lambda: np.full((150_000,), n, dtype=np.uint8))
        assert found.shape == (150_000,) and (found == n).all(), (path, found)
"""


def test_several_processes_write_and_evict_the_same_entries(tmp_path):
    paths = [file_of(tmp_path, f"{n}.mp4", bytes([n])) for n in range(100)]
    command = [sys.executable, "-c", _USE, str(tmp_path / "c"), *paths]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(4)]
    try:
        told = [process.communicate(timeout=60)[1].decode() for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0] * 4, "".join(told)
    assert 5_000_000 < used_bytes(tmp_path / "c") <= 10_000_000
    assert not list((tmp_path / "c").rglob("*.tmp"))


def test_a_bound_below_one_byte_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="max_bytes: 0"):
        FrameCache(tmp_path, max_bytes=0)
