from __future__ import annotations

import pytest

from ccrouter.providers.presets import PRESETS
from ccrouter.providers.provider import Provider, Target
from ccrouter.translate.chat.failure import failure_in, words_of
from ccrouter.translate.refusal import Rejection, classify
from tests.translate.refused import asked

ANSWER = {"index": 0, "delta": {"content": "a"}}
TARGET = Target(Provider(name="p", preset=PRESETS["minimax"], base_url="https://example.com"), "m")


def result(code, words="no"):
    return {"choices": None, "base_resp": {"status_code": code, "status_msg": words}}


@pytest.mark.parametrize(
    ("chunk", "event", "words"),
    [
        ({"error": "boom"}, None, "boom"),
        ({"error": {"message": "no", "code": 400}, "choices": [ANSWER]}, None, "no"),
        ({"choices": [{**ANSWER, "error": {"message": "gone"}}]}, None, "gone"),
        ({"object": "error", "message": "bad"}, None, "bad"),
        ({"type": "error", "error": {"message": "busy"}}, None, "busy"),
        ({"message": "bad"}, "error", "bad"),
        ({"detail": [{"msg": "field required"}]}, None, '{"msg": "field required"}'),
        ({"error": {"message": "outer", "metadata": {"raw": '{"error": {"message": "inner"}}'}}}, None, "outer: inner"),
        (result(1002, "rate limit"), None, "rate limit"),
        (result(1024, ""), None, '{"status_code": 1024, "status_msg": ""}'),
        ({**result(1000), "choices": [ANSWER]}, None, "no"),
    ],
)  # fmt: skip
def test_an_error_is_found_wherever_it_stands(chunk, event, words):
    found = failure_in(chunk, event)
    assert found is not None
    assert words_of(found) == words


@pytest.mark.parametrize(
    ("chunk", "event"),
    [
        ({"choices": [ANSWER], "detail": "high", "type": "error"}, "error"),
        ({"choices": [{**ANSWER, "index": 1, "error": "of another choice"}, ANSWER]}, None),
        ({"choices": [ANSWER], "error": None}, None),
        ({"choices": [], "usage": {}}, None),
        ({"choices": "x"}, None),
        ({}, None),
        ({"base_resp": {"status_code": 0, "status_msg": "odd field"}}, None),
        ({"base_resp": {"status_code": "0"}}, None),
        ({"base_resp": None}, None),
    ],
)
def test_what_is_no_error_is_none(chunk, event):
    assert failure_in(chunk, event) is None


@pytest.mark.parametrize(
    ("code", "words", "status", "again"),
    [
        (1000, "unknown error", 502, None),
        (1001, "request timeout", 504, None),
        (1002, "rate limit", 429, None),
        (1004, "not authorized", 401, "false"),
        (1008, "insufficient balance", 429, "false"),
        (1026, "input sensitive", 400, None),
        (1039, "token limit", 429, None),
        (2013, "invalid params", 400, None),
        (2049, "invalid API key", 401, "false"),
        (2056, "usage limit exceeded, 5-hour usage limit reached", 429, "false"),
    ],
)
def test_a_result_code_has_the_class_of_what_it_means(code, words, status, again):
    found = failure_in(result(code, words))
    assert found is not None
    told = classify(asked(), TARGET, Rejection(status=200, message=words_of(found), body=found))
    assert (told.status, dict(told.headers).get("x-should-retry")) == (status, again)


def test_a_prompt_that_is_too_long_is_told_in_the_clients_words():
    found = failure_in(result(2013, "invalid params, context window exceeds limit"))
    assert found is not None
    told = classify(asked(), TARGET, Rejection(status=200, message=words_of(found), body=found))
    assert (told.status, told.message) == (400, "prompt is too long")
