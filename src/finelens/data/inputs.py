"""The inputs: the pictures or clips that the paths given to a model stand for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from finelens.data.clip_places import is_clip
from finelens.data.sources.array_files import ARRAY_EXTENSIONS
from finelens.data.sources.arrays import holds_clips, list_places
from finelens.data.sources.files import check_unicode, is_picture, list_files, list_pictures
from finelens.errors import DataError


def find_pictures(paths: Iterable[str | Path]) -> list[str]:
    """Return the files that paths stand for; a folder's pictures, recursively and sorted.

    A path that leads nowhere is kept: it becomes an error row, not a missing one.

    Raises:
        DataError: If nothing is left, a folder holds no picture, or a name is no Unicode.
    """
    files: list[str] = []
    for path in map(Path, paths):
        if not path.is_dir():
            files.append(str(path))
            continue
        found = list_pictures(path)
        if not found:
            raise DataError(f"folder {path} holds no pictures")
        files.extend(str(path / name) for name in found)
    if not files:
        raise DataError("there is nothing to predict: give a picture or a folder of pictures")
    check_unicode(files)
    return files


def find_clips(paths: Iterable[str | Path], *, say: Callable[[str], None]) -> list[str]:
    """Return the clips that paths stand for, as places.

    A folder stands for the videos in it and below, sorted; where there are none, for the clips
    of the array files in it and below; where there are none of these either, each folder in it
    that holds pictures is a clip of these frames, or else it is itself one clip of the pictures
    in it. An array file stands for all its clips, ``FILE.npy#17`` for one. Any other file is
    kept: where it is no video, it becomes an error row.

    Args:
        paths: Files and folders.
        say: Told what a folder's clips were taken to be where that is not plain: which pictures
            beside them are left out, and that pictures are one clip.

    Raises:
        DataError: If nothing is left, a folder holds no clip, an array file no clips, or a name
            is no Unicode.
    """
    places: list[str] = []
    for path in map(Path, paths):
        if path.is_dir():
            places += _clips_in(path, say)
        elif path.is_file() and path.suffix.lower() in ARRAY_EXTENSIONS:
            places += list_places(path)
        else:
            places.append(str(path))
    if not places:
        raise DataError("there is nothing to predict: give a clip or a folder of clips")
    check_unicode(places)
    return places


def _clips_in(folder: Path, say: Callable[[str], None]) -> list[str]:
    names = list_files(folder, lambda name: is_clip(name) or is_picture(name) or _is_array(name))
    pictures = [name for name in names if is_picture(name) and not is_clip(name)]
    videos = [name for name in names if is_clip(name)]
    if videos:
        _say_left_out(folder, pictures, "videos", say)
        return [str(folder / name) for name in videos]
    arrays = [folder / name for name in names if _is_array(name)]
    places = [place for file in arrays if holds_clips(file) for place in list_places(file)]
    if places:
        _say_left_out(folder, pictures, "arrays of clips", say)
        return places
    return _frame_folders_in(folder, pictures, say)


def _frame_folders_in(folder: Path, pictures: list[str], say: Callable[[str], None]) -> list[str]:
    below = sorted({Path(name).parent for name in pictures} - {Path()})
    direct = [name for name in pictures if "/" not in name]
    if below:
        _say_left_out(folder, direct, "folders of frames", say)
        return [f"{folder / one}/" for one in below]
    if not direct:
        raise DataError(f"folder {folder} holds neither videos, nor arrays of clips, nor frames")
    say(f"folder {folder}: taken as one clip, its {_pictures(len(direct))} as the frames of it")
    return [f"{folder}/"]


def _say_left_out(
    folder: Path, pictures: list[str], clips: str, say: Callable[[str], None]
) -> None:
    if pictures:
        say(
            f"folder {folder}: {_pictures(len(pictures))} beside the {clips} left out, such as "
            f"{pictures[0]}; the model is of clips"
        )


def _pictures(count: int) -> str:
    return f"{count} picture{'' if count == 1 else 's'}"


def _is_array(name: str) -> bool:
    return not name.startswith(".") and name.lower().endswith(ARRAY_EXTENSIONS)
