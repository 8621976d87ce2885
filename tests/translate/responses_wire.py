"""The other end of the Responses wire, for tests: presets of three kinds, items, the events that tell of them."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from ccrouter.providers.provider import Preset, Provider, Target
from ccrouter.providers.quirks import Quirks
from ccrouter.translate.dialect import Bridge
from ccrouter.translate.responses.reply import ResponsesReply
from ccrouter.wire.messages import read_request
from ccrouter.wire.sse import Decoder
from tests.strategies import words

Event = dict[str, Any]

#: The book, ChatGPT's backend with all that it refuses, and a server that takes little.
ROWS = {
    row.name: row
    for row in (
        Preset(
            name="there",
            title="The book",
            base_url="https://responses.example.com",
            messages_path=None,
            responses_path="/v1/responses",
            refuse_fields=("safeguards",),
            quirks=Quirks(
                efforts=("none", "minimal", "low", "medium", "high", "xhigh", "max"),
                later_system="developer",
                files=True,
                strict_tools=True,
                cache_key=True,
                sampling=False,
                obfuscation=True,
                web_search=True,
                search_sources=True,
                plain_models=("gpt-4",),
            ),
        ),
        Preset(
            name="marked",
            title="The book, with cache marks",
            base_url="https://marked.example.com/v1",
            messages_path=None,
            responses_path="/responses",
            quirks=Quirks(
                efforts=("low", "high"),
                system_role="developer",
                later_system="developer",
                files=True,
                cache_marks="openai",
            ),
        ),
        Preset(
            name="chatgpt",
            title="ChatGPT's backend",
            base_url="https://chatgpt.example.com/backend-api/codex",
            messages_path=None,
            responses_path="/responses",
            quirks=Quirks(
                efforts=("low", "medium", "high", "xhigh"),
                later_system="developer",
                cache_key=True,
                sampling=False,
                max_output_tokens=False,
                tool_choices=frozenset({"auto"}),
            ),
        ),
        Preset(
            name="small",
            title="A small server",
            base_url="http://127.0.0.1:1234",
            messages_path=None,
            responses_path="/v1/responses",
            quirks=Quirks(
                efforts=(),
                images=False,
                parallel_tool_calls=False,
                response_format="none",
                tool_choices=frozenset({"auto", "required"}),
            ),
        ),
    )
}


def target(preset="there", model="m", **more):
    row = ROWS[preset]
    return Target(Provider(name=row.name, preset=row, base_url=row.base_url or "", **more), model)


def request(**fields):
    fields = {"model": "claude-x", "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]} | fields
    return read_request(json.dumps(fields).encode())


def encode(events, *, named=True):
    """The bytes of ``events``."""
    frames = []
    for event in events:
        name = f"event: {event['type']}\n" if named else ""
        frames.append(f"{name}data: {json.dumps(event, ensure_ascii=False)}\n\n")
    return "".join(frames).encode("utf-8", "backslashreplace")


def bridge(chunks, *, asked=None, to=None, message_id="msg_1"):
    """What the client gets of a reply that comes in ``chunks``, and what is left to say at its end."""
    stream = Bridge(ResponsesReply(asked or request(), to or target(), message_id), Decoder())
    running = b"".join([stream.feed(chunk) for chunk in chunks])
    return running, stream.close()


def events_of(body):
    """The Messages events in ``body``."""
    return [json.loads(frame.data) for frame in Decoder().feed(body) if frame.data]


# Items, and events that tell of them


def message(*parts, phase=None, identity="msg_a", status="completed"):
    """``parts``: texts, or ("refusal", text)."""
    content = [
        {"type": "refusal", "refusal": part[1]}
        if isinstance(part, tuple)
        else {"type": "output_text", "text": part, "annotations": [], "logprobs": []}
        for part in parts
    ]
    found = {"type": "message", "id": identity, "role": "assistant", "status": status, "content": content}
    return found if phase is None else {**found, "phase": phase}


def reasoning(*summary, encrypted=None, texts=(), identity="rs_a"):
    found = {
        "type": "reasoning",
        "id": identity,
        "summary": [{"type": "summary_text", "text": text} for text in summary],
        "encrypted_content": encrypted,
    }
    return {**found, "content": [{"type": "reasoning_text", "text": text} for text in texts]} if texts else found


def call(name="Bash", arguments="{}", call_id="call_a", identity="fc_a", status="completed"):
    return {
        "type": "function_call",
        "id": identity,
        "call_id": call_id,
        "name": name,
        "arguments": arguments,
        "status": status,
    }


_FRAGMENTS = {
    "output_text": ("response.output_text", "content_index", "text"),
    "refusal": ("response.refusal", "content_index", "refusal"),
    "summary_text": ("response.reasoning_summary_text", "summary_index", "text"),
    "reasoning_text": ("response.reasoning_text", "content_index", "text"),
}


def told(
    item, index, *, cut=lambda text: [text] if text else [], steps=("added", "delta", "done", "part", "item")
):
    """The events of ``item``: those of ``steps``."""
    place = {"output_index": index, "item_id": item["id"]}
    empty = {"content": [], "summary": [], "arguments": "", "encrypted_content": "partial"}
    added = {**item, **{key: value for key, value in empty.items() if key in item}, "status": "in_progress"}
    found = (
        [{"type": "response.output_item.added", "output_index": index, "item": added}] if "added" in steps else []
    )
    for number, part in [*enumerate(item.get("summary", ())), *enumerate(item.get("content", ()))]:
        stem, where, whole = _FRAGMENTS[part["type"]]
        at = {**place, where: number}
        if "delta" in steps:
            found += [{"type": f"{stem}.delta", **at, "delta": piece} for piece in cut(part[whole])]
        if "done" in steps:
            found.append({"type": f"{stem}.done", **at, whole: part[whole]})
        if "part" in steps:
            kind = "response.reasoning_summary_part.done" if "summary" in where else "response.content_part.done"
            found.append({"type": kind, **at, "part": part})
    if "arguments" in item:
        stem = "response.function_call_arguments"
        if "delta" in steps:
            found += [{"type": f"{stem}.delta", **place, "delta": piece} for piece in cut(item["arguments"])]
        if "done" in steps:
            found.append({"type": f"{stem}.done", **place, "arguments": item["arguments"]})
    if "item" in steps:
        found.append({"type": "response.output_item.done", "output_index": index, "item": item})
    return found


USAGE = {
    "input_tokens": 100,
    "input_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 10},
    "output_tokens": 20,
    "output_tokens_details": {"reasoning_tokens": 5},
    "total_tokens": 120,
}


def created():
    response: dict[str, Any] = {
        "id": "resp_1",
        "object": "response",
        "status": "in_progress",
        "output": [],
        "usage": None,
    }
    return [{"type": f"response.{step}", "response": response} for step in ("created", "in_progress")]


def ended(output=(), status="completed", **more):
    response = {
        "id": "resp_1",
        "object": "response",
        "status": status,
        "output": list(output),
        "usage": USAGE,
        **more,
    }
    return [{"type": f"response.{status}", "response": response}]


def whole(*items, **more):
    """A reply by the book: one item after the other."""
    events = [event for index, item in enumerate(items) for event in told(item, index)]
    return [*created(), *events, *ended(items, **more)]


# Replies in all their forms

_arguments = st.dictionaries(words, st.integers() | words, max_size=2).map(json.dumps)


@st.composite
def items(draw: st.DrawFn) -> list[dict[str, Any]]:
    """What a model says, by the book."""
    found: list[dict[str, Any]] = []
    for number in range(draw(st.integers(0, 4))):
        match draw(st.sampled_from(["message", "reasoning", "call"])):
            case "message":
                parts = draw(st.lists(words | st.tuples(st.just("refusal"), words), max_size=2))
                phase = draw(st.sampled_from([None, "commentary", "final_answer"]))
                found.append(message(*parts, phase=phase, identity=f"msg_{number}"))
            case "reasoning":
                encrypted = draw(st.none() | st.just(f"gAAAA{number}"))
                texts = draw(st.lists(words, max_size=1))
                found.append(
                    reasoning(
                        *draw(st.lists(words, max_size=3)),
                        encrypted=encrypted,
                        texts=texts,
                        identity=f"rs_{number}",
                    )
                )
            case "call":
                found.append(
                    call(
                        draw(st.sampled_from(["Bash", "Read"])), draw(_arguments), f"call_{number}", f"fc_{number}"
                    )
                )
    return found


@st.composite
def replies(draw: st.DrawFn) -> list[Event]:
    """The events of a whole reply, of items side by side, with steps left out."""
    said = draw(items())
    form = draw(
        st.sampled_from(["all", "all", "no deltas", "only items", "only deltas and items", "only the end"])
    )
    steps = {
        "all": ("added", "delta", "done", "part", "item"),
        "no deltas": ("added", "done", "item"),
        "only items": ("item",),
        "only deltas and items": ("delta", "item"),
        "only the end": (),
    }[form]
    size = draw(st.integers(1, 5))

    def cut(text):
        return [text[start : start + size] for start in range(0, len(text), size)]

    lines = [told(item, index, cut=cut, steps=steps) for index, item in enumerate(said)]
    side_by_side = draw(st.booleans())
    events = []
    while any(lines):
        first = [line for line in lines if line]
        line = draw(st.sampled_from(first)) if side_by_side else first[0]
        events.append(line.pop(0))
    between = [
        {"type": "response.queued"},
        {"type": "response.output_item.added", "output_index": 90, "item": {"type": "mcp_call", "id": "mcp_1"}},
        {"type": "response.hologram.delta", "delta": "?", "output_index": 0},
        {"type": "keepalive"},
    ]
    for extra in draw(st.lists(st.sampled_from(between), max_size=3)):
        events.insert(draw(st.integers(0, len(events))), extra)
    output = said if form == "only the end" or draw(st.booleans()) else []
    return [*created(), *events, *ended(output)]
