"""The port on real loopback sockets: binding, the cap, and the stop."""

from __future__ import annotations

import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from attrs import define, field

from ccrouter.errors import ApiError, StartError
from ccrouter.server import listen
from ccrouter.server.connection import Client, Limits, Request
from ccrouter.server.listen import LAST_WORDS, bind, serve
from ccrouter.server.stop import Stop
from ccrouter.wire import envelope


@define
class Port:
    number: int
    stop: Stop
    served: trio.Event
    most: int
    opened: list[trio.SocketStream] = field(factory=list)

    async def connect(self) -> trio.SocketStream:
        self.opened.append(await trio.open_tcp_stream("127.0.0.1", self.number))
        return self.opened[-1]


@asynccontextmanager
async def port(*, most: int = 10, drain: float = 5.0) -> AsyncIterator[Port]:
    """A port whose ``/slow`` answers when it must (with last words), and everything else at once."""
    stop = Stop()
    listeners = await bind("127.0.0.1", 0)
    it = Port(listeners[0].socket.getsockname()[1], stop, trio.Event(), most)

    async def answer(request: Request, client: Client) -> None:
        await client.body()
        if request.path == "/slow":
            await client.start(200, [], b"begun ")
            await stop.ending.wait()
            await client.send(b"last words")
            await client.finish()
        elif request.path == "/stuck":
            await client.start(200, [], b"begun ")
            await trio.sleep_forever()
        else:
            await client.respond(200, [], b"ok")

    async def refuse(client: Client, error: ApiError) -> None:
        headers = [(name.encode(), value.encode()) for name, value in error.headers]
        await client.respond(error.status, headers, envelope.write(error, "req_1"))

    async def run() -> None:
        await serve(
            listeners,
            answer,
            refuse,
            stop=stop,
            limits=Limits(linger_seconds=0.2),
            max_connections=lambda: it.most,
            drain_seconds=lambda: drain,
        )
        it.served.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        yield it
        nursery.cancel_scope.cancel()
    for stream in it.opened:
        await trio.aclose_forcefully(stream)


async def get(stream: trio.SocketStream, path: str) -> None:
    await stream.send_all(f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n".encode())


async def everything(stream: trio.SocketStream) -> bytes:
    received = b""
    while data := await stream.receive_some():
        received += data
    return received


async def test_a_taken_port_is_told_with_what_to_do() -> None:
    (listener,) = await bind("127.0.0.1", 0)
    number = listener.socket.getsockname()[1]
    with pytest.raises(StartError, match=rf"port {number} on 127.0.0.1 is taken.*--port"):
        await bind("127.0.0.1", number)
    await listener.aclose()


async def test_a_foreign_address_is_told() -> None:
    with pytest.raises(StartError, match=r"192\.0\.2\.1"):
        await bind("192.0.2.1", 0)


async def test_an_unknown_host_is_told() -> None:
    with pytest.raises(StartError, match=r"no-such-host\.invalid"):
        await bind("no-such-host.invalid", 0)


async def test_small_writes_are_not_held_back() -> None:
    accepted: list[trio.SocketStream] = []
    (listener,) = await bind("127.0.0.1", 0)
    async with trio.open_nursery() as nursery:

        async def accept() -> None:
            accepted.append(await listener.accept())

        nursery.start_soon(accept)
        client = await trio.open_tcp_stream("127.0.0.1", listener.socket.getsockname()[1])
    assert accepted[0].socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    await client.aclose()
    await accepted[0].aclose()
    await listener.aclose()


async def test_beyond_the_cap_a_client_hears_529_and_the_others_go_on() -> None:
    async with port(most=2) as it:
        kept = [await it.connect() for _ in range(2)]
        for stream in kept:
            await get(stream, "/")
            assert b"200" in await stream.receive_some()
        extra = await it.connect()
        await get(extra, "/")
        refusal = await everything(extra)
        assert refusal.startswith(b"HTTP/1.1 529")
        assert b"overloaded_error" in refusal
        assert b"retry-after: 1" in refusal
        await extra.aclose()
        await get(kept[0], "/")
        assert b"200" in await kept[0].receive_some()
        await kept[1].aclose()
        with trio.fail_after(5):
            while it.stop.open > 1:  # until the server has seen both ends
                await trio.sleep(0.01)
        again = await it.connect()
        await get(again, "/")
        assert b"200" in await again.receive_some()
        it.most = 3  # asked at each one
        another = await it.connect()
        await get(another, "/")
        assert b"200" in await another.receive_some()


async def test_only_so_many_are_told_that_they_are_beyond_the_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listen, "_MOST_TURNED_AWAY", 2)
    async with port(most=1) as it:
        kept = await it.connect()
        await get(kept, "/")
        await kept.receive_some()
        told = [await it.connect() for _ in range(2)]
        await trio.sleep(0.1)  # nobody says when a connection was accepted
        with trio.fail_after(5):
            assert await everything(await it.connect()) == b"", "closed without a word, and at once"
        for stream in told:
            await get(stream, "/")
            assert (await everything(stream)).startswith(b"HTTP/1.1 529")


async def test_draining_closes_the_listener_and_idle_connections_at_once() -> None:
    async with port() as it:
        idle = await it.connect()
        await get(idle, "/")
        await idle.receive_some()
        started = time.monotonic()
        it.stop.drain()
        assert await everything(idle) == b""
        await it.served.wait()
        assert time.monotonic() - started < 2
        with pytest.raises(OSError):
            await it.connect()


async def test_draining_waits_for_what_runs_and_ends_it_when_the_time_is_over() -> None:
    async with port(drain=0.3) as it:
        slow = await it.connect()
        await get(slow, "/slow")
        assert b"begun" in await slow.receive_some()
        started = time.monotonic()
        it.stop.drain()
        assert b"last words" in await everything(slow)
        await it.served.wait()
        assert 0.3 <= time.monotonic() - started < 0.3 + LAST_WORDS + 1


async def test_ending_gives_time_for_last_words_only() -> None:
    async with port(drain=60) as it:
        slow, stuck = await it.connect(), await it.connect()
        await get(slow, "/slow")
        await get(stuck, "/stuck")
        assert b"begun" in await slow.receive_some()
        assert b"begun" in await stuck.receive_some()
        it.stop.drain()
        await trio.testing.wait_all_tasks_blocked()
        assert not it.served.is_set()
        started = time.monotonic()
        it.stop.end()
        assert b"last words" in await everything(slow)
        await it.served.wait()
        assert time.monotonic() - started < LAST_WORDS + 1
        assert not (await everything(stuck)).endswith(b"0\r\n\r\n")  # ended, and not as if it were whole
