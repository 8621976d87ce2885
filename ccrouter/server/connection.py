"""One client connection: HTTP/1.1 requests in, replies out, one after the other.

Theory of operation
-------------------
h11 knows the protocol, the trio stream carries the bytes, and `serve_connection` joins them in a loop: wait
for a request, let ``answer`` deal with it through a `Client`, then go on with the next request or close.

Waits and who ends them: the wait for a next request has the idle deadline and ends at once when the server
drains; the head of a request has a deadline from its first byte; each read of a body has one, and each write. A
reply takes as long as ``answer`` does, which keeps its own deadlines.

While a reply is on its way, `Client.wait_hung_up` reads ahead so that a client that goes away is noticed at once.
What it reads is the next request, and belongs to h11.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from email.utils import formatdate

import h11
import trio
from attrs import field, frozen

from ccrouter.errors import ApiError, ClientGone
from ccrouter.server.stop import Stop
from ccrouter.wire import headers as http
from ccrouter.wire.headers import Headers

_READ_SIZE = 64 * 1024


@frozen(kw_only=True)
class Limits:
    """What a client may take up. Seconds and bytes."""

    header_bytes: int = 64 * 1024
    """Claude Code sends about 2 KB; nginx allows 32 KB, Node 16 KB."""
    body_bytes: int = 32 * 1024 * 1024
    """The Messages API's own limit (Anthropic, *Errors*: request_too_large)."""
    head_seconds: float = 15.0
    idle_seconds: float = 120.0
    """Longer than clients keep idle connections, so that it is the client that closes first."""
    body_seconds: float = 60.0
    write_seconds: float = 3600.0
    """How long a client may leave unread what is written to it at one time. One that is suspended at a terminal
    reads nothing, and may come back; one that never does must not keep its connection for ever."""
    linger_seconds: float = 2.0
    ahead_bytes: int = 64 * 1024
    """How much of pipelined requests is read while a reply is on its way."""


@frozen(kw_only=True)
class Request:
    """The head of a request. ``path`` is without its query; ``query`` without the question mark."""

    method: str
    path: str
    query: str
    headers: Headers = field(repr=False)


OnRequest = Callable[[Request, "Client"], Awaitable[None]]


class Client:
    """The client during one request: its body, and the way back to it.

    A reply is either one `respond`, or `start`, any number of `send`, and `finish`. Each raises ClientGone when
    the client can't be reached. A reply that is not finished when ``answer`` returns ends in a closed
    connection, which tells the client that it is not whole.
    """

    def __init__(self, stream: trio.abc.Stream, conn: h11.Connection, limits: Limits) -> None:
        self._stream = stream
        self._conn = conn
        self._limits = limits
        self._ahead = 0
        self._closing = False
        self._gone = False
        self._method = b""
        self._request_headers: Headers = []
        self._bodyless = False

    @property
    def started(self) -> bool:
        """Whether a status line was sent."""
        return self._conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE)

    async def body(self) -> bytes:
        """The whole request body. Raises ApiError 413 before reading one that says it is too long."""
        if self._bodyless:
            return b""
        limit = self._limits.body_bytes
        declared = http.get(self._request_headers, b"content-length")
        if declared is not None and int(declared) > limit:
            raise _too_large(limit)
        if self._conn.they_are_waiting_for_100_continue:
            await self._write(self._conn.send(h11.InformationalResponse(status_code=100, headers=[])))
        chunks: list[bytes] = []
        size = 0
        while True:
            event = await self._next_event(self._limits.body_seconds)
            if isinstance(event, h11.EndOfMessage):
                return b"".join(chunks)
            if not isinstance(event, h11.Data):
                raise ClientGone("the client hung up in the middle of its request")
            size += len(event.data)
            if size > limit:
                raise _too_large(limit)
            chunks.append(bytes(event.data))

    async def respond(self, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> None:
        """A whole reply at once."""
        head = [*http.without(headers, (b"content-length",)), (b"content-length", b"%d" % len(body))]
        out = self._head(status, head)
        if body and self._method != b"HEAD":
            out += self._conn.send(h11.Data(data=body)) or b""
        out += self._conn.send(h11.EndOfMessage()) or b""
        await self._write(out)

    async def start(self, status: int, headers: Iterable[tuple[bytes, bytes]], first: bytes = b"") -> None:
        """Open a reply whose length is not known, with its first bytes."""
        out = self._head(status, http.without(headers, (b"content-length",)))
        if first:
            out += self._conn.send(h11.Data(data=first)) or b""
        await self._write(out)

    async def send(self, data: bytes) -> None:
        """More of an open reply. Returns when the network took it: that is the backpressure."""
        await self._write(self._conn.send(h11.Data(data=data)))

    async def finish(self) -> None:
        """The reply is whole."""
        await self._write(self._conn.send(h11.EndOfMessage()))

    @property
    def hung_up(self) -> bool:
        """Whether `wait_hung_up` has seen the client go."""
        return self._gone

    async def wait_hung_up(self) -> None:
        """Return when the client has gone. Meant to be cancelled when the reply is done."""
        while self._ahead < self._limits.ahead_bytes:
            try:
                data = bytes(await self._stream.receive_some(_READ_SIZE))
            except trio.BrokenResourceError:
                data = b""
            self._conn.receive_data(data)
            if not data:
                self._gone = True
                return
            self._ahead += len(data)
        await trio.sleep_forever()

    def close_after(self) -> None:
        """Close the connection after this reply, and say so in it."""
        self._closing = True

    # The rest is for serve_connection.

    async def next_request(self, drained: trio.CancelScope) -> Request | None:
        """The head of the next request; None when there will be none.

        Raises ApiError for a head that can't be answered otherwise.
        """
        self._ahead = 0
        try:
            with drained:
                if not self._conn.trailing_data[0]:
                    with trio.move_on_after(self._limits.idle_seconds) as idle:
                        if not await self._receive():
                            return None
                    if idle.cancelled_caught:
                        return None
            if drained.cancelled_caught:
                return None
            with trio.move_on_after(self._limits.head_seconds) as deadline:
                event = await self._next_event(None)
            if deadline.cancelled_caught:
                raise ApiError(408, "timeout_error", f"the request head took over {self._limits.head_seconds:g} s")
        except h11.RemoteProtocolError as error:
            status = error.error_status_hint
            raise ApiError(status, "invalid_request_error", f"not an HTTP/1.1 request: {error}") from None
        if not isinstance(event, h11.Request):
            return None
        self._method = event.method
        self._request_headers = [(name, value) for name, value in event.headers]
        self._bodyless = not any(
            name in (b"content-length", b"transfer-encoding") for name, _ in self._request_headers
        )
        if self._bodyless:
            self._conn.next_event()  # EndOfMessage: the connection can go on whatever the answer does
        target = event.target.decode("latin-1")
        if target.startswith(("http://", "https://")):  # absolute form, as to a proxy (RFC 9112, 3.2.2)
            target = "/" + target.split("://", 1)[1].partition("/")[2]
        path, _, query = target.partition("?")
        return Request(
            method=event.method.decode("latin-1"), path=path, query=query, headers=self._request_headers
        )

    def start_next_cycle(self) -> bool:
        """Make the connection ready for another request. Whether it can take one."""
        if self._closing or self._conn.our_state is not h11.DONE:
            return False
        if self._conn.their_state is not h11.DONE:
            return False
        self._conn.start_next_cycle()
        return True

    async def linger(self) -> None:
        """Let a client that is still sending read our reply: closing now would reset it away (RFC 9112, 9.6)."""
        with trio.move_on_after(self._limits.linger_seconds):
            try:
                if isinstance(self._stream, trio.abc.HalfCloseableStream):
                    await self._stream.send_eof()
                while await self._stream.receive_some(_READ_SIZE):
                    pass
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                pass

    def _head(self, status: int, headers: Headers) -> bytes:
        head = list(headers)
        if http.get(head, b"date") is None:
            head.append((b"date", formatdate(usegmt=True).encode()))
        if self._closing or self._conn.their_state is not h11.DONE:
            # What is left of the request body is not read: this connection can't go on.
            self._closing = True
            head.append((b"connection", b"close"))
        return self._conn.send(h11.Response(status_code=status, headers=head)) or b""

    async def _next_event(self, seconds: float | None) -> object:
        """h11's next event; reads when h11 needs more. PAUSED and ConnectionClosed come out as they are."""
        while True:
            try:
                event = self._conn.next_event()
            except h11.RemoteProtocolError as error:
                if self._conn.our_state is h11.IDLE:
                    raise
                raise ApiError(400, "invalid_request_error", f"not a valid HTTP/1.1 body: {error}") from None
            if event is not h11.NEED_DATA:
                return event
            if seconds is None:
                await self._receive()
                continue
            with trio.move_on_after(seconds) as deadline:
                await self._receive()
            if deadline.cancelled_caught:
                raise ApiError(408, "timeout_error", f"the request body paused for over {seconds:g} s")

    async def _receive(self) -> bytes:
        try:
            data = bytes(await self._stream.receive_some(_READ_SIZE))
        except trio.BrokenResourceError:
            data = b""
        self._conn.receive_data(data)
        return data

    async def _write(self, data: bytes | None) -> None:
        if not data:
            return
        seconds = self._limits.write_seconds
        try:
            with trio.move_on_after(seconds) as deadline:
                await self._stream.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise ClientGone("the client hung up") from None
        if deadline.cancelled_caught:
            raise ClientGone(f"the client has read nothing for {seconds:g} s")


def _too_large(limit: int) -> ApiError:
    megabytes = limit // (1024 * 1024)
    return ApiError(413, "request_too_large", f"the request body exceeds {megabytes} MB")


async def serve_connection(
    stream: trio.abc.Stream,
    answer: OnRequest,
    refuse: Callable[[Client, ApiError], Awaitable[None]],
    limits: Limits,
    stop: Stop,
) -> None:
    """Serve requests until the client or the server is done; closes the stream.

    ``refuse`` writes an ApiError to the client. While the connection waits for a request its scope stands in
    ``stop.idle``; cancelling it closes the connection.
    """
    conn = h11.Connection(h11.SERVER, max_incomplete_event_size=limits.header_bytes)
    client = Client(stream, conn, limits)
    try:
        while True:
            scope = trio.CancelScope()
            stop.idle.add(scope)
            try:
                request = await client.next_request(scope)
            except ApiError as error:
                client.close_after()
                await refuse(client, error)
                break
            finally:
                stop.idle.discard(scope)
            if request is None:
                return
            if stop.draining.is_set():
                client.close_after()
            try:
                await answer(request, client)
            except ApiError as error:
                if client.started:
                    return
                await refuse(client, error)
            if not client.start_next_cycle():
                break
            if stop.draining.is_set():
                return
        await client.linger()
    except ClientGone:
        pass
    finally:
        await trio.aclose_forcefully(stream)
