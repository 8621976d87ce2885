"""The configuration in force as the tables of its file, and these as TOML. Pure.

A secret is replaced by where it comes from.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from attrs import asdict

from ccrouter.providers.provider import Model, Provider, Timeouts
from ccrouter.providers.secret import FromCommand, FromEnv, FromFile, Literal, Secret
from ccrouter.routing.config import Config, Profile
from ccrouter.routing.rules import Rule
from ccrouter.routing.schema import keys
from ccrouter.routing.spelling import spell_duration, spell_stay
from ccrouter.routing.tables import ModelTable


def tables(config: Config) -> dict[str, Any]:
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
        "routes": [rule_table(each) for each in config.routes],
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
            "routes": [rule_table(each) for each in profile.routes],
            "providers": dict.fromkeys(sorted(profile.off), False),
        }
    )


def rule_table(rule: Rule) -> dict[str, Any]:
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
