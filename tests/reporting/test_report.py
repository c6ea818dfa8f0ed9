import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from finelens.errors import RunError
from finelens.reporting.report import write_report
from finelens.task import TaskKind

CLASSES = ("<u>ball</u>", "car & cat", "dog")
VOID = {"meta", "br", "img", "link", "input", "hr"}


class Page(HTMLParser):
    """Collects elements, text and ids, and insists that elements nest."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.open, self.text = [], [], []
        self.feed(html)
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
    assert gallery_of(path)["top"][0]["class"] == "</script><script>alert(1)</script>"


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
    assert "+5.0 points" in text  # over the probe


def test_first_split_asked_for_is_the_one_shown(make_run):
    run = make_run()
    ids = {row["id"] for row in gallery_of(write_report(run, splits=["val"]))["top"]}
    assert ids
    assert all(one.startswith("val-") for one in ids)
    ids = {row["id"] for row in gallery_of(write_report(run))["top"]}
    assert all(one.startswith("test-") for one in ids)


def test_confusion_counts_are_those_of_the_evaluation(make_run):
    run = make_run(kind=TaskKind.MULTI_CLASS)
    page = read(write_report(run))
    confusion = json.loads((run.evaluation("test") / "metrics.json").read_text())
    cells = [td for td in page.all("td") if "recognised as" in (td.get("title") or "")]
    told = [int(re.search(r": (\d+) \(", td["title"])[1]) for td in cells]
    assert told == [count for row in confusion["confusion_matrix"] for count in row]


def test_pictures_that_are_gone_show_as_blanks(make_run):
    run = make_run()
    before = gallery_of(write_report(run))
    for path in Path(f"{run.root}-pictures").glob("test-*.jpg"):
        path.unlink()
    after = gallery_of(write_report(run))
    assert all(uri.startswith("data:image/jpeg;base64,") for uri in before["pictures"])
    assert len(before["pictures"]) == 24  # each once, though every class ranks all
    assert after["pictures"] == []
    assert [row | {"picture": 0} for row in after["top"]] == [
        row | {"picture": 0} for row in before["top"]
    ]
    assert {row["picture"] for row in after["top"]} == {-1}


def test_gallery_knows_what_the_model_recognises_and_what_it_misses(make_run):
    run = make_run()
    thresholds = json.loads((run.model / "decision.json").read_text())["thresholds"]
    threshold = dict(zip(CLASSES, thresholds, strict=True))
    gallery = gallery_of(write_report(run))
    clear = [row for row in gallery["top"]
             if abs(row["probability"] - threshold[row["class"]]) > 1e-4]  # fmt: skip
    assert {row["decided"] for row in clear} == {True, False}
    assert all(row["decided"] == (row["probability"] > threshold[row["class"]]) for row in clear)
    assert gallery["wrong"]
    assert gallery["missed"]
    assert not any(row["label"] for row in gallery["wrong"])
    assert all(row["label"] for row in gallery["missed"])


def test_thresholds_draw_the_best_point_by_name(make_run):
    run = make_run()
    metrics = json.loads((run.evaluation("val") / "metrics.json").read_text())
    best = max(metrics["sweep"], key=lambda row: row["macro_precision"])
    told = f"precision is highest, {best['macro_precision']:.1%}, at {best['threshold']:.2f}"
    assert told in "".join(read(write_report(run)).text)


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
