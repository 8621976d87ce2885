"""Small programs for tests to find on a PATH."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path


def write_program(path: Path, code: str, *flags: str) -> None:
    """An executable file that runs ``code`` by this Python.

    Not by a line ``#!…/python``: the kernel cuts it at 127 characters or at the first space of the checkout's path.
    """
    source = path.with_name(path.name + ".source.py")
    source.write_text(code)
    words = shlex.join([sys.executable, *flags, str(source)])
    path.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
    path.chmod(0o755)
