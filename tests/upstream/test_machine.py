"""What is found on this machine: looked for in the background, all at once, and never waited for twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest
import trio
from attrs import define, field
from trio.testing import MockClock

from ccrouter.providers.presets import PRESETS
from ccrouter.providers.provider import Provider
from ccrouter.routing.config import Config
from ccrouter.routing.sightings import Sight
from ccrouter.upstream.machine import LOOK_AGAIN, Machine
from ccrouter.upstream.models import PROBE, ModelLists
from tests.rig import provider


@define
class Lists:
    """Lists of models whose servers show what a test says; who is not named is gone."""

    sights: dict[str, Sight] = field(factory=dict)
    takes: float = 0.0
    asked: list[str] = field(factory=list)

    async def probe(self, provider: Provider) -> Sight:
        self.asked.append(provider.name)
        await trio.sleep(self.takes)
        return self.sights.get(provider.name, "gone")


def machine(lists: Lists, home: Path | str = "/nonexistent", **more: Any) -> Machine:
    config = more.pop("config", Config())
    more.setdefault("then", lambda: None)
    environ = {"HOME": str(home), "CODEX_HOME": str(home)}
    return Machine(PRESETS, cast(ModelLists, lists), lambda: config, environ=environ, platform="linux", **more)


PROBED = {name for name, preset in PRESETS.items() if preset.probe}


async def test_all_servers_are_looked_for_at_once(autojump_clock: MockClock) -> None:
    told: list[float] = []
    lists = Lists({"ollama": "there", "vllm": "silent"}, takes=PROBE)
    it = machine(lists, then=lambda: told.append(trio.current_time()))
    await it.look()
    assert set(lists.asked) == PROBED
    assert told == [pytest.approx(PROBE)]
    assert it.running == it.before == {"ollama"}


async def test_the_name_of_a_configured_provider_is_not_looked_for() -> None:
    lists = Lists()
    await machine(lists, config=Config(providers={"ollama": provider("ollama")})).look()
    assert set(lists.asked) == PROBED - {"ollama"}


async def test_who_asks_waits_for_the_first_look_and_for_no_other(autojump_clock: MockClock) -> None:
    lists = Lists({"ollama": "there"}, takes=PROBE)
    it = machine(lists)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(it.look)
        await it.looked(nursery)
        assert it.running == {"ollama"}
        lists.asked.clear()
        lists.sights.clear()
        for _ in range(2):
            await it.looked(nursery)
        assert lists.asked == []
        await trio.sleep(LOOK_AGAIN + 1)
        before = trio.current_time()
        for _ in range(3):  # one look is enough for all
            await it.looked(nursery)
        await trio.testing.wait_all_tasks_blocked()
        assert trio.current_time() == before
        assert sorted(lists.asked) == sorted(PROBED)
        await trio.sleep(LOOK_AGAIN + 1)
        assert it.running == {"ollama"}, "one look does not take it away"
        await it.looked(nursery)
        await trio.sleep(PROBE)
    assert it.running == set()
    assert it.before == {"ollama"}


async def test_a_first_look_that_does_not_end_is_not_waited_for(autojump_clock: MockClock) -> None:
    it = machine(Lists(takes=60))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(it.look)
        await it.looked(nursery)
        assert trio.current_time() <= 1.0
        nursery.cancel_scope.cancel()


async def test_a_login_that_cannot_be_read_for_a_moment_is_still_there(tmp_path: Path) -> None:
    login = tmp_path / ".claude" / ".credentials.json"
    login.parent.mkdir()
    whole = json.dumps({"claudeAiOauth": {"accessToken": "sk-ant-oat01-live", "expiresAt": 4102444800000}})
    it = machine(Lists(), tmp_path)
    seen = []
    for text in (whole, whole[:9], whole, "", "", whole):
        login.write_text(text)
        await it.look()
        seen.append(set(it.logins))
    assert seen == [{"client"}] * 4 + [set(), {"client"}]
    assert "anthropic" in it.before
