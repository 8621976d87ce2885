"""What is allowed in a configuration and still deserves a word. Pure.

Credentials that travel in the clear or are a variable's name, safety checks by other models, use that no budget
sees, names that probably mean something else than they do. `warnings` has them all, each with the key that it is
about.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from urllib.parse import urlsplit

from attrs import evolve

from ccrouter.providers.provider import Preset, Provider
from ccrouter.providers.secret import Literal, Secret
from ccrouter.routing.aliases import stands_for
from ccrouter.routing.config import Config, Profile
from ccrouter.routing.directory import for_claude
from ccrouter.routing.mentions import mentions
from ccrouter.routing.model_name import bare, is_claude, separated, split
from ccrouter.routing.patterns import one_fits
from ccrouter.routing.rules import Rule, When
from ccrouter.routing.spelling import KeyPath, shown, spell_path
from ccrouter.wire.headers import is_credential
from ccrouter.wire.hosts import is_loopback

#: How alike a provider's name and what was probably meant are: `olama` and `ollama`, not `gemma3` and `gemini`.
_CLOSE = 0.88

#: How shells write the value of a variable; here it is the text itself.
_VARIABLE = re.compile(r"\$\{?\w+\}?|%\w+%")


def warnings(config: Config, presets: Mapping[str, Preset]) -> list[str]:
    """What is allowed and still deserves a word: credentials that travel in the clear, checks by other models."""
    checks = [words for _, words in checks_told(config, presets)]
    return [
        *_in_the_clear(config),
        *_taken_literally(config),
        *checks,
        *_without_bare_names(config, presets),
        *_switched_off(config),
        *_uncounted(config),
        *_odd(config, presets),
    ]


def _odd(config: Config, presets: Mapping[str, Preset]) -> Iterator[str]:
    """Names that nearly say a provider, and lead elsewhere as they are, prompt and all."""
    for path, name in _names(config):
        if (words := odd(name, config, presets)) is not None:
            yield f"{spell_path(path)}: {words}"


def odd(name: str, config: Config, presets: Mapping[str, Preset]) -> str | None:
    """A word where a name nearly says a provider, and leads elsewhere as it is."""
    known = {model.id for provider in config.providers.values() for model in provider.models}
    known.update(config.aliases, *(each.aliases for each in config.profiles.values()))
    if not known.isdisjoint((name, bare(name))) or (words := _oddity(name, config.providers, presets)) is None:
        return None
    return f"`{shown(name)}` {words}"


def _oddity(name: str, providers: Mapping[str, Provider], presets: Mapping[str, Preset]) -> str | None:
    first, separator, rest = separated(name)
    folded = {each.casefold(): each for each in (*presets, *providers)}
    whither = "goes to whoever lists such a model, else to the default"
    if not separator:
        meant = folded.get(first.casefold())
        words = f"names a provider and no model, so it {whither}; did you mean `{meant}:MODEL`?"
        return None if meant is None else words
    if first in providers:
        return None
    if first in presets and presets[first].base_url is None:
        # To gateways a slash stands in the models' own names.
        so = whither if separator == "/" else "goes to whoever lists such a model, else nowhere"
        return f"{so}: there is no [providers.{first}]; to say whose model it is, write `PROVIDER:{shown(name)}`"
    if separator == "/":
        return None
    close = get_close_matches(first.casefold(), folded, n=1, cutoff=_CLOSE)
    if first in presets or not close:
        return None
    meant = shown(folded[close[0]] + separator + rest)
    return f"names no provider, so it {whither}; did you mean `{meant}`?"


def _names(config: Config) -> Iterator[tuple[KeyPath, str]]:
    """All names of models in the file, with their places."""
    yield from mentions(config)
    for name, profile in config.profiles.items():
        yield from mentions(profile, ("profiles", name))


def _without_bare_names(config: Config, presets: Mapping[str, Preset]) -> list[str]:
    """Providers of Claude models that a bare name does not lead to, where nobody said which one it leads to."""
    own = {name: each for name, each in config.providers.items() if each.preset.first_party}
    login = next((name for name, each in presets.items() if each.first_party and each.auth == "client"), "")
    default = config.default or ""
    if not {login, *own}.isdisjoint(separated(name)[0] for name in stands_for(default, config.aliases)):
        return []
    there = for_claude(own.values())
    if login in own and there is not None:
        chosen, where = there.name, f"`{shown(there.name)}`"
    else:
        chosen, where = login, f"`{login}` where there is a Claude login or key"
    return [
        f"{spell_path(('providers', name))}: names like `claude-…` go to {where}, and not here; say"
        f' `default = "{shown(name)}"` to have them here, or `default = "{shown(chosen)}"`'
        for name in own
        if name != chosen
    ]


def _switched_off(config: Config) -> list[str]:
    """Rules, settings and aliases of which a profile switches off all that they name."""
    found = []
    for name, profile in config.profiles.items():
        aliases = config.aliases | profile.aliases
        without = set(_not_in_force(config, name, profile))
        named: dict[KeyPath, list[str]] = {}
        for path, each in _names(evolve(config, profiles={name: profile})):
            if path not in without:
                named.setdefault(path, []).extend(stands_for(each, aliases))
        for path, ends in named.items():
            if all(separator and first in profile.off for first, separator, _ in map(separated, ends)):
                found.append(
                    f"{spell_path(path)}: leads nowhere as long as the profile `{shown(name)}` is in force, which"
                    f" switches off {' and '.join(sorted({separated(each)[0] for each in ends}))}"
                )
    return found


def _not_in_force(config: Config, name: str, profile: Profile) -> Iterator[KeyPath]:
    """What of the rest of the file does not hold under a profile."""
    yield from ((key,) for key in ("subagent", "classifier") if getattr(profile, key))
    yield from (("aliases", alias) for alias in profile.aliases)
    for number, rule in enumerate(config.routes):
        if rule.when.profile and not one_fits(rule.when.profile, name):
            yield "routes", number, "use"


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
        named = None if name in config.aliases else split(name, config.providers)
        model = "" if named is None or named[0].name != provider else bare(named[1])
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
        ruled = any(_takes_all_checks(rule, name) for rule in (*profile.routes, *config.routes))
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


def _takes_all_checks(rule: Rule, profile: str) -> bool:
    """Whether no safety check gets past a rule in this profile. With another condition some may."""
    asked = rule.when
    if asked != When(classes=asked.classes, profile=asked.profile) or not asked.classes:
        return False
    return _is_for_checks(rule) and (not asked.profile or one_fits(asked.profile, profile))


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
    return [
        spell_path(path) for path, _ in _literals(config) if path[-2] != "headers" or is_credential(str(path[-1]))
    ]


def _taken_literally(config: Config) -> list[str]:
    """What was meant as the value of a variable; it may be a secret all the same, and is not repeated."""
    return [
        f"{spell_path(path)}: is taken as it stands there; to mean the value of an environment variable, write"
        ' { env = "NAME" }'
        for path, secret in _literals(config)
        if _VARIABLE.fullmatch(secret.value)
    ]


def _literals(config: Config) -> Iterator[tuple[KeyPath, Literal]]:
    """Where a secret may stand and text does."""
    found: list[tuple[KeyPath, Secret | None]] = [(("server", "token"), config.server.token)]
    for name, provider in config.providers.items():
        found.append((("providers", name, "api_key"), provider.api_key))
        found += [(("providers", name, "headers", header), secret) for header, secret in provider.headers]
    yield from ((path, secret) for path, secret in found if isinstance(secret, Literal))


def _has_credential(provider: Provider) -> bool:
    if provider.api_key is not None or provider.preset.key_required:
        return True
    return any(is_credential(name) or not isinstance(value, Literal) for name, value in provider.headers)


def _is_in_the_clear(base_url: str) -> bool:
    url = urlsplit(base_url)
    return url.scheme == "http" and not is_loopback(url.hostname or "")
