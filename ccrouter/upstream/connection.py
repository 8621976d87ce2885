"""One HTTP/1.1 connection to a backend: h11 over a trio stream, one request after the other.

Theory of operation. `Connection.exchange` writes the request and waits for the head of the reply *at the
same time*: a backend may refuse a request (413, 400, 401) before it has read all of it, and stop reading.
Such an answer ends the writing (RFC 9112, section 9.5) and is delivered as any other; only the connection
cannot be used again. An answer below 300 is held back until the request is written: nobody answers 200 to
half a question.

TLS stands in the way of that: a `trio.SSLStream` whose sending failed or was cancelled cannot be read any
more. Hence `Pipe`, which lies below TLS: its sending can fail or be stopped without TLS noticing.

The reply's body is read when `HttpAnswer.read` is called and never ahead, so that whoever does not read
makes the backend wait.
"""

from __future__ import annotations

import select

import h11
import trio

from ccrouter.errors import ConnectFailed, UpstreamBroken, UpstreamError, UpstreamTimeout
from ccrouter.providers.provider import Timeouts
from ccrouter.upstream.dial import Call
from ccrouter.upstream.proxy import Route
from ccrouter.wire.headers import Headers

#: What a status line and headers may measure. h11's own limit, 16 KiB, is tight for some gateways.
HEAD_LIMIT = 256 * 1024
#: Bytes asked of one network read.
READ_SIZE = 64 * 1024

#: Said by the transport, whatever the caller says: they frame the body.
_FRAMING = frozenset({b"content-length", b"transfer-encoding"})


class Pipe(trio.abc.Stream):
    """A stream whose sending half may die without harm to its receiving half.

    Once sending failed or was stopped, `send_all` drops what it is given. Whether anything was dropped is in
    ``sends``; what became of the request, only the reading half can tell.
    """

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self._sending: trio.CancelScope | None = None
        self._open = True
        self.sends = True

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Sends, or drops."""
        if not self.sends:
            await trio.lowlevel.checkpoint()
            return
        with trio.CancelScope() as self._sending:
            try:
                await self._stream.send_all(data)
            except trio.BrokenResourceError:
                self.sends = False

    async def wait_send_all_might_not_block(self) -> None:
        """Part of the interface of a stream; nothing here needs it."""
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """As the stream below does."""
        return await self._stream.receive_some(max_bytes)

    def stop_sending(self) -> None:
        """Ends a running `send_all`, which returns as if all were sent, and drops the later ones."""
        self.sends = False
        if self._sending is not None:
            self._sending.cancel()

    def quiet(self) -> bool:
        """Whether neither bytes nor the end of the stream wait to be read. Does not block."""
        if not isinstance(self._stream, trio.SocketStream):
            return True
        socket = self._stream.socket
        if hasattr(select, "poll"):  # all but Windows; unlike select() it has no greatest file number
            poll = select.poll()
            poll.register(socket.fileno(), select.POLLIN)
            return not poll.poll(0)
        return not select.select([socket.fileno()], [], [], 0)[0]

    async def aclose(self) -> None:
        """Closes at once; what TLS would like to say first goes unsaid."""
        if self._open:
            self._open = False
            await trio.aclose_forcefully(self._stream)


def render(call: Call, route: Route, target: str) -> h11.Request:
    """The head of the request for ``call``. A Host header of the caller's own is left alone."""
    headers: Headers = []
    if not any(name == b"host" for name, _ in call.headers):
        headers.append((b"host", route.origin.authority.encode()))
    headers += [pair for pair in call.headers if pair[0] not in _FRAMING]
    headers += route.headers
    if call.body or call.method not in {"GET", "HEAD"}:
        headers.append((b"content-length", b"%d" % len(call.body)))
    try:
        return h11.Request(method=call.method, target=route.request_target(target), headers=headers)
    except h11.LocalProtocolError:
        # Its text quotes the value, which may be a key: so not even as the cause.
        raise ConnectFailed(
            f"cannot send to {route}: {_culprit(headers)} holds what HTTP forbids (a line break? a space?)"
        ) from None


def _culprit(headers: Headers) -> str:
    for name, value in headers:
        try:
            h11.Response(status_code=200, headers=[(name, value)])
        except h11.LocalProtocolError:
            # Not by its header's name: the client would show other words (`envelope.shown`).
            return "the API key" if name == b"x-api-key" else f"the header {name.decode('latin-1')!r}"
    return "the method, the URL or the header 'host'"


class Connection:
    """Made by `ccrouter.upstream.connect.connect`. ``name`` says in messages who is at the other end.

    ``stream`` is what HTTP is spoken over: the pipe itself, or TLS over it.
    """

    def __init__(self, pipe: Pipe, stream: trio.abc.Stream, name: str) -> None:
        self._pipe = pipe
        self._stream = stream
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_LIMIT)
        self._failure: UpstreamBroken | None = None
        self._ended = False
        self._written = False
        self._heard = False
        self.over = False
        self.name = name

    async def exchange(self, request: h11.Request, body: bytes, timeouts: Timeouts) -> HttpAnswer:
        """Sends the request and gives the answer as soon as its head is there.

        Raises UpstreamTimeout (``send`` or ``first_byte``) and UpstreamBroken. After any exception, also a
        cancellation, the connection is of no more use than to be closed.
        """
        self._written = self._heard = self.over = False
        pieces = [self._http.send(event) for event in (request, h11.Data(data=body), h11.EndOfMessage())]
        wire = b"".join(piece for piece in pieces if piece)
        response: h11.Response | None = None
        failure: UpstreamError | None = None
        with trio.move_on_after(timeouts.first_byte):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._write, wire)
                # As a value: the nursery would wrap it into a group.
                try:
                    response = await self._receive_head()
                except UpstreamError as error:
                    failure = error
                if response is None or response.status_code >= 300:
                    self._pipe.stop_sending()
            if failure is not None:
                raise failure
            if response is not None:
                return HttpAnswer(self, response, timeouts.idle)
        limit = f"within {timeouts.first_byte:g} s (the timeout first_byte)"
        if not self._written:
            raise UpstreamTimeout(f"{self.name} did not take the whole request {limit}", "send")
        raise UpstreamTimeout(f"{self.name} began no reply {limit}", "first_byte")

    async def read(self, idle: float) -> bytes:
        """What the next network read gives of the body; ``over`` once it is whole. For `HttpAnswer`."""
        pieces: list[bytes] = []
        while True:
            match self._next_event():
                case h11.Data(data=data):
                    pieces.append(data)
                case h11.EndOfMessage():
                    self.over = True
                    return b"".join(pieces)
                case _ if pieces:
                    # All that is decoded goes out before more is awaited, and before a failure is told.
                    return b"".join(pieces)
                case UpstreamBroken() as failure:
                    raise failure
                case _:
                    with trio.move_on_after(idle) as deadline:
                        await self._receive()
                    if deadline.cancelled_caught:
                        silence = f"for {idle:g} s in the middle of its reply (the timeout idle)"
                        raise UpstreamTimeout(f"{self.name} fell silent {silence}", "idle")

    def start_next_cycle(self) -> bool:
        """Makes ready for another request where both ends may go on; says whether it did."""
        if not (self._written and self._pipe.sends):
            return False
        if not (self._http.our_state is self._http.their_state is h11.DONE) or self._http.trailing_data[0]:
            return False
        self._http.start_next_cycle()
        return True

    def quiet(self) -> bool:
        """Whether nothing came while nobody waited: between replies, bytes can only mean the end."""
        return self._pipe.quiet()

    async def aclose(self) -> None:
        """Closes at once, without a farewell; may be called again."""
        await self._pipe.aclose()

    async def _write(self, wire: bytes) -> None:
        try:
            await self._stream.send_all(wire)
        except trio.BrokenResourceError:
            return  # TLS is broken: the reader meets the same
        self._written = self._pipe.sends

    async def _receive_head(self) -> h11.Response:
        while True:
            match self._next_event():
                case h11.Response() as response:
                    return response
                case UpstreamBroken() as failure:
                    raise failure
                case h11.InformationalResponse():
                    continue
                case _:
                    await self._receive()

    def _next_event(self) -> object:
        """h11's next event; a failure is one too, and the last."""
        if self._failure is None:
            try:
                return self._http.next_event()
            except h11.RemoteProtocolError as error:
                self._failure = self._explain(error)
        return self._failure

    async def _receive(self) -> None:
        """One network read, into h11."""
        try:
            received = await self._stream.receive_some(READ_SIZE)
        except trio.BrokenResourceError:
            self._failure = self._cut()
            return
        if received:
            self._heard = True
        else:
            self._ended = True
        self._http.receive_data(bytes(received))

    def _explain(self, error: h11.RemoteProtocolError) -> UpstreamBroken:
        if self._ended:
            return self._cut()
        if error.error_status_hint == 431:
            return UpstreamBroken(f"{self.name} sent more than {HEAD_LIMIT // 1024} KiB of headers")
        return UpstreamBroken(f"{self.name} does not keep to HTTP/1.1: {str(error)[:120]}")

    def _cut(self) -> UpstreamBroken:
        if not self._heard:
            return UpstreamBroken(f"{self.name} closed the connection without a reply", before_reply=True)
        return UpstreamBroken(f"{self.name} closed the connection before the reply was whole")


class HttpAnswer:
    """The reply on a connection: an Answer. At its end it lets go of the connection."""

    def __init__(self, connection: Connection, response: h11.Response, idle: float) -> None:
        self._connection: Connection | None = connection
        self._idle = idle
        self.status = response.status_code
        self.headers: Headers = list(response.headers)

    async def read(self) -> bytes:
        """See `ccrouter.upstream.dial.Answer`; once the end was reached, ``b""`` ever after."""
        if self._connection is None:
            await trio.lowlevel.checkpoint()
            return b""
        piece = await self._connection.read(self._idle)
        if self._connection.over:
            self._connection = None
        return piece
