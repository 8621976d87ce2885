"""A router without a network: real endpoints and relay between a memory stream and a scripted backend.

`ScriptedDial` is a fake of `ccrouter.upstream.pool.HttpDial`; that both behave alike is shown by running the same
promises over real sockets in tests/service and tests/e2e.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import h11
import trio
from attrs import define, evolve, field, frozen
from trio.testing import memory_stream_pair

from ccrouter.attempt.backends import Backends
from ccrouter.dispatch import Dispatcher
from ccrouter.endpoints import Endpoints
from ccrouter.observe.warnings import Warnings
from ccrouter.providers.presets import PRESETS
from ccrouter.providers.provider import Provider
from ccrouter.remembered.budgets import Budgets
from ccrouter.remembered.choice import ChoiceFile
from ccrouter.remembered.notebook import Notebook
from ccrouter.remembered.project import ProjectFiles
from ccrouter.routing.config import Config
from ccrouter.routing.directory import Directory
from ccrouter.server.connection import Limits, serve_connection
from ccrouter.server.gate import Gate
from ccrouter.server.stop import Stop
from ccrouter.upstream.credentials import Credentials
from ccrouter.upstream.dial import Answer, Call
from ccrouter.upstream.facts import Facts
from ccrouter.upstream.models import ModelLists
from ccrouter.upstream.secrets import Secrets
from ccrouter.wire import events
from ccrouter.wire.headers import Headers

TOKEN = "ccr-" + "t" * 40
SSE: Headers = [(b"content-type", b"text/event-stream")]
NDJSON: Headers = [(b"content-type", b"application/x-ndjson")]
JSON: Headers = [(b"content-type", b"application/json")]


@frozen
class Sleep:
    """The backend is silent for so many seconds."""

    seconds: float


#: An exception that is no CcrouterError stands for a mistake of ours.
Step = bytes | Sleep | Exception


@frozen
class Script:
    """What a backend does with one call: before its head, the head, then the body step by step."""

    body: Sequence[Step] = ()
    status: int = 200
    headers: Headers = field(factory=lambda: list(SSE))
    before: Sequence[Sleep | Exception] = ()
    where: str = ""
    """Only for calls whose URL holds this."""


@define(eq=False)
class ScriptedAnswer:
    status: int
    headers: Headers
    steps: list[Step]
    reads: int = 0

    async def read(self) -> bytes:
        await trio.lowlevel.checkpoint()
        while self.steps:
            self.reads += 1
            match self.steps.pop(0):
                case Sleep(seconds):
                    await trio.sleep(seconds)
                case bytes(data):
                    return data
                case error:
                    raise error
        return b""


@define(eq=False)
class ScriptedDial:
    """Answers each call by the next fitting script (the last one again and again) and keeps what happened."""

    scripts: list[Script]
    calls: list[Call] = field(factory=list)
    answers: list[ScriptedAnswer] = field(factory=list)
    opened: int = 0
    closed: int = 0

    @asynccontextmanager
    async def __call__(self, call: Call) -> AsyncIterator[Answer]:
        self.calls.append(call)
        fitting = [script for script in self.scripts if script.where in call.url]
        script = fitting[0]
        if len(fitting) > 1:
            self.scripts.remove(script)
        self.opened += 1
        try:
            for step in script.before:
                if isinstance(step, Exception):
                    raise step
                await trio.sleep(step.seconds)
            await trio.lowlevel.checkpoint()
            answer = ScriptedAnswer(script.status, list(script.headers), list(script.body))
            self.answers.append(answer)
            yield answer
        finally:
            self.closed += 1


@define(eq=False)
class Rig:
    """A router with its state laid open. ``providers`` by name; ``dial`` is what all of them are reached by."""

    dial: ScriptedDial
    providers: dict[str, Provider]
    aliases: Mapping[str, tuple[str, ...]] = field(factory=dict)
    default: str = "anthropic"
    environ: Mapping[str, str] = field(
        factory=lambda: {"HOME": "/nonexistent", "ANTHROPIC_API_KEY": "sk-router-key"}
    )
    config: Config = field(factory=Config)
    """What there is beside providers, aliases and default, which stand above."""
    gate: Gate = field(factory=lambda: Gate(host="127.0.0.1"))
    token: str = TOKEN
    ending: trio.Event = field(factory=trio.Event)
    projects: ProjectFiles | None = None
    state: Path = Path("/nonexistent/ccrouter")
    now: Callable[[], datetime] = datetime.now
    lines: list[str] = field(factory=list)
    makes_mistakes: bool = False
    """Whether a mistake of ccrouter's own is what the test is about; in all others it is a failure."""
    backends: Backends = field(init=False)
    lists: ModelLists = field(init=False)
    dispatch: Dispatcher = field(init=False)
    questions: ScriptedDial = field(factory=lambda: ScriptedDial([Script(status=404)]))
    """Who is asked what the models can do. By itself it knows nothing, so that ``dial`` has requests alone."""

    def __attrs_post_init__(self) -> None:
        credentials = Credentials(Secrets(self.environ), self.environ, "linux")
        dials = {"http": self.dial, "demo": self.dial}
        facts = Facts(ModelLists({"http": self.questions, "demo": self.questions}, credentials))
        notebook, warn = Notebook(self.state), Warnings(self.log)
        budgets = Budgets(notebook, clock=time.time, now=self.now, warn=warn)
        self.backends = Backends(dials=dials, credentials=credentials, facts=facts, budgets=budgets)
        self.lists = ModelLists(dials, credentials)
        self.dispatch = Dispatcher(
            config=lambda: self.config,
            build=self.built,
            backends=self.backends,
            notebook=notebook,
            choice=ChoiceFile(self.state),
            projects=self.projects,
            home="/home/user",
            warn=warn,
            now=self.now,
        )

    def log(self, line: str) -> None:
        self.lines.append(line)
        assert self.makes_mistakes or not line.startswith("a mistake in ccrouter"), line

    async def looked(self) -> None:
        await trio.lowlevel.checkpoint()

    async def directory(self) -> Directory:
        return self.built(self.config)

    def built(self, config: Config) -> Directory:
        providers = {name: each for name, each in self.providers.items() if name not in config.off}
        return Directory(
            providers=providers,
            addressable=providers,
            aliases={**self.aliases, **config.aliases},
            off=config.off,
            default=config.default or self.default,
        )

    def status(self) -> dict[str, Any]:
        return {}


def provider(name: str, preset: str | None = None, **changes: Any) -> Provider:
    """A provider of a preset, at its default place or a made-up one."""
    row = PRESETS[preset or name]
    base = row.base_url or f"https://{name}.example"
    return evolve(Provider(name=name, preset=row, base_url=base), **changes)


def rig(*scripts: Script, providers: Sequence[Provider] = (), **more: Any) -> Rig:
    """A rig whose backend follows ``scripts``; ``anthropic`` is its provider unless others are given."""
    chosen = providers or (provider("anthropic"),)
    more.setdefault("default", chosen[0].name)
    return Rig(ScriptedDial(list(scripts)), {each.name: each for each in chosen}, **more)


@define(eq=False)
class Talk:
    """A client's connection to a rig, or to a real router."""

    stream: trio.abc.Stream
    conn: h11.Connection = field(factory=lambda: h11.Connection(h11.CLIENT))
    ended: trio.Event = field(factory=trio.Event)
    status: int = 0
    headers: dict[str, str] = field(factory=dict)
    received: bytes = b""

    async def send(
        self,
        body: bytes,
        headers: Sequence[tuple[bytes, bytes]] = (),
        *,
        method: str = "POST",
        target: str = "/v1/messages?beta=true",
        token: str | None = TOKEN,
    ) -> None:
        """Send one request whole."""
        if self.conn.our_state is h11.DONE:
            self.conn.start_next_cycle()
        head = [(b"host", b"127.0.0.1"), (b"content-length", b"%d" % len(body)), *headers]
        if token is not None:
            head.append((b"x-ccrouter-token", token.encode()))
        out = self.conn.send(h11.Request(method=method, target=target, headers=head)) or b""
        out += self.conn.send(h11.Data(data=body)) or b""
        out += self.conn.send(h11.EndOfMessage()) or b""
        await self.stream.send_all(out)

    async def head(self) -> int:
        """The status of the reply."""
        event = await self._next()
        assert isinstance(event, h11.Response), event
        self.status = event.status_code
        self.headers = {name.decode(): value.decode("latin-1") for name, value in event.headers}
        return self.status

    async def some(self) -> bytes:
        """More of the reply's body; ``b""`` at its proper end."""
        event = await self._next()
        if isinstance(event, h11.EndOfMessage):
            return b""
        assert isinstance(event, h11.Data), event
        return bytes(event.data)

    async def rest(self) -> bytes:
        """All that is left of the body."""
        body = b""
        while data := await self.some():
            body += data
        return body

    async def reply(self) -> bytes:
        """Head and body at once; the status stands in ``status``."""
        await self.head()
        self.received = await self.rest()
        return self.received

    async def _next(self) -> object:
        while (event := self.conn.next_event()) is h11.NEED_DATA:
            self.conn.receive_data(bytes(await self.stream.receive_some()))
        return event


@asynccontextmanager
async def talk(
    it: Rig,
    pair: Callable[[], tuple[trio.StapledStream, trio.StapledStream]] = memory_stream_pair,
    endpoints: Endpoints | None = None,
) -> AsyncIterator[Talk]:
    """Connect to the rig, through ``endpoints`` if given. Leaving hangs up and waits for the server's side to end."""
    ours, theirs = pair()
    endpoints = endpoints or Endpoints(it)
    result = Talk(ours)

    async def run() -> None:
        await serve_connection(theirs, endpoints.answer, endpoints.refuse, Limits(), Stop())
        result.ended.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        yield result
        await trio.aclose_forcefully(ours)
        with trio.fail_after(30):
            await result.ended.wait()


def request(**fields: Any) -> bytes:
    """A Messages request."""
    base: dict[str, Any] = {
        "model": "claude-opus-5-5",
        "max_tokens": 10,
        "stream": True,
        "messages": [{"role": "user", "content": "hi"}],
    }
    return json.dumps(base | fields).encode()


async def exchange(it: Rig, model: str = "claude-opus-5-5", headers: Sequence[tuple[bytes, bytes]] = ()) -> Talk:
    """One request and its reply, on a connection of its own; the end is noted."""
    async with talk(it) as client:
        await client.send(request(model=model), headers)
        await client.reply()
        await trio.testing.wait_all_tasks_blocked()
    return client


def message(text: str = "hello") -> list[bytes]:
    """The frames of a whole stream."""
    return [
        events.encode(event)
        for event in (
            events.message_start("msg_1", "claude-opus-5-5", {"input_tokens": 3, "output_tokens": 1}),
            events.block_start(0, {"type": "text", "text": ""}),
            events.block_delta(0, {"type": "text_delta", "text": text}),
            events.block_stop(0),
            events.message_delta("end_turn", {"output_tokens": 5}),
            events.message_stop(),
        )
    ]


def event_types(stream: bytes) -> list[str]:
    """The types of the events in a stream, by their event lines."""
    return [line[7:] for line in stream.decode().splitlines() if line.startswith("event: ")]
