"""One holder at a time, over tasks and processes; and nobody waits without end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from ccrouter.file_lock import locked

HOLDER = """
import sys, trio
from pathlib import Path
from ccrouter.file_lock import locked

async def main():
    async with locked(Path(sys.argv[1]), 10):
        print("held", flush=True)
        sys.stdin.read()

trio.run(main)
"""


async def test_one_task_holds_it_at_a_time(tmp_path: Path) -> None:
    inside = 0
    most = 0

    async def hold() -> None:
        nonlocal inside, most
        async with locked(tmp_path / "lock", 10):
            inside += 1
            most = max(most, inside)
            await trio.sleep(0.001)
            inside -= 1

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(hold)
    assert most == 1


async def test_it_is_not_waited_for_longer_than_said(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with locked(tmp_path / "lock", 1):
        with pytest.raises(trio.TooSlowError):
            async with locked(tmp_path / "lock", 7):
                raise AssertionError
        assert trio.current_time() == pytest.approx(7)
    async with locked(tmp_path / "lock", 1):
        pass


async def test_another_process_holds_it_until_it_dies(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    argv = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    ) as holder:
        assert holder.stdout is not None
        assert await trio.to_thread.run_sync(holder.stdout.readline) == b"held\n"
        with pytest.raises(trio.TooSlowError):
            async with locked(path, 0.2):
                raise AssertionError
        holder.kill()
        async with locked(path, 10):
            pass


async def test_a_lock_that_can_not_be_made_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="lock"):
        async with locked(tmp_path / "missing" / "lock", 1):
            raise AssertionError
