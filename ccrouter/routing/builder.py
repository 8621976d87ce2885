"""What only the whole of a configuration file shows: presets, aliases, rules, credentials in the clear. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import cast
from urllib.parse import urlsplit

from attrs import evolve

from ccrouter.providers.provider import Budget, Model, Preset, Provider, Timeouts, Wire
from ccrouter.routing.config import Config, Demo, Explain, Profile, Server, Slots
from ccrouter.routing.credentials import may_forward
from ccrouter.routing.mentions import mentions, separated
from ccrouter.routing.mistakes import Mistake
from ccrouter.routing.names import alias_of
from ccrouter.routing.rules import Rule, When
from ccrouter.routing.schema import said
from ccrouter.routing.spelling import KeyPath, nearest, shown
from ccrouter.routing.tables import Fallbacks, FileTable, ProfileTable, ProviderTable, RouteTable
from ccrouter.routing.values import WIRES, Name, ProviderName

_SEPARATORS = re.compile("[:,/]")

_Refuse = Callable[[KeyPath, str], None]
_Aliases = Mapping[Name, Fallbacks]


class Builder:
    """Makes the `Config` of a file and collects what is wrong with it."""

    def __init__(self, file: FileTable, presets: Mapping[str, Preset]) -> None:
        self.wrong: list[Mistake] = []
        self._file = file
        self._presets = presets

    def config(self) -> Config:
        """Whole only when ``wrong`` stayed empty."""
        server = said(self._file.server)
        server["timeouts"] = timeouts = evolve(Timeouts(), **said(self._file.server.timeouts))
        self._check_names((), self._file.aliases, self._file.aliases, self._file.default)
        self._check_providers_named()
        self._check_models_named((), self._file)
        built = [self._provider(name, table, timeouts) for name, table in self._file.providers.items()]
        return Config(
            default=self._file.default,
            server=Server(**server),
            providers={provider.name: provider for provider in built if provider is not None},
            aliases={alias: tuple(targets) for alias, targets in self._file.aliases.items()},
            routes=rules(self._file.routes, (), self._refuse),
            subagent=tuple(self._file.subagent or ()),
            classifier=tuple(self._file.classifier or ()),
            profile=self._file.profile,
            profiles={name: self._profile(name, table) for name, table in self._file.profiles.items()},
            slots=cast("Slots", self._file.slots or "none"),
            explain=Explain(**said(self._file.explain)),
            demo=Demo(**said(self._file.demo)),
        )

    def _refuse(self, path: KeyPath, words: str) -> None:
        self.wrong.append(Mistake(words, path))

    def _provider(self, name: str, table: ProviderTable, timeouts: Timeouts) -> Provider | None:
        place = ("providers", name)
        preset = self._preset(name, table)
        if preset is None:
            return None
        wire = cast("Wire", table.wire) if table.wire else preset.wire
        path = preset.path(wire)
        if path is None:
            spoken = [each for each in WIRES if preset.path(cast("Wire", each)) is not None]
            self._refuse(
                (*place, "wire"), f"the preset `{preset.name}` does not speak it; {' and '.join(spoken)} it does"
            )
            return None
        url = _trimmed(table.base_url, preset) if table.base_url else preset.base_url
        if url is None:
            self._refuse(place, f"needs `base_url`: the preset `{preset.name}` does not know where it is")
            return None
        if preset.transport == "demo" and table.base_url:
            self._refuse((*place, "base_url"), "the demo is built in and is nowhere else; leave it out")
        if preset.auth == "none" and table.api_key:
            self._refuse((*place, "api_key"), f"the preset `{preset.name}` takes no key; leave it out")
        self._check_loading((*place, "models"), table.models, preset)
        headers = [(name.lower(), secret) for name, secret in table.headers.items()]
        self._check_twice(((*place, "models", index), each.id) for index, each in enumerate(table.models))
        self._check_twice(((*place, "headers", name), name.lower()) for name in table.headers)
        provider = Provider(
            name=name,
            preset=preset,
            base_url=url,
            api_key=table.api_key,
            wire=wire if table.wire else None,
            headers=tuple(headers),
            models=table.models,
            timeouts=evolve(timeouts, **said(table.timeouts)),
            max_concurrent=table.max_concurrent,
            budget=Budget(**said(table.budget)),
            configured=True,
        )
        self._check_login(place, provider)
        self._check_prices(place, provider)
        return provider

    def _preset(self, name: str, table: ProviderTable) -> Preset | None:
        preset = self._presets.get(table.preset or name)
        if preset is None:
            near = nearest(table.preset or name, self._presets)
            hint = f"did you mean `{near}`? There are" if near else "there are"
            known = f"{hint}: {', '.join(self._presets)}"
            if table.preset:
                path: KeyPath = ("providers", name, "preset")
                self._refuse(path, f"there is no preset `{shown(table.preset)}`; {known}")
            else:
                words = f"`{shown(name)}` is not the name of a preset, so it needs `preset`; {known}"
                self._refuse(("providers", name), words)
        return preset

    def _check_login(self, place: KeyPath, provider: Provider) -> None:
        """A Claude login goes to Anthropic by the shortest way, or nowhere."""
        if provider.preset.auth != "client" or provider.has_own_key:
            return
        if provider.name != provider.preset.name:
            self._refuse(
                place,
                f"needs `api_key`: the Claude login goes to the provider `{provider.preset.name}` only;"
                " for another service that speaks Anthropic's format take the preset `messages`",
            )
        elif not may_forward(provider):
            self._refuse(
                (*place, "base_url"),
                "a Claude login travels by https or within this machine only; use https, or set `api_key`",
            )

    def _check_prices(self, place: KeyPath, provider: Provider) -> None:
        """Dollars can be counted only where it is known what a model costs."""
        budget = provider.budget
        for limit in ("dollars_per_day", "dollars_per_month"):
            if getattr(budget, limit) is not None and not any(model.price for model in provider.models):
                words = "needs what its models cost: models = [{ id = …, price = { input = 3, output = 15 } }]"
                self._refuse((*place, "budget", limit), words)

    def _profile(self, name: str, table: ProfileTable) -> Profile:
        place = ("profiles", name)
        for each, on in table.providers.items():
            self._check_named((*place, "providers", each), each)
            if on and each not in self._file.providers:
                words = "can't be switched on here: what is set up is on by itself; leave it out"
                self._refuse((*place, "providers", each), words)
        self._check_names(place, table.aliases, self._file.aliases | table.aliases, table.default)
        self._check_models_named(place, table)
        default = _SEPARATORS.split(table.default or self._file.default or "", maxsplit=1)[0]
        if table.providers.get(ProviderName(default)) is False:
            words = f"is where the default leads; give this profile another `default`, beside `{default} = false`"
            self._refuse((*place, "providers", default), words)
        return Profile(
            default=table.default,
            subagent=tuple(table.subagent or ()),
            classifier=tuple(table.classifier or ()),
            aliases={alias: tuple(targets) for alias, targets in table.aliases.items()},
            routes=rules(table.routes, place, self._refuse),
            off=frozenset(each for each, on in table.providers.items() if not on),
        )

    def _check_providers_named(self) -> None:
        """The providers that rules and profiles speak of must be some."""
        if (name := self._file.profile) is not None and name not in self._file.profiles:
            there = ", ".join(map(shown, self._file.profiles)) or "none"
            self._refuse(("profile",), f"there is no [profiles.{shown(name)}]; there are: {there}")
        places: list[tuple[KeyPath, Sequence[RouteTable]]] = [((), self._file.routes)]
        places += [(("profiles", each), table.routes) for each, table in self._file.profiles.items()]
        for place, routes in places:
            for number, route in enumerate(routes):
                path = (*place, "routes", number, "when")
                for provider in route.when.quota_over:
                    self._check_named((*path, "quota_over", provider), provider)
                for pattern in route.when.profile or ():
                    if "*" not in pattern and pattern not in self._file.profiles:
                        self._refuse((*path, "profile"), f"there is no [profiles.{shown(pattern)}]")

    def _check_models_named(self, place: KeyPath, table: FileTable | ProfileTable) -> None:
        """Who answers to such a name is somebody else, or nobody."""
        known: set[str] = {model.id for each in self._file.providers.values() for model in each.models}
        known.update(self._file.aliases, *(each.aliases for each in self._file.profiles.values()))
        for path, name in mentions(table, place):
            provider, separator, model = separated(name)
            if name in known or not separator:
                continue
            if not model and (provider in self._file.providers or provider in self._presets):
                self._refuse(path, f"`{shown(name)}` names a provider but no model; write `{provider}:MODEL`")
            # A slash may stand in the name of a gateway's model.
            elif separator != "/" and (homeless := self._homeless(name)) is not None:
                self._refuse(path, f"`{shown(name)}`: {homeless}")

    def _check_named(self, path: KeyPath, name: str) -> None:
        if name in self._file.providers or name in self._presets:
            return
        near = nearest(name, [*self._file.providers, *self._presets])
        known = dict.fromkeys([*self._file.providers, *self._presets])
        hint = f"did you mean `{near}`?" if near else f"there are: {', '.join(known)}"
        self._refuse(path, f"`{shown(name)}` is no provider or preset; {hint}")

    def _check_loading(self, place: KeyPath, models: Iterable[Model], preset: Preset) -> None:
        """How a model is loaded can be said on one wire, and to a server that loads models for its user."""
        if preset.ollama_path is None:
            words = f"it is said by Ollama's own API only, which `{preset.name}` does not speak; leave it out"
        elif preset.hosted:
            words = f"the models of `{preset.name}` are loaded by whoever runs them; leave it out"
        else:
            return
        for index, model in enumerate(models):
            for key in ("num_ctx", "keep_alive"):
                if getattr(model, key) is not None:
                    self._refuse((*place, index, key), words)

    def _check_twice(self, places: Iterable[tuple[KeyPath, str]]) -> None:
        seen = set()
        for path, name in places:
            if name in seen:
                self._refuse(path, f"`{shown(name)}` stands here twice; leave one out")
            seen.add(name)

    def _check_names(self, place: KeyPath, own: _Aliases, aliases: _Aliases, default: str | None) -> None:
        """The aliases and the default of the file or of a profile; ``aliases`` are all that hold there."""
        self._check_aliases((*place, "aliases"), own, aliases)
        if default is not None:
            self._check_default((*place, "default"), default, aliases)

    def _check_aliases(self, place: KeyPath, own: Iterable[Name], aliases: _Aliases) -> None:
        """An alias may name an alias, once: whoever reads a line can still tell where it leads."""
        leads = {
            alias: {short: each for each in targets if (short := _alias(each, aliases)) is not None}
            for alias, targets in aliases.items()
        }
        for alias in own:
            for first, name in leads[alias].items():
                back = name if first == alias else leads[first].get(alias)
                if back is not None:
                    words = "leads back to itself; to mean the model of that name, name its provider too:"
                    self._refuse((*place, alias), f"{words} `PROVIDER:{shown(back)}`")
                    break
                if leads[first]:
                    words = f"leads through `{shown(first)}` to `{shown(next(iter(leads[first])))}`, a third alias"
                    self._refuse((*place, alias), f"{words}; name the models instead")
                    break

    def _check_default(self, place: KeyPath, name: str, aliases: _Aliases) -> None:
        if self._names_provider(name):
            return
        if (alias := _alias(name, aliases)) is not None:
            inner = [(each, _alias(each, aliases)) for each in aliases[alias]]
            ends = [end for each, short in inner for end in (aliases[short] if short else (each,))]
            if (homeless := next(filter(None, map(self._homeless, ends)), None)) is not None:
                self._refuse(place, f"by way of the alias `{shown(alias)}`: {homeless}")
            elif not all(map(self._names_provider, ends)):
                words = f"the alias `{shown(alias)}` leads to names without a provider"
                self._refuse(place, f"{words}; write them as `PROVIDER:MODEL`")
            return
        if (homeless := self._homeless(name)) is not None:
            self._refuse(place, homeless)
            return
        known = dict.fromkeys([*self._file.providers, *self._presets, *aliases])
        near = nearest(name, known)
        hint = f"did you mean `{shown(near)}`?" if near else f"there are: {', '.join(map(shown, known))}"
        self._refuse(place, f"`{shown(name)}` is no provider, preset or alias; {hint}")

    def _homeless(self, name: str) -> str | None:
        """What is wrong with a name that leads to a preset without an address; None for any other."""
        provider = _SEPARATORS.split(name, maxsplit=1)[0]
        preset = self._presets.get(provider)
        if provider in self._file.providers or preset is None or preset.base_url is not None:
            return None
        table = f'[providers.{provider}] with base_url = "https://…"'
        return f"the preset `{provider}` does not know where it is; add {table}"

    def _names_provider(self, name: str) -> bool:
        """``PROVIDER`` or ``PROVIDER:MODEL``."""
        provider, *model = _SEPARATORS.split(name, maxsplit=1)
        preset = self._presets.get(provider)
        reachable = provider in self._file.providers or (preset is not None and preset.base_url is not None)
        return reachable and model != [""]


def _alias(name: str, aliases: _Aliases) -> Name | None:
    """The alias that a name means, read as `routing.names` reads it."""
    found = alias_of(name, aliases)
    return None if found is None else Name(found)


def _trimmed(url: str, preset: Preset) -> str:
    """A base URL without what the router adds to it: people copy URLs that end in /v1 or /v1/messages.

    Of any wire: vendors write one base URL for each, and who speaks another may have copied that of Claude Code's.
    """
    endings = []
    for wire in WIRES:
        parts = (preset.path(cast("Wire", wire)) or "").strip("/").split("/")
        endings += ["/" + "/".join(parts[:end]) for end in range(len(parts), 0, -1) if parts[0]]
    endings.sort(key=len, reverse=True)
    while (ending := next((each for each in endings if urlsplit(url).path.endswith(each)), None)) is not None:
        url = url.removesuffix(ending).rstrip("/")
    return url


def rules(
    tables: Sequence[RouteTable], place: KeyPath, refuse: _Refuse, whose: str | None = None
) -> tuple[Rule, ...]:
    """The rules of ``routes`` at ``place``; what is wrong with one is told to ``refuse``.

    One without a name is called by its number, behind ``whose`` it is, or the profile's name.
    """
    whose = whose or (f"{place[1]} " if place else "")
    found = []
    for number, table in enumerate(tables):
        path = (*place, "routes", number)
        if not table.use:
            refuse(path, 'needs `use`: a model such as "ollama:qwen3:8b", or a list of them in fallback order')
            continue
        over, under = table.when.tokens_over, table.when.tokens_under
        if over is not None and under is not None and under <= over + 1:
            refuse((*path, "when"), f"never holds: nothing has more than {over} and fewer than {under} tokens")
        found.append(Rule(name=table.name or f"{whose}{number + 1}", when=_when(table), use=tuple(table.use)))
    return tuple(found)


def _when(table: RouteTable) -> When:
    given = said(table.when)
    classes = given.pop("class", ())
    for name in ("headers", "quota_over"):
        given[name] = tuple(given[name].items())
    return When(classes=classes, **given)
