import http.client

import pytest

from finelens.web.app import create_app
from finelens.web.limits import Limits
from finelens.web.site import Site


@pytest.fixture
def connection(serve_live, bare_run):
    """Return one connection to a real port; it must not be opened twice."""
    with serve_live(create_app(Site([bare_run], limits=Limits(request_bytes=50_000)))) as address:
        opened = http.client.HTTPConnection(*address, timeout=90)
        opened.connect()
        opened.auto_open = 0
        yield opened
        opened.close()


def answer_of(connection, method, path, body=None, **headers):
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    return answer.status, answer.read(), answer.getheader("connection")


def test_a_connection_is_kept_after_answers_to_whole_requests(connection, picture_bytes):
    for _ in range(2):
        assert answer_of(connection, "GET", "/v1/model")[0] == 200
        assert answer_of(connection, "GET", "/nowhere")[0] == 404
        assert answer_of(connection, "POST", "/v1/predict", picture_bytes(0))[0] == 200
        assert answer_of(connection, "POST", "/v1/predict", b"")[0] == 200


def test_a_connection_is_shut_where_the_rest_of_a_request_is_not_wanted(connection):
    status, content, shut = answer_of(connection, "POST", "/v1/predict", bytes(50_001))
    assert (status, shut) == (413, "close")
    assert b"over the limit of 50000 bytes" in content


@pytest.mark.parametrize("length", ["50001", "9" * 15])
def test_a_length_that_is_too_large_is_refused_before_anything_comes(connection, length):
    connection.putrequest("POST", "/v1/predict")
    connection.putheader("Content-Length", length)
    connection.endheaders()
    answer = connection.getresponse()
    assert (answer.status, answer.getheader("connection")) == (413, "close")
