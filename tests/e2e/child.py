"""Servers that live in a process of their own for as long as a test needs them.

What such a server has to do: say ``LISTENING URL`` in a line of standard output once it serves, and end when its
standard input does, so that it never outlives the tests, however they end.
"""

from __future__ import annotations

import os
import select
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

#: LiteLLM takes seven to fifteen seconds to be imported on a machine that is idle, the others one.
_START_DEADLINE = 120.0
_STOP_DEADLINE = 20.0


class Missing(Exception):
    """What a test needs cannot be had here; the message says why."""


@contextmanager
def serve(command: Sequence[str | Path], log: Path, *, environ: Mapping[str, str] | None = None) -> Iterator[str]:
    """A server for the block: its address. What it says on standard error is written to ``log``."""
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=file
        )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield _address(process.stdout.fileno(), log)
    finally:
        process.stdin.close()
        try:
            process.wait(_STOP_DEADLINE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def _address(fd: int, log: Path) -> str:
    said = b""
    deadline = time.monotonic() + _START_DEADLINE
    while time.monotonic() < deadline:
        if select.select([fd], [], [], 0.5)[0]:
            data = os.read(fd, 65536)
            said += data
            for line in said.splitlines(keepends=True):
                if line.startswith(b"LISTENING ") and line.endswith(b"\n"):
                    return line.split()[1].decode()
            if not data:
                break
    raise AssertionError(f"a server did not start:\n{log.read_text(errors='replace')[-2000:]}")
