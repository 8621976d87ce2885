"""Shapes of chunks."""

from __future__ import annotations

import pytest

from ccrouter.errors import FrameError
from ccrouter.translate import tokens
from tests.translate.chat.reply.chunks import REQUEST, bridge, call, chunk, events_in, message, spelled, target


@pytest.mark.parametrize("data", [b"{", b"5", b"[]", b"null", b'"x"', b"\xff", b"<html>"])
def test_what_is_no_chunk_is_a_broken_stream(data):
    with pytest.raises(FrameError, match=r"^the backend sent a chunk that is no"):
        bridge(target()).feed(b"data: " + data + b"\n\n")


@pytest.mark.parametrize("field", ["reasoning_details", "x"])
def test_a_chunk_that_is_nested_too_deep_is_a_broken_stream(field):
    deep = b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    body = b'data: {"choices":[{"index":0,"delta":{"' + field.encode() + b'":[' + deep + b"]}}]}\n\n"
    with pytest.raises(FrameError, match="nested too deep"):
        bridge(target()).feed(body)


def test_numbers_that_json_does_not_have_are_read_over():
    assert message(b'data: {"choices":[{"index":0,"delta":{"content":"a"},"logprobs":-Infinity}]}\n\n', chunk({}, "stop"))["content"] == [
        {"type": "text", "text": "a"}
    ]  # fmt: skip


def test_nothing_is_written_before_something_was_said():
    reply = bridge(target())
    assert (
        reply.feed(spelled(b": hello\n\n", chunk({"role": "assistant", "content": ""}), chunk(call()), done=False))
        == b""
    )
    assert reply.first is None


def test_a_reply_that_says_nothing_is_whole_all_the_same():
    folded = message(chunk({"role": "assistant"}), chunk({}, "stop"))
    assert (folded["content"], folded["stop_reason"]) == ([], "end_turn")


def test_the_message_has_the_id_and_the_model_that_the_client_knows():
    folded = message(chunk({"content": "a"}, "stop"))
    assert (folded["id"], folded["model"]) == ("msg_1", "claude-sonnet-4-5")


def test_a_chunk_of_usage_behind_the_reason_is_an_end():
    reply = bridge(target())
    reply.feed(
        spelled(chunk({"content": "a"}, "stop"), {"choices": [], "usage": {"prompt_tokens": 1}}, done=False)
    )
    assert reply.ended
    assert reply.feed(b"data: {}\n\n: bye\n\n") + reply.close() == b""


def test_what_comes_between_the_reason_and_the_end_still_counts():
    folded = message(chunk({"content": "a"}, "stop"), chunk({"content": "b"}), chunk(call(), "stop"), done=False)
    assert [block["type"] for block in folded["content"]] == ["text", "tool_use"]
    assert folded["content"][0]["text"] == "ab"
    assert folded["stop_reason"] == "tool_use"


def test_a_prompt_is_estimated_until_its_count_is_known():
    started = events_in(bridge(target()).feed(spelled(chunk({"content": "a"}))))[0]
    assert started["message"]["usage"] == {"input_tokens": tokens.estimate(REQUEST), "output_tokens": 0}
    told = message(
        chunk({"content": "a"}), chunk({}, "stop", usage={"prompt_tokens": 5000, "completion_tokens": 7})
    )
    assert (told["usage"]["input_tokens"], told["usage"]["output_tokens"]) == (5000, 7)


def test_output_is_estimated_where_nobody_counts_it():
    told = message(
        chunk({"reasoning": "Some thought"}), chunk({"content": "Some words"}), chunk(call()), chunk({}, "stop")
    )
    assert told["usage"]["output_tokens"] == tokens.estimate_text('Some thoughtSome words{"x":1}')


def test_a_block_of_nothing_but_white_space_is_not_written():
    assert (
        message(chunk({"content": "\n\n"}), chunk(call()), chunk({}, "stop"))["content"][0]["type"] == "tool_use"
    )
    folded = message(chunk({"content": "\n\n"}), chunk({"content": "a"}), chunk({}, "stop"))
    assert folded["content"] == [{"type": "text", "text": "\n\na"}]
