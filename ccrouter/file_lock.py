"""A lock between processes: one file beside what it guards, held by at most one of them at a time.

The operating system lets go of it when its holder dies. The file itself stays, unless it is to be removed where
others want none of ours. Its holder does that, so that two processes could hold locks on two files of one name: a
lock only counts on the file that still has the name.
"""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import trio

#: How often a lock that somebody else holds is tried, in seconds.
_AGAIN = 0.05


@asynccontextmanager
async def locked(path: Path, seconds: float, *, remove: bool = False) -> AsyncIterator[None]:
    """Holds the lock inside the context. ``remove``: the file is gone after it.

    Raises trio.TooSlowError when it cannot be had within ``seconds``, OSError when there can be no such file.
    """
    with trio.fail_after(seconds):
        file = await _held(path)
    try:
        yield
    finally:
        if remove and _REMOVED_WHILE_HELD:
            _remove(path)
        _unlock(file)
        os.close(file)
        if remove and not _REMOVED_WHILE_HELD:
            _remove(path)


async def _held(path: Path) -> int:
    """The open file of that name, locked."""
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
        try:
            while not _try_lock(file):  # noqa: ASYNC110  no event tells of another process
                await trio.sleep(_AGAIN)
            if _has_its_name(file, path):
                return file
            _unlock(file)
            await trio.lowlevel.checkpoint()
        except BaseException:
            os.close(file)
            raise
        os.close(file)


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()


def _has_its_name(file: int, path: Path) -> bool:
    """Whether who held the lock before has left the file in its place."""
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False


if sys.platform == "win32":
    import msvcrt

    #: An open file can't be removed here. One that nobody has open, nobody waits for.
    _REMOVED_WHILE_HELD = False

    def _try_lock(file: int) -> bool:
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _unlock(file: int) -> None:
        msvcrt.locking(file, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    _REMOVED_WHILE_HELD = True

    def _try_lock(file: int) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_UN)
