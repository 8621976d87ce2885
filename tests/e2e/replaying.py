"""A client without a program: it replays its whole history each turn, as Claude Code does, to a router in a rig.

What streams is folded into the history as it came, thinking with its signature; the results of parallel calls are
the head of one message, in another order than the calls; the last block of the last message has the cache mark.
"""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import trio
from attrs import Factory, define

from ccrouter.providers.secret import Literal
from ccrouter.upstream.demo import DemoDial
from ccrouter.upstream.dial import Answer, Call
from ccrouter.wire.fold import fold
from ccrouter.wire.headers import Headers
from ccrouter.wire.sse import Decoder
from tests.e2e.seats import Seat
from tests.e2e.upstream import Received
from tests.rig import Rig, ScriptedAnswer, ScriptedDial, Talk, provider, talk

Block = dict[str, Any]

_TOOLS = [
    {
        "name": name,
        "description": name,
        "input_schema": {"type": "object", "properties": {key: {"type": "string"}}},
    }
    for name, key in (("Read", "file_path"), ("Bash", "command"))
]
_HEADERS: Headers = [(b"content-type", b"application/json"), (b"anthropic-version", b"2023-06-01")]


@define(eq=False)
class SeatedDial(ScriptedDial):
    """Reaches each seat by its name as the host, and the demo model by its own."""

    scripts: list[Any] = Factory(list)
    seats: dict[str, Seat] = Factory(dict)
    complaints: list[str] = Factory(list)
    demo: DemoDial = Factory(lambda: DemoDial(lambda: 0))

    @asynccontextmanager
    async def __call__(self, call: Call) -> AsyncIterator[Answer]:
        self.calls.append(call)
        place = urlsplit(call.url)
        if (seat := self.seats.get(place.hostname or "")) is None:
            async with self.demo(call) as answer:
                yield answer
            return
        target = call.url.partition(place.netloc)[2]
        received = Received(
            len(self.calls), call.method, target, list(call.headers), call.body, trio.current_time()
        )
        self.complaints += seat.judge(received)
        reply = seat.answer(received)
        headers = [(name.encode(), value.encode()) for name, value in reply.headers]
        steps = [step for step in reply.steps if isinstance(step, bytes)]
        await trio.lowlevel.checkpoint()
        yield ScriptedAnswer(reply.status, headers, list(steps))


@define(eq=False)
class Conversation:
    """One conversation with all who sit around a router."""

    dial: SeatedDial
    client: Talk
    lines: list[str]
    history: list[Block] = Factory(list)

    async def turn(self, target: str, prompt: str) -> str:
        """The answer to a prompt, all calls that it takes included."""
        self.history.append(_user({"type": "text", "text": prompt}))
        for _ in range(4):
            said = await self._ask(target)
            self.history.append({"role": "assistant", "content": said})
            calls = [block for block in said if block["type"] == "tool_use"]
            if not calls:
                return "".join(block["text"] for block in said if block["type"] == "text")
            self.history.append(_user(*map(_result, reversed(calls))))
        raise AssertionError("it calls tools without end")

    async def _ask(self, target: str) -> list[Block]:
        body = {
            "model": target,
            "max_tokens": 32000,
            "stream": True,
            "thinking": {"type": "adaptive"},
            "system": [{"type": "text", "text": "You are a coding agent."}],
            "tools": _TOOLS,
            "metadata": {"user_id": "user-of-the-test"},
            "messages": [*self.history[:-1], _marked(self.history[-1])],
        }
        await self.client.send(json.dumps(body).encode(), _HEADERS)
        reply = await self.client.reply()
        assert self.client.status == 200, reply
        decoder = Decoder()
        frames = [*decoder.feed(reply), *decoder.close()]
        message = fold([json.loads(frame.data) for frame in frames if frame.data])
        content: list[Block] = message["content"]
        return content


@asynccontextmanager
async def conversation(*seats: Seat) -> AsyncIterator[Conversation]:
    """A conversation for the block; what a seat complained about by its end is an AssertionError."""
    dial = SeatedDial(seats={seat.name: seat for seat in seats})
    providers = {"demo": provider("demo")}
    for seat in seats:
        preset, wire, prefix = seat.kind
        url = f"https://{seat.name}{prefix}"
        providers[seat.name] = provider(seat.name, preset, base_url=url, wire=wire, api_key=Literal(seat.key))
    it = Rig(dial, providers, default=seats[0].name)
    async with talk(it) as client:
        yield Conversation(dial, client, it.lines)
    assert not dial.complaints, "\n".join(dial.complaints)


def _user(*blocks: Block) -> Block:
    return {"role": "user", "content": list(blocks)}


def _marked(message: Block) -> Block:
    *others, last = message["content"]
    return {**message, "content": [*others, {**last, "cache_control": {"type": "ephemeral"}}]}


def _result(call: Block) -> Block:
    path = call["input"].get("file_path", "")
    content: list[Block] = [{"type": "text", "text": "a note"}]
    if path.endswith(".png"):
        data = base64.b64encode(Path(path).read_bytes()).decode()
        content = [{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}]
    return {"type": "tool_result", "tool_use_id": call["id"], "content": content}
