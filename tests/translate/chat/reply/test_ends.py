"""Why a message ends, and errors inside 200."""

from __future__ import annotations

import pytest

from ccrouter.errors import TruncatedStream
from ccrouter.providers.provider import Model
from ccrouter.translate import tokens
from ccrouter.wire.fold import fold
from tests.translate.chat.reply.chunks import (
    REQUEST,
    answer,
    bridge,
    call,
    chunk,
    events_in,
    failure,
    message,
    spelled,
    target,
)

# Ends


@pytest.mark.parametrize(
    ("finish", "reason"),
    [("stop", "end_turn"), ("tool_calls", "end_turn"), ("eos", "end_turn"), ("length", "max_tokens"), ("sensitive", "refusal"), ("odd", "end_turn")],
)  # fmt: skip
def test_every_finish_reason_ends_the_message(finish, reason):
    assert message(chunk({"content": "a"}), chunk({}, finish))["stop_reason"] == reason


@pytest.mark.parametrize("finish", ["stop", "tool_calls", "function_call", "eos", "odd"])
def test_with_calls_the_reason_is_that_they_are_to_be_made(finish):
    assert message(chunk(call()), chunk({}, finish))["stop_reason"] == "tool_use"


@pytest.mark.parametrize(
    ("finish", "kind"),
    [("error", "api_error"), ("network_error", "api_error"), ("insufficient_system_resource", "overloaded_error")],
)
def test_a_finish_reason_that_is_a_failure_is_an_error(finish, kind):
    error, at_once = failure(chunk({"content": "a"}), chunk({}, finish))
    assert (error["type"], at_once) == (kind, False)
    reply = bridge(target())
    reply.feed(spelled(chunk({}, finish)))
    assert reply.failure is not None
    assert reply.failure.status == {"api_error": 500, "overloaded_error": 529}[kind]


@pytest.mark.parametrize("done", [True, False])
@pytest.mark.parametrize("chunks", [[], [chunk({"content": "a"})], [chunk(call())], [chunk({"content": "a"}, "")]])
def test_a_stream_without_a_reason_is_never_whole(chunks, done):
    reply = bridge(target())
    with pytest.raises(TruncatedStream):
        reply.feed(spelled(*chunks, done=done) + b"\n")
        reply.close()
    assert not reply.ended


def test_a_refusal_in_its_own_field_is_text_and_the_reason():
    folded = message(chunk({"refusal": "I can"}), chunk({"refusal": "'t."}), chunk({}, "stop"))
    assert (folded["content"], folded["stop_reason"]) == ([{"type": "text", "text": "I can't."}], "refusal")
    assert folded["stop_details"] == {"type": "refusal", "category": None, "explanation": "I can't."}


# Stop sequences


def test_a_stop_sequence_ends_the_message_at_once():
    reply = bridge(target(), REQUEST | {"stop_sequences": ["END", "STOP"]})
    out = reply.feed(spelled(chunk({"content": "aS"}), chunk({"content": "TOPb"}), done=False))
    folded = fold(events_in(out))
    assert reply.ended
    assert folded["content"] == [{"type": "text", "text": "a"}]
    assert (folded["stop_reason"], folded["stop_sequence"]) == ("stop_sequence", "STOP")


def test_what_only_began_like_a_stop_sequence_is_text():
    folded = message(chunk({"content": "aST"}), chunk({}, "stop"), stop_sequences=["STOP"])
    assert (folded["content"][0]["text"], folded["stop_reason"]) == ("aST", "end_turn")


def test_a_stop_sequence_counts_in_text_held_back_for_another_reason():
    folded = message(chunk({"content": "<thi"}), chunk({}, "stop"), stop_sequences=["<"])
    assert (folded["content"], folded["stop_sequence"]) == ([], "<")


def test_reasoning_is_not_cut():
    folded = message(chunk({"content": "<think>a STOP</think>b"}), chunk({}, "stop"), stop_sequences=["STOP"])
    assert [block["type"] for block in folded["content"]] == ["thinking", "text"]


@pytest.mark.parametrize("key", ["stop_reason", "matched_stop"])
@pytest.mark.parametrize(
    ("value", "expected"),
    [("END", ("stop_sequence", "END")), ("other", ("end_turn", None)), (151645, ("end_turn", None))],
)
def test_a_stop_sequence_that_the_backend_names_is_named(key, value, expected):
    last = chunk({}, "stop")
    last["choices"][0][key] = value
    folded = message(chunk({"content": "a"}), last, stop_sequences=["END"])
    assert (folded["stop_reason"], folded["stop_sequence"]) == expected


# Errors inside 200


@pytest.mark.parametrize(
    ("said", "kind", "words"),
    [
        ({"error": {"message": "slow", "code": 429}}, "rate_limit_error", "p: slow"),
        ({"error": {"message": "slow", "code": "429"}}, "rate_limit_error", "p: slow"),
        ({"error": {"message": "x", "type": "server_error", "code": "server_is_overloaded"}}, "overloaded_error", "p: x"),
        ({"error": "boom"}, "api_error", "p: boom"),
        ({"error": {"message": "no"}, "choices": []}, "api_error", "p: no"),
        ({"object": "error", "message": "bad", "code": 400}, "invalid_request_error", "p: bad"),
        ({"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}, "overloaded_error", "p: busy"),
        ({"detail": "Not allowed"}, "api_error", "p: Not allowed"),
        ({"choices": [{"index": 0, "error": {"code": 502, "message": "gone"}, "finish_reason": "error"}]}, "api_error", "p: gone"),
        ({"error": {"message": "outer", "metadata": {"raw": "inner"}}}, "api_error", "p: outer: inner"),
    ],
)  # fmt: skip
def test_an_error_inside_the_stream_is_told_in_the_clients_types(said, kind, words):
    assert failure(said, done=False) == ({"type": kind, "message": words}, True)
    assert failure(chunk({"content": "a"}), said, done=False) == ({"type": kind, "message": words}, False)


def test_an_error_event_needs_no_member_of_that_name():
    error, _ = failure(b'event: error\ndata: {"message":"boom"}\n\n', done=False)
    assert error == {"type": "api_error", "message": "p: boom"}


def test_nothing_is_heard_after_an_error():
    out, _ = answer([spelled({"error": "boom"}, chunk({"content": "a"}, "stop"))], target())
    assert len(events_in(out)) == 1


def test_an_overflow_is_told_in_the_clients_words_with_what_is_known():
    words = "This model's maximum context length is 4096 tokens. However, your messages resulted in 5000 tokens."
    for said in ({"message": words}, {"message": "Provider returned error", "metadata": {"raw": words}}):
        error, _ = failure({"error": said}, done=False)
        assert error == {
            "type": "invalid_request_error",
            "message": "prompt is too long: 5000 tokens > 4096 maximum",
        }
    coded = {"error": {"message": "too much", "code": "context_length_exceeded"}}
    error, _ = failure(coded, to=target(models=(Model("m", window=2),)), done=False)
    assert error["message"] == f"prompt is too long: {tokens.estimate(REQUEST)} tokens > 2 maximum"


def test_a_null_error_is_none():
    assert message(chunk({"content": "a"}, "stop", error=None))["stop_reason"] == "end_turn"
