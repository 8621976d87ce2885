from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.demo.script import Call, Terms, Text, Thinking, compose, split
from ccrouter.wire.fold import fold
from tests.demo.shapes import SIGNATURE


def folded(*blocks, **terms):
    script = compose(blocks, Terms(message_id="msg_1", model="demo", input_tokens=7, **terms))
    return fold(piece.event for piece in script.pieces)


@given(st.text())
def test_tokens_joined_are_the_text(text):
    tokens = split(text)
    assert "".join(tokens) == text
    assert all(0 < len(token) <= 20 for token in tokens)


def test_blocks_come_out_whole():
    message = folded(Thinking("hm"), Text("two words"), Call("toolu_1", "Bash", '{"command": "ls"}'))
    assert message["content"] == [
        {"type": "thinking", "thinking": "hm", "signature": SIGNATURE},
        {"type": "text", "text": "two words"},
        {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {"command": "ls"}},
    ]
    assert message["stop_reason"] == "tool_use"
    assert message["usage"] == {"input_tokens": 7, "output_tokens": 1 + 2 + len(split('{"command": "ls"}'))}


def test_the_signature_comes_right_before_thinking_stops():
    script = compose([Thinking("a b")], Terms(message_id="msg_1", model="demo", input_tokens=7))
    kinds = [piece.event.get("delta", {}).get("type", piece.event["type"]) for piece in script.pieces]
    assert kinds[1:6] == [
        "content_block_start",
        "thinking_delta",
        "thinking_delta",
        "signature_delta",
        "content_block_stop",
    ]


def test_thinking_that_is_not_shown_is_signed_and_counted():
    message = folded(Thinking("a b c", shown=False))
    assert message["content"] == [{"type": "thinking", "thinking": "", "signature": SIGNATURE}]
    assert message["usage"]["output_tokens"] == 3


@pytest.mark.parametrize(
    ("limit", "texts", "reason"),
    [
        (1, ["one"], "max_tokens"),
        (2, ["one two"], "max_tokens"),
        (3, ["one two three"], "max_tokens"),
        (4, ["one two three", "four"], "end_turn"),
        (None, ["one two three", "four"], "end_turn"),
    ],
)
def test_max_tokens_cuts_exactly(limit, texts, reason):
    message = folded(Text("one two three"), Text("four"), max_tokens=limit)
    assert [block["text"] for block in message["content"]] == texts
    assert message["stop_reason"] == reason
    assert message["usage"]["output_tokens"] == sum(len(text.split()) for text in texts)


def test_a_call_that_does_not_fit_is_left_out_whole():
    message = folded(Text("one"), Call("toolu_1", "Bash", '{"command": "a b c d"}'), max_tokens=3)
    assert [block["type"] for block in message["content"]] == ["text"]
    assert message["stop_reason"] == "max_tokens"


def test_the_first_stop_sequence_in_the_text_ends_it():
    message = folded(Text("one two three"), Text("four"), stop_sequences=("three", "tw"))
    assert message["content"] == [{"type": "text", "text": "one "}]
    assert (message["stop_reason"], message["stop_sequence"]) == ("stop_sequence", "tw")


def test_a_stop_sequence_at_the_very_start_leaves_no_block():
    message = folded(Text("one"), stop_sequences=("on",))
    assert (message["content"], message["stop_sequence"]) == ([], "on")


def test_max_tokens_before_a_stop_sequence_wins():
    message = folded(Text("one two three"), max_tokens=1, stop_sequences=("three",))
    assert (message["stop_reason"], message["stop_sequence"]) == ("max_tokens", None)
