"""The next try: elsewhere, after a pause, or not at all."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from ccrouter.errors import ConnectFailed, UpstreamBroken
from ccrouter.wire import events
from tests.rig import JSON, Rig, Script, Sleep, event_types, exchange, message, provider, request, rig, talk

OVERFLOW = b'{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 5 tokens > 4 maximum"},"request_id":"req_up"}'


# Fallback


async def test_the_next_target_is_tried_when_the_first_fails_before_the_commit_point() -> None:
    for failure in (
        Script(before=[ConnectFailed("refused")]),
        Script(status=529, headers=JSON, body=[OVERFLOW]),
        Script(status=429, headers=JSON, body=[b"slow down"]),
        Script(body=[events.encode(events.error("overloaded_error", "Overloaded"))]),
    ):
        it = rig(
            failure,
            Script(body=message()),
            providers=[provider("anthropic"), provider("ollama")],
            aliases={"big": ("anthropic:claude-x", "ollama:qwen")},
        )
        async with talk(it) as client:
            await client.send(request(model="big"))
            assert (await client.reply()).endswith(b"".join(message()[1:]))  # the id in front is the router's
        assert [json.loads(call.body)["model"] for call in it.dial.calls] == ["claude-x", "qwen"]
        assert it.dial.closed == 2


async def test_the_users_own_error_is_not_tried_elsewhere() -> None:
    it = rig(
        Script(status=400, headers=JSON, body=[OVERFLOW]),
        Script(body=message()),
        providers=[provider("anthropic"), provider("ollama")],
        aliases={"big": ("anthropic:claude-x", "ollama:qwen")},
    )
    async with talk(it) as client:
        await client.send(request(model="big"))
        assert await client.reply() == OVERFLOW
    assert len(it.dial.calls) == 1


@pytest.mark.parametrize(
    ("status", "body"),
    [(400, OVERFLOW), (529, b'{"type":"error","error":{"type":"overloaded_error","message":"!"}}')],
)
async def test_a_fallback_without_a_key_is_passed_over_and_hides_nothing(status: int, body: bytes) -> None:
    it = rig(
        Script(where="anthropic.com", status=status, headers=JSON, body=[body]),
        Script(where=":11434", body=message()),
        providers=[provider("anthropic"), provider("openrouter"), provider("vllm", "ollama")],
        aliases={
            "two": ("anthropic:claude-x", "openrouter:z"),
            "three": ("anthropic:claude-x", "openrouter:z", "vllm:q"),
        },
    )
    for _ in range(2):  # the second time it rests, and is asked all the same
        heard = await exchange(it, "two")
        assert (heard.status, heard.headers.get("x-should-retry"), heard.received) == (status, None, body)
    (trail,) = it.dispatch.trails.last(1)
    assert {(each.target, each.kind) for each in trail.tries} > {("openrouter:z", "credential")}
    if status == 529:
        assert (await exchange(it, "three")).status == 200


async def test_nothing_is_tried_again_after_the_commit_point() -> None:
    it = rig(
        Script(body=[message()[0], UpstreamBroken("cut")]),
        Script(body=message()),
        providers=[provider("anthropic"), provider("ollama")],
        aliases={"big": ("anthropic:claude-x", "ollama:qwen")},
    )
    async with talk(it) as client:
        await client.send(request(model="big"))
        assert event_types(await client.reply()) == ["message_start", "error"]
    assert len(it.dial.calls) == 1


def busy(seconds: int) -> Script:
    return Script(status=429, headers=[*JSON, (b"retry-after", b"%d" % seconds)], body=[OVERFLOW])


# A pause before the next try


async def test_a_moment_that_the_backend_asks_for_is_waited_for(autojump_clock: MockClock) -> None:
    it = rig(busy(1), Script(body=message()))
    client = await exchange(it)
    assert client.received == b"".join(message())
    assert trio.current_time() == pytest.approx(1)
    assert it.dial.opened == it.dial.closed == 2


async def test_more_than_a_moment_is_the_clients_to_wait_for(autojump_clock: MockClock) -> None:
    it = rig(busy(60), Script(body=message()))
    client = await exchange(it)
    assert (client.status, client.headers["retry-after"]) == (429, "60")
    assert trio.current_time() == 0
    assert len(it.dial.calls) == 1


async def test_a_hang_up_ends_a_pause_at_once(autojump_clock: MockClock) -> None:
    it = rig(busy(2), Script(body=message()))
    async with talk(it) as client:
        await client.send(request())
        await trio.sleep(0.5)
        assert len(it.dial.calls) == 1
        await trio.aclose_forcefully(client.stream)
        await client.ended.wait()
        assert trio.current_time() == pytest.approx(0.5)
        await trio.sleep(10)
    assert len(it.dial.calls) == 1
    assert "hung_up" in it.lines[-1]
    (trail,) = it.dispatch.trails.last(1)
    assert (trail.result, len(trail.tries)) == ("hung_up", 1)


async def test_a_stop_ends_a_pause_at_once(autojump_clock: MockClock) -> None:
    it = rig(busy(2), Script(body=message()))
    async with talk(it) as client:
        await client.send(request())
        await trio.sleep(0.5)
        it.ending.set()
        await client.reply()
        assert trio.current_time() == pytest.approx(0.5)
    assert (client.status, client.headers["retry-after"]) == (529, "5")
    assert len(it.dial.calls) == 1


# Who keeps failing

BIG: Any = {
    "providers": [provider("anthropic"), provider("ollama")],
    "aliases": {"big": ("anthropic:claude-x", "ollama:qwen")},
}


def hosts(it: Rig) -> list[str]:
    """Which providers were called."""
    return ["anthropic" if "anthropic.com" in call.url else "ollama" for call in it.dial.calls]


async def test_a_backend_that_is_down_is_passed_over_until_it_has_rested(autojump_clock: MockClock) -> None:
    it = rig(
        Script(where="anthropic.com", before=[ConnectFailed("refused")]),
        Script(where="anthropic.com", body=message()),
        Script(where=":11434", body=message()),
        **BIG,
    )
    await exchange(it, "big")
    assert hosts(it) == ["anthropic", "ollama"]
    await exchange(it, "big")
    assert hosts(it) == ["anthropic", "ollama", "ollama"]
    (trail,) = it.dispatch.trails.last(1)
    ((target, why),) = trail.passed
    assert target == "anthropic:claude-x"
    assert "left alone for 2 s more after failures (connect)" in why
    await trio.sleep(2.1)
    await exchange(it, "big")
    assert hosts(it)[3:] == ["anthropic"]


async def test_a_backend_that_rests_is_tried_where_there_is_no_other(autojump_clock: MockClock) -> None:
    it = rig(Script(status=529, headers=JSON, body=[OVERFLOW]), Script(body=message()))
    assert (await exchange(it)).status == 529
    assert (await exchange(it)).status == 200


async def test_a_probe_whose_client_hung_up_is_no_word_on_the_backend(autojump_clock: MockClock) -> None:
    it = rig(
        Script(where="anthropic.com", before=[ConnectFailed("refused")]),
        Script(where="anthropic.com", before=[Sleep(1e6)]),
        Script(where="anthropic.com", body=message()),
        Script(where=":11434", body=message()),
        **BIG,
    )
    await exchange(it, "big")
    await trio.sleep(3)
    async with talk(it) as client:
        await client.send(request(model="big"))
        await trio.testing.wait_all_tasks_blocked()
        assert hosts(it)[-1] == "anthropic"
        await exchange(it, "big")
        assert hosts(it)[-1] == "ollama", "one probe at a time"
        await trio.aclose_forcefully(client.stream)
        await client.ended.wait()
    await exchange(it, "big")
    assert hosts(it)[-1] == "anthropic"
