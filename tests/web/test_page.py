"""A real Gradio page behind its list of routes; the page of finelens has tests of its own."""

import os

import pytest
from starlette.testclient import TestClient

from finelens.web.app import create_app
from finelens.web.limits import Limits
from finelens.web.page import check_components
from finelens.web.site import Site

SHUT = [
    "/gradio_api/upload",
    "/gradio_api/upload_progress?upload_id=1",
    "/gradio_api/file=/etc/passwd",
    "/gradio_api/file/etc/passwd",
    "/gradio_api/proxy=http://127.0.0.1/",
    "/gradio_api/info",
    "/gradio_api/openapi.json",
    "/gradio_api/component_server",
    "/gradio_api/run/told",
    "/gradio_api/api/told",
    "/gradio_api/call/told",
    "/gradio_api/call/v2/told",
    "/gradio_api/token",
    "/gradio_api/user",
    "/gradio_api/app_id",
    "/gradio_api/login_check",
    "/gradio_api/cancel",
    "/gradio_api/reset",
    "/gradio_api/queue/status",
    "/gradio_api/startup-events",
    "/gradio_api/deep_link",
    "/gradio_api/runs",
    "/gradio_api/process_recording",
    "/gradio_api/vibe-edit",
    "/gradio_api/vibe-code",
    "/gradio_api/dev/reload",
    "/gradio_api/custom_component/a/client/b/c.js",
    "/gradio_api/stream/a/b/c/playlist.m3u8",
    "/gradio_api/run-history/buckets",
    "/gradio_api/profiling/traces",
    "/config",
    "/login",
    "/logout",
    "/monitoring",
    "/monitoring/summary",
    "/svelte/a.js",
    "/pwa_icon",
    "/manifest.json",
    "/robots.txt",
    "/file=/etc/passwd",
    "/file/etc/passwd",
    "/proxy=http://127.0.0.1/",
    "/upload",
    "/static/../../../../etc/passwd",
    "/assets/..%2f..%2f..%2fetc/passwd",
    "/static/%2e%2e/%2e%2e/etc/passwd",
    "/assets/..\\..\\etc\\passwd",
]


def build_page(site):
    import gradio as gr

    with gr.Blocks(title="finelens") as page:
        box = gr.Textbox(", ".join(site.runs))
        box.change(lambda text: text.upper(), box, box, api_name="told")
    return page


@pytest.fixture(scope="module")
def paged(bare_run):
    site = Site([bare_run], limits=Limits(file_bytes=30_000))
    with TestClient(
        create_app(site, build_page=build_page),
        base_url="http://127.0.0.1",
        raise_server_exceptions=False,
    ) as opened:
        yield opened


def test_the_page_stands_at_the_root_with_its_own_headers(paged):
    answer = paged.get("/")
    assert answer.status_code == 200
    assert "<gradio-app" in answer.text
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "http" not in policy
    assert answer.headers["x-frame-options"] == "DENY"
    assert paged.get("/theme.css").status_code == 200
    for name in ("/assets/nowhere.js", "/static/nowhere.js"):
        assert paged.get(name).status_code in {403, 404}


def test_an_event_goes_through_the_queue(paged):
    body = {"data": ["abc"], "fn_index": 0, "session_hash": "s1", "trigger_id": 1}
    assert paged.post("/gradio_api/queue/join", json=body).status_code == 200
    with paged.stream("GET", "/gradio_api/queue/data?session_hash=s1") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert any('"ABC"' in line for line in answer.iter_lines())


@pytest.mark.parametrize("path", SHUT)
def test_every_other_route_of_gradio_is_shut(paged, path):
    for method in ("GET", "POST", "HEAD", "PUT", "DELETE"):
        answer = paged.request(method, path)
        assert answer.status_code in {404, 405}
        assert "root:" not in answer.text


def test_the_routes_of_the_page_take_no_other_method(paged):
    for method, path in (("POST", "/"), ("GET", "/gradio_api/queue/join"),
                         ("POST", "/gradio_api/queue/data"), ("POST", "/assets/x.js")):  # fmt: skip
        assert paged.request(method, path).status_code in {404, 405}


def test_gradios_own_queries_are_not_heard(paged):
    assert paged.get("/?deep_link=../../etc/passwd&page=x").text == paged.get("/").text


def test_an_event_larger_than_a_file_as_text_is_refused(paged):
    body = {"data": ["x" * 1_200_000], "fn_index": 0, "session_hash": "s2", "trigger_id": 1}
    assert paged.post("/gradio_api/queue/join", json=body).status_code == 413


def test_the_api_answers_beside_the_page(paged, picture_bytes):
    assert paged.get("/v1/model").json()["run"] == "bare"
    assert paged.post("/v1/predict", content=picture_bytes(0)).status_code == 200
    assert paged.delete("/v1/predict").status_code == 405


@pytest.mark.usefixtures("paged")
def test_gradio_sends_nothing_home():
    import gradio.analytics

    assert not gradio.analytics.analytics_enabled()
    assert os.environ["HF_HUB_DISABLE_TELEMETRY"] == "True"


def test_components_that_move_files_are_refused():
    import gradio as gr

    for make in (gr.Image, gr.Gallery, gr.File, gr.UploadButton, gr.FileExplorer):
        with gr.Blocks() as page:
            make()
        with pytest.raises(AssertionError, match="moves files"):
            check_components(page)
    with gr.Blocks() as page:
        gr.HTML()
        gr.Dataframe()
        gr.Slider()
        gr.Dropdown()
        gr.Label()
        gr.State()
    check_components(page)
