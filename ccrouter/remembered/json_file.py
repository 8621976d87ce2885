"""A private file of JSON: read as far as it can be, written whole or not at all."""

from __future__ import annotations

import errno
import json
import math
import os
import tempfile
from pathlib import Path
from typing import Any

from ccrouter.files import NotRegular, Replacement, TooLarge, read_regular

#: A file that is larger is something else.
_LARGEST = 8 * 1024 * 1024

_DIGITS = 30


def load(path: Path) -> dict[str, Any]:
    """What stands in the file.

    Raises FileNotFoundError where there is none, OSError where it cannot be read, and ValueError where it is
    damaged: no file, or no JSON object.
    """
    try:
        value = json.loads(
            read_regular(path, _LARGEST), parse_int=_whole, parse_float=_fraction, parse_constant=_fraction
        )
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except (NotRegular, TooLarge) as error:
        raise ValueError(error.strerror) from None
    except OSError:
        if path.is_symlink() and not path.exists():
            raise ValueError("a link that leads nowhere") from None
        raise
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
    with Replacement(path) as replacement:
        replacement.put(text.encode())


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
