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

Ours go on the command line while everyone may read them, which lets the client's words at its end ("resume
with: claude --settings …") work later. With a secret in them, or too long for that, they go in a private file.
"""

from __future__ import annotations

import contextlib
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import field, frozen

from ccrouter.cli import runtime
from ccrouter.files import read_regular
from ccrouter.upstream import subscription

#: Settings are small; what is larger is not read.
_LARGEST = 4 * 1024 * 1024

#: In characters. Linux allows 128 KiB for one argument, and what is inherited needs room beside it.
_LONGEST_ARGUMENT = 30_000

#: The shape of a command's name. A prompt of one lower-case word looks the same and gets no settings: once a
#: picker without our rows is better than ``logs`` sent to a model.
_COMMAND = re.compile(r"[a-z][a-z-]*")

Json = dict[str, Any]


@frozen
class Found:
    """What the settings files say that matters to us. ``env`` holds later files over earlier ones."""

    env: dict[str, str] = field(factory=dict, repr=False)
    key_helper: bool = False


def find(environ: Mapping[str, str], folder: Path | None, own: Json | None = None) -> Found:
    """The settings that a client started in ``folder`` will read; ``own`` are those of its command line."""
    files = [subscription.folder(environ) / "settings.json"]
    if folder is not None:
        files += [folder / ".claude" / name for name in ("settings.json", "settings.local.json")]
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
        return _object(read_regular(path, _LARGEST).decode("utf-8-sig"))
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

    ``at`` is where its value stands; ``glued`` to the flag or by itself; ``file`` when it names one.
    ``settings`` is None when the value cannot be read: then the client is to say so, not we.
    """

    at: int
    glued: bool
    file: bool
    settings: Json | None = field(repr=False)


def own(arguments: Sequence[str], folder: Path) -> Own | None:
    """The last ``--settings`` before a ``--``; None when there is none."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    for at in reversed(range(end)):
        flag, equals, glued = arguments[at].partition("=")
        if flag != "--settings" or not (equals or at + 1 < end):
            continue
        value = glued if equals else arguments[at + 1]
        file = not value.strip().startswith("{")
        found = _read(folder / value) if file else _object(value)
        return Own(at if equals else at + 1, glued=bool(equals), file=file, settings=found)
    return None


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


def placed(arguments: Sequence[str], own: Own | None, value: str) -> list[str]:
    """The arguments with ``--settings value``: in place of the user's own value, else in front."""
    if own is None:
        return ["--settings", value, *arguments]
    return [*arguments[: own.at], f"--settings={value}" if own.glued else value, *arguments[own.at + 1 :]]


@contextlib.contextmanager
def given(settings: Json | None, *, secret: bool) -> Iterator[str | None]:
    """What to say behind ``--settings``; a file is gone when the block is left. None for no settings."""
    text = json.dumps(settings)
    if settings is None:
        yield None
    elif secret or len(text) > _LONGEST_ARGUMENT or sys.platform == "win32":  # npm's launchers there quote badly
        with runtime.private_file("settings", text) as path:
            yield str(path)
    else:
        yield text
