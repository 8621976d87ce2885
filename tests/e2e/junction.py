"""One router before several upstreams, and the real client, whose requests go this way and that by rules."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from attrs import define

from tests.e2e import router, upstream
from tests.e2e.replies import Reply, Text
from tests.e2e.router import Router
from tests.e2e.sandbox import Ran, Sandbox
from tests.e2e.stage import ARGUMENTS, Client
from tests.e2e.upstream import Received, Script, Upstream

#: Nobody listens there.
NOWHERE = "http://127.0.0.1:9"


def says(words: str) -> Script:
    """An upstream that says the same to whatever it is asked."""

    def script(received: Received) -> Reply:
        return upstream.usual(received) or received.say(Text(words))

    return script


def asked(backend: Upstream) -> list[Received]:
    """What an upstream was asked to answer. Lists of models and their like come as the router pleases."""
    return [each for each in backend.received if each.path.endswith("/v1/messages")]


@define(eq=False)
class Junction:
    """All of them. ``upstreams`` by the names of their providers."""

    client: Client
    sandbox: Sandbox
    upstreams: Mapping[str, Upstream]
    config: Path

    def __getitem__(self, name: str) -> Upstream:
        return self.upstreams[name]

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Router]:
        """A router for the block, which the user's other commands find; it finds what an earlier one remembered."""
        async with router.serve(self.sandbox, self.config.read_text(), foreground=True) as running:
            yield running

    async def ask(self, running: Router, prompt: str, *arguments: str, **environ: str) -> Ran:
        """One run of the client, in the environment that `ccrouter env` prints."""
        argv: list[str | Path] = [self.client.program, "-p", prompt, *ARGUMENTS, *arguments]
        return await self.sandbox.run(argv, self.sandbox.environ(**running.env, **environ))

    async def command(self, *arguments: str | Path) -> str:
        """What one of ccrouter's own commands prints."""
        ran = await self.sandbox.run([*router.command(), *arguments], router.environ(self.sandbox))
        assert ran.code == 0, ran
        return ran.stdout

    async def explained(self, number: int) -> list[dict[str, Any]]:
        """What the running router tells of its last requests, the oldest first."""
        told = json.loads(await self.command("explain", "--last", str(number), "--json"))
        return list(reversed(told))

    @property
    def tries(self) -> dict[str, int]:
        """How often each upstream was asked to answer."""
        return {name: len(asked(backend)) for name, backend in self.upstreams.items()}


@asynccontextmanager
async def joined(
    client: Client, sandbox: Sandbox, scripts: Mapping[str, Script], rules: str
) -> AsyncIterator[Junction]:
    """An upstream for each script, for the block. ``rules`` is the configuration beside the providers.

    The one called ``anthropic`` is Anthropic's; the others are endpoints in its format.
    """
    async with AsyncExitStack() as stack:
        upstreams = {name: await stack.enter_async_context(upstream.serve(each)) for name, each in scripts.items()}
        tables = [
            f'[providers.{name}]\npreset = "{"anthropic" if name == "anthropic" else "messages"}"\n'
            f'base_url = "{each.url}"\napi_key = "sk-{name}"\n'
            for name, each in upstreams.items()
        ]
        config = router.write_config(sandbox, rules + "\n" + "\n".join(tables))
        yield Junction(client, sandbox, upstreams, config)
        for name, each in upstreams.items():
            assert b"ccr-" not in each.everything, "the router's token left the router"
            others = [f"sk-{other}".encode() for other in upstreams if other != name]
            assert not any(key in each.everything for key in others), "a key that is another's"
