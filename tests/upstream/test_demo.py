from __future__ import annotations

import json

import pytest
import trio

from ccrouter.errors import UpstreamBroken, UpstreamTimeout
from ccrouter.providers.provider import Timeouts
from ccrouter.upstream.demo import DemoDial
from ccrouter.upstream.dial import Call, Dial
from ccrouter.wire.fold import fold
from ccrouter.wire.headers import get
from tests.demo.shapes import ask


def call(body, *, method="POST", path="/v1/messages?beta=true", **timeouts):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Call(method=method, url=f"http://demo{path}", headers=[], body=body, timeouts=Timeouts(**timeouts))


def dial(pace=0.0) -> Dial:
    return DemoDial(lambda: pace)


async def body(answer):
    parts = []
    while part := await answer.read():
        parts.append(part)
    return parts


async def fetch(made, pace=0.0):
    async with dial(pace)(made) as answer:
        return answer.status, answer.headers, json.loads(b"".join(await body(answer)))


def decoded(parts):
    return [json.loads(part.decode().split("\ndata: ")[1]) for part in parts]


async def test_a_stream_has_one_event_in_each_read_and_means_what_the_whole_message_says():
    request = ask("run `ls`", thinking={"type": "enabled"})
    async with dial()(call(request)) as answer:
        assert answer.status == 200
        assert (get(answer.headers, b"content-type") or b"").startswith(b"text/event-stream")
        streamed = fold(decoded(await body(answer)))
        assert await answer.read() == b""
    status, headers, whole = await fetch(call({**request, "stream": False}))
    assert (status, get(headers, b"content-type")) == (200, b"application/json")
    assert streamed["id"] != whole["id"]
    for message in (streamed, whole):
        assert message["stop_reason"] == "tool_use"
        assert message.pop("id").startswith("msg_demo_")
        message["usage"].pop("input_tokens")
        message["content"][-1].pop("id")
    assert streamed == whole


async def test_pieces_come_at_the_pace(autojump_clock):
    start = trio.current_time()
    async with dial(0.5)(call(ask("count to 40"))) as answer:
        times = []
        while await answer.read():
            times.append(trio.current_time() - start)
    assert times[:5] == [5, 7.5, 8, 8.5, 9]


async def test_the_whole_message_takes_as_long_as_the_stream(autojump_clock):
    async with dial(0.5)(call(ask("count to 40"))) as answer:
        await body(answer)
    streamed = trio.current_time()
    await fetch(call(ask("count to 40", stream=False)), pace=0.5)
    assert trio.current_time() - streamed == streamed > 20


async def test_without_a_pace_no_time_passes(autojump_clock):
    async with dial()(call(ask("write 500 words"))) as answer:
        await body(answer)
    assert trio.current_time() == 0


async def test_a_change_of_pace_takes_effect_in_mid_stream(autojump_clock):
    pace = [1.0]
    async with DemoDial(lambda: pace[0])(call(ask("count to 40"))) as answer:
        await answer.read()
        pace[0] = 0.0
        await body(answer)
    assert trio.current_time() == 10


async def test_its_models_are_marked_as_a_demo():
    status, _, listed = await fetch(call(b"", method="GET", path="/v1/models?limit=1000"))
    assert status == 200
    assert [(model["id"], model["display_name"]) for model in listed["data"]] == [
        ("demo", "ccrouter demo (not a real model)")
    ]


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/v1/messages"), ("POST", "/v1/models"), ("POST", "/v1/other")]
)
async def test_anything_else_is_not_found(method, path):
    status, _, error = await fetch(call(b"{}", method=method, path=path))
    assert (status, error["type"], error["error"]["type"]) == (404, "error", "not_found_error")


@pytest.mark.parametrize("broken", [b"", b"{", b"[]", b"\xff", b"[" * 100_000])
async def test_a_body_that_is_no_request_is_refused(broken):
    status, _, error = await fetch(call(broken))
    assert (status, error["error"]["type"]) == (400, "invalid_request_error")


async def test_a_refusal_comes_with_its_status_and_headers():
    status, headers, error = await fetch(call(ask("fail 429")))
    assert (status, error["error"]["type"]) == (429, "rate_limit_error")
    assert get(headers, b"retry-after") == b"1"
    assert (get(headers, b"request-id") or b"").startswith(b"req_demo_")


async def test_a_cut_stream_raises_after_its_last_piece():
    async with dial()(call(ask("fail cut 3"))) as answer:
        events = decoded([await answer.read() for _ in range(3)])
        with pytest.raises(UpstreamBroken) as raised:
            await answer.read()
    assert events[0]["type"] == "message_start"
    assert not raised.value.before_reply


async def test_silence_lasts_until_the_idle_deadline(autojump_clock):
    async with dial()(call(ask("fail silent 3"), idle=7)) as answer:
        for _ in range(3):
            assert await answer.read()
        with pytest.raises(UpstreamTimeout) as raised:
            await answer.read()
    assert raised.value.phase == "idle"
    assert trio.current_time() == 7


@pytest.mark.parametrize("stream", [True, False])
async def test_a_hang_lasts_until_the_first_byte_deadline(autojump_clock, stream):
    with pytest.raises(UpstreamTimeout) as raised:
        await fetch(call(ask("fail hang", stream=stream), first_byte=9))
    assert raised.value.phase == "first_byte"
    assert trio.current_time() == 9


async def test_a_slow_answer_comes_late_whatever_the_pace(autojump_clock):
    async with dial()(call(ask("fail slow 30"))) as answer:
        assert trio.current_time() == 30
        assert fold(decoded(await body(answer)))["stop_reason"] == "end_turn"


async def test_waiting_can_be_cancelled_anywhere(autojump_clock):
    for seconds in (1, 6, 11, 40):
        with trio.move_on_after(seconds) as scope:
            async with dial(1.0)(call(ask("fail silent"))) as answer:
                while True:
                    await answer.read()
        assert scope.cancelled_caught
    assert trio.current_time() == 58


async def test_ids_are_unique():
    ids = {(await fetch(call(ask("say hi", stream=False))))[2]["id"] for _ in range(20)}
    assert len(ids) == 20
