"""No more at a provider than there are places, whatever comes and goes, and nobody waits for nothing."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from ccrouter.attempt.limiter import Limiter
from ccrouter.errors import ApiError
from ccrouter.providers.provider import Provider, Timeouts
from tests.cancelling import CancelAt
from tests.rig import provider


def limited(places: int | None, **changes: Any) -> Provider:
    return provider("ollama", max_concurrent=places, **changes)


async def test_without_a_limit_nobody_is_counted() -> None:
    places = Limiter()
    async with places.slot(limited(None), "a"), places.slot(limited(None), "a"):
        assert places.waiting(limited(None)) == (0, 0)


async def test_who_finds_no_place_waits_until_one_is_free(autojump_clock: MockClock) -> None:
    places, one = Limiter(), limited(1)
    seen = []

    async def work(name: str, seconds: float) -> None:
        async with places.slot(one, name):
            seen.append((name, trio.current_time()))
            await trio.sleep(seconds)

    async with trio.open_nursery() as nursery:
        for name in "abc":
            nursery.start_soon(work, name, 2)
            await trio.testing.wait_all_tasks_blocked()
        assert places.waiting(one) == (1, 2)
    assert seen == [("a", 0), ("b", 2), ("c", 4)]
    assert places.waiting(one) == (0, 0)


async def test_a_session_with_much_to_do_does_not_keep_another_waiting(autojump_clock: MockClock) -> None:
    places, one = Limiter(), limited(1)
    seen = []

    async def work(name: str) -> None:
        async with places.slot(one, name):
            seen.append(name)
            await trio.sleep(1)

    async with trio.open_nursery() as nursery:
        for name in "aaaaaab":
            nursery.start_soon(work, name)
            await trio.testing.wait_all_tasks_blocked()
    assert seen == list("aabaaaa")


@pytest.mark.parametrize("how", ["error", "cancelled"])
async def test_a_place_is_given_back_however_it_was_left(how: str, autojump_clock: MockClock) -> None:
    places, one = Limiter(), limited(1)
    if how == "error":
        with pytest.raises(ValueError, match="oops"):
            async with places.slot(one, "a"):
                raise ValueError("oops")
    else:
        with trio.move_on_after(1):
            async with places.slot(one, "a"):
                await trio.sleep_forever()
    assert places.waiting(one) == (0, 0)
    with trio.fail_after(1):
        async with places.slot(one, "b"):
            assert places.waiting(one) == (1, 0)


async def test_who_is_cancelled_in_the_line_leaves_it_at_once(autojump_clock: MockClock) -> None:
    places, one = Limiter(), limited(1)
    async with places.slot(one, "a"):
        with trio.move_on_after(1):
            async with places.slot(one, "b"):
                raise AssertionError("there was no place")
        assert places.waiting(one) == (1, 0)
        assert trio.current_time() == 1


async def test_a_place_that_comes_with_the_cancellation_goes_to_the_next(autojump_clock: MockClock) -> None:
    places, one = Limiter(), limited(1)
    got = []

    async def wait(name: str, scope: trio.CancelScope) -> None:
        with scope:
            async with places.slot(one, name):
                got.append(name)
                await trio.lowlevel.checkpoint()

    scopes = {name: trio.CancelScope() for name in "bc"}
    async with trio.open_nursery() as nursery:
        async with places.slot(one, "a"):
            for name, scope in scopes.items():
                nursery.start_soon(wait, name, scope)
                await trio.testing.wait_all_tasks_blocked()
        scopes["b"].cancel()  # called already, and not yet awake
    assert got[-1] == "c"
    assert places.waiting(one) == (0, 0)


async def test_another_limit_holds_for_those_who_come_next(autojump_clock: MockClock) -> None:
    places = Limiter()
    inside = 0

    async def work(places_: int) -> None:
        nonlocal inside
        async with places.slot(limited(places_), "a"):
            inside += 1
            await trio.sleep(10)
            inside -= 1

    async with trio.open_nursery() as nursery:
        for _ in range(4):
            nursery.start_soon(work, 1)
        await trio.testing.wait_all_tasks_blocked()
        assert (inside, places.waiting(limited(1))) == (1, (1, 3))
        nursery.start_soon(work, 3)  # opens two more places: the first go to those who wait
        await trio.testing.wait_all_tasks_blocked()
        assert (inside, places.waiting(limited(3))) == (3, (3, 2))
        nursery.start_soon(work, 1)
        await trio.sleep(10.5)
        assert inside <= 1
    assert places.waiting(limited(1)) == (0, 0)


async def test_the_same_name_at_another_address_has_a_line_of_its_own() -> None:
    places, here = Limiter(), limited(1)
    there = evolve(here, base_url="http://192.0.2.1:11434")
    async with places.slot(here, "a"), places.slot(there, "a"):
        assert places.waiting(here) == places.waiting(there) == (1, 0)


VISITS = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.integers(0, 8),  # comes
        st.integers(0, 4),  # stays
        st.none() | st.integers(0, 8),  # is cancelled so long after it came
        st.booleans(),  # fails
    ),
    max_size=14,
)


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 3), VISITS)
def test_places_are_exact_under_any_arrivals_and_cancellations(
    number: int, visits: list[tuple[str, int, int, int | None, bool]]
) -> None:
    places, to = Limiter(), limited(number)
    inside = 0
    served: list[str] = []

    async def visit(session: str, comes: int, stays: int, cancelled: int | None, fails: bool) -> None:
        nonlocal inside
        await trio.sleep(comes)
        with trio.move_on_after(float("inf") if cancelled is None else cancelled):
            try:
                async with places.slot(to, session):
                    inside += 1
                    try:
                        assert inside <= number
                        await trio.sleep(stays)
                        served.append(session)
                        if fails:
                            raise KeyError
                    finally:
                        inside -= 1
            except KeyError:
                pass

    async def watch() -> None:
        """Nobody waits while a place is free."""
        for _ in range(40):
            await trio.sleep(0.5)
            await trio.testing.wait_all_tasks_blocked()
            in_place, waiting = places.waiting(to)
            assert in_place == inside
            assert waiting == 0 or in_place == number

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch)
            for each in visits:
                nursery.start_soon(visit, *each)

    trio.run(main, clock=MockClock(autojump_threshold=0))
    assert places.waiting(to) == (0, 0)
    assert places._called == {}
    patient = [session for session, _, _, cancelled, _ in visits if cancelled is None]
    assert all(served.count(each) >= patient.count(each) for each in patient)


async def test_cancelled_at_any_step_no_place_is_lost(autojump_clock: MockClock) -> None:
    finished, steps = False, 0
    while not finished:
        steps += 1
        places, two = Limiter(), limited(2)
        others = 0

        async def work() -> None:
            nonlocal others
            async with places.slot(two, "others"):  # noqa: B023
                await trio.sleep(1)
                others += 1

        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(work)
            with trio.CancelScope() as scope:
                instrument = CancelAt(scope, steps)
                trio.lowlevel.add_instrument(instrument)
                try:
                    async with places.slot(two, "mine"):
                        await trio.sleep(1)
                    finished = not scope.cancel_called
                finally:
                    trio.lowlevel.remove_instrument(instrument)
        assert others == 3
        assert places.waiting(two) == (0, 0)
        assert places._called == {}
    assert steps > 3


async def test_who_waits_as_long_as_a_request_may_take_is_told_so(autojump_clock: MockClock) -> None:
    places = Limiter()
    one = limited(1, timeouts=Timeouts(total=60))
    async with places.slot(one, "a"):
        with pytest.raises(ApiError, match="no place was free for 60 s") as caught:
            async with places.slot(one, "b"):
                pytest.fail("there was one")
        assert trio.current_time() == 60
        assert caught.value.status == 529
        assert places.waiting(one) == (1, 0)
    async with places.slot(one, "b"):
        assert places.waiting(one) == (1, 0)
