"""What Claude Code reads besides its environment: settings files, and ``--settings``.

Facts that this module rests on, all tried with Claude Code 2.1.329 and 2.1.197 (November 2026):

- an ``env`` block in ``settings.json`` wins over the environment of the process: with ``ANTHROPIC_BASE_URL``,
  ``ANTHROPIC_AUTH_TOKEN`` or ``ANTHROPIC_CUSTOM_HEADERS`` in it, a client goes past the router;
- what ``--settings`` says wins over those files, variable by variable; an empty value there counts as unset,
  also for ``apiKeyHelper``, while ``null`` makes the client throw away all of it;
- of the project's files only those of the working directory are read, not those of directories above;
- of several ``--settings`` the last one counts alone; its value is a file, or JSON that begins with ``{``;
- a word such as ``logs`` or ``rm`` is taken as a command only where it stands first: behind ``--settings`` it
  becomes a prompt.

Ours go in a private file and not on the command line: they can hold the router's token and what the user's
own ``--settings`` file keeps secret, and everyone may read a command line.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import field, frozen

from ccrouter.cli import runtime

#: Settings are small; what is larger is not read.
_LARGEST = 4 * 1024 * 1024

#: The shape of a command's name. A prompt of one lower-case word looks the same and gets no settings: once a
#: picker without our rows is better than ``logs`` sent to a model.
_COMMAND = re.compile(r"[a-z][a-z-]*")

Json = dict[str, Any]


@frozen
class Found:
    """What the settings files say that matters to us. ``env`` holds later files over earlier ones."""

    env: dict[str, str] = field(factory=dict, repr=False)
    key_helper: bool = False


def home(environ: Mapping[str, str]) -> Path:
    """Claude Code's directory."""
    if chosen := environ.get("CLAUDE_CONFIG_DIR"):
        return Path(chosen)
    return Path(environ.get("HOME") or environ.get("USERPROFILE") or Path.home()) / ".claude"


def find(environ: Mapping[str, str], folder: Path, own: Json | None = None) -> Found:
    """The settings that a client started in ``folder`` will read; ``own`` are those of its command line."""
    project = folder / ".claude"
    files = (home(environ) / "settings.json", project / "settings.json", project / "settings.local.json")
    env: dict[str, str] = {}
    helper = False
    for settings in (*map(_read, files), own):
        if settings is None:
            continue
        helper = helper or bool(settings.get("apiKeyHelper"))
        block = settings.get("env")
        if isinstance(block, dict):
            env |= {name: value for name, value in block.items() if isinstance(value, str)}
    return Found(env, helper)


def _read(path: Path) -> Json | None:
    """The object in a settings file; None when there is none, as for the client."""
    try:
        if not path.is_file() or path.stat().st_size > _LARGEST:
            return None
        return _object(path.read_text("utf-8-sig"))
    except (OSError, UnicodeError):
        return None


def _object(text: str) -> Json | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


@frozen
class Own:
    """The ``--settings`` of the user's own command line.

    ``at`` is where its value stands, and whether it is glued to the flag. ``settings`` is None when the value
    cannot be read: then the client is to say so, not we.
    """

    at: int
    glued: bool
    settings: Json | None = field(repr=False)


def own(arguments: Sequence[str], folder: Path) -> Own | None:
    """The last ``--settings`` before a ``--``; None when there is none."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    for at in reversed(range(end)):
        if arguments[at].startswith("--settings="):
            return Own(at, glued=True, settings=_value(arguments[at].removeprefix("--settings="), folder))
        if arguments[at] == "--settings" and at + 1 < end:
            return Own(at + 1, glued=False, settings=_value(arguments[at + 1], folder))
    return None


def _value(value: str, folder: Path) -> Json | None:
    return _object(value) if value.strip().startswith("{") else _read(folder / value)


def takes_settings(arguments: Sequence[str]) -> bool:
    """Whether options can be put in front of these arguments without changing what they mean."""
    return not (arguments and _COMMAND.fullmatch(arguments[0]))


def merged(own: Json, ours: Json) -> Json:
    """Ours added to the user's own: a picker of theirs stays, otherwise ours wins."""
    settings = {**own, **ours}
    if "modelPicker" in own:
        settings["modelPicker"] = own["modelPicker"]
    if isinstance(own.get("env"), dict) and "env" in ours:
        settings["env"] = {**own["env"], **ours["env"]}
    return settings


def placed(arguments: Sequence[str], own: Own | None, path: str) -> list[str]:
    """The arguments with ``--settings path``: in place of the user's own value, else in front."""
    if own is None:
        return ["--settings", path, *arguments]
    value = f"--settings={path}" if own.glued else path
    return [*arguments[: own.at], value, *arguments[own.at + 1 :]]


@contextlib.contextmanager
def kept(settings: Json) -> Iterator[str]:
    """A private file with these settings, gone when the block is left."""
    with runtime.private_file("settings", json.dumps(settings)) as path:
        yield str(path)
