"""What is allowed in a configuration and still deserves a word. Pure.

Credentials that travel in the clear, safety checks by other models, use that no budget sees, names that are
probably misspelt. `warnings` has them all, each with the key that it is about.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from urllib.parse import urlsplit

from ccrouter.providers.provider import Preset, Provider
from ccrouter.providers.secret import Literal, Secret
from ccrouter.routing.config import Config, Profile
from ccrouter.routing.names import SEPARATORS, is_claude
from ccrouter.routing.rules import Rule
from ccrouter.routing.spelling import KeyPath, shown, spell_path

#: How alike a provider's name and what was probably meant are: `olama` and `ollama`, not `gemma3` and `gemini`.
_CLOSE = 0.88

_MARKS = frozenset(SEPARATORS)

_SENSITIVE = re.compile(r"auth|key|token|secret|password|cookie|credential")


def warnings(config: Config, presets: Mapping[str, Preset]) -> list[str]:
    """What is allowed and still deserves a word: credentials that travel in the clear, checks by other models."""
    checks = [words for _, words in checks_told(config, presets)]
    return [*_in_the_clear(config), *checks, *_uncounted(config), *_misspelt(config, presets)]


def _misspelt(config: Config, presets: Mapping[str, Preset]) -> list[str]:
    """Names that begin nearly as a provider's does, and would go to the default, prompt and all."""
    known = {*config.providers, *presets}
    listed = {model.id for provider in config.providers.values() for model in provider.models}
    found = []
    for path, name in _names(config):
        first, separator, rest = _separated(name)
        # Of a slash it can't be told: to gateways it stands in the models' own names.
        if separator in ("", "/") or name in config.aliases or name in listed:
            continue
        if any(name.startswith(f"{each}{separator}") for each in known):
            continue
        if close := get_close_matches(first, known, n=1, cutoff=_CLOSE):
            found.append(
                f"{spell_path(path)}: `{shown(name)}` names no provider, so it goes to the default as a model of"
                f" that name; did you mean `{shown(close[0] + separator + rest)}`?"
            )
    return found


def _separated(name: str) -> tuple[str, str, str]:
    place = next((place for place, each in enumerate(name) if each in SEPARATORS), len(name))
    return name[:place], name[place : place + 1], name[place + 1 :]


def _names(config: Config) -> Iterator[tuple[KeyPath, str]]:
    """All names of models in the file, with their places."""
    tables: list[tuple[KeyPath, Config | Profile]] = [((), config)]
    tables += [(("profiles", name), each) for name, each in config.profiles.items()]
    for place, table in tables:
        for key in ("subagent", "classifier"):
            yield from (((*place, key), name) for name in getattr(table, key))
        for alias, names in table.aliases.items():
            yield from (((*place, "aliases", alias), name) for name in names)
        for number, rule in enumerate(table.routes):
            yield from (((*place, "routes", number, "use"), name) for name in rule.use)


def _uncounted(config: Config) -> list[str]:
    """Models whose use no budget of dollars sees: listed without a price, or named somewhere and not listed."""
    found = []
    for name, provider in config.providers.items():
        if not provider.budget.in_dollars:
            continue
        free = [model.id for model in provider.models if model.price is None]
        free += [model for model in _named_of(name, config) if provider.configured_model(model) is None]
        if free:
            path = spell_path(("providers", name, "budget"))
            told = ", ".join(map(shown, dict.fromkeys(free)))
            found.append(f"{path}: what {told} costs is not counted, for want of a `price`")
    return found


def _named_of(provider: str, config: Config) -> Iterator[str]:
    """The models of a provider that the file names, as the provider knows them."""
    names = [name for _, name in _names(config)]
    defaults = [config.default, *(each.default for each in config.profiles.values())]
    names += [each for each in defaults if each is not None]
    for name in names:
        begins = [each for each in config.providers if name.startswith(each) and name[len(each) :][:1] in _MARKS]
        if name not in config.aliases and max(begins, key=len, default=None) == provider:
            model = name[len(provider) + 1 :].removesuffix("[1m]")
            if model and "{model}" not in model:
                yield model


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
            if _is_for_checks(rule):
                places.append(((*place, "routes", number), rule.use))
    for name, profile in config.profiles.items():
        ruled = any(_is_for_checks(rule) for rule in (*profile.routes, *config.routes))
        said = profile.classifier or config.classifier or ruled
        if not said and _is_without_claude(config, profile, presets):
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
        if any("claude" not in name.lower() and not is_claude(name) and name != "{model}" for name in names)
    ]


def _is_for_checks(rule: Rule) -> bool:
    """Whether a rule may move safety checks: by their class, or by the very name of a model that they ask for."""
    if rule.when.classes:
        return not {"auxiliary", "classifier"}.isdisjoint(rule.when.classes)
    by_name = any("*" not in each and is_claude(each) for each in rule.when.model)
    return by_name and not rule.when.agent  # no agent asks for one


def _is_without_claude(config: Config, profile: Profile, presets: Mapping[str, Preset]) -> bool:
    """Whether a profile switches off all that Claude models could go to."""
    known = {name: each.preset for name, each in config.providers.items()} | dict(presets)
    there = {name for name, preset in known.items() if preset.first_party}
    return bool(there & profile.off) and not (there & config.providers.keys()) - profile.off


def _in_the_clear(config: Config) -> list[str]:
    return [
        f"{spell_path(('providers', name))}: what authenticates it travels unencrypted, because its base_url"
        " begins with http:; use https where the network is not yours alone"
        for name, provider in config.providers.items()
        if _is_in_the_clear(provider.base_url) and _has_credential(provider)
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


def _is_in_the_clear(base_url: str) -> bool:
    url = urlsplit(base_url)
    host = url.hostname or ""
    if url.scheme != "http" or host == "localhost":
        return False
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return True
