"""A lock between processes: one file beside what it guards, held by at most one of them at a time.

The operating system lets go of it when its holder dies. The file itself stays: to remove it would let two
processes hold locks on two files of the same name.
"""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import trio

#: How often a lock that somebody else holds is tried, in seconds.
_AGAIN = 0.05


@asynccontextmanager
async def locked(path: Path, seconds: float) -> AsyncIterator[None]:
    """Holds the lock inside the context.

    Raises trio.TooSlowError when it cannot be had within ``seconds``, OSError when there can be no such file.
    """
    file = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
    try:
        with trio.fail_after(seconds):
            while not _try_lock(file):  # noqa: ASYNC110  no event tells of another process
                await trio.sleep(_AGAIN)
        try:
            yield
        finally:
            _unlock(file)
    finally:
        os.close(file)


if sys.platform == "win32":
    import msvcrt

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

    def _try_lock(file: int) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_UN)
