"""What `Blocks` writes is a stream that the grammar accepts, whatever it is told in whatever order."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ccrouter.translate.blocks import Blocks
from ccrouter.wire.events import Event
from ccrouter.wire.fold import fold

ORDERS = st.lists(
    st.one_of(
        st.tuples(st.just("text"), st.text(max_size=5)),
        st.tuples(st.just("thinking"), st.text(max_size=5)),
        st.tuples(st.just("sign"), st.text(min_size=1, max_size=5)),
        st.tuples(st.just("tool"), st.dictionaries(st.text(max_size=3), st.integers(), max_size=2)),
        st.tuples(st.just("whole"), st.just(None)),
        st.tuples(st.just("close"), st.just(None)),
    ),
    max_size=12,
)


def written(orders: list[tuple[str, Any]]) -> list[Event]:
    blocks = Blocks("msg_1", "m")
    found: list[Event] = []
    for number, (order, value) in enumerate(orders):
        match order:
            case "text":
                found += blocks.text(value)
            case "thinking":
                found += blocks.thinking(value)
            case "sign":
                found += blocks.sign(value)
            case "tool":
                found += blocks.tool(f"toolu_{number}", "T", value)
            case "whole":
                found += blocks.whole({"type": "web_search_tool_result", "tool_use_id": "s", "content": []})
            case _:
                found += blocks.close()
    assert blocks.called is any(order == "tool" for order, _ in orders)
    return found + blocks.finish("end_turn", {"input_tokens": 3, "output_tokens": 5})


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
    signatures = [block["signature"] for block in content if block.get("signature")]
    assert signatures == [v for o, v in orders if o == "sign"]
    assert message["usage"] == {"input_tokens": 3, "output_tokens": 5}


def test_a_message_without_any_block_is_whole_too() -> None:
    assert fold(written([]))["content"] == []


def test_the_input_of_a_tool_travels_in_a_delta() -> None:
    found = written([("tool", {"a": "é\n"})])
    start = next(event for event in found if event["type"] == "content_block_start")
    delta = next(event for event in found if event["type"] == "content_block_delta")
    assert start["content_block"]["input"] == {}
    assert json.loads(delta["delta"]["partial_json"]) == {"a": "é\n"}


def test_usage_that_is_known_at_the_start_stands_in_the_start() -> None:
    (start,) = Blocks("msg_1", "m").begin({"input_tokens": 7})
    assert start["message"]["usage"] == {"input_tokens": 7, "output_tokens": 0}
