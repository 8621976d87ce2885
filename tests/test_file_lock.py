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


@pytest.mark.parametrize("remove", [False, True])
async def test_one_task_holds_it_at_a_time(tmp_path: Path, remove: bool, autojump_clock: MockClock) -> None:
    inside = 0
    most = 0

    async def hold() -> None:
        nonlocal inside, most
        async with locked(tmp_path / "lock", 100, remove=remove):
            inside += 1
            most = max(most, inside)
            await trio.sleep(0.07)  # somebody waits for the file that is removed then, and somebody comes anew
            inside -= 1

    async with trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(hold)
            await trio.sleep(0.03 * (number % 3))
    assert most == 1
    assert [each.name for each in tmp_path.iterdir()] == ([] if remove else ["lock"])


async def test_a_file_that_was_removed_is_not_held(tmp_path: Path, autojump_clock: MockClock) -> None:
    path = tmp_path / "lock"
    order = []

    async def wait(name: str) -> None:
        async with locked(path, 10, remove=True):
            order.append(name)
            await trio.sleep(1)
            order.append(name)

    async with trio.open_nursery() as nursery:
        async with locked(path, 1, remove=True):
            nursery.start_soon(wait, "before")
            await trio.sleep(0.06)
        nursery.start_soon(wait, "after")  # it finds no file, and makes one
    assert order[0] == order[1] != order[2] == order[3]
    assert list(tmp_path.iterdir()) == []


async def test_a_file_that_can_not_be_removed_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, missing_ok: bool = False) -> None:
        raise PermissionError(self)

    monkeypatch.setattr(Path, "unlink", refuse)
    for _ in range(2):
        async with locked(tmp_path / "lock", 1, remove=True):
            pass
    assert [each.name for each in tmp_path.iterdir()] == ["lock"]


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
