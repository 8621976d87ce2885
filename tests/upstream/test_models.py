from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing
from attrs import define, evolve, field

from ccrouter.errors import ConnectFailed, UpstreamBroken, UpstreamTimeout
from ccrouter.providers.presets import PRESETS
from ccrouter.providers.provider import Model, Provider
from ccrouter.providers.secret import FromEnv, Literal
from ccrouter.routing.credentials import ClientCredentials
from ccrouter.upstream import inquiry
from ccrouter.upstream.credentials import Credentials
from ccrouter.upstream.dial import Answer, Call
from ccrouter.upstream.models import FRESH, PROBE, Listing, ModelLists
from ccrouter.upstream.secrets import Secrets

# Asking


@define
class Backend:
    """What one backend does with the question; an exception in ``pieces`` is raised there."""

    pieces: list[bytes | Exception] = field(factory=list)
    status: int = 200
    delay: float = 0.0
    calls: list[Call] = field(factory=list)
    open: int = 0

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """None that matter."""
        return []

    def lists(self, *names: str) -> None:
        """From now on these models."""
        self.pieces = [json.dumps({"data": [{"id": name} for name in names]}).encode()]


@define
class Reading:
    """One answer on its way."""

    backend: Backend
    status: int
    headers: list[tuple[bytes, bytes]]
    _left: list[bytes | Exception]

    async def read(self) -> bytes:
        await trio.lowlevel.checkpoint()
        piece = self._left.pop(0) if self._left else b""
        if isinstance(piece, Exception):
            raise piece
        return piece


class Dialled:
    """A fake of `ccrouter.upstream.pool.HttpDial`: backends by the host of their URL."""

    def __init__(self) -> None:
        self.backends: dict[str, Backend] = {}

    @asynccontextmanager
    async def __call__(self, call: Call) -> AsyncIterator[Answer]:
        backend = self.backends[call.url.split("/")[2]]
        backend.calls.append(call)
        backend.open += 1
        try:
            await trio.sleep(backend.delay)
            yield Reading(backend, backend.status, backend.headers, list(backend.pieces))
        finally:
            backend.open -= 1


class Rig:
    """Model lists over backends that do what they are told."""

    def __init__(self) -> None:
        self.dial = Dialled()
        self.lists = ModelLists({"http": self.dial}, Credentials(Secrets({}), {}, "linux"))

    def provider(self, name: str, *listed: str, preset: str = "messages", **more: Any) -> tuple[Provider, Backend]:
        backend = self.dial.backends[f"{name}.example.com"] = Backend()
        backend.lists(*listed)
        provider = Provider(name=name, preset=PRESETS[preset], base_url=f"https://{name}.example.com", **more)
        return provider, backend

    async def refresh(self, *providers: Provider, seconds: float = 2.0) -> list[list[str]]:
        """Refresh, and what is known then."""
        await self.lists.refresh(providers, ClientCredentials(), seconds)
        return [[model.id for model in self.lists.of(provider).models] for provider in providers]


@pytest.fixture
def rig():
    return Rig()


async def test_all_providers_are_asked_at_once(rig, autojump_clock):
    asked = [rig.provider(f"p{number}", f"m{number}") for number in range(5)]
    for _, backend in asked:
        backend.delay = 1.5
    started = trio.current_time()
    assert await rig.refresh(*(provider for provider, _ in asked)) == [[f"m{number}"] for number in range(5)]
    assert trio.current_time() - started == pytest.approx(1.5)


async def test_one_that_does_not_answer_costs_the_others_nothing(rig, autojump_clock):
    dead, backend = rig.provider("dead")
    backend.delay = math.inf
    alive, _ = rig.provider("alive", "m")
    started = trio.current_time()
    assert await rig.refresh(dead, alive) == [[], ["m"]]
    assert trio.current_time() - started == pytest.approx(2.0)
    assert rig.lists.of(dead).problem == "no answer within 2 s"
    assert rig.lists.of(alive).problem is None
    assert backend.open == 0


async def test_one_that_did_not_answer_is_not_waited_for_again_at_once(rig, autojump_clock):
    dead, backend = rig.provider("dead")
    backend.delay = math.inf
    await rig.refresh(dead)
    started = trio.current_time()
    await rig.refresh(dead)
    assert trio.current_time() == started
    assert len(backend.calls) == 1
    await trio.sleep(FRESH / 10)
    backend.delay = 0
    backend.lists("m")
    assert await rig.refresh(dead) == [["m"]]


async def test_a_fresh_list_is_not_asked_for_again(rig, autojump_clock):
    provider, backend = rig.provider("p", "old")
    await rig.refresh(provider)
    backend.lists("new")
    await trio.sleep(FRESH - 1)
    assert await rig.refresh(provider) == [["old"]]
    await trio.sleep(1)
    assert await rig.refresh(provider) == [["new"]]
    assert len(backend.calls) == 2


@pytest.mark.parametrize(
    ("pieces", "status", "problem"),
    [
        ([], 503, "HTTP status 503 to the question for its models"),
        ([], 307, "HTTP status 307 to the question for its models"),
        ([b"{}"], 200, "its list of models cannot be read"),
        (
            [ConnectFailed("no connection to p.example.com: refused")],
            200,
            "no connection to p.example.com: refused",
        ),
        ([b'{"data":', UpstreamBroken("it hung up")], 200, "it hung up"),
    ],
)
async def test_a_list_that_cannot_be_had_leaves_the_last_one_standing(
    rig, autojump_clock, pieces, status, problem
):
    provider, backend = rig.provider("p", "old")
    await rig.refresh(provider)
    seen = rig.lists.of(provider).seen
    await trio.sleep(FRESH)
    backend.pieces, backend.status = pieces, status
    assert await rig.refresh(provider) == [["old"]]
    listing = rig.lists.of(provider)
    assert (listing.problem, listing.seen) == (problem, seen)
    assert listing.tried > (seen or 0)


async def test_a_list_in_pieces_is_put_together(rig, autojump_clock):
    provider, backend = rig.provider("p", "m")
    (whole,) = backend.pieces
    backend.pieces = [whole[:9], whole[9:10], whole[10:]]
    assert await rig.refresh(provider) == [["m"]]


async def test_a_list_without_end_is_given_up(rig, autojump_clock, monkeypatch):
    monkeypatch.setattr(inquiry, "MAX_ANSWER", 1000)
    provider, backend = rig.provider("p")
    backend.pieces = [b" " * 100] * 1000
    await rig.refresh(provider)
    assert rig.lists.of(provider).problem == "its list of models is too long"
    assert backend.open == 0


async def test_two_who_ask_at_the_same_time_share_one_question(rig, autojump_clock):
    provider, backend = rig.provider("p", "m")
    backend.delay = 1
    found: list[list[list[str]]] = []

    async def ask() -> None:
        found.append(await rig.refresh(provider))

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(ask)
    assert found == [[["m"]]] * 3
    assert len(backend.calls) == 1


async def test_one_who_waited_for_an_answer_in_vain_does_not_ask_once_more(rig, autojump_clock):
    dead, backend = rig.provider("dead")
    backend.delay = math.inf
    started = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: rig.refresh(dead, seconds=FRESH / 2))
        await trio.testing.wait_all_tasks_blocked()
        await rig.refresh(dead, seconds=FRESH)
    assert trio.current_time() - started == FRESH / 2
    assert len(backend.calls) == 1


async def test_who_is_impatient_leaves_alone(rig, autojump_clock):
    provider, backend = rig.provider("p", "m")
    backend.delay = 1
    async with trio.open_nursery() as nursery:
        nursery.start_soon(rig.refresh, provider)
        await trio.testing.wait_all_tasks_blocked()
        assert await rig.refresh(provider, seconds=0.1) == [[]]
    assert rig.lists.of(provider).models == (Model("m"),)
    assert len(backend.calls) == 1


async def test_when_the_one_who_asks_goes_away_another_asks_instead(rig, autojump_clock):
    provider, backend = rig.provider("p", "m")
    backend.delay = 1
    async with trio.open_nursery() as nursery:
        asking = trio.CancelScope()

        async def ask() -> None:
            with asking:
                await rig.refresh(provider)

        nursery.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(rig.refresh, provider)
        await trio.sleep(0.5)
        asking.cancel()
    assert rig.lists.of(provider).models == (Model("m"),)
    assert rig.lists.of(provider).problem is None
    assert len(backend.calls) == 2


async def test_a_caller_who_goes_away_leaves_no_problem_behind(rig, autojump_clock):
    provider, backend = rig.provider("p", "m")
    backend.delay = math.inf
    with trio.move_on_after(0.5):
        await rig.refresh(provider)
    assert backend.open == 0
    assert rig.lists.of(provider) == Listing()
    backend.delay = 0
    assert await rig.refresh(provider) == [["m"]]


async def test_models_that_the_configuration_names_are_not_asked_for(rig, autojump_clock):
    provider, backend = rig.provider("p", "other", models=(Model("mine"),))
    assert await rig.refresh(provider) == [["mine"]]
    assert backend.calls == []


async def test_a_backend_without_a_list_is_not_asked(rig, autojump_clock):
    provider, backend = rig.provider("p", preset="zai", api_key=Literal("k"))
    assert await rig.refresh(provider) == [[]]
    assert rig.lists.of(provider) == Listing()
    assert backend.calls == []


async def test_the_same_name_at_another_address_is_another_provider(rig, autojump_clock):
    provider, _ = rig.provider("p", "old")
    await rig.refresh(provider)
    moved = evolve(rig.provider("q", "new")[0], name="p")
    assert rig.lists.of(moved).models == ()
    assert await rig.refresh(moved) == [["new"]]
    assert rig.lists.of(provider).models == (Model("old"),)


async def test_the_question_carries_the_credential_and_asks_for_all(rig, autojump_clock):
    provider, backend = rig.provider("p", "m", preset="anthropic", api_key=Literal("sk-key"))
    await rig.refresh(provider)
    (call,) = backend.calls
    assert (call.method, call.url, call.body) == ("GET", "https://p.example.com/v1/models?limit=1000", b"")
    assert dict(call.headers) == {
        b"x-api-key": b"sk-key",
        b"accept": b"application/json",
        b"accept-encoding": b"identity",
        b"anthropic-version": b"2023-06-01",
    }


async def test_without_its_credential_a_provider_is_not_asked(rig, autojump_clock):
    provider, backend = rig.provider("p", "m", preset="openrouter", api_key=FromEnv("NOT_SET"))
    await rig.refresh(provider)
    assert "NOT_SET" in (rig.lists.of(provider).problem or "")
    assert backend.calls == []


# Looking for local servers


async def test_a_server_that_is_there_is_found_with_its_list(rig, autojump_clock):
    provider, backend = rig.provider("p", preset="ollama")
    backend.pieces = [b'{"models":[{"name":"qwen3:8b"}]}']
    assert await rig.lists.probe(provider, PROBE) == "there"
    assert rig.lists.of(provider).models == (Model("qwen3:8b"),)
    await rig.refresh(provider)
    assert len(backend.calls) == 1


async def test_a_server_that_is_slow_is_not_waited_for(rig, autojump_clock):
    provider, backend = rig.provider("p", "x", preset="vllm")
    backend.delay = math.inf
    started = trio.current_time()
    assert await rig.lists.probe(provider, PROBE) == "silent"
    assert trio.current_time() - started == pytest.approx(PROBE)
    assert backend.open == 0


async def test_who_takes_the_connection_gets_longer_and_who_does_not_no_longer(rig, autojump_clock):
    provider, backend = rig.provider("p", preset="ollama")
    backend.pieces = [b'{"models":[{"name":"qwen3:8b"}]}']
    backend.delay = 2.0
    assert await rig.lists.probe(provider, 2.5) == "there"
    (call,) = backend.calls
    assert call.timeouts.connect == PROBE


@pytest.mark.parametrize(
    ("pieces", "status", "sight"),
    [
        ([ConnectFailed("cannot reach p.example.com: connection refused")], 200, "gone"),
        ([b"a page"], 404, "gone"),
        ([], 401, "gone"),
        ([b"a page"], 200, "gone"),
        ([b'{"data":[{"id":"x","owned_by":"another"}]}'], 200, "gone"),
        ([b'{"error":{"message":"Loading model"}}'], 503, "silent"),
        ([], 429, "silent"),
        ([b'{"data":', UpstreamBroken("it hung up")], 200, "silent"),
        ([UpstreamBroken("it hung up", before_reply=True)], 200, "silent"),
        ([UpstreamTimeout("nothing in 10 s", "first_byte")], 200, "silent"),
    ],
)
async def test_a_server_is_gone_when_nobody_or_another_answers(rig, autojump_clock, pieces, status, sight):
    provider, backend = rig.provider("p", preset="vllm")
    backend.pieces, backend.status = pieces, status
    assert await rig.lists.probe(provider, PROBE) == sight
    assert rig.lists.of(provider) == Listing()
