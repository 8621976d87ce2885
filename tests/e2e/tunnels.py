"""What lies between a router and a backend on loopback: TLS before the backend, a corporate proxy before both."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial

import trio


@asynccontextmanager
async def secured(port: int, context: ssl.SSLContext) -> AsyncIterator[int]:
    """The backend on ``port`` behind TLS: its other port."""

    async def connection(stream: trio.SocketStream) -> None:
        tls = trio.SSLStream(stream, context, server_side=True, https_compatible=True)
        with suppress(trio.BrokenResourceError):
            await tls.do_handshake()
            await _join(tls, port)

    async with _listening(connection) as other:
        yield other


@asynccontextmanager
async def proxy(port: int, heads: list[bytes]) -> AsyncIterator[int]:
    """A proxy that leads to ``port`` whatever host it is asked for: its own port. What it was asked is kept."""

    async def connection(stream: trio.SocketStream) -> None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = await stream.receive_some(1)  # what comes behind the head is not for us
            if not byte:
                return
            head += byte
        heads.append(head)
        await stream.send_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await _join(stream, port)

    async with _listening(connection) as own:
        yield own


@asynccontextmanager
async def _listening(connection: Callable[[trio.SocketStream], Awaitable[None]]) -> AsyncIterator[int]:
    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(partial(trio.serve_listeners, connection, listeners))
        port: int = listeners[0].socket.getsockname()[1]
        yield port
        nursery.cancel_scope.cancel()


async def _join(one: trio.abc.Stream, port: int) -> None:
    """Pass bytes on, both ways, until one side ends."""
    async with await trio.open_tcp_stream("127.0.0.1", port) as other, trio.open_nursery() as nursery:

        async def copy(source: trio.abc.Stream, target: trio.abc.Stream) -> None:
            with suppress(trio.BrokenResourceError):
                while data := await source.receive_some(65536):
                    await target.send_all(data)
            nursery.cancel_scope.cancel()

        nursery.start_soon(copy, one, other)
        nursery.start_soon(copy, other, one)
    await trio.aclose_forcefully(one)
