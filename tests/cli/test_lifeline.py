"""When the one who started us is gone."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import trio
import trio.testing

from ccrouter.cli import lifeline


class Stdin:
    def __init__(self, fd: int) -> None:
        self._fd = fd

    def fileno(self) -> int:
        return self._fd


async def test_standard_input_is_read_to_its_end_and_left_in_its_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    monkeypatch.setattr(sys, "stdin", Stdin(reader))
    ended = False
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:

            async def watch() -> None:
                nonlocal ended
                await lifeline.stdin_closed()
                ended = True

            nursery.start_soon(watch)
            for _ in range(3):
                os.write(writer, b"x" * 1000)
                await trio.testing.wait_all_tasks_blocked(0.01)
                assert not ended
            assert os.get_blocking(reader)
            os.close(writer)
    assert ended
    os.close(reader)


async def test_waiting_for_standard_input_can_be_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    monkeypatch.setattr(sys, "stdin", Stdin(reader))
    with trio.move_on_after(0.01) as scope:
        await lifeline.stdin_closed()
    assert scope.cancelled_caught
    os.close(reader)
    os.close(writer)


@pytest.mark.parametrize("closed", [True, False])
async def test_a_standard_input_that_cannot_be_closed_counts_as_closed_and_says_so(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], closed: bool
) -> None:
    null = os.open(os.devnull, os.O_RDONLY)
    monkeypatch.setattr(sys, "stdin", None if closed else Stdin(null))
    with trio.fail_after(10):
        await lifeline.stdin_closed()
    os.close(null)
    assert "--exit-on-stdin-close ends the router at once" in capfd.readouterr().err


@pytest.mark.parametrize("descriptor", [True, False])
async def test_the_end_of_the_parent_is_noticed(monkeypatch: pytest.MonkeyPatch, descriptor: bool) -> None:
    monkeypatch.setattr(lifeline, "_LOOK", 0.01)
    if not descriptor:

        def refused(_pid: int) -> int:
            raise OSError

        monkeypatch.setattr(os, "pidfd_open", refused)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as parent:
        monkeypatch.setattr(os, "getppid", lambda: parent.pid if parent.poll() is None else 1)
        ended = False
        with trio.fail_after(10):
            async with trio.open_nursery() as nursery:

                async def watch() -> None:
                    nonlocal ended
                    await lifeline.parent_gone(parent.pid)
                    ended = True

                nursery.start_soon(watch)
                await trio.sleep(0.05)
                assert not ended
                parent.kill()
        assert ended


async def test_a_parent_that_ended_before_we_looked_is_noticed() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as parent:
        parent.wait()
    with trio.fail_after(10):
        await lifeline.parent_gone(parent.pid)


async def test_an_adopted_process_does_not_wait_for_who_took_it_in(monkeypatch: pytest.MonkeyPatch) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True
    ) as init:
        monkeypatch.setattr(os, "getppid", lambda: init.pid)
        monkeypatch.setattr(os, "getpid", lambda: -1)  # we lead no session
        with trio.fail_after(10):
            await lifeline.parent_gone(init.pid)
        init.kill()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has descriptors of processes")
async def test_a_process_that_has_the_parents_id_by_now_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        monkeypatch.setattr(os, "getppid", lambda: 1)
        with trio.fail_after(10):
            await lifeline.parent_gone(other.pid)
        other.kill()


@pytest.mark.parametrize(
    ("session", "of_parent", "expected"),
    [
        (100, 100, False),  # the usual case
        (100, 1, True),  # init took us in
        (42, 1, False),  # a service: we lead our own session, and init is the real parent
        (100, None, True),  # ended a moment ago
    ],
)
def test_a_real_parent_shares_our_session(
    monkeypatch: pytest.MonkeyPatch, session: int, of_parent: int | None, expected: bool
) -> None:
    def getsid(pid: int) -> int:
        if pid == 0:
            return session
        if of_parent is None:
            raise ProcessLookupError
        return of_parent

    monkeypatch.setattr(os, "getpid", lambda: 42)
    monkeypatch.setattr(os, "getsid", getsid)
    assert lifeline.adopted(7) == expected


def test_a_parent_outside_of_our_container_counts_as_real() -> None:
    assert not lifeline.adopted(0)
