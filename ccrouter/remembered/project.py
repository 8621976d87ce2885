"""A project's own ``.ccrouter.toml``: found in the client's directory or above it, read again when it changes.

A repository that somebody else wrote may hold one, so it can do little: it names models and has rules
(`ccrouter.routing.profiles.Project`). It is read only where it is an ordinary file of this user's. One with a
mistake counts for nothing, and the mistake is told.
"""

from __future__ import annotations

import os
from pathlib import Path

from attrs import frozen

from ccrouter.files import NotRegular, Stamp, open_regular, stamp
from ccrouter.routing.load import project
from ccrouter.routing.profiles import Project

NAME = ".ccrouter.toml"

_LARGEST = 64 * 1024

#: How many of its mistakes are told, and in how many characters: they stay in memory with each request.
_TOLD = 3
_LONGEST = 1_000

#: How many directories up it is looked for, and how many projects are kept.
_DEEPEST = 32
_MOST = 256


@frozen
class Found:
    """What stands in a project's file; ``problem`` is what is wrong with it."""

    path: Path
    project: Project | None = None
    problem: str | None = None


class ProjectFiles:
    """The files of all projects."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[Stamp, Found]] = {}
        self._places: dict[str, tuple[str, ...]] = {}

    def of(self, directory: str) -> Found | None:
        """The nearest file at or above a directory; None where there is none. A `stat` for each directory."""
        places = self._places.get(directory)
        if places is None:
            places = self._places[directory] = _places(Path(directory))
            if len(self._places) > _MOST:
                del self._places[next(iter(self._places))]
        for path in places:
            if not os.path.lexists(path):
                continue
            seen = stamp(path)
            if seen is None:
                return Found(Path(path), problem=f"{path}: is a link that leads nowhere")
            return self._read(path, seen)
        return None

    def _read(self, path: str, seen: Stamp) -> Found:
        known = self._found.get(path)
        if known is not None and known[0] == seen:
            return known[1]
        found = _read(Path(path))
        self._found[path] = seen, found
        if len(self._found) > _MOST:
            del self._found[next(iter(self._found))]
        return found


def _places(directory: Path) -> tuple[str, ...]:
    """Where a directory's file may be, the nearest first. To put that together takes longer than to look."""
    if not directory.is_absolute():
        return ()
    return tuple(str(folder / NAME) for folder in [directory, *directory.parents][:_DEEPEST])


def _read(path: Path) -> Found:
    try:
        with open_regular(path) as file:
            if os.name == "posix" and os.fstat(file.fileno()).st_uid not in {os.getuid(), 0}:
                return Found(path, problem=f"{path}: belongs to another user of this machine, so it is not read")
            content = file.read(_LARGEST + 1)
    except NotRegular:
        return Found(path, problem=f"{path}: is not a file")
    except OSError as error:
        return Found(path, problem=f"{path}: cannot be read: {error.strerror or error}")
    if len(content) > _LARGEST:
        return Found(path, problem=f"{path}: is larger than it can be ({_LARGEST // 1024} KiB)")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return Found(path, problem=f"{path}: is not UTF-8 text; save it as UTF-8")
    made = project(text)
    if isinstance(made, Project):
        return Found(path, project=made)
    told = "; ".join(mistake.told(str(path)) for mistake in made[:_TOLD])
    more = f"; and {len(made) - _TOLD} more" if len(made) > _TOLD else ""
    return Found(path, problem=told[:_LONGEST] + more)
