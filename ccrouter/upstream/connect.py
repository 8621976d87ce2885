"""From a route to a connection: DNS, TCP, proxy, TLS, all under one deadline.

This is the edge where the exceptions of the operating system, of ssl and of trio become ours. Their messages
are for people: where to, why not, and what may mend it; the table `_REASONS` holds the whys.
"""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Callable, Iterator

import h11
import trio

from ccrouter.errors import ConnectFailed, UpstreamTimeout
from ccrouter.upstream.connection import HEAD_LIMIT, Connection, Pipe
from ccrouter.upstream.proxy import Origin, Proxy, Route
from ccrouter.upstream.tls import Trust

#: errno or ssl reason -> what it means to a user. What is not here is told in the system's own words.
_REASONS: dict[int | str, str] = {
    errno.ECONNREFUSED: "connection refused (is the server running?)",
    errno.ECONNRESET: "the connection was reset",
    errno.EPIPE: "the connection was closed",
    errno.ETIMEDOUT: "no answer from this host",
    errno.ENETUNREACH: "the network is unreachable",
    errno.EHOSTUNREACH: "no route to this host",
    errno.EMFILE: "too many open files in this process",
    socket.EAI_NONAME: "no such host name (check the spelling)",
    socket.EAI_AGAIN: "the host name cannot be looked up (is the network up?)",
    "WRONG_VERSION_NUMBER": "this port does not speak TLS (should the URL begin with http://?)",
    "HTTP_REQUEST": "this port does not speak TLS (should the URL begin with http://?)",
}


async def connect(route: Route, trust: Callable[[], Trust], timeout: float) -> Connection:
    """Opens a connection. Raises ConnectFailed; after ``timeout`` seconds UpstreamTimeout, phase ``connect``.

    ``trust`` is asked only where TLS is spoken.
    """
    with trio.move_on_after(timeout):
        return await _connect(route, trust)
    raise UpstreamTimeout(f"no connection to {route} within {timeout:g} s (the timeout connect)", "connect")


async def _connect(route: Route, trust: Callable[[], Trust]) -> Connection:
    pipe = await _open_pipe(route)
    stream: trio.abc.Stream = pipe
    try:
        if route.proxy is not None and route.proxy.origin.secure:
            stream = await _wrap(stream, route.proxy.origin, trust(), f"the proxy {route.proxy}")
        if route.proxy is not None and route.tunnelled:
            await _tunnel(stream, route.origin, route.proxy)
        if route.origin.secure:
            stream = await _wrap(stream, route.origin, trust(), str(route))
    except BaseException:
        await pipe.aclose()
        raise
    return Connection(pipe, stream, str(route))


async def _open_pipe(route: Route) -> Pipe:
    near = route.origin if route.proxy is None else route.proxy.origin
    try:
        # Happy eyeballs: all addresses, a quarter of a second apart. A trio.SocketStream sets TCP_NODELAY.
        return Pipe(await trio.open_tcp_stream(near.host, near.port))
    except OSError as error:
        where = str(near) if route.proxy is None else f"the proxy {route.proxy} (set by {route.proxy.variable})"
        raise ConnectFailed(f"cannot reach {where}: {_why(error)}") from None


async def _wrap(stream: trio.abc.Stream, origin: Origin, trust: Trust, name: str) -> trio.abc.Stream:
    """TLS over ``stream``, the handshake done."""
    wrapped = trio.SSLStream(stream, trust.context, server_hostname=origin.host, https_compatible=True)
    try:
        await wrapped.do_handshake()
    except trio.BrokenResourceError as error:
        cause = error.__cause__
        if isinstance(cause, ssl.SSLCertVerificationError):
            raise ConnectFailed(
                f"cannot reach {name}: its certificate is not accepted: {cause.verify_message} "
                f"(checked against {trust.whose}; SSL_CERT_FILE can name another file)"
            ) from None
        raise ConnectFailed(f"cannot reach {name}: TLS failed: {_why(error)}") from None
    return wrapped


async def _tunnel(stream: trio.abc.Stream, origin: Origin, proxy: Proxy) -> None:
    """Has the proxy pass on to ``origin`` all that follows on ``stream``."""
    http = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_LIMIT)
    headers = [(b"host", origin.address.encode())]
    if proxy.authorization is not None:
        headers.append((b"proxy-authorization", proxy.authorization))
    request = http.send(h11.Request(method="CONNECT", target=origin.address, headers=headers))
    http.send(h11.EndOfMessage())
    try:
        await stream.send_all(request or b"")
        while not isinstance(event := http.next_event(), h11.Response):
            if event is h11.NEED_DATA:
                http.receive_data(bytes(await stream.receive_some()))
    except (trio.BrokenResourceError, h11.RemoteProtocolError):
        # h11 takes an end before the reply for a breach of the protocol too.
        raise ConnectFailed(
            f"cannot reach {origin}: the proxy {proxy} (set by {proxy.variable}) closed the connection "
            "or does not speak HTTP"
        ) from None
    if not 200 <= event.status_code < 300:
        refusal = proxy.refusal(event.status_code, event.reason.decode("latin-1"))
        raise ConnectFailed(f"cannot reach {origin}: {refusal}")


def _why(error: BaseException) -> str:
    """The reasons at the bottom of ``error``, each once: every address that was tried may have its own."""
    return ", ".join(dict.fromkeys(map(_reason, _roots(error))))


def _roots(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _roots(each)
    elif error.__cause__ is not None:
        yield from _roots(error.__cause__)
    else:
        yield error


def _reason(error: BaseException) -> str:
    match error:
        case ssl.SSLEOFError() | ssl.SSLZeroReturnError() | trio.BrokenResourceError():
            return "the connection was closed in the middle of the handshake"
        case ssl.SSLError():
            return _REASONS.get(error.reason or "", (error.reason or "unknown reason").replace("_", " ").lower())
        case OSError(errno=int() as number):
            return _REASONS.get(number) or (error.strerror or type(error).__name__).lower()
        case _:
            return type(error).__name__
