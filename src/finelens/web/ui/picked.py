"""What was picked: a picture or clip as the page's script sends it, made an input of a run."""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi.concurrency import run_in_threadpool

from finelens.web.problems import Refusal, problem
from finelens.web.served_run import OwnExample, ServedRun
from finelens.web.site import Site
from finelens.web.uploads import Upload

_BASE64 = ";base64,"


@asynccontextmanager
async def open_picked(
    site: Site, run: ServedRun, picked: Any
) -> AsyncIterator[Upload | OwnExample]:
    """Give what was picked as an input; an upload's file is removed when the block ends.

    Args:
        site: Whose limits hold.
        run: Whose items may be meant.
        picked: ``{"item": id}`` of the run's own data, or an upload's ``{"data": data URI}``.

    Raises:
        Refusal: If it is neither.
    """
    match picked:
        case {"item": str(item)}:
            place = await run_in_threadpool(run.items.place, item)
            if place is None:
                raise Refusal("not-found", "the example is not known any more; reload the page")
            yield OwnExample(place)
        case {"data": str(data)}:
            upload = Upload("", site.uploads.new_path())
            try:
                await run_in_threadpool(_write, upload, data, site.limits.file_bytes)
                yield upload
            finally:
                upload.path.unlink(missing_ok=True)
        case _:
            raise Refusal("bad-request", "nothing was picked; choose a file or an example")


def _write(upload: Upload, data: str, most: int) -> None:
    """Write an upload's bytes, just as the browser had them."""
    start = data.find(_BASE64)
    if not data.startswith("data:") or start < 0:
        raise Refusal("bad-request", "the file did not come whole; choose it again")
    try:
        content = base64.b64decode(data[start + len(_BASE64) :], validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refusal("bad-request", "the file did not come whole; choose it again") from error
    upload.num_bytes = len(content)
    if upload.num_bytes > most:
        detail = f"the file is over the limit of {most} bytes; choose a smaller one"
        upload.problem = problem("file-too-large", detail)
        return
    upload.path.write_bytes(content)
