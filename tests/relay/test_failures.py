"""A backend that fails: before the commit point a status, behind it an ``error`` event."""

from __future__ import annotations

import json

import pytest
import trio
from attrs import evolve
from trio.testing import MockClock

from ccrouter.errors import ConnectFailed, UpstreamBroken, UpstreamTimeout
from ccrouter.providers.provider import Target, Timeouts
from ccrouter.providers.secret import Literal
from ccrouter.wire import events
from tests.rig import JSON, Script, Sleep, Step, event_types, message, provider, request, rig, talk

# Failure before the commit point


@pytest.mark.parametrize(
    ("failure", "status", "kind"),
    [
        (ConnectFailed("cannot reach https://x: refused"), 502, "api_error"),
        (UpstreamTimeout("no connection within 10 s", "connect"), 504, "timeout_error"),
        (UpstreamBroken("closed the connection", before_reply=True), 502, "api_error"),
    ],
)
async def test_a_failure_before_the_reply_has_a_status(failure: ConnectFailed, status: int, kind: str) -> None:
    it = rig(Script(before=[failure]))
    async with talk(it) as client:
        await client.send(request())
        error = json.loads(await client.reply())
    assert client.status == status
    assert error["error"] == {"type": kind, "message": f"anthropic: {failure}"}
    assert error["request_id"] == client.headers["request-id"]


async def test_a_stream_that_breaks_before_its_first_event_has_a_status() -> None:
    it = rig(Script(body=[message()[0][:20], UpstreamBroken("cut")]))
    async with talk(it) as client:
        await client.send(request())
        await client.reply()
    assert client.status == 502


async def test_a_reply_without_a_stream_is_refused_when_it_is_cut() -> None:
    it = rig(Script(headers=JSON, body=[b'{"type":"mess', UpstreamBroken("cut")]))
    async with talk(it) as client:
        await client.send(request(stream=False))
        await client.reply()
    assert client.status == 502


async def test_a_redirect_is_not_followed() -> None:
    it = rig(Script(status=307, headers=[(b"location", b"https://evil.example/v1/messages")]))
    async with talk(it) as client:
        await client.send(request(), [(b"authorization", b"Bearer sk-ant-oat01-own")])
        body = await client.reply()
    assert client.status == 502
    assert b"evil.example" in body
    assert len(it.dial.calls) == 1


async def test_another_envelope_is_reworded_and_a_credential_in_it_is_not_repeated() -> None:
    echo = b'{"error":{"code":401,"message":"bad key sk-secret-123456 given","type":"auth"}}'
    it = rig(
        Script(status=401, headers=JSON, body=[echo]),
        providers=[provider("openrouter")],
        environ={"HOME": "/nonexistent", "OPENROUTER_API_KEY": "sk-secret-123456"},
    )
    async with talk(it) as client:
        await client.send(request(model="openrouter:x"))
        error = json.loads(await client.reply())
    assert client.status == 401
    assert error["error"]["type"] == "authentication_error"
    assert error["error"]["message"] == (
        "openrouter: bad key [redacted] given (the credential comes from the environment variable OPENROUTER_API_KEY)"
    )
    assert "sk-secret" not in " ".join(it.lines)


# Failure after the commit point


@pytest.mark.parametrize("count", range(1, 6))
@pytest.mark.parametrize("how", ["end", "broken", "timeout", "mid-frame"])
async def test_a_stream_that_is_not_whole_never_ends_as_if_it_were(count: int, how: str) -> None:
    frames: list[Step] = list(message()[:count])
    match how:
        case "broken":
            frames.append(UpstreamBroken("the connection ended"))
        case "timeout":
            frames.append(UpstreamTimeout("silent for 5 s", "idle"))
        case "mid-frame":
            frames.append(message()[count][:-3])
    it = rig(Script(body=frames))
    async with talk(it) as client:
        await client.send(request())
        stream = await client.reply()
        assert client.status == 200
        assert event_types(stream)[-1] == "error"
        assert "message_stop" not in event_types(stream)
        assert stream.startswith(b"".join(message()[:count]))
        error = json.loads(stream.rpartition(b"data: ")[2])
        assert error["error"]["type"] == ("timeout_error" if how == "timeout" else "api_error")
        assert error["error"]["message"].startswith("anthropic: ")
    assert it.dial.closed == 1


@pytest.mark.parametrize("words", ["Overloaded", "long " * 2000])
@pytest.mark.parametrize("before", [0, 1, 3])
async def test_a_backends_own_error_event_is_passed_on_and_nothing_is_added(before: int, words: str) -> None:
    frames = [*message()[:before], events.encode(events.error("overloaded_error", words))]
    it = rig(Script(body=frames))
    async with talk(it) as client:
        await client.send(request())
        assert await client.reply() == b"".join(frames)


@pytest.mark.parametrize("preset", ["anthropic", "ollama"])
@pytest.mark.parametrize("before", [0, 1, 3])
async def test_a_stream_that_ends_in_a_backends_error_counts_as_a_failure(preset: str, before: int) -> None:
    frames = [*message()[:before], events.encode(events.error("overloaded_error", "Overloaded"))]
    it = rig(Script(body=frames), providers=[provider(preset)])
    async with talk(it) as client:
        for _ in range(2):
            await client.send(request(model=f"{preset}:m"))
            await client.reply()
            await trio.testing.wait_all_tasks_blocked()
    for trail in it.dispatch.trails.last(2):
        (one,) = trail.tries
        assert one.kind == "overloaded"
        assert one.result == ("broken" if before or preset == "anthropic" else "failed")
        assert (one.failure or "").endswith("Overloaded")
    assert [name for name, _ in it.dispatch.health.resting(trio.current_time())] == [f"{preset}:m"]


@pytest.mark.parametrize("wait", [0, 20])
async def test_who_begins_to_answer_after_a_rest_is_there_for_others(
    wait: float, autojump_clock: MockClock
) -> None:
    work = provider("work", "messages", api_key=Literal("k"))
    fails = Script(where="work.example", before=[ConnectFailed("x")])
    streams = Script(where="work.example", before=[Sleep(wait)], body=[*message()[:3], Sleep(60), *message()[3:]])
    both = {"two": ("work:a", "anthropic:b")}
    it = rig(fails, streams, Script(body=message()), providers=[work, provider("anthropic")], aliases=both)
    async with talk(it) as client:
        await client.send(request(model="two"))
        await client.reply()
        await trio.sleep(3)
        await client.send(request(model="two"))
        await client.head()
        while b"hello" not in await client.some():
            pass
        target = next(iter(it.dispatch.trails.last(1))).tries[-1].target
        assert target == "anthropic:b"
        assert it.dispatch.health.down(Target(work, "a"), trio.current_time()) is None
        await client.rest()


async def test_what_stands_behind_the_end_of_a_stream_is_no_failure() -> None:
    frames = [*message(), events.encode(events.error("overloaded_error", "Overloaded"))]
    it = rig(Script(body=frames))
    async with talk(it) as client:
        await client.send(request())
        await client.reply()
    assert [trail.result for trail in it.dispatch.trails.last(1)] == ["done"]


@pytest.mark.parametrize("how", ["reset", "silent", "deadline", "stop"])
@pytest.mark.parametrize("failing", [False, True])
@pytest.mark.parametrize("at_once", [False, True])
async def test_a_stream_that_has_ended_is_not_broken_by_what_becomes_of_its_connection(
    how: str, failing: bool, at_once: bool, autojump_clock: MockClock
) -> None:
    error = events.encode(events.error("overloaded_error", "Overloaded"))
    frames = [*message()[:2], error] if failing else message()
    cut: dict[str, Step] = {"reset": UpstreamBroken("reset"), "silent": UpstreamTimeout("silent for 1 s", "idle")}
    slow = provider("anthropic", timeouts=Timeouts(total=1))
    it = rig(
        Script(body=[*([b"".join(frames)] if at_once else frames), cut.get(how, Sleep(1000))]),
        providers=[slow if how == "deadline" else provider("anthropic")],
    )
    async with talk(it) as client:
        await client.send(request())
        await client.head()
        if how == "stop":
            await trio.sleep(1)
            it.ending.set()
        assert await client.rest() == b"".join(frames)
        await trio.testing.wait_all_tasks_blocked()
    (trail,) = it.dispatch.trails.last(1)
    (one,) = trail.tries
    assert (one.result, one.kind) == (("broken", "overloaded") if failing else ("done", None))
    assert trail.usage == {"input_tokens": 3, "output_tokens": 1 if failing else 5}


async def test_of_several_targets_a_stream_that_begins_with_an_error_is_a_refusal_like_others() -> None:
    error = events.encode(events.error("overloaded_error", "Overloaded"))
    long = b'{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 9 tokens > 5 maximum"}}'
    two = {"two": ("work:a", "anthropic:b")}
    providers = [provider("work", "messages", api_key=Literal("k")), provider("anthropic")]
    for first, status in (
        (Script(status=400, headers=JSON, body=[long]), 400),
        (Script(before=[ConnectFailed("x")]), 529),
    ):
        it = rig(evolve(first, where="work.example"), Script(body=[error]), providers=providers, aliases=two)
        async with talk(it) as client:
            await client.send(request(model="two"))
            body = json.loads(await client.reply())
        assert (client.status, client.headers["content-type"]) == (status, "application/json")
        assert body["type"] == "error"


async def test_a_backend_that_leaves_its_connection_open_after_the_end_does_not_hold_the_client(
    autojump_clock: MockClock,
) -> None:
    it = rig(Script(body=[*message(), Sleep(1000), b": late\n\n"]))
    async with talk(it) as client:
        await client.send(request())
        assert await client.reply() == b"".join(message())
        assert trio.current_time() < 10
    assert it.dial.closed == 1
