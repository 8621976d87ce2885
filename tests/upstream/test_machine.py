"""What is found on this machine: looked for in the background, all at once; the first look is waited for once."""

from __future__ import annotations

import json
import threading
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
from ccrouter.upstream.machine import FIRST, LOOK_AGAIN, LOOK_SOON, Machine
from ccrouter.upstream.models import PROBE, ModelLists
from tests.rig import provider


@define
class Lists:
    """Lists of models whose servers show what a test says; who is not named is gone."""

    sights: dict[str, Sight] = field(factory=dict)
    takes: float = 0.0
    slow: dict[str, float] = field(factory=dict)
    asked: list[str] = field(factory=list)

    async def probe(self, provider: Provider, seconds: float) -> Sight:
        self.asked.append(provider.name)
        with trio.move_on_after(seconds):
            await trio.sleep(self.slow.get(provider.name, self.takes))
            return self.sights.get(provider.name, "gone")
        return "silent"


def machine(lists: Lists, home: Path | str = "/nonexistent", **more: Any) -> Machine:
    config = more.pop("config", Config())
    more.setdefault("then", lambda: None)
    environ = {"HOME": str(home), "CODEX_HOME": str(home)}
    return Machine(PRESETS, cast(ModelLists, lists), lambda: config, environ=environ, platform="linux", **more)


PROBED = {name for name, preset in PRESETS.items() if preset.probe}


async def test_all_servers_are_looked_for_at_once(autojump_clock: MockClock) -> None:
    told: list[float] = []
    lists = Lists({"ollama": "there", "vllm": "silent"}, takes=PROBE / 2)
    it = machine(lists, then=lambda: told.append(trio.current_time()))
    await it.look()
    assert set(lists.asked) == PROBED
    assert told == [pytest.approx(PROBE / 2)]
    assert it.running == it.before == {"ollama"}


async def test_the_name_of_a_configured_provider_is_not_looked_for() -> None:
    lists = Lists()
    await machine(lists, config=Config(providers={"ollama": provider("ollama")})).look()
    assert set(lists.asked) == PROBED - {"ollama"}


async def test_who_asks_waits_for_the_first_look_and_for_no_other(autojump_clock: MockClock) -> None:
    lists = Lists({"ollama": "there"}, takes=PROBE / 2)
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


async def test_a_server_that_is_slow_at_the_first_look_is_waited_for_by_requests_and_by_no_list(
    autojump_clock: MockClock,
) -> None:
    lists = Lists({"ollama": "there", "lmstudio": "there"}, slow={"ollama": FIRST - 0.1, "vllm": 60})
    it = machine(lists)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(it.look)
        await it.glanced(nursery)
        assert trio.current_time() <= 1.0
        assert it.running == {"lmstudio"}, "who is quick does not wait for who is slow"
        await it.looked(nursery)
        assert trio.current_time() <= 3.0
        assert it.running == {"lmstudio", "ollama"}
        lists.asked.clear()
        await trio.sleep(LOOK_AGAIN + 1)
        before = trio.current_time()
        await it.looked(nursery)
        assert trio.current_time() == before
        await trio.sleep(1.0)
        assert sorted(lists.asked) == sorted(PROBED)
        assert it.running == {"lmstudio", "ollama"}
        before = trio.current_time()
        await it.look()
        assert trio.current_time() - before == pytest.approx(PROBE), "only the first look is a long one"


async def test_where_nothing_was_found_a_server_that_was_just_started_is(autojump_clock: MockClock) -> None:
    lists = Lists(takes=PROBE / 2)
    it = machine(lists)
    async with trio.open_nursery() as nursery:
        await it.look()
        lists.sights["ollama"] = "there"
        lists.asked.clear()
        await it.looked_anew(nursery)
        assert lists.asked == [], "the last look is new enough"
        await trio.sleep(LOOK_SOON + 0.1)
        for _ in range(2):
            nursery.start_soon(it.looked_anew, nursery)
        await it.looked_anew(nursery)
        assert it.running == {"ollama"}
        assert sorted(lists.asked) == sorted(PROBED), "one look is enough for all"
        lists.takes = 60
        await trio.sleep(LOOK_SOON + 0.1)
        before = trio.current_time()
        await it.looked_anew(nursery)
        assert trio.current_time() - before <= 1.0


async def test_a_first_look_that_does_not_end_is_waited_for_once(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hangs(*_: object, **__: object) -> None:
        await trio.sleep_forever()

    monkeypatch.setattr(trio.to_thread, "run_sync", hangs)  # the disk of a login
    it = machine(Lists())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(it.look)
        await it.glanced(nursery)
        assert trio.current_time() <= 1.0
        for _ in range(3):
            await it.looked(nursery)
        assert trio.current_time() <= 1.0 + 3.0
        nursery.cancel_scope.cancel()


async def test_a_disk_that_hangs_takes_one_thread_and_servers_are_found_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hanging, entered = threading.Event(), []

    def hangs(*_: object) -> dict[str, bool]:
        entered.append(threading.get_ident())
        hanging.wait(30)
        return {}

    monkeypatch.setattr("ccrouter.upstream.machine._logins", hangs)
    monkeypatch.setattr("ccrouter.upstream.machine.LOGINS", 0.05)
    lists = Lists()
    it = machine(lists)
    try:
        for name in sorted(PROBED):
            lists.sights[name] = "there"
            await it.look()
            assert it.running == set(lists.sights)
    finally:
        hanging.set()
    assert len(entered) == 1


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
