"""A TCP proxy on loopback that copies bytes and keeps them: what really went over a connection.

It knows no HTTP while it copies; what it kept is read afterwards.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import h11
import trio
from attrs import Factory, define, frozen


@frozen
class Exchange:
    """One request and its reply as they were on the wire, transfer coding undone."""

    method: str
    target: str
    request: bytes
    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    reply: bytes
    whole: bool
    """Whether the reply came to its end."""


@define
class _Tapped:
    sent: bytearray = Factory(bytearray)
    answered: bytearray = Factory(bytearray)


@define
class Wiretap:
    """The running proxy."""

    port: int
    _connections: list[_Tapped] = Factory(list)

    @property
    def url(self) -> str:
        """What a client is given as its base URL."""
        return f"http://127.0.0.1:{self.port}"

    def exchanges(self) -> list[Exchange]:
        """All that went through, connection by connection."""
        return [each for tapped in self._connections for each in _exchanges(tapped)]


@asynccontextmanager
async def tap(port: int) -> AsyncIterator[Wiretap]:
    """A proxy to ``port`` on loopback, for the block."""
    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        wiretap = Wiretap(listeners[0].socket.getsockname()[1])

        async def connection(client: trio.SocketStream) -> None:
            tapped = _Tapped()
            wiretap._connections.append(tapped)
            async with client, await trio.open_tcp_stream("127.0.0.1", port) as server:
                async with trio.open_nursery() as both:
                    both.start_soon(_copy, client, server, tapped.sent, both.cancel_scope)
                    both.start_soon(_copy, server, client, tapped.answered, both.cancel_scope)

        nursery.start_soon(trio.serve_listeners, connection, listeners)
        yield wiretap
        nursery.cancel_scope.cancel()


async def _copy(
    source: trio.SocketStream, sink: trio.SocketStream, kept: bytearray, both: trio.CancelScope
) -> None:
    try:
        async for data in source:
            kept += data
            await sink.send_all(data)
        await sink.send_eof()
    except trio.BrokenResourceError:
        both.cancel()


def _exchanges(tapped: _Tapped) -> list[Exchange]:
    """Reads the two sides of a connection in step, each with h11 in the other one's part."""
    server, client = h11.Connection(h11.SERVER), h11.Connection(h11.CLIENT)
    server.receive_data(bytes(tapped.sent))
    client.receive_data(bytes(tapped.answered))
    client.receive_data(b"")
    found: list[Exchange] = []
    while True:
        event = server.next_event()
        if not isinstance(event, h11.Request):
            return found
        request = bytearray()
        while isinstance(part := server.next_event(), h11.Data):
            request += part.data
        client.send(h11.Request(method=event.method, target=event.target, headers=[("host", "x")]))
        client.send(h11.EndOfMessage())
        response, reply, whole = _reply(client)
        if response is None or not isinstance(part, h11.EndOfMessage):
            return found
        found.append(
            Exchange(
                event.method.decode(),
                event.target.decode("latin-1"),
                bytes(request),
                response.status_code,
                tuple(response.headers),
                bytes(reply),
                whole,
            )
        )
        if not whole or client.their_state is not h11.DONE:
            return found
        server.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
        server.send(h11.EndOfMessage())
        if server.our_state is not h11.DONE:
            return found
        server.start_next_cycle()
        client.start_next_cycle()


def _reply(client: h11.Connection) -> tuple[h11.Response | None, bytearray, bool]:
    response: h11.Response | None = None
    body = bytearray()
    while True:
        try:
            event = client.next_event()
        except h11.RemoteProtocolError:
            return response, body, False
        match event:
            case h11.Response():
                response = event
            case h11.Data():
                body += event.data
            case h11.EndOfMessage():
                return response, body, True
            case h11.InformationalResponse():
                pass
            case _:
                return response, body, False
