"""The Dial over the network. A connection that has carried a whole answer serves the next call on its route.

A connection is in use by one call, or idle here, or closed. There is no task beside the calls: idle ones
that have outlived their time are closed when the next call comes by. Whatever ends before its answer does (a
hang-up, a failure, a deadline) closes its connection at once, so that the backend stops working for nobody.

A backend closes idle connections as it likes, and may do so just when one is taken up again. A request that
meets that is sent once more, on a fresh connection: nothing of a reply has come, and the end came right
away. An end that comes later is no such accident but a server that gave up, and is reported.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import h11
import trio
from attrs import frozen

from ccrouter.errors import ConnectFailed, UpstreamBroken
from ccrouter.upstream.connect import connect
from ccrouter.upstream.connection import Connection, HttpAnswer, render
from ccrouter.upstream.dial import Answer, Call
from ccrouter.upstream.proxy import Route, find_route, split_url
from ccrouter.upstream.tls import Trust, make_trust

#: How soon after a request the end of a reused connection counts as its staleness: a few slow round trips.
STALE_WITHIN = 5.0


@frozen(eq=False)
class _Idle:
    connection: Connection
    until: float


class HttpDial:
    """See `ccrouter.upstream.dial.Dial`. Belongs to one trio run; who made it awaits `aclose` at the end.

    ``environ`` says which proxies and certificates to use; ``ssl_context`` is taken instead of the latter.
    """

    def __init__(
        self,
        *,
        environ: Mapping[str, str] = os.environ,
        ssl_context: ssl.SSLContext | None = None,
        max_idle_per_origin: int = 16,
        idle_seconds: float = 60,
    ) -> None:
        self._environ = environ
        self._trust = None if ssl_context is None else Trust(ssl_context, "the given certificates")
        self._max_idle = max_idle_per_origin
        self._idle_seconds = idle_seconds
        self._idle: dict[Route, list[_Idle]] = {}  # the longest idle first
        self._open: set[Connection] = set()
        self._closed = False

    @property
    def connections_open(self) -> int:
        """How many connections there are, in use or idle."""
        return len(self._open)

    @asynccontextmanager
    async def __call__(self, call: Call) -> AsyncIterator[Answer]:
        """Makes the call; see `ccrouter.upstream.dial.Dial`."""
        origin, target = split_url(call.url)
        route = find_route(origin, self._environ)
        request = render(call, route, target)
        connection, answer = await self._exchange(route, request, call)
        try:
            if answer.status == 407 and route.forwarder is not None:
                # The backend has not been asked: this cannot be its answer.
                raise ConnectFailed(f"cannot reach {route.origin}: {route.forwarder.refusal(407, '')}")
            yield answer
        finally:
            await self._release(route, connection)

    async def aclose(self) -> None:
        """Closes the idle connections; those in use are closed by their calls."""
        self._closed = True
        idle = [each.connection for group in self._idle.values() for each in group]
        self._idle.clear()
        await self._close(*idle)

    async def _exchange(self, route: Route, request: h11.Request, call: Call) -> tuple[Connection, HttpAnswer]:
        if (connection := await self._take(route)) is not None:
            began = trio.current_time()
            try:
                return connection, await self._ask(connection, request, call)
            except UpstreamBroken as error:
                if not error.before_reply or trio.current_time() - began > STALE_WITHIN:
                    raise
        connection = await connect(route, self._get_trust, call.timeouts.connect)
        self._open.add(connection)
        return connection, await self._ask(connection, request, call)

    async def _ask(self, connection: Connection, request: h11.Request, call: Call) -> HttpAnswer:
        """Puts the call on the connection, which is closed unless an answer is begun."""
        answer = None
        try:
            answer = await connection.exchange(request, call.body, call.timeouts)
        finally:
            if answer is None:
                await self._close(connection)
        return answer

    async def _take(self, route: Route) -> Connection | None:
        """The connection that was used last, if one is still good; closes all that are not."""
        now = trio.current_time()
        spent: list[Connection] = []
        for group in self._idle.values():
            while group and group[0].until <= now:
                spent.append(group.pop(0).connection)
        found = None
        group = self._idle.get(route, [])
        while group and found is None:
            connection = group.pop().connection
            if connection.quiet():
                found = connection
            else:
                spent.append(connection)
        self._idle = {each: group for each, group in self._idle.items() if group}
        await self._close(*spent)
        return found

    async def _release(self, route: Route, connection: Connection) -> None:
        group = self._idle.setdefault(route, [])
        if self._closed or len(group) >= self._max_idle or not connection.start_next_cycle():
            await self._close(connection)
        else:
            group.append(_Idle(connection, trio.current_time() + self._idle_seconds))

    async def _close(self, *connections: Connection) -> None:
        """Closes them all, also when cancelled."""
        self._open.difference_update(connections)
        for connection in connections:
            with trio.CancelScope(shield=True):  # does not wait: only lets the loop come to its end
                await connection.aclose()

    def _get_trust(self) -> Trust:
        if self._trust is None:
            self._trust = make_trust(self._environ)
        return self._trust
