"""The backends of the matrix: what a model says, in the bytes of each wire and with the habits of each preset.

Calls come as fragments, those of parallel ones in turns wherever the wire can. Reasoning stands where the preset's
`Quirks` expect it back, with `SEALED` as whatever its maker wants to have again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import zip_longest
from typing import Any, TypeAlias

from attrs import frozen

from ccrouter.providers.provider import Preset
from ccrouter.wire import events
from ccrouter.wire.fold import fold
from tests.rig import JSON, NDJSON, SSE, Script, Sleep
from tests.translate import responses_wire as responses

#: What a model thinks, and the opaque part of it.
THOUGHT = "a thought of mine"
SEALED = "c2VhbGVk"

PAGE = "https://example.com/page"


@frozen
class Say:
    text: str


@frozen
class Think:
    text: str = THOUGHT


@frozen
class Use:
    """A call of one of the client's tools."""

    id: str
    name: str
    input: dict[str, Any]


@frozen
class Search:
    """A search that the backend made, which found `PAGE`."""

    query: str


Part: TypeAlias = Say | Think | Use | Search


def reply(preset: Preset, wire: str, parts: Sequence[Part], stop: str | None, *, stream: bool) -> Script:
    """A whole reply. ``stop``: why it ends, in the wire's own word; None for an end by itself."""
    if wire == "chat":
        return Script(body=[*chat(preset, parts, stop), b"data: [DONE]\n\n"])
    if wire == "responses":
        return Script(body=[responses.encode(of_responses(parts, stop))])
    if wire == "ollama":
        return Script(headers=list(NDJSON), body=of_ollama(parts, stop))
    said = of_messages(parts, stop)
    if stream:
        return Script(body=[events.encode(event) for event in said])
    return Script(body=[json.dumps(fold(said)).encode()], headers=list(JSON))


def halves(text: str) -> list[str]:
    middle = len(text) // 2
    return [text[:middle], text[middle:]]


# Messages


def of_messages(parts: Sequence[Part], stop: str | None = None) -> list[dict[str, Any]]:
    """The events of a stream."""
    found = [events.message_start("msg_1", "model-1", {"input_tokens": 3, "output_tokens": 1})]
    for index, part in enumerate(_blocks(parts)):
        block, deltas = part
        found.append(events.block_start(index, block))
        found += [events.block_delta(index, delta) for delta in deltas]
        found.append(events.block_stop(index))
    called = any(isinstance(part, Use) for part in parts)
    found.append(events.message_delta(stop or ("tool_use" if called else "end_turn"), {"output_tokens": 5}))
    return [*found, events.message_stop()]


def _blocks(parts: Sequence[Part]) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
    found: list[tuple[dict[str, Any], list[dict[str, Any]]]] = []
    for part in parts:
        match part:
            case Say(text):
                deltas = [{"type": "text_delta", "text": half} for half in halves(text)]
                found.append(({"type": "text", "text": ""}, deltas))
            case Think(text):
                deltas = [
                    {"type": "thinking_delta", "thinking": text},
                    {"type": "signature_delta", "signature": SEALED},
                ]
                found.append(({"type": "thinking", "thinking": "", "signature": ""}, deltas))
            case Use(call_id, name, given):
                block = {"type": "tool_use", "id": call_id, "name": name, "input": {}}
                found.append((block, _json_deltas(given)))
            case Search(query):
                call_id = "srvtoolu_1"
                block = {"type": "server_tool_use", "id": call_id, "name": "web_search", "input": {}}
                found.append((block, _json_deltas({"query": query})))
                page = {"type": "web_search_result", "url": PAGE, "title": "t", "encrypted_content": SEALED}
                found.append(({"type": "web_search_tool_result", "tool_use_id": call_id, "content": [page]}, []))
    return found


def _json_deltas(given: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"type": "input_json_delta", "partial_json": half} for half in halves(json.dumps(given))]


# Chat Completions


def chat(preset: Preset, parts: Sequence[Part], stop: str | None = None, *, counts: bool = True) -> list[bytes]:
    """The frames of a stream, without its ``[DONE]``."""
    calls = [part for part in parts if isinstance(part, Use)]
    deltas: list[dict[str, Any]] = [{"role": "assistant"}]
    for part in parts:
        match part:
            case Say(text):
                deltas += [{"content": half} for half in halves(text)]
            case Think(text):
                deltas.append(_reasoning(preset, text))
            case Search():
                raise AssertionError("no backend searches on this wire")
            case _:
                pass
    thought = any(isinstance(part, Think) for part in parts)
    deltas += [{"tool_calls": [each]} for each in _fragments(preset, calls, thought=thought)]
    finish = stop or ("tool_calls" if calls else "stop")
    chunks: list[dict[str, Any]] = [
        {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas
    ]
    chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    if counts:
        usage = {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}
        chunks.append({"choices": [], "usage": usage})
    return [chunk(each) for each in chunks]


def chunk(value: dict[str, Any]) -> bytes:
    return (
        b"data: " + json.dumps({"id": "chatcmpl-1", "object": "chat.completion.chunk", **value}).encode() + b"\n\n"
    )


def _reasoning(preset: Preset, text: str) -> dict[str, Any]:
    match preset.quirks.replay:
        case "reasoning":
            return {"reasoning": text}
        case "reasoning_details":
            detail = {"type": "reasoning.text", "text": text, "signature": SEALED, "index": 0}
            return {"reasoning": text, "reasoning_details": [detail]}
        case "content":
            return {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": text}]}]}
        case "google":
            return {"content": f"<thought>{text}</thought>"}
        case _:
            return {"reasoning_content": text}


def _fragments(preset: Preset, calls: list[Use], *, thought: bool) -> list[dict[str, Any]]:
    """Id and name of each call, then halves of their arguments in turns."""
    found = []
    for index, call in enumerate(calls):
        function = {"name": call.name, "arguments": ""}
        fragment: dict[str, Any] = {"index": index, "id": call.id, "type": "function", "function": function}
        if thought and preset.quirks.replay == "google":
            fragment["extra_content"] = {"google": {"thought_signature": SEALED}}
        found.append(fragment)
    for half in (0, 1):
        for index, call in enumerate(calls):
            written = halves(json.dumps(call.input))[half]
            found.append({"index": index, "function": {"arguments": written}})
    return found


# Responses


def of_responses(parts: Sequence[Part], stop: str | None = None) -> list[dict[str, Any]]:
    """The events of a stream, the items side by side."""
    items = [_item(part, number) for number, part in enumerate(parts)]
    # The book has a model think before it speaks; calls run side by side.
    lines = [responses.told(item, index, cut=halves) for index, item in enumerate(items)]
    calls = [line for line, part in zip(lines, parts, strict=True) if isinstance(part, Use)]
    found = [event for line in lines if line not in calls for event in line]
    found += [event for turn in zip_longest(*calls) for event in turn if event is not None]
    if stop is not None:
        ending = responses.ended(items, "incomplete", incomplete_details={"reason": stop})
    else:
        ending = responses.ended(items)
    return [*responses.created(), *found, *ending]


def _item(part: Part, number: int) -> dict[str, Any]:
    item: dict[str, Any]
    match part:
        case Say(text):
            item = responses.message(text, identity=f"msg_{number}")
        case Think(text):
            item = responses.reasoning(text, encrypted=SEALED, identity=f"rs_{number}")
        case Use(call_id, name, given):
            item = responses.call(name, json.dumps(given), call_id, f"fc_{number}")
        case Search(query):
            action = {"type": "search", "query": query, "sources": [{"type": "url", "url": PAGE}]}
            item = {"type": "web_search_call", "id": f"ws_{number}", "status": "completed", "action": action}
    return item


# Ollama's own API


def of_ollama(parts: Sequence[Part], stop: str | None = None) -> list[bytes]:
    """The lines of a stream."""
    pieces: list[dict[str, Any]] = []
    for part in parts:
        match part:
            case Say(text):
                pieces += [{"content": half} for half in halves(text)]
            case Think(text):
                pieces += [{"content": "", "thinking": half} for half in halves(text)]
            case Use(call_id, name, given):
                function = {"index": 0, "name": name, "arguments": given}
                pieces.append({"content": "", "tool_calls": [{"id": call_id, "function": function}]})
            case Search():
                raise AssertionError("no backend searches on this wire")
    end = {"done": True, "done_reason": stop or "stop", "prompt_eval_count": 3, "eval_count": 5}
    lines = [{"message": {"role": "assistant", **piece}, "done": False} for piece in pieces]
    return [line(each) for each in [*lines, {"message": {"role": "assistant", "content": ""}, **end}]]


def line(value: dict[str, Any]) -> bytes:
    return json.dumps({"model": "model-1", "created_at": "2026-11-20T10:00:00Z", **value}).encode() + b"\n"


def refusal(status: int, body: Any, *headers: tuple[bytes, bytes]) -> Script:
    """A reply that is no stream."""
    return Script(status=status, headers=[*JSON, *headers], body=[json.dumps(body).encode()])


def broken(wire: str, *frames: bytes | Sleep) -> Script:
    """A stream that ends behind ``frames``."""
    return Script(headers=list(NDJSON if wire == "ollama" else SSE), body=list(frames))
