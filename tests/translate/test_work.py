"""What a backend sends is read in time that grows with its length, and not with the square of it.

Counted is work and not time: what a piece has to have allocated, and how many steps of ours it takes, once much has
come before it; and the steps of one long event beside those of one half as long.
"""

from __future__ import annotations

import json
import sys
import tracemalloc
from typing import Any

import pytest

from ccrouter.providers.presets import PRESETS
from ccrouter.providers.provider import Provider, Target
from ccrouter.translate.dialects import DIALECTS
from ccrouter.translate.responses.items import Part
from ccrouter.wire.messages import read_request

#: How many pieces come before the last ones, and what those may cost: bytes and steps of the interpreter.
PIECES = 2_000
BYTES = 32_000
STEPS = 8_000

ASKED = {"model": "m", "max_tokens": 99, "messages": [{"role": "user", "content": "Hello"}]}


def stream(preset, wire):
    target = Target(Provider(name="p", preset=PRESETS[preset], base_url="http://h"), "m")
    return DIALECTS[wire].stream(read_request(json.dumps(ASKED).encode()), target, "msg_1")


def encoded(wire, event):
    line = json.dumps(event).encode()
    name = f"event: {event['type']}\n".encode() if wire == "messages" else b""
    return line + b"\n" if wire == "ollama" else name + b"data: " + line + b"\n\n"


def steps(run):
    """How many instructions of the interpreter ``run`` takes, those of what it calls included."""
    found = 0

    def trace(frame, event, _):
        nonlocal found
        frame.f_trace_opcodes = True
        found += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        run()
    finally:
        sys.settrace(before)
    return found


def allocated(run):
    """How many bytes ``run`` holds at most, beside those that were held before."""
    tracemalloc.start()
    try:
        run()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def chat(**delta: Any):
    return {"choices": [{"index": 0, "delta": delta}]}


def named(n, arguments):
    return chat(tool_calls=[{"index": 0, "id": f"c{n}", "function": {"name": "W", "arguments": arguments}}])


def told(kind, **event: Any):
    return {"type": f"response.{kind}", "output_index": 0, "item_id": "x", **event}


def block(index, kind, **event: Any):
    return {"type": f"content_block_{kind}", "index": index, **event}


def piece(index, kind, words):
    name = {"input_json_delta": "partial_json", "text_delta": "text"}[kind]
    return block(index, "delta", delta={"type": kind, name: words})


MESSAGE = [
    {
        "type": "message_start",
        "message": {"id": "x", "role": "assistant", "content": [], "model": "m", "usage": {}},
    }
]
CALL = [*MESSAGE, block(0, "start", content_block={"type": "tool_use", "id": "a", "name": "W", "input": {}})]
TEXT = {"type": "text", "text": ""}
LONG = "x" * 50

#: Wire -> what comes first, and what comes again and again, the number of the piece in it.
STORIES = {
    "a call's name with every piece": ("chat", "chat", [named(0, '{"a":"')], lambda n: [named(n, LONG + "}")]),
    "a name with every blank piece": ("chat", "chat", [], lambda n: [named(n, " " * 50)]),
    "many calls": (
        "chat",
        "chat",
        [],
        lambda n: [chat(tool_calls=[{"index": n, "id": f"c{n}", "function": {"name": "W", "arguments": "{}"}}])],
    ),
    "white space in front": ("chat", "chat", [], lambda _: [chat(content="\n" * 50)]),
    "white space in front of a thought's end": (
        "chat",
        "chat",
        [chat(content="<think>")],
        lambda _: [chat(content="\n" * 50)],
    ),
    "text with the beginning of a tag": (
        "chat",
        "chat",
        [chat(content="<think>")],
        lambda _: [chat(content=LONG + "</t")],
    ),
    "details of reasoning": (
        "openrouter",
        "chat",
        [],
        lambda _: [chat(reasoning_details=[{"type": "reasoning.text", "text": LONG, "index": 0}])],
    ),
    "a call in pieces": (
        "responses",
        "responses",
        [],
        lambda _: [told("function_call_arguments.delta", delta=LONG)],
    ),
    "white space on the responses wire": (
        "responses",
        "responses",
        [],
        lambda _: [told("output_text.delta", content_index=0, delta="\n" * 50)],
    ),
    "many parts": (
        "responses",
        "responses",
        [],
        lambda n: [
            told("reasoning_summary_text.delta", summary_index=n, delta=LONG),
            told("reasoning_summary_text.done", summary_index=n, text=LONG),
        ],
    ),
    "many items and one without a name": (
        "responses",
        "responses",
        [{"type": "response.output_text.delta", "delta": LONG}],
        lambda n: [
            {"type": "response.output_item.added", "output_index": n, "item": {"type": "reasoning"}},
            {"type": "response.output_text.delta", "delta": LONG},
        ],
    ),
    "white space on Ollama's wire": ("ollama", "ollama", [], lambda _: [{"message": {"content": "\n" * 50}}]),
    "starts in the middle of a call": (
        "messages",
        "messages",
        [*CALL, piece(0, "input_json_delta", '{"a":"')],
        lambda n: [
            piece(0, "input_json_delta", LONG + "}"),
            block(n + 1, "start", content_block=TEXT),
        ],
    ),
    "text behind a broken call": (
        "messages",
        "messages",
        [
            *CALL,
            piece(0, "input_json_delta", '{"a":"' + LONG * PIECES + "}"),
            block(0, "stop"),
            block(1, "start", content_block=TEXT),
        ],
        lambda _: [piece(1, "text_delta", LONG)],
    ),
    "texts behind a call, under an index that nobody knows": (
        "messages",
        "messages",
        [*CALL, piece(0, "input_json_delta", '{"a":"')],
        lambda n: [block(n + 1, "start", content_block=TEXT), piece(PIECES * 2, "text_delta", LONG)],
    ),
    "text behind a call that goes on": (
        "messages",
        "messages",
        [*CALL, block(1, "start", content_block=TEXT)],
        lambda _: [piece(1, "text_delta", LONG)],
    ),
}


@pytest.mark.parametrize("story", STORIES)
def test_a_piece_costs_the_same_however_much_came_before_it(story):
    preset, wire, first, more = STORIES[story]
    reply = stream(preset, wire)
    for event in [*first, *(event for n in range(PIECES) for event in more(n))]:
        reply.feed(encoded(wire, event))

    def last(n):
        found = b"".join(encoded(wire, event) for event in more(PIECES + n))
        return lambda: reply.feed(found)

    # The least of a few: what grows by doubling, such as a list, may do so at any of them.
    assert min(allocated(last(n)) for n in range(4)) < BYTES
    assert min(steps(last(n)) for n in range(4, 8)) < STEPS


@pytest.mark.parametrize(
    ("wire", "event"),
    [
        pytest.param(
            "chat",
            lambda size: chat(
                tool_calls=[
                    {"index": n, "id": f"c{n}", "function": {"name": "W", "arguments": "{}"}} for n in range(size)
                ]
            ),
            id="many calls",
        ),
        pytest.param(
            "responses",
            lambda size: {
                "type": "response.completed",
                "response": {"status": "completed", "output": [{"type": "message"}] * size},
            },
            id="many items",
        ),
        pytest.param(
            "responses",
            lambda size: told(
                "output_item.done",
                item={
                    "type": "reasoning",
                    "summary": [{"type": "summary_text", "text": words} for words in [""] * size + ["a"] * size],
                },
            ),
            id="many empty parts",
        ),
    ],
)
def test_twice_as_much_in_one_event_costs_twice_as_much(wire, event):
    def cost(size):
        found = encoded(wire, event(size))
        return steps(lambda: stream(wire, wire).feed(found))

    assert cost(300) < 2.3 * cost(150)


def test_a_part_that_is_told_whole_again_is_not_put_together_again():
    part = Part("text")
    for _ in range(PIECES):
        part.extend(LONG)
    taken = part.take()
    part.complete(taken)
    assert allocated(lambda: part.complete("")) < BYTES
    assert part.text == taken
