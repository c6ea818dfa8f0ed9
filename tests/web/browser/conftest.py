"""A real browser, and two sites for it: one that may be edited and one that may not."""

import contextlib
import shutil

import pytest

from finelens.web.app import create_app
from finelens.web.limits import Limits
from finelens.web.site import Site
from finelens.web.ui import build_page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
WAIT_MS = 60_000
"""For one thing to come about; a busy machine is slow."""


@pytest.fixture(scope="session")
def serve_page(serve_live):
    """Return the context manager that serves a site with its page, and gives it and its address."""

    @contextlib.contextmanager
    def served(*runs, **options):
        site = Site(runs, limits=Limits(), **options)
        with serve_live(create_app(site, build_page=build_page)) as (host, port):
            yield site, f"http://{host}:{port}"

    return served


@pytest.fixture(scope="module")
def browser():
    """Return Debian's Chromium; Playwright's event loop must not outlive this module."""
    if CHROMIUM is None:
        pytest.skip("there is no chromium; `apt-get install chromium`")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # Debian's sandbox needs more than a container may have; the camera is a drawn one
        arguments = ["--no-sandbox", "--disable-gpu", "--use-fake-device-for-media-stream",
                     "--use-fake-ui-for-media-stream"]  # fmt: skip
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def editable(tmp_path_factory, serve_page, trained, clip_run):
    """Return a site that saves thresholds, and its address: pictures first, then clips."""
    run = tmp_path_factory.mktemp("editable") / "pictures"
    shutil.copytree(trained, run)
    with serve_page(run, clip_run, allow_edit=True) as opened:
        yield opened


@pytest.fixture(scope="session")
def closed(tmp_path_factory, serve_page, trained):
    """Return a site of two runs that saves nothing, and its address."""
    other = tmp_path_factory.mktemp("closed") / "other"
    shutil.copytree(trained, other)
    with serve_page(trained, other) as opened:
        yield opened


@pytest.fixture
def open_page(browser):
    """Return a function that opens an address; at the end nothing may have gone elsewhere."""
    asked, said = [], []
    with contextlib.ExitStack() as stack:

        def opened(address, **options):
            context = browser.new_context(**options)
            stack.callback(context.close)
            page = context.new_page()
            page.set_default_timeout(WAIT_MS)
            page.on("request", lambda request: asked.append(request.url))
            page.on("console", lambda message: said.append((message.type, message.text)))
            page.on("pageerror", lambda error: said.append(("error", str(error))))
            page.goto(address)
            page.get_by_role("tab").first.wait_for()
            return page

        yield opened
    elsewhere = ("http://127.0.0.1:", "data:", "blob:")
    assert [url for url in asked if not url.startswith(elsewhere)] == []
    assert [text for kind, text in said if kind == "error"] == []
