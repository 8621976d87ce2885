"""A small backend on a real loopback socket, for tests of the edges. Independent of ccrouter's own server."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import h11
import trio
from attrs import define, field

Headers = list[tuple[bytes, bytes]]


@define
class Seen:
    """One request as it came. ``hung_up`` is when the peer closed, by the monotonic clock."""

    method: str
    target: str
    headers: Headers
    body: bytes
    hung_up: float | None = None

    def header(self, name: bytes) -> bytes | None:
        return next((value for key, value in self.headers if key == name), None)


class Reply:
    """The way back to the peer of one request."""

    def __init__(self, stream: trio.SocketStream, conn: h11.Connection) -> None:
        self.stream = stream
        self.conn = conn
        self.sent = 0
        self.watching = trio.CancelScope()

    async def start(self, status: int, headers: Headers) -> None:
        await self.stream.send_all(self.conn.send(h11.Response(status_code=status, headers=headers)) or b"")

    async def send(self, data: bytes) -> None:
        await self.stream.send_all(self.conn.send(h11.Data(data=data)) or b"")
        self.sent += len(data)

    async def end(self) -> None:
        self.watching.cancel()  # from here on the peer may send its next request
        await self.stream.send_all(self.conn.send(h11.EndOfMessage()) or b"")

    async def whole(self, status: int, headers: Headers, body: bytes) -> None:
        await self.start(status, [*headers, (b"content-length", b"%d" % len(body))])
        await self.send(body)
        await self.end()


Script = Callable[[Seen, Reply], Awaitable[None]]


@define
class Backend:
    port: int
    seen: list[Seen] = field(factory=list)
    replies: list[Reply] = field(factory=list)
    gone: trio.Event = field(factory=trio.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@asynccontextmanager
async def backend(script: Script) -> AsyncIterator[Backend]:
    """Serve ``script`` for each request; connections are kept alive."""
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    it = Backend(listeners[0].socket.getsockname()[1])

    async def serve(stream: trio.SocketStream) -> None:
        conn = h11.Connection(h11.SERVER)
        async with stream:
            while (seen := await _request(stream, conn)) is not None:
                it.seen.append(seen)
                reply = Reply(stream, conn)
                it.replies.append(reply)
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(watch, reply, seen, nursery.cancel_scope)
                    try:
                        await script(seen, reply)
                    except trio.BrokenResourceError:
                        seen.hung_up = seen.hung_up or time.monotonic()
                    nursery.cancel_scope.cancel()
                if seen.hung_up is not None or conn.our_state is not h11.DONE:
                    it.gone.set()
                    return
                conn.start_next_cycle()

    async def watch(reply: Reply, seen: Seen, scope: trio.CancelScope) -> None:
        data = b""
        with reply.watching, suppress(trio.BrokenResourceError):
            data = bytes(await reply.stream.receive_some())
        if reply.watching.cancelled_caught:
            return
        assert not data, "the router does not pipeline"
        seen.hung_up = time.monotonic()
        scope.cancel()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, serve, listeners)
        yield it
        nursery.cancel_scope.cancel()


async def _request(stream: trio.SocketStream, conn: h11.Connection) -> Seen | None:
    seen: Seen | None = None
    while True:
        event = conn.next_event()
        match event:
            case h11.NEED_DATA:
                try:
                    conn.receive_data(await stream.receive_some())
                except trio.BrokenResourceError:
                    return None
            case h11.Request():
                seen = Seen(event.method.decode(), event.target.decode(), list(event.headers), b"")
            case h11.Data():
                assert seen is not None
                seen.body += event.data
            case h11.EndOfMessage():
                return seen
            case _:
                return None
