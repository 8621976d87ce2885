"""Streams over real sockets: the same bytes, backpressure, hang-ups, the end of a router."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
import trio

from ccrouter.wire import events
from tests.backend import Reply, Seen, backend
from tests.rig import Talk, event_types, message, request
from tests.service.router import SSE, anthropic, body, client, running


async def test_bytes_are_the_same_on_both_sides_over_real_sockets(tmp_path: Path) -> None:
    sent = b'{"model":"claude-opus-5-5", "x" : [1.0,1e5,"\\u2028"],"messages":[ ] ,"stream":true}'
    frames = b"".join(message("\u2028\u0085 …"))

    async def script(seen: Seen, reply: Reply) -> None:
        await reply.start(200, [*SSE, (b"x-future", b"1")])
        for position in range(0, len(frames), 7):
            await reply.send(frames[position : position + 7])
        await reply.end()

    async with backend(script) as upstream, running(tmp_path, anthropic(upstream)) as it, client(it) as http:
        async with http.stream("POST", "/v1/messages?beta=true", content=sent) as reply:
            received = b"".join([chunk async for chunk in reply.aiter_raw()])
            assert reply.headers["x-future"] == "1"
    assert received == frames
    assert upstream.seen[0].body == sent
    assert upstream.seen[0].target == "/v1/messages?beta=true"


async def test_a_hang_up_reaches_the_backend(tmp_path: Path) -> None:
    async def script(seen: Seen, reply: Reply) -> None:
        await reply.start(200, SSE)
        await reply.send(message()[0])
        await trio.sleep_forever()

    async with backend(script) as upstream, running(tmp_path, anthropic(upstream)) as it:
        stream = await trio.open_tcp_stream("127.0.0.1", it.port)
        peer = Talk(stream)
        await peer.send(request(), token=it.token)
        assert await peer.head() == 200
        await peer.some()
        await stream.aclose()
        closed = time.monotonic()
        with trio.fail_after(5):
            await upstream.gone.wait()
        hung_up = upstream.seen[0].hung_up
        assert hung_up is not None
        assert hung_up - closed < 1  # figures: dist-scripts/bench


async def test_a_client_that_does_not_read_stops_the_backend(tmp_path: Path) -> None:
    piece = events.encode({"type": "ping", "pad": "x" * 10_000})
    total = 60_000_000

    async def script(seen: Seen, reply: Reply) -> None:
        await reply.start(200, SSE)
        await reply.send(message()[0])
        while reply.sent < total:
            await reply.send(piece)
        await reply.send(b"".join(message()[1:]))
        await reply.end()

    async with backend(script) as upstream, running(tmp_path, anthropic(upstream)) as it:
        async with client(it) as http, http.stream("POST", "/v1/messages", json=body(stream=True)) as reply:
            with trio.fail_after(10):
                sent = -1
                while sent != upstream.replies[0].sent:
                    sent = upstream.replies[0].sent
                    await trio.sleep(0.3)
            assert sent < total / 2  # what sockets hold, no more
            received = 0
            async for chunk in reply.aiter_raw():
                received += len(chunk)
            assert received == upstream.replies[0].sent > total


async def test_draining_lets_a_running_stream_come_to_its_end(tmp_path: Path) -> None:
    go_on = trio.Event()

    async def script(seen: Seen, reply: Reply) -> None:
        await reply.start(200, SSE)
        await reply.send(message()[0])
        await go_on.wait()
        await reply.send(b"".join(message()[1:]))
        await reply.end()

    async with backend(script) as upstream, running(tmp_path, anthropic(upstream)) as it, client(it) as http:
        async with http.stream("POST", "/v1/messages", json=body(stream=True)) as reply:
            chunks = reply.aiter_raw()
            received = await anext(chunks)
            it.drain()
            await trio.sleep(0.05)
            with pytest.raises(OSError):
                await trio.open_tcp_stream("127.0.0.1", it.port)
            go_on.set()
            async for chunk in chunks:
                received += chunk
        assert received == b"".join(message())


async def test_a_drain_that_takes_too_long_ends_the_stream_with_an_error_event(tmp_path: Path) -> None:
    async def script(seen: Seen, reply: Reply) -> None:
        await reply.start(200, SSE)
        await reply.send(message()[0])
        await trio.sleep_forever()

    async with backend(script) as upstream:
        config = '[server]\ndrain = "200ms"\n' + anthropic(upstream)
        async with running(tmp_path, config) as it, client(it) as http:
            async with http.stream("POST", "/v1/messages", json=body(stream=True)) as reply:
                chunks = reply.aiter_raw()
                received = await anext(chunks)
                it.drain()
                async for chunk in chunks:
                    received += chunk
        with trio.fail_after(5):
            await upstream.gone.wait()
    assert event_types(received) == ["message_start", "error"]


async def test_requests_side_by_side_do_not_mix(tmp_path: Path) -> None:
    async def script(seen: Seen, reply: Reply) -> None:
        name = json.loads(seen.body)["messages"][0]["content"]
        await reply.start(200, SSE)
        for frame in message(name):
            await reply.send(frame)
            await trio.sleep(0.001)
        await reply.end()

    results: dict[str, bytes] = {}
    async with backend(script) as upstream, running(tmp_path, anthropic(upstream)) as it, client(it) as http:

        async def one(name: str) -> None:
            reply = await http.post(
                "/v1/messages", json=body(stream=True, messages=[{"role": "user", "content": name}])
            )
            results[name] = reply.content

        async with trio.open_nursery() as nursery:
            for number in range(30):
                nursery.start_soon(one, f"name {number}")
    assert results == {f"name {number}": b"".join(message(f"name {number}")) for number in range(30)}
