"""The commands that make a run: demo and train."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import finelens
from finelens.errors import ConfigError, typed

RunOption = Annotated[
    Path | None, typer.Option("--run", help="The run's folder [default: runs/<time>-<recipe>].")
]


def demo(
    clips: Annotated[
        bool,
        typer.Option(
            "--clips",
            help="Train on clips that only motion tells apart; they take 660 MB beside the run.",
        ),
    ] = False,
    run: RunOption = None,
) -> None:
    """Train on pictures that it draws, in about a minute, or on clips, in two or three."""
    from finelens.cli.display import Display, Stopwatch

    stopwatch = Stopwatch()
    _tell(finelens.demo(clips=clips, run=run, progress=Display()), stopwatch)


def train(
    recipe: Annotated[
        str | None,
        typer.Argument(
            help="A packaged recipe or a YAML file [default: finetune, of clips finetune-clips]."
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            help="Pictures or clips: class folders, a CSV or Parquet table, Pascal VOC, A2D, "
            "UCF-11, arrays (.npy, .npz) or folders of frames.",
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Set a key of the recipe; may repeat."),
    ] = None,
    no_cache: Annotated[
        bool,
        typer.Option(
            "--no-cache", help="Keep no decoded frames and features on disk: data.cache=false."
        ),
    ] = False,
    profile: Annotated[
        bool, typer.Option("--profile", help="Say at the end where the time of training went.")
    ] = False,
    run: RunOption = None,
    resume: Annotated[
        Path | None, typer.Option("--resume", metavar="RUN", help="Go on with a stopped run.")
    ] = None,
) -> None:
    """Fine-tune a model, choose its thresholds, evaluate it and write its report."""
    from finelens.cli.display import Display, Stopwatch

    stopwatch, display = Stopwatch(), Display()
    if resume is not None:
        given = (recipe, data, settings, run, no_cache or None)
        if any(value is not None and value != [] for value in given):
            raise ConfigError(
                f"--resume {resume} goes on with that run's own recipe and data; "
                "give it alone or with --profile, or start a new run without it"
            )
        _tell(finelens.resume(resume, profile=profile, progress=display), stopwatch)
        return
    wanted = [*(settings or ()), *["data.cache=false"] * no_cache]
    made = finelens.train(recipe, data, settings=wanted, run=run, profile=profile, progress=display)
    _tell(made, stopwatch)


def _tell(run: Path, stopwatch: object) -> None:
    from finelens.cli.display import CONSOLE
    from finelens.cli.summary import examples_of, headline_lines
    from finelens.reporting.against_probe import kept_probe_sentence
    from finelens.reporting.record import read_record
    from finelens.runs.directory import open_run

    for line in headline_lines(run):
        CONSOLE.print(line, markup=False, soft_wrap=True)
    kept = kept_probe_sentence(read_record(open_run(run)))
    if kept is not None:
        CONSOLE.print(kept, markup=False, soft_wrap=True)
    CONSOLE.print(
        f"done in {stopwatch}: open {run / 'report.html'}\n"
        f"next: finelens predict {typed(run)} {examples_of(run).upper()} --out scores.csv",
        markup=False,
        soft_wrap=True,
    )
