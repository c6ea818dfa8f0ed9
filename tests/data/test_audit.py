import io
import math

import numpy as np
import polars as pl
import pytest
from PIL import Image

from finelens.data.audit import audit
from finelens.data.manifest import build_manifest


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


def test_audit_finds_duplicates_leaks_and_contradictions(messy, tmp_path):
    found = audit(messy, {str(tmp_path / "h.jpg"): "not a picture"})
    assert found.unreadable == {"h.jpg": "not a picture"}
    assert found.duplicates == (("a.jpg", "b.jpg"), ("d.jpg", "e.jpg"))
    assert found.near_duplicates == (("a.jpg", "c.jpg"),)
    assert found.leaks == (("d.jpg", "e.jpg"), ("a.jpg", "c.jpg"))
    assert found.contradictions == (("a.jpg", "b.jpg"),)
    assert found.group_leaks == {"g1": ("train", "test")}
    assert not found.is_clean


def test_audit_counts_classes_in_splits(messy):
    found = audit(messy, {})
    assert found.counts.rows() == [("cat", 2, 1, 1, 0), ("dog", 2, 0, 0, 1)]
    assert found.splits == {"train": 4, "val": 1, "test": 1}
    assert (found.num_examples, found.num_unlabelled, found.num_ignored) == (8, 1, 0)
    assert found.imbalance == 1.0


def test_clean_data_is_clean_and_missing_classes_are_infinitely_rare(tmp_path):
    rows = [(f"{n}.jpg", encoded(picture(n)), ["ab"[n % 2]], None, None) for n in range(6)]
    found = audit(manifest_of(tmp_path, rows), {})
    assert found.is_clean
    assert found.near_duplicates == ()
    assert found.imbalance == 1.0
    rows = [
        (name, *rest, "train" if n % 2 else "val", None)
        for n, (name, *rest, _, _) in enumerate(rows)
    ]
    assert audit(manifest_of(tmp_path, rows), {}).imbalance == math.inf


def test_clips_without_groups_are_noted_and_no_reason_against_training(tmp_path):
    rows = [(f"{n}.avi", bytes([n]), ["ab"[n % 2]], None, None) for n in range(4)]
    problems = {str(tmp_path / name): "empty" for name, *_ in rows}
    found = audit(manifest_of(tmp_path, rows), problems)
    assert found.group_note is not None
    assert found.group_note.startswith("4 of 4 clips have no group")
    rows = [(*row[:4], f"g{n}") for n, row in enumerate(rows)]
    assert audit(manifest_of(tmp_path, rows), problems).group_note is None
