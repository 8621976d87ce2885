from __future__ import annotations

import errno
import socket
import ssl
from functools import partial

import h11
import pytest
import trio
import trio.testing

from ccrouter.errors import ConnectFailed, UpstreamTimeout
from ccrouter.providers.provider import Timeouts
from ccrouter.upstream.connect import connect
from ccrouter.upstream.proxy import Origin, Proxy, Route
from ccrouter.upstream.tls import Trust, make_trust

HOST = "models.example.test"


def no_trust() -> Trust:
    raise AssertionError


@pytest.fixture
def trust(authority_file):
    return partial(make_trust, {"SSL_CERT_FILE": authority_file})


class Resolver(trio.abc.HostnameResolver):
    def __init__(self, answer):
        self.answer = answer

    async def getaddrinfo(self, host, port, *_hints, **_more_hints):
        await trio.lowlevel.checkpoint()
        if isinstance(self.answer, Exception):
            raise self.answer
        if self.answer is None:
            await trio.sleep_forever()
        return [
            (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, each or port))
            for address, each in self.answer
        ]

    async def getnameinfo(self, sockaddr, flags):
        raise NotImplementedError


def resolve(answer) -> None:
    """All host names have these addresses, or looking them up fails so, or never ends; in this trio run."""
    trio.socket.set_custom_hostname_resolver(Resolver(answer))


@pytest.fixture
def closed_port():
    """A port on loopback where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


async def never(stream: trio.abc.Stream) -> None:
    """Says nothing, and waits for the other end to go."""
    await stream.receive_some(1_000_000)
    await stream.receive_some(1_000_000)


async def fail(route: Route, trust=no_trust) -> str:
    with pytest.raises(ConnectFailed) as caught:
        await connect(route, trust, 5)
    assert caught.value.__cause__ is None
    return str(caught.value)


async def test_a_connection_sends_small_pieces_at_once(serve):
    port = await serve(never)
    connection = await connect(Route(Origin("http", "127.0.0.1", port)), no_trust, 5)
    stream = connection._pipe._stream
    assert isinstance(stream, trio.SocketStream)
    assert stream.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert connection.quiet()
    await connection.aclose()
    assert stream.socket.fileno() == -1


async def test_a_refused_connection_asks_for_the_server(closed_port):
    assert await fail(Route(Origin("http", "127.0.0.1", closed_port))) == (
        f"cannot reach http://127.0.0.1:{closed_port}: connection refused (is the server running?)"
    )


async def test_an_address_that_refuses_does_not_hide_one_that_answers(serve, closed_port):
    port = await serve(never)
    resolve([("127.0.0.1", closed_port), ("127.0.0.1", port)])
    connection = await connect(Route(Origin("http", HOST, 80)), no_trust, 5)
    await connection.aclose()


async def test_addresses_that_fail_alike_are_told_once(closed_port):
    resolve([("127.0.0.1", closed_port), ("127.0.0.2", closed_port)])
    assert await fail(Route(Origin("http", HOST, 80))) == (
        f"cannot reach http://{HOST}: connection refused (is the server running?)"
    )


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (socket.gaierror(socket.EAI_NONAME, "x"), "no such host name (check the spelling)"),
        (socket.gaierror(socket.EAI_AGAIN, "x"), "the host name cannot be looked up (is the network up?)"),
        (OSError(errno.ENETUNREACH, "x"), "the network is unreachable"),
        (OSError(errno.EACCES, "Permission denied"), "permission denied"),
        (OSError("odd"), "OSError"),
    ],
)
async def test_what_the_system_says_is_told_in_words(error, reason):
    resolve(error)
    assert await fail(Route(Origin("http", HOST, 80))) == f"cannot reach http://{HOST}: {reason}"


async def test_the_deadline_covers_the_look_up_of_the_name(autojump_clock):
    resolve(None)
    with pytest.raises(UpstreamTimeout) as caught:
        await connect(Route(Origin("https", HOST, 443)), no_trust, 10)
    assert caught.value.phase == "connect"
    assert str(caught.value) == f"no connection to https://{HOST} within 10 s (the timeout connect)"
    assert trio.current_time() == pytest.approx(10)


@pytest.mark.parametrize("way", ["tls", "tunnel", "tls to the proxy"])
async def test_the_deadline_covers_proxy_and_tls_and_closes_the_socket(way, serve, trust):
    closed = trio.Event()

    async def silent(stream: trio.abc.Stream) -> None:
        try:
            await never(stream)
        finally:
            closed.set()

    port = await serve(silent)
    proxy = Proxy(Origin("https" if way == "tls to the proxy" else "http", "127.0.0.1", port), "HTTPS_PROXY")
    route = Route(Origin("https", "127.0.0.1", port)) if way == "tls" else Route(Origin("https", HOST, 443), proxy)
    with pytest.raises(UpstreamTimeout) as caught:
        await connect(route, trust, 0.05)
    assert caught.value.phase == "connect"
    with trio.fail_after(1):
        await closed.wait()


# TLS


async def test_tls_names_the_host_and_speaks_http_1(serve, server_context, trust):
    seen = []

    async def greet(stream: trio.abc.Stream) -> None:
        assert isinstance(stream, trio.SSLStream)
        await stream.do_handshake()
        seen.append(stream.selected_alpn_protocol())
        await never(stream)

    context = server_context(HOST)
    context.sni_callback = lambda _socket, name, _context: seen.append(name)
    port = await serve(greet, context)
    resolve([("127.0.0.1", None)])
    connection = await connect(Route(Origin("https", HOST, port)), trust, 5)
    await connection.aclose()
    assert seen == [HOST, "http/1.1"]


async def test_an_address_can_have_a_certificate_too(serve, server_context, trust):
    port = await serve(never, server_context("127.0.0.1"))
    connection = await connect(Route(Origin("https", "127.0.0.1", port)), trust, 5)
    await connection.aclose()


async def test_a_certificate_that_nobody_signed_is_told_with_the_trust_store(serve, server_context, tmp_path):
    port = await serve(never, server_context("127.0.0.1"))
    trust = Trust(ssl.create_default_context(), "the system's certificates")
    message = await fail(Route(Origin("https", "127.0.0.1", port)), lambda: trust)
    assert message.startswith(f"cannot reach https://127.0.0.1:{port}: its certificate is not accepted: ")
    assert message.endswith(" (checked against the system's certificates; SSL_CERT_FILE can name another file)")


async def test_a_certificate_of_another_host_is_told(serve, server_context, trust):
    port = await serve(never, server_context("other.example.test"))
    message = await fail(Route(Origin("https", "127.0.0.1", port)), trust)
    assert "IP address mismatch, certificate is not valid for '127.0.0.1'" in message


async def test_https_to_a_port_that_speaks_http_is_told(serve):
    async def plain(stream: trio.abc.Stream) -> None:
        await stream.receive_some()
        await stream.send_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
        await stream.receive_some()

    port = await serve(plain)
    trust = Trust(ssl.create_default_context(), "")
    assert await fail(Route(Origin("https", "127.0.0.1", port)), lambda: trust) == (
        f"cannot reach https://127.0.0.1:{port}: TLS failed: "
        "this port does not speak TLS (should the URL begin with http://?)"
    )


async def test_an_end_in_the_middle_of_the_handshake_is_told(serve):
    async def hang_up(stream: trio.abc.Stream) -> None:
        await stream.receive_some()

    port = await serve(hang_up)
    trust = Trust(ssl.create_default_context(), "")
    assert await fail(Route(Origin("https", "127.0.0.1", port)), lambda: trust) == (
        f"cannot reach https://127.0.0.1:{port}: TLS failed: "
        "the connection was closed in the middle of the handshake"
    )


async def test_an_unusable_trust_store_closes_the_socket_again(serve):
    closed = trio.Event()

    async def watch(stream: trio.abc.Stream) -> None:
        assert await stream.receive_some() == b""
        closed.set()

    def unusable() -> Trust:
        raise ConnectFailed("SSL_CERT_FILE: cannot read x")

    port = await serve(watch)
    assert await fail(Route(Origin("https", "127.0.0.1", port)), unusable) == "SSL_CERT_FILE: cannot read x"
    with trio.fail_after(1):
        await closed.wait()


async def test_an_answer_is_read_whole_over_tls_though_writing_broke_before_it(
    monkeypatch, nursery, server_context, trust
):
    """trio.SSLStream refuses to read after a failure to write; `Pipe` hides the failure from it."""
    near, far = trio.testing.memory_stream_pair()
    broken = trio.Event()

    async def break_writing() -> None:
        broken.set()
        raise trio.BrokenResourceError

    async def backend() -> None:
        stream = trio.SSLStream(far, server_context(HOST), server_side=True, https_compatible=True)
        await stream.do_handshake()
        await broken.wait()
        await trio.testing.wait_all_tasks_blocked()
        await stream.send_all(b"HTTP/1.1 413 Too Large\r\ncontent-length: 40000\r\n\r\n")
        await stream.send_all(b"x" * 40_000)

    async def open_stream(host: str, port: int) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        return near

    monkeypatch.setattr(trio, "open_tcp_stream", open_stream)
    nursery.start_soon(backend)
    connection = await connect(Route(Origin("https", HOST, 443)), trust, 5)
    near.send_stream.send_all_hook = break_writing
    request = h11.Request(method="POST", target="/", headers=[("host", HOST), ("content-length", "2")])
    answer = await connection.exchange(request, b"{}", Timeouts())
    body = b""
    while piece := await answer.read():
        body += piece
    assert (answer.status, body) == (413, b"x" * 40_000)
    assert not connection.start_next_cycle()
    await connection.aclose()


# Proxies


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("login", [None, b"Basic eA=="])
async def test_https_goes_through_a_tunnel(scheme, login, serve, receive_request, server_context, trust):
    """Also TLS within TLS, to a proxy that is itself reached by https."""
    heads = []

    async def tunnel(stream: trio.abc.Stream) -> None:
        heads.append((await receive_request(stream))[0])
        await stream.send_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
        inner = trio.SSLStream(stream, server_context(HOST), server_side=True, https_compatible=True)
        heads.append((await receive_request(inner))[0])
        await inner.send_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        await never(inner)

    port = await serve(tunnel, server_context("127.0.0.1") if scheme == "https" else None)
    route = Route(Origin("https", HOST, 443), Proxy(Origin(scheme, "127.0.0.1", port), "HTTPS_PROXY", login))
    connection = await connect(route, trust, 5)

    request = h11.Request(method="GET", target="/", headers=[("host", HOST)])
    answer = await connection.exchange(request, b"", Timeouts())
    assert (await answer.read(), await answer.read()) == (b"ok", b"")
    await connection.aclose()
    expected = f"CONNECT {HOST}:443 HTTP/1.1\r\nhost: {HOST}:443".encode()
    if login:
        expected += b"\r\nproxy-authorization: " + login
    assert heads[0] == expected
    assert heads[1].startswith(b"GET / HTTP/1.1\r\n")
    assert b"proxy-authorization" not in heads[1]


@pytest.mark.parametrize(
    ("login", "reply", "message"),
    [
        (
            None,
            b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n",
            "the proxy {} wants a login (407): put user:password@ before the host in HTTPS_PROXY",
        ),
        (
            b"Basic aHVudGVyMg==",
            b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n",
            (
                "the proxy {} does not accept the user and password (407): "
                "put user:password@ before the host in HTTPS_PROXY"
            ),
        ),
        (
            None,
            b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n",
            "the proxy {} answered 403 Forbidden (it is set by HTTPS_PROXY)",
        ),
        (
            None,
            b"HTTP/1.1 302 Found\r\nlocation: http://portal.example\r\ncontent-length: 0\r\n\r\n",
            "the proxy {} answered 302 Found (it is set by HTTPS_PROXY)",
        ),
        (
            None,
            b"HTTP/1.1 503\r\n\r\n",
            "the proxy {} answered 503 (it is set by HTTPS_PROXY)",
        ),
        (
            None,
            b"SSH-2.0-OpenSSH\r\n\r\n",
            "the proxy {} (set by HTTPS_PROXY) closed the connection or does not speak HTTP",
        ),
        (None, b"", "the proxy {} (set by HTTPS_PROXY) closed the connection or does not speak HTTP"),
    ],
)
async def test_a_proxy_that_refuses_is_named_with_its_variable(login, reply, message, serve, receive_request):
    async def refuse(stream: trio.abc.Stream) -> None:
        await receive_request(stream)
        await stream.send_all(reply)

    port = await serve(refuse)
    proxy = Proxy(Origin("http", "127.0.0.1", port), "HTTPS_PROXY", login)
    told = await fail(Route(Origin("https", HOST, 443), proxy))
    assert told == f"cannot reach https://{HOST}: " + message.format(f"http://127.0.0.1:{port}")


async def test_a_proxy_that_cannot_be_reached_is_named_with_its_variable(closed_port):
    proxy = Proxy(Origin("http", "127.0.0.1", closed_port), "ALL_PROXY", b"Basic eA==")
    assert await fail(Route(Origin("https", HOST, 443), proxy)) == (
        f"cannot reach the proxy http://127.0.0.1:{closed_port} (set by ALL_PROXY): "
        "connection refused (is the server running?)"
    )


async def test_the_certificate_of_a_proxy_is_checked_and_told_as_the_proxys(serve, server_context, trust):
    port = await serve(never, server_context("other.example.test"))
    proxy = Proxy(Origin("https", "127.0.0.1", port), "HTTPS_PROXY")
    message = await fail(Route(Origin("https", HOST, 443), proxy), trust)
    assert message.startswith(f"cannot reach the proxy https://127.0.0.1:{port}: its certificate is not accepted")
