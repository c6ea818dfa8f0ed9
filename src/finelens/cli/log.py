"""The command that tells a training's course: log."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import polars as pl

_FIGURES_A_BLOCK = 5
_WIDEST_FIGURE = 7
_WIDEST_PHASE = 16


SourceArgument = Annotated[
    Path, typer.Argument(metavar="RUN", help="A run's folder, or another program's text log.")
]
PatternOption = Annotated[
    str | None,
    typer.Option(
        "--pattern",
        metavar="REGEX",
        help="How a text log says its figures: a regular expression with a group named loss "
        "or accuracy, and optionally epoch and split.",
    ),
]
PictureOption = Annotated[
    Path | None,
    typer.Option(
        "--out",
        help="The picture: .png, .svg or .pdf. By default log.png in the run, or a text "
        "log's name with .png in this folder.",
    ),
]
TableOption = Annotated[
    Path | None,
    typer.Option("--csv", help="A .csv, .jsonl or .parquet file for all the arrays."),
]
AllOption = Annotated[
    bool, typer.Option("--all", help="Print every figure, not the main ones alone.")
]


def log(
    source: SourceArgument,
    pattern: PatternOption = None,
    out: PictureOption = None,
    csv: TableOption = None,
    show_all: AllOption = False,
) -> None:
    """Print and plot loss and accuracy over epochs, of a run or a text log."""
    from finelens.api.log import (
        check_picture,
        default_picture,
        draw_training_log,
        read_training_log,
    )
    from finelens.cli.display import CONSOLE
    from finelens.cli.tables import check_output, write_table

    told = read_training_log(source, pattern)
    picture = default_picture(source) if out is None else out
    check_picture(picture)
    if csv is not None:
        check_output(csv, option="--csv")
    _print_epochs(told.table() if show_all else told.headline())
    if csv is not None:
        table = told.table()
        write_table(csv, table, option="--csv")
        CONSOLE.print(f"{table.height} rows written to {csv}", markup=False, soft_wrap=True)
    if not told.history.series:
        CONSOLE.print("no epoch has ended yet, so there is no picture")
        return
    draw_training_log(told, picture)
    CONSOLE.print(f"picture: {picture}", markup=False, soft_wrap=True)


def _print_epochs(table: pl.DataFrame) -> None:
    """Print epochs as lines; more figures than a terminal holds follow below, block by block."""
    from rich.table import Table
    from rich.text import Text

    from finelens.cli.display import CONSOLE
    from finelens.cli.tables import column_words

    names = table.columns[2:]
    for start in range(0, len(names), _FIGURES_A_BLOCK):
        block = names[start : start + _FIGURES_A_BLOCK]
        shown = Table(box=None, header_style="bold", padding=(0, 1))
        shown.add_column("epoch", justify="right")
        shown.add_column("phase", no_wrap=True, overflow="ellipsis", max_width=_WIDEST_PHASE)
        for name in block:
            shown.add_column(Text(column_words(name)), justify="right", min_width=_WIDEST_FIGURE)
        for row in table.select("epoch", "phase", *block).iter_rows():
            # a phase's name may hold what rich takes for markup
            shown.add_row(str(row[0]), Text(str(row[1])), *(_figure(value) for value in row[2:]))
        CONSOLE.print(shown)


def _figure(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.4f}" if value == 0 or 0.001 <= abs(value) < 1e4 else f"{value:.1e}"
