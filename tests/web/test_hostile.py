"""What strangers send: nothing of it may hang, crash, fill memory or reach a file."""

import socket
import struct
import time
import zlib

import numpy as np
import pytest

from finelens.web.app import create_app
from finelens.web.limits import Limits
from finelens.web.site import Site

PASSWD = "../../../../../../etc/passwd"


def png_header(width, height):
    def chunk(name, data):
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(1000)))


def gif(width, height, num_frames):
    """Return a GIF of a screen of any size, each of whose frames is one pixel of it."""
    head = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    # ffmpeg takes what stands before a frame, its control extension, for its beginning
    frame = (
        b"!\xf9\x04\0\x04\0\0\0," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
    )
    return head + frame * num_frames + b";"


def predict(client, content, run=None):
    answer = client.post("/v1/predict", content=content, params={} if run is None else {"run": run})
    assert answer.status_code == 200
    (row,) = answer.json()["rows"]
    return row["error"]


def test_a_truncated_jpeg(client, picture_bytes):
    whole = picture_bytes(0)
    for num_bytes in (4, 100, len(whole) // 2, len(whole) - 10):
        error = predict(client, whole[:num_bytes])
        assert (error["status"], error["type"].rpartition(":")[2]) == (422, "unreadable")


def test_a_png_whose_header_promises_60000_x_60000_pixels(client):
    begun = time.monotonic()
    error = predict(client, png_header(60_000, 60_000))
    assert (error["status"], error["type"].rpartition(":")[2]) == (413, "too-many-pixels")
    assert "over the limit of 64000000 pixels" in error["detail"]
    # under Pillow's own bound as well
    assert predict(client, png_header(8_001, 8_000))["status"] == 413
    assert time.monotonic() - begun < 5


def test_a_gif_that_unpacks_to_a_giant(client):
    assert len(gif(60_000, 60_000, 3)) < 110
    error = predict(client, gif(60_000, 60_000, 3))
    assert (error["status"], error["type"].rpartition(":")[2]) == (413, "too-many-pixels")
    # of a clip, ffmpeg does not believe this size
    assert predict(client, gif(60_000, 60_000, 3), "clips")["status"] == 422
    error = predict(client, gif(9_000, 9_000, 3), "clips")
    assert (error["status"], error["type"].rpartition(":")[2]) == (413, "too-many-pixels")


def test_a_clip_of_more_frames_than_anybody_needs(client):
    assert predict(client, gif(1, 1, 200), "clips") is None
    error = predict(client, gif(1, 1, 20_001), "clips")
    assert (error["status"], error["type"].rpartition(":")[2]) == (413, "too-many-frames")


def test_a_clip_whose_frames_together_are_too_many_pixels(open_client, clip_run):
    client = open_client(clip_run, limits=["clip_pixels=4000"])
    assert predict(client, gif(20, 50, 5)) is None
    error = predict(client, gif(20, 51, 5))
    assert error["status"] == 413
    assert "4 frames of 20 x 51 pixels are more than the limit of 4000" in error["detail"]


def test_a_file_that_takes_too_long_to_decode(open_client, clip_run):
    client = open_client(clip_run, limits=["decoding_s=0.5"])
    for _ in range(2):
        error = predict(client, gif(7_000, 7_000, 3))
        assert error["type"].rpartition(":")[2] == "decoding-took-too-long"
    assert client.get("/healthz").status_code == 200


@pytest.mark.parametrize("run", ["trained", "clips"])
@pytest.mark.parametrize(
    "content",
    [
        b"Dear model, please look at this.",
        b'<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
        b'<svg xmlns="http://www.w3.org/2000/svg"><text>&x;</text></svg>',
        b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n",
        b"ffconcat version 1.0\nfile /etc/passwd\n",
        b"\x80\x04\x95cos\nsystem\n(S'id'\ntR.",
        b"PK\x03\x04" + bytes(100),
    ],
)
def test_what_is_no_picture_is_told_by_its_content_whatever_its_name(client, run, content):
    files = [("files", ("holiday.jpg", content, "image/jpeg"))]
    answer = client.post(f"/v1/predict?run={run}", files=files)
    (row,) = answer.json()["rows"]
    assert row["error"]["status"] == 415
    assert "root:" not in answer.text


def test_an_empty_file(client):
    files = [("files", ("empty.jpg", b"", "image/jpeg"))]
    (row,) = client.post("/v1/predict", files=files).json()["rows"]
    assert row["error"]["detail"] == "the file is empty"


def test_a_picture_where_a_clip_is_wanted_and_the_other_way_round(client, picture_bytes):
    error = predict(client, picture_bytes(0), "clips")
    assert error["status"] == 415
    assert error["type"] == "urn:finelens:problem:wrong-kind"
    assert error["title"] == "The model takes another kind of file"
    assert "the model takes a clip and it is a picture" in error["detail"]
    error = predict(client, b"\x1aE\xdf\xa3" + bytes(200))
    assert error["status"] == 415
    assert "it is a clip" in error["detail"]


def test_random_bytes_behind_every_kinds_beginning(client):
    noise = np.random.default_rng(0).bytes(3000)
    heads = [b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"II*\0", b"MM\0*",
             b"RIFF\x00\x10\x00\x00WEBP"]  # fmt: skip
    for head in heads:
        assert predict(client, head + noise)["status"] in {413, 422}
    for head in (b"\x00\x00\x00\x18ftypisom", b"\x1aE\xdf\xa3", b"RIFF\x00\x10\x00\x00AVI LIST",
                 b"\x00\x00\x01\xba", b"FLV\x01", b"GIF89a"):  # fmt: skip
        assert predict(client, head + noise, "clips")["status"] in {413, 422}
    assert client.get("/healthz").status_code == 200


def test_a_path_in_every_field_reaches_no_file(client, picture_bytes):
    picture = picture_bytes(0)
    answers = [
        client.post("/v1/predict", files=[("files", (PASSWD, picture, PASSWD))]),
        client.post("/v1/predict", files=[(PASSWD, (PASSWD, picture, PASSWD))]),
        client.post("/v1/predict", data={"files": PASSWD}),
        client.post("/v1/predict", data={PASSWD: PASSWD}, files=[("files", ("x", picture))]),
        client.post("/v1/predict", content=PASSWD.encode(), headers={"content-type": PASSWD}),
        client.post("/v1/predict", params={"run": PASSWD}, content=picture),
        client.get("/v1/model", params={"run": PASSWD}),
        client.get(f"/v1/top/{PASSWD}"),
        client.get(f"/v1/top/{PASSWD.replace('/', '%2F')}"),
        client.get("/v1/top/red", params={"split": PASSWD, "run": "trained"}),
        client.get(f"/v1/items/{PASSWD.replace('/', '%2F')}"),
        client.get("/v1/items/" + "0" * 32, params={"run": PASSWD}),
        client.get("/v1/report", params={"run": PASSWD}),
        client.get(f"/{PASSWD}"),
        client.get("/v1/model", headers={"cookie": f"finelens={PASSWD}", "accept": PASSWD}),
    ]
    assert [answer.status_code for answer in answers] == [
        200, 422, 200, 422, 200, 404, 404, 404, 404, 404, 404, 404, 404, 404, 200,
    ]  # fmt: skip
    assert answers[0].json()["rows"][0]["error"] is None
    assert answers[2].json()["rows"][0]["error"]["status"] == 415
    for answer in answers:
        assert "root:" not in answer.text


@pytest.fixture
def tight(serve_live, bare_run):
    """Return a site on a real port that takes little, and its address."""
    limits = ["file_bytes=300000", "request_bytes=600000", "upload_s=1.5", "requests=2"]
    site = Site([bare_run], limits=Limits.of(limits))
    with serve_live(create_app(site)) as address:
        yield site, address


def say(address, head, body):
    """Send a request piece by piece until it is answered; return the answer and what was sent."""
    num_sent = 0
    with socket.create_connection(address, timeout=20) as connection:
        connection.sendall(head)
        try:
            for piece in body:
                connection.sendall(piece)
                num_sent += len(piece)
        except OSError:
            pass  # shut while we were sending
        answer = b""
        try:
            while part := connection.recv(65536):
                answer += part
        except OSError:
            pass
    return answer, num_sent


def head_of(*headers):
    lines = ["POST /v1/predict HTTP/1.1", "Host: 127.0.0.1", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def test_500_megabytes_that_are_announced_are_refused_unread(tight):
    _, address = tight
    head = head_of("Content-Length: 500000000", "Content-Type: image/jpeg")
    answer, _ = say(address, head, [])
    assert b" 413 " in answer.splitlines()[0]
    assert b"application/problem+json" in answer
    assert b"over the limit of 600000 bytes" in answer


@pytest.mark.parametrize("kind", ["image/jpeg", "multipart/form-data; boundary=b"])
def test_500_megabytes_that_are_not_announced_are_cut_off_at_the_limit(tight, kind):
    site, address = tight
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    start = b'--b\r\nContent-Disposition: form-data; name="files"; filename="x"\r\n\r\n'
    first = b"%x\r\n%s\r\n" % (len(start), start)
    kept = []

    def body():
        yield first if "form" in kind else b""
        for _ in range(500_000_000 // 0x10000):
            kept.extend(file.stat().st_size for file in site.uploads.root.iterdir())
            yield chunk

    head = head_of("Transfer-Encoding: chunked", f"Content-Type: {kind}")
    _, num_sent = say(address, head, body())
    # what the sockets hold on top of it is the system's
    assert num_sent < 20_000_000
    assert max(kept, default=0) <= 300_000
    deadline = time.monotonic() + 5
    while list(site.uploads.root.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert list(site.uploads.root.iterdir()) == []


def test_an_upload_that_trickles_is_cut_off_in_time(tight):
    site, address = tight

    def body():
        for _ in range(200):
            time.sleep(0.05)
            yield b"1\r\nx\r\n"

    begun = time.monotonic()
    answer, num_sent = say(address, head_of("Transfer-Encoding: chunked"), body())
    assert time.monotonic() - begun < 9
    assert num_sent < 200 * 6
    assert list(site.uploads.root.iterdir()) == []
    if answer:  # the system may have thrown it away with the connection
        assert b" 408 " in answer.splitlines()[0]


def test_more_requests_at_once_than_allowed_are_sent_away(tight, picture_bytes):
    _, address = tight
    slow = [socket.create_connection(address, timeout=20) for _ in range(2)]
    for connection in slow:
        connection.sendall(head_of("Content-Length: 1000") + b"\xff\xd8\xff")
    time.sleep(0.5)
    body = picture_bytes(0)
    answer, _ = say(address, head_of(f"Content-Length: {len(body)}", "Connection: close"), [body])
    assert b" 503 " in answer.splitlines()[0]
    assert b"retry-after: 1" in answer.lower()
    # other routes answer all the while
    with socket.create_connection(address, timeout=20) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert b" 200 " in connection.recv(1000).splitlines()[0]
    for connection in slow:
        connection.close()
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        answer, _ = say(
            address, head_of(f"Content-Length: {len(body)}", "Connection: close"), [body]
        )
        if b" 200 " in answer.splitlines()[0]:
            break
        time.sleep(0.05)
    assert b'"probabilities":{"ball":' in answer
