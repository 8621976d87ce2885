"""What the models can do: asked once, kept for a while, never waited for longer than is said."""

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

from ccrouter.errors import ConnectFailed
from ccrouter.providers.presets import PRESETS
from ccrouter.providers.provider import Model, Provider, Target
from ccrouter.providers.secret import FromEnv, Literal
from ccrouter.routing.credentials import ClientCredentials
from ccrouter.upstream import facts as module
from ccrouter.upstream.credentials import Credentials
from ccrouter.upstream.dial import Answer, Call
from ccrouter.upstream.facts import FRESH, OLD, WITHIN, Facts
from ccrouter.upstream.models import ModelLists
from ccrouter.upstream.secrets import Secrets

NOBODY = ClientCredentials()


@define
class Reading:
    status: int
    _left: list[bytes]
    headers: list[tuple[bytes, bytes]] = field(factory=list)

    async def read(self) -> bytes:
        await trio.lowlevel.checkpoint()
        return self._left.pop(0) if self._left else b""


@define
class Server:
    """A fake of `ccrouter.upstream.pool.HttpDial`, and the one server behind it: answers by the path of the URL."""

    answers: dict[str, Any] = field(factory=dict)
    delay: float = 0.0
    calls: list[Call] = field(factory=list)
    failure: Exception | None = None
    open: int = 0

    @asynccontextmanager
    async def __call__(self, call: Call) -> AsyncIterator[Answer]:
        self.calls.append(call)
        self.open += 1
        try:
            await trio.sleep(self.delay)
            if self.failure is not None:
                raise self.failure
            path = "/" + call.url.split("/", 3)[3]
            found = self.answers.get(path)
            yield Reading(404 if found is None else 200, [json.dumps(found).encode()])
        finally:
            self.open -= 1

    @property
    def paths(self) -> list[str]:
        """Where it was asked."""
        return ["/" + call.url.split("/", 3)[3] for call in self.calls]

    def loads(self, size: int, name: str = "qwen3") -> None:
        """From now on Ollama has a model loaded with this window."""
        self.answers["/api/ps"] = {"models": [{"name": f"{name}:latest", "context_length": size}]}


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def facts(server: Server) -> Facts:
    return Facts(ModelLists({"http": server}, Credentials(Secrets({}), {}, "linux")))


def target(model: str = "qwen3", preset: str = "ollama", **changes: Any) -> Target:
    provider = Provider(name="home", preset=PRESETS[preset], base_url="http://127.0.0.1:11434")
    return Target(evolve(provider, **changes), model)


SHOW = {"model_info": {"qwen3.context_length": 40_960}, "capabilities": ["completion", "tools"]}


async def informed(facts: Facts, *targets: Target) -> list[Model]:
    return [each.known for each in await facts.inform(targets or [target()], NOBODY)]


async def test_the_first_request_to_a_model_waits_for_what_its_backend_says(facts, server, autojump_clock):
    server.loads(4_096)
    server.answers["/api/show"] = SHOW
    server.delay = 1
    assert await informed(facts) == [
        Model("qwen3", window=40_960, loaded=4_096, vision=False, tools=True, thinking=False, local=True)
    ]
    assert trio.current_time() == pytest.approx(1)  # all questions at once
    assert sorted(server.paths) == ["/api/ps", "/api/show"]


async def test_the_configuration_has_the_last_word(facts, server, autojump_clock):
    server.answers["/api/show"] = SHOW
    (known,) = await informed(facts, target(models=(Model("qwen3", vision=True),)))
    assert (known.vision, known.sources["vision"], known.sources["window"]) == (True, "configuration", "backend")


async def test_a_request_waits_three_seconds_at_most_and_the_next_not_at_all(facts, server, autojump_clock):
    server.delay = math.inf
    assert await informed(facts) == [Model("qwen3", local=True)]
    assert trio.current_time() == pytest.approx(WITHIN) == pytest.approx(3)
    assert server.open == 0
    assert await informed(facts) == [Model("qwen3", local=True)]
    assert trio.current_time() == pytest.approx(3)
    assert len(server.calls) == 2


async def test_all_targets_of_a_request_are_asked_about_at_once(facts, server, autojump_clock):
    server.delay = math.inf
    other = evolve(target().provider, name="other")
    assert len(await informed(facts, target("a"), target("b"), Target(other, "a"))) == 3
    assert trio.current_time() == pytest.approx(WITHIN)


@pytest.mark.parametrize("failure", [None, ConnectFailed("no connection: refused")])
async def test_a_backend_that_tells_nothing_fails_no_request(facts, server, autojump_clock, failure):
    server.failure = failure
    assert await informed(facts) == [Model("qwen3", local=True)]


async def test_a_missing_credential_fails_no_request_here_and_asks_nobody(facts, server, autojump_clock):
    assert await informed(facts, target(api_key=FromEnv("NOT_SET"))) == [Model("qwen3", local=True)]
    assert server.calls == []


async def test_an_answer_that_is_not_fresh_serves_and_is_renewed_behind_the_back(facts, server, autojump_clock):
    async with trio.open_nursery() as nursery:
        nursery.start_soon(facts.keep_fresh)
        server.loads(4_096)
        await informed(facts)
        server.loads(8_192)
        await trio.sleep(FRESH)
        assert [each.loaded for each in await informed(facts)] == [4_096]
        await trio.sleep(1)
        assert [each.loaded for each in await informed(facts)] == [4_096]  # still fresh when it was asked for
        server.delay = 2
        started = trio.current_time()
        assert [each.loaded for each in await informed(facts)] == [4_096]
        assert trio.current_time() == started
        await trio.sleep(3)
        assert [each.loaded for each in await informed(facts)] == [8_192]
        nursery.cancel_scope.cancel()


async def test_an_old_answer_is_as_good_as_none(facts, server, autojump_clock):
    server.loads(4_096)
    await informed(facts)
    server.loads(8_192)
    await trio.sleep(OLD + 1)
    assert [each.loaded for each in await informed(facts)] == [8_192]


async def test_a_backend_that_went_silent_leaves_what_it_said(facts, server, autojump_clock):
    server.loads(4_096)
    await informed(facts)
    server.failure = ConnectFailed("gone")
    await trio.sleep(OLD + 1)
    assert [each.loaded for each in await informed(facts)] == [4_096]


async def test_renewed_facts_are_those_of_this_moment(facts, server, autojump_clock):
    server.loads(4_096)
    await informed(facts)
    server.loads(8_192)
    await trio.sleep(0.1)
    assert (await facts.renew(target(), NOBODY)).known.loaded == 8_192
    server.delay = math.inf
    await trio.sleep(0.1)
    started = trio.current_time()
    assert (await facts.renew(target(), NOBODY)).known.loaded == 8_192
    assert trio.current_time() - started == pytest.approx(WITHIN)


async def test_who_has_waited_for_as_long_as_a_request_may_waits_no_longer(facts, server, autojump_clock):
    server.delay = math.inf
    until = trio.current_time() + WITHIN
    (first,) = await facts.inform([target()], NOBODY)
    asked = len(server.calls)
    assert await facts.renew(first, NOBODY, until) == first
    assert trio.current_time() == until
    assert len(server.calls) == asked
    await trio.sleep(FRESH)
    await facts.renew(first, NOBODY, trio.current_time() + 1)
    assert trio.current_time() == pytest.approx(until + FRESH + 1)
    server.delay, server.open = 0, 0
    server.loads(8_192)
    assert (await facts.renew(first, NOBODY)).known.loaded == 8_192


async def test_who_comes_meanwhile_waits_for_the_same_answer(facts, server, autojump_clock):
    server.loads(4_096)
    server.delay = 2
    found: list[Model] = []

    async def ask(later: float) -> None:
        await trio.sleep(later)
        found.extend(await informed(facts))

    async with trio.open_nursery() as nursery:
        for later in (0, 0.5, 1):
            nursery.start_soon(ask, later)
    assert [each.loaded for each in found] == [4_096] * 3
    assert len(server.calls) == 2


async def test_two_who_want_the_facts_of_this_moment_share_one_answer(facts, server, autojump_clock):
    server.loads(4_096)
    server.delay = 2

    async def renew(later: float) -> None:
        await trio.sleep(later)
        assert (await facts.renew(target(), NOBODY)).known.loaded == 4_096

    async with trio.open_nursery() as nursery:
        nursery.start_soon(renew, 0)
        nursery.start_soon(renew, 1)
    assert len(server.calls) == 2


async def test_when_the_one_who_asks_goes_away_another_asks_instead(facts, server, autojump_clock):
    server.loads(4_096)
    server.delay = 1
    asking = trio.CancelScope()

    async def ask() -> None:
        with asking:
            await informed(facts)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(trio.sleep, 0)
        await trio.sleep(0.5)
        asking.cancel()
        assert [each.loaded for each in await informed(facts)] == [4_096]
    assert len(server.calls) == 4


async def test_a_model_is_loaded_as_for_a_request_and_then_known(facts, server, autojump_clock):
    server.answers["/api/generate"] = {"done": True, "done_reason": "load"}
    found = target()
    loading = trio.Event()

    async def load() -> None:
        nonlocal found
        found = await facts.load(target(), NOBODY)
        loading.set()

    server.delay = 60
    async with trio.open_nursery() as nursery:
        nursery.start_soon(load)
        await trio.sleep(59)
        assert not loading.is_set()
        server.delay = 0
        server.loads(32_768)
        await loading.wait()
    assert found.known.loaded == 32_768
    assert server.paths[0] == "/api/generate"
    assert server.calls[0].timeouts.first_byte == target().provider.timeouts.first_byte


@define
class Ollama(Server):
    """How it loads models (server/sched.go at fb30760): anew unless nobody names a window, or both name the same."""

    own: int = 4_096
    """What it gives a model whose requests name no window."""
    keep_alive: float = 300
    loaded: dict[str, tuple[int, bool]] = field(factory=dict)
    """By name: the window, and whether a request named it."""
    loadings: list[str] = field(factory=list)

    @asynccontextmanager
    async def __call__(self, call: Call) -> AsyncIterator[Answer]:
        body = json.loads(call.body or b"{}")
        if call.url.endswith("/api/generate"):
            self.request(body["model"])
            if body.get("keep_alive", self.keep_alive) == 0:
                del self.loaded[body["model"]]
            self.answers["/api/generate"] = {"done": True, "done_reason": "load"}
        rows = [{"name": name, "context_length": window} for name, (window, _) in self.loaded.items()]
        self.answers["/api/ps"] = {"models": rows}
        async with Server.__call__(self, call) as answer:
            yield answer

    def request(self, model: str, num_ctx: int | None = None) -> int:
        """The window that a request gets."""
        wanted, named = num_ctx or self.own, num_ctx is not None
        window, was_named = self.loaded.get(model, (None, False))
        if window is None or (window != wanted and (named or was_named)):
            self.loadings.append(model)
            self.loaded[model] = wanted, named
        return self.loaded[model][0]


@pytest.fixture
def ollama() -> Ollama:
    return Ollama()


@pytest.fixture
def its_facts(ollama: Ollama) -> Facts:
    return Facts(ModelLists({"http": ollama}, Credentials(Secrets({}), {}, "linux")))


@pytest.mark.parametrize("another", [None, 2_048, 4_096, 131_072])
@pytest.mark.parametrize("own", [4_096, 262_144])
async def test_what_another_program_had_it_loaded_with_is_not_what_a_request_gets(
    its_facts, ollama, autojump_clock, own, another
):
    ollama.own = own
    if another is not None:
        ollama.request("qwen3", another)
    (found,) = await its_facts.inform([target()], NOBODY)
    assert found.known.loaded == another
    for wait in (0, 10, FRESH + 1, 5, OLD + 1):  # and in between it has it loaded again, and somebody looks
        await trio.sleep(wait)
        if another is not None:
            ollama.request("qwen3", another)
        await its_facts.load(target("other"), NOBODY)
        await its_facts.renew(target(), NOBODY)
        found = await its_facts.load(target(), NOBODY)
        assert found.known.loaded == own == ollama.request("qwen3")
        assert its_facts.informed(target()).known.loaded == own


async def test_a_model_that_is_loaded_as_for_requests_is_asked_for_seldom_and_not_loaded_again(
    its_facts, ollama, autojump_clock
):
    for _ in range(100):
        await its_facts.inform([target()], NOBODY)
        await its_facts.load(target(), NOBODY)
        await trio.sleep(1)
    assert ollama.loadings == ["qwen3"]
    assert ollama.paths.count("/api/generate") == ollama.paths.count("/api/ps") - 1 <= 100 / FRESH + 1


async def test_who_is_about_to_be_refused_is_told_of_this_moment(its_facts, ollama, autojump_clock):
    assert (await its_facts.load(target(), NOBODY)).known.loaded == 4_096
    ollama.own, ollama.loaded = 32_768, {}  # started anew with another window
    await trio.sleep(1)
    assert (await its_facts.load(target(), NOBODY)).known.loaded == 4_096
    assert (await its_facts.load(target(), NOBODY, anew=True)).known.loaded == 32_768


async def test_a_model_that_is_unloaded_at_once_stays_as_long_as_it_takes_to_look(
    its_facts, ollama, autojump_clock
):
    ollama.keep_alive = 0
    for _ in range(20):
        assert (await its_facts.load(target(), NOBODY)).known.loaded == 4_096
        ollama.loaded.clear()
        await trio.sleep(OLD / 19.5)
    assert len(ollama.loadings) == 2  # to be seen to vanish, and to be seen; requests load it themselves
    assert (await its_facts.load(target(), NOBODY)).known.loaded == 4_096
    assert len(ollama.loadings) == 4


@pytest.mark.parametrize("name", ["qwen3", "another"])
async def test_no_question_says_how_long_a_model_stays_that_is_there(its_facts, ollama, autojump_clock, name):
    ollama.request(name, 8_192)
    await its_facts.load(target(), NOBODY, anew=True)
    await its_facts.load(target("QWEN3"), NOBODY)
    assert all(b"keep_alive" not in call.body for call in ollama.calls)


async def test_who_will_not_load_is_asked_for_what_is_loaded(facts, server, autojump_clock):
    server.loads(4_096)
    assert (await facts.load(target(), NOBODY)).known.loaded == 4_096
    server.loads(8_192)
    assert (await facts.load(target(), NOBODY)).known.loaded == 4_096
    await trio.sleep(1)
    assert (await facts.load(target(), NOBODY, anew=True)).known.loaded == 8_192


async def test_who_cannot_be_asked_to_load_is_not(facts, server, autojump_clock):
    there = target(preset="lmstudio")
    assert await facts.load(there, NOBODY) is there
    assert server.calls == []
    await facts.load(there, NOBODY, anew=True)
    assert sorted(server.paths) == ["/api/v0/models", "/api/v1/models"]


async def test_a_backend_whose_list_tells_is_asked_for_it_once(facts, server, autojump_clock):
    server.answers["/v1/models"] = {"data": [{"id": "m", "owned_by": "vllm", "max_model_len": 32_768}]}
    for _ in range(2):
        (known,) = await informed(facts, target("m", "vllm"))
        assert (known.window, known.sources["window"]) == (32_768, "backend")
    assert server.paths == ["/v1/models"]


async def test_a_list_that_tells_is_asked_for_although_the_configuration_names_models(
    facts, server, autojump_clock
):
    server.answers["/v1/models"] = {"data": [{"id": "m", "owned_by": "vllm", "max_model_len": 32_768}]}
    (known,) = await informed(facts, target("m", "vllm", models=(Model("m", name="Mine"),)))
    assert (known.name, known.window) == ("Mine", 32_768)


async def test_a_list_that_tells_is_renewed_behind_the_back(facts, server, autojump_clock):
    server.answers["/v1/models"] = {"data": [{"id": "m", "owned_by": "vllm", "max_model_len": 5}]}
    async with trio.open_nursery() as nursery:
        nursery.start_soon(facts.keep_fresh)
        await informed(facts, target("m", "vllm"))
        server.answers["/v1/models"] = {"data": [{"id": "m", "owned_by": "vllm", "max_model_len": 7}]}
        await trio.sleep(OLD / 2 + 1)
        assert [each.window for each in await informed(facts, target("m", "vllm"))] == [5]
        await trio.sleep(1)
        assert [each.window for each in await informed(facts, target("m", "vllm"))] == [7]
        nursery.cancel_scope.cancel()


async def test_claude_is_left_alone(facts, server, autojump_clock):
    there = target("claude-opus-5-5", "anthropic", api_key=Literal("k"))
    assert await facts.inform([there], NOBODY) == (there,)
    assert (await facts.inform([there], NOBODY))[0].facts is None
    assert server.calls == []


async def test_a_list_of_rows_has_what_is_told_of_all_models_at_once(facts, server, autojump_clock):
    server.loads(4_096)
    there = target().provider
    for _ in range(2):
        await facts.refresh([there], NOBODY, 1.5)
    assert server.paths == ["/api/ps"]
    assert facts.known(there, "qwen3:latest").loaded == 4_096


async def test_the_question_goes_where_requests_go_and_as_whoever_they_go_as(facts, server, autojump_clock):
    await informed(facts, target(base_url="http://127.0.0.1:11434/v1", api_key=Literal("sk-key")))
    assert {call.url for call in server.calls} == {
        "http://127.0.0.1:11434/api/ps",
        "http://127.0.0.1:11434/api/show",
    }
    assert all((b"authorization", b"Bearer sk-key") in call.headers for call in server.calls)


async def test_names_that_clients_make_up_do_not_pile_up(facts, server, autojump_clock, monkeypatch):
    monkeypatch.setattr(module, "MOST", 4)
    server.answers["/api/show"] = SHOW
    for number in range(20):
        await informed(facts, target(f"m{number}"))
    assert len(facts._answers) == 4
    assert [each.window for each in await informed(facts, target("m19"))] == [40_960]


async def test_the_same_name_at_another_address_is_another_provider(facts, server, autojump_clock):
    server.loads(4_096)
    await informed(facts)
    server.loads(8_192)
    (known,) = await informed(facts, target(base_url="http://127.0.0.1:1"))
    assert known.loaded == 8_192
