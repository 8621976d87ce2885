"""Events of a Messages stream, and the bytes of one.

An event is the decoded JSON object of a frame, with ``type`` (Anthropic, *Streaming messages*). The makers
here are for the events that ccrouter produces itself; events of a backend keep their own bytes.
"""

from __future__ import annotations

import json
from typing import Any, TypeAlias

from ccrouter.wire import json_text

Event = dict[str, Any]


def encode(event: Event) -> bytes:
    """One server-sent event. The ``event:`` line is required: without it the client drops the frame."""
    try:
        data = _written(event)
    except ValueError:  # a number that is too large to be one again: nothing, as `json_text` has it
        data = _written(json_text.loads(json.dumps(event), nan="null"))
    # A lone surrogate has no bytes in UTF-8; its escape is the one that JSON has for it.
    return f"event: {event['type']}\ndata: {data}\n\n".encode("utf-8", "backslashreplace")


def _written(event: Event) -> str:
    return json.dumps(event, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def ping() -> Event:
    """Says only that the stream lives; allowed anywhere."""
    return {"type": "ping"}


def error(kind: str, message: str) -> Event:
    """Ends a stream that cannot become whole."""
    return {"type": "error", "error": {"type": kind, "message": message}}


def message_start(message_id: str, model: str, usage: dict[str, Any]) -> Event:
    """Opens the message; ``message_id`` must be unique for each reply, or the client merges turns."""
    return {
        "type": "message_start",
        "message": {
            "id": message_id,
            "type": "message",
            "role": "assistant",
            "model": model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage,
        },
    }


def block_start(index: int, block: dict[str, Any]) -> Event:
    """Opens content block ``index``."""
    return {"type": "content_block_start", "index": index, "content_block": block}


def block_delta(index: int, delta: dict[str, Any]) -> Event:
    """Adds ``delta`` to the open block."""
    return {"type": "content_block_delta", "index": index, "delta": delta}


def block_stop(index: int) -> Event:
    """Closes the open block."""
    return {"type": "content_block_stop", "index": index}


def message_delta(
    stop_reason: str,
    usage: dict[str, Any],
    stop_sequence: str | None = None,
    stop_details: dict[str, Any] | None = None,
) -> Event:
    """Says why the message ends; ``usage`` is cumulative, ``stop_details`` those of a refusal."""
    delta: dict[str, Any] = {"stop_reason": stop_reason, "stop_sequence": stop_sequence}
    if stop_details is not None:
        delta["stop_details"] = stop_details
    return {"type": "message_delta", "delta": delta, "usage": usage}


def message_stop() -> Event:
    """The message is whole."""
    return {"type": "message_stop"}


#: Counts of tokens by Anthropic's names.
Usage: TypeAlias = dict[str, int]

_COUNTS = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens")


#: No reply has so many; a number that is larger is none, and too large to reckon with.
_TOO_MANY = 10**12


def usage_in(value: object) -> Usage:
    """The counts of a ``usage``, whatever else it is."""
    if not isinstance(value, dict):
        return {}
    counts = ((name, value.get(name)) for name in _COUNTS)
    return {name: count for name, count in counts if type(count) is int and 0 <= count < _TOO_MANY}


def usage_of(event: Event) -> Usage:
    """What an event tells of the usage; later events overwrite what earlier ones said."""
    if event["type"] == "message_start":
        message = event.get("message")
        return usage_in(message.get("usage") if isinstance(message, dict) else None)
    return usage_in(event.get("usage")) if event["type"] == "message_delta" else {}
