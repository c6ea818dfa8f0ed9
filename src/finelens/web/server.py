"""The server: a site on an address, from the first word to Ctrl-C."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from finelens.errors import ConfigError
from finelens.web.app import create_app
from finelens.web.connection import Connection
from finelens.web.limits import Limits
from finelens.web.security import is_loopback, make_token
from finelens.web.site import Site
from finelens.web.ui import build_page

_SHORTEST_TOKEN = 16
_GRACE_S = 5


def serve(
    runs: Sequence[str | Path] | str | Path,
    *,
    host: str = "127.0.0.1",
    port: int = 7860,
    token: str | None = None,
    no_token: bool = False,
    allow_edit: bool = False,
    limits: Sequence[str] = (),
    device: str | None = None,
    say: Callable[[str], object] = print,
) -> None:
    """Serve runs to browsers and programs until Ctrl-C or SIGTERM.

    In a script, call it under ``if __name__ == "__main__":``; its decoders are processes.

    Args:
        runs: Complete runs; requests take the first unless they name one.
        host: The address to listen at. Any but this machine's own needs a token.
        port: 0 takes one that is free.
        token: What clients must know, 16 characters or more; None makes one where it is needed.
        no_token: Whether to do without where one would be needed.
        allow_edit: Whether the page may save thresholds.
        limits: ``NAME=VALUE`` of ``web.limits.Limits``.
        device: A torch device; None takes CUDA where there is one.
        say: Told the address once it answers.

    Raises:
        ConfigError: If options contradict, or the address cannot be had.
        RunError: If a run is not complete.
        ModelError: If a model folder is foreign or corrupted.
    """
    known = _token(host, token, no_token=no_token)
    listening = _listen(host, port)
    try:
        site = Site(
            [runs] if isinstance(runs, str | Path) else runs,
            limits=Limits.of(limits),
            allow_edit=allow_edit,
            device=device,
        )
    except BaseException:
        listening.close()
        raise
    try:
        app = create_app(site, token=known, is_local=is_loopback(host), build_page=build_page)
        address = _address(listening, known)

        def announce() -> None:
            say(f"serving {', '.join(site.runs)}; Ctrl-C ends it")
            say(f"open {address}")

        _Server(_settings(app), announce).run(sockets=[listening])
    except KeyboardInterrupt:
        say("ended")
    finally:
        site.close()
        listening.close()


class _Server(uvicorn.Server):
    """Tells when it answers."""

    def __init__(self, config: uvicorn.Config, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._announce()


def _settings(app: FastAPI) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        # a token may stand in an address: nothing is logged but errors
        access_log=False,
        log_level="warning",
        http=Connection,
        ws="none",
        lifespan="on",
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=_GRACE_S,
    )


def _token(host: str, token: str | None, *, no_token: bool) -> str | None:
    if token is None:
        return None if no_token or is_loopback(host) else make_token()
    if no_token:
        raise ConfigError("--token and --no-token contradict each other; give one of them")
    if len(token) < _SHORTEST_TOKEN or not (token.isascii() and token.isprintable()):
        raise ConfigError(
            f"--token must be {_SHORTEST_TOKEN} plain characters or more; without it, one is made"
        )
    return token


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host.strip("[]"), port), family=family)
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ConfigError(
            f"--host {host} --port {port} cannot be listened at: {reason}; choose another port, "
            "or end what listens there"
        ) from error


def _address(listening: socket.socket, token: str | None) -> str:
    host, port = listening.getsockname()[:2]
    named = socket.gethostname() if host in {"0.0.0.0", "::"} else str(host)
    shown = f"[{named}]" if ":" in named else named
    return f"http://{shown}:{port}/" + ("" if token is None else f"?token={token}")
