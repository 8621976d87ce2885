"""A private file of JSON: read as far as it can be, written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import tempfile
from pathlib import Path
from typing import Any

from attrs import frozen

#: A file that is larger is something else.
_LARGEST = 8 * 1024 * 1024

_DIGITS = 30


@frozen
class Stamp:
    """What tells one version of a file from another."""

    inode: int
    size: int
    changed: int
    allowed: int
    """When its owner or mode changed: who may read it is a part of what can be read."""


def stamp(path: Path | str) -> Stamp | None:
    """The stamp of a file; None: there is none that can be read."""
    try:
        seen = os.stat(path)  # noqa: PTH116  half as long as Path.stat, many times for each request
    except (OSError, ValueError):  # ValueError: a NUL in a path that a client named
        return None
    return Stamp(seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns)


def load(path: Path) -> dict[str, Any]:
    """What stands in the file.

    Raises FileNotFoundError where there is none, OSError where it cannot be read, and ValueError where it is
    damaged: no file, or no JSON object.
    """
    try:
        if not path.is_file() and os.path.lexists(path):  # a pipe in its place would hold the router up
            raise ValueError("not a file")
        with path.open("rb") as file:
            value = json.loads(
                file.read(_LARGEST), parse_int=_whole, parse_float=_fraction, parse_constant=_fraction
            )
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if isinstance(value, dict):
        return value
    raise ValueError("not an object")


def read(path: Path) -> dict[str, Any]:
    """What stands in the file; empty where it is not there, or no JSON object."""
    try:
        return load(path)
    except (OSError, ValueError):
        return {}


def try_out(folder: Path) -> None:
    """See whether files can be made in a folder, which is made where it is missing. Raises OSError."""
    make_folder(folder)
    with tempfile.TemporaryFile(dir=folder):
        pass


def make_folder(path: Path) -> None:
    """Make a folder for its owner alone, with those above it. Raises OSError.

    Where not even its first folder below the root is there, as for users without a home, there is no place for it:
    root itself could make one, and nobody would look for it there.
    """
    top = Path(path.anchor, *path.parts[1:2])
    if not top.exists():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(top))
    path.mkdir(mode=0o700, parents=True, exist_ok=True)


def write(path: Path, value: dict[str, Any]) -> None:
    """Put ``value`` in the file's place; raises OSError. Readers see the old version or the new one."""
    try:
        text = json.dumps(value, indent=1) + "\n"
    except RecursionError:
        raise OSError("nested too deeply to be written") from None
    make_folder(path.parent)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())  # or a power cut could leave the name to an empty file
        draft.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
        raise


def _whole(digits: str) -> int:
    """One that can be reckoned with; no file of ours has a longer one."""
    if len(digits) > _DIGITS:
        raise ValueError("a number that is too large")
    return int(digits)


def _fraction(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError("a number without end")
    return value
