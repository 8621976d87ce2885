"""One run for all who want its result at the same time."""

from __future__ import annotations

import copy
import math
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar, overload

import trio

K = TypeVar("K")
T = TypeVar("T")


class _Flight(Generic[T]):
    """One run that others wait for. With neither a value nor a failure it was given up."""

    def __init__(self) -> None:
        self.landed = trio.Event()
        self.value: tuple[T] | None = None
        self.failure: Exception | None = None


class SingleFlight(Generic[K, T]):
    """At most one run for each key at a time; who comes while it runs gets its result.

    The run belongs to the task that came first. If that one is cancelled, the next in line runs anew;
    cancelling any other changes nothing for the rest. A failure of a class in ``share`` reaches all who waited,
    each as one of its own; any other is its runner's alone, and the next runs anew. Nothing is kept.
    """

    def __init__(self, *, share: tuple[type[Exception], ...] = ()) -> None:
        self._flights: dict[K, _Flight[T]] = {}
        self._share = share

    @overload
    async def join(self, key: K, run: Callable[[], Awaitable[T]]) -> T: ...

    @overload
    async def join(self, key: K, run: Callable[[], Awaitable[T]], *, deadline: float) -> T | None: ...

    async def join(self, key: K, run: Callable[[], Awaitable[T]], *, deadline: float = math.inf) -> T | None:
        """What ``run()`` gives, or gave to the task that it runs for already.

        ``deadline``: when to wait no more for another task's run, on trio's clock; then None. A run of one's own
        has its own deadlines.
        """
        with trio.move_on_at(deadline) as waiting:
            while (flight := self._flights.get(key)) is not None:
                await flight.landed.wait()
                if flight.failure is not None:
                    # An exception that several tasks raise would gather the tracebacks of them all.
                    raise copy.copy(flight.failure) from flight.failure
                if flight.value is not None:
                    return flight.value[0]
        if waiting.cancelled_caught:
            return None
        flight = self._flights[key] = _Flight()
        try:
            value = await run()
        except self._share as error:
            flight.failure = error
            raise
        else:
            flight.value = (value,)
            return value
        finally:
            del self._flights[key]
            flight.landed.set()
