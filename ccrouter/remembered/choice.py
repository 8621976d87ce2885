"""What ``ccrouter use``, ``subagent`` and ``classifier`` chose, for all routers of this user.

`ChoiceFile.current` looks at the file each time, so that a choice holds from the next request on. A look is one
`stat`; what cannot be read counts as no choice.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from attrs import evolve

from ccrouter.files import Stamp, stamp
from ccrouter.remembered import json_file
from ccrouter.routing.profiles import Choice

NAME = "choice.json"


class ChoiceFile:
    """The file in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        self._stamp: Stamp | None = None
        self._choice = Choice()

    def current(self) -> Choice:
        """What is chosen at this moment."""
        seen = stamp(self.path)
        if seen != self._stamp:
            self._stamp = seen
            self._choice = Choice() if seen is None else _read(json_file.read(self.path))
        return self._choice

    def write(self, choice: Choice) -> None:
        """Raises OSError. Where nothing is chosen any more, the file goes."""
        if choice == Choice():
            self.path.unlink(missing_ok=True)
            return
        json_file.write(
            self.path,
            {
                "profile": choice.profile,
                "projects": dict(choice.projects),
                "subagent": choice.subagent,
                "classifier": choice.classifier,
            },
        )


def with_project(choice: Choice, directory: str, profile: str | None) -> Choice:
    """With another profile for a directory; None takes away the one that was chosen."""
    others = [each for each in choice.projects if each[0] != directory]
    return evolve(choice, projects=tuple([*others, (directory, profile)] if profile is not None else others))


def unwritten(path: Path, error: OSError) -> str:
    """In words for the user: why a choice could not be kept, and what helps."""
    return (
        f"{path}: cannot be written: {error.strerror or error}; make its folder one of yours, or set"
        " CCROUTER_STATE to another folder, for the router too"
    )


def _read(value: dict[str, Any]) -> Choice:
    projects = value.get("projects")
    return Choice(
        profile=_text(value.get("profile")),
        projects=tuple(
            (place, profile)
            for place, profile in (projects.items() if isinstance(projects, dict) else ())
            if isinstance(profile, str)
        ),
        subagent=_text(value.get("subagent")),
        classifier=_text(value.get("classifier")),
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
