"""Claude Code as a program on this machine: is this it, which version, and what can that version be told.

Asking the program for its version costs a process and tens of milliseconds; mostly its place says it.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ccrouter.menu import Listed
    from ccrouter.routing.config import Slots

Version = tuple[int, int, int]

PACKAGE = "@anthropic-ai/claude-code"

#: The first versions that read ``modelPicker`` from their settings, and ``behavesAs`` in its rows.
PICKER_SINCE: Version = (2, 1, 242)
BEHAVES_AS_SINCE: Version = (2, 1, 260)

#: The request shape for models that are not Claude: no system messages in mid-conversation, no effort, plain
#: thinking. Everything later is refused by some backend.
BEHAVES_AS = "claude-sonnet-4-5"

#: Seconds for ``claude --version``. A healthy one takes 0.03.
VERSION_DEADLINE = 5.0

_NAMES = frozenset({"claude", "claude.exe", "claude.cmd", "claude.ps1"})
_VERSION = re.compile(r"\s*(\d{1,6})\.(\d{1,6})\.(\d{1,6})\b", re.ASCII)


def is_claude(command: str, environ: Mapping[str, str]) -> bool:
    """Whether a command is Claude Code: by its name, or because its file belongs to the npm package."""
    if Path(command).name.lower() in _NAMES:
        return True
    found = shutil.which(command, path=environ.get("PATH"))
    return found is not None and f"/{PACKAGE}" in Path(found).resolve().as_posix()


async def version(program: str, environ: Mapping[str, str]) -> Version | None:
    """The version of the Claude Code at this path; None when it cannot be told."""
    return installed_version(Path(program)) or await _asked(program, environ)


def installed_version(program: Path) -> Version | None:
    """The version as the place of the program says it: `.../versions/2.1.329`, or a package around it."""
    try:
        real = program.resolve()
    except (OSError, RuntimeError):  # links in a circle
        return None
    if (found := parse_version(real.name)) is not None:
        return found
    beside = real.parent / "node_modules" / PACKAGE  # where npm's launchers on Windows point
    for folder in (beside, *list(real.parents)[:4]):
        if (found := _packaged(folder / "package.json")) is not None:
            return found
    return None


def _packaged(file: Path) -> Version | None:
    try:
        package: Any = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(package, dict) or not str(package.get("name")).startswith(PACKAGE):
        return None
    return parse_version(str(package.get("version")))


async def _asked(program: str, environ: Mapping[str, str]) -> Version | None:
    import trio  # what is above must be cheap to import

    with trio.move_on_after(VERSION_DEADLINE):
        try:
            done = await trio.run_process(
                [program, "--version"],
                stdin=b"",
                capture_stdout=True,
                capture_stderr=True,
                check=False,
                env=dict(environ),
            )
        except OSError:
            return None
        return parse_version(done.stdout.decode("utf-8", "replace"))
    return None


def parse_version(text: str) -> Version | None:
    """The version that a text begins with."""
    found = _VERSION.match(text)
    return (int(found[1]), int(found[2]), int(found[3])) if found else None


def has_picker(version: Version | None) -> bool:
    """Whether settings can add models to the client's list. An unknown version counts as old."""
    return version is not None and version >= PICKER_SINCE


#: The client's own rows that can be given to other models, in the order in which they are; by how far a user goes.
#: That of the smallest Claude model is none of them: it serves titles and safety checks. With a login the client
#: shows no names in the places of Claude models, only that they are another's (seen, 2026-11).
SLOTS: Mapping[str, tuple[str, ...]] = {
    "none": (),
    "conservative": ("ANTHROPIC_CUSTOM_MODEL_OPTION",),
    "aggressive": (
        "ANTHROPIC_CUSTOM_MODEL_OPTION",
        "ANTHROPIC_DEFAULT_SONNET_MODEL",
        "ANTHROPIC_DEFAULT_OPUS_MODEL",
    ),
}


def slots(models: Sequence[Listed], how: Slots) -> dict[str, str]:
    """The variables that give rows of the client's list to the first models that are not Anthropic's."""
    others = [each for each in models if not each.anthropic]
    variables: dict[str, str] = {}
    for name, model in zip(SLOTS[how], others, strict=False):
        variables |= {name: model.name, f"{name}_NAME": model.label, f"{name}_DESCRIPTION": model.description}
    return variables


def picker(models: Sequence[Listed], version: Version) -> dict[str, Any] | None:
    """The rows for ``/model``, None without any. The client lists Anthropic's own models by itself."""
    options = []
    for model in models:
        if model.anthropic:
            continue
        row = {"model": model.name, "label": model.label, "description": model.description}
        if version >= BEHAVES_AS_SINCE:
            row["behavesAs"] = BEHAVES_AS
        options.append(row)
    return {"options": options, "replaceBuiltInOptions": False} if options else None
