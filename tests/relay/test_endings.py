"""Hang-up, stop, backpressure: nothing stays open, nothing is read ahead."""

from __future__ import annotations

import trio
from trio.testing import MockClock, lockstep_stream_pair

from ccrouter.wire import events
from tests.cancelling import CancelAt
from tests.rig import Script, Sleep, Step, event_types, message, request, rig, talk

# Hang-up


async def test_a_hang_up_closes_the_backend_at_once() -> None:
    it = rig(Script(body=[message()[0], Sleep(1e6)]))
    async with talk(it) as client:
        await client.send(request())
        await client.head()
        await client.some()
        assert (it.dial.opened, it.dial.closed) == (1, 0)
        await trio.aclose_forcefully(client.stream)
        await trio.testing.wait_all_tasks_blocked()
        assert it.dial.closed == 1
    assert "hung_up" in it.lines[-1]


async def test_a_client_that_goes_when_it_has_heard_the_end_has_its_answer() -> None:
    """The backend holds the connection open for a while, and the client's program ends with its answer."""
    it = rig(Script(body=[*message(), Sleep(1e6)]))
    async with talk(it) as client:
        await client.send(request())
        await client.head()
        while b"message_stop" not in await client.some():
            pass
        await trio.aclose_forcefully(client.stream)
        await trio.testing.wait_all_tasks_blocked()
        assert it.dial.closed == 1
    (trail,) = it.dispatch.trails.last(1)
    assert trail.result == "done"
    assert trail.usage["output_tokens"] == 5


async def test_a_hang_up_before_the_reply_closes_the_backend_at_once() -> None:
    it = rig(Script(before=[Sleep(1e6)]))
    async with talk(it) as client:
        await client.send(request())
        await trio.testing.wait_all_tasks_blocked()
        assert (it.dial.opened, it.dial.closed) == (1, 0)
        await trio.aclose_forcefully(client.stream)
        await trio.testing.wait_all_tasks_blocked()
        assert it.dial.closed == 1


async def test_cancelled_at_any_step_it_leaves_no_task_and_no_open_call(autojump_clock: MockClock) -> None:
    """Whatever the moment, all that was opened is closed once, and the cancellation is not lost."""
    frames = message()
    steps = 0
    finished = False
    while not finished:
        steps += 1
        it = rig(Script(before=[Sleep(1)], body=[frames[0], Sleep(20), *frames[1:]]))
        with trio.CancelScope() as scope:
            instrument = CancelAt(scope, steps)
            trio.lowlevel.add_instrument(instrument)
            try:
                async with talk(it) as client:
                    await client.send(request())
                    await client.reply()
                    finished = True
            finally:
                trio.lowlevel.remove_instrument(instrument)
        assert it.dial.opened == it.dial.closed <= 1
        if finished and scope.cancel_called:
            finished = False
    assert steps > 30


# Stop


async def test_a_stop_ends_a_running_stream_with_an_error_event() -> None:
    it = rig(Script(body=[*message()[:3], Sleep(1e6)]))
    async with talk(it) as client:
        await client.send(request())
        await client.head()
        seen = b""
        while event_types(seen) != ["message_start", "content_block_start", "content_block_delta"]:
            seen += await client.some()
        it.ending.set()
        last = await client.rest()
    assert event_types(last) == ["error"]
    assert b"overloaded_error" in last
    assert it.dial.closed == 1


async def test_a_stop_before_the_first_event_has_a_status() -> None:
    it = rig(Script(before=[Sleep(1e6)]))
    async with talk(it) as client:
        await client.send(request())
        await trio.testing.wait_all_tasks_blocked()
        it.ending.set()
        await client.reply()
    assert client.status == 529
    assert client.headers["retry-after"] == "5"


# Backpressure


async def test_a_client_that_does_not_read_stops_the_reading_of_the_backend() -> None:
    piece = events.encode({"type": "ping", "pad": "x" * 1000})
    body: list[Step] = [message()[0], *[piece] * 1000, *message()[1:]]
    it = rig(Script(body=body))
    async with talk(it, pair=lockstep_stream_pair) as client:
        await client.send(request())
        await client.head()
        (answer,) = it.dial.answers
        for _ in range(20):
            await trio.testing.wait_all_tasks_blocked()
        stalled = answer.reads
        assert stalled <= 4  # one being written, one in the channel's hands, one being read
        for _ in range(20):
            await trio.testing.wait_all_tasks_blocked()
        assert answer.reads == stalled
        assert len(await client.rest()) > 1_000_000
        assert answer.reads == len(body)
