from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.wire import events
from ccrouter.wire.grammar import Grammar
from ccrouter.wire.sse import Decoder
from tests.strategies import streams

LONE = "\ud800"


@given(streams().flatmap(st.sampled_from))
def test_an_event_is_one_frame_that_says_its_type_twice(event):
    (frame,) = Decoder().feed(events.encode(event))
    assert frame.event == event["type"]
    assert json.loads(frame.data or b"") == event


@pytest.mark.parametrize(
    "text", ["\u2028", "\u0085", "\r\n\r\n", "\n\ndata: x", '"', "\\", "\x00", LONE, "\udfff" + LONE]
)
def test_no_text_breaks_out_of_its_event(text):
    event = events.error("api_error", text)
    body = events.encode(event)
    (frame,) = Decoder().feed(body)
    assert json.loads(frame.data or b"") == event
    body.decode()  # strict: every client can read it


@given(streams().flatmap(st.sampled_from), st.sampled_from([math.inf, -math.inf, math.nan]))
def test_a_number_that_json_has_not_is_nothing(event, number):
    (frame,) = Decoder().feed(events.encode({**event, "ours": [{"a": number, "b": 1.5}]}))
    assert json.loads(frame.data or b"") == {**event, "ours": [{"a": None, "b": 1.5}]}


def test_the_makers_put_together_make_a_whole_message():
    grammar = Grammar()
    for event in [
        events.ping(),
        events.message_start("msg_1", "m", {"input_tokens": 1, "output_tokens": 0}),
        events.block_start(0, {"type": "text", "text": ""}),
        events.block_delta(0, {"type": "text_delta", "text": "hi"}),
        events.block_stop(0),
        events.message_delta("end_turn", {"output_tokens": 1}),
        events.message_stop(),
    ]:
        grammar.feed(event)
    grammar.finish()


def test_a_stop_sequence_is_told():
    delta = events.message_delta("stop_sequence", {"output_tokens": 1}, "END")["delta"]
    assert delta == {"stop_reason": "stop_sequence", "stop_sequence": "END"}


@pytest.mark.parametrize(
    ("told", "usage"),
    [
        (None, {}),
        ([1], {}),
        ({}, {}),
        (
            {"input_tokens": 0, "output_tokens": 7, "server_tool_use": {"a": 1}},
            {"input_tokens": 0, "output_tokens": 7},
        ),
        ({"input_tokens": -1, "output_tokens": True, "cache_read_input_tokens": 2.0}, {}),
        ({"input_tokens": "5", "cache_creation_input_tokens": None}, {}),
        ({"input_tokens": 10**400, "cache_read_input_tokens": 3}, {"cache_read_input_tokens": 3}),
    ],
)
def test_of_a_usage_the_counts_are_kept(told, usage):
    assert events.usage_in(told) == usage
    assert events.usage_of({"type": "message_start", "message": {"usage": told}}) == usage
    assert events.usage_of({"type": "message_delta", "usage": told}) == usage


@pytest.mark.parametrize(
    "event",
    [
        {"type": "message_start"},
        {"type": "message_start", "message": []},
        {"type": "message_delta"},
        {"type": "content_block_delta", "usage": {"input_tokens": 1}},
    ],
)
def test_other_events_tell_no_usage(event):
    assert events.usage_of(event) == {}
