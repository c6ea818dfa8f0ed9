"""The commands that train nothing: check and recipes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import finelens


def check(
    data: Annotated[Path, typer.Argument(help="Class folders, a table, or Pascal VOC.")],
    source: Annotated[str, typer.Option(help="auto, folder, table or voc.")] = "auto",
    task: Annotated[str, typer.Option(help="auto, multi-class or multi-label.")] = "auto",
) -> None:
    """Audit pictures and labels before training."""
    from finelens.cli.audit import print_audit
    from finelens.cli.display import Display

    print_audit(finelens.check(data, source=source, task=task, progress=Display()), data)


def recipes(
    name: Annotated[str | None, typer.Argument(help="A recipe to show.")] = None,
) -> None:
    """List the packaged recipes, or show one."""
    from finelens.config.load import load_recipe, recipe_names, recipe_text

    if name is not None:
        typer.echo(recipe_text(name).rstrip())
        return
    width = max(len(known) for known in recipe_names())
    for known in recipe_names():
        typer.echo(f"{known:<{width}}  {load_recipe(known).description}")
    typer.echo("show one: finelens recipes NAME; use one: finelens train NAME --data DATA")
