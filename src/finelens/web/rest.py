"""The REST API: what programs ask of a site. Every answer about inputs has one row an input."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from finelens.errors import FinelensError
from finelens.web.metrics import MEDIA_TYPE as METRICS_TYPE
from finelens.web.problems import Refusal, documented
from finelens.web.schemas import ITEM_ID, Health, ModelInfo, Predictions, TopItems
from finelens.web.served_run import ServedRun
from finelens.web.site import Site
from finelens.web.thumbnail import media_type
from finelens.web.uploads import FIELD, receive_uploads

SMALL_PX, LARGE_PX = 192, 1024

_MOST_ITEMS = 1000
_BINARY = {"type": "string", "format": "binary"}
_INPUTS: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "A form whose parts called files are the inputs, one or many; or the bytes "
        "of one file, under any other content type. The bytes alone tell the kind.",
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {FIELD: {"type": "array", "items": _BINARY, "minItems": 1}},
                    "required": [FIELD],
                    "additionalProperties": False,
                }
            },
            "application/octet-stream": {"schema": _BINARY},
        },
    }
}
# its own scripts run, but as those of a stranger: they reach neither cookies nor the API
_REPORT_HEADERS = {
    "content-security-policy": "sandbox allow-scripts allow-popups; default-src 'none'; "
    "script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; font-src data:; "
    "frame-ancestors 'self'",
    "x-frame-options": "SAMEORIGIN",
}


def _site(request: Request) -> Site:
    return request.app.state.site


def _run(
    site: Annotated[Site, Depends(_site)],
    run: Annotated[
        str | None, Query(description="A served run's name [default: the first].")
    ] = None,
) -> ServedRun:
    return site.run(run)


TheSite = Annotated[Site, Depends(_site)]
TheRun = Annotated[ServedRun, Depends(_run)]

router = APIRouter(responses=documented("token-needed", "foreign-origin", "foreign-host"))


@router.post(
    "/v1/predict",
    openapi_extra=_INPUTS,
    responses=documented(
        "not-found", "body-too-large", "file-too-large", "too-many-files", "bad-request",
        "upload-took-too-long", "overloaded", "model-failed",
    ),
)  # fmt: skip
async def predict(request: Request, site: TheSite, run: TheRun) -> Predictions:
    """Say what is in pictures or clips: one row for every input, in their order."""
    async with receive_uploads(request, site.uploads, site.limits) as uploads:
        return Predictions(run=run.name, rows=await run.predict(uploads))


@router.get("/v1/model", responses=documented("not-found", "bad-request"))
def model(site: TheSite, run: TheRun) -> ModelInfo:
    """Tell a model's classes, thresholds, preprocessing and figures."""
    return run.info(list(site.runs))


@router.get("/v1/top/{class_name:path}", responses=documented("not-found", "bad-request"))
def top(
    run: TheRun,
    class_name: Annotated[str, Path(description="A class's name.")],
    n: Annotated[int, Query(ge=1, le=_MOST_ITEMS)] = 50,
    split: Annotated[
        str | None, Query(description="An evaluated split [default: test, else val].")
    ] = None,
) -> TopItems:
    """List the run's own pictures or clips of the highest probability of a class."""
    try:
        return run.top(class_name, n=n, split=split)
    except FinelensError as error:
        raise Refusal("not-found", str(error)) from error


@router.get(
    "/v1/items/{item}",
    response_class=Response,
    responses={
        **documented("not-found", "bad-request"),
        200: {
            "description": "A JPEG; of a clip that moves, a WebP.",
            "content": {"image/jpeg": {"schema": _BINARY}, "image/webp": {"schema": _BINARY}},
        },
    },
)
async def item(
    run: TheRun,
    item: Annotated[str, Path(pattern=ITEM_ID, description="An opaque id of /v1/top.")],
    large: Annotated[bool, Query(description="Whether it is large; a clip then moves.")] = False,
) -> Response:
    """Show one of the run's own pictures, or a clip's frames."""
    thumbnail = await run.thumbnail(
        item, longest_px=LARGE_PX if large else SMALL_PX, is_moving=large
    )
    return Response(thumbnail, media_type=media_type(thumbnail))


@router.get(
    "/v1/report",
    response_class=Response,
    responses={**documented("not-found", "bad-request"), 200: {"content": {"text/html": {}}}},
)
def report(run: TheRun) -> Response:
    """Show the run's report: one page that needs nothing else, and is shut off from this site."""
    path = run.directory.report
    if not path.is_file():
        raise Refusal("not-found", "the run has no report; `finelens evaluate` writes it")
    return Response(path.read_bytes(), media_type="text/html", headers=_REPORT_HEADERS)


@router.get("/healthz", responses=documented("server-failed"))
def health(site: TheSite) -> Health:
    """Say whether the server lives; needs no token."""
    if not site.batching.is_alive:
        raise Refusal("server-failed", "the model thread has ended; start the server again")
    return Health(status="ok")


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
def metrics(site: TheSite) -> Response:
    """Tell what the server did and does, in Prometheus' text format."""
    return Response(site.metrics.exposition(), media_type=METRICS_TYPE)
