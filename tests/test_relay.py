"""The relay between a client and a backend: fidelity, pacing, failure, hang-up, stop, memory."""

from __future__ import annotations

import base64
import gzip
import json
import random
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import trio
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock, lockstep_stream_pair

from ccrouter.errors import ConnectFailed, UpstreamBroken, UpstreamTimeout
from ccrouter.providers.presets import PRESETS
from ccrouter.providers.provider import Budget, Model, Price, Target, Timeouts
from ccrouter.providers.secret import Literal
from ccrouter.routing.config import Config, Server
from ccrouter.wire import events
from ccrouter.wire.fold import fold
from tests.rig import JSON, SSE, Rig, Script, Sleep, Step, Talk, event_types, message, provider, request, rig, talk

OVERFLOW = b'{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 5 tokens > 4 maximum"},"request_id":"req_up"}'


async def test_a_stream_goes_through_byte_for_byte() -> None:
    frames = message()
    it = rig(
        Script(
            body=frames,
            headers=[
                *SSE,
                (b"request-id", b"req_up"),
                (b"anthropic-ratelimit-unified-status", b"allowed"),
                (b"x-new", b"1"),
                (b"connection", b"x-gone"),
                (b"x-gone", b"1"),
                (b"keep-alive", b"5"),
            ],
        )
    )
    async with talk(it) as client:
        await client.send(request())
        assert await client.reply() == b"".join(frames)
    assert client.status == 200
    assert client.headers["request-id"] == "req_up"
    assert client.headers["anthropic-ratelimit-unified-status"] == "allowed"
    assert client.headers["x-new"] == "1"
    assert "x-gone" not in client.headers
    assert "keep-alive" not in client.headers


async def test_a_request_goes_through_byte_for_byte_with_its_open_lists() -> None:
    body = b'{ "model":"claude-opus-5-5",\n"future": 1.0, "x":"\\u00e9\xc3\xa9", "max_tokens":1e3, "messages":[], "max_tokens":7 }'
    it = rig(Script(body=message()))
    headers = [
        (b"anthropic-beta", b"a,b"),
        (b"anthropic-beta", b"c"),
        (b"anthropic-future", b"1"),
        (b"anthropic-version", b"2099-01-01"),
        (b"x-app", b"cli"),
        (b"user-agent", b"claude-cli/2"),
        (b"accept-encoding", b"gzip, br"),
    ]
    async with talk(it) as client:
        await client.send(body, headers, target="/v1/messages?beta=true&x=%20y")
        await client.reply()
    (call,) = it.dial.calls
    assert call.body == body
    assert call.url == "https://api.anthropic.com/v1/messages?beta=true&x=%20y"
    sent = call.headers
    for header in headers[:-1]:
        assert header in sent
    assert (b"accept-encoding", b"identity") in sent
    names = [name for name, _ in sent]
    assert len({b"host", b"content-length", b"x-ccrouter-token"} & set(names)) == 0


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32), text=st.text(max_size=50), extra=st.text(max_size=20), crlf=st.booleans())
def test_any_chunking_of_a_reply_reaches_the_client_in_the_same_bytes(
    seed: int, text: str, extra: str, crlf: bool
) -> None:
    frames = message(text)
    frames.insert(2, events.encode({"type": "future_event", "extra": extra}))
    frames.insert(3, b": a comment\n\n")
    whole = b"".join(frames)
    if crlf:
        whole = whole.replace(b"\n", b"\r\n")
    rng = random.Random(seed)
    steps: list[Step] = []
    position = 0
    while position < len(whole):
        size = rng.choice([1, 2, 3, 10, 100, 1000])
        steps.append(whole[position : position + size])
        position += size
    it = rig(Script(body=steps))

    async def main() -> None:
        async with talk(it) as client:
            await client.send(request())
            assert await client.reply() == whole

    trio.run(main)


@pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 413, 429, 500, 529])
async def test_a_whole_reply_goes_through_with_its_status_and_advice(status: int) -> None:
    body = b'{"type":"message", "content" : []}' if status == 200 else OVERFLOW
    headers = [
        *JSON,
        (b"retry-after", b"7"),
        (b"x-should-retry", b"false"),
        (b"request-id", b"req_up"),
        (b"anthropic-ratelimit-requests-limit", b"5"),
    ]
    it = rig(Script(status=status, headers=headers, body=[body[:5], body[5:]]))
    async with talk(it) as client:
        await client.send(request(stream=False))
        assert await client.reply() == body
    assert client.status == status
    for name, value in headers:
        assert client.headers[name.decode()] == value.decode()


@pytest.mark.parametrize("stream", [True, False])
async def test_the_plan_of_another_vendor_is_not_shown_as_the_users(stream: bool) -> None:
    headers = [
        *JSON,
        (b"anthropic-ratelimit-unified-status", b"rejected"),
        (b"set-cookie", b"a=b"),
        (b"x-y", b"1"),
    ]
    whole = b'{"type":"message","content":[{"type":"text","text":"hi"}],"stop_reason":"end_turn"}'
    it = rig(Script(headers=headers, body=[whole]), providers=[provider("ollama")])
    async with talk(it) as client:
        await client.send(request(model="ollama:q", stream=stream))
        assert b'"hi"' in await client.reply()
    assert client.headers["content-type"].startswith("text/event-stream" if stream else "application/json")
    assert "anthropic-ratelimit-unified-status" not in client.headers
    assert "set-cookie" not in client.headers
    assert client.headers["x-y"] == "1"


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_a_coding_that_was_not_asked_for_is_undone_in_streams(coding: str) -> None:
    whole = b"".join(message())
    packed = gzip.compress(whole) if coding == "gzip" else zlib.compress(whole)
    it = rig(Script(headers=[*SSE, (b"content-encoding", coding.encode())], body=[packed[:20], packed[20:]]))
    async with talk(it) as client:
        await client.send(request())
        assert await client.reply() == whole
    assert "content-encoding" not in client.headers


async def test_a_coding_that_can_not_be_undone_is_an_error_in_a_stream() -> None:
    it = rig(Script(headers=[*SSE, (b"content-encoding", b"br")], body=[b"???"]))
    async with talk(it) as client:
        await client.send(request())
        body = await client.reply()
    assert client.status == 502
    assert b"'br'" in body


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


async def exchange(it: Rig, model: str = "claude-opus-5-5", headers: Sequence[tuple[bytes, bytes]] = ()) -> Talk:
    """One request and its reply, on a connection of its own; the end is noted."""
    async with talk(it) as client:
        await client.send(request(model=model), headers)
        await client.reply()
        await trio.testing.wait_all_tasks_blocked()
    return client


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
        aliases=BIG["aliases"],
    )
    for _ in range(3):
        assert (await exchange(it, "big")).status == 200
    assert hosts(it) == ["anthropic", "ollama", "ollama"]
    assert used(it)[1] == 8


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
        assert it.backends.places.waiting(ONE[0]) == (1, 0)
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
        assert it.backends.places.waiting(ONE[0]) == (1, 1)
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
        assert it.backends.places.waiting(ONE[0]) == (0, 0)
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
        assert it.backends.places.waiting(two) == (1, 0)
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


# Credentials, through the whole router

BEARER = b"Bearer sk-ant-oat01-" + b"o" * 40


@pytest.mark.parametrize("name", [name for name in PRESETS if name != "demo"])
async def test_the_clients_login_reaches_anthropic_and_no_other_provider(name: str, tmp_path: Path) -> None:
    keys = dict.fromkeys(PRESETS[name].key_env, "sk-key-of-the-preset")
    if PRESETS[name].auth == "codex":
        keys["CODEX_HOME"] = str(tmp_path)
        expiry = base64.urlsafe_b64encode(b'{"exp": 4102444800}').decode().rstrip("=")
        tokens = {
            "id_token": "a.e30.c",
            "access_token": f"a.{expiry}.c",
            "refresh_token": "r",
            "account_id": "acc",
        }
        login = {"auth_mode": "chatgpt", "tokens": tokens, "last_refresh": "2099-01-01T00:00:00Z"}
        (tmp_path / "auth.json").write_text(json.dumps(login))
    it = rig(Script(body=message()), providers=[provider(name)], environ={"HOME": "/nonexistent", **keys})
    headers = [
        (b"authorization", BEARER),
        (b"x-api-key", b"sk-ant-own-key"),
        (b"cookie", b"a=b"),
        (b"anthropic-beta", b"oauth-2025-04-20,x"),
    ]
    async with talk(it) as client:
        await client.send(request(model=f"{name}:some-model"), headers)
        await client.reply()
    (call,) = it.dial.calls
    sent = b"\n".join(name + b": " + value for name, value in call.headers)
    assert (BEARER in sent) is (name == "anthropic")
    assert (b"sk-ant-own-key" in sent) is (name == "anthropic")
    assert (b"oauth-2025-04-20" in sent) is (name == "anthropic")
    assert it.token.encode() not in sent
    assert b"a=b" not in sent


async def test_a_login_that_stays_refused_is_told_to_its_user_and_not_tried_again_by_the_client(
    tmp_path: Path,
) -> None:
    tokens = {"access_token": "a.e30.c", "account_id": "acc"}  # nothing to refresh it with
    (tmp_path / "auth.json").write_text(json.dumps({"auth_mode": "chatgpt", "tokens": tokens}))
    it = rig(
        Script(status=401, headers=JSON, body=[b'{"detail":"Unauthorized"}']),
        providers=[provider("codex")],
        environ={"HOME": "/nonexistent", "CODEX_HOME": str(tmp_path)},
    )
    async with talk(it) as client:
        await client.send(request(model="codex:gpt-x"))
        told = json.loads(await client.reply())["error"]
    assert client.status == 401
    assert client.headers["x-should-retry"] == "false"
    assert told["type"] == "authentication_error"
    assert "run `codex login`" in told["message"]
    assert len(it.dial.calls) == 1


async def test_the_clients_login_does_not_follow_an_alias_or_a_fallback_elsewhere() -> None:
    it = rig(
        Script(status=529, headers=JSON, body=[OVERFLOW]),
        Script(body=message()),
        providers=[provider("anthropic"), provider("messages", base_url="https://anthropic.example")],
        aliases={"opus": ("anthropic:claude-x", "messages:claude-x")},
    )
    async with talk(it) as client:
        await client.send(request(model="opus"), [(b"authorization", BEARER)])
        await client.reply()
    first, second = it.dial.calls
    assert (b"authorization", BEARER) in first.headers
    assert all(BEARER not in value for _, value in second.headers)


#: Providers of three wires: the one that the client's login is for, three with a key of their own, one that has none.
KEYS = {"anthropic": BEARER.decode(), "work": "sk-of-work", "deepseek": "sk-of-deepseek", "openai": "sk-of-openai"}
HOSTS = {
    "anthropic": "api.anthropic.com",
    "work": "work.example",
    "deepseek": "deepseek.com",
    "openai": "openai.com",
    "ollama": ":11434",
}
HOW = {
    "overloaded": Script(status=529, headers=JSON, body=[OVERFLOW]),
    "unauthorized": Script(status=401, headers=JSON, body=[b'{"error":{"message":"no"}}']),
    "missing": Script(status=404, headers=JSON, body=[b'{"error":{"message":"no such model"}}']),
    "moved": Script(status=307, headers=[(b"location", b"https://evil.example/v1/messages")], body=[]),
    "unreachable": Script(before=[ConnectFailed("x")]),
    "broken": Script(body=[UpstreamBroken("cut", before_reply=True)]),
    "error": Script(body=[events.encode(events.error("overloaded_error", "Overloaded"))]),
}


@settings(max_examples=60)
@given(
    st.permutations(sorted(HOSTS)),
    st.lists(st.sampled_from(sorted(HOW)), min_size=8, max_size=8),
    st.booleans(),
    st.sampled_from([b"authorization", b"x-api-key"]),
)
def test_whoever_is_tried_for_whatever_reason_each_credential_reaches_its_own_host_only(
    order: list[str], how: list[str], stream: bool, place: bytes
) -> None:
    async def main() -> None:
        providers = [
            provider("anthropic"),
            provider("ollama"),
            provider("work", "messages", api_key=Literal(KEYS["work"])),
            *(provider(name, api_key=Literal(KEYS[name])) for name in ("deepseek", "openai")),
        ]
        scripts = [HOW[each] for each in how]
        aliases = {"all": tuple(f"{name}:m" for name in order)}
        it = rig(*scripts, providers=providers, aliases=aliases, environ={"HOME": "/nonexistent"})
        own = BEARER if place == b"authorization" else BEARER.removeprefix(b"Bearer ")
        async with talk(it) as client:
            await client.send(request(model="all", stream=stream), [(place, own)])
            await client.reply()
        assert it.dial.calls
        for call in it.dial.calls:
            sent = b"\n".join([call.url.encode(), call.body, *(value for _, value in call.headers)]).decode(
                "latin-1"
            )
            (at,) = [name for name, host in HOSTS.items() if f"{host}/" in call.url]
            for name, key in KEYS.items():
                assert (key.removeprefix("Bearer ") in sent) is (name == at)

    trio.run(main, clock=MockClock(autojump_threshold=0))


async def test_the_clients_login_is_not_sent_in_the_clear() -> None:
    it = rig(
        Script(body=message()),
        providers=[provider("anthropic", base_url="http://gateway.example")],
        environ={"HOME": "/nonexistent"},
    )
    async with talk(it) as client:
        await client.send(request(), [(b"authorization", BEARER)])
        body = await client.reply()
    assert client.status == 401
    assert b"https" in body
    assert not it.dial.calls


@pytest.mark.parametrize("place", ["authorization", "x-api-key", "x-ccrouter-token"])
async def test_the_token_opens_the_port_from_each_of_its_places_and_goes_no_further(place: str) -> None:
    it = rig(Script(body=message()))
    value = it.token if place != "authorization" else f"Bearer {it.token}"
    async with talk(it) as client:
        await client.send(request(), [(place.encode(), value.encode())], token=None)
        await client.reply()
    assert client.status == 200
    (call,) = it.dial.calls
    assert all(it.token.encode() not in value for _, value in call.headers)
    assert (b"x-api-key", b"sk-router-key") in call.headers


@pytest.mark.parametrize("given_token", [None, "wrong", "", "ccr-" + "t" * 39, "ccr-" + "t" * 41])
async def test_a_stranger_is_turned_away_before_anything_is_sent(given_token: str | None) -> None:
    it = rig(Script(body=message()))
    async with talk(it) as client:
        await client.send(request(), [(b"authorization", BEARER)], token=given_token)
        await client.reply()
    assert client.status == 401
    assert client.headers["x-should-retry"] == "false"
    assert not it.dial.calls


# Hang-up


async def test_a_hang_up_closes_the_backend_at_once() -> None:
    it = rig(Script(body=[message()[0], Sleep(1e6)]))
    async with talk(it) as client:
        await client.send(request())
        await client.head()
        await client.some()
        assert (it.dial.opened, it.dial.closed) == (1, 0)
        await trio.aclose_forcefully(client.stream)
        await trio.testing.wait_all_tasks_blocked()
        assert it.dial.closed == 1
    assert "hung_up" in it.lines[-1]


async def test_a_hang_up_before_the_reply_closes_the_backend_at_once() -> None:
    it = rig(Script(before=[Sleep(1e6)]))
    async with talk(it) as client:
        await client.send(request())
        await trio.testing.wait_all_tasks_blocked()
        assert (it.dial.opened, it.dial.closed) == (1, 0)
        await trio.aclose_forcefully(client.stream)
        await trio.testing.wait_all_tasks_blocked()
        assert it.dial.closed == 1


class CancelAt(trio.abc.Instrument):
    """Cancels a scope before the n-th step that any task takes."""

    def __init__(self, scope: trio.CancelScope, steps: int) -> None:
        self.scope = scope
        self.left = steps

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.left -= 1
        if self.left == 0:
            self.scope.cancel()


async def test_cancelled_at_any_step_it_leaves_no_task_and_no_open_call(autojump_clock: MockClock) -> None:
    """Whatever the moment, all that was opened is closed once, and the cancellation is not lost."""
    frames = message()
    steps = 0
    finished = False
    while not finished:
        steps += 1
        it = rig(Script(before=[Sleep(1)], body=[frames[0], Sleep(20), *frames[1:]]))
        with trio.CancelScope() as scope:
            instrument = CancelAt(scope, steps)
            trio.lowlevel.add_instrument(instrument)
            try:
                async with talk(it) as client:
                    await client.send(request())
                    await client.reply()
                    finished = True
            finally:
                trio.lowlevel.remove_instrument(instrument)
        assert it.dial.opened == it.dial.closed <= 1
        if finished and scope.cancel_called:
            finished = False
    assert steps > 30


# Stop


async def test_a_stop_ends_a_running_stream_with_an_error_event() -> None:
    it = rig(Script(body=[*message()[:3], Sleep(1e6)]))
    async with talk(it) as client:
        await client.send(request())
        await client.head()
        seen = b""
        while event_types(seen) != ["message_start", "content_block_start", "content_block_delta"]:
            seen += await client.some()
        it.ending.set()
        last = await client.rest()
    assert event_types(last) == ["error"]
    assert b"overloaded_error" in last
    assert it.dial.closed == 1


async def test_a_stop_before_the_first_event_has_a_status() -> None:
    it = rig(Script(before=[Sleep(1e6)]))
    async with talk(it) as client:
        await client.send(request())
        await trio.testing.wait_all_tasks_blocked()
        it.ending.set()
        await client.reply()
    assert client.status == 529
    assert client.headers["retry-after"] == "5"


# Backpressure


async def test_a_client_that_does_not_read_stops_the_reading_of_the_backend() -> None:
    piece = events.encode({"type": "ping", "pad": "x" * 1000})
    body: list[Step] = [message()[0], *[piece] * 1000, *message()[1:]]
    it = rig(Script(body=body))
    async with talk(it, pair=lockstep_stream_pair) as client:
        await client.send(request())
        await client.head()
        (answer,) = it.dial.answers
        for _ in range(20):
            await trio.testing.wait_all_tasks_blocked()
        stalled = answer.reads
        assert stalled <= 4  # one being written, one in the channel's hands, one being read
        for _ in range(20):
            await trio.testing.wait_all_tasks_blocked()
        assert answer.reads == stalled
        assert len(await client.rest()) > 1_000_000
        assert answer.reads == len(body)


# Other servers of the same format


@pytest.mark.parametrize("streamed", [True, False])
async def test_a_whole_reply_of_another_server_is_put_right_however_it_was_asked_for(streamed: bool) -> None:
    whole = b'{"id":"x","content":[{"type":"tool_use","id":"a.b","name":"Read","input":"{\\"path\\":1}"}]}'
    it = rig(Script(headers=[*JSON, (b"request-id", b"req_up")], body=[whole]), providers=[provider("ollama")])
    async with talk(it) as client:
        await client.send(request(model="ollama:x", stream=streamed))
        reply = await client.reply()
    said = [json.loads(line[6:]) for line in reply.splitlines() if line.startswith(b"data:")]
    found = fold(said) if streamed else json.loads(reply)
    assert client.headers["request-id"] == "req_up"
    assert found["id"].startswith("msg_ccr_")
    assert found["stop_reason"] == "tool_use"
    assert found["content"][0]["input"] == {"path": 1}
    assert found["usage"]["input_tokens"] > 0


async def test_a_stream_that_another_server_sends_unasked_becomes_the_message() -> None:
    frames = [b": hello\n\n", *message("hi")]
    it = rig(Script(body=frames), providers=[provider("ollama")])
    async with talk(it) as client:
        await client.send(request(model="ollama:x", stream=False))
        reply = json.loads(await client.reply())
    assert reply["content"] == [{"type": "text", "text": "hi"}]
    assert client.status == 200


async def test_what_another_server_sends_in_place_of_a_message_is_told() -> None:
    it = rig(Script(headers=JSON, body=[b'{"hello":1}']), providers=[provider("ollama")])
    async with talk(it) as client:
        await client.send(request(model="ollama:x"))
        reply = json.loads(await client.reply())
    assert client.status == 502
    assert "no reply: {" in reply["error"]["message"]


async def test_an_error_inside_a_success_of_another_server_is_a_refusal() -> None:
    it = rig(Script(headers=JSON, body=[b'{"error":"model not found"}']), providers=[provider("ollama")])
    async with talk(it) as client:
        await client.send(request(model="ollama:x"))
        reply = json.loads(await client.reply())
    assert (client.status, reply["error"]["type"]) == (404, "not_found_error")


async def test_a_model_that_loads_for_minutes_is_pinged_for(autojump_clock: MockClock) -> None:
    frames = message("hi")
    it = rig(
        Script(before=[Sleep(100)], body=[frames[0], Sleep(100), *frames[1:]]), providers=[provider("ollama")]
    )
    async with talk(it) as client:
        await client.send(request(model="ollama:x"))
        types = event_types(await client.reply())
    assert types.count("ping") > 5
    assert [each for each in types if each != "ping"] == event_types(b"".join(frames))


# Other targets


async def test_what_a_model_is_called_here_is_replaced_by_what_the_backend_calls_it() -> None:
    body = b'{"system":[{"type":"text","text":"x-anthropic-billing-header: cc_version=1"},{"type":"text","text":"be"}],\n "model" : "ollama:qwen3:8b", "max_tokens":1,"messages":[]}'
    it = rig(Script(headers=JSON, body=[b"{}"]), providers=[provider("ollama")])
    async with talk(it) as client:
        await client.send(body)
        await client.reply()
    (call,) = it.dial.calls
    assert (
        call.body
        == b'{"system":[{"type":"text","text":"be"}],\n "model" : "qwen3:8b", "max_tokens":1,"messages":[]}'
    )
    assert call.url == "http://127.0.0.1:11434/v1/messages?beta=true"


async def test_a_field_that_only_anthropic_can_serve_is_refused_by_name() -> None:
    it = rig(Script(body=message()), providers=[provider("ollama")])
    async with talk(it) as client:
        await client.send(request(model="ollama:x", safeguards={"a": 1}))
        body = await client.reply()
    assert client.status == 400
    assert b"safeguards" in body
    assert not it.dial.calls


SLOW = Config(server=Server(ping=1.0, commit_after=3.0))


async def test_pacing_follows_the_configuration(autojump_clock: MockClock) -> None:
    it = rig(Script(before=[Sleep(5)], body=message()), config=SLOW)
    async with talk(it) as client:
        await client.send(request())
        assert event_types(await client.reply())[:3] == ["ping"] * 3


async def test_two_requests_on_one_connection_are_apart() -> None:
    it = rig(
        Script(body=message("one")), Script(status=400, headers=JSON, body=[OVERFLOW]), Script(body=message("two"))
    )
    async with talk(it) as client:
        for expected in (b"".join(message("one")), OVERFLOW, b"".join(message("two"))):
            await client.send(request())
            assert await client.reply() == expected
    assert it.dial.opened == it.dial.closed == 3
