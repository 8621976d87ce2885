"""One router, a backend in every seat behind it, and the real client that is moved from one to the next."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from attrs import Factory, define

from tests.e2e import router, upstream
from tests.e2e.router import Router
from tests.e2e.sandbox import Ran, Sandbox
from tests.e2e.seats import DEMO, Seat, Told
from tests.e2e.stage import ARGUMENTS, Client
from tests.e2e.upstream import Upstream


@define(eq=False)
class Switchboard:
    """All of them. ``seats`` by the names under which the client asks for them."""

    client: Client
    sandbox: Sandbox
    told: Told
    router: Router
    seats: dict[str, Seat]
    upstreams: dict[str, Upstream] = Factory(dict)
    session: str = ""

    async def ask(self, prompt: str, target: str, *arguments: str) -> Ran:
        """One run of the client, which takes the conversation up where it was."""
        again: tuple[str, ...] = ()
        if self.session:
            again = ("--resume", self.session) if self.client.is_new else ("--continue",)
        argv: list[str | Path] = [
            self.client.program,
            "-p",
            prompt,
            *ARGUMENTS,
            *again,
            "--model",
            target,
            *arguments,
        ]
        ran = await self.sandbox.run(argv, self.sandbox.environ(**self.router.env))
        self.session = ran.json["session_id"]
        return ran

    async def turn(self, target: str, *arguments: str) -> str:
        """A turn in which an image and a text are read, whoever answers it; what it ends with."""
        prompt = "look at it"
        if target == DEMO:
            image, notes = self.told.lay_out()
            prompt = f"read {image} and {notes}"
        answer = (await self.ask(prompt, target, *arguments)).answer
        self.told.sentences.append(answer)
        return answer


@asynccontextmanager
async def connected(
    client: Client, sandbox: Sandbox, told: Told, *seats: Seat, more: str = ""
) -> AsyncIterator[Switchboard]:
    """All of them for the block; what a seat complained about by its end is an AssertionError.

    ``more`` is added to the router's configuration.
    """
    async with AsyncExitStack() as stack:
        upstreams = {
            seat.name: await stack.enter_async_context(upstream.serve(seat.answer, seat.judge)) for seat in seats
        }
        tables = [seat.provider(upstreams[seat.name].url) for seat in seats]
        config = "\n".join([f'default = "{seats[0].name}"', *tables, more])
        running = await stack.enter_async_context(router.serve(sandbox, config))
        yield Switchboard(client, sandbox, told, running, {seat.target: seat for seat in seats}, upstreams)
        for each in upstreams.values():
            assert b"ccr-" not in each.everything, "the router's token left the router"
        complaints = [words for each in upstreams.values() for words in each.complaints]
        assert not complaints, "\n".join(complaints)
