"""The command that lists a network's layers: summary."""

from __future__ import annotations

from typing import Annotated

import typer

import finelens


def summary(
    recipe: Annotated[
        str,
        typer.Argument(
            metavar="RECIPE_OR_RUN", help="A packaged recipe, a YAML file or a run's folder."
        ),
    ],
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Set a key of the recipe; may repeat."),
    ] = None,
    num_classes: Annotated[
        int | None,
        typer.Option(
            "--classes", min=1, help="Classes [default: the run's or the recipe's, else 10]."
        ),
    ] = None,
) -> None:
    """List a network's layers, the shapes between them and their parameters.

    Neither data nor weights are needed. The first number of a shape is the batch, of one picture
    or clip; where the frames of a clip are seen one by one, it is their number.
    """
    typer.echo(finelens.summary(recipe, settings=settings or (), num_classes=num_classes))
