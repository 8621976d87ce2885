"""One cell's laboratory: a real router without a network, a backend of the column's kind, and what both ends saw.

A scenario asks through `Lab.ask`, which gives an `Exchange`: the request as the backend got it, what the router says
that it changed, and the reply as the client got it. The demo column has no script: there the demo model answers.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import cached_property, partial
from typing import Any

import trio
from attrs import define, evolve, field, frozen

from ccrouter.providers.presets import PRESETS
from ccrouter.providers.provider import Model, Preset, Provider, Target, Wire
from ccrouter.providers.secret import FromEnv
from ccrouter.routing.config import Config, Server
from ccrouter.translate.dialects import DIALECTS
from ccrouter.upstream.demo import DemoDial
from ccrouter.upstream.dial import Answer, Call, Dial
from ccrouter.wire.fold import fold
from ccrouter.wire.headers import Headers
from ccrouter.wire.messages import read_request
from ccrouter.wire.sse import Decoder
from tests.matrix.backends import Part, Say, reply
from tests.matrix.said import Entry, entries
from tests.rig import Script, rig, talk

MODEL = "model-1"

#: Of the client, with every request.
_HEADERS = [(b"user-agent", b"claude-cli/2.1.329"), (b"anthropic-version", b"2023-06-01")]


@frozen
class Column:
    """A preset by one of its wires; ``demo`` is a wire of its own here, since nobody scripts the demo model."""

    preset: Preset
    wire: str

    @property
    def name(self) -> str:
        return self.preset.name

    def __str__(self) -> str:
        return f"{self.wire}/{self.name}"


def columns(presets: Iterable[Preset] = PRESETS.values()) -> list[Column]:
    """Every preset by every wire that it has."""
    rows = list(presets)
    found = [
        Column(row, wire)
        for wire in DIALECTS
        for row in rows
        if row.transport == "http" and row.path(wire) is not None
    ]
    return found + [Column(row, row.transport) for row in rows if row.transport != "http"]


class Refused(Exception):
    """The router refused the request itself, in these words, and asked no backend."""


@frozen
class Exchange:
    """One request and its reply, from both ends. ``sent`` is None when the backend was never asked."""

    wire: str
    given: dict[str, Any]
    sent: dict[str, Any] | None
    sent_headers: Mapping[str, str]
    replied: bytes
    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float
    render: Callable[[], tuple[str, ...]] = field(repr=False)

    @cached_property
    def changes(self) -> tuple[str, ...]:
        """What the router says that it changed; its relay tells nobody."""
        return self.render()

    @cached_property
    def events(self) -> list[dict[str, Any]]:
        """The events of a stream. A frame without its ``event:`` line is dropped by the client, and so here."""
        frames = Decoder().feed(self.body)
        return [json.loads(frame.data) for frame in frames if frame.event and frame.data]

    @cached_property
    def message(self) -> dict[str, Any]:
        """The message that the client got. Raises for anything that is no whole message."""
        if self.headers.get("content-type", "").startswith("text/event-stream"):
            return fold(self.events)
        found: dict[str, Any] = json.loads(self.body)
        return found

    @property
    def content(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.message["content"]
        return found

    @property
    def text(self) -> str:
        return "".join(block["text"] for block in self.content if block["type"] == "text")

    @property
    def calls(self) -> list[dict[str, Any]]:
        return [block for block in self.content if block["type"] == "tool_use"]

    @property
    def error(self) -> dict[str, Any]:
        """What the client is told went wrong, before a stream or as its last event."""
        found = self.events[-1] if self.status == 200 else json.loads(self.body)
        error: dict[str, Any] = found.get("error") or {}
        return error

    @property
    def asked(self) -> dict[str, Any]:
        """What the backend got."""
        assert self.sent is not None
        return self.sent

    @property
    def said(self) -> list[Entry]:
        """The conversation as the backend got it."""
        return entries(self.wire, self.asked)

    @property
    def wording(self) -> str:
        """The same as text, to search for marks."""
        return json.dumps(self.asked)

    def noted(self, word: str) -> bool:
        """Whether the router says that it changed something of that name."""
        return any(word in change for change in self.changes)

    @property
    def is_messages(self) -> bool:
        """Whether the backend was asked in the client's own format, which allows more than others do."""
        return self.wire in {"messages", "demo"}

    @property
    def is_untouched(self) -> bool:
        """Whether both sides got what the other sent. The model's name is the router's own affair."""
        if self.sent is None:
            return False
        return {**self.sent, "model": ""} == {**self.given, "model": ""} and self.body == self.replied


@define(eq=False)
class _Tap:
    """A `Dial` that keeps what goes through it."""

    dial: Dial
    calls: list[Call] = field(factory=list)
    heard: list[bytes] = field(factory=list)

    @asynccontextmanager
    async def __call__(self, call: Call) -> AsyncIterator[Answer]:
        self.calls.append(call)
        async with self.dial(call) as answer:
            yield _Tapped(answer, self.heard)


@define(eq=False)
class _Tapped:
    answer: Answer
    heard: list[bytes]

    @property
    def status(self) -> int:
        return self.answer.status

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        return self.answer.headers

    async def read(self) -> bytes:
        data = await self.answer.read()
        self.heard.append(data)
        return data


@define(eq=False)
class Lab:
    """Where one cell is measured."""

    column: Column
    exchanges: list[Exchange] = field(factory=list)

    @property
    def wire(self) -> str:
        return self.column.wire

    @property
    def preset(self) -> Preset:
        return self.column.preset

    @property
    def speaks_messages(self) -> bool:
        """Whether the client's own format goes to the backend."""
        return self.wire in {"messages", "demo"}

    @property
    def is_native(self) -> bool:
        """Whether the backend's errors are the client's own, and pass as they are."""
        return self.preset.native

    def words(self, for_demo: str) -> str:
        """A prompt; the demo model is driven by its words."""
        return for_demo if self.wire == "demo" else "hi"

    async def ask(
        self,
        *parts: Part,
        script: Script | None = None,
        stop: str | None = None,
        headers: Sequence[tuple[bytes, bytes]] = (),
        count: bool = False,
        fails: bool = False,
        facts: Mapping[str, Any] | None = None,
        **fields: Any,
    ) -> Exchange:
        """Ask once; the backend says ``parts``, or follows ``script``. Raises Refused unless ``fails``.

        ``facts``: what the configuration says of the model.
        """
        given = {
            "model": f"{self.column.name}:{MODEL}",
            "max_tokens": 1000,
            "stream": True,
            "messages": [{"role": "user", "content": "hi"}],
            **fields,
        }
        if script is None:
            script = reply(self.preset, self.wire, parts or (Say("hello there"),), stop, stream=given["stream"])
        found = await self._exchange(given, script, headers, "/count_tokens" if count else "", facts or {})
        self.exchanges.append(found)
        if not fails:
            if found.sent is None and found.status == 400:
                raise Refused(found.error["message"])
            assert count or found.message
        return found

    async def _exchange(
        self,
        given: dict[str, Any],
        script: Script,
        headers: Sequence[tuple[bytes, bytes]],
        path: str,
        facts: Mapping[str, Any],
    ) -> Exchange:
        to = self._provider(facts)
        environ = dict.fromkeys(("HOME", *self.preset.key_env, "KEY"), "/nonexistent/key")
        # The clock jumps to the next deadline whenever all wait, so only the backend may set any.
        config = Config(server=Server(ping=float("inf"), commit_after=float("inf")))
        it = rig(script, providers=[to], environ=environ, config=config)
        tap = _Tap(DemoDial(float) if self.wire == "demo" else it.dial)
        it.backends = evolve(it.backends, dials={"http": tap, "demo": tap})
        body = json.dumps(given).encode()
        headers = [*_HEADERS, *headers]
        started = trio.current_time()
        async with talk(it) as client:
            await client.send(body, headers, target=f"/v1/messages{path}?beta=true")
            got = await client.reply()
        call = tap.calls[-1] if tap.calls else None
        return Exchange(
            wire=self.wire,
            given=given,
            sent=json.loads(call.body) if call else None,
            sent_headers={name.decode(): value.decode() for name, value in call.headers} if call else {},
            replied=b"".join(tap.heard),
            status=client.status,
            headers=client.headers,
            body=got,
            seconds=trio.current_time() - started,
            render=partial(_changes, body, to, headers),
        )

    def _provider(self, facts: Mapping[str, Any]) -> Provider:
        wires: dict[str, Wire] = {wire: wire for wire in DIALECTS}
        # These two would look for a login on this machine.
        key = FromEnv("KEY") if self.preset.auth in {"client", "codex"} else None
        models = (Model(MODEL, **facts),) if facts else ()
        base = self.preset.base_url or f"https://{self.preset.name}.example"
        to = Provider(name=self.preset.name, preset=self.preset, base_url=base)
        return evolve(to, wire=wires.get(self.wire), api_key=key, models=models)


def _changes(body: bytes, to: Provider, headers: Headers) -> tuple[str, ...]:
    request = read_request(body)
    target = Target(to, request.model.removeprefix(f"{to.name}:"))
    return DIALECTS[target.wire].render(request, target, headers, "", "messages").changes
