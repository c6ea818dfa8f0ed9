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
