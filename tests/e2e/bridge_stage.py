"""A client, a router and a scripted backend that speaks one of OpenAI's wires."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest
from attrs import Factory, define

from tests.e2e import replies, wiretap
from tests.e2e.openai_strictness import judge
from tests.e2e.openai_wires import ACCOUNT, KEY, MODEL, Block, Json, Wire, log_in_to_codex
from tests.e2e.replies import Reply
from tests.e2e.sandbox import Ran, Sandbox
from tests.e2e.stage import Client, Stage, Way, staged
from tests.e2e.upstream import Received
from tests.e2e.wiretap import Exchange, Wiretap


@define(eq=False)
class Asked:
    """A request of the model, in the words of its wire."""

    wire: Wire
    received: Received

    @property
    def body(self) -> Json:
        """The whole of it."""
        return self.received.json

    @property
    def history(self) -> list[Json]:
        """The conversation."""
        return self.wire.history(self.body)

    @property
    def results(self) -> list[str]:
        """The results that the model has not seen yet: their first lines, since the client may add reminders."""
        return [text.split("\n", 1)[0] for text in self.wire.results(self.body)]

    @property
    def tools(self) -> list[str]:
        """The names of the tools on offer."""
        return self.wire.tools(self.body)

    @property
    def latest(self) -> str:
        """What the model has not answered yet, to be searched."""
        return str(self.wire.latest(self.body))

    def say(self, *blocks: Block) -> Reply:
        """A whole reply."""
        return self.wire.say(*blocks, number=self.received.number)


def on(*pairs: tuple[str, Wire]) -> pytest.MarkDecorator:
    """Runs a test with these versions of the client, each on its wire: all of both, but not each with each."""
    rows = [pytest.param(version, wire, id=f"{version}-{wire.preset}") for version, wire in pairs]
    return pytest.mark.parametrize(("client", "wire"), rows, indirect=["client"])


Script = Callable[[Asked], Reply | Awaitable[Reply]]


@define(eq=False)
class BridgeStage:
    """The three of them. Set ``script``; each request is judged as strictly as the backend would."""

    wire: Wire
    stage: Stage
    script: Script
    asked: list[Asked] = Factory(list)
    """In the order of their arrival, without those for titles."""

    async def ask(self, prompt: str, *arguments: str, **environ: str) -> Ran:
        """One run of the client with this prompt."""
        return await self.stage.ask(prompt, "--model", MODEL, *arguments, **environ)

    def answer(self, received: Received, credential: str) -> Reply | Awaitable[Reply]:
        """What the backend answers."""
        complain = self.stage.upstream.complaints.append
        if received.path != self.wire.path:
            # Lists of models are asked for without need; nothing else is.
            if received.method != "GET":
                complain(f"{received.method} {received.path}")
            return replies.error(404, "not_found_error", "nothing here")
        for complaint in judge(self.wire, received.json):
            complain(f"request {received.number}: {complaint}")
        if received.header("authorization") != f"Bearer {credential}":
            complain("not the credential of this backend")
        if b"x-anthropic-billing-header" in received.body:
            complain("the attribution block, which is for Anthropic only")
        asked = Asked(self.wire, received)
        if self.wire.form(received.json) is None:
            self.asked.append(asked)
        return self.script(asked)


@asynccontextmanager
async def bridged(
    client: Client, sandbox: Sandbox, wire: Wire, script: Script, *, way: Way = "run"
) -> AsyncIterator[BridgeStage]:
    """A stage for the block."""
    credential = log_in_to_codex(sandbox) if wire.preset == "codex" else KEY
    async with staged(client, way, sandbox, config=wire.config) as stage:
        bridge = BridgeStage(wire, stage, script)
        stage.upstream.script = lambda received: bridge.answer(received, credential)
        yield bridge
        if wire.preset == "codex":
            accounts = {asked.received.header("chatgpt-account-id") for asked in bridge.asked}
            assert accounts == {ACCOUNT}


@asynccontextmanager
async def tapped(
    client: Client, sandbox: Sandbox, wire: Wire, script: Script
) -> AsyncIterator[tuple[BridgeStage, Wiretap]]:
    """A stage with a tap between the client and the router."""
    async with bridged(client, sandbox, wire, script, way="printed") as bridge:
        assert bridge.stage.router is not None
        async with wiretap.tap(bridge.stage.router.port) as tap:
            bridge.stage.router.env["ANTHROPIC_BASE_URL"] = tap.url
            yield bridge, tap


def messages(tap: Wiretap) -> list[Exchange]:
    """What the client asked of the model, and what it was told."""
    return [each for each in tap.exchanges() if each.target.startswith("/v1/messages?")]


def assert_cached(asked: list[Asked]) -> None:
    """Each of these requests begins with all of the one before it, so that a prompt cache holds."""
    for before, after in pairwise(asked):
        assert after.history[: len(before.history)] == before.history
        assert after.wire.before(after.body) == before.wire.before(before.body)
        assert after.body.get("prompt_cache_key") == before.body.get("prompt_cache_key")
