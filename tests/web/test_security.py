import pytest

from finelens.web.security import is_loopback, make_token

TOKEN = "correct-horse-battery-staple"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def guarded(open_client, bare_run):
    return open_client(bare_run, token=TOKEN, is_local=False)


def test_without_the_token_only_health_answers(guarded):
    assert guarded.get("/healthz").status_code == 200
    for path in ("/", "/v1/model", "/v1/top/ball", "/metrics", "/openapi.json", "/v1/report",
                 "/nowhere", "/v1/model?token=", "/v1/model?token=wrong"):  # fmt: skip
        answer = guarded.get(path, follow_redirects=False)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.json()["type"] == "urn:finelens:problem:token-needed"
        assert TOKEN not in answer.text
    assert guarded.post("/v1/predict", content=b"x").status_code == 401
    assert guarded.post("/v1/predict", params={"token": TOKEN}).status_code == 401


@pytest.mark.parametrize(
    "value", ["", "Bearer", "Bearer ", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x", "Bearer \xff"]
)
def test_what_only_looks_like_the_token_is_refused(guarded, value):
    headers = {"Authorization": value.encode("latin-1")}
    assert guarded.get("/v1/model", headers=headers).status_code == 401


def test_programs_say_the_token_in_a_header(guarded):
    assert guarded.get("/v1/model", headers=BEARER).status_code == 200
    assert guarded.post("/v1/predict", content=b"x", headers=BEARER).status_code == 200


def test_browsers_say_it_once_and_keep_a_cookie(guarded):
    answer = guarded.get(f"/v1/model?run=bare&token={TOKEN}", follow_redirects=False)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/v1/model?run=bare"
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    assert guarded.get("/v1/model").status_code == 200
    guarded.cookies.clear()
    assert guarded.get("/v1/model").status_code == 401


def test_the_address_that_takes_the_token_leads_to_this_server_alone(guarded):
    for path in ("//evil.example/x", "///evil.example"):
        answer = guarded.get(f"http://127.0.0.1{path}?token={TOKEN}", follow_redirects=False)
        location = answer.headers.get("location", "/")
        assert location.startswith("/")
        assert not location.startswith("//")


def test_every_answer_tells_browsers_what_to_refuse(client, guarded, picture_bytes):
    answers = [
        client.get("/v1/model"), client.get("/nowhere"), client.get("/healthz"),
        client.post("/v1/predict", content=picture_bytes(0)), client.delete("/v1/predict"),
        client.get("/v1/model", headers={"host": "evil.example"}), guarded.get("/v1/model"),
        client.get("/metrics"), client.get("/openapi.json"),
    ]  # fmt: skip
    assert [answer.status_code for answer in answers] == [
        200, 404, 200, 200, 405, 421, 401, 200, 200,
    ]  # fmt: skip
    for answer in answers:
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:7860", 200),
        ("localhost", 200),
        ("LOCALHOST:1", 200),
        ("[::1]:7860", 200),
        ("127.8.9.10", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost.evil.example:7860", 421),
        ("evil@127.0.0.1:80", 421),
        ("192.168.0.1", 421),
        ("[::1", 421),
        ("", 421),
    ],
)
def test_on_loopback_only_names_of_this_machine_are_answered(client, host, status):
    assert client.get("/v1/model", headers={"host": host}).status_code == status


def test_elsewhere_any_name_is_answered_that_knows_the_token(guarded):
    headers = BEARER | {"host": "models.example:7860"}
    assert guarded.get("/v1/model", headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://127.0.0.1", 200),
        ("http://127.0.0.1:9999", 403),
        ("http://localhost", 403),
        ("https://evil.example", 403),
        ("null", 403),
        ("", 403),
    ],
)
def test_pages_of_other_sites_are_refused(client, origin, status):
    headers = {"origin": origin, "content-type": "text/plain"}
    assert client.post("/v1/predict", content=b"x", headers=headers).status_code == status
    assert client.get("/v1/model", headers=headers).status_code == status


def test_nothing_speaks_websocket(client):
    from starlette.websockets import WebSocketDisconnect

    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/v1/model"):
        pass


def test_tokens_are_long_and_never_the_same():
    tokens = {make_token() for _ in range(100)}
    assert len(tokens) == 100
    assert {len(token) for token in tokens} == {43}


def test_loopback_is_told_from_elsewhere():
    for host in ("127.0.0.1", "localhost", "::1", "[::1]", "127.1.2.3"):
        assert is_loopback(host)
    for host in ("0.0.0.0", "::", "192.168.1.2", "example.org", "localhost.example.org", ""):
        assert not is_loopback(host)
