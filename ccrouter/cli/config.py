"""``ccrouter config``: check the configuration file, find it, show it, describe it, begin one.

Results go to standard output, everything else to standard error. No secret is ever printed, only where it
comes from.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from attrs import asdict

from ccrouter.cli.terminal import emit
from ccrouter.config_file import ConfigFile, choose, read, remarks
from ccrouter.errors import ConfigError
from ccrouter.providers.presets import PRESETS
from ccrouter.providers.provider import Model, Provider, Timeouts
from ccrouter.providers.secret import FromCommand, FromEnv, FromFile, Literal, Secret
from ccrouter.routing.config import Config, Profile
from ccrouter.routing.load import examine
from ccrouter.routing.rules import Rule
from ccrouter.routing.schema import json_schema, keys
from ccrouter.routing.spelling import spell_duration, spell_path, spell_stay
from ccrouter.routing.tables import ModelTable

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
    """Adds ``config`` and its verbs; `run` does what was parsed."""
    parser = subparsers.add_parser(
        "config",
        help="check, find, show, describe or begin the configuration file",
        description="The configuration file. None is needed; without one, ccrouter finds what is there.",
        epilog="example: ccrouter config init && ccrouter config check",
    )
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for verb, (meaning, _) in _VERBS.items():
        each = verbs.add_parser(
            verb,
            help=meaning,
            description=f"{meaning.capitalize()}.",
            epilog=f"example: ccrouter config {verb}",
        )
        if verb != "schema":
            # Suppressed, so that a --config before `config` is not overwritten by the default of this one.
            each.add_argument(
                "--config",
                metavar="FILE",
                type=Path,
                default=argparse.SUPPRESS,
                help="this file instead of the one at the usual place",
            )
        if verb in {"check", "show"}:
            each.add_argument("--json", action="store_true", help="as JSON")


def run(args: argparse.Namespace) -> int:
    """The exit code. Raises ConfigError where a verb needs a configuration that is right."""
    path, required = choose(getattr(args, "config", None), os.environ, sys.platform)
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


def _path(_: argparse.Namespace, path: Path, __: bool) -> int:
    emit(f"{path}\n")
    if not _is_there(path):
        print("There is no such file yet; `ccrouter config init` writes one.", file=sys.stderr)
    return 0


def _show(args: argparse.Namespace, path: Path, required: bool) -> int:
    file = ConfigFile(path, required=required, presets=PRESETS)
    for note in file.warnings():
        print(f"warning: {note}", file=sys.stderr)
    tree = shown(file.current())
    emit(json.dumps(tree, indent=2, ensure_ascii=False) + "\n" if args.json else as_toml(tree))
    return 0


def _schema(_: argparse.Namespace, __: Path, ___: bool) -> int:
    emit(json.dumps(json_schema(PRESETS), indent=2, ensure_ascii=False) + "\n")
    return 0


def _init(_: argparse.Namespace, path: Path, __: bool) -> int:
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
    print("Written; edit it, then run `ccrouter config check`.", file=sys.stderr)
    return 0


_Verb = Callable[[argparse.Namespace, Path, bool], int]

_VERBS: Mapping[str, tuple[str, _Verb]] = {
    "check": ("say whether the configuration is right, and if not, where and why", _check),
    "path": ("print where the configuration is, or would be", _path),
    "show": ("print the configuration in force, defaults included, without secrets", _show),
    "schema": ("print a JSON Schema of the configuration, for editors", _schema),
    "init": ("write a commented configuration to begin with; never overwrites", _init),
}

# ------------------------------------------------------------------------- the configuration, to be looked at


def shown(config: Config) -> dict[str, Any]:
    """The configuration in force, as the tables of its file; a secret is replaced by where it comes from.

    `routing.load` reads the result back as the same configuration, but for secrets written in the file and
    programs' arguments, which are left out: with those it refuses it.
    """
    server: dict[str, Any] = {
        "host": config.server.host,
        "port": config.server.port,
        "token": _secret(config.server.token),
        "hosts": list(config.server.hosts),
        "drain": spell_duration(config.server.drain),
        "ping": spell_duration(config.server.ping),
        "commit_after": spell_duration(config.server.commit_after),
        "max_connections": config.server.max_connections,
        "timeouts": _timeouts(config.server.timeouts),
        "tries": config.server.tries,
        "patience": spell_duration(config.server.patience),
    }
    tree = {
        "default": config.default,
        "server": _given(server),
        "providers": {name: _provider(each) for name, each in config.providers.items()},
        "aliases": {alias: _names(targets) for alias, targets in config.aliases.items()},
        "routes": [rule_shown(each) for each in config.routes],
        "subagent": _names(config.subagent),
        "classifier": _names(config.classifier),
        "profile": config.profile,
        "profiles": {name: _profile(each) for name, each in config.profiles.items()},
        "slots": config.slots,
        "explain": asdict(config.explain),
        "demo": {"pace": spell_duration(config.demo.pace)},
    }
    return _given(tree)


def _names(names: tuple[str, ...]) -> str | list[str] | None:
    return (list(names) if len(names) > 1 else names[0]) if names else None


def _profile(profile: Profile) -> dict[str, Any]:
    return _given(
        {
            "default": profile.default,
            "subagent": _names(profile.subagent),
            "classifier": _names(profile.classifier),
            "aliases": {alias: _names(targets) for alias, targets in profile.aliases.items()},
            "routes": [rule_shown(each) for each in profile.routes],
            "providers": dict.fromkeys(sorted(profile.off), False),
        }
    )


def rule_shown(rule: Rule) -> dict[str, Any]:
    """A rule as its table in the file."""
    when = rule.when
    conditions = {
        "class": _names(when.classes),
        "agent": _names(when.agent),
        "model": _names(when.model),
        "tokens_over": when.tokens_over,
        "tokens_under": when.tokens_under,
        "has": _names(when.has),
        "server_tool": _names(when.server_tool),
        "effort": when.effort,
        "headers": dict(when.headers) or None,
        "project": _names(when.project),
        "hours": None
        if when.hours is None
        else "-".join(f"{each // 60:02}:{each % 60:02}" for each in when.hours),
        "days": _names(when.days),
        "profile": _names(when.profile),
        "quota_over": dict(when.quota_over) or None,
    }
    return {"name": rule.name, "when": _given(conditions), "use": _names(rule.use)}


def _given(table: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in table.items() if value is not None}


def _provider(provider: Provider) -> dict[str, Any]:
    return _given(
        {
            "preset": provider.preset.name,
            "wire": provider.wire,
            "base_url": provider.base_url if provider.preset.transport == "http" else None,
            "api_key": _secret(provider.api_key),
            "models": [_model(each) for each in provider.models],
            "headers": {name: _secret(value) for name, value in provider.headers},
            "timeouts": _timeouts(provider.timeouts),
            "max_concurrent": provider.max_concurrent,
            "budget": _given(asdict(provider.budget)) or None,
        }
    )


def _model(model: Model) -> str | dict[str, Any]:
    table = _given({name: getattr(model, name) for name in keys(ModelTable)})
    if model.keep_alive is not None:
        table["keep_alive"] = spell_stay(model.keep_alive)
    if model.price is not None:
        table["price"] = _given(asdict(model.price))
    return model.id if len(table) == 1 else table


def _timeouts(timeouts: Timeouts) -> dict[str, str]:
    return {phase: spell_duration(seconds) for phase, seconds in asdict(timeouts).items()}


def _secret(secret: Secret | None) -> dict[str, Any] | None:
    """The source of a secret, never the secret. A program's arguments can hold one as well."""
    match secret:
        case None:
            return None
        case Literal():
            return {"hidden": "written in the file"}
        case FromEnv(name):
            return {"env": name}
        case FromFile(path):
            return {"file": path}
        case FromCommand((program, *arguments), ttl):
            hidden = {"hidden": f"arguments: {len(arguments)}"} if arguments else {}
            return _given({"command": [program], "ttl": ttl and spell_duration(ttl)}) | hidden
    raise AssertionError(secret)


def as_toml(tree: Mapping[str, Any]) -> str:
    """TOML of a configuration's tables: ``[headers]`` for its tables and providers, the rest in line."""
    lines = [f"{_key(key)} = {_value(value)}" for key, value in tree.items() if not isinstance(value, dict)]
    for name, table in tree.items():
        if name in {"providers", "profiles"}:
            for each, settings in table.items():
                lines += _table((name, each), settings)
        elif isinstance(table, dict):
            lines += _table((name,), table)
    return "\n".join(lines).lstrip("\n") + "\n"


def _table(path: tuple[str, ...], table: Mapping[str, Any]) -> list[str]:
    header = ".".join(_key(part) for part in path)
    settings = ((key, value) for key, value in table.items() if value not in ([], {}))
    return ["", f"[{header}]", *(f"{_key(key)} = {_value(value)}" for key, value in settings)]


def _key(key: str) -> str:
    return key if re.fullmatch("[A-Za-z0-9_-]+", key) else _value(key)


def _value(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case list():
            return "[" + ", ".join(map(_value, value)) + "]"
        case dict():
            return "{ " + ", ".join(f"{_key(key)} = {_value(each)}" for key, each in value.items()) + " }"
        case str():
            # A TOML string is a JSON string, but for one more character that it wants escaped.
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case _:
            return str(value)
