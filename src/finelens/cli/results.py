"""The commands that read a run: evaluate, predict, top and compare."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

import finelens
from finelens.errors import ConfigError

PrecisionChoice = Literal["auto", "fp32", "bf16"]
RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder.")]
SplitOption = Annotated[
    str | None, typer.Option("--split", help="train, val or test [default: test, else val].")
]
EvaluationOption = Annotated[
    str | None,
    typer.Option(
        "--split",
        help="train, val, test, or what `evaluate --data` was called [default: test, else val].",
    ),
]


def evaluate(
    run: RunArgument,
    split: SplitOption = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="Other pictures or clips than the run's own.")
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(help="What the evaluation of --data is called [default: other-FOLDER]."),
    ] = None,
) -> None:
    """Score a split, or other data beside it; the report is brought up to date."""
    from finelens.cli.display import CONSOLE, Display
    from finelens.cli.summary import data_warnings, examples_of, headline_line

    evaluation = finelens.evaluate(run, split=split, data=data, name=name, progress=Display())
    examples = examples_of(run)
    line = headline_line(evaluation.metrics, examples=examples)
    CONSOLE.print(line, markup=False, soft_wrap=True)
    for warning in data_warnings(evaluation.metrics, examples=examples):
        CONSOLE.print(f"warning: {warning}", markup=False, soft_wrap=True)
    folder = run / "evaluation" / evaluation.split
    CONSOLE.print(f"written to {folder}; open {run / 'report.html'}", markup=False, soft_wrap=True)


def predict(
    run: RunArgument,
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Pictures or clips, or folders of them.")
    ] = None,
    split: Annotated[
        str | None,
        typer.Option("--split", help="In place of PATHS: the run's own train, val or test."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="A .csv, .jsonl or .parquet file to write.")
    ] = None,
    decisions: Annotated[
        Path | None,
        typer.Option("--decisions", help="0 or 1 a row and class: FILE.npy and FILE.csv."),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(min=1, help="Pictures read together; on a GPU those of a forward pass."),
    ] = None,
    precision: Annotated[
        PrecisionChoice | None,
        typer.Option(help="What the model computes in [default: as in training]."),
    ] = None,
) -> None:
    """Say what is in pictures: one row for every input, errors included."""
    from finelens.cli.display import CONSOLE, Display
    from finelens.cli.predictions import (
        check_outputs,
        print_predictions,
        require_readable,
        write_outputs,
    )

    check_outputs(out, decisions)
    table = finelens.predict(
        run, paths, split=split, batch_size=batch_size, precision=precision, progress=Display()
    )
    if out is None and decisions is None:
        print_predictions(table)
        require_readable(table)
        CONSOLE.print("next: add --out scores.csv to keep every probability")
        return
    for line in write_outputs(table, out, decisions):
        CONSOLE.print(line, markup=False, soft_wrap=True)
    require_readable(table)


def top(
    run: RunArgument,
    class_name: Annotated[
        str | None, typer.Option("--class", help="A class [default: every class].")
    ] = None,
    n: Annotated[int, typer.Option("-n", min=1, help="Pictures a class.")] = 50,
    split: EvaluationOption = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="A .csv, .jsonl or .parquet file to write.")
    ] = None,
) -> None:
    """List the best-ranked pictures of a class, from stored scores."""
    from finelens.cli.display import CONSOLE
    from finelens.cli.tables import check_output, print_table, write_table

    if out is not None:
        check_output(out)
    table = finelens.top(run, class_name=class_name, n=n, split=split)
    if out is None:
        print_table(table.drop("path"))
        return
    write_table(out, table)
    CONSOLE.print(f"{table.height} rows written to {out}", markup=False, soft_wrap=True)


def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Runs to compare.")],
    split: EvaluationOption = None,
    out: Annotated[
        Path,
        typer.Option("--out", help="Folder for comparison.html, comparison.csv and pairs.csv."),
    ] = Path("comparison"),
) -> None:
    """Put runs side by side in one table, and say whether they differ by more than chance."""
    from finelens.cli.display import CONSOLE
    from finelens.cli.tables import print_sideways

    if len(runs) < 2:
        raise ConfigError("compare needs two runs or more, such as `finelens compare RUN RUN`")
    comparison = finelens.compare(runs, split=split, out=out)
    print_sideways(comparison.headline, by="run")
    CONSOLE.print(f"verdict: {comparison.verdict}", markup=False, soft_wrap=True)
    for warning in comparison.warnings:
        CONSOLE.print(f"not strictly comparable: {warning}", markup=False, soft_wrap=True)
    for note in comparison.notes:
        CONSOLE.print(f"note: {note}", markup=False, soft_wrap=True)
    CONSOLE.print(f"written to {out}; open {out / 'comparison.html'}", markup=False)
