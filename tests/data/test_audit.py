import io
import math

import numpy as np
import polars as pl
import pytest
from PIL import Image

from finelens.data.audit import audit
from finelens.data.manifest import build_manifest
from finelens.data.verify import Verification, verify


def picture(seed):
    coarse = np.random.default_rng(seed).integers(0, 256, (7, 9, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((120, 96), Image.Resampling.BICUBIC)


def encoded(image, **options):
    content = io.BytesIO()
    image.save(content, "JPEG", **options)
    return content.getvalue()


def manifest_of(root, rows):
    """Write (name, content, labels, split, group) rows and return their manifest."""
    for name, content, *_ in rows:
        (root / name).write_bytes(content)
    names, _, labels, splits, groups = zip(*rows, strict=True)
    return build_manifest(
        pl.DataFrame(
            {
                "id": names,
                "path": [str(root / name) for name in names],
                "labels": pl.Series(labels, dtype=pl.List(pl.String)),
                "split": pl.Series(splits, dtype=pl.String),
                "group": pl.Series(groups, dtype=pl.String),
            }
        )
    )


@pytest.fixture
def messy(tmp_path):
    first, second = picture(0), picture(1)
    return manifest_of(
        tmp_path,
        [
            ("a.jpg", encoded(first), ["cat"], "train", "g1"),
            ("b.jpg", encoded(first), ["dog"], "train", "g2"),
            ("c.jpg", encoded(first.resize((60, 48)), quality=70), ["cat"], "test", "g1"),
            ("d.jpg", encoded(second), ["cat"], "train", None),
            ("e.jpg", encoded(second), ["cat"], "val", None),
            ("f.jpg", encoded(picture(2)), ["dog"], None, "g2"),
            ("g.jpg", encoded(picture(3)), None, None, None),
            ("h.jpg", b"no picture", ["dog"], "train", None),
        ],
    )


def test_audit_finds_duplicates_leaks_and_contradictions(messy):
    found = audit(messy, Verification({"h.jpg": "not a picture"}))
    assert found.unreadable == {"h.jpg": "not a picture"}
    assert found.duplicates == (("a.jpg", "b.jpg"), ("d.jpg", "e.jpg"))
    assert found.near_duplicates == (("a.jpg", "c.jpg"),)
    assert found.leaks == (("d.jpg", "e.jpg"), ("a.jpg", "c.jpg"))
    assert found.contradictions == (("a.jpg", "b.jpg"),)
    assert found.group_leaks == {"g1": ("train", "test")}
    assert not found.is_clean


def test_audit_counts_classes_in_splits(messy):
    found = audit(messy, Verification({}))
    assert found.counts.rows() == [("cat", 2, 1, 1, 0), ("dog", 2, 0, 0, 1)]
    assert found.splits == {"train": 4, "val": 1, "test": 1}
    assert (found.num_examples, found.num_unlabelled, found.num_ignored) == (8, 1, 0)
    assert found.imbalance == 1.0


def test_clean_data_is_clean_and_missing_classes_are_infinitely_rare(tmp_path):
    rows = [(f"{n}.jpg", encoded(picture(n)), ["ab"[n % 2]], None, None) for n in range(6)]
    found = audit(manifest_of(tmp_path, rows), Verification({}))
    assert found.is_clean
    assert found.near_duplicates == ()
    assert found.imbalance == 1.0
    rows = [
        (name, *rest, "train" if n % 2 else "val", None)
        for n, (name, *rest, _, _) in enumerate(rows)
    ]
    assert audit(manifest_of(tmp_path, rows), Verification({})).imbalance == math.inf


@pytest.mark.parametrize(("num_rare", "is_imbalanced"), [(0, False), (1, True), (2, False)])
def test_five_times_as_many_pictures_of_a_class_are_told_and_no_reason_against_training(
    tmp_path, num_rare, is_imbalanced
):
    labels = ["a"] * 5 + ["b"] * num_rare
    rows = [(f"{n}.jpg", encoded(picture(n)), [label], None, None)
            for n, label in enumerate(labels)]  # fmt: skip
    rows.append(("val.jpg", encoded(picture(9)), ["b"], "val", None))
    rows = [(*row[:3], row[3] or "train", None) for row in rows]
    found = audit(manifest_of(tmp_path, rows), Verification({}))
    assert found.is_imbalanced == is_imbalanced
    assert found.is_clean == (num_rare > 0)


def test_clips_without_groups_are_noted_and_no_reason_against_training(tmp_path):
    rows = [(f"{n}.avi", bytes([n]), ["ab"[n % 2]], None, None) for n in range(4)]
    problems = Verification({name: "empty" for name, *_ in rows})
    found = audit(manifest_of(tmp_path, rows), problems)
    assert found.group_note is not None
    assert found.group_note.startswith("4 of 4 clips have no group")
    rows = [(*row[:4], f"g{n}") for n, row in enumerate(rows)]
    assert audit(manifest_of(tmp_path, rows), problems).group_note is None


def clip_of(seed, *, step=2):
    """Return a clip of twelve frames, uint8 (T, H, W, 3): a part of a picture that drifts."""
    wide = np.asarray(picture(seed).resize((160, 96)))
    return np.stack([wide[:, n * step : n * step + 120] for n in range(12)])


def test_the_same_clip_is_found_whatever_file_holds_it(tmp_path, write_video):
    rows = [("a.npy#0", "cat", "train", "g1"), ("a.npy#1", "cat", "train", "g2"),
            ("a.npy#2", "dog", "train", "g3"), ("frames/", "dog", "test", "g4"),
            ("b.avi", "cat", "val", "g5"), ("c.avi", "cat", "train", "g1")]  # fmt: skip
    np.save(tmp_path / "a.npy", np.stack([clip_of(0), clip_of(1), clip_of(0)[::-1]]))
    (tmp_path / "frames").mkdir()
    for n, frame in enumerate(clip_of(1)):
        Image.fromarray(frame).save(tmp_path / "frames" / f"{n}.png")
    for name in ("b.avi", "c.avi"):
        write_video(tmp_path / name, clip_of(0))
    names, labels, splits, groups = zip(*rows, strict=True)
    manifest = build_manifest(
        pl.DataFrame(
            {"id": names, "path": [f"{tmp_path}/{name}" for name in names],
             "labels": [[label] for label in labels], "split": splits, "group": groups}
        )
    )  # fmt: skip
    found = audit(manifest, verify(manifest))
    assert found.media == "clips"
    assert found.duplicates == (("a.npy#1", "frames/"), ("b.avi", "c.avi"))
    # lossy, and so not the same; the other pair shares a group, the reversed clip does not look so
    assert found.near_duplicates == (("a.npy#0", "b.avi"),)
    assert found.contradictions == (("a.npy#1", "frames/"),)
    assert len(found.leaks) == 3
    assert found.clips["num_frames"].to_list() == [12] * 6
    assert not found.is_clean


def test_notes_of_clips_are_no_reason_against_training(tmp_path, write_video):
    for n in range(4):
        write_video(tmp_path / f"{n}.avi", clip_of(n))
    whole = (tmp_path / "3.avi").read_bytes()
    rows = [(f"{n}.avi", (tmp_path / f"{n}.avi").read_bytes(), ["ab"[n % 2]], None, f"g{n}")
            for n in range(3)]  # fmt: skip
    rows.append(("3.avi", whole[: len(whole) // 2], ["b"], None, "g3"))
    manifest = manifest_of(tmp_path, rows)
    found = audit(manifest, verify(manifest))
    assert found.is_clean
    assert found.clips["note"].is_null().to_list() == [True, True, True, False]


def test_animated_pictures_are_counted(tmp_path):
    frames = [picture(n).quantize(8) for n in range(3)]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    frames[0].save(tmp_path / "still.gif")
    contents = [(tmp_path / name).read_bytes() for name in ("moving.gif", "still.gif")]
    rows = [("moving.gif", contents[0], ["a"], None, None),
            ("still.gif", contents[1], ["b"], None, None),
            ("c.jpg", encoded(picture(4)), ["b"], None, None)]  # fmt: skip
    assert audit(manifest_of(tmp_path, rows), Verification({})).num_animated == 1
