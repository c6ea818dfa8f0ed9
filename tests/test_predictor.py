import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from PIL import Image

from finelens.data.images import read_image
from finelens.data.manifest import build_manifest
from finelens.data.preprocessing import Preprocessing
from finelens.decision import Decision
from finelens.errors import DataError, ModelError
from finelens.models.backbones import create_backbone
from finelens.models.classifier import Classifier
from finelens.models.folder import SavedModel, save_model
from finelens.models.heads import create_head
from finelens.predictor import Predictor
from finelens.task import Task, TaskKind

CLASSES = ("ball", "cube", "Kegel ß")
DECISIONS = {
    TaskKind.MULTI_LABEL: Decision(1.5, (0.45, 0.5, 0.55), 0.5, "f1", "per_class", "val (9)"),
    TaskKind.MULTI_CLASS: Decision(temperature=0.7),
}


def _picture(n: int) -> np.ndarray:
    """Return a noisy red, green or blue picture, uint8 (H, W, 3)."""
    noise_HWC = np.random.default_rng(n).integers(0, 60, (50 + n, 60, 3))
    noise_HWC[:, :, n % 3] += 190
    return noise_HWC.astype(np.uint8)


def _save(folder: Path, kind: TaskKind) -> SavedModel:
    torch.manual_seed(0)
    backbone = create_backbone("test_resnet")
    classifier = Classifier(backbone, create_head("linear", backbone.num_features, 3)).eval()
    preprocessing = Preprocessing(size=48, mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4))
    # a random network says nearly the same of all pictures: make its answers differ
    pure_BCHW = torch.stack([preprocessing(_picture(n)) for n in range(3)])
    with torch.no_grad():
        logits_BK = classifier(preprocessing.normalise(pure_BCHW))
        scale = 2 / logits_BK.std(dim=0)
        weight_KF, bias_K = classifier.head.parameters()
        bias_K.copy_((bias_K - logits_BK.mean(dim=0)) * scale)
        weight_KF.mul_(scale[:, None])
    saved = SavedModel(classifier, Task(kind, CLASSES), preprocessing, DECISIONS[kind])
    save_model(folder, saved)
    return saved


@pytest.fixture(scope="module", params=list(TaskKind))
def saved(request, tmp_path_factory):
    """Return a saved model of each kind of task, and its folder."""
    folder = tmp_path_factory.mktemp("run") / "model"
    return _save(folder, request.param), folder


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    """Return a folder of seven pictures, in it and below, beside what is no picture."""
    root = tmp_path_factory.mktemp("pictures")
    (root / "below").mkdir()
    for n in range(7):
        name = ("c.jpg", "a.png", "below/b.webp", "e.bmp", "d.JPG", "f.gif", "g.tiff")[n]
        Image.fromarray(_picture(n)).save(root / name)
    (root / "notes.txt").write_text("no picture")
    (root / ".hidden.jpg").write_text("no picture")
    return root


def _probabilities(table: pl.DataFrame) -> np.ndarray:
    return table.select([f"probability.{name}" for name in CLASSES]).to_numpy()


def test_predictions_are_those_of_a_direct_forward_pass(saved, pictures):
    model, folder = saved
    paths = [pictures / "c.jpg", pictures / "a.png", pictures / "f.gif"]
    images_BCHW = torch.stack([model.preprocessing(read_image(path)) for path in paths])
    with torch.inference_mode():
        logits_BK = model.classifier(model.preprocessing.normalise(images_BCHW)).numpy()
    expected_BK = model.decision.probabilities(model.task, logits_BK)
    table = Predictor.load(folder, device="cpu", precision="fp32").predict(paths)
    np.testing.assert_allclose(_probabilities(table), expected_BK, atol=1e-5)
    decided = [model.task.names(row) for row in model.decision.decide(expected_BK)]
    assert table["labels"].to_list() == decided
    assert len({tuple(names) for names in decided}) > 1
    if not model.task.is_multi_label:
        np.testing.assert_allclose(_probabilities(table).sum(axis=1), 1)


def test_every_input_has_its_row_in_order_errors_included(saved, pictures, tmp_path):
    (tmp_path / "text.jpg").write_text("this is no picture")
    (tmp_path / "empty.png").write_bytes(b"")
    whole = (pictures / "c.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    bad = ["text.jpg", "none.jpg", "empty.png", "cut.jpg"]
    good = pictures / "a.png"
    paths = [good, *(tmp_path / name for name in bad), good]
    table = Predictor.load(saved[1], device="cpu").predict(paths)
    assert table["path"].to_list() == [str(path) for path in paths]
    assert table["error"].is_null().to_list() == [True, False, False, False, False, True]
    assert table["labels"].is_null().to_list() == [False, True, True, True, True, False]
    for name, row in zip(bad, table.slice(1, 4).iter_rows(named=True), strict=True):
        assert name in row["error"]
        assert "\n" not in row["error"]
        assert [row[f"probability.{name}"] for name in CLASSES] == [None] * 3
    probabilities_NK = _probabilities(table)
    assert np.array_equal(probabilities_NK[0], probabilities_NK[5])


def test_only_bad_files_still_make_a_table_of_the_same_columns(saved, tmp_path):
    table = Predictor.load(saved[1], device="cpu").predict(tmp_path / "none.jpg")
    assert table.height == 1
    assert dict(table.schema) == {
        "path": pl.String, "labels": pl.List(pl.String), "error": pl.String,
        **{f"probability.{name}": pl.Float64 for name in CLASSES},
    }  # fmt: skip


def test_a_folder_stands_for_the_pictures_in_it_and_below_sorted(saved, pictures):
    names = ["a.png", "below/b.webp", "c.jpg", "d.JPG", "e.bmp", "f.gif", "g.tiff"]
    table = Predictor.load(saved[1], device="cpu").predict(pictures)
    assert table["path"].to_list() == [str(pictures / name) for name in names]
    assert table["error"].null_count() == 7
    assert table["labels"].null_count() == 0


def test_nothing_to_predict_is_told(saved, tmp_path):
    predictor = Predictor.load(saved[1], device="cpu")
    with pytest.raises(DataError, match="there is nothing to predict"):
        predictor.predict([])
    with pytest.raises(DataError, match=f"folder {tmp_path} holds no pictures"):
        predictor.predict(tmp_path)


@pytest.mark.parametrize(("batch_size", "num_workers"), [(1, 0), (3, 0), (2, 2)])
def test_neither_batches_nor_workers_change_a_prediction(saved, pictures, batch_size, num_workers):
    predictor = Predictor.load(saved[1], device="cpu")
    expected = predictor.predict(pictures, num_workers=0)
    table = predictor.predict(pictures, batch_size=batch_size, num_workers=num_workers)
    assert table["path"].to_list() == expected["path"].to_list()
    assert table.equals(expected)


def test_a_picture_alone_has_the_very_numbers_it_has_among_others(saved, pictures):
    predictor = Predictor.load(saved[1], device="cpu")
    together = predictor.predict(pictures)
    alone = [predictor.predict(path) for path in together["path"]]
    assert pl.concat(alone).equals(together)


def test_a_copy_of_the_model_folder_is_all_that_is_needed(saved, pictures, tmp_path):
    copy = tmp_path / "elsewhere" / "my model"
    shutil.copytree(saved[1], copy)
    expected = Predictor.load(saved[1], device="cpu").predict(pictures)
    assert Predictor.load(str(copy), device="cpu").predict(pictures).equals(expected)


def test_scores_of_a_manifest_say_what_predict_says(saved, pictures, tmp_path):
    model, folder = saved
    (tmp_path / "text.jpg").write_text("no picture")
    paths = [str(pictures / "c.jpg"), str(tmp_path / "text.jpg"), str(pictures / "e.bmp")]
    labels = [["ball"], ["cube"], ["Kegel ß"]]
    table = pl.DataFrame({"id": ["c", "text", "e"], "path": paths, "labels": labels})
    manifest = build_manifest(table, task=model.task.kind, classes=CLASSES)
    predictor = Predictor.load(folder, device="cpu")
    scores = predictor.score(manifest)
    assert scores.ids == ("c", "text", "e")
    assert [error is None for error in scores.errors] == [True, False, True]
    np.testing.assert_array_equal(scores.targets_NK, np.eye(3, dtype=np.float32))
    predicted = predictor.predict(paths)
    np.testing.assert_array_equal(
        model.decision.probabilities(model.task, scores.logits_NK),
        _probabilities(predicted).astype(np.float64),
    )


def test_progress_is_told_of_every_picture(saved, pictures):
    from contextlib import contextmanager

    told: list[tuple[str, int]] = []

    class Watching:
        @contextmanager
        def stage(self, title, total):
            told.append((title, total))
            yield lambda num_items, _note: told.append(("advance", num_items))

        def say(self, line):
            told.append((line, 0))

    Predictor.load(saved[1], device="cpu").predict(pictures, batch_size=4, progress=Watching())
    assert told == [("predicting", 7), ("advance", 4), ("advance", 3)]


def test_a_folder_that_is_no_model_is_told(saved, tmp_path):
    with pytest.raises(ModelError, match="is no model folder"):
        Predictor.load(tmp_path)
    copy = tmp_path / "model"
    shutil.copytree(saved[1], copy)
    content = json.loads((copy / "decision.json").read_text())
    (copy / "decision.json").write_text(json.dumps(content | {"temperature": 0}))
    with pytest.raises(ModelError, match=r"decision\.json is damaged or foreign: temperature 0"):
        Predictor.load(copy)


def test_an_explanation_says_of_a_class_what_predict_says_to_the_last_bit(saved, pictures):
    model, folder = saved
    predictor = Predictor.load(folder, device="cpu")
    expected = predictor.predict(pictures)
    for row in expected.iter_rows(named=True):
        for k, name in enumerate(CLASSES):
            found = predictor.explain(row["path"], name)
            assert found.probability == row[f"probability.{name}"]
            assert found.is_decided is (name in row["labels"])
            thresholds = model.decision.thresholds
            assert found.threshold == (None if thresholds is None else thresholds[k])
    assert predictor.predict(pictures).equals(expected)


def test_an_explanation_fits_the_view_that_the_network_saw(saved, pictures):
    found = Predictor.load(saved[1], device="cpu").explain(pictures / "e.bmp")
    heat = found.heat
    assert heat.heat_TSS.shape == (1, 48, 48)
    assert heat.heat_TSS.dtype == np.float32
    assert 0 <= heat.heat_TSS.min() <= heat.heat_TSS.max() <= 1
    image_HWC = read_image(pictures / "e.bmp")
    assert np.array_equal(heat.pictures_THWC[0], image_HWC)
    view_CSS = saved[0].preprocessing(image_HWC)
    assert np.array_equal(heat.views_TSSC[0], view_CSS.permute(1, 2, 0))


def test_what_cannot_be_read_or_is_unknown_is_not_explained(saved, pictures, tmp_path):
    predictor = Predictor.load(saved[1], device="cpu")
    with pytest.raises(DataError, match=r"none\.jpg: cannot be opened"):
        predictor.explain(tmp_path / "none.jpg")
    with pytest.raises(DataError, match='class "bal" is unknown; did you mean "ball"'):
        predictor.explain(pictures / "c.jpg", "bal")
