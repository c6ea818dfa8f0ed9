"""Problems: what a request is refused with, as RFC 9457 writes it."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Literal

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

Kind = Literal[
    "bad-request",
    "body-too-large",
    "decoder-failed",
    "decoding-took-too-long",
    "file-too-large",
    "foreign-host",
    "foreign-origin",
    "model-failed",
    "not-found",
    "overloaded",
    "server-failed",
    "token-needed",
    "too-many-files",
    "too-many-frames",
    "too-many-pixels",
    "unknown-kind",
    "unreadable",
    "upload-took-too-long",
    "wrong-kind",
]

MEDIA_TYPE = "application/problem+json"
_TYPE = "urn:finelens:problem:"


class Problem(BaseModel):
    """Problem details (RFC 9457): why a request, or one file of it, was refused."""

    model_config = ConfigDict(frozen=True)

    type: str = Field(description="Names the kind of problem: a URN, or about:blank.")
    title: str = Field(description="The kind in words.")
    status: int = Field(description="The HTTP status that belongs to it.", ge=400, le=599)
    detail: str = Field(description="What was wrong this time, and the mend.")


class Refusal(HTTPException):
    """A request that ends here, with its problem.

    Args:
        kind: Of ``PROBLEMS``.
        detail: One or two lines: the thing, the value, the mend.
        headers: To send with it, such as ``Retry-After``.
    """

    def __init__(self, kind: Kind, detail: str, *, headers: dict[str, str] | None = None) -> None:
        self.problem = problem(kind, detail)
        super().__init__(self.problem.status, detail, headers)


def problem(kind: Kind, detail: str) -> Problem:
    """Return the problem of a kind."""
    status, title = PROBLEMS[kind]
    return Problem(type=f"{_TYPE}{kind}", title=title, status=status, detail=detail)


def problem_response(refusal: HTTPException) -> JSONResponse:
    """Return what a client gets for an exception of HTTP."""
    if isinstance(refusal, Refusal):
        content = refusal.problem
    else:
        phrase = HTTPStatus(refusal.status_code).phrase
        content = Problem(
            type="about:blank",
            title=phrase,
            status=refusal.status_code,
            detail=str(refusal.detail or phrase),
        )
    return JSONResponse(
        content.model_dump(),
        status_code=content.status,
        headers=dict(refusal.headers or {}),
        media_type=MEDIA_TYPE,
    )


def answer_with_problems(app: FastAPI) -> None:
    """Let an application answer every exception with its problem; no traceback leaves it."""

    async def refused(_request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        return problem_response(error)

    async def invalid(_request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        return problem_response(Refusal("bad-request", _first_of(error)))

    async def failed(_request: Request, _error: Exception) -> JSONResponse:
        detail = "something went wrong in the server; its log says what"
        return problem_response(Refusal("server-failed", detail))

    app.add_exception_handler(HTTPException, refused)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(Exception, failed)


def documented(*kinds: Kind) -> dict[int | str, dict[str, Any]]:
    """Return what OpenAPI says of the problems a route may answer with."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    by_status: dict[int | str, dict[str, Any]] = {}
    for kind in kinds:
        status, title = PROBLEMS[kind]
        said = by_status.get(status, {}).get("description")
        words = title if said is None else f"{said}; {title.lower()}"
        by_status[status] = {"description": words, "content": content}
    return by_status


def _first_of(error: RequestValidationError) -> str:
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{place}: {first['msg']}"


PROBLEMS: dict[Kind, tuple[int, str]] = {
    "bad-request": (422, "The request does not fit"),
    "body-too-large": (413, "The request is too large"),
    "decoder-failed": (422, "The file could not be decoded"),
    "decoding-took-too-long": (422, "The file took too long to decode"),
    "file-too-large": (413, "The file is too large"),
    "foreign-host": (421, "The request is meant for another host"),
    "foreign-origin": (403, "The request comes from another site"),
    "model-failed": (500, "The model failed"),
    "not-found": (404, "There is no such thing"),
    "overloaded": (503, "The server has too much to do"),
    "server-failed": (500, "The server failed"),
    "token-needed": (401, "A token is needed"),
    "too-many-files": (413, "There are too many files"),
    "too-many-frames": (413, "The clip has too many frames"),
    "too-many-pixels": (413, "There are too many pixels"),
    "unknown-kind": (415, "The kind of file is not known"),
    "unreadable": (422, "The file is damaged or cut off"),
    "upload-took-too-long": (408, "The upload took too long"),
    "wrong-kind": (415, "The model takes another kind of file"),
}
