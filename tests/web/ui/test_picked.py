import asyncio
import base64

import pytest

from finelens.web.limits import Limits
from finelens.web.problems import Refusal
from finelens.web.site import Site
from finelens.web.ui.picked import open_picked


@pytest.fixture(scope="module")
def site(trained):
    site = Site([trained], limits=Limits(file_bytes=1000))
    yield site
    site.close()


def data_uri(content, kind="image/jpeg"):
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def read(site, picked):
    """Return what is opened, its bytes, and whether its file is there afterwards."""

    async def run():
        async with open_picked(site, site.run(None), picked) as given:
            content = given.path.read_bytes() if given.path.exists() else None
        return given, content, given.path.exists()

    return asyncio.run(run())


@pytest.mark.parametrize("content", [b"", b"\xff\xd8\xff" + bytes(range(256)), b"words"])
def test_an_upload_has_the_bytes_of_the_browser_and_is_gone_afterwards(site, content):
    given, found, is_left = read(site, {"data": data_uri(content, "application/octet-stream")})
    assert found == content
    assert given.num_bytes == len(content)
    assert given.problem is None
    assert not is_left
    assert given.path.parent == site.uploads.root


def test_an_upload_over_the_limit_is_refused_and_not_kept(site):
    given, found, _ = read(site, {"data": data_uri(bytes(1001))})
    assert given.problem is not None
    assert "1000 bytes" in given.problem.detail
    assert found is None
    (row,) = asyncio.run(site.run(None).predict([given]))
    assert row.error is not None
    assert row.error.status == 413


@pytest.mark.parametrize(
    "picked",
    [
        None, {}, [], "data:image/png;base64,AAAA", {"data": 3}, {"data": "AAAA"},
        {"data": "file:///etc/passwd"}, {"data": "data:image/png;base64,A"},
        {"data": "data:image/png;base64,é"}, {"path": "/etc/passwd"}, {"item": "../../etc/passwd"},
        {"item": "0" * 32}, {"item": 1},
    ],
)  # fmt: skip
def test_what_is_neither_an_upload_nor_an_item_is_refused(site, picked):
    with pytest.raises(Refusal):
        read(site, picked)
    assert list(site.uploads.root.iterdir()) == []


def test_an_item_is_the_runs_own_file(site):
    run = site.run(None)
    item = run.items.id_of("val", run.items.scores("val").ids[3])

    async def place():
        async with open_picked(site, run, {"item": item}) as given:
            return given.place.path

    assert asyncio.run(place()) == run.items.scores("val").paths[3]
