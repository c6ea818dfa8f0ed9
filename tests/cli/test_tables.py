import polars as pl

from finelens.cli.tables import print_table


def test_names_that_look_like_markup_are_printed_as_they_are(capsys):
    print_table(pl.DataFrame({"path": ["a[final].jpg", "[/b].jpg"]}))
    output = capsys.readouterr().out
    assert "a[final].jpg" in output
    assert "[/b].jpg" in output
