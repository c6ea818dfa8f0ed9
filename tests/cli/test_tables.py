import polars as pl

from finelens.cli.tables import print_sideways, print_table


def test_names_that_look_like_markup_are_printed_as_they_are(capsys):
    print_table(pl.DataFrame({"path": ["a[final].jpg", "[/b].jpg"]}))
    output = capsys.readouterr().out
    assert "a[final].jpg" in output
    assert "[/b].jpg" in output


def test_a_sideways_table_has_a_column_for_each_row(capsys):
    table = pl.DataFrame({"run": ["a", "b"], "test_accuracy": [0.5, None], "epochs": [3, 4]})
    print_sideways(table, by="run")
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines == [["a", "b"], ["test", "accuracy", "0.500"], ["epochs", "3", "4"]]


def test_names_too_wide_to_stand_side_by_side_are_numbered_and_told_first(capsys):
    names = [f"a-run-with-a-long-name-{letter}" for letter in "abcdef"]
    rows = {"run": names, "backbone": ["x[y]"] * 6, "val_example_f1": [n / 10 for n in range(6)],
            "val_mean_average_precision": [0.5] * 6, "iterations": [156.25] * 6}  # fmt: skip
    print_sideways(pl.DataFrame(rows), by="run")
    output = capsys.readouterr().out
    assert max(map(len, output.splitlines())) <= 80
    lines = [line.split() for line in output.splitlines() if line.strip()]
    assert lines[0] == ["run", "backbone"]
    assert lines[1:7] == [[str(n), name, "x[y]"] for n, name in enumerate(names, start=1)]
    assert lines[7] == list("123456")
    assert lines[8] == ["val", "example", "F1", *(f"{n / 10:.3f}" for n in range(6))]
    assert lines[9] == ["val", "mean", "AP", *["0.500"] * 6]
    assert lines[10] == ["iterations", *["156.2"] * 6]
