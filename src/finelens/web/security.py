"""Security: who is let in, and what browsers are told to refuse.

A server without a token lives on this machine's loopback address alone. There, a page of another
site could still reach it through the browser of whoever sits here: by naming it in a request, or
by a name of its own that it lets point to 127.0.0.1. So the ``Host`` of a request must be a name
of this machine, and its ``Origin``, where a browser tells one, this very server.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
import secrets
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from finelens.web.problems import Refusal, problem_response

TOKEN_BYTES = 32
OPEN_PATHS = frozenset({"/healthz"})
"""What needs no token."""

_QUERY = "token"
_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z.-]+)(:[0-9]+)?", re.ASCII)
_MACHINE_NAMES = frozenset({"localhost"})
_HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(self), microphone=(), geolocation=()",
    "cache-control": "no-store",
}
_CSP = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"


def make_token() -> str:
    """Return a new token, 43 characters that may stand in an address."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def is_loopback(host: str) -> bool:
    """Return whether an address or name reaches only this machine."""
    if host in _MACHINE_NAMES:
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class Gate:
    """ASGI middleware that lets in who may come in, and gives every answer its headers.

    A token is taken from ``Authorization: Bearer``, or from the cookie that a browser gets when
    it opens ``/?token=...`` once. An answer keeps headers of this kind that it already has.

    Args:
        app: What lies behind it.
        token: None lets everybody in.
        is_local: Whether the server lives on loopback alone: then ``Host`` must be a name of this
            machine.
    """

    def __init__(self, app: ASGIApp, *, token: str | None, is_local: bool) -> None:
        self._app = app
        self._token = token
        self._is_local = is_local
        # browsers keep cookies by host, whatever the port: two servers must not share one
        digest = hashlib.sha256((token or "").encode()).hexdigest()
        self._cookie = f"finelens-{digest[:8]}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            # nothing here speaks WebSocket
            await send({"type": "websocket.close", "code": 1008})
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in (*_HEADERS.items(), ("content-security-policy", _CSP)):
                    headers.setdefault(name, value)
            await send(message)

        answer = self._answer(scope)
        await (answer or self._app)(scope, receive, send_with_headers)

    def _answer(self, scope: Scope) -> Response | None:
        """Return what ends a request here, None for one that may pass."""
        headers = Headers(scope=scope)
        try:
            self._check_host(headers)
            self._check_origin(headers)
            return self._check_token(scope, headers)
        except Refusal as refusal:
            return problem_response(refusal)

    def _check_host(self, headers: Headers) -> None:
        host = headers.get("host", "")
        if self._is_local and not is_loopback(_host_name(host)):
            raise Refusal(
                "foreign-host",
                "this server answers to localhost and 127.0.0.1 only; start it with --host to be "
                "reached by another name",
            )

    def _check_origin(self, headers: Headers) -> None:
        origin = headers.get("origin")
        if origin is None:
            return
        if urlsplit(origin).netloc != headers.get("host") or len(headers.getlist("host")) != 1:
            raise Refusal("foreign-origin", "pages of other sites may not ask this server")

    def _check_token(self, scope: Scope, headers: Headers) -> Response | None:
        if self._token is None or scope["path"] in OPEN_PATHS:
            return None
        kind, _, given = headers.get("authorization", "").partition(" ")
        if (kind.lower() == "bearer" and self._is_token(given)) or self._is_token(
            _cookie(headers, self._cookie)
        ):
            return None
        queries = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        if scope["method"] == "GET" and self._is_token(dict(queries).get(_QUERY, "")):
            return self._remember(scope["path"], [pair for pair in queries if pair[0] != _QUERY])
        raise Refusal(
            "token-needed",
            "open the address that `finelens serve` printed, or send the header "
            "`Authorization: Bearer TOKEN`",
            headers={"WWW-Authenticate": "Bearer"},
        )

    def _remember(self, path: str, queries: list[tuple[str, str]]) -> Response:
        """Return a cookie, and the same address without the token in it."""
        assert self._token is not None
        # one slash: two would name another host
        address = "/" + path.lstrip("/") + (f"?{urlencode(queries)}" if queries else "")
        response = RedirectResponse(address, status_code=303)
        response.set_cookie(self._cookie, self._token, httponly=True, samesite="strict")
        return response

    def _is_token(self, given: str) -> bool:
        assert self._token is not None
        return hmac.compare_digest(given.encode(), self._token.encode())


def _host_name(host: str) -> str:
    """Return the name or address in a Host header, without its port."""
    found = _HOST.fullmatch(host)
    return "" if found is None else found["name"].lower()


def _cookie(headers: Headers, name: str) -> str:
    try:
        cookies = SimpleCookie(headers.get("cookie", ""))
    except CookieError:
        return ""
    return cookies[name].value if name in cookies else ""
