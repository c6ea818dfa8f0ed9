import re

import polars as pl

from finelens.reporting.comparison import compare_runs
from finelens.reporting.comparison_page import comparison_context, write_comparison
from finelens.reporting.page import render_page
from finelens.task import TaskKind


def test_best_of_a_column_is_bold_except_on_train(make_run, tmp_path):
    runs = [make_run("a"), make_run("b", seed=3, summary={"training_minutes": 9.0})]
    comparison = compare_runs(runs, "test")
    html = write_comparison(tmp_path / "out", comparison).read_text()
    best = max(comparison.table["test_mean_average_precision"])
    assert re.search(rf'<td data-value="{best}" class="best">{best:.1%}', html)
    assert '<td data-value="1.5" class="best">1.5' in html  # less time is better
    assert '<td data-value="9.0">9.0' in html


def test_csv_holds_the_whole_table(make_run, tmp_path):
    comparison = compare_runs([make_run("a"), make_run("b", seed=1)], "test")
    write_comparison(tmp_path / "out", comparison)
    table = pl.read_csv(tmp_path / "out" / "comparison.csv")
    assert table.columns == comparison.table.columns
    assert table["test_macro_f1"].to_list() == comparison.table["test_macro_f1"].to_list()
    assert set(comparison.headline.columns) < set(table.columns)


def test_page_shows_warnings_and_escapes_names(make_run, tmp_path):
    runs = [make_run("<u>a"), make_run("b", num_examples=20)]
    html = write_comparison(tmp_path / "out", compare_runs(runs, "test")).read_text()
    assert "not strictly comparable" in html
    assert "<u>" not in html
    assert "&lt;u&gt;a" in html


def test_comparison_of_clips_speaks_of_clips(make_run, tmp_path):
    runs = [make_run("a", frames=8), make_run("b", num_examples=20, frames=8)]
    for split in ("val", "test"):
        html = write_comparison(tmp_path / split, compare_runs(runs, split)).read_text()
        body = re.sub(r"<style>.*?</style>|<script>.*?</script>", "", html, flags=re.DOTALL)
        assert "picture" not in body.lower()
        assert "training clips/s" in body.lower()


def test_pairs_csv_holds_every_test(make_run, tmp_path):
    comparison = compare_runs([make_run("a"), make_run("b", seed=1)], "test")
    write_comparison(tmp_path / "out", comparison)
    table = pl.read_csv(tmp_path / "out" / "pairs.csv")
    assert table.columns == comparison.pairs.columns
    assert table["p_value"].to_list() == comparison.pairs["p_value"].to_list()


def test_page_opens_with_the_verdict_and_brings_out_a_class_of_every_run(make_run, tmp_path):
    comparison = compare_runs([make_run("a"), make_run("b", seed=1)], "test")
    html = write_comparison(tmp_path, comparison).read_text()
    assert html.index(comparison.verdict) < html.index("<table")
    for k in range(3):
        assert html.count(f'class="class-curve" data-class="{k}"') == 2
    assert html.count('class="average-curve"') == 4
    assert '<option value="1">car &amp; cat</option>' in html


def test_page_shows_precision_recall_and_f1_on_train_beside_val(make_run):
    runs = [
        make_run(name, seed=seed, splits=("val", "train")) for seed, name in enumerate("abcdef")
    ]
    figures = comparison_context(compare_runs(runs, "val"))["figures"]
    assert [words for words, _ in figures["groups"]] == ["val", "train"]
    of_train = figures["headings"][figures["groups"][0][1] :]
    assert of_train == ["mean AP", "example precision", "example recall", "example F1"]
    assert len(figures["rows"]) == 6
    assert not any(cell["is_best"] for row in figures["rows"] for cell in row["cells"][-4:])


def test_one_pair_has_no_corrected_p_values_and_one_run_no_tests(make_run, tmp_path):
    runs = [make_run(name, seed=seed) for seed, name in enumerate("abc")]
    pages = [
        write_comparison(tmp_path / str(n), compare_runs(runs[:n], "val")).read_text()
        for n in (1, 2, 3)
    ]
    assert ["Paired tests" in page for page in pages] == [False, True, True]
    assert ["Corrected p" in page for page in pages] == [False, False, True]
    assert "1 run on val" in pages[0]


def test_a_pair_without_a_test_is_not_said_to_be_alike(make_run):
    # one picture: McNemar's test says 1, and nothing can be resampled
    runs = [make_run(name, kind=TaskKind.MULTI_CLASS, num_examples=1) for name in "ab"]
    comparison = compare_runs(runs, "val")
    cells = comparison_context(comparison)["pairs"][0]["cells"]
    assert [cell["is_known"] for cell in cells] == [True, False]
    html = render_page("comparison.html.jinja", comparison_context(comparison))
    assert html.count("cannot be tested") == html.count("not told apart") == 1
