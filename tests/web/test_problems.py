import json
from typing import get_args

from starlette.exceptions import HTTPException

from finelens.web.problems import (
    MEDIA_TYPE,
    PROBLEMS,
    Kind,
    Refusal,
    documented,
    problem_response,
)


def test_every_kind_has_its_status_and_words():
    assert set(PROBLEMS) == set(get_args(Kind))
    assert all(400 <= status < 600 for status, _ in PROBLEMS.values())
    assert len({title for _, title in PROBLEMS.values()}) == len(PROBLEMS)


def test_a_refusal_is_answered_as_rfc_9457_writes_it():
    answer = problem_response(
        Refusal("overloaded", "come again", headers={"Retry-After": "3", "Connection": "close"})
    )
    assert answer.status_code == 503
    assert answer.headers["content-type"] == MEDIA_TYPE
    assert answer.headers["retry-after"] == "3"
    assert json.loads(answer.body) == {
        "type": "urn:finelens:problem:overloaded",
        "title": "The server has too much to do",
        "status": 503,
        "detail": "come again",
    }


def test_an_exception_of_http_becomes_a_problem_without_a_kind():
    answer = problem_response(HTTPException(405, headers={"Allow": "GET"}))
    assert answer.headers["allow"] == "GET"
    content = json.loads(answer.body)
    assert (content["type"], content["title"]) == ("about:blank", "Method Not Allowed")


def test_kinds_of_one_status_are_documented_together():
    told = documented("file-too-large", "too-many-pixels", "not-found")
    assert set(told) == {404, 413}
    assert told[413]["description"] == "The file is too large; there are too many pixels"
    assert list(told[413]["content"]) == [MEDIA_TYPE]
