"""Calls of tools."""

from __future__ import annotations

import json

import pytest

from ccrouter.wire.fold import fold
from tests.translate.chat.reply.chunks import (
    answer,
    call,
    chunk,
    events_in,
    failure,
    message,
    payloads,
    spelled,
    target,
)


def test_calls_have_ids_of_their_own_even_where_the_backend_gives_none_or_one_for_all():
    folded = message(
        chunk(call(call_id="")),
        chunk(call(call_id="a", index=1)),
        chunk(call(call_id="a", index=2)),
        chunk({}, "stop"),
    )
    ids = [block["id"] for block in folded["content"]]
    assert len(set(ids)) == 3
    assert all(each.replace("_", "").replace("-", "").isalnum() and each.isascii() for each in ids)


@pytest.mark.parametrize("arguments", ['{"x":', "[1]", "words"])
def test_arguments_that_are_no_object_are_an_error_before_anything_was_written(arguments):
    error, at_once = failure(chunk(call(arguments=arguments)), chunk({}, "tool_calls"))
    assert error == {"type": "api_error", "message": "p: the arguments of the call of 'Read' are no JSON object"}
    assert at_once


def test_a_call_without_a_name_is_an_error():
    assert (
        failure(chunk(call(name="")), chunk({}, "tool_calls"))[0]["message"]
        == "p: the backend called a tool without naming it"
    )


@pytest.mark.parametrize(
    ("finish", "reason"),
    [("length", "max_tokens"), ("content_filter", "refusal"), ("model_length", "model_context_window_exceeded")],
)
@pytest.mark.parametrize("arguments", ['{"x":', "", "{}", "[1]"])
def test_a_call_that_was_broken_off_is_left_out(finish, reason, arguments):
    folded = message(chunk(call()), chunk(call(arguments=arguments, index=1)), chunk({}, finish))
    assert [block["input"] for block in folded["content"]] == [{"x": 1}]
    assert folded["stop_reason"] == reason


def test_a_call_that_was_left_out_was_written_all_the_same():
    folded = message(chunk(call(arguments='{"content":"' + "abc def " * 500)), chunk({}, "length"))
    assert all(block["type"] != "tool_use" for block in folded["content"])
    assert folded["usage"]["output_tokens"] > 500


def test_a_call_without_arguments_is_whole():
    assert message(chunk(call(arguments="")), chunk({}, "stop"))["content"][0]["input"] == {}


def test_a_long_call_shows_that_it_lives():
    text = json.dumps({"x": "a" * 9000})
    fragments = [chunk(call(arguments=text[place : place + 100])) for place in range(0, len(text), 100)]
    behind = message(chunk({"reasoning": "why"}), *fragments, chunk({}, "stop"), to=target(replay="reasoning"))
    assert [block["type"] for block in behind["content"]] == ["thinking", "tool_use"]
    assert payloads(behind) == [{"f": "reasoning"}]
    out, _ = answer([spelled(*fragments, chunk({}, "stop"))], target())
    assert sum(event["type"] == "content_block_delta" for event in events_in(out)) == 6  # and signature and input
    folded = fold(events_in(out))
    assert [block["type"] for block in folded["content"]] == ["thinking", "tool_use"]
    assert (folded["content"][0]["thinking"], payloads(folded)) == ("", [None])
