"""A router that serves nothing, in place of `ccrouter.service.serve`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import trio
import trio.testing
from attrs import define, field

from ccrouter.menu import Listed
from ccrouter.routing.config import Config
from ccrouter.service import Options


@define
class FakeRunning:
    """What `ccrouter.service.Running` offers, with a record of what was asked of it."""

    url: str = "http://127.0.0.1:43117"
    host: str = "127.0.0.1"
    port: int = 43117
    token: str = "ccr-secret"
    busy: int = 0
    asked: list[str] = field(factory=list)
    listed: Sequence[Listed] = ()
    config: Config = field(factory=Config)
    stop: trio.Event = field(factory=trio.Event)
    patient: bool = False
    """Whether a drain takes until `end`."""

    def drain(self) -> None:
        self.asked.append("drain")
        if not self.patient:
            self.stop.set()

    def end(self) -> None:
        self.asked.append("end")
        self.stop.set()

    async def models(self, seconds: float) -> Sequence[Listed]:
        self.asked.append(f"models {seconds}")
        return self.listed


@define
class FakeRouter:
    """`serve` reports ``running`` and lasts until that is stopped, or until ``failure`` is due."""

    running: FakeRunning = field(factory=FakeRunning)
    failure: Exception | None = None
    fails_at_start: bool = False
    options: Options | None = None

    async def serve(self, options: Options, *, task_status: trio.TaskStatus[Any]) -> None:
        self.options = options
        if self.failure is not None and self.fails_at_start:
            raise self.failure
        if options.token is not None:
            self.running.token = options.token
        task_status.started(self.running)
        if self.failure is not None:
            await trio.testing.wait_all_tasks_blocked()
            raise self.failure
        await self.running.stop.wait()
