"""The commands that train nothing: check and recipes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import finelens
from finelens.errors import ConfigError


def check(
    data: Annotated[
        Path,
        typer.Argument(
            help="Pictures or clips: class folders, a table, Pascal VOC, A2D, UCF-11, arrays or "
            "folders of frames."
        ),
    ],
    source: Annotated[
        str, typer.Option(help="auto, a2d, arrays, folder, frames, table, ucf11 or voc.")
    ] = "auto",
    task: Annotated[str, typer.Option(help="auto, multi-class or multi-label.")] = "auto",
    augment: Annotated[
        str | None,
        typer.Option(
            metavar="POLICY",
            help="Draw a contact sheet instead of the audit: a sample under 16 draws of a policy, "
            "of a recipe's policies, or of steps such as '[{flip: {p: 0.5}}]'.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="The sheet, a .png file; by default augment-POLICY.png here."),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(
            min=16,
            max=2048,
            help="Side of the sheet's views, pixels; by default the recipe's, else 224.",
        ),
    ] = None,
    sample: Annotated[
        str | None,
        typer.Option(
            help="The sheet's picture or clip, an id or a row; by default the first to train on."
        ),
    ] = None,
    problems: Annotated[
        Path | None,
        typer.Option(
            "--problems",
            metavar="FILE",
            help="Write every unreadable, cut-off, duplicate, near-duplicate and leaking file to a "
            ".csv, .jsonl or .parquet table: problem, path, detail, other.",
        ),
    ] = None,
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="Keep nothing of what clips were found to hold.")
    ] = False,
) -> None:
    """Audit pictures or clips before training; or see what an augmentation does to them."""
    from finelens.cli.audit import print_audit
    from finelens.cli.display import CONSOLE, Display
    from finelens.cli.tables import check_output, write_table
    from finelens.data.problems import problem_table

    if augment is not None:
        if problems is not None:
            raise ConfigError(f"--problems {problems} is of the audit; leave out --augment")
        _draw_sheet(data, augment, out, size=size, sample=sample, source=source, task=task)
        return
    for option, value in (("--out", out), ("--size", size), ("--sample", sample)):
        if value is not None:
            raise ConfigError(
                f"{option} {value} is of the contact sheet; give --augment POLICY, "
                "or --problems FILE for a list of what is wrong"
            )
    if problems is not None:
        check_output(problems, option="--problems")
    found = finelens.check(data, source=source, task=task, cache=not no_cache, progress=Display())
    print_audit(found, data)
    if problems is not None:
        table = problem_table(found)
        write_table(problems, table, option="--problems")
        told = f"{table.height} problem{'' if table.height == 1 else 's'} written to {problems}"
        CONSOLE.print(told, markup=False, soft_wrap=True)


def _draw_sheet(
    data: Path,
    augment: str,
    out: Path | None,
    *,
    size: int | None,
    sample: str | None,
    source: str,
    task: str,
) -> None:
    from finelens.cli.display import CONSOLE, Display
    from finelens.cli.tables import check_output
    from finelens.data.contact_sheet import write_sheet

    is_inline = augment.lstrip().startswith(("[", "{"))
    path = out or Path(f"augment-{'steps' if is_inline else Path(augment).stem}.png")
    check_output(path, kinds=(".png",))
    sheet = finelens.contact_sheet(
        data, augment, size=size, sample=sample, source=source, task=task, progress=Display()
    )
    write_sheet(sheet, path)
    CONSOLE.print(f"contact sheet written to {path}", markup=False, soft_wrap=True)


def recipes(
    name: Annotated[str | None, typer.Argument(help="A recipe to show.")] = None,
) -> None:
    """List the packaged recipes, or show one."""
    from finelens.config.packaged import recipe_descriptions, recipe_text

    if name is not None:
        typer.echo(recipe_text(name).rstrip())
        return
    descriptions = recipe_descriptions()
    width = max(map(len, descriptions))
    for known, description in descriptions.items():
        typer.echo(f"{known:<{width}}  {description}")
    typer.echo("show one: finelens recipes NAME; use one: finelens train NAME --data DATA")
