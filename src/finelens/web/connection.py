"""The connection: one client's socket, which neither lingers nor comes in endless number."""

from __future__ import annotations

import asyncio
import socket

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from finelens.web.problems import Refusal, problem_response
from finelens.web.security import Gate

_FULL = Gate(
    problem_response(
        Refusal(
            "overloaded",
            "too many connections are open; come again in 1 s",
            headers={"Retry-After": "1", "Connection": "close"},
        )
    ),
    token=None,
    is_local=False,
)


class Connection(H11Protocol):
    """uvicorn's connection, with what it lacks.

    The head of a request must come in time: else a few hundred clients that never end theirs
    would keep everybody out. Whoever finds too many connections open is refused with a problem
    and ``Retry-After``, as everywhere else.

    Attributes:
        head_s: Seconds in which a head must have come.
        most: Connections that are open at one time.
    """

    head_s = 20.0
    most = 256

    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]  # as uvicorn has it
        """Begin, and wait for a head."""
        super().connection_made(transport)
        # asyncio forgets it for a listener that was opened elsewhere; an answer's body would then
        # wait 40 ms for the client to confirm its head
        client = transport.get_extra_info("socket")
        if client is not None and client.family in {socket.AF_INET, socket.AF_INET6}:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if len(self.connections) > self.most:
            self.app = _FULL
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Take what came; wait on for the rest of a head."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._unwatch()
        super().connection_lost(exc)

    def _watch(self) -> None:
        if self.conn.their_state is not h11.IDLE:
            self._unwatch()
        elif self._late is None:
            self._late = self.loop.call_later(self.head_s, self.transport.close)

    def _unwatch(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None
