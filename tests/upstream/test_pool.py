from __future__ import annotations

from functools import partial

import pytest
import trio
import trio.testing

from ccrouter.errors import ConnectFailed, UpstreamBroken, UpstreamTimeout
from ccrouter.providers.provider import Timeouts
from ccrouter.upstream.dial import Call, Dial
from ccrouter.upstream.pool import STALE_WITHIN, HttpDial
from tests.cancelling import CancelAt

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
OPEN = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n"


def make_call(port: int, body: bytes = b"{}", scheme: str = "http", **timeouts: float) -> Call:
    return Call(
        method="POST",
        url=f"{scheme}://127.0.0.1:{port}/v1/messages",
        headers=[],
        body=body,
        timeouts=Timeouts(**timeouts),
    )


async def fetch(dial: Dial, call: Call) -> bytes:
    async with dial(call) as answer:
        body = b""
        while piece := await answer.read():
            body += piece
        return body


class Backend:
    """Gives each connection its list of replies, one for each request, then hangs up."""

    def __init__(self, receive_request, *connections: list[bytes]) -> None:
        self._receive_request = receive_request
        self._scripts = list(connections)
        self.requests: list[tuple[bytes, bytes]] = []
        self.opened = 0
        self.closed = 0

    async def __call__(self, stream: trio.abc.Stream) -> None:
        script = self._scripts[self.opened] if self.opened < len(self._scripts) else [OK] * 9
        self.opened += 1
        try:
            for reply in script:
                request = await self._receive_request(stream)
                if request is None:
                    return
                self.requests.append(request)
                await stream.send_all(reply)
        finally:
            self.closed += 1

    async def wait_closed(self, count: int) -> None:
        with trio.fail_after(2):
            while self.closed < count:
                await trio.sleep(0.001)


@pytest.fixture
def scripted(receive_request):
    return partial(Backend, receive_request)


@pytest.fixture
async def dial():
    dial = HttpDial(environ={})
    yield dial
    await dial.aclose()
    assert dial.connections_open == 0


async def test_calls_one_after_the_other_share_a_connection(serve, scripted, dial):
    backend = scripted()
    call = make_call(await serve(backend))
    assert [await fetch(dial, call) for _ in range(3)] == [b"ok"] * 3
    assert (backend.opened, dial.connections_open) == (1, 1)
    assert [body for _, body in backend.requests] == [b"{}"] * 3


async def test_calls_at_the_same_time_have_their_own_connections(serve, scripted, dial):
    backend = scripted()
    call = make_call(await serve(backend))
    async with dial(call), dial(call):
        assert (backend.opened, dial.connections_open) == (2, 2)


async def test_ports_do_not_share_connections(serve, scripted, dial):
    first, second = scripted(), scripted()
    for backend in (first, second):
        await fetch(dial, make_call(await serve(backend)))
    assert (first.opened, second.opened) == (1, 1)


async def test_tls_connections_are_shared_too(serve, scripted, server_context, authority_file):
    backend = scripted()
    call = make_call(await serve(backend, server_context("127.0.0.1")), scheme="https")
    dial = HttpDial(environ={"SSL_CERT_FILE": authority_file})
    assert [await fetch(dial, call) for _ in range(3)] == [b"ok"] * 3
    assert backend.opened == 1
    await dial.aclose()
    await backend.wait_closed(1)


async def test_an_answer_that_was_not_read_to_its_end_closes_its_connection(serve, scripted, dial):
    backend = scripted([OPEN, OK])
    call = make_call(await serve(backend))
    async with dial(call) as answer:
        assert await answer.read() == b"hello"
    assert dial.connections_open == 0
    await backend.wait_closed(1)


async def test_a_failure_of_the_caller_closes_the_connection_and_is_not_wrapped(serve, scripted, dial):
    call = make_call(await serve(scripted([OPEN])))
    with pytest.raises(ZeroDivisionError):
        async with dial(call):
            raise ZeroDivisionError
    assert dial.connections_open == 0


async def test_no_more_than_so_many_idle_connections_are_kept(serve, scripted):
    backend = scripted()
    call = make_call(await serve(backend))
    dial = HttpDial(environ={}, max_idle_per_origin=2)
    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(fetch, dial, call)
    assert (backend.opened, dial.connections_open) == (5, 2)
    await backend.wait_closed(3)
    await dial.aclose()


async def test_idle_connections_expire_whoever_calls_next(serve, scripted, dial, mock_clock):
    first, second = scripted(), scripted()
    to_first, to_second = make_call(await serve(first)), make_call(await serve(second))
    await fetch(dial, to_first)
    mock_clock.jump(59)
    await fetch(dial, to_first)
    assert first.opened == 1
    mock_clock.jump(61)
    await fetch(dial, to_second)
    assert dial.connections_open == 1
    await fetch(dial, to_first)
    assert first.opened == 2


async def test_closing_ends_idle_connections_and_keeps_none_after(serve, scripted):
    backend = scripted()
    call = make_call(await serve(backend))
    dial = HttpDial(environ={})
    await fetch(dial, call)
    async with dial(call) as answer, dial(call) as other:
        await other.read()
        await dial.aclose()
        assert await answer.read() == b"ok"
        assert await answer.read() == b""
    assert dial.connections_open == 0
    await backend.wait_closed(backend.opened)


async def test_closing_while_cancelled_closes_all(serve, scripted):
    backend = scripted()
    call = make_call(await serve(backend))
    dial = HttpDial(environ={})
    async with dial(call) as one, dial(call) as other:
        for answer in (one, other):
            await answer.read()
    assert dial.connections_open == 2
    with trio.CancelScope() as scope:
        scope.cancel()
        await dial.aclose()
    await backend.wait_closed(2)


async def test_a_cancelled_call_loses_neither_the_expired_connections_nor_the_one_it_took(
    serve, scripted, dial, mock_clock
):
    expired, taken = scripted(), scripted()
    to_expired, to_taken = make_call(await serve(expired)), make_call(await serve(taken))
    await fetch(dial, to_expired)
    mock_clock.jump(50)
    await fetch(dial, to_taken)
    mock_clock.jump(50)
    with trio.CancelScope() as scope:
        scope.cancel()
        await fetch(dial, to_taken)
    assert dial.connections_open == 0
    while expired.closed + taken.closed < 2:
        await trio.testing.wait_all_tasks_blocked()


# Connections that the backend has closed


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("farewell", [b"", b"HTTP/1.1 408 Too Late\r\ncontent-length: 0\r\n\r\n"])
async def test_an_idle_connection_that_was_closed_is_not_used(
    scheme, farewell, serve, receive_request, server_context, authority_file
):
    idle = trio.Event()
    requests = []

    async def leave(stream: trio.abc.Stream) -> None:
        requests.append(await receive_request(stream))
        await stream.send_all(OK)
        await idle.wait()
        await stream.send_all(farewell)

    call = make_call(await serve(leave, server_context("127.0.0.1") if scheme == "https" else None), scheme=scheme)
    dial = HttpDial(environ={"SSL_CERT_FILE": authority_file})
    assert await fetch(dial, call) == b"ok"
    (connection,) = dial._open
    assert connection.quiet()
    idle.set()
    with trio.fail_after(2):
        while connection.quiet():
            await trio.sleep(0.001)

    async def refuse(*_arguments: object) -> None:
        raise AssertionError("the closed connection was used")

    connection.exchange = refuse  # type: ignore[assignment, method-assign]
    assert await fetch(dial, call) == b"ok"
    assert len(requests) == 2
    await dial.aclose()


async def test_a_reused_connection_that_ends_without_a_reply_is_tried_anew_once(serve, scripted, dial):
    backend = scripted([OK, b""])
    call = make_call(await serve(backend))
    await fetch(dial, call)
    assert await fetch(dial, call) == b"ok"
    assert (backend.opened, len(backend.requests), dial.connections_open) == (2, 3, 1)


async def test_the_second_try_is_the_last(serve, scripted, dial):
    backend = scripted([OK, b""], [b""])
    call = make_call(await serve(backend))
    await fetch(dial, call)
    with pytest.raises(UpstreamBroken) as caught:
        await fetch(dial, call)
    assert caught.value.before_reply
    assert (backend.opened, len(backend.requests), dial.connections_open) == (2, 3, 0)


async def test_a_fresh_connection_that_ends_without_a_reply_is_not_tried_anew(serve, scripted, dial):
    backend = scripted([b""])
    with pytest.raises(UpstreamBroken) as caught:
        await fetch(dial, make_call(await serve(backend)))
    assert caught.value.before_reply
    assert (backend.opened, len(backend.requests)) == (1, 1)


async def test_a_reused_connection_that_ends_within_the_reply_is_not_tried_anew(serve, scripted, dial):
    backend = scripted([OK, b"HTTP/1.1 200"])
    call = make_call(await serve(backend))
    await fetch(dial, call)
    with pytest.raises(UpstreamBroken, match="before the reply was whole"):
        await fetch(dial, call)
    assert len(backend.requests) == 2


async def test_a_backend_that_gives_up_after_a_while_is_not_asked_again(serve, receive_request, dial, mock_clock):
    requests = []

    async def give_up(stream: trio.abc.Stream) -> None:
        for reply in (OK, b""):
            requests.append(await receive_request(stream))
            if not reply:
                mock_clock.jump(STALE_WITHIN + 1)
            await stream.send_all(reply)

    call = make_call(await serve(give_up))
    await fetch(dial, call)
    with pytest.raises(UpstreamBroken):
        await fetch(dial, call)
    assert len(requests) == 2


# Ends and limits, over real sockets


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_hang_up_reaches_the_backend_within_a_tenth_of_a_second(
    scheme, serve, receive_request, server_context, authority_file
):
    noticed = trio.Event()

    async def stream_forever(stream: trio.abc.Stream) -> None:
        await receive_request(stream)
        await stream.send_all(OPEN)
        assert await stream.receive_some() == b""
        noticed.set()

    port = await serve(stream_forever, server_context("127.0.0.1") if scheme == "https" else None)
    dial = HttpDial(environ={"SSL_CERT_FILE": authority_file})
    with trio.CancelScope() as client:
        async with dial(make_call(port, scheme=scheme)) as answer:
            assert await answer.read() == b"hello"
            client.cancel()
            await answer.read()
    assert dial.connections_open == 0
    with trio.fail_after(0.1):
        await noticed.wait()


async def test_a_deadline_closes_the_connection(serve, receive_request, dial, mock_clock):
    noticed = trio.Event()

    async def silent(stream: trio.abc.Stream) -> None:
        await receive_request(stream)
        mock_clock.jump(600)
        assert await stream.receive_some() == b""
        noticed.set()

    with pytest.raises(UpstreamTimeout) as caught:
        await fetch(dial, make_call(await serve(silent), first_byte=600))
    assert caught.value.phase == "first_byte"
    assert dial.connections_open == 0
    await noticed.wait()


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("leaves", [False, True], ids=["stays", "leaves"])
async def test_an_early_refusal_of_five_megabytes_is_delivered(
    scheme, leaves, serve, server_context, authority_file
):
    """The body takes several TLS records, so that it is read after writing has been stopped or has failed."""
    body = b"x" * 20_000
    delivered = trio.Event()

    async def refuse(stream: trio.abc.Stream) -> None:
        await stream.receive_some(100)
        await stream.send_all(b"HTTP/1.1 413 Too Large\r\ncontent-length: %d\r\n\r\n" % len(body))
        await stream.send_all(body)
        if not leaves:
            await delivered.wait()

    port = await serve(refuse, server_context("127.0.0.1") if scheme == "https" else None)
    dial = HttpDial(environ={"SSL_CERT_FILE": authority_file})
    async with dial(make_call(port, b"x" * 5_000_000, scheme)) as answer:
        assert answer.status == 413
        read = b""
        while piece := await answer.read():
            read += piece
    delivered.set()
    assert read == body
    assert dial.connections_open == 0


async def test_an_answer_that_is_not_read_stops_a_backend_on_a_real_socket(serve, receive_request, dial):
    sent = 0

    async def flood(stream: trio.abc.Stream) -> None:
        nonlocal sent
        await receive_request(stream)
        await stream.send_all(b"HTTP/1.1 200 OK\r\n\r\n")
        while sent < 200_000_000:
            await stream.send_all(b"x" * 65536)
            sent += 65536

    async with dial(make_call(await serve(flood))) as answer:
        await answer.read()
        before = -1
        while sent > before:
            before = sent
            await trio.testing.wait_all_tasks_blocked(0.05)
        assert sent < 20_000_000  # what the kernel's buffers take


async def test_a_missing_backend_opens_nothing(dial):
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    await listeners[0].aclose()
    with pytest.raises(ConnectFailed, match="is the server running"):
        await fetch(dial, make_call(port))
    assert dial.connections_open == 0


# Proxies


def call_to(url: str) -> Call:
    return Call(method="POST", url=url, headers=[(b"accept", b"*/*")], body=b"{}", timeouts=Timeouts())


async def test_http_goes_through_a_proxy_by_its_absolute_form(serve, scripted):
    backend = scripted()
    port = await serve(backend)
    dial = HttpDial(environ={"HTTP_PROXY": f"http://user:pass@127.0.0.1:{port}"})
    for _ in range(2):
        assert await fetch(dial, call_to("http://models.example.test:8000/v1/messages?beta=true")) == b"ok"
    await dial.aclose()
    assert backend.opened == 1
    assert backend.requests[0][0].split(b"\r\n") == [
        b"POST http://models.example.test:8000/v1/messages?beta=true HTTP/1.1",
        b"host: models.example.test:8000",
        b"accept: */*",
        b"proxy-authorization: Basic dXNlcjpwYXNz",
        b"content-length: 2",
    ]


async def test_a_login_that_the_proxy_wants_is_no_answer_of_the_backend(serve, scripted):
    backend = scripted([b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n"])
    port = await serve(backend)
    dial = HttpDial(environ={"HTTP_PROXY": f"http://user:hunter2@127.0.0.1:{port}"})
    with pytest.raises(ConnectFailed) as caught:
        await fetch(dial, call_to("http://models.example.test/"))
    assert str(caught.value) == (
        f"cannot reach http://models.example.test: the proxy http://127.0.0.1:{port} does not accept the user and "
        "password (407): put user:password@ before the host in HTTP_PROXY"
    )
    await dial.aclose()


async def test_loopback_is_reached_without_the_proxy(serve, scripted):
    dial = HttpDial(environ={"HTTP_PROXY": "http://127.0.0.1:1", "ALL_PROXY": "socks5://127.0.0.1:1"})
    assert await fetch(dial, make_call(await serve(scripted()))) == b"ok"
    await dial.aclose()


# Cancellation at every checkpoint


class Counted(trio.abc.Stream):
    """A stream that knows how often it was closed."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self.closed = 0

    async def send_all(self, data):
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self):
        raise NotImplementedError

    async def receive_some(self, max_bytes=None):
        return await self._stream.receive_some(max_bytes)

    async def aclose(self):
        self.closed += 1
        await self._stream.aclose()


async def test_cancelled_at_whatever_checkpoint_each_stream_is_closed_once(
    monkeypatch, nursery, receive_request, server_context, authority_file
):
    """A tunnel, TLS, a reused connection that proves stale, a fresh one, a streamed answer: all in memory."""
    context = server_context("models.example.test")
    streams: list[Counted] = []

    async def backend(stream: trio.abc.Stream, scripts: list[bytes]) -> None:
        try:
            await receive_request(stream)
            await stream.send_all(b"HTTP/1.1 200 OK\r\n\r\n")
            inner = trio.SSLStream(stream, context, server_side=True, https_compatible=True)
            for script in scripts:
                if await receive_request(inner) is None:
                    return
                await inner.send_all(script)
        except trio.BrokenResourceError:
            pass
        finally:
            await trio.aclose_forcefully(stream)

    async def open_stream(host, port):
        await trio.lowlevel.checkpoint()
        near, far = trio.testing.memory_stream_pair()
        streams.append(Counted(near))
        scripts = [OK, b""] if len(streams) == 1 else [OPEN + b"0\r\n\r\n"]
        nursery.start_soon(backend, far, scripts)
        return streams[-1]

    monkeypatch.setattr(trio, "open_tcp_stream", open_stream)
    call = call_to("https://models.example.test/v1/messages")
    environ = {"HTTPS_PROXY": "http://proxy.example.test:3128", "SSL_CERT_FILE": authority_file}
    most = 0
    for step in range(1, 500):
        streams.clear()
        dial = HttpDial(environ=environ)
        read: list[bytes] = []
        with trio.CancelScope() as scope:
            instrument = CancelAt(scope, step, trio.lowlevel.current_task())
            trio.lowlevel.add_instrument(instrument)
            try:
                read.append(await fetch(dial, call))
                read.append(await fetch(dial, call))
            finally:
                trio.lowlevel.remove_instrument(instrument)
        idle = [stream for stream in streams if not stream.closed]
        assert len(idle) == dial.connections_open <= 1
        await dial.aclose()
        assert [stream.closed for stream in streams] == [1] * len(streams)
        assert dial.connections_open == 0
        most = max(most, len(streams))
        if not scope.cancel_called:
            break
        assert read == [b"ok", b"hello"][: len(read)]
    else:
        pytest.fail("the scenario does not end")
    assert read == [b"ok", b"hello"]
    assert most == 2
    assert step > 50
