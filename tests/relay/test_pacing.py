"""Pings, deadlines, and what a silent backend is bridged with."""

from __future__ import annotations

import json

import pytest
import trio
from trio.testing import MockClock

from ccrouter.providers.provider import Model, Timeouts
from ccrouter.routing.config import Config, Server
from ccrouter.wire import events
from tests.rig import JSON, Script, Sleep, Step, event_types, message, provider, request, rig, talk

OVERFLOW = b'{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 5 tokens > 4 maximum"},"request_id":"req_up"}'


# Pacing


async def test_a_silent_stream_gets_pings_between_its_frames(autojump_clock: MockClock) -> None:
    frames = message()
    it = rig(Script(body=[frames[0], frames[1][:10], Sleep(40), frames[1][10:], *frames[2:]]))
    async with talk(it) as client:
        await client.send(request())
        stream = await client.reply()
    pings = events.encode(events.ping())
    assert stream == frames[0] + pings * 2 + b"".join(frames[1:])


async def test_a_backend_slow_to_begin_is_bridged_with_pings(autojump_clock: MockClock) -> None:
    it = rig(Script(before=[Sleep(100)], body=message()))
    async with talk(it) as client:
        await client.send(request())
        assert await client.head() == 200
        assert trio.current_time() == pytest.approx(15)
        stream = await client.rest()
    ping = events.encode(events.ping())
    assert stream == ping * 6 + b"".join(message())
    assert client.headers["content-type"].startswith("text/event-stream")


async def test_a_refusal_after_the_first_ping_becomes_an_error_event_in_its_own_words(
    autojump_clock: MockClock,
) -> None:
    it = rig(Script(before=[Sleep(20)], status=400, headers=JSON, body=[OVERFLOW]))
    async with talk(it) as client:
        await client.send(request())
        stream = await client.reply()
    assert event_types(stream) == ["ping", "error"]
    assert json.loads(stream.rpartition(b"data: ")[2])["error"] == json.loads(OVERFLOW)["error"]


async def test_a_late_reply_without_a_stream_becomes_an_error_event(autojump_clock: MockClock) -> None:
    it = rig(Script(before=[Sleep(20)], headers=JSON, body=[b'{"type":"message"}']))
    async with talk(it) as client:
        await client.send(request())
        stream = await client.reply()
    assert event_types(stream) == ["ping", "error"]
    assert b"without a stream" in stream


async def test_a_refusal_before_the_first_ping_keeps_its_status(autojump_clock: MockClock) -> None:
    it = rig(Script(before=[Sleep(14)], status=400, headers=JSON, body=[OVERFLOW]))
    async with talk(it) as client:
        await client.send(request())
        assert await client.reply() == OVERFLOW
    assert client.status == 400


async def test_a_reply_that_is_not_streamed_is_never_begun_with_a_ping(autojump_clock: MockClock) -> None:
    it = rig(Script(before=[Sleep(200)], headers=JSON, body=[b'{"type":"message"}']))
    async with talk(it) as client:
        await client.send(request(stream=False))
        assert await client.reply() == b'{"type":"message"}'


async def test_a_backend_that_tells_nothing_of_its_models_holds_a_refusal_up_for_three_seconds(
    autojump_clock: MockClock,
) -> None:
    it = rig(Script(body=message()), providers=[provider("ollama", models=(Model("m", window=1_000),))])
    it.questions.scripts = [Script(before=[Sleep(1_000)])]
    async with talk(it) as client:
        await client.send(request(model="ollama:m", messages=[{"role": "user", "content": "word " * 2_000}]))
        body = await client.reply()
    assert client.status == 400
    assert b"tokens > 1000 maximum" in body
    assert trio.current_time() == pytest.approx(3)


async def test_the_whole_request_has_a_deadline(autojump_clock: MockClock) -> None:
    slow = provider("anthropic", timeouts=Timeouts(total=50))
    drip: list[Step] = [step for _ in range(100) for step in (Sleep(10), b": drip\n\n")]
    it = rig(Script(body=[message()[0], *drip]), providers=[slow])
    async with talk(it) as client:
        await client.send(request())
        stream = await client.reply()
        assert trio.current_time() == pytest.approx(50)
    assert event_types(stream)[-1] == "error"
    assert b"took over 50 s" in stream


SLOW = Config(server=Server(ping=1.0, commit_after=3.0))


async def test_nothing_is_said_behind_the_end_while_a_backend_leaves_its_connection_open(
    autojump_clock: MockClock,
) -> None:
    it = rig(Script(body=[*message(), Sleep(1000)]), config=Config(server=Server(ping=0.1)))
    async with talk(it) as client:
        await client.send(request())
        assert await client.reply() == b"".join(message())


async def test_pacing_follows_the_configuration(autojump_clock: MockClock) -> None:
    it = rig(Script(before=[Sleep(5)], body=message()), config=SLOW)
    async with talk(it) as client:
        await client.send(request())
        assert event_types(await client.reply())[:3] == ["ping"] * 3
