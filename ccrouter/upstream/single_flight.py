"""One run for all who want its result at the same time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import trio

from ccrouter.errors import SecretError

K = TypeVar("K")
T = TypeVar("T")


class _Flight(Generic[T]):
    """One run that others wait for. With neither a value nor a failure it was given up."""

    def __init__(self) -> None:
        self.landed = trio.Event()
        self.value: tuple[T] | None = None
        self.failure: str | None = None


class SingleFlight(Generic[K, T]):
    """At most one run for each key at a time; who comes while it runs gets its result.

    The run belongs to the task that came first. If that one is cancelled, the next in line runs anew;
    cancelling any other changes nothing for the rest. A SecretError reaches all who waited; nothing is kept.
    """

    def __init__(self) -> None:
        self._flights: dict[K, _Flight[T]] = {}

    async def join(self, key: K, run: Callable[[], Awaitable[T]]) -> T:
        """What ``run()`` gives, or gave to the task that it runs for already."""
        while (flight := self._flights.get(key)) is not None:
            await flight.landed.wait()
            if flight.failure is not None:
                raise SecretError(flight.failure)
            if flight.value is not None:
                return flight.value[0]
        flight = self._flights[key] = _Flight()
        try:
            value = await run()
        except SecretError as error:
            flight.failure = str(error)
            raise
        else:
            flight.value = (value,)
            return value
        finally:
            del self._flights[key]
            flight.landed.set()
