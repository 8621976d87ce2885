"""How many requests a provider gets at one time, and whose turn it is (`ccrouter.routing.line`)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from ccrouter.errors import ApiError
from ccrouter.providers.provider import Provider, ProviderKey
from ccrouter.routing.line import Line, Ticket


class Limiter:
    """The lines of all providers that have a limit."""

    def __init__(self) -> None:
        self._lines: dict[ProviderKey, Line] = {}
        self._called: dict[Ticket, trio.Event] = {}

    @asynccontextmanager
    async def slot(self, provider: Provider, session: str | None) -> AsyncIterator[None]:
        """A place at ``provider`` for as long as the block runs; waits for it in the line.

        Cancelled while it waits, it leaves the line at once. Raises ApiError 529 when the wait is as long as a
        whole request may take.
        """
        if provider.max_concurrent is None:
            yield
            return
        line = self._line(provider)
        ticket = line.enter(session)
        try:
            if not ticket.admitted:
                called = self._called[ticket] = trio.Event()
                longest = provider.timeouts.total
                try:
                    with trio.move_on_after(longest) as waiting:
                        await called.wait()
                finally:
                    del self._called[ticket]
                if waiting.cancelled_caught and not ticket.admitted:
                    raise ApiError(
                        529,
                        "overloaded_error",
                        f"{provider.name}: no place was free for {longest:g} s"
                        f" (max_concurrent = {provider.max_concurrent} in [providers.{provider.name}])",
                    )
            yield
        finally:
            self._call(line.leave(ticket))

    def waiting(self, provider: Provider) -> tuple[int, int]:
        """How many are at a provider, and how many wait."""
        line = self._lines.get(provider.key)
        return (0, 0) if line is None else (line.inside, line.waiting)

    def _line(self, provider: Provider) -> Line:
        """The provider's line; a limit that was changed holds for those who come next."""
        places = provider.max_concurrent or 1
        line = self._lines.setdefault(provider.key, Line(places))
        if line.places != places:
            line.places = places
            self._call(line.admit())
        return line

    def _call(self, admitted: list[Ticket]) -> None:
        for each in admitted:
            if (called := self._called.get(each)) is not None:
                called.set()
