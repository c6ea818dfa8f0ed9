"""The body guard: no request brings more than it may, nor takes as long as it likes."""

from __future__ import annotations

import asyncio
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from finelens.web.limits import Limits
from finelens.web.problems import Refusal, problem_response

PREDICT = "/v1/predict"

_WORDS_BYTES = 1 << 20


class BodyGuard:
    """ASGI middleware that bounds bodies in bytes and seconds, and how many come at one time.

    A body that is too large is refused by its ``Content-Length``, or as soon as it is too large;
    what else would come is not read. Nothing is kept here.

    Args:
        app: What lies behind it.
        limits: Of bytes, seconds and requests.
    """

    def __init__(self, app: ASGIApp, *, limits: Limits) -> None:
        self._app = app
        self._limits = limits
        self._num_guarded = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with a guarded body, or refuse it."""
        if scope["type"] != "http" or not _has_body(Headers(scope=scope)):
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is not None:
            await problem_response(refusal)(scope, receive, send)
            return
        self._num_guarded += 1
        try:
            await self._pass(scope, receive, send)
        finally:
            self._num_guarded -= 1

    def _refusal(self, scope: Scope) -> Refusal | None:
        if self._num_guarded >= self._limits.requests:
            return Refusal(
                "overloaded",
                f"{self._num_guarded} requests are being answered, the most at one time; "
                "come again in 1 s",
                headers={"Retry-After": "1", "Connection": "close"},
            )
        length = Headers(scope=scope).get("content-length", "0")
        most = self._most(scope)
        return _too_large(most) if length.isdecimal() and int(length) > most else None

    def _most(self, scope: Scope) -> int:
        """Return the bytes that a request's body may have."""
        if scope["path"] == PREDICT:
            return self._limits.request_bytes
        # the page sends a file as text, of which four bytes stand for three
        return self._limits.file_bytes * 4 // 3 + _WORDS_BYTES

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = _Guarded(receive, self._most(scope), self._limits.upload_s)

        async def send_or_close(message: Message) -> None:
            if message["type"] == "http.response.start" and not body.is_whole:
                # else the server would read on to the end of what nobody wants
                MutableHeaders(scope=message)["connection"] = "close"
            await send(message)

        await self._app(scope, body, send_or_close)


class _Guarded:
    """A request's ``receive`` that counts."""

    def __init__(self, receive: Receive, most: int, upload_s: float) -> None:
        self._receive = receive
        self._most = most
        self._upload_s = upload_s
        self._ends = time.monotonic() + upload_s
        self._num_bytes = 0
        self.is_whole = False

    async def __call__(self) -> Message:
        """Return the next part of the body, or what comes after it.

        Raises:
            Refusal: If it is too large or too late.
        """
        if self.is_whole:
            # whoever asks on waits for the client to go
            return await self._receive()
        try:
            async with asyncio.timeout(self._ends - time.monotonic()):
                message = await self._receive()
        except TimeoutError:
            raise Refusal(
                "upload-took-too-long",
                f"the request did not come within {self._upload_s:g} s; send it faster",
            ) from None
        self._num_bytes += len(message.get("body", b""))
        self.is_whole = not message.get("more_body", False)
        if self._num_bytes > self._most:
            raise _too_large(self._most)
        return message


def _has_body(headers: Headers) -> bool:
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers


def _too_large(most: int) -> Refusal:
    return Refusal(
        "body-too-large",
        f"the request is over the limit of {most} bytes; send fewer or smaller files",
        headers={"Connection": "close"},
    )
