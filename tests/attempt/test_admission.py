"""Whether a target can take a request is looked at before it is sent."""

from __future__ import annotations

import json
import threading

import pytest
import trio
from attrs import evolve
from trio.testing import MockClock

from ccrouter.attempt.inbound import Inbound
from ccrouter.attempt.parts import End, Failed, Part, Whole
from ccrouter.errors import ApiError
from ccrouter.providers.provider import Model, Target
from ccrouter.translate import most_tokens
from tests.attempt.calls import (
    NOBODY,
    inbound,
    parts,
)
from tests.rig import JSON, Rig, Script, message, provider, rig

LONG_PROMPT = [{"role": "user", "content": "word " * 6_000}]


def ollama(it: Rig, *, loaded: int | None = None, loads: int | None = None) -> Rig:
    """Its backend is an Ollama with a model that is loaded with this window, or will be when it is asked to."""

    def running(size: int) -> Script:
        body = json.dumps({"models": [{"name": "m:latest", "context_length": size}]}).encode()
        return Script(where="/api/ps", headers=JSON, body=[body])

    scripts = [] if loads is None else [Script(where="/api/generate", headers=JSON, body=[b"{}"]), running(loads)]
    if loaded is not None:
        scripts.append(running(loaded))
    it.questions.scripts = [*scripts, Script(status=404)]
    return it


LOCAL = Target(provider("ollama"), "m")


async def failure(it: Rig, target: Target, wanted: Inbound) -> str:
    found = await parts(it, target, wanted)
    assert [type(part) for part in found] == [Failed]
    assert isinstance(found[0], Failed)
    error = found[0].error
    assert isinstance(error, ApiError)
    assert error.status == 400
    return error.message


async def test_what_would_be_cut_in_silence_is_refused_and_never_sent() -> None:
    it = ollama(rig(Script(body=message()), providers=[LOCAL.provider]), loaded=4_096)
    (target,) = await it.backends.facts.inform([LOCAL], NOBODY)
    assert "tokens > 4096 maximum" in await failure(it, target, inbound(messages=LONG_PROMPT))
    assert it.dial.calls == []
    assert isinstance((await parts(it, target, inbound()))[-1], End)


async def test_no_request_is_refused_for_a_window_of_the_past() -> None:
    it = ollama(rig(Script(body=message()), providers=[LOCAL.provider]), loaded=32_768)
    old = Target(LOCAL.provider, "m", Model("m", loaded=4_096, local=True))
    assert isinstance((await parts(it, old, inbound(messages=LONG_PROMPT)))[-1], End)


async def test_a_model_that_is_not_loaded_is_loaded_before_a_prompt_that_it_might_cut() -> None:
    it = ollama(rig(Script(body=message()), providers=[LOCAL.provider]))
    (target,) = await it.backends.facts.inform([LOCAL], NOBODY)
    ollama(it, loads=4_096)
    await trio.sleep(0)
    assert "tokens > 4096 maximum" in await failure(it, target, inbound(messages=LONG_PROMPT))
    assert it.dial.calls == []
    paths = [call.url.removeprefix("http://127.0.0.1:11434") for call in it.questions.calls]
    assert paths.index("/api/generate") < len(paths) - 1 - paths[::-1].index("/api/ps")


async def test_a_window_that_another_program_wished_for_neither_cuts_nor_refuses_a_prompt() -> None:
    for another, own in ((131_072, 4_096), (4_096, 131_072)):
        it = ollama(rig(Script(body=message()), providers=[LOCAL.provider]), loaded=another)
        (target,) = await it.backends.facts.inform([LOCAL], NOBODY)
        assert target.known.loaded == another
        ollama(it, loads=own)
        if own == 4_096:
            assert "tokens > 4096 maximum" in await failure(it, target, inbound(messages=LONG_PROMPT))
            assert it.dial.calls == []
        else:
            assert isinstance((await parts(it, target, inbound(messages=LONG_PROMPT)))[-1], End)


async def test_a_small_prompt_loads_nothing_by_itself() -> None:
    it = ollama(rig(Script(body=message()), providers=[LOCAL.provider]), loads=4_096)
    assert isinstance((await parts(it, Target(LOCAL.provider, "m", Model("m", local=True)), inbound()))[-1], End)
    assert it.questions.calls == []


async def test_a_count_of_tokens_is_never_refused_for_its_length() -> None:
    it = rig(Script(headers=JSON, body=[b'{"input_tokens":1}']))
    target = Target(provider("llamacpp"), "m", Model("m", loaded=10, tools=False))
    counted = evolve(
        inbound(messages=LONG_PROMPT, tools=[{"name": "t", "input_schema": {}}]), endpoint="count_tokens"
    )
    assert isinstance((await parts(it, target, counted))[0], Whole)


async def test_a_very_long_prompt_is_measured_the_same_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    it = rig(Script(body=message()))
    target = Target(provider("lmstudio", models=(Model("m", window=2_000),)), "m")
    wanted = inbound(messages=LONG_PROMPT)
    said = await failure(it, target, wanted)
    monkeypatch.setattr("ccrouter.attempt.admission.LONG", 10)
    assert await failure(it, target, wanted) == said


async def test_a_very_long_prompt_is_measured_in_a_thread_for_loading_too(monkeypatch: pytest.MonkeyPatch) -> None:
    it = ollama(rig(Script(body=message()), providers=[LOCAL.provider]))
    (target,) = await it.backends.facts.inform([LOCAL], NOBODY)
    ollama(it, loads=4_096)
    here, found = threading.get_ident(), set()
    estimated = most_tokens.of_text

    def estimating(text: str) -> int:
        found.add(threading.get_ident())
        return estimated(text)

    monkeypatch.setattr(most_tokens, "of_text", estimating)
    monkeypatch.setattr("ccrouter.attempt.admission.LONG", 10)
    await parts(it, target, inbound(messages=LONG_PROMPT))
    assert found
    assert here not in found


async def test_tools_for_a_model_without_are_refused_and_never_sent() -> None:
    it = rig(Script(body=message()))
    target = Target(LOCAL.provider, "m", Model("m", tools=False))
    said = await failure(it, target, inbound(tools=[{"name": "read", "input_schema": {"type": "object"}}]))
    assert "can't call tools" in said
    assert it.dial.calls == []


async def test_no_model_is_loaded_for_who_stands_in_the_line(autojump_clock: MockClock) -> None:
    """To load it would take the room of the one that works, and the window may be another one by then."""
    limited = evolve(LOCAL.provider, max_concurrent=1)
    it = ollama(rig(Script(body=message()), providers=[limited]), loads=32_768)
    target = Target(limited, "m", Model("m", local=True))
    found: list[Part] = []

    async def ask() -> None:
        found.extend(await parts(it, target, inbound(messages=LONG_PROMPT)))

    async with trio.open_nursery() as nursery:
        async with it.backends.limiter.slot(limited, "somebody"):
            nursery.start_soon(ask)
            await trio.sleep(60)
            assert it.questions.calls == []
            assert it.backends.limiter.waiting(limited) == (1, 1)
    assert isinstance(found[-1], End)
    paths = [call.url.removeprefix("http://127.0.0.1:11434") for call in it.questions.calls]
    assert "/api/generate" in paths
