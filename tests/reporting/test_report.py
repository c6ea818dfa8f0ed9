import base64
import html
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image
from sklearn import metrics as reference

from finelens.decision import Decision
from finelens.errors import RunError
from finelens.evaluation.scores import Scores, read_scores
from finelens.reporting import album
from finelens.reporting.evidence import read_evidence, sweep_charts
from finelens.reporting.record import read_decision, read_task
from finelens.reporting.report import write_report
from finelens.task import Task, TaskKind

CLASSES = ("<u>ball</u>", "car & cat", "dog")
VOID = {"meta", "br", "img", "link", "input", "hr"}


class Page(HTMLParser):
    """Collects elements, text and ids, and insists that elements nest."""

    def __init__(self, source):
        super().__init__()
        self.elements, self.open, self.text = [], [], []
        self.feed(source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] not in {"script", "style"}:
            self.text.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def read(path: Path) -> Page:
    return Page(path.read_text(encoding="utf-8"))


def gallery_of(path: Path) -> dict:
    found = re.search(r'id="gallery-data">(.*?)</script>', path.read_text(), re.DOTALL)
    return json.loads(found[1])


@pytest.mark.parametrize("kind", TaskKind)
def test_page_is_well_formed_and_needs_nothing_from_elsewhere(make_run, kind):
    page = read(write_report(make_run(kind=kind)))
    for tag, attributes in page.elements:
        assert tag not in {"link", "iframe", "object", "embed"}
        for name in ("src", "href", "xlink:href"):
            assert attributes.get(name, "#").startswith(("#", "data:")), (tag, attributes)
    policy = page.all("meta")[-1]["content"]
    assert "default-src 'none'" in policy
    assert "unsafe-inline'; script" in policy  # styles only: scripts go by their hash
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    anchors = {a["href"].removeprefix("#") for a in page.all("a")}
    assert anchors <= set(ids)


def test_references_within_drawings_are_unambiguous(make_run):
    page = read(write_report(make_run()))
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    used = {use["xlink:href"].removeprefix("#") for use in page.all("use")}
    assert used
    assert used <= set(ids)


def test_names_from_outside_are_text_and_never_markup(make_run):
    page = read(write_report(make_run("run <u>&amp;")))
    assert page.all("u") == []
    text = "".join(page.text)
    assert "<u>ball</u>" in text
    assert "<script>alert(1)</script>" in text
    assert "warm <up>" in text
    assert "run <u>&amp;" in text
    assert len(page.all("script")) == 2


def test_gallery_data_cannot_close_its_script_element(make_run):
    path = write_report(make_run(classes=("</script><script>alert(1)</script>", "b")))
    assert len(read(path).all("script")) == 2
    assert gallery_of(path)["top"]["test"][0]["class"] == "</script><script>alert(1)</script>"


def test_same_run_gives_the_same_bytes(make_run):
    run = make_run()
    first = write_report(run).read_bytes()
    assert write_report(run).read_bytes() == first


def test_headline_figures_are_those_of_the_evaluation(make_run):
    run = make_run()
    metrics = json.loads((run.evaluation("test") / "metrics.json").read_text())
    text = "".join(read(write_report(run)).text)
    assert "Confusion" not in text  # which multi-label does not have
    assert f"{metrics['mean_average_precision']:.1%}" in text
    low, high = metrics["intervals"]["mean_average_precision"]
    assert f"95% interval {low:.1%} to {high:.1%}" in text
    assert "75.0%" in text  # fine-tuned
    assert "Top-ranked pictures" in text
    assert "strips" not in (run.report.read_text().split("</style>")[1].split("<script>")[0])
    assert 'id="groups"' not in run.report.read_text()
    assert "+5.0 points" in text  # over the probe


def test_gallery_holds_every_evaluated_split_the_one_asked_for_first(make_run):
    run = make_run()
    for asked in (["val"], ["val", "test"]):
        path = write_report(run, splits=asked)
        top = gallery_of(path)["top"]
        assert set(top) == set(asked)
        for split in asked:
            assert len(top[split]) == 24 * len(CLASSES)
            assert all(row["id"].startswith(f"{split}-") for row in top[split])
        choices = re.findall(r"<option>(val|test)</option>", path.read_text())
        assert choices == (asked * 2 if len(asked) > 1 else [])


def test_training_pictures_are_shown_only_where_there_are_no_others(make_run):
    run = make_run(splits=("val", "test", "train"))
    assert set(gallery_of(write_report(run))["top"]) == {"test", "val"}
    assert list(gallery_of(write_report(run, splits=["train"]))["top"]) == ["train"]


def test_splits_share_the_room_and_the_first_has_what_others_leave(make_run, monkeypatch):
    run = make_run()
    size = sum(map(len, gallery_of(write_report(run))["pictures"]))
    monkeypatch.setattr(album, "_BUDGETS", {"wrong": 0, "missed": 0, "top": int(0.8 * size)})
    page = write_report(run)
    gallery = gallery_of(page)
    assert sum(map(len, gallery["pictures"])) <= 0.8 * size
    kept = {split: len(rows) for split, rows in gallery["top"].items()}
    assert 0 < kept["test"] < 24 * len(CLASSES)
    assert 0 < kept["val"] < 24 * len(CLASSES)
    assert "To keep this file small, the first" in page.read_text()


def test_confusion_shows_the_probabilities_of_each_true_class_and_their_counts(make_run):
    run = make_run(kind=TaskKind.MULTI_CLASS)
    path = write_report(run)
    scores = read_scores(run.evaluation("test") / "scores.parquet",
                         Task(TaskKind.MULTI_CLASS, CLASSES))  # fmt: skip
    truth, found = scores.targets_NK.argmax(axis=1), scores.logits_NK.argmax(axis=1)
    cells = [td for td in read(path).all("td") if "recognised as" in (td.get("title") or "")]
    shares = reference.confusion_matrix(truth, found, normalize="true").ravel()
    assert [cell["style"] for cell in cells] == [f"--v: {share:.3f}" for share in shares]
    counts = reference.confusion_matrix(truth, found).ravel()
    assert [int(re.search(r": (\d+) \(", cell["title"])[1]) for cell in cells] == list(counts)
    for name, told in (
        ("share", [f"{share:.2f}" for share in shares if share]),
        ("count", [str(count) for count in counts if count]),
    ):
        assert re.findall(rf'<span class="{name}">([\d.]+)</span>', path.read_text()) == told


def test_pictures_that_are_gone_show_as_blanks(make_run):
    run = make_run()
    before = gallery_of(write_report(run))
    for path in Path(f"{run.root}-pictures").glob("test-*.jpg"):
        path.unlink()
    after = gallery_of(write_report(run))
    assert all(uri.startswith("data:image/jpeg;base64,") for uri in before["pictures"])
    assert len(before["pictures"]) == 2 * 24  # each once, though every class ranks all
    assert len(after["pictures"]) == 24  # those of val are there still
    assert [row | {"picture": 0} for row in after["top"]["test"]] == [
        row | {"picture": 0} for row in before["top"]["test"]
    ]
    assert {row["picture"] for row in after["top"]["test"]} == {-1}


def test_gallery_knows_what_the_model_recognises_and_what_it_misses(make_run):
    run = make_run()
    thresholds = json.loads((run.model / "decision.json").read_text())["thresholds"]
    threshold = dict(zip(CLASSES, thresholds, strict=True))
    gallery = gallery_of(write_report(run))
    clear = [row for row in gallery["top"]["test"]
             if abs(row["probability"] - threshold[row["class"]]) > 1e-4]  # fmt: skip
    assert {row["decided"] for row in clear} == {True, False}
    assert all(row["decided"] == (row["probability"] > threshold[row["class"]]) for row in clear)
    for split in ("test", "val"):
        assert gallery["wrong"][split]
        assert gallery["missed"][split]
        assert not any(row["label"] for row in gallery["wrong"][split])
        assert all(row["label"] for row in gallery["missed"][split])


@pytest.fixture
def make_clip_run(make_run, tmp_path):
    """Return a function that makes a run of clips, which are the rows of an array."""

    def make(name="run", *, kind=TaskKind.MULTI_CLASS, num_examples=24, groups=None):
        generator = np.random.default_rng(1)
        clips = generator.integers(0, 255, (num_examples, 6, 30, 40, 3), dtype=np.uint8)
        np.save(tmp_path / f"{name}.npy", clips)
        truth_NK = np.eye(3, dtype=np.float32)[generator.integers(0, 3, num_examples)]
        logits_NK = 2 * truth_NK + generator.normal(size=truth_NK.shape).astype(np.float32)
        scores = Scores(
            ids=tuple(f"{name}.npy#{n}" for n in range(num_examples)),
            paths=tuple(f"{tmp_path}/{name}.npy#{n}" for n in range(num_examples)),
            logits_NK=logits_NK,
            targets_NK=truth_NK,
            errors=(None,) * num_examples,
            task=Task(kind, CLASSES),
        )
        both = {"val": scores, "test": scores}
        return make_run(name, kind=kind, scores=both, frames=4, groups=groups)

    return make


@pytest.mark.parametrize("kind", TaskKind)
def test_a_run_of_clips_speaks_of_clips_and_shows_strips(make_clip_run, kind):
    path = write_report(make_clip_run(kind=kind))
    page = read(path)
    assert "picture" not in "".join(page.text)
    for _, attributes in page.elements:
        for name in ("title", "aria-label"):
            assert "picture" not in (attributes.get(name) or "")
    assert "Top-ranked clips" in "".join(page.text)
    lists = [ul for ul in page.all("ul") if "strips" in ul.get("class", "")]
    assert len(lists) == (3 if kind is TaskKind.MULTI_LABEL else 2)
    assert {ul["style"] for ul in lists} == {"--frames: 4"}
    uri = gallery_of(path)["pictures"][0]
    with Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))) as strip:
        assert strip.size == (4 * 96, 72)


@pytest.mark.parametrize(("resize", "is_cut"), [("shorter", True), ("squash", False)])
def test_strips_are_said_to_show_more_than_the_model_sees(make_clip_run, resize, is_cut):
    run = make_clip_run()
    seen = run.model / "preprocessing.json"
    seen.write_text(json.dumps(json.loads(seen.read_text()) | {"resize": resize}))
    text = "".join(read(write_report(run)).text)
    assert "4 frames in the order of time, spread over those that the model sees" in text
    assert ("the model sees only the middle square" in text) == is_cut


def test_groups_are_listed_worst_first_with_both_intervals(make_clip_run):
    groups = tuple(f"tape {n % 5} <b>" for n in range(24))
    run = make_clip_run(groups=groups)
    path = write_report(run)
    metrics = json.loads((run.evaluation("test") / "metrics.json").read_text())
    table = pl.read_parquet(run.evaluation("test") / "groups.parquet")
    section = path.read_text().split('<section id="groups">')[1].split("</section>")[0]
    shown = re.findall(r'<th scope="row" class="long" data-value="(tape [^"]+)"', section)
    assert [html.unescape(name) for name in shown] == 2 * table["group"].to_list()
    assert table["accuracy"].is_sorted()
    for low, high in (metrics["intervals"]["accuracy"], metrics["groups"]["intervals"]["accuracy"]):
        assert f"{low:.1%} to {high:.1%}" in section
    assert f"{metrics['groups']['mean']:.1%} on average" in section
    assert "With only 5 groups" in section
    ends = [one["intervals"]["accuracy"] for one in (metrics, metrics["groups"])]
    low, high = max(ends, key=lambda pair: pair[1] - pair[0])
    by = "groups" if [low, high] == ends[1] else "clips"
    text = re.sub(r"\s+", " ", "".join(read(path).text))
    assert f"95% interval by {by} {low:.1%} to {high:.1%}" in text
    assert "bootstrap 95% intervals, drawn by clips." in text


def test_thresholds_draw_the_best_point_by_name(make_run):
    run = make_run()
    metrics = json.loads((run.evaluation("val") / "metrics.json").read_text())
    best = max(metrics["sweep"], key=lambda row: row["macro_precision"])
    told = f"best precision {best['macro_precision']:.1%} at threshold {best['threshold']:.2f}"
    assert told in "".join(read(write_report(run)).text)


def test_convergence_is_told_and_marked(make_run):
    # 0.65, 0.70 and 0.75 over three epochs of two pictures in batches of 32
    text = "".join(read(write_report(make_run())).text)
    assert "Converged" in text
    assert "epoch 3, 0 iterations" in text
    assert "The diamond marks epoch 3, the first within 1% of the best." in text


def test_best_checkpoints_stand_side_by_side(make_run):
    best = {"mean_average_precision": {"value": 0.75, "epoch": 3},
            "loss": {"value": 0.6, "epoch": 2}}  # fmt: skip
    run = make_run(summary={"best": best})
    run.checkpoints.mkdir(exist_ok=True)
    (run.checkpoints / "best-loss.safetensors").touch()
    (run.checkpoints / "best-epoch-0003.safetensors").touch()
    text = re.sub(r"\s+", " ", " ".join(read(write_report(run)).text))
    assert "Mean AP 3 75.0% 0.4000 checkpoints/best-epoch-0003.safetensors" in text
    assert "Loss 2 70.0% 0.6000 checkpoints/best-loss.safetensors" in text


def test_one_followed_metric_needs_no_table_of_checkpoints(make_run):
    assert "Best checkpoints" not in "".join(read(write_report(make_run())).text)


def test_the_kept_epoch_is_that_of_the_first_followed_metric(make_run):
    best = {"example_f1": {"value": 0.5, "epoch": 2},
            "mean_average_precision": {"value": 0.75, "epoch": 3}}  # fmt: skip
    text = "".join(read(write_report(make_run(summary={"best": best}))).text)
    assert "The ring marks epoch 2, whose weights were kept." in text
    assert "(+0.0 points)" in text  # 0.70 of epoch 2 against the probe's 0.70


def test_run_without_summary_or_manifest_is_reported(make_run):
    run = make_run()
    run.summary.unlink()
    run.manifest.unlink()
    assert "Mean AP" in "".join(read(write_report(run)).text)


def test_run_that_only_has_a_probe_is_reported_without_curves(make_run):
    run = make_run()
    lines = run.metrics_log.read_text().splitlines(keepends=True)
    run.metrics_log.write_text(lines[0])
    page = read(write_report(run))
    assert not [a for a in page.all("a") if a["href"] == "#training"]


def test_split_that_was_not_evaluated_is_named_with_the_nearest(make_run):
    run = make_run()
    with pytest.raises(RunError, match='"tets" has not been evaluated; did you mean "test"'):
        write_report(run, splits=["tets"])


def test_run_without_evaluations_says_what_to_type(make_run):
    run = make_run()
    for split in run.evaluated_splits:
        (run.evaluation(split) / "metrics.json").unlink()
    with pytest.raises(RunError, match="finelens evaluate"):
        write_report(run)


def test_broken_report_leaves_the_old_one(make_run):
    run = make_run()
    old = write_report(run).read_bytes()
    (run.evaluation("test") / "scores.parquet").write_bytes(b"no table")
    with pytest.raises(RunError, match=r"scores\.parquet"):
        write_report(run)
    assert run.report.read_bytes() == old


def test_a_temperature_is_said_to_be_chosen_where_it_was(make_run):
    calibrated = read(write_report(make_run("a")))
    assert "Its temperature was chosen on" in "".join(calibrated.text)
    plain = read(write_report(make_run("b", recipe={"decide": {"calibrate": False}})))
    assert "temperature was chosen" not in "".join(plain.text)
    assert "This recipe does not calibrate" in "".join(plain.text)


@pytest.mark.parametrize(("num_classes", "is_shown"), [(6, False), (10, True)])
def test_top5_accuracy_is_a_headline_from_ten_classes_on(make_run, num_classes, is_shown):
    classes = tuple(f"class {k}" for k in range(num_classes))
    write_report(run := make_run(kind=TaskKind.MULTI_CLASS, classes=classes, num_examples=60))
    tiles = re.findall(r'<div class="name">(.*?)</div>', run.report.read_text())
    assert tiles[0] == "Accuracy"
    assert ("Top-5 accuracy" in tiles) == is_shown
    assert "Top-5 accuracy" in "".join(read(run.report).text)


def test_what_is_faded_is_told_by_how_the_task_decides(make_run):
    said = {
        kind: "".join(read(write_report(make_run(f"of-{kind}", kind=kind))).text)
        for kind in TaskKind
    }
    assert "Faded: not recognised, the probability is too low;" in said[TaskKind.MULTI_LABEL]
    assert "Faded: not recognised, another class ranks higher;" in said[TaskKind.MULTI_CLASS]


@pytest.mark.parametrize(
    ("thresholds", "is_drawn"), [((0.3, 0.35, 0.4), False), ((0.35,) * 3, True)]
)
def test_the_chosen_threshold_is_drawn_where_it_is_that_of_all_classes(
    make_run, thresholds, is_drawn
):
    run = make_run()
    evidence = read_evidence(run, "test", read_task(run), read_decision(run))
    decision = Decision(1.0, thresholds, 0.35, "f1", "per_class", "val (9 pictures)")
    charts = sweep_charts(replace(evidence, decision=decision))
    legends = [[entry.label for entry in chart.legend] for chart in charts]
    assert [("chosen 0.35" in labels) for labels in legends] == [is_drawn, is_drawn]


def test_many_splits_have_the_page_s_whole_width(make_run):
    for splits, words in ((("val", "test"), "columns"), (("val", "test", "train"), "stack")):
        write_report(run := make_run(f"of-{len(splits)}", splits=splits))
        before = run.report.read_text().partition("All figures</h3>")[0]
        assert before.count('<div class="stack">') == (words == "stack")
