import contextlib
import json
import socket
import time

import pytest

from finelens.web.connection import Connection


async def app(scope, receive, send):
    """Answer with the request's body."""
    body, is_more = b"", scope["type"] == "http"
    while is_more:
        message = await receive()
        body, is_more = body + message.get("body", b""), message.get("more_body", False)
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
def served(serve_live):
    """Return the context manager that serves with a kind of connection; gives the address."""

    def serving(**limits):
        kind = type("Limited", (Connection,), limits)
        return serve_live(app, http=kind, lifespan="off")

    return serving


def all_of(opened):
    parts = []
    while part := opened.recv(4096):
        parts.append(part)
    return b"".join(parts)


@pytest.mark.parametrize("begun", [b"", b"GET / HTT", b"GET / HTTP/1.1\r\nHost: here\r\nX: "])
def test_who_never_ends_a_head_is_let_go(served, begun):
    with served(head_s=0.2) as address, socket.create_connection(address, 60) as opened:
        opened.sendall(begun)
        assert all_of(opened) == b""


def test_a_body_and_an_answer_may_take_longer_than_a_head(served):
    with served(head_s=0.2) as address, socket.create_connection(address, 60) as opened:
        opened.sendall(b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 4\r\n\r\nab")
        time.sleep(0.5)
        opened.sendall(b"cd")
        told = opened.recv(4096)
        while not told.endswith(b"\r\n\r\nabcd"):
            told += opened.recv(4096)
        assert told.startswith(b"HTTP/1.1 200")
        # the next request's head has its own time
        opened.sendall(b"GET / HTTP/1.1\r\nHo")
        assert all_of(opened) == b""


def test_a_connection_too_many_is_told_when_to_come_again(served):
    with served(most=2) as address, contextlib.ExitStack() as stack:
        for _ in range(2):
            opened = stack.enter_context(socket.create_connection(address, 60))
            opened.sendall(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
            assert opened.recv(4096).startswith(b"HTTP/1.1 200")
        with socket.create_connection(address, 60) as third:
            third.sendall(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
            head, _, body = all_of(third).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 503")
        assert b"retry-after: 1" in head.lower()
        assert b"nosniff" in head.lower()
        assert json.loads(body)["type"].endswith("overloaded")


def test_an_answer_waits_for_no_confirmation_of_its_head(served):
    kept = []

    def connection_made(self, transport):
        # as asyncio leaves a socket of a listener that was opened elsewhere
        client = transport.get_extra_info("socket")
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)
        Connection.connection_made(self, transport)
        kept.append(client.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    with (
        served(connection_made=connection_made) as address,
        socket.create_connection(address, 60) as opened,
    ):
        opened.sendall(b"GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
        assert all_of(opened).startswith(b"HTTP/1.1 200")
    assert kept == [1]
