"""Reasoning, and what of it the backend needs back."""

from __future__ import annotations

import json

import pytest

from ccrouter.translate import provenance
from ccrouter.translate.chat.reply import ChatReply
from ccrouter.translate.dialect import Bridge
from ccrouter.wire.messages import read_request
from ccrouter.wire.sse import Decoder
from tests.translate.chat.reply.chunks import REQUEST, call, chunk, message, origins, payloads, spelled, target


@pytest.mark.parametrize(
    ("replay", "delta", "payload"),
    [
        ("none", {"reasoning_content": "a"}, None),
        ("reasoning_content", {"reasoning_content": "a"}, {"f": "reasoning_content"}),
        ("reasoning_content", {"reasoning": "a"}, {"f": "reasoning"}),
        ("reasoning_content", {"reasoning": "a", "reasoning_content": "a"}, {"f": "reasoning_content"}),
        ("reasoning_content", {"content": "<think>a</think>"}, {"f": "reasoning_content"}),
        ("google", {"content": "<thought>a</thought>"}, None),
        ("none", {"reasoning_details": [{"type": "reasoning.summary", "summary": "a"}]}, None),
        (
            "reasoning_details",
            {"reasoning_details": [{"type": "reasoning.summary", "summary": "a"}]},
            {"f": "reasoning_details", "d": [{"type": "reasoning.summary", "summary": "a"}]},
        ),
        (
            "content",
            {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "a"}]}]},
            {"f": "content", "d": [{"type": "thinking", "thinking": [{"type": "text", "text": "a"}]}]},
        ),
    ],
)
def test_the_signature_holds_what_the_backend_needs_back(replay, delta, payload):
    folded = message(
        chunk(delta), chunk({"content": "so"}), chunk({}, "stop"), to=target("work", "deep", replay=replay)
    )
    assert [block.get("thinking", block.get("text")) for block in folded["content"]] == ["a", "so"]
    assert origins(folded) == [provenance.Origin("work", "deep", payload)]


def test_details_are_joined_as_they_were_before_they_were_cut():
    folded = message(
        chunk({"reasoning_details": [{"type": "reasoning.text", "text": "a", "index": 0, "signature": None}]}),
        chunk({"reasoning_details": [{"type": "reasoning.text", "text": "b", "index": 0}]}),
        chunk({"reasoning_details": [{"type": "reasoning.text", "signature": "s", "index": 0}]}),
        chunk({"reasoning_details": [{"type": "reasoning.text", "text": "c", "index": 1}]}),
        chunk(
            {
                "reasoning_details": [
                    {"type": "reasoning.encrypted", "data": "x"},
                    {"type": "reasoning.encrypted", "data": "y"},
                ]
            }
        ),
        chunk({}, "stop"),
        to=target(replay="reasoning_details"),
    )
    assert [block["thinking"] for block in folded["content"]] == ["abc"]
    assert payloads(folded)[0]["d"] == [
        {"type": "reasoning.text", "text": "ab", "index": 0, "signature": "s"},
        {"type": "reasoning.text", "text": "c", "index": 1},
        {"type": "reasoning.encrypted", "data": "x"},
        {"type": "reasoning.encrypted", "data": "y"},
    ]


def test_details_name_a_call_as_it_will_come_back():
    hidden = {
        "reasoning_details": [
            {"type": "reasoning.encrypted", "data": "x", "id": "call_1"},
            {"id": "rs_1"},
            {"id": 5},
        ]
    }
    to = target(replay="reasoning_details")
    folded = message(chunk(hidden | call()), chunk(call(call_id="", index=1)), chunk({}, "stop"), to=to)
    assert [detail["id"] for detail in payloads(folded)[0]["d"]] == [folded["content"][1]["id"], "rs_1", 5]


def test_mistrals_parts_are_joined_with_what_else_they_say():
    folded = message(
        chunk({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "a"}]}]}),
        chunk({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "b"}], "closed": True}]}),
        chunk({"content": [{"type": "reference", "reference_ids": [1]}, {"type": "text", "text": "so"}]}),
        chunk({}, "stop"),
        to=target(replay="content"),
    )
    parts = [{"type": "thinking", "thinking": [{"type": "text", "text": "ab"}], "closed": True}]
    assert payloads(folded) == [{"f": "content", "d": parts}]


def test_details_that_cannot_be_read_stand_in_front_of_the_text_or_the_calls():
    hidden = {"reasoning_details": [{"type": "reasoning.encrypted", "data": "x"}]}
    to = target(replay="reasoning_details")
    early = message(chunk(hidden), chunk({"content": "a"}), chunk({}, "stop"), to=to)
    assert [block["type"] for block in early["content"]] == ["thinking", "text"]
    late = message(
        chunk({"content": "a"}), chunk(hidden), chunk({"content": "b"}), chunk(call()), chunk({}, "stop"), to=to
    )
    assert [block["type"] for block in late["content"]] == ["text", "thinking", "tool_use"]
    assert late["content"][0]["text"] == "ab"
    assert payloads(late) == [{"f": "reasoning_details", "d": hidden["reasoning_details"]}]


def test_thinking_after_text_is_a_block_of_its_own_with_its_own_signature():
    folded = message(
        chunk({"reasoning_content": "a"}),
        chunk({"content": "b"}),
        chunk({"reasoning_content": "c"}),
        chunk({"content": "d"}),
        chunk({}, "stop"),
        to=target(replay="reasoning_content"),
    )
    assert [block["type"] for block in folded["content"]] == ["thinking", "text"] * 2
    assert payloads(folded) == [{"f": "reasoning_content"}] * 2


def test_tags_in_the_text_are_text_where_reasoning_has_its_own_field():
    folded = message(chunk({"reasoning": "a"}), chunk({"content": "<think>b</think>"}), chunk({}, "stop"))
    assert folded["content"][1]["text"] == "<think>b</think>"


def notes(*chunks):
    reply = ChatReply(read_request(json.dumps(REQUEST).encode()), target(), "msg_1")
    Bridge(reply, Decoder()).feed(spelled(*chunks))
    return reply.notes


def test_a_closing_tag_that_nothing_opened_is_text_and_noted():
    parts = "why\n</think>\nso"
    for place in range(len(parts)):
        chunks = [chunk({"content": parts[:place]}), chunk({"content": parts[place:]}), chunk({}, "stop")]
        assert message(*chunks)["content"] == [{"type": "text", "text": parts}]
        assert notes(*chunks) == (
            "the answer has a </think> that nothing opened: is the server's reasoning parser off?",
        )
    assert notes(chunk({"content": "<think>why</think>\nso"}), chunk({}, "stop")) == ()


def test_thoughts_that_are_not_wanted_are_not_shown_but_what_their_calls_need_is_kept():
    hidden = {"reasoning_details": [{"type": "reasoning.encrypted", "data": "x", "id": "call_1"}]}
    off = {"thinking": {"type": "disabled"}}
    to = target(replay="reasoning_details")
    said = [chunk(hidden | {"reasoning": "a"}), chunk({"content": "b"})]
    folded = message(*said, chunk(call()), chunk({}, "stop"), to=to, **off)
    assert [block["type"] for block in folded["content"]] == ["text", "thinking", "tool_use"]
    assert folded["content"][1]["thinking"] == ""
    assert payloads(folded)[0]["d"][0]["data"] == "x"
    assert [block["type"] for block in message(*said, chunk({}, "stop"), to=to, **off)["content"]] == ["text"]


def signed(signature):
    return {"extra_content": {"google": {"thought_signature": signature}}}


def test_signatures_of_calls_travel_under_the_clients_ids_in_front_of_them():
    chunks = [
        chunk({"content": "a"}),
        chunk(call(call_id="x", **signed("s1"))),
        chunk(call(call_id="y", index=1)),
        chunk(call(call_id="z", index=2, **signed("s3"))),
        chunk({}, "stop"),
    ]
    folded = message(*chunks, to=target(replay="google"))
    assert [block["type"] for block in folded["content"]] == ["text", "thinking", *["tool_use"] * 3]
    ids = [block["id"] for block in folded["content"][2:]]
    assert payloads(folded) == [{"f": "google", "c": {ids[0]: "s1", ids[2]: "s3"}}]
    assert payloads(message(*chunks, to=target(replay="none"))) == []
