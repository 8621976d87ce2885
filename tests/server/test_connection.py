"""The server's side of HTTP/1.1, over memory streams and a clock that jumps."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import h11
import pytest
import trio
from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, lockstep_stream_pair, memory_stream_pair

from ccrouter.errors import ApiError, ClientGone
from ccrouter.server.connection import Client, Limits, OnRequest, Request, serve_connection
from ccrouter.server.stop import Stop
from ccrouter.wire import envelope

LIMITS = Limits(body_bytes=1000, header_bytes=2000, ahead_bytes=500)


@define
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes
    informational: list[int]


class Peer:
    """A client that writes raw bytes and reads replies with h11's client side."""

    def __init__(self, stream: trio.StapledStream) -> None:
        self.stream = stream
        self.conn = h11.Connection(h11.CLIENT)

    async def send(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def reply(self, method: str = "GET") -> Reply:
        if self.conn.our_state is h11.DONE and self.conn.their_state is h11.DONE:
            self.conn.start_next_cycle()
        # Tell h11 what was asked, so that it knows how the reply is framed; the bytes were sent raw.
        self.conn.send(h11.Request(method=method, target="/", headers=[("host", "x")]))
        self.conn.send(h11.EndOfMessage())
        reply = Reply(0, {}, b"", [])
        while True:
            event = self.conn.next_event()
            match event:
                case h11.NEED_DATA:
                    self.conn.receive_data(bytes(await self.stream.receive_some()))
                case h11.InformationalResponse():
                    reply.informational.append(event.status_code)
                case h11.Response():
                    reply.status = event.status_code
                    reply.headers = {k.decode(): v.decode() for k, v in event.headers}
                case h11.Data():
                    reply.body += event.data
                case h11.EndOfMessage():
                    return reply
                case other:
                    raise AssertionError(other)

    async def is_closed(self) -> bool:
        return await self.stream.receive_some() == b""


@define
class Served:
    peer: Peer
    requests: list[tuple[Request, bytes]] = field(factory=list)
    stop: Stop = field(factory=Stop)
    ended: trio.Event = field(factory=trio.Event)


@asynccontextmanager
async def served(
    answer: OnRequest | None = None,
    pair: Callable[[], tuple[trio.StapledStream, trio.StapledStream]] = memory_stream_pair,
) -> AsyncIterator[Served]:
    ours, theirs = pair()
    result = Served(Peer(ours))

    async def echo(request: Request, client: Client) -> None:
        body = await client.body()
        result.requests.append((request, body))
        await client.respond(200, [(b"x-path", request.path.encode())], body)

    async def refuse(client: Client, error: ApiError) -> None:
        await client.respond(error.status, [], envelope.write(error, "req_1"))

    async def run() -> None:
        await serve_connection(theirs, answer or echo, refuse, LIMITS, result.stop)
        result.ended.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        yield result
        nursery.cancel_scope.cancel()


def post(body: bytes, *headers: bytes, path: bytes = b"/p") -> bytes:
    lines = [b"POST " + path + b" HTTP/1.1", b"Host: x", b"Content-Length: %d" % len(body), *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


async def test_a_connection_serves_one_request_after_the_other() -> None:
    async with served() as it:
        for number in range(3):
            await it.peer.send(post(b"body %d" % number, path=b"/p%d" % number))
            reply = await it.peer.reply()
            assert (reply.status, reply.body) == (200, b"body %d" % number)
            assert reply.headers["x-path"] == f"/p{number}"
            assert "connection" not in reply.headers
            assert reply.headers["date"].endswith("GMT")


async def test_pipelined_requests_are_answered_in_their_order() -> None:
    async with served() as it:
        await it.peer.send(post(b"one") + post(b"two") + post(b"three"))
        assert [(await it.peer.reply()).body for _ in range(3)] == [b"one", b"two", b"three"]


async def test_what_is_read_while_watching_for_a_hang_up_is_the_next_request() -> None:
    watching = trio.Event()
    go_on = trio.Event()

    async def answer(request: Request, client: Client) -> None:
        body = await client.body()
        if body == b"first":
            async with trio.open_nursery() as nursery:
                nursery.start_soon(client.wait_hung_up)
                watching.set()
                await go_on.wait()
                nursery.cancel_scope.cancel()
        await client.respond(200, [], body)

    async with served(answer) as it:
        await it.peer.send(post(b"first"))
        await watching.wait()
        await it.peer.send(post(b"second")[:30])
        await trio.testing.wait_all_tasks_blocked()
        await it.peer.send(post(b"second")[30:])
        await trio.testing.wait_all_tasks_blocked()
        go_on.set()
        assert [(await it.peer.reply()).body for _ in range(2)] == [b"first", b"second"]


@given(cuts=st.lists(st.integers(0, 120), max_size=12))
def test_requests_mean_the_same_however_they_are_cut(cuts: list[int]) -> None:
    data = post(b"hello", b"X-A: 1", path=b"/a?b=c") + b"GET /second HTTP/1.1\r\nhost: x\r\n\r\n"
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})

    async def main() -> None:
        async with served() as it:
            for start, end in itertools.pairwise(edges):
                await it.peer.send(data[start:end])
            assert [(await it.peer.reply()).status for _ in range(2)] == [200, 200]
            (first, body), (second, _) = it.requests
            assert (first.method, first.path, first.query, body) == ("POST", "/a", "b=c", b"hello")
            assert (b"x-a", b"1") in first.headers
            assert (second.method, second.path) == ("GET", "/second")

    trio.run(main)


async def test_a_client_that_waits_for_100_continue_gets_it_before_its_body_is_read() -> None:
    async with served() as it:
        head, _, body = post(b"hello", b"Expect: 100-continue").partition(b"\r\n\r\n")
        await it.peer.send(head + b"\r\n\r\n")
        await trio.testing.wait_all_tasks_blocked()
        await it.peer.send(body)
        reply = await it.peer.reply()
        assert (reply.informational, reply.status, reply.body) == ([100], 200, b"hello")


async def test_a_chunked_body_is_read_whole() -> None:
    async with served() as it:
        await it.peer.send(
            b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\n\r\n"
        )
        assert (await it.peer.reply()).body == b"abcdefg"


async def test_a_body_that_says_it_is_too_long_is_refused_before_it_is_read() -> None:
    async with served() as it:
        await it.peer.send(b"POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 1001\r\n\r\n")
        reply = await it.peer.reply()
        assert (reply.informational, reply.status) == ([], 413)
        assert b"request_too_large" in reply.body
        assert reply.headers["connection"] == "close"
        assert await it.peer.is_closed()


async def test_a_chunked_body_is_refused_when_it_grows_too_long() -> None:
    async with served() as it:
        await it.peer.send(b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
        await it.peer.send(b"3e9\r\n" + b"x" * 1001 + b"\r\n")
        assert (await it.peer.reply()).status == 413
        assert await it.peer.is_closed()


async def test_a_client_still_sending_reads_its_refusal_to_the_end(autojump_clock: MockClock) -> None:
    """After a refusal the rest of the body is taken in for a while, so that no reset eats the reply."""
    async with served() as it:
        await it.peer.send(post(b"x" * 1001)[:-900])
        reply = await it.peer.reply()
        assert reply.status == 413
        assert await it.peer.is_closed()  # our half is closed: the reply is over …
        await it.peer.send(b"x" * 900)  # … and what is still sent is not refused
        await it.ended.wait()
        assert trio.current_time() < LIMITS.linger_seconds + 1


async def test_head_gets_the_headers_of_the_body_and_no_body() -> None:
    async def answer(request: Request, client: Client) -> None:
        await client.respond(200, [], b"hello")

    async with served(answer) as it:
        await it.peer.send(b"HEAD / HTTP/1.1\r\nhost: x\r\n\r\n")
        reply = await it.peer.reply("HEAD")
        assert (reply.headers["content-length"], reply.body) == ("5", b"")
        await it.peer.send(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        assert (await it.peer.reply()).body == b"hello"


async def test_a_client_that_wants_the_connection_closed_gets_it_closed() -> None:
    async with served() as it:
        await it.peer.send(post(b"a", b"Connection: close"))
        reply = await it.peer.reply()
        assert reply.headers["connection"] == "close"
        assert await it.peer.is_closed()


async def test_http_1_0_gets_a_stream_ended_by_the_end_of_the_connection() -> None:
    async def answer(request: Request, client: Client) -> None:
        await client.start(200, [], b"one")
        await client.send(b"two")
        await client.finish()

    async with served(answer) as it:
        await it.peer.send(b"GET / HTTP/1.0\r\n\r\n")
        received = b""
        while data := await it.peer.stream.receive_some():
            received += data
        assert received.endswith(b"\r\n\r\nonetwo")
        assert b"transfer-encoding" not in received


async def test_a_request_that_is_refused_without_a_body_keeps_its_connection() -> None:
    async def answer(request: Request, client: Client) -> None:
        raise ApiError(404, "not_found_error", "no")

    async with served(answer) as it:
        for _ in range(2):
            await it.peer.send(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            reply = await it.peer.reply()
            assert reply.status == 404
            assert "connection" not in reply.headers


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"hello\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),  # no Host
        (b"GET / HTTP/1.1\r\nhost: x\r\n" + b"a: " + b"b" * 3000, 431),
        (b"GET / HTTP/1.1\r\nhost: x\r\nbroken header\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),  # TLS to a plain port
        (b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n", 400),
    ],
)
async def test_what_is_no_request_gets_a_clear_refusal(data: bytes, status: int) -> None:
    async with served() as it:
        await it.peer.send(data)
        reply = await it.peer.reply()
        assert reply.status == status
        assert envelope.is_envelope(reply.body)
        assert await it.peer.is_closed()


async def test_a_head_that_does_not_come_to_its_end_is_refused_in_time(autojump_clock: MockClock) -> None:
    async with served() as it:
        await it.peer.send(b"GET / HT")
        for _ in range(4):  # a byte now and then doesn't buy more time
            await trio.sleep(LIMITS.head_seconds / 5)
            await it.peer.send(b"x")
        reply = await it.peer.reply()
        assert reply.status == 408
        assert trio.current_time() == pytest.approx(LIMITS.head_seconds)


async def test_an_idle_connection_is_closed_in_time(autojump_clock: MockClock) -> None:
    async with served() as it:
        assert await it.peer.is_closed()
        assert trio.current_time() == pytest.approx(LIMITS.idle_seconds)


async def test_a_body_that_pauses_too_long_is_refused(autojump_clock: MockClock) -> None:
    async with served() as it:
        await it.peer.send(post(b"hello")[:-1])
        assert (await it.peer.reply()).status == 408
        assert trio.current_time() == pytest.approx(LIMITS.body_seconds)


async def test_a_client_that_never_reads_again_does_not_keep_its_connection(autojump_clock: MockClock) -> None:
    read_at: list[float] = []

    async def answer(request: Request, client: Client) -> None:
        await client.body()
        await client.start(200, [], b"first")
        read_at.append(trio.current_time())
        await client.send(b"second")

    # A lockstep stream takes no byte that the other side doesn't read.
    async with served(answer, pair=lockstep_stream_pair) as it:
        await it.peer.send(post(b"hello"))
        await trio.sleep(LIMITS.write_seconds - 1)
        assert (await it.peer.stream.receive_some()).startswith(b"HTTP/1.1 200")
        await it.ended.wait()
        assert read_at == [LIMITS.write_seconds - 1]
        assert trio.current_time() == pytest.approx(2 * LIMITS.write_seconds - 1)


async def test_a_hang_up_is_noticed_while_the_answer_is_made() -> None:
    noticed = trio.Event()

    async def answer(request: Request, client: Client) -> None:
        await client.body()
        await client.wait_hung_up()
        noticed.set()

    async with served(answer) as it:
        await it.peer.send(post(b"hello"))
        await trio.testing.wait_all_tasks_blocked()
        assert not noticed.is_set()
        await it.peer.stream.aclose()
        await noticed.wait()
        await it.ended.wait()


async def test_a_client_can_not_make_us_read_ahead_without_end(autojump_clock: MockClock) -> None:
    async def answer(request: Request, client: Client) -> None:
        await client.body()
        await client.wait_hung_up()

    # A lockstep stream takes no byte that the other side doesn't read.
    async with served(answer, pair=lockstep_stream_pair) as it:
        await it.peer.send(post(b"hello"))
        taken = 0
        with trio.move_on_after(60) as patience:
            while taken < 100_000:
                await it.peer.send(b"x" * 100)
                taken += 100
        assert patience.cancelled_caught
        assert LIMITS.ahead_bytes <= taken <= LIMITS.ahead_bytes + 100


@pytest.mark.parametrize("how", ["respond", "send"])
async def test_writing_to_a_client_that_is_gone_raises_client_gone(how: str) -> None:
    seen: list[type[BaseException]] = []

    async def answer(request: Request, client: Client) -> None:
        await client.body()
        await client.wait_hung_up()
        try:
            if how == "respond":
                await client.respond(200, [], b"x")
            else:
                await client.start(200, [], b"x")
        except ClientGone as error:
            seen.append(type(error))
            raise

    async with served(answer) as it:
        await it.peer.send(post(b"hello"))
        await it.peer.stream.aclose()
        await it.ended.wait()
    assert seen == [ClientGone]


async def test_a_reply_that_is_not_finished_does_not_look_whole() -> None:
    async def answer(request: Request, client: Client) -> None:
        await client.start(200, [], b"half")

    async with served(answer) as it:
        await it.peer.send(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        with pytest.raises(h11.RemoteProtocolError, match="incomplete"):
            await it.peer.reply()


async def test_draining_closes_after_the_running_reply() -> None:
    async with served() as it:
        it.stop.drain()
        await it.peer.send(post(b"a"))
        reply = await it.peer.reply()
        assert reply.headers["connection"] == "close"
        assert await it.peer.is_closed()


async def test_an_idle_connection_can_be_closed_from_outside_and_a_busy_one_not() -> None:
    started = trio.Event()
    go_on = trio.Event()

    async def answer(request: Request, client: Client) -> None:
        started.set()
        await go_on.wait()
        await client.respond(200, [], b"")

    async with served(answer) as it:
        await trio.testing.wait_all_tasks_blocked()
        assert len(it.stop.idle) == 1
        await it.peer.send(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        await started.wait()
        assert not it.stop.idle
        go_on.set()
        await it.peer.reply()
        await trio.testing.wait_all_tasks_blocked()
        next(iter(it.stop.idle)).cancel()
        assert await it.peer.is_closed()
