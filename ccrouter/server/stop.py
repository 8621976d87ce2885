"""The word that a server is to stop, what is still at work then, and a task that ends a scope at such a word."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio
from attrs import define, field


@define
class Stop:
    """How a server is stopped: `drain` lets what runs come to its end, `end` does not.

    ``draining`` and ``ending`` are events that anybody may wait for. ``open`` counts the connections, ``idle``
    holds the scopes of those that wait for a request.
    """

    open: int = 0
    idle: set[trio.CancelScope] = field(factory=set)
    draining: trio.Event = field(factory=trio.Event)
    ending: trio.Event = field(factory=trio.Event)

    @property
    def busy(self) -> int:
        """How many requests are being answered."""
        return self.open - len(self.idle)

    def drain(self) -> None:
        """Accept no more; wait for what runs."""
        self.draining.set()

    def end(self) -> None:
        """End what runs, with its last words."""
        self.draining.set()
        self.ending.set()


async def cancel_when(wait: Callable[[], Awaitable[object]], scope: trio.CancelScope) -> None:
    """A task that ends a scope when what it waits for has come."""
    await wait()
    scope.cancel()
