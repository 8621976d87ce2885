"""A scripted backend on loopback that speaks Anthropic's format: it records all that reaches it.

A server of its own on h11, nothing of the router's code. What it answers is a function of the request. It is as
strict about requests as a backend would be (`tests.e2e.strictness`): what is wrong with one becomes a complaint,
and complaints fail the test.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from functools import cached_property
from typing import Any

import h11
import trio
from attrs import Factory, define

from tests.e2e import replies, strictness
from tests.e2e.replies import Reply


@define(slots=False, eq=False)
class Received:
    """A request as it came."""

    number: int
    method: str
    target: str
    headers: list[tuple[bytes, bytes]]
    body: bytes
    at: float
    reply: Reply | None = None
    hung_up: trio.Event = Factory(trio.Event)
    """Set when the peer went away while its reply was on the way."""
    done: trio.Event = Factory(trio.Event)
    """Set when nothing more of the reply will be sent."""

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    @cached_property
    def json(self) -> dict[str, Any]:
        """The decoded body, empty for a request without one."""
        value = json.loads(self.body) if self.body else {}
        return value if isinstance(value, dict) else {}

    def header(self, name: str) -> str | None:
        """The values of a header, joined as HTTP allows it; None without any."""
        found = [value.decode("latin-1") for key, value in self.headers if key == name.encode()]
        return ", ".join(found) if found else None

    @cached_property
    def kind(self) -> str:
        """messages of the ``main`` conversation, of a ``subagent``, for a ``title``; ``count``; ``models``; ``other``."""
        if self.path.endswith("/v1/messages/count_tokens"):
            return "count"
        if self.path.endswith("/v1/messages"):
            if self.header("x-claude-code-agent-id") or "cc_is_subagent=true" in _first_system_text(self.json):
                return "subagent"
            form = self.json.get("output_config", {}).get("format", {})
            return "title" if form.get("type") == "json_schema" else "main"
        return "models" if self.method == "GET" and self.path.endswith(("/v1/models", "/api/tags")) else "other"

    @cached_property
    def turns(self) -> list[dict[str, Any]]:
        """The messages without the reminders that have a role of their own."""
        return [turn for turn in self.json.get("messages", []) if turn.get("role") != "system"]

    @cached_property
    def results(self) -> list[dict[str, Any]]:
        """The tool results of the last message."""
        content = self.turns[-1]["content"] if self.turns else []
        return [block for block in content if isinstance(block, dict) and block.get("type") == "tool_result"]

    @property
    def everything(self) -> bytes:
        """All bytes of the request, to be searched."""
        return b"\n".join([self.target.encode(), *(b": ".join(header) for header in self.headers), self.body])

    def say(self, *blocks: replies.Block, strange: bool = False, input_tokens: int = 1234) -> Reply:
        """A reply in the form that was asked for."""
        message = self.message(*blocks, strange=strange, input_tokens=input_tokens)
        return message.stream() if self.json.get("stream") else message.whole()

    def message(self, *blocks: replies.Block, strange: bool = False, input_tokens: int = 1234) -> replies.Message:
        """A message with an id of its own."""
        return replies.Message(
            id=f"msg_scripted_{self.number}",
            model=str(self.json.get("model", "")),
            blocks=blocks,
            strange=strange,
            input_tokens=input_tokens,
        )


def _first_system_text(body: dict[str, Any]) -> str:
    system = body.get("system")
    first = system[0] if isinstance(system, list) and system else {}
    return str(first.get("text", "")) if isinstance(first, dict) else ""


Script = Callable[[Received], Reply | Awaitable[Reply]]

#: Tells what is wrong with a request.
Judge = Callable[[Received], Iterable[str]]


def as_anthropic(received: Received) -> list[str]:
    """What Anthropic would find wrong."""
    return strictness.judge(received.method, received.path, received.headers, received.body)


def usual(received: Received) -> Reply | None:
    """What every script answers alike: titles, counts, lists of models; None for the rest."""
    match received.kind:
        case "title":
            return received.say(replies.Text('{"title": "A scripted title"}'))
        case "count":
            return replies.as_json({"input_tokens": 4321})
        case "models":
            return replies.models("claude-sonnet-5-5", "claude-opus-5-5")
        case "other":
            return replies.error(404, "not_found_error", f"nothing at {received.path}")
    return None


@define(eq=False)
class Upstream:
    """The running backend. ``script`` may be exchanged at any time."""

    port: int
    script: Script
    judge: Judge = as_anthropic
    received: list[Received] = Factory(list)
    complaints: list[str] = Factory(list)
    arrived: trio.Condition = Factory(trio.Condition)

    @property
    def url(self) -> str:
        """Its base URL."""
        return f"http://127.0.0.1:{self.port}"

    def of(self, kind: str) -> list[Received]:
        """The requests of a kind, in the order of their arrival."""
        return [each for each in self.received if each.kind == kind]

    @property
    def everything(self) -> bytes:
        """All bytes that ever came."""
        return b"\n".join(each.everything for each in self.received)

    async def nth(self, kind: str, number: int, *, within: float = 20) -> Received:
        """The request of this kind with this number, from 0 on, waiting for it to come."""
        with trio.fail_after(within):
            async with self.arrived:
                while len(self.of(kind)) <= number:
                    await self.arrived.wait()
        return self.of(kind)[number]


@asynccontextmanager
async def serve(script: Script, judge: Judge = as_anthropic) -> AsyncIterator[Upstream]:
    """A backend for the block; what was complained about by its end is an AssertionError."""
    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        upstream = Upstream(listeners[0].socket.getsockname()[1], script, judge)

        async def connection(stream: trio.SocketStream) -> None:
            async with stream:
                await _serve_connection(upstream, stream)

        nursery.start_soon(trio.serve_listeners, connection, listeners)
        yield upstream
        nursery.cancel_scope.cancel()
    assert not upstream.complaints, "\n".join(upstream.complaints)


async def _serve_connection(upstream: Upstream, stream: trio.SocketStream) -> None:
    http = h11.Connection(h11.SERVER)
    while True:
        try:
            received = await _read(http, stream, len(upstream.received))
        except h11.RemoteProtocolError as error:
            upstream.complaints.append(f"not HTTP: {error}")
            return
        except trio.BrokenResourceError:
            return
        if received is None:
            return
        upstream.received.append(received)
        upstream.complaints += upstream.judge(received)
        async with upstream.arrived:
            upstream.arrived.notify_all()
        try:
            whole = await _answer(upstream, http, stream, received)
        finally:
            received.done.set()
        if not whole or http.our_state is not h11.DONE or http.their_state is not h11.DONE:
            return
        http.start_next_cycle()


async def _read(http: h11.Connection, stream: trio.SocketStream, number: int) -> Received | None:
    head: h11.Request | None = None
    body = bytearray()
    while True:
        event = http.next_event()
        match event:
            case h11.NEED_DATA:
                http.receive_data(await stream.receive_some(65536))
            case h11.Request():
                head = event
            case h11.Data():
                body += event.data
            case h11.EndOfMessage():
                assert head is not None
                return Received(
                    number,
                    head.method.decode(),
                    head.target.decode("latin-1"),
                    list(head.headers),
                    bytes(body),
                    trio.current_time(),
                )
            case _:  # the peer closed the connection
                return None


async def _answer(upstream: Upstream, http: h11.Connection, stream: trio.SocketStream, received: Received) -> bool:
    """Whether the reply went out whole."""
    try:
        scripted = upstream.script(received)
        reply = scripted if isinstance(scripted, Reply) else await scripted
    except Exception as error:  # noqa: BLE001  a test's own bug, told with the complaints
        upstream.complaints.append(f"the script failed at request {received.number} ({received.kind}): {error!r}")
        reply = replies.error(400, "invalid_request_error", "the script of the test failed")
    received.reply = reply
    whole = False

    async def write() -> None:
        nonlocal whole
        framing = ("transfer-encoding", "chunked")
        counted = all(isinstance(step, bytes) for step in reply.steps) and reply.headers[:1] == (replies.JSON,)
        if counted:
            framing = ("content-length", str(len(reply.body)))
        headers = [*reply.headers, framing]
        await _send(stream, http.send(h11.Response(status_code=reply.status, headers=headers)))
        if counted and reply.end == "whole":
            # The peer knows from the length where it ends, and may send its next request with the last byte.
            watching.cancel()
        for step in reply.steps:
            match step:
                case bytes():
                    await _send(stream, http.send(h11.Data(data=step)))
                case trio.Event():
                    await step.wait()
                case _:
                    await trio.sleep(step)
        if reply.end == "silent":
            await trio.sleep_forever()
        if reply.end == "whole":
            # From here on the peer may send its next request, which is not the watch's to read.
            watching.cancel()
            await _send(stream, http.send(h11.EndOfMessage()))
            whole = True

    watching = trio.CancelScope()
    async with trio.open_nursery() as nursery:

        async def watch() -> None:
            data = b""
            with watching, suppress(trio.BrokenResourceError):
                data = bytes(await stream.receive_some(1))
            if watching.cancelled_caught:
                return
            if data:
                upstream.complaints.append("a second request came before the first one's reply was whole")
            received.hung_up.set()
            nursery.cancel_scope.cancel()

        nursery.start_soon(watch)
        try:
            await write()
        except trio.BrokenResourceError:  # the peer went while it was written to
            received.hung_up.set()
        nursery.cancel_scope.cancel()
    return whole


async def _send(stream: trio.SocketStream, data: bytes | None) -> None:
    if data:
        await stream.send_all(data)
