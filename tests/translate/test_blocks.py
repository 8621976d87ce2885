"""What `Blocks` writes is a stream that the grammar accepts, whatever it is told in whatever order."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.translate.blocks import Blocks, wants_thinking
from ccrouter.wire.events import Event
from ccrouter.wire.fold import fold

ORDERS = st.lists(
    st.one_of(
        st.tuples(st.just("text"), st.text(max_size=5)),
        st.tuples(st.just("thinking"), st.text(max_size=5)),
        st.tuples(st.just("sign"), st.text(min_size=1, max_size=5)),
        st.tuples(st.just("needed"), st.text(min_size=1, max_size=5)),
        st.tuples(st.just("tool"), st.dictionaries(st.text(max_size=3), st.integers(), max_size=2)),
        st.tuples(st.just("whole"), st.just(None)),
        st.tuples(st.just("close"), st.just(None)),
    ),
    max_size=12,
)


def written(orders: list[tuple[str, Any]], *, thinking: bool = True) -> list[Event]:
    blocks = Blocks("msg_1", "m", thinking=thinking)
    found: list[Event] = []
    for number, (order, value) in enumerate(orders):
        match order:
            case "text":
                found += blocks.text(value)
            case "thinking":
                found += blocks.thinking(value)
            case "sign" | "needed":
                found += blocks.sign(value, needed=order == "needed")
            case "tool":
                found += blocks.tool(f"toolu_{number}", "T", value)
            case "whole":
                found += blocks.whole({"type": "web_search_tool_result", "tool_use_id": "s", "content": []})
            case _:
                found += blocks.close()
    assert blocks.called is any(order == "tool" for order, _ in orders)
    return found + blocks.finish("end_turn", {"input_tokens": 3, "output_tokens": 5})


def signed(orders: list[tuple[str, Any]]) -> list[str]:
    """The signatures that are to be seen: of thinking, in front of something, or all that there is."""
    found: list[str] = []
    waiting: list[str] = []
    thinks = said = False
    for order, value in orders:
        match order:
            case "sign" | "needed" if thinks:
                found.append(value)
                thinks = False
            case "sign" | "needed":
                waiting.append(value)
            case "close":
                thinks = False
            case "text" | "thinking" if not value:
                pass
            case _:
                found += waiting
                waiting, said = [], True
                thinks = order == "thinking"
    return found if said else waiting


@given(orders=ORDERS)
def test_any_order_of_blocks_makes_a_whole_message_with_all_of_them(orders: list[tuple[str, Any]]) -> None:
    message = fold(written(orders))  # raises unless the grammar accepts every event
    content = message["content"]
    assert "".join(block.get("text", "") for block in content) == "".join(v for o, v in orders if o == "text")
    thoughts = "".join(block.get("thinking", "") for block in content)
    assert thoughts == "".join(v for o, v in orders if o == "thinking")
    assert [block["input"] for block in content if block["type"] == "tool_use"] == [
        v for o, v in orders if o == "tool"
    ]
    assert [block["signature"] for block in content if block.get("signature")] == signed(orders)
    assert message["usage"] == {"input_tokens": 3, "output_tokens": 5}


@given(orders=ORDERS)
def test_who_wants_no_thinking_gets_only_what_a_call_needs_in_front_of_it(orders: list[tuple[str, Any]]) -> None:
    content = fold(written(orders, thinking=False))["content"]
    shown = [block for block in content if block["type"] != "thinking"]
    kept = [block for block in fold(written(orders))["content"] if block["type"] != "thinking"]
    assert shown == kept
    last_call = max((place for place, (order, _) in enumerate(orders) if order == "tool"), default=-1)
    needed = [value for order, value in orders[: last_call + 1] if order == "needed"]
    hidden = [block for block in content if block["type"] == "thinking"]
    assert hidden == [{"type": "thinking", "thinking": "", "signature": value} for value in needed]
    for block, follower in pairwise(content):
        assert block["type"] != "thinking" or follower["type"] in {"thinking", "tool_use"}


def long_call(*before: Event, thinking: bool = True) -> tuple[list[Event], list[Event]]:
    """What is written while a call of 5000 characters is gathered behind a text or nothing, and behind that."""
    blocks = Blocks("msg_1", "m", thinking=thinking, signature="s")
    found = blocks.text("a") if before else []
    waiting = [event for _ in range(500) for event in blocks.wait(10)]
    return waiting, found + waiting + blocks.tool("toolu_1", "T", {}) + blocks.finish("tool_use", {})


def test_a_long_call_gives_signs_of_life_that_say_nothing() -> None:
    waiting, whole = long_call({})
    assert [event["delta"] for event in waiting] == [{"type": "text_delta", "text": ""}] * 2
    assert [block["type"] for block in fold(whole)["content"]] == ["text", "tool_use"]
    waiting, whole = long_call()
    assert [event["type"] for event in waiting if "block" in event["type"]] == [
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
    ]
    assert fold(whole)["content"][0] == {"type": "thinking", "thinking": "", "signature": "s"}
    assert long_call(thinking=False)[0] == []


def test_thinking_that_nobody_signs_has_a_signature_all_the_same() -> None:
    blocks = Blocks("msg_1", "m", signature="s")
    content = fold(blocks.thinking("a") + blocks.text("b") + blocks.finish("end_turn", {}))["content"]
    assert content[0] == {"type": "thinking", "thinking": "a", "signature": "s"}


def test_a_signature_is_never_behind_the_words_that_it_could_hide() -> None:
    content = fold(written([("text", "a"), ("sign", "s")]))["content"]
    assert content == [{"type": "text", "text": "a"}]


@pytest.mark.parametrize(
    ("thinking", "wanted"),
    [({"type": "disabled"}, False), ({"type": "adaptive"}, True), (None, True), ("disabled", True), ({}, True)],
)
def test_thinking_is_wanted_unless_it_is_disabled(thinking: object, wanted: bool) -> None:
    assert wants_thinking({"thinking": thinking}) is wanted
    assert wants_thinking({}) is True


def test_a_refusal_says_what_it_is_and_nothing_else_does() -> None:
    def ended(reason: str, **more: Any) -> Any:
        return fold(Blocks("msg_1", "m").finish(reason, {}, **more)).get("stop_details")

    assert ended("refusal", explanation="No.") == {"type": "refusal", "category": None, "explanation": "No."}
    assert ended("refusal", explanation="") == {"type": "refusal", "category": None, "explanation": None}
    assert ended("end_turn", explanation="No.") is None


def test_a_message_without_any_block_is_whole_too() -> None:
    assert fold(written([]))["content"] == []


def test_the_input_of_a_tool_travels_in_a_delta() -> None:
    found = written([("tool", {"a": "é\n"})])
    start = next(event for event in found if event["type"] == "content_block_start")
    delta = next(event for event in found if event["type"] == "content_block_delta")
    assert start["content_block"]["input"] == {}
    assert json.loads(delta["delta"]["partial_json"]) == {"a": "é\n"}


def test_usage_that_is_known_at_the_start_stands_in_the_start() -> None:
    asked: list[str] = []

    def counts() -> dict[str, Any]:
        asked.append("once")
        return {"input_tokens": 7}

    blocks = Blocks("msg_1", "m", counts=counts)
    assert asked == []
    start = blocks.text("a")[0]
    blocks.finish("end_turn", {})
    assert asked == ["once"]
    assert start["message"]["usage"] == {"input_tokens": 7, "output_tokens": 0}
