"""From the text of a configuration file to a `Config`, or to every mistake in it, each with its line.

Two passes: first the shape (`routing.schema`: keys, kinds of values), then, of a file whose shape is right, what
only the whole can show (presets, aliases, where credentials would travel). No message repeats the value of a key
that could hold a secret.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from attrs import evolve

from ccrouter.errors import ConfigError
from ccrouter.providers.provider import Preset, Provider
from ccrouter.providers.secret import Literal, Secret
from ccrouter.routing.builder import Builder, rules
from ccrouter.routing.config import Config, Profile
from ccrouter.routing.mistakes import Mistake, placed, tables
from ccrouter.routing.names import is_claude
from ccrouter.routing.profiles import Project
from ccrouter.routing.spelling import KeyPath, spell_path
from ccrouter.routing.tables import FileTable, ProjectTable

_SENSITIVE = re.compile(r"auth|key|token|secret|password|cookie|credential")


def parse(text: str, *, where: str, presets: Mapping[str, Preset]) -> Config:
    """The configuration that ``text`` is; ``where`` names the file.

    Raises ConfigError, one line for each mistake.
    """
    found = examine(text, presets=presets)
    if isinstance(found, Config):
        return found
    raise ConfigError("\n".join(mistake.told(where) for mistake in found))


def examine(text: str, *, presets: Mapping[str, Preset]) -> Config | tuple[Mistake, ...]:
    """The configuration that ``text`` is, or what is wrong with it, in the order of the lines."""
    file = tables(text, FileTable)
    if isinstance(file, tuple):
        return file
    builder = Builder(file, presets)
    config = builder.config()
    return placed(builder.wrong, text) if builder.wrong else config


def project(text: str) -> Project | tuple[Mistake, ...]:
    """What a project's own file says, or what is wrong with it."""
    file = tables(text, ProjectTable)
    if isinstance(file, tuple):
        return file
    wrong: list[Mistake] = []
    made = Project(
        profile=file.profile,
        default=file.default,
        subagent=tuple(file.subagent or ()),
        aliases={alias: tuple(targets) for alias, targets in file.aliases.items()},
        routes=tuple(
            evolve(each, lent=True)
            for each in rules(
                file.routes, (), lambda path, words: wrong.append(Mistake(words, path)), "the project's "
            )
        ),
    )
    return placed(wrong, text) if wrong else made


def warnings(config: Config, presets: Mapping[str, Preset]) -> list[str]:
    """What is allowed and still deserves a word: credentials that travel in the clear, checks by other models."""
    checks = [words for _, words in checks_told(config, presets)]
    return [*_in_the_clear_told(config), *checks, *_uncounted(config)]


def _uncounted(config: Config) -> list[str]:
    """Models whose use no budget of dollars sees."""
    found = []
    for name, provider in config.providers.items():
        budget = provider.budget
        if budget.dollars_per_day is None and budget.dollars_per_month is None:
            continue
        free = [model.id for model in provider.models if model.price is None]
        if free:
            path = spell_path(("providers", name, "budget"))
            found.append(f"{path}: what {', '.join(free)} costs is not counted, for want of a `price`")
    return found


def checks_told(config: Config, presets: Mapping[str, Preset]) -> list[tuple[KeyPath, str]]:
    """Where titles, summaries and safety checks go to another model than Claude: deliberate, one hopes."""
    places: list[tuple[KeyPath, tuple[str, ...]]] = [
        (("aliases", "haiku"), config.aliases.get("haiku", ())),
        (("classifier",), config.classifier),
    ]
    places += [(("profiles", name, "classifier"), each.classifier) for name, each in config.profiles.items()]
    places += [
        (("profiles", name, "aliases", "haiku"), each.aliases.get("haiku", ()))
        for name, each in config.profiles.items()
    ]
    routes = [((), config.routes), *((("profiles", name), each.routes) for name, each in config.profiles.items())]
    for place, rules_there in routes:
        for number, rule in enumerate(rules_there):
            by_name = not rule.when.classes and any(
                "*" not in each and is_claude(each) for each in rule.when.model
            )
            if by_name or {"auxiliary", "classifier"} & set(rule.when.classes):
                places.append(((*place, "routes", number), rule.use))
    for name, profile in config.profiles.items():
        if not (profile.classifier or config.classifier) and _is_without_claude(config, profile, presets):
            default = profile.default or config.default
            places.append((("profiles", name, "providers"), (default or "whatever else there is",)))
    return [
        (
            path,
            (
                f"{spell_path(path)}: Claude Code's safety checks go to {' or '.join(names)}; where that fails,"
                " Bash and other tools stop with an error, and where it is not up to it, what should be stopped is"
                " not"
            ),
        )
        for path, names in places
        if any("claude" not in name.lower() and not is_claude(name) for name in names)
    ]


def _is_without_claude(config: Config, profile: Profile, presets: Mapping[str, Preset]) -> bool:
    """Whether a profile switches off all that Claude models could go to."""
    known = {name: each.preset for name, each in config.providers.items()} | dict(presets)
    there = {name for name, preset in known.items() if preset.first_party}
    return bool(there & profile.off) and not (there & config.providers.keys()) - profile.off


def _in_the_clear_told(config: Config) -> list[str]:
    return [
        f"{spell_path(('providers', name))}: what authenticates it travels unencrypted, because its base_url"
        " begins with http:; use https where the network is not yours alone"
        for name, provider in config.providers.items()
        if _in_the_clear(provider.base_url) and _has_credential(provider)
    ]


def literal_secrets(config: Config) -> list[str]:
    """The keys whose secrets are written in the file itself."""
    found: dict[KeyPath, Secret | None] = {("server", "token"): config.server.token}
    for name, provider in config.providers.items():
        found["providers", name, "api_key"] = provider.api_key
        for header, secret in provider.headers:
            if _SENSITIVE.search(header):
                found["providers", name, "headers", header] = secret
    return [spell_path(path) for path, secret in found.items() if isinstance(secret, Literal)]


def _has_credential(provider: Provider) -> bool:
    if provider.api_key is not None or provider.preset.key_required:
        return True
    return any(_SENSITIVE.search(name) or not isinstance(value, Literal) for name, value in provider.headers)


def _in_the_clear(base_url: str) -> bool:
    url = urlsplit(base_url)
    host = url.hostname or ""
    if url.scheme != "http" or host == "localhost":
        return False
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return True
