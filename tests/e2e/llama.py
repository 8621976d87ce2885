"""Starts the real llama.cpp server of `tests.e2e.llama_server` in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen

from tests.e2e import child
from tests.e2e.child import Missing

MODEL = "tiny"
SENTENCE = "tiny ü."
WINDOW = 8192
#: A prompt that is answered without end.
ENDLESS = "go on without end"

_QUESTION_DEADLINE = 60.0


@frozen
class Llama:
    """The running server."""

    url: str


def python() -> str:
    """A Python that can run it. Raises Missing."""
    chosen = os.environ.get("CCROUTER_TEST_LLAMA_PYTHON") or sys.executable
    question = [chosen, "-c", "import gguf, numpy, xllamacpp"]
    try:
        done = subprocess.run(question, capture_output=True, text=True, timeout=_QUESTION_DEADLINE, check=False)
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
    with child.serve([python(), script, folder / "tiny.gguf"], folder / "llama.log") as url:
        yield Llama(url)
