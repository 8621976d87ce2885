"""The port: bind, accept, cap, drain.

Two nurseries make the stop: the inner one holds the accept loops and ends first, the outer one holds the
connections and is given a deadline. In between, `Stop` tells who is still at work that time is up.
"""

from __future__ import annotations

import errno
from collections.abc import Awaitable, Callable

import trio

from ccrouter.errors import ApiError, StartError
from ccrouter.server.connection import Client, Limits, OnRequest, serve_connection
from ccrouter.server.stop import Stop, cancel_when

#: After `Stop.ending` the connections have this long to write their last words, in seconds.
LAST_WORDS = 1.0

#: So many refusals beyond the cap are told at one time; whoever comes on top of that is just closed.
_MOST_TURNED_AWAY = 64

Refuse = Callable[[Client, ApiError], Awaitable[None]]


async def bind(host: str, port: int) -> list[trio.SocketListener]:
    """Listeners for one address. Raises StartError in words that say what to do about it."""
    try:
        listeners = await trio.open_tcp_listeners(port, host=host)
    except OSError as error:
        raise StartError(_explain(error, host, port)) from None
    if port == 0 and len(listeners) > 1:
        # A name with several addresses would get a port for each; one URL can tell of one.
        for extra in listeners[1:]:
            await extra.aclose()
        del listeners[1:]
    return listeners


def _explain(error: OSError, host: str, port: int) -> str:
    where = f"{host}:{port}"
    codes = {error.errno, *(getattr(inner, "errno", None) for inner in _causes(error))}
    if errno.EADDRINUSE in codes:
        return (
            f"port {port} on {host} is taken; is a router running there already? "
            "Choose another with --port, or --port 0 for any free one"
        )
    if errno.EACCES in codes:
        return f"not allowed to listen on {where}; ports below 1024 need privileges, choose another with --port"
    if errno.EADDRNOTAVAIL in codes:
        return f"{host} is not an address of this machine; choose another with --host"
    return f"cannot listen on {where}: {error.strerror or error}"


def _causes(error: BaseException) -> list[BaseException]:
    """The errors inside: trio raises one OSError for a group of them."""
    cause = error.__cause__
    if isinstance(cause, BaseExceptionGroup):
        return list(cause.exceptions)
    return [] if cause is None else [cause]


async def serve(
    listeners: list[trio.SocketListener],
    answer: OnRequest,
    refuse: Refuse,
    *,
    stop: Stop,
    limits: Limits,
    max_connections: Callable[[], int],
    drain_seconds: Callable[[], float],
) -> None:
    """Serve until ``stop``; returns when every connection is closed. Cancelling ends everything at once.

    ``max_connections`` and ``drain_seconds`` are asked when they are needed: a configuration changes.
    """
    port = _Port(answer, refuse, stop, limits, max_connections)
    async with trio.open_nursery() as connections:
        async with trio.open_nursery() as accepting:
            for listener in listeners:
                accepting.start_soon(_accept, listener, port, connections)
            await stop.draining.wait()
            accepting.cancel_scope.cancel()
        port.close_idle()
        if stop.open:
            with trio.move_on_after(drain_seconds()):
                async with trio.open_nursery() as waiting:
                    waiting.start_soon(cancel_when, port.emptied.wait, waiting.cancel_scope)
                    waiting.start_soon(cancel_when, stop.ending.wait, waiting.cancel_scope)
        stop.ending.set()
        connections.cancel_scope.deadline = trio.current_time() + LAST_WORDS


async def _accept(listener: trio.SocketListener, port: _Port, connections: trio.Nursery) -> None:
    await trio.serve_listeners(port.connection, [listener], handler_nursery=connections)


class _Port:
    """The connections of one server."""

    def __init__(
        self, answer: OnRequest, refuse: Refuse, stop: Stop, limits: Limits, max_connections: Callable[[], int]
    ) -> None:
        self.emptied = trio.Event()
        self._answer = answer
        self._refuse = refuse
        self._stop = stop
        self._limits = limits
        self._max = max_connections
        self._admitted = 0
        self._turned_away = 0

    async def connection(self, stream: trio.SocketStream) -> None:
        """Serve one accepted stream, or tell it that there are too many."""
        self._stop.open += 1
        try:
            if self._admitted >= self._max():
                await self._turn_away(stream)
            else:
                await self._admit(stream)
        finally:
            self._stop.open -= 1
            if not self._stop.open and self._stop.draining.is_set():
                self.emptied.set()

    async def _admit(self, stream: trio.SocketStream) -> None:
        self._admitted += 1
        try:
            await serve_connection(stream, self._answer, self._refuse, self._limits, self._stop)
        finally:
            self._admitted -= 1

    def close_idle(self) -> None:
        """Close the connections that wait for a request."""
        for scope in list(self._stop.idle):
            scope.cancel()
        if not self._stop.open:
            self.emptied.set()

    async def _turn_away(self, stream: trio.SocketStream) -> None:
        """Answer the first request with 529, so that the client hears a reason and not a reset."""
        if self._turned_away >= _MOST_TURNED_AWAY:
            await trio.aclose_forcefully(stream)
            return

        async def overloaded(request: object, client: Client) -> None:
            del request
            client.close_after()
            raise ApiError(
                529,
                "overloaded_error",
                f"ccrouter: more than {self._max()} connections are open; "
                "close some, or raise server.max_connections in the configuration",
                (("retry-after", "1"),),
            )

        brief = Limits(head_seconds=5.0, idle_seconds=5.0, linger_seconds=1.0)
        self._turned_away += 1
        try:
            await serve_connection(stream, overloaded, self._refuse, brief, self._stop)
        finally:
            self._turned_away -= 1
