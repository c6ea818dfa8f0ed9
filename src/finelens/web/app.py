"""The application: a site's REST API and its page behind one gate."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from fastapi import FastAPI

from finelens import __version__
from finelens.web import rest
from finelens.web.body_guard import BodyGuard
from finelens.web.page import BuildPage, PageRoutes, mount_page
from finelens.web.problems import answer_with_problems
from finelens.web.request_count import RequestCount
from finelens.web.security import Gate
from finelens.web.site import Site


def create_app(
    site: Site,
    *,
    token: str | None = None,
    is_local: bool = True,
    build_page: BuildPage | None = None,
) -> FastAPI:
    """Return the application of a site, which it closes when it ends.

    Args:
        site: What is served.
        token: What clients must know; None lets everybody in.
        is_local: Whether it is reached by names of this machine alone.
        build_page: Makes the page at ``/``; None leaves it out.
    """
    page = None if build_page is None else mount_page(site, build_page)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            stack.callback(site.close)
            if page is not None:
                await stack.enter_async_context(page.router.lifespan_context(page))
            yield

    app = FastAPI(
        title="finelens",
        version=__version__,
        summary="Says what is in pictures and clips, and shows a run's own.",
        lifespan=lifespan,
        # the pages of FastAPI load their scripts from elsewhere
        docs_url=None,
        redoc_url=None,
    )
    app.state.site = site
    answer_with_problems(app)
    app.include_router(rest.router)
    # the last one added is the outermost
    if page is not None:
        app.add_middleware(PageRoutes, page=page)
    app.add_middleware(BodyGuard, limits=site.limits)
    app.add_middleware(Gate, token=token, is_local=is_local)
    app.add_middleware(RequestCount, metrics=site.metrics)
    return app
