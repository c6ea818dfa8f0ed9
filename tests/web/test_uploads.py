import stat

import pytest

from finelens.web.limits import Limits
from finelens.web.site import Site


def post(client, body, boundary="b"):
    return client.post(
        "/v1/predict",
        content=body,
        headers={"content-type": f"multipart/form-data; boundary={boundary}"},
    )


def part(name, content, filename=None):
    more = "" if filename is None else f'; filename="{filename}"'
    head = f'--b\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'
    return head.encode() + content + b"\r\n"


@pytest.fixture
def site_client(open_client, bare_run):
    return open_client(bare_run, limits=["files=3", "file_bytes=4000", "request_bytes=12000"])


def left(client):
    return list(client.site.uploads.root.iterdir())


def test_a_form_without_file_names_is_read_too(site_client, picture_bytes):
    answer = post(site_client, part("files", picture_bytes(0)) + b"--b--\r\n")
    (row,) = answer.json()["rows"]
    assert (row["name"], row["error"]) == ("", None)


def test_names_are_shown_without_folders_and_control_characters(site_client, picture_bytes):
    names = ["../../etc/passwd", "C:\\Users\\me\\ä b.jpg", "a\x1b[31m.jpg" + "x" * 300]
    body = b"".join(part("files", picture_bytes(0), name) for name in names) + b"--b--\r\n"
    rows = post(site_client, body).json()["rows"]
    assert [row["name"] for row in rows[:2]] == ["passwd", "ä b.jpg"]
    assert rows[2]["name"].startswith("a[31m.jpgxx")
    assert len(rows[2]["name"]) == 200
    assert [row["error"] for row in rows] == [None] * 3


def test_a_file_that_is_too_large_is_its_row_and_not_kept(site_client, picture_bytes):
    small, large = picture_bytes(0), b"\xff\xd8\xff" + bytes(6000)
    body = part("files", small) + part("files", large) + part("files", small) + b"--b--\r\n"
    rows = post(site_client, body).json()["rows"]
    assert [row["error"] is None for row in rows] == [True, False, True]
    assert rows[1]["error"]["status"] == 413
    assert "over the limit of 4000 bytes" in rows[1]["error"]["detail"]


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (part("files", b"x") * 4 + b"--b--\r\n", 413, "may hold 3 files"),
        (part("file", b"x", "x.jpg") + b"--b--\r\n", 422, 'must be "files", not "file"'),
        (part("../../etc/passwd", b"x", "x") + b"--b--\r\n", 422, 'not "passwd"'),
        (part("files", b"x"), 422, "cut off"),
        (part("files", b"x")[:30], 422, "cut off"),
        (b"--b--\r\n", 422, 'holds no field "files"'),
        (b"", 422, "cut off"),
        (b"no form at all", 422, "no sound form"),
        (b"--b\r\n" + b"X-A: b\r\n" * 20 + b"\r\nx\r\n--b--\r\n", 422, "no sound form"),
        (
            b"--b\r\nContent-Disposition: " + b"x" * 9000 + b"\r\n\r\n--b--\r\n",
            422,
            "no sound form",
        ),
        (b"--b\r\n\r\nx\r\n--b--\r\n", 422, 'must be "files"'),
    ],
)
def test_a_form_that_is_none_is_refused_whole(site_client, body, status, words):
    answer = post(site_client, body)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert words in answer.json()["detail"]
    assert left(site_client) == []


def test_a_form_needs_a_boundary_of_sane_length(site_client):
    for kind in ("multipart/form-data", "multipart/form-data; boundary=" + "b" * 300):
        answer = site_client.post("/v1/predict", content=b"x", headers={"content-type": kind})
        assert answer.status_code == 422


def test_an_empty_body_is_an_empty_file(site_client):
    (row,) = site_client.post("/v1/predict", content=b"").json()["rows"]
    assert row["error"]["detail"] == "the file is empty"


def test_uploads_lie_in_a_private_folder_and_only_while_they_are_asked_about(
    site_client, picture_bytes
):
    site = site_client.site
    seen = []
    original = site.decoding.submit

    def submit(job):
        seen.append((job.path, stat.S_IMODE(site.uploads.root.stat().st_mode), left(site_client)))
        return original(job)

    site.decoding.submit = submit
    body = part("files", picture_bytes(0), "../../etc/passwd") + b"--b--\r\n"
    assert post(site_client, body).status_code == 200
    ((path, mode, files),) = seen
    assert mode == 0o700
    assert [str(file) for file in files] == [path]
    assert path.startswith(str(site.uploads.root))
    assert "passwd" not in path
    assert left(site_client) == []


def test_the_folder_is_gone_when_the_site_is(bare_run):
    site = Site([bare_run], limits=Limits())
    assert site.uploads.root.is_dir()
    site.close()
    assert not site.uploads.root.exists()
