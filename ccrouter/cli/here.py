"""The directory that a command runs in, which may be gone: removed, or of a disk that is no more."""

from __future__ import annotations

from pathlib import Path


def here() -> Path | None:
    """The current directory; None where it does not exist any more."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        return None
