"""The page: Gradio behind a list of the few routes it needs; all others do not exist.

What Gradio 6.31's mounted app adds (``gradio/routes.py``), and what a page needs of it, as a real
browser showed with tabs, HTML with scripts of its own, drop-downs, sliders and tables:

- Needed: ``/`` (the page), ``/assets/`` and ``/static/`` (scripts, styles and fonts of the Gradio
  package), ``/theme.css``, ``/favicon.ico``; ``POST /gradio_api/queue/join`` (an event, as JSON)
  and ``GET /gradio_api/queue/data`` (its answers, as a stream), and ``/gradio_api/heartbeat/``
  where the page holds ``gr.State`` or listens to ``unload``.
- Files, shut: ``/gradio_api/upload`` and ``upload_progress`` (writes any file to a folder of
  Gradio's), ``file=``, ``file/``, ``proxy=`` and ``stream/`` (read files and other servers),
  ``custom_component/``, ``component_server`` (calls methods of components, such as that which
  lists folders), ``process_recording``, ``/svelte/``, ``/pwa_icon``.
- Other ways in, shut: ``/gradio_api/run|api|call/`` (functions by name), ``info``,
  ``openapi.json``, ``/config``, ``token``, ``user``, ``app_id``, ``/login``, ``/logout``,
  ``login_check``, ``cancel``, ``reset``, ``queue/status``, ``startup-events``, ``deep_link``,
  ``runs`` and ``run-history/``, ``/monitoring``, ``profiling/``, ``dev/reload``, ``vibe-edit``
  and ``vibe-code`` (which edit the program), ``/manifest.json``, ``/robots.txt``, and MCP.

So a page has no component that takes or gives files (``gr.Image``, ``gr.Gallery``, ``gr.File``,
...): ``check_components`` refuses them. Pictures come in as text (a data URI that a script of a
``gr.HTML`` reads from the file, the clipboard or the camera) and go out as data URIs or as
addresses of ``/v1/items/``. The fonts of the theme must be the system's, its scripts its own.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from fastapi import FastAPI
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from finelens.web.site import Site

if TYPE_CHECKING:
    from gradio import Blocks

BuildPage = Callable[[Site], "Blocks"]
"""Makes the page of a site; may set ``theme``, ``css`` and ``head`` of the blocks it returns."""

_GET = ("GET", "HEAD")
_EXACT = {
    "/": _GET,
    "/favicon.ico": _GET,
    "/theme.css": _GET,
    "/gradio_api/queue/data": _GET,
    "/gradio_api/queue/join": ("POST",),
}
_BELOW = {"/assets/": _GET, "/static/": _GET, "/gradio_api/heartbeat/": _GET}
_ASSETS = "/assets/"
_FILE = "gradio.FileData"
# Gradio's own scripts stand in the page, and make functions of the text of its HTML components
_CSP = "; ".join([
    "default-src 'none'",
    "script-src 'self' 'unsafe-inline' 'unsafe-eval'",
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data: blob:",
    "media-src 'self' data: blob:",
    "font-src 'self' data:",
    "connect-src 'self'",
    "frame-src 'self'",
    "base-uri 'self'",
    "form-action 'none'",
    "frame-ancestors 'none'",
])  # fmt: skip


def mount_page(site: Site, build_page: BuildPage) -> FastAPI:
    """Return an application that is a site's page and nothing else; shut it with ``PageRoutes``."""
    # read when a page is made, which then also stops the telemetry of what Gradio builds on
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    import gradio

    blocks = build_page(site)
    check_components(blocks)
    blocks.queue(
        api_open=False,
        max_size=site.limits.requests,
        default_concurrency_limit=site.limits.requests,
    )
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    return gradio.mount_gradio_app(
        app,
        blocks,
        path="/",
        footer_links=[],
        run_history=False,
        show_error=True,
        max_file_size=1,
        allowed_paths=[],
        ssr_mode=False,
        mcp_server=False,
        enable_monitoring=False,
        pwa=False,
        theme=blocks.theme,
        css=blocks.css,
        head=blocks.head,
    )


def check_components(blocks: Blocks) -> None:
    """Raise where a page has a component that takes or gives files: their routes are shut."""
    import gradio

    moving = (gradio.File, gradio.UploadButton, gradio.DownloadButton, gradio.FileExplorer)
    for block in blocks.blocks.values():
        model = getattr(block, "data_model", None)
        schema = {} if model is None else model.model_json_schema()
        is_moving = _FILE in json.dumps(schema)
        if is_moving or isinstance(block, moving):
            raise AssertionError(f"{type(block).__name__} moves files; show it with gr.HTML")


class PageRoutes:
    """ASGI middleware that passes the page's few routes to the page, and all else on.

    Args:
        app: What answers all else.
        page: As ``mount_page`` made it.
    """

    def __init__(self, app: ASGIApp, *, page: ASGIApp) -> None:
        self._app = app
        self._page = page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http" or not _is_of_page(scope["method"], scope["path"]):
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        if path == "/":
            # Gradio's queries, such as deep_link, name files
            scope = {**scope, "query_string": b""}

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["content-security-policy"] = _CSP
                if path.startswith(_ASSETS):
                    # their names change with their content
                    headers["cache-control"] = "private, max-age=86400"
            await send(message)

        await self._page(scope, receive, send_with_headers)


def _is_of_page(method: str, path: str) -> bool:
    if ".." in path or "\\" in path:
        return False
    methods = _EXACT.get(path) or next(
        (methods for start, methods in _BELOW.items() if path.startswith(start)), ()
    )
    return method in methods
