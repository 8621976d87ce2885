from __future__ import annotations

import math

import pytest

from ccrouter.demo import failures
from ccrouter.demo.mind import reply
from ccrouter.demo.script import Refusal, Script
from ccrouter.wire.grammar import Grammar
from tests.demo.shapes import ask


def refused(prompt):
    answer = reply(ask(prompt), message_id="msg_1")
    assert isinstance(answer, Refusal)
    return answer


def streamed(prompt, **more):
    answer = reply(ask(prompt, **more), message_id="msg_1")
    assert isinstance(answer, Script)
    return answer


@pytest.mark.parametrize(
    ("what", "status", "kind"),
    [
        ("400", 400, "invalid_request_error"),
        ("401", 401, "authentication_error"),
        ("404", 404, "not_found_error"),
        ("422", 422, "invalid_request_error"),
        ("429", 429, "rate_limit_error"),
        ("408", 408, "timeout_error"),
        ("500", 500, "api_error"),
        ("503", 503, "overloaded_error"),
        ("529", 529, "overloaded_error"),
        ("overloaded", 529, "overloaded_error"),
    ],
)
def test_a_status_is_refused_with_its_error_type(what, status, kind):
    answer = refused(f"fail {what}")
    assert (answer.status, answer.kind) == (status, kind)


def test_a_429_says_when_to_come_back():
    assert refused("fail 429").headers == (("retry-after", "1"),)
    assert refused("fail 529").headers == ()


def test_overflow_uses_the_words_that_make_claude_code_compact():
    answer = refused("fail overflow")
    assert (answer.status, answer.kind) == (400, "invalid_request_error")
    assert answer.message == "prompt is too long: 200001 tokens > 200000 maximum"


@pytest.mark.parametrize("what", ["600", "399", "12", "mysteriously", ""])
def test_an_unknown_failure_is_answered_with_the_names_that_there_are(what):
    text = "".join(piece.event.get("delta", {}).get("text", "") for piece in streamed(f"fail {what}").pieces)
    assert failures.names() in text


@pytest.mark.parametrize(("what", "end"), [("cut", "cut"), ("silent", "silent")])
@pytest.mark.parametrize("amount", ["", " 0", " 3", " 100000"])
def test_a_stream_that_breaks_never_looks_whole(what, end, amount):
    script = streamed(f"fail {what}{amount}")
    assert script.end == end
    assert all(piece.event["type"] not in ("message_delta", "message_stop") for piece in script.pieces)
    if amount == " 3":
        assert len(script.pieces) == 3


def test_by_default_a_stream_breaks_in_the_middle_of_its_text():
    assert [piece.event["type"] for piece in streamed("fail cut").pieces][-1] == "content_block_delta"


@pytest.mark.parametrize("amount", ["", " 0", " 4"])
def test_an_error_event_ends_the_stream_within_the_grammar(amount):
    grammar = Grammar()
    script = streamed(f"fail error{amount}")
    for piece in script.pieces:
        grammar.feed(piece.event)
    grammar.finish()
    assert script.pieces[-1].event["error"]["type"] == "overloaded_error"
    assert script.end == "whole"


@pytest.mark.parametrize("what", failures.STREAMS)
def test_without_a_stream_the_same_request_succeeds(what):
    script = streamed(f"fail {what}", stream=False)
    assert script.end == "whole"
    assert script.pieces[-1].event["type"] == "message_stop"


@pytest.mark.parametrize(
    ("what", "delay"), [("slow", 20), ("slow 2", 2), ("slow 0", 0), ("hang", math.inf), ("hang 3", math.inf)]
)
def test_a_late_answer_is_whole_once_it_comes(what, delay):
    script = streamed(f"fail {what}")
    assert script.delay == delay
    assert script.pieces[-1].event["type"] == "message_stop"


def test_a_failing_answer_thinks_when_asked_to():
    script = streamed("fail cut", thinking={"type": "adaptive"})
    assert script.pieces[1].event["content_block"]["type"] == "thinking"
