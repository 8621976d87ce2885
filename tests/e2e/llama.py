"""Starts the real llama.cpp server of `tests.e2e.llama_server` in a process of its own."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen

MODEL = "tiny"
SENTENCE = "tiny ü."
WINDOW = 8192
#: A prompt that is answered without end.
ENDLESS = "go on without end"

_START_DEADLINE = 60.0
_STOP_DEADLINE = 20.0


class Missing(Exception):
    """It cannot be had here; the message says why."""


@frozen
class Llama:
    """The running server."""

    url: str


def python() -> str:
    """A Python that can run it. Raises Missing."""
    chosen = os.environ.get("CCROUTER_TEST_LLAMA_PYTHON") or sys.executable
    question = [chosen, "-c", "import gguf, numpy, xllamacpp"]
    try:
        done = subprocess.run(question, capture_output=True, text=True, timeout=_START_DEADLINE, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Missing(f"{chosen} does not run: {error}") from None
    if done.returncode != 0:
        why = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
        raise Missing(
            f"no llama.cpp server: {why[0]} (build/requirements/e2e.txt brings it; CCROUTER_TEST_LLAMA_PYTHON names "
            "a Python that has it)"
        )
    return chosen


@contextmanager
def serve(folder: Path) -> Iterator[Llama]:
    """A server for the block; its model and its log are written to ``folder``. Raises Missing."""
    script = Path(__file__).with_name("llama_server.py")
    command = [python(), str(script), str(folder / "tiny.gguf")]
    with (folder / "llama.log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield Llama(_address(process.stdout.fileno(), folder / "llama.log"))
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
    raise AssertionError(f"the llama.cpp server did not start:\n{log.read_text(errors='replace')[-2000:]}")
