"""Budgets and places: who may ask, who waits, and what a reply used up."""

from __future__ import annotations

import json

import pytest
import trio
from trio.testing import MockClock, lockstep_stream_pair

from ccrouter.errors import UpstreamBroken
from ccrouter.providers.provider import Budget, Model, Price
from ccrouter.wire import events
from tests.rig import JSON, Rig, Script, Sleep, Step, event_types, exchange, message, provider, request, rig, talk

OVERFLOW = b'{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 5 tokens > 4 maximum"},"request_id":"req_up"}'


# Budgets


async def test_who_has_used_up_its_budget_is_not_asked(autojump_clock: MockClock) -> None:
    it = rig(Script(body=message()), providers=[provider("anthropic", budget=Budget(tokens_per_day=8))])
    assert (await exchange(it)).status == 200
    client = await exchange(it)
    assert client.status == 429
    assert client.headers["x-should-retry"] == "false"
    assert 0 < int(client.headers["retry-after"]) <= 24 * 3600
    assert not any(name.startswith("anthropic-ratelimit") for name in client.headers)
    error = json.loads(client.received)["error"]
    assert error["type"] == "rate_limit_error"
    assert "the budget of anthropic for this day is used up (8 of 8 tokens)" in error["message"]
    assert len(it.dial.calls) == 1
    (trail,) = it.dispatch.trails.last(1)
    assert trail.result == "failed"
    assert "budget" in trail.passed[0][1]


async def test_another_target_is_asked_in_place_of_one_without_budget(autojump_clock: MockClock) -> None:
    it = rig(
        Script(body=message()),
        providers=[provider("anthropic", budget=Budget(tokens_per_month=1)), provider("ollama")],
        aliases={"big": ("anthropic:claude-x", "ollama:qwen")},
    )
    for _ in range(3):
        assert (await exchange(it, "big")).status == 200
    assert [call.url.split("/")[2] for call in it.dial.calls] == ["api.anthropic.com", *["127.0.0.1:11434"] * 2]
    assert used(it)[1] == 8


@pytest.mark.parametrize("places", [1, 3])
@pytest.mark.parametrize("stream", [True, False])
async def test_who_waited_for_a_place_is_told_of_a_budget_that_ended_meanwhile(
    places: int, stream: bool, autojump_clock: MockClock
) -> None:
    """Each reply is 8 tokens; with one place at a time, no request begins on a budget that is used up."""
    limited = provider("anthropic", max_concurrent=places, budget=Budget(tokens_per_day=20))
    streamed = Script(body=[message()[0], Sleep(1), *message()[1:]])
    script = streamed if stream else Script(headers=JSON, body=[Sleep(1), WHOLE])
    it = rig(script, providers=[limited])
    statuses: list[int] = []

    async def ask(name: str) -> None:
        async with talk(it) as client:
            await client.send(request(stream=stream), session(name))
            await client.reply()
            statuses.append(client.status)

    async with trio.open_nursery() as nursery:
        for number in range(12):
            nursery.start_soon(ask, str(number))
    served = 3 if places == 1 else len(it.dial.calls)
    assert len(it.dial.calls) == served <= 2 + places
    assert sorted(statuses) == [200] * served + [429] * (12 - served)
    assert sum(tokens for tokens, _ in it.dispatch.notebook.ledger.dump()["anthropic"].values()) == 8 * served
    assert list(it.dispatch.health.resting(trio.current_time())) == []


# Places

ONE = [provider("anthropic", max_concurrent=1)]


def session(name: str) -> list[tuple[bytes, bytes]]:
    return [(b"x-claude-code-session-id", name.encode())]


async def test_who_waits_for_a_place_is_pinged(autojump_clock: MockClock) -> None:
    it = rig(Script(body=[message()[0], Sleep(40), *message()[1:]]), Script(body=message("two")), providers=ONE)
    async with talk(it) as one, talk(it) as two:
        await one.send(request(), session("a"))
        await one.head()
        await two.send(request(), session("b"))
        assert await two.head() == 200
        assert trio.current_time() == pytest.approx(15)
        assert it.dispatch.summary(await it.directory())["lines"] == {"anthropic": {"inside": 1, "waiting": 1}}
        async with trio.open_nursery() as nursery:
            nursery.start_soon(one.rest)
            stream = await two.rest()
        assert trio.current_time() == pytest.approx(40)
    assert stream == events.encode(events.ping()) * 2 + b"".join(message("two"))
    assert it.dispatch.summary(await it.directory())["lines"] == {"anthropic": {"inside": 0, "waiting": 0}}


async def test_a_hang_up_leaves_the_line_and_nothing_was_sent_for_it(autojump_clock: MockClock) -> None:
    it = rig(Script(body=[message()[0], Sleep(100), *message()[1:]]), Script(body=message("two")), providers=ONE)
    async with talk(it) as one, talk(it) as two:
        await one.send(request(), session("a"))
        await one.head()
        await two.send(request(), session("b"))
        await trio.sleep(3)
        await trio.aclose_forcefully(two.stream)
        await two.ended.wait()
        assert trio.current_time() == pytest.approx(3)
        assert it.backends.limiter.waiting(ONE[0]) == (1, 0)
        assert len(it.dial.calls) == 1
        await one.rest()


@pytest.mark.parametrize("how", ["hang-up", "stop", "end"])
async def test_a_stream_gives_its_place_to_the_next_however_it_ends(how: str, autojump_clock: MockClock) -> None:
    it = rig(Script(body=[message()[0], Sleep(1), *message()[1:]]), Script(body=message("two")), providers=ONE)
    async with talk(it) as one, talk(it) as two:
        await one.send(request(), session("a"))
        await one.head()
        await two.send(request(), session("b"))
        await trio.testing.wait_all_tasks_blocked()
        assert it.backends.limiter.waiting(ONE[0]) == (1, 1)
        match how:
            case "hang-up":
                await trio.aclose_forcefully(one.stream)
            case "stop":
                it.ending.set()
            case "end":
                await one.rest()
        await two.reply()
        assert two.status == (529 if how == "stop" else 200)
        await trio.testing.wait_all_tasks_blocked()
        assert it.backends.limiter.waiting(ONE[0]) == (0, 0)
        assert trio.current_time() == (1 if how == "end" else 0)


async def test_a_session_that_does_not_read_leaves_the_other_places_to_others(autojump_clock: MockClock) -> None:
    two = provider("anthropic", max_concurrent=2)
    piece = events.encode({"type": "ping", "pad": "x" * 1000})
    long: list[Step] = [message()[0], *[piece] * 100, *message()[1:]]
    it = rig(Script(body=long), Script(body=message("quick")), providers=[two])
    async with talk(it, pair=lockstep_stream_pair) as slow:
        await slow.send(request(), session("slow"))
        await slow.head()
        await trio.testing.wait_all_tasks_blocked()
        for _ in range(3):
            quick = await exchange(it, headers=session("quick"))
            assert quick.received == b"".join(message("quick"))
        assert it.backends.limiter.waiting(two) == (1, 0)
        async with talk(it) as second:  # of the slow one's session too; whoever reads goes on
            await second.send(request(), session("slow"))
            assert await second.reply() == b"".join(message("quick"))
        await slow.rest()


async def test_the_next_place_goes_to_who_had_none_for_longest(autojump_clock: MockClock) -> None:
    """A session with many agents does not keep another one's single question waiting."""
    scripts = [Script(body=[message()[0], Sleep(1), *message()[1:]])]
    it = rig(*scripts, providers=ONE)
    ended: list[str] = []

    async def ask(name: str) -> None:
        await exchange(it, headers=session(name))
        ended.append(name)

    async with trio.open_nursery() as nursery:
        for name in ["many", "many", "many", "many", "single"]:
            nursery.start_soon(ask, name)
            await trio.testing.wait_all_tasks_blocked()
    assert ended == ["many", "many", "single", "many", "many"]


# What was used up


def used(it: Rig) -> tuple[dict[str, int], int]:
    """The usage in the last trail, and the tokens that the ledger has of the rig's first provider."""
    (trail,) = it.dispatch.trails.last(1)
    days = it.dispatch.notebook.ledger.dump().get(next(iter(it.providers)), {})
    return trail.usage, int(sum(tokens for tokens, _ in days.values()))


BUDGET = Budget(tokens_per_day=1_000_000)
CHAT_CHUNKS = [
    b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":"hi"},"finish_reason":null}]}\n\n',
    b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":4,"prompt_tokens_details":{"cached_tokens":2}}}\n\n',
    b"data: [DONE]\n\n",
]
TOLD = {"input_tokens": 3, "output_tokens": 5}
WHOLE = b'{"type":"message","content":[{"type":"text","text":"hi"}],"stop_reason":"end_turn","usage":{"input_tokens":3,"output_tokens":5}}'
CHAT_TOLD = {"input_tokens": 5, "cache_read_input_tokens": 2, "output_tokens": 4}


@pytest.mark.parametrize(
    ("preset", "script", "stream", "usage"),
    [
        ("anthropic", Script(body=message()), True, TOLD),
        ("anthropic", Script(headers=JSON, body=[WHOLE]), False, TOLD),
        ("ollama", Script(body=message()), True, TOLD),
        ("ollama", Script(body=message()), False, TOLD),
        ("ollama", Script(headers=JSON, body=[WHOLE]), True, TOLD),
        ("ollama", Script(headers=JSON, body=[WHOLE]), False, TOLD),
        ("chat", Script(body=CHAT_CHUNKS), True, CHAT_TOLD),
        ("chat", Script(body=CHAT_CHUNKS), False, CHAT_TOLD),
    ],
)
async def test_what_a_reply_cost_is_counted_once_however_it_comes(
    preset: str, script: Script, stream: bool, usage: dict[str, int]
) -> None:
    it = rig(script, providers=[provider(preset, budget=BUDGET)])
    async with talk(it) as client:
        for count in (1, 2):
            await client.send(request(model=f"{preset}:m", stream=stream))
            await client.reply()
            assert client.status == 200
            await trio.testing.wait_all_tasks_blocked()  # the end is noted once the client has all of it
            told, tokens = used(it)
            assert {name: number for name, number in told.items() if number} == usage
            assert tokens == count * sum(usage.values())


@pytest.mark.parametrize("preset", ["anthropic", "ollama"])
async def test_a_stream_that_breaks_counts_what_it_told(preset: str) -> None:
    it = rig(Script(body=[*message()[:3], UpstreamBroken("cut")]), providers=[provider(preset, budget=BUDGET)])
    async with talk(it) as client:
        await client.send(request(model=f"{preset}:m"))
        assert event_types(await client.reply())[-1] == "error"
    assert used(it) == ({"input_tokens": 3, "output_tokens": 1}, 4)


@pytest.mark.parametrize("how", ["hang-up", "stop"])
async def test_a_stream_that_is_cut_short_from_our_side_counts_what_it_told(how: str) -> None:
    it = rig(Script(body=[*message()[:3], Sleep(1e6)]), providers=[provider("anthropic", budget=BUDGET)])
    async with talk(it) as client:
        await client.send(request())
        await client.head()
        while b"hello" not in await client.some():
            pass
        if how == "stop":
            it.ending.set()
            await client.rest()
        else:
            await trio.aclose_forcefully(client.stream)
        await trio.testing.wait_all_tasks_blocked()
    assert used(it) == ({"input_tokens": 3, "output_tokens": 1}, 4)


async def test_a_stream_that_a_mistake_of_ours_cuts_short_counts_what_it_told() -> None:
    it = rig(
        Script(body=[*message()[:3], KeyError("ours")]),
        providers=[provider("anthropic", budget=BUDGET)],
        makes_mistakes=True,
    )
    async with talk(it) as client:
        await client.send(request())
        assert event_types(await client.reply())[-1] == "error"
        await trio.testing.wait_all_tasks_blocked()
    assert used(it) == ({"input_tokens": 3, "output_tokens": 1}, 4)
    (trail,) = it.dispatch.trails.last(1)
    assert trail.result == "broken"
    assert [each.target for each in trail.tries] == ["anthropic:claude-opus-5-5"]


async def test_a_router_that_ends_without_its_last_words_has_counted_what_was_told() -> None:
    it = rig(Script(body=[*message()[:3], Sleep(1e6)]), providers=[provider("anthropic", budget=BUDGET)])
    with trio.CancelScope() as whole:
        async with talk(it) as client:
            await client.send(request())
            await client.head()
            while b"hello" not in await client.some():
                pass
            whole.cancel()
            await trio.sleep_forever()
    assert used(it) == ({"input_tokens": 3, "output_tokens": 1}, 4)
    (trail,) = it.dispatch.trails.last(1)
    assert (trail.result, len(trail.tries)) == ("broken", 1)
    assert it.dial.opened == it.dial.closed == 1


async def test_what_failed_before_a_reply_costs_nothing() -> None:
    it = rig(Script(status=529, headers=JSON, body=[OVERFLOW]), providers=[provider("anthropic", budget=BUDGET)])
    async with talk(it) as client:
        await client.send(request())
        await client.reply()
    assert used(it) == ({}, 0)


async def test_a_count_that_no_reply_can_have_is_no_count() -> None:
    huge = WHOLE.replace(b"5}", b"1%s}" % (b"0" * 400))
    price = Price(input=1.0, output=1.0)
    it = rig(
        Script(headers=JSON, body=[huge]),
        providers=[provider("anthropic", budget=BUDGET, models=(Model("claude-opus-5-5", price=price),))],
    )
    async with talk(it) as client:
        await client.send(request(stream=False))
        assert await client.reply() == huge
    assert used(it) == ({"input_tokens": 3}, 3)


# Accounts


def login(account: str) -> dict[str, object]:
    return {"metadata": {"user_id": json.dumps({"account_uuid": account, "session_id": account})}}


async def test_another_login_is_not_held_to_what_was_heard_of_the_first(autojump_clock: MockClock) -> None:
    """Whoever has used up a plan logs in to another account, in the same conversation or in another."""
    used_up = [(b"retry-after", b"9000"), (b"x-should-retry", b"false"), *JSON]
    full = [(b"anthropic-ratelimit-unified-5h-utilization", b"1.0")]
    limit = b'{"type":"error","error":{"type":"rate_limit_error","message":"This would exceed your limit"}}'
    it = rig(
        Script(status=429, headers=[*used_up, *full], body=[limit], where="anthropic"),
        Script(body=message("claude"), where="anthropic"),
        Script(body=message("local"), where="11434"),
        providers=[provider("anthropic"), provider("ollama")],
        aliases={"big": ("anthropic:claude-x", "ollama:q")},
    )
    answered = []
    for account in ("a", "a", "b", "b", "a"):
        async with talk(it) as client:
            await client.send(
                request(model="big", **login(account)), [(b"authorization", b"Bearer of " + account.encode())]
            )
            answered.append("claude" if b"claude" in await client.reply() else "local")
    assert answered == ["local", "local", "claude", "claude", "local"]
    (last,) = it.dispatch.trails.last(1)
    assert [each.plan_used for each in last.candidates] == [100, None]
