"""``ccrouter config``: check the configuration file, find it, show it, describe it, begin one.

Results go to standard output, everything else to standard error. No secret is ever printed, only where it
comes from.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ccrouter.cli.config_dump import as_toml, tables
from ccrouter.cli.terminal import emit
from ccrouter.config_file import ConfigFile, choose, read, remarks
from ccrouter.errors import ConfigError
from ccrouter.providers.presets import PRESETS
from ccrouter.routing.config import Config
from ccrouter.routing.load import examine
from ccrouter.routing.schema import json_schema
from ccrouter.routing.spelling import spell_path

#: What ``init`` writes. A line that begins with ``#`` and no space is configuration, switched off.
STARTER = """\
# ccrouter configuration. Every line is optional; an edit holds from the next request on.
# `ccrouter config check` says what is wrong with this file, `ccrouter config schema` describes it to editors.

# The provider for model names that nothing else claims.
#default = "anthropic"

[server]
#host = "127.0.0.1"
#port = 11436
#token = { env = "CCROUTER_TOKEN" }      # else a random one for each start
#drain = "10s"                           # how long a stop waits for running streams
#ping = "15s"                            # a ping whenever a stream was silent for so long
#timeouts = { connect = "10s", first_byte = "10m", idle = "5m", total = "1h" }

# A provider whose name is a preset needs nothing more. `ccrouter config schema` lists the presets.
#[providers.anthropic]

#[providers.ollama]
#base_url = "http://192.168.1.50:11434"
#models = [{ id = "qwen3:8b", num_ctx = 65536, keep_alive = "30m" }]   # its window, and how long it stays loaded

# Any other name needs a preset. A secret is a string, { env = … }, { file = … } or
# { command = [ … ], ttl = … }.
#[providers.work]
#preset = "messages"
#base_url = "https://llm.example.com"
#api_key = { command = ["op", "read", "op://work/llm/key"], ttl = "1h" }
#models = ["qwen3-coder", { id = "glm-5", window = 131072, max_output = 16384, vision = false, tools = true }]
#headers = { "x-team" = "core" }
#timeouts = { idle = "90s" }

# Short names: for one model, or for several in fallback order.
[aliases]
#big = "ollama:qwen3-coder:30b"
#safe = ["anthropic:claude-sonnet-5-5", "ollama:qwen3:8b"]

# Rules: the first whose conditions all hold decides. `ccrouter explain` tells which one did.
#[[routes]]
#when = { class = "subagent", agent = "Explore" }
#use = "ollama:qwen3:8b"

#[[routes]]
#when = { tokens_over = 150000 }
#use = ["openrouter:google/gemini-3-pro", "{model}"]

# Profiles: what differs while one is in force. `ccrouter use local` switches.
#[profiles.local]
#default = "ollama:qwen3-coder:30b"
#providers = { anthropic = false }
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare ``config`` and its verbs."""
    parser = subparsers.add_parser(
        "config",
        description="The configuration file. None is needed; without one, ccrouter finds what is there.",
        epilog="example: ccrouter config init && ccrouter config check",
    )
    flag: dict[str, Any] = {
        "metavar": "FILE",
        "type": Path,
        "help": "this file instead of the one at the usual place",
    }
    parser.add_argument("--config", **flag)
    verbs = parser.add_subparsers(dest="verb", metavar="|".join(_VERBS), required=True)
    for verb, (meaning, _) in _VERBS.items():
        each = verbs.add_parser(
            verb,
            help=meaning,
            description=f"{meaning.capitalize()}.",
            epilog=f"example: ccrouter config {verb}",
        )
        if verb != "schema":
            # Suppressed, so that one before the verb is not overwritten by the default of this one.
            each.add_argument("--config", default=argparse.SUPPRESS, **flag)
        if verb in {"check", "show"}:
            each.add_argument("--json", action="store_true", help="as JSON")


def run(args: argparse.Namespace) -> int:
    """The exit code. Raises ConfigError where a verb needs a configuration that is right."""
    path, required = choose(args.config, os.environ, sys.platform)
    _, verb = _VERBS[args.verb]
    return verb(args, path, required)


def _check(args: argparse.Namespace, path: Path, required: bool) -> int:
    """0: the file is right; 1: it is not, or cannot be read."""
    mistakes: list[dict[str, Any]] = []
    notes: list[str] = []
    verdict = f"{path}: fine"
    try:
        version = read(path) if required or _is_there(path) else None
        if version is None:
            verdict = f"{path}: not there, which is fine: none is needed"
        else:
            found = examine(version.text, presets=PRESETS)
            if isinstance(found, Config):
                notes = remarks(path, found, version.mode, PRESETS)
            else:
                mistakes = [
                    {
                        "line": each.line,
                        "column": each.column,
                        "key": spell_path(each.path) or None,
                        "message": each.words,
                        "text": each.told(str(path)),
                    }
                    for each in found
                ]
    except ConfigError as error:
        mistakes = [{"line": None, "column": None, "key": None, "message": str(error), "text": str(error)}]
    if args.json:
        report = {"file": str(path), "fine": not mistakes, "mistakes": mistakes, "warnings": notes}
        emit(json.dumps(report, indent=2) + "\n")
    else:
        for note in notes:
            print(f"warning: {note}", file=sys.stderr)
        emit(("\n".join(each["text"] for each in mistakes) or verdict) + "\n")
    return 1 if mistakes else 0


def _is_there(path: Path) -> bool:
    """Whether there is such a file, or may be: who cannot be told will see when it is read."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def _path(args: argparse.Namespace, path: Path, _: bool) -> int:
    emit(f"{path}\n")
    if not _is_there(path):
        print(f"There is no such file yet; `{_again(args, 'init')}` writes it.", file=sys.stderr)
    return 0


def _again(args: argparse.Namespace, verb: str) -> str:
    """The command line for another verb and the same file."""
    flag = "" if args.config is None else f" --config {shlex.quote(str(args.config))}"
    return f"ccrouter config {verb}{flag}"


def _show(args: argparse.Namespace, path: Path, required: bool) -> int:
    file = ConfigFile(path, required=required, presets=PRESETS)
    for note in file.warnings():
        print(f"warning: {note}", file=sys.stderr)
    tree = tables(file.current())
    emit(json.dumps(tree, indent=2, ensure_ascii=False) + "\n" if args.json else as_toml(tree))
    return 0


def _schema(_: argparse.Namespace, __: Path, ___: bool) -> int:
    emit(json.dumps(json_schema(PRESETS), indent=2, ensure_ascii=False) + "\n")
    return 0


def _init(args: argparse.Namespace, path: Path, _: bool) -> int:
    """Creates the file or does nothing. For its owner's eyes only: secrets may come to stand in it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
            file.write(STARTER)
    except OSError as error:
        why = f"cannot be written: {error.strerror or error}"
        if os.path.lexists(path):
            why = "is there already and stays as it is"
        print(f"{path}: {why}", file=sys.stderr)
        return 1
    emit(f"{path}\n")
    print(f"Written; edit it, then run `{_again(args, 'check')}`.", file=sys.stderr)
    return 0


_Verb = Callable[[argparse.Namespace, Path, bool], int]

_VERBS: Mapping[str, tuple[str, _Verb]] = {
    "check": ("say whether the configuration is right, and if not, where and why", _check),
    "path": ("print where the configuration is, or would be", _path),
    "show": ("print the configuration in force, defaults included, without secrets", _show),
    "schema": ("print a JSON Schema of the configuration, for editors", _schema),
    "init": ("write a commented configuration to begin with; never overwrites", _init),
}
