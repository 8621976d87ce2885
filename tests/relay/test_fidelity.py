"""What goes through the relay unchanged, and what is changed for whom."""

from __future__ import annotations

import gzip
import json
import random
import zlib

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from ccrouter.wire import events
from ccrouter.wire.fold import fold
from tests.rig import JSON, SSE, Script, Sleep, Step, event_types, message, provider, request, rig, talk

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


async def test_two_requests_on_one_connection_are_apart() -> None:
    it = rig(
        Script(body=message("one")), Script(status=400, headers=JSON, body=[OVERFLOW]), Script(body=message("two"))
    )
    async with talk(it) as client:
        for expected in (b"".join(message("one")), OVERFLOW, b"".join(message("two"))):
            await client.send(request())
            assert await client.reply() == expected
    assert it.dial.opened == it.dial.closed == 3
