"""What a scripted upstream answers with: the bytes of replies, good ones and broken ones.

Written against Anthropic's documents and not with the router's own event code, so that the two check each other.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Any, Literal

import trio
from attrs import evolve, frozen

#: After the last chunk: the body is whole, the connection is cut, or nothing comes until the peer hangs up.
End = Literal["whole", "cut", "silent"]

#: Bytes to send, seconds to pause, or an event to wait for.
Step = bytes | float | trio.Event

JSON = ("content-type", "application/json")
STREAM = ("content-type", "text/event-stream; charset=utf-8")


@frozen(kw_only=True)
class Reply:
    """A reply, step by step. The chunks of its body go out as they stand, each in one write."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = (JSON,)
    steps: tuple[Step, ...] = ()
    end: End = "whole"

    @property
    def body(self) -> bytes:
        """All that goes out of the body."""
        return b"".join(step for step in self.steps if isinstance(step, bytes))

    def with_headers(self, *headers: tuple[str, str]) -> Reply:
        """With further headers."""
        return evolve(self, headers=(*self.headers, *headers))

    def after(self, event: trio.Event) -> Reply:
        """Nothing of the body goes out before ``event``."""
        return evolve(self, steps=(event, *self.steps))

    def recut(self, seed: int) -> Reply:
        """The same bytes in other chunks: in the middle of lines, of characters, of line ends."""
        chance = random.Random(seed)
        body, steps, at = self.body, [], 0
        while at < len(body):
            size = chance.choice((1, 2, 3, 7, 31, 200, 1500))
            steps.append(body[at : at + size])
            at += size
        return evolve(self, steps=tuple(steps))


@frozen
class Text:
    """A text block."""

    text: str


@frozen
class Thinking:
    """A thinking block with its signature."""

    text: str
    signature: str


@frozen
class Use:
    """A call of a tool. ``id`` must be unique in the conversation."""

    id: str
    name: str
    input: dict[str, Any]


Block = Text | Thinking | Use


@frozen(kw_only=True)
class Message:
    """A whole message, from which a reply of either form is made."""

    id: str
    model: str
    blocks: tuple[Block, ...]
    input_tokens: int = 1234
    strange: bool = False
    """With events, fields and comments that no document names."""

    @property
    def stop_reason(self) -> str:
        """Why it ends."""
        return "tool_use" if any(isinstance(block, Use) for block in self.blocks) else "end_turn"

    def whole(self) -> Reply:
        """Not streamed."""
        content: list[dict[str, Any]] = []
        for block in self.blocks:
            match block:
                case Text(text):
                    content.append({"type": "text", "text": text})
                case Thinking(text, signature):
                    content.append({"type": "thinking", "thinking": text, "signature": signature})
                case Use(id_, name, input_):
                    content.append({"type": "tool_use", "id": id_, "name": name, "input": input_})
        value = {
            "id": self.id,
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": content,
            "stop_reason": self.stop_reason,
            "stop_sequence": None,
            "usage": {"input_tokens": self.input_tokens, "output_tokens": 17},
        }
        return Reply(steps=(json.dumps(value).encode(),))

    def events(self) -> list[bytes]:
        """The frames of the stream."""
        usage = {"input_tokens": self.input_tokens, "output_tokens": 1}
        start: dict[str, Any] = {
            "id": self.id,
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage,
        }
        frames = []
        if self.strange:
            start["omen"] = {"nested": [1.0, 1e300, "\u2028"]}
            frames.append(b": a comment of the backend\n\n")
        frames.append(frame({"type": "message_start", "message": start}))
        frames.append(frame({"type": "ping"}))
        for index, block in enumerate(self.blocks):
            empty, deltas = _parts(block)
            frames.append(frame({"type": "content_block_start", "index": index, "content_block": empty}))
            frames += [frame({"type": "content_block_delta", "index": index, "delta": delta}) for delta in deltas]
            if self.strange:
                frames.append(frame({"type": "content_block_omen", "index": index, "x": "\u0085 ü 🙂"}))
            frames.append(frame({"type": "content_block_stop", "index": index}))
        delta = {"stop_reason": self.stop_reason, "stop_sequence": None}
        frames.append(frame({"type": "message_delta", "delta": delta, "usage": {"output_tokens": 17}}))
        frames.append(frame({"type": "message_stop"}))
        return frames

    def stream(self) -> Reply:
        """Streamed, a frame a write."""
        return Reply(headers=(STREAM,), steps=tuple(self.events()))

    def broken(self, end: Literal["cut", "silent"], frames: int) -> Reply:
        """A stream of which only the first so many frames come."""
        return Reply(headers=(STREAM,), steps=tuple(self.events()[:frames]), end=end)


def _parts(block: Block) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    match block:
        case Text(text):
            return {"type": "text", "text": ""}, [
                {"type": "text_delta", "text": text[at : at + 5]} for at in range(0, len(text), 5)
            ]
        case Thinking(text, signature):
            return {"type": "thinking", "thinking": "", "signature": ""}, [
                {"type": "thinking_delta", "thinking": text},
                {"type": "signature_delta", "signature": signature},
            ]
        case Use(id_, name, input_):
            text = json.dumps(input_)
            return {"type": "tool_use", "id": id_, "name": name, "input": {}}, [
                {"type": "input_json_delta", "partial_json": text[at : at + 9]} for at in range(0, len(text), 9)
            ]


def frame(event: dict[str, Any]) -> bytes:
    """One event as it stands in a stream, in the raw characters that a JSON string may hold."""
    return f"event: {event['type']}\ndata: {json.dumps(event, ensure_ascii=False)}\n\n".encode()


def error(status: int, kind: str, message: str, *headers: tuple[str, str]) -> Reply:
    """A refusal in Anthropic's envelope."""
    value = {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_scripted"}
    return Reply(status=status, headers=(JSON, *headers), steps=(json.dumps(value).encode(),))


def as_json(value: object) -> Reply:
    """Any JSON."""
    return Reply(steps=(json.dumps(value).encode(),))


def models(*names: str) -> Reply:
    """A list of models in Anthropic's shape."""
    rows: Sequence[dict[str, str]] = [
        {"type": "model", "id": name, "display_name": name.title(), "created_at": "2026-01-01T00:00:00Z"}
        for name in names
    ]
    return as_json({"data": rows, "has_more": False, "first_id": names[0], "last_id": names[-1]})


def ollama_tags(*names: str) -> Reply:
    """A list of models as Ollama gives it."""
    return as_json({"models": [{"name": name, "model": name, "size": 1} for name in names]})
