"""The command that opens a run to browsers and programs: serve."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import finelens

_LIMITS = (
    "Change a limit; may repeat. file_bytes=33554432, files=32, request_bytes=134217728, "
    "upload_s=60, pixels=64000000, clip_pixels=256000000, frames=20000, decoding_s=10, "
    "requests=32, queue=64, wait_ms=5."
)


def serve(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Complete runs.")],
    host: Annotated[
        str, typer.Option("--host", help="Where to listen; another address needs a token.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="0 takes one that is free.")
    ] = 7860,
    token: Annotated[
        str | None,
        typer.Option(
            "--token",
            help="What clients must know, 16 plain characters or more [default: one is made where "
            "others can reach the address].",
        ),
    ] = None,
    no_token: Annotated[
        bool, typer.Option("--no-token", help="Let in everybody who reaches the address.")
    ] = False,
    allow_edit: Annotated[
        bool, typer.Option("--allow-edit", help="Let the page save thresholds.")
    ] = False,
    limits: Annotated[
        list[str] | None, typer.Option("--limit", metavar="NAME=VALUE", help=_LIMITS)
    ] = None,
) -> None:
    """Open a web page and a REST API for runs, on this machine alone unless told otherwise."""
    from finelens.cli.display import CONSOLE

    finelens.serve(
        runs,
        host=host,
        port=port,
        token=token,
        no_token=no_token,
        allow_edit=allow_edit,
        limits=limits or (),
        say=lambda line: CONSOLE.print(line, markup=False, soft_wrap=True),
    )
