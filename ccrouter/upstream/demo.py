"""The transport of the demo model: what `ccrouter.demo` says, as an upstream's replies. No network involved.

Here are the clock and the randomness that its mind has not: the pace of its streams, the deadlines that
the transports of real backends keep too, and ids that are unique for each reply.
"""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from secrets import token_hex
from typing import Any
from urllib.parse import urlsplit

import trio
from attrs import define, frozen

from ccrouter.demo.mind import reply
from ccrouter.demo.script import End, Refusal, Script
from ccrouter.errors import FrameError, Phase, UpstreamBroken, UpstreamTimeout
from ccrouter.upstream.dial import Answer, Call
from ccrouter.wire import events, json_text
from ccrouter.wire.fold import fold
from ccrouter.wire.headers import Headers

MODELS = {
    "data": [
        {
            "type": "model",
            "id": "demo",
            "display_name": "ccrouter demo (not a real model)",
            "description": "Built into ccrouter, works offline, follows a script",
            "created_at": "2026-01-01T00:00:00Z",
        }
    ],
    "has_more": False,
    "first_id": "demo",
    "last_id": "demo",
}


@frozen
class DemoDial:
    """A `Dial` whose backend is the demo model.

    ``pace`` tells the seconds between two pieces of an answer, 0 for none; it is asked before each piece, so
    that a change of the configuration takes effect at once. Holds nothing open: cancelling is always safe.
    """

    pace: Callable[[], float]

    @asynccontextmanager
    async def __call__(self, call: Call) -> AsyncIterator[Answer]:
        path = urlsplit(call.url).path
        if call.method == "POST" and path.endswith("/v1/messages"):
            answer = await self._message(call)
        elif call.method == "GET" and path.endswith("/v1/models"):
            answer = _json(200, MODELS)
        else:
            refused = f"The demo model has no {call.method} {path}; it has POST /v1/messages and GET /v1/models"
            answer = _refused(Refusal(status=404, kind="not_found_error", message=refused))
        await trio.lowlevel.checkpoint()
        yield answer

    async def _message(self, call: Call) -> _Answer:
        try:
            fields = json_text.loads(call.body, nan="null")
        except FrameError as error:
            return _refused(_invalid(f"The body {error}"))
        if not isinstance(fields, dict):
            return _refused(_invalid("The body is not a JSON object"))
        script = reply(fields, message_id=f"msg_demo_{token_hex(12)}")
        if isinstance(script, Refusal):
            return _refused(script)
        streamed = fields.get("stream") is True
        pause = script.delay if streamed else script.delay + script.paces * self.pace()
        await _within(pause, call.timeouts.first_byte, "first_byte")
        if not streamed:
            return _json(200, fold(piece.event for piece in script.pieces))
        return _streamed(script, self.pace, call.timeouts.idle)


@define
class _Answer:
    """An `Answer` whose body comes in parts, each with the paces to wait before it."""

    status: int
    headers: Headers
    _parts: Iterator[tuple[bytes, float]]
    _pace: Callable[[], float] = float
    _idle: float = math.inf
    _end: End = "whole"

    async def read(self) -> bytes:
        part = next(self._parts, None)
        if part is not None:
            body, weight = part
            await _within(weight * self._pace(), self._idle, "idle")
            return body
        if self._end == "silent":
            await _within(math.inf, self._idle, "idle")
        await trio.lowlevel.checkpoint()
        if self._end == "cut":
            raise UpstreamBroken("The demo model broke the connection, as it was asked to")
        return b""


def _streamed(script: Script, pace: Callable[[], float], idle: float) -> _Answer:
    parts = ((events.encode(piece.event), piece.weight) for piece in script.pieces)
    return _Answer(200, _headers(b"text/event-stream; charset=utf-8"), parts, pace, idle, script.end)


def _json(status: int, value: Mapping[str, Any], headers: Iterable[tuple[str, str]] = ()) -> _Answer:
    more = [(name.encode(), text.encode()) for name, text in headers]
    return _Answer(status, [*_headers(b"application/json"), *more], iter([(json.dumps(value).encode(), 0.0)]))


def _refused(refusal: Refusal) -> _Answer:
    return _json(refusal.status, events.error(refusal.kind, refusal.message), refusal.headers)


def _invalid(message: str) -> Refusal:
    return Refusal(status=400, kind="invalid_request_error", message=message)


def _headers(content_type: bytes) -> Headers:
    return [(b"content-type", content_type), (b"request-id", f"req_demo_{token_hex(12)}".encode())]


async def _within(seconds: float, limit: float, phase: Phase) -> None:
    """Sleep, but no longer than a transport may wait."""
    with trio.move_on_after(limit) as deadline:
        await trio.sleep(seconds)
    if deadline.cancelled_caught:
        raise UpstreamTimeout(f"The demo model sent nothing for {limit:g} s, as it was asked to", phase)
