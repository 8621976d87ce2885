"""Backends on loopback, scripted by each test, and an authority that signs their certificates."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
import trio
import trustme

Script = Callable[[trio.abc.Stream], Awaitable[None]]


@pytest.fixture
def serve(nursery: trio.Nursery) -> Callable[..., Awaitable[int]]:
    """``port = await serve(script)``: the script runs for each connection, which is closed when it returns."""

    async def start(script: Script, context: ssl.SSLContext | None = None) -> int:
        async def serve_one(stream: trio.SocketStream) -> None:
            served = (
                stream
                if context is None
                else trio.SSLStream(stream, context, server_side=True, https_compatible=True)
            )
            with suppress(trio.BrokenResourceError):
                await script(served)
            await trio.aclose_forcefully(stream)

        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(partial(trio.serve_listeners, serve_one, listeners))
        port: int = listeners[0].socket.getsockname()[1]
        return port

    return start


@pytest.fixture
def receive_request() -> Callable[[trio.abc.Stream], Awaitable[tuple[bytes, bytes] | None]]:
    """``head, body = await receive_request(stream)``; None when the client closed the connection instead."""

    async def receive(stream: trio.abc.Stream) -> tuple[bytes, bytes] | None:
        seen = b""
        while b"\r\n\r\n" not in seen:
            if not (piece := await stream.receive_some()):
                return None
            seen += piece
        head, _, body = seen.partition(b"\r\n\r\n")
        length = 0
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b": ")
            if name == b"content-length":
                length = int(value)
        while len(body) < length:
            if not (piece := await stream.receive_some()):
                return None
            body += piece
        return head, body

    return receive


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def authority_file(authority: trustme.CA, tmp_path: Path) -> str:
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


@pytest.fixture
def server_context(authority: trustme.CA) -> Callable[..., ssl.SSLContext]:
    def make(*names: str) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.set_alpn_protocols(["h2", "http/1.1"])
        authority.issue_cert(*names).configure_cert(context)
        return context

    return make
