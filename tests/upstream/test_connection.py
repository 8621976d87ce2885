from __future__ import annotations

import itertools
import math

import h11
import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from ccrouter.errors import ConnectFailed, UpstreamBroken, UpstreamTimeout
from ccrouter.providers.provider import Timeouts
from ccrouter.upstream.connection import Connection, HttpAnswer, Pipe, render
from ccrouter.upstream.dial import Call
from ccrouter.upstream.proxy import Origin, Route

NAME = "http://backend.test:8000"
ROUTE = Route(Origin("http", "backend.test", 8000))
WHOLE = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"


def make_call(
    body: bytes = b"{}",
    method: str = "POST",
    headers: list[tuple[bytes, bytes]] | None = None,
    **timeouts: float,
) -> Call:
    return Call(
        method=method,
        url=f"{NAME}/v1/messages?beta=true",
        headers=headers or [(b"content-type", b"application/json"), (b"accept", b"*/*")],
        body=body,
        timeouts=Timeouts(**timeouts),
    )


def connect(pair=trio.testing.memory_stream_pair):
    stream, backend = pair()
    pipe = Pipe(stream)
    return Connection(pipe, pipe, NAME), backend, stream


async def ask(connection: Connection, call: Call | None = None) -> HttpAnswer:
    call = call or make_call()
    return await connection.exchange(render(call, ROUTE, "/v1/messages?beta=true"), call.body, call.timeouts)


async def drain(answer: HttpAnswer) -> list[bytes]:
    pieces = []
    while piece := await answer.read():
        pieces.append(piece)
    return pieces


async def receive_request(backend: trio.abc.ReceiveStream) -> bytes:
    """All of one request, as bytes."""
    http = h11.Connection(h11.SERVER)
    seen = b""
    while True:
        event = http.next_event()
        if isinstance(event, h11.EndOfMessage):
            return seen
        if event is h11.NEED_DATA:
            piece = bytes(await backend.receive_some())
            seen += piece
            http.receive_data(piece)


async def test_the_request_is_written_as_one_piece_with_host_length_and_header_order():
    connection, backend, stream = connect()
    sends: list[None] = []

    deliver = stream.send_stream.send_all_hook

    async def count() -> None:
        sends.append(None)
        await deliver()

    stream.send_stream.send_all_hook = count
    await backend.send_all(WHOLE)
    await ask(connection, make_call(b"12345"))
    assert bytes(await backend.receive_some()) == (
        b"POST /v1/messages?beta=true HTTP/1.1\r\n"
        b"host: backend.test:8000\r\n"
        b"content-type: application/json\r\n"
        b"accept: */*\r\n"
        b"content-length: 5\r\n"
        b"\r\n"
        b"12345"
    )
    assert sends == [None]


async def test_a_get_has_no_length_and_an_empty_post_says_zero():
    get = render(make_call(b"", "GET"), ROUTE, "/")
    post = render(make_call(b"", "POST"), ROUTE, "/")
    assert b"content-length" not in dict(get.headers)
    assert dict(post.headers)[b"content-length"] == b"0"


async def test_a_callers_host_is_kept_and_its_framing_headers_are_not():
    given_headers = [(b"host", b"virtual"), (b"content-length", b"9"), (b"transfer-encoding", b"chunked")]
    request = render(make_call(b"{}", headers=given_headers), ROUTE, "/")
    assert list(request.headers) == [(b"host", b"virtual"), (b"content-length", b"2")]


@pytest.mark.parametrize("value", [b"sk-secret\n", b" sk-secret", b"sk-sec\0ret"])
@pytest.mark.parametrize(
    ("header", "name"), [(b"x-api-key", ": the API key holds"), (b"x-team", ": the header 'x-team' holds")]
)
async def test_an_illegal_header_value_is_named_by_its_header_and_never_shown(value, header, name):
    with pytest.raises(ConnectFailed) as caught:
        render(make_call(headers=[(b"accept", b"*/*"), (header, value)]), ROUTE, "/")
    assert name in str(caught.value)
    assert "sk-sec" not in str(caught.value)
    assert caught.value.__suppress_context__
    assert caught.value.__cause__ is None


async def test_the_answer_has_status_and_headers_in_order_and_all_of_the_body():
    connection, backend, _ = connect()
    await backend.send_all(
        b"HTTP/1.1 429 Slow Down\r\nX-B: 1\r\nSet-Cookie: a\r\nx-a: 2\r\nSet-Cookie: b\r\n"
        b"Content-Length: 5\r\n\r\nhello"
    )
    answer = await ask(connection)
    assert answer.status == 429
    assert answer.headers == [
        (b"x-b", b"1"),
        (b"set-cookie", b"a"),
        (b"x-a", b"2"),
        (b"set-cookie", b"b"),
        (b"content-length", b"5"),
    ]
    assert await drain(answer) == [b"hello"]
    assert await answer.read() == b""


async def test_informational_replies_are_skipped():
    connection, backend, _ = connect()
    await backend.send_all(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" + WHOLE)
    answer = await ask(connection)
    assert (answer.status, await drain(answer)) == (200, [b"hello"])


@pytest.mark.parametrize(
    ("method", "wire"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n"),
        ("POST", b"HTTP/1.1 204 No Content\r\n\r\n"),
        ("POST", b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
    ],
)
async def test_a_reply_without_a_body_ends_at_once_and_leaves_the_connection_usable(method, wire):
    connection, backend, _ = connect()
    await backend.send_all(wire)
    assert await drain(await ask(connection, make_call(b"", method))) == []
    assert connection.start_next_cycle()


def chunked(*pieces: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in [*pieces, b""])


BODY = b'event: ping\ndata: {"type":"ping"}\n\n' * 4 + "\u2028é".encode()
REPLIES = {
    "length": b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(BODY), BODY),
    "chunked": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + chunked(BODY[:7], BODY[7:90], BODY[90:]),
    "close": b"HTTP/1.1 200 OK\r\n\r\n" + BODY,
    "old": b"HTTP/1.0 200 OK\r\n\r\n" + BODY,
}


async def exchange_pieces(pieces: list[bytes]) -> tuple[list[bytes], Connection]:
    """What the answer reads when the reply's bytes come in these pieces and the connection then ends."""
    connection, backend, _ = connect(trio.testing.lockstep_stream_pair)
    read: list[bytes] = []

    async def reply() -> None:
        await receive_request(backend)
        for piece in pieces:
            await backend.send_all(piece)
        await backend.send_eof()

    async def request() -> None:
        answer = await ask(connection)
        read.extend(await drain(answer))
        assert await answer.read() == b""

    async with trio.open_nursery() as nursery:
        nursery.start_soon(reply)
        await request()
        nursery.cancel_scope.cancel()
    return read, connection


@pytest.mark.parametrize("kind", REPLIES)
async def test_a_reply_that_comes_byte_by_byte_is_the_same_reply(kind):
    read, _ = await exchange_pieces([bytes([byte]) for byte in REPLIES[kind]])
    assert b"".join(read) == BODY
    assert len(read) > len(BODY) // 2


@settings(deadline=None)
@given(st.sampled_from(sorted(REPLIES)), st.sets(st.integers(1, 300)))
async def test_however_a_reply_is_cut_into_network_reads_its_body_is_the_same(kind, cuts):
    wire = REPLIES[kind]
    edges = [0, *sorted(cut for cut in cuts if cut < len(wire)), len(wire)]
    read, _ = await exchange_pieces([wire[a:b] for a, b in itertools.pairwise(edges)])
    assert b"".join(read) == BODY
    assert len(read) <= len(edges)


async def test_one_read_gives_all_that_one_network_read_brought():
    connection, backend, _ = connect()
    await backend.send_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    answer = await ask(connection)
    await backend.send_all(chunked(b"a" * 10, b"b" * 10)[:-5])
    assert await answer.read() == b"a" * 10 + b"b" * 10
    await backend.send_all(b"3\r\nend\r\n0\r\n\r\n")
    assert await answer.read() == b"end"
    assert await answer.read() == b""


@pytest.mark.parametrize("kind", ["length", "chunked"])
@settings(deadline=None)
@given(data=st.data())
async def test_a_body_that_is_cut_short_is_delivered_so_far_and_then_reported(kind, data):
    wire = REPLIES[kind]
    head = wire.index(b"\r\n\r\n") + 4
    end = data.draw(st.integers(head, len(wire) - 1))
    connection, backend, _ = connect()
    await backend.send_all(wire[:end])
    await backend.send_eof()
    answer = await ask(connection)
    read = b""
    with pytest.raises(UpstreamBroken, match="closed the connection before the reply was whole") as caught:
        while piece := await answer.read():
            read += piece
    assert BODY.startswith(read)
    if kind == "length":
        assert read == wire[head:end]
    assert str(caught.value).startswith(NAME)
    assert not caught.value.before_reply
    assert not connection.start_next_cycle()


async def test_a_reset_in_the_middle_is_no_end_even_where_the_end_of_the_connection_ends_the_body():
    connection, backend, stream = connect()
    await backend.send_all(b"HTTP/1.1 200 OK\r\n\r\nhalf")
    answer = await ask(connection)
    assert await answer.read() == b"half"

    def reset() -> None:
        raise trio.BrokenResourceError

    stream.receive_stream.receive_some_hook = reset
    with pytest.raises(UpstreamBroken, match="before the reply was whole"):
        await answer.read()


async def test_broken_chunks_are_reported_after_what_came_before_them():
    connection, backend, _ = connect()
    await backend.send_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\nnonsense\r\n")
    answer = await ask(connection)
    assert await answer.read() == b"ok"
    for _ in range(2):
        with pytest.raises(UpstreamBroken, match=r"does not keep to HTTP/1\.1"):
            await answer.read()


async def test_an_end_before_any_byte_of_the_reply_is_marked_as_such():
    connection, backend, _ = connect()
    await backend.send_eof()
    with pytest.raises(UpstreamBroken, match="without a reply") as caught:
        await ask(connection)
    assert caught.value.before_reply


async def test_an_end_within_the_head_is_not_marked_as_before_the_reply():
    connection, backend, _ = connect()
    await backend.send_all(b"HTTP/1.1 200")
    await backend.send_eof()
    with pytest.raises(UpstreamBroken, match="before the reply was whole") as caught:
        await ask(connection)
    assert not caught.value.before_reply


@pytest.mark.parametrize("wire", [b"SSH-2.0-OpenSSH_9.9\r\n\r\n", b"\x15\x03\x01\x00\x02\x02\x16\r\n\r\n"])
async def test_what_does_not_speak_http_is_reported_in_a_line(wire):
    connection, backend, _ = connect()
    await backend.send_all(wire)
    with pytest.raises(UpstreamBroken, match=r"^http://backend.test:8000 does not keep to HTTP/1.1") as caught:
        await ask(connection)
    assert len(str(caught.value).splitlines()) == 1
    assert not caught.value.before_reply


async def test_headers_of_200_kib_are_taken_and_of_300_kib_refused():
    for size, accepted in ((200, True), (300, False)):
        connection, backend, _ = connect()
        await backend.send_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nx-long: ")
        await backend.send_all(b"a" * size * 1024)
        if accepted:
            await backend.send_all(b"\r\n\r\n")
            assert (await ask(connection)).status == 200
        else:
            with pytest.raises(UpstreamBroken, match="more than 256 KiB of headers"):
                await ask(connection)


# Answers that come before the request is written


async def test_an_early_refusal_by_a_backend_that_stops_reading_is_delivered():
    connection, backend, _ = connect(trio.testing.lockstep_stream_pair)
    call = make_call(b"x" * 5_000_000)

    async def refuse() -> None:
        await backend.receive_some(1000)
        await backend.send_all(b"HTTP/1.1 413 Too Large\r\ncontent-length: 9\r\n\r\n")
        await backend.send_all(b"too ")
        await backend.send_all(b"large")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(refuse)
        answer = await ask(connection, call)
        assert answer.status == 413
        assert await drain(answer) == [b"too ", b"large"]
    assert not connection.start_next_cycle()


async def test_an_early_refusal_is_delivered_when_writing_breaks_first():
    connection, backend, _ = connect()
    await backend.send_all(b"HTTP/1.1 400 No\r\ncontent-length: 2\r\n\r\nno")
    await backend.receive_stream.aclose()  # our writing breaks
    answer = await ask(connection)
    assert (answer.status, await drain(answer)) == (400, [b"no"])
    assert not connection.start_next_cycle()


async def test_an_early_success_waits_until_the_request_is_written():
    connection, backend, _ = connect(trio.testing.lockstep_stream_pair)
    order = []

    async def reply() -> None:
        await backend.receive_some(1000)
        await backend.send_all(WHOLE)
        await trio.testing.wait_all_tasks_blocked()
        order.append("the rest is read")
        left = 300_000
        while left > 0:
            left -= len(await backend.receive_some())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(reply)
        answer = await ask(connection, make_call(b"x" * 300_000))
        order.append("answered")
        assert await drain(answer) == [b"hello"]
        nursery.cancel_scope.cancel()
    assert order == ["the rest is read", "answered"]
    assert connection.start_next_cycle()


# Deadlines


async def test_a_slow_head_is_a_first_byte_timeout(autojump_clock):
    connection, _, _ = connect()
    with pytest.raises(UpstreamTimeout, match=r"http://backend.test:8000 began no reply within 7\.5 s") as caught:
        await ask(connection, make_call(first_byte=7.5))
    assert caught.value.phase == "first_byte"
    assert trio.current_time() == pytest.approx(7.5)


async def test_a_head_that_never_ends_is_a_first_byte_timeout_however_it_trickles(autojump_clock):
    connection, backend, _ = connect()

    async def trickle() -> None:
        await backend.send_all(b"HTTP/1.1 200 OK\r\n")
        while True:
            await backend.send_all(b"x-a: 1\r\n")
            await trio.sleep(1)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trickle)
        with pytest.raises(UpstreamTimeout) as caught:
            await ask(connection, make_call(first_byte=10))
        nursery.cancel_scope.cancel()
    assert caught.value.phase == "first_byte"


async def test_a_backend_that_does_not_take_the_request_is_a_send_timeout(autojump_clock):
    connection, _, _ = connect(trio.testing.lockstep_stream_pair)
    with pytest.raises(UpstreamTimeout, match="did not take the whole request within 3 s") as caught:
        await ask(connection, make_call(first_byte=3))
    assert caught.value.phase == "send"


async def test_silence_in_the_body_is_an_idle_timeout_and_each_byte_starts_it_anew(autojump_clock):
    connection, backend, _ = connect()

    async def trickle() -> None:
        await backend.send_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        for byte in b"1\r\na\r\n":
            await trio.sleep(9)
            await backend.send_all(bytes([byte]))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trickle)
        answer = await ask(connection, make_call(idle=10, first_byte=math.inf))
        assert await answer.read() == b"a"
        with pytest.raises(UpstreamTimeout, match="fell silent for 10 s") as caught:
            await answer.read()
    assert caught.value.phase == "idle"


# Who may go on


async def test_after_a_whole_reply_the_next_request_is_answered_on_the_same_connection():
    connection, backend, _ = connect()
    await backend.send_all(WHOLE)
    first = await ask(connection)
    assert await drain(first) == [b"hello"]
    assert connection.start_next_cycle()
    await backend.send_all(WHOLE.replace(b"hello", b"again"))
    second = await ask(connection)
    assert await first.read() == b""
    assert await drain(second) == [b"again"]


@pytest.mark.parametrize(
    "wire",
    [
        b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok-and-more",
    ],
)
async def test_no_further_request_where_the_backend_closes_or_says_more_than_it_should(wire):
    connection, backend, _ = connect()
    await backend.send_all(wire)
    assert await drain(await ask(connection)) == [b"ok"]
    assert not connection.start_next_cycle()


async def test_no_further_request_before_the_body_was_read():
    connection, backend, _ = connect()
    await backend.send_all(WHOLE)
    await ask(connection)
    assert not connection.start_next_cycle()


# Backpressure and closing


async def test_an_answer_that_is_not_read_stops_the_backends_sending():
    connection, backend, _ = connect(trio.testing.lockstep_stream_pair)
    sent = 0

    async def stream() -> None:
        nonlocal sent
        await receive_request(backend)
        await backend.send_all(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            await backend.send_all(b"x" * 1000)
            sent += 1000

    async with trio.open_nursery() as nursery:
        nursery.start_soon(stream)
        answer = await ask(connection)
        await trio.testing.wait_all_tasks_blocked()
        assert sent == 0
        for reads in range(1, 5):
            assert len(await answer.read()) == 1000
            await trio.testing.wait_all_tasks_blocked()
            assert sent <= reads * 1000
        nursery.cancel_scope.cancel()


async def test_closing_closes_the_stream_once():
    connection, _, stream = connect()
    closed: list[None] = []
    stream.send_stream.close_hook = lambda: closed.append(None)
    await connection.aclose()
    await connection.aclose()
    assert closed == [None]
