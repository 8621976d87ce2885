from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from ccrouter.errors import SecretError
from ccrouter.upstream.single_flight import SingleFlight


async def test_each_key_has_a_run_of_its_own_and_each_time_a_new_one() -> None:
    flights: SingleFlight[str, str] = SingleFlight()
    runs: list[str] = []
    found: list[str] = []

    async def join(key: str) -> None:
        async def run() -> str:
            runs.append(key)
            await trio.testing.wait_all_tasks_blocked()
            return f"{key}{runs.count(key)}"

        found.append(await flights.join(key, run))

    for _ in range(2):
        async with trio.open_nursery() as nursery:
            for key in "aabba":
                nursery.start_soon(join, key)
    assert sorted(runs) == ["a", "a", "b", "b"]
    assert sorted(found) == ["a1"] * 3 + ["a2"] * 3 + ["b1"] * 2 + ["b2"] * 2


@pytest.mark.parametrize(
    ("how", "ends"),
    [
        ("cancelled", ["second", "second"]),
        ("failed", ["SecretError"] * 3),
        ("broken", ["ValueError", "second", "second"]),
    ],
)
async def test_a_run_that_is_given_up_is_run_anew_for_the_next_and_a_failure_is_everybodys(
    how: str, ends: list[str]
) -> None:
    flights: SingleFlight[None, str] = SingleFlight(share=(SecretError,))
    proceed = trio.Event()
    found: list[str] = []

    async def first() -> str:
        await proceed.wait()
        raise SecretError("no") if how == "failed" else ValueError

    async def second() -> str:
        await trio.testing.wait_all_tasks_blocked()
        return "second"

    async def join(run: Callable[[], Awaitable[str]] = second) -> None:
        try:
            found.append(await flights.join(None, run))
        except (SecretError, ValueError) as error:
            found.append(type(error).__name__)

    scope = trio.CancelScope()

    async def lead() -> None:
        with scope:
            await join(first)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(lead)
        await trio.testing.wait_all_tasks_blocked()
        for _ in range(2):
            nursery.start_soon(join)
        await trio.testing.wait_all_tasks_blocked()
        if how == "cancelled":
            scope.cancel()
        proceed.set()
    assert sorted(found) == sorted(ends)


async def test_who_shares_a_failure_raises_one_of_its_own() -> None:
    class Locked(SecretError):
        """Of a class of its own."""

    flights: SingleFlight[None, str] = SingleFlight(share=(SecretError,))
    found: list[Locked] = []

    async def run() -> str:
        await trio.testing.wait_all_tasks_blocked()
        raise Locked("no")

    async def join() -> None:
        with pytest.raises(Locked, match="no") as caught:
            await flights.join(None, run)
        found.append(caught.value)

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(join)
    first, *others = found
    assert len({id(each) for each in found}) == 3
    assert all(each.__cause__ is first for each in others)


async def test_who_has_waited_long_enough_goes_without_and_the_run_goes_on(autojump_clock: MockClock) -> None:
    flights: SingleFlight[None, str] = SingleFlight()
    found: list[tuple[str | None, float]] = []

    async def run() -> str:
        await trio.sleep(5)
        return "late"

    async def join(deadline: float) -> None:
        told = await flights.join(None, run, deadline=began + deadline)
        found.append((told, trio.current_time() - began))

    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(join, 1)  # its own run, which has its own deadlines
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(join, 2)
        nursery.start_soon(join, 9)
    assert found == [(None, 2), ("late", 5), ("late", 5)]
