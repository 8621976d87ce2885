"""Patterns of rules: ``*`` stands for anything, everything else for itself. Pure.

No regular expressions: a project's file may hold patterns too, and no pattern may take long.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

#: What is longer, which only its sender knows how much, is not remembered.
_SHORT = 256


def fits(pattern: str, text: str) -> bool:
    """Whether a text is what a pattern says, in any case of its letters."""
    text = text.lower()
    first, inner, last = _parts(pattern)
    if last is None:
        return first == text
    if not text.startswith(first) or not text.endswith(last) or len(text) < len(first) + len(last):
        return False
    place, end = len(first), len(text) - len(last)
    for part in inner:
        found = text.find(part, place, end)
        if found < 0:
            return False
        place = found + len(part)
    return True


def one_fits(patterns: tuple[str, ...], text: str) -> bool:
    """Whether a text is what one of several patterns says."""
    return _one_fits(patterns, text) if len(text) <= _SHORT else any(fits(each, text) for each in patterns)


@lru_cache(maxsize=4096)  # each rule asks it of each request, mostly the same
def _one_fits(patterns: tuple[str, ...], text: str) -> bool:
    return any(fits(each, text) for each in patterns)


@lru_cache(maxsize=1024)
def _parts(pattern: str) -> tuple[str, tuple[str, ...], str | None]:
    """What stands before the first star, between two, and behind the last; None where there is none."""
    first, *rest = pattern.lower().split("*")
    return (first, tuple(rest[:-1]), rest[-1]) if rest else (first, (), None)


@lru_cache(maxsize=1024)  # the same few directories again and again
def covers(pattern: str, directory: str, home: str) -> bool:
    """Whether a directory is one that a pattern says, or lies below it. ``~`` is ``home``, where that is known.

    ``*`` stays within one name, ``**`` stands for any number of them. Both kinds of slashes are one.
    """
    if pattern == "~" or pattern.startswith(("~/", "~\\")):
        if not home:
            return False
        pattern = home.rstrip("/\\") + pattern[1:]
    return _walk([*_names(pattern), "**"], _names(directory), fits)


def _names(path: str) -> list[str]:
    return path.replace("\\", "/").rstrip("/").split("/")


def _walk(wanted: Sequence[str], there: Sequence[str], same: Callable[[str, str], bool]) -> bool:
    """Names against names; where it goes wrong, the last ``**`` takes one name more."""
    w = t = 0
    star, taken = -1, 0
    while t < len(there):
        if w < len(wanted) and wanted[w] == "**":
            star, taken, w = w, t, w + 1
        elif w < len(wanted) and same(wanted[w], there[t]):
            w, t = w + 1, t + 1
        elif star >= 0:
            taken += 1
            w, t = star + 1, taken
        else:
            return False
    return all(each == "**" for each in wanted[w:])
