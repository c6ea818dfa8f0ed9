"""The command that shows where a model looked: explain."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import finelens


def explain(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder.")],
    picture: Annotated[Path, typer.Argument(metavar="PICTURE", help="A picture, or a clip.")],
    class_name: Annotated[
        str | None, typer.Option("--class", help="A class [default: the most probable].")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="The heat map, a .png file; by default heat-PICTURE.png here."),
    ] = None,
) -> None:
    """Show where in a picture the model looked for a class: a heat map over it."""
    from finelens.api.explain import draw_explanation, tell
    from finelens.cli.display import CONSOLE
    from finelens.cli.tables import check_output
    from finelens.data.contact_sheet import write_sheet

    path = out or Path(f"heat-{picture.stem}.png")
    check_output(path, kinds=(".png",))
    explanation = finelens.explain(run, picture, class_name)
    write_sheet(draw_explanation(explanation, name=picture.name), path)
    told = f"{explanation.class_name} {explanation.probability:.2f}: {tell(explanation)}"
    CONSOLE.print(told, markup=False, soft_wrap=True)
    CONSOLE.print(f"heat map written to {path}", markup=False, soft_wrap=True)
