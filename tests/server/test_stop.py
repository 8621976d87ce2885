from __future__ import annotations

from ccrouter.server.stop import Stop


async def test_draining_is_not_ending() -> None:
    stop = Stop()
    assert not stop.draining.is_set()
    stop.drain()
    assert stop.draining.is_set()
    assert not stop.ending.is_set()


async def test_ending_is_draining_too_and_both_can_be_said_again() -> None:
    stop = Stop()
    stop.end()
    stop.end()
    stop.drain()
    assert stop.draining.is_set()
    assert stop.ending.is_set()
