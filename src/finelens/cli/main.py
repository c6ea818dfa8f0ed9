"""The command line: a skin over the verbs of ``finelens``."""

from __future__ import annotations

import atexit
import errno
import os
import signal
import sys
import warnings

import typer

from finelens import __version__
from finelens.cli import data, explain, layers, log, results, serve, training
from finelens.errors import FinelensError

INTERRUPTED = 130
"""The exit code of a command ended by Ctrl-C, as shells count it."""
_FORMAT = warnings.formatwarning

app = typer.Typer(
    rich_markup_mode=None,
    name="finelens",
    help="Fine-tune any vision backbone on your own pictures or clips, see what it learned, "
    "and use it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"finelens {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: bool = typer.Option(
        False, "--version", callback=_show_version, is_eager=True, help="Show the version."
    ),
) -> None:
    """Fine-tune any vision backbone on your own pictures or clips, and use it."""
    del version


def main() -> None:
    """Run the command line; exit 0 done, 1 a problem to mend, 2 usage, 130 interrupted."""
    warnings.formatwarning = _format_warning
    try:
        app()
    except FinelensError as error:
        _end(error)
    except OSError as error:
        _end_full_disk(error)
    except KeyboardInterrupt:
        typer.echo("\ninterrupted", err=True)
        sys.exit(INTERRUPTED)
    finally:
        # all is done and told: Ctrl-C while Python tears itself down would make it look undone
        atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)


def _format_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    line: str | None = None,
) -> str:
    """Return what a user is warned of without the line of code that warns."""
    if category is UserWarning:
        return f"warning: {message}\n"
    return _FORMAT(message, category, filename, lineno, line)


def _end(error: FinelensError) -> None:
    is_interruption = type(error).__name__ == "Interrupted"
    typer.echo(str(error) if is_interruption else f"error: {error}", err=True)
    sys.exit(INTERRUPTED if is_interruption else 1)


def _end_full_disk(error: OSError) -> None:
    if error.errno not in {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS, errno.EPERM}:
        raise error
    place = f" {error.filename}" if error.filename else ""
    typer.echo(
        f"error: cannot write{place}: {os.strerror(error.errno)}; what was saved before is whole, "
        "and a run goes on with `finelens train --resume RUN`",
        err=True,
    )
    sys.exit(1)


for verb, example in (
    (training.demo, "finelens demo --clips"),
    (data.check, "finelens check pictures/"),
    (training.train, "finelens train --data pictures/ --set model.backbone=resnet50"),
    (results.evaluate, "finelens evaluate runs/my-run --split test"),
    (results.predict, "finelens predict runs/my-run new/ --out scores.csv"),
    (results.top, "finelens top runs/my-run --class bird -n 50"),
    (explain.explain, "finelens explain runs/my-run picture.jpg --class bird"),
    (results.compare, "finelens compare runs/a runs/b --out comparison"),
    (log.log, "finelens log runs/my-run"),
    (serve.serve, "finelens serve runs/my-run --allow-edit"),
    (data.recipes, "finelens recipes finetune"),
    (layers.summary, "finelens summary ucf11-c3d --classes 11"),
):
    app.command(epilog=f"Example: {example}")(verb)
