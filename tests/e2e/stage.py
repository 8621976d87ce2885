"""A client, a router and a scripted upstream, put together in one of the two ways in which users do it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

from attrs import define, frozen

from tests.e2e import router, upstream
from tests.e2e.claude_code import OLD
from tests.e2e.replies import Reply
from tests.e2e.sandbox import Ran, Sandbox

#: ``ccrouter run -- claude …``, or a client in an environment with the variables that ``serve`` printed.
Way = Literal["run", "printed"]

WAYS: tuple[Way, ...] = ("run", "printed")

#: What makes a run of the client one turn without questions, its result on standard output.
ARGUMENTS = ("--dangerously-skip-permissions", "--output-format", "json")


@frozen
class Client:
    """A Claude Code of one version."""

    version: str
    program: Path

    @property
    def is_new(self) -> bool:
        """Whether it knows ``modelPicker``."""
        return self.version != OLD


@define
class Stage:
    """The three of them. The router's token is searched for in all that reaches the upstream."""

    client: Client
    way: Way
    sandbox: Sandbox
    upstream: upstream.Upstream
    config: str
    router: router.Router | None

    async def ask(self, prompt: str, *arguments: str, **environ: str) -> Ran:
        """One run of the client with this prompt."""
        return await self.call("-p", prompt, *ARGUMENTS, *arguments, **environ)

    async def call(self, *arguments: str, **environ: str) -> Ran:
        """One run of the client with these arguments."""
        if self.router is not None:
            env = self.sandbox.environ(**self.router.env, **environ)
            return await self.sandbox.run([self.client.program, *arguments], env)
        config = router.write_config(self.sandbox, self.config)
        argv: list[str | Path] = [
            *router.command(),
            "run",
            "--config",
            config,
            "--",
            self.client.program,
            *arguments,
        ]
        return await self.sandbox.run(argv, router.environ(self.sandbox, **environ))


@asynccontextmanager
async def staged(client: Client, way: Way, sandbox: Sandbox, *, config: str | None = None) -> AsyncIterator[Stage]:
    """A stage for the block. ``config`` has UPSTREAM where the upstream's address belongs."""

    def silent(received: upstream.Received) -> Reply:
        raise AssertionError("the test has set no script")

    text = CONFIG if config is None else config
    async with upstream.serve(silent) as backend:
        text = text.replace("UPSTREAM", backend.url)
        if way == "run":
            yield Stage(client, way, sandbox, backend, text, None)
        else:
            async with router.serve(sandbox, text) as running:
                yield Stage(client, way, sandbox, backend, text, running)
                assert running.token.startswith("ccr-"), "what is searched for below is no token"
        assert b"ccr-" not in backend.everything, "the router's token left the router"


CONFIG = """
[providers.anthropic]
base_url = "UPSTREAM"
api_key = "sk-scripted"
"""
