"""From the text of a configuration file to a `Config`, or to every mistake in it, each with its line.

Two passes: first the shape (`routing.schema`: keys, kinds of values), then, of a file whose shape is right,
what only the whole can show (presets, aliases, where credentials would travel). No message repeats the value
of a key that could hold a secret.
"""

from __future__ import annotations

import ipaddress
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from typing import cast
from urllib.parse import urlsplit

from attrs import evolve, frozen
from cattrs import ClassValidationError, ForbiddenExtraKeysError
from cattrs.errors import AttributeValidationNote, BaseValidationError, IterableValidationNote

from ccrouter.errors import ConfigError
from ccrouter.providers.provider import Preset, Provider, Timeouts, Wire
from ccrouter.providers.secret import Literal, Secret
from ccrouter.routing.config import Config, Demo, Server
from ccrouter.routing.credentials import may_forward
from ccrouter.routing.schema import FileTable, ProviderTable, ServerTable, keys, said, structure
from ccrouter.routing.spelling import KeyPath, line_of, lines, nearest, shown, spell_path
from ccrouter.routing.values import WIRES, Name

#: Promised by the contract, not built yet.
_LATER = frozenset({"routes", "profiles"})

_SENSITIVE = re.compile(r"auth|key|token|secret|password|cookie|credential")

_SEPARATORS = re.compile("[:,/]")
_LONG_CONTEXT = "[1m]"


@frozen
class Mistake:
    """One thing that is wrong: where, as far as that is known, and in which words."""

    words: str
    path: KeyPath = ()
    line: int | None = None
    column: int | None = None

    def told(self, where: str) -> str:
        """``FILE:LINE: key.path: what is wrong; how to mend it``, without the parts that are not known."""
        place = ":".join(str(part) for part in (where, self.line, self.column) if part is not None)
        return ": ".join(part for part in (place, spell_path(self.path), self.words) if part)


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
    try:
        table = tomllib.loads(text)
    except RecursionError:
        return (Mistake("is nested too deeply to be read"),)
    except ValueError as error:  # TOMLDecodeError, and int's own for numbers of thousands of digits
        return (_syntax(error, text),)
    try:
        file = structure(table)
    except ClassValidationError as error:
        wrong = [mistake for path, leaf in _leaves(error, ()) for mistake in _shape(path, leaf)]
    else:
        builder = _Builder(file, presets)
        config = builder.config()
        wrong = builder.wrong
        if not wrong:
            return config
    places = lines(text)
    wrong = [evolve(mistake, line=line_of(mistake.path, places)) for mistake in wrong]
    return tuple(sorted(wrong, key=lambda mistake: mistake.line or 0))


def warnings(config: Config) -> list[str]:
    """What is allowed and still deserves a word: credentials that travel in the clear."""
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


# ------------------------------------------------------------------------------------- the shape of the file


def _syntax(error: ValueError, text: str) -> Mistake:
    words = str(error)
    if (place := re.fullmatch(r"(.*) \(at line (\d+), column (\d+)\)", words, re.DOTALL)) is not None:
        return Mistake(shown(place[1]), line=int(place[2]), column=int(place[3]))
    if (end := re.fullmatch(r"(.*) \(at end of document\)", words, re.DOTALL)) is not None:
        return Mistake(f"{shown(end[1])}, at the end of the file", line=text.count("\n") + 1)
    if isinstance(error, tomllib.TOMLDecodeError):
        return Mistake(shown(words))
    return Mistake("holds a number that is too long to be read")


def _leaves(error: Exception, path: KeyPath) -> Iterator[tuple[KeyPath, Exception]]:
    """The mistakes within cattrs' nested groups; its notes say on which key or element each happened."""
    for note in getattr(error, "__notes__", ()):
        if isinstance(note, AttributeValidationNote):
            path = (*path, note.name)
        elif isinstance(note, IterableValidationNote):
            path = (*path, note.index)
    if isinstance(error, BaseValidationError):
        for inner in error.exceptions:
            yield from _leaves(inner, path)
    else:
        yield path, error


def _shape(path: KeyPath, leaf: Exception) -> Iterator[Mistake]:
    match leaf:
        case ForbiddenExtraKeysError():
            for key in leaf.extra_fields:
                yield Mistake(_unknown(key, leaf.cl), (*path, key))
        case ValueError():
            yield Mistake(str(leaf), path)
        case _:  # a bug of ours, which must not pass for a mistake of the user's
            raise leaf


def _unknown(key: str, table: type) -> str:
    if table is FileTable and key in _LATER:
        return f"this version of ccrouter has no `{key}` yet; leave it out"
    if table is FileTable and key in keys(ServerTable):
        return f"unknown key `{key}` here; it belongs into [server]"
    if (meant := nearest(key, keys(table))) is not None:
        return f"unknown key `{shown(key)}`; did you mean `{meant}`?"
    return f"unknown key `{shown(key)}`; known here: {', '.join(keys(table))}"


# --------------------------------------------------------------------------------- what only the whole shows


class _Builder:
    """Makes the `Config` of a file and collects what is wrong with it."""

    def __init__(self, file: FileTable, presets: Mapping[str, Preset]) -> None:
        self.wrong: list[Mistake] = []
        self._file = file
        self._presets = presets

    def config(self) -> Config:
        """Whole only when ``wrong`` stayed empty."""
        server = said(self._file.server)
        server["timeouts"] = timeouts = evolve(Timeouts(), **said(self._file.server.timeouts))
        self._check_aliases()
        self._check_default()
        built = [self._provider(name, table, timeouts) for name, table in self._file.providers.items()]
        return Config(
            default=self._file.default,
            server=Server(**server),
            providers={provider.name: provider for provider in built if provider is not None},
            aliases={alias: tuple(targets) for alias, targets in self._file.aliases.items()},
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
            configured=True,
        )
        self._check_login(place, provider)
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

    def _check_twice(self, places: Iterable[tuple[KeyPath, str]]) -> None:
        seen = set()
        for path, name in places:
            if name in seen:
                self._refuse(path, f"`{shown(name)}` stands here twice; leave one out")
            seen.add(name)

    def _check_aliases(self) -> None:
        """An alias may name an alias, once: whoever reads a line can still tell where it leads."""
        leads = {
            alias: tuple(dict.fromkeys(filter(None, map(self._alias, targets))))
            for alias, targets in self._file.aliases.items()
        }
        for alias, firsts in leads.items():
            place = ("aliases", alias)
            for first in firsts:
                if alias == first or alias in leads[first]:
                    words = "leads back to itself; to mean the model of that name, name its provider too:"
                    self._refuse(place, f"{words} `PROVIDER:{shown(alias)}`")
                    break
                if leads[first]:
                    words = f"leads through `{shown(first)}` to `{shown(leads[first][0])}`, a third alias"
                    self._refuse(place, f"{words}; name the models instead")
                    break

    def _alias(self, name: str) -> Name | None:
        """The alias that a name means, read as `routing.names` reads it."""
        short = Name(name if name in self._file.aliases else name.removesuffix(_LONG_CONTEXT))
        return short if short in self._file.aliases else None

    def _check_default(self) -> None:
        name = self._file.default
        if name is None or self._names_provider(name):
            return
        if (alias := self._alias(name)) is not None:
            aliases = self._file.aliases
            inner = [(each, self._alias(each)) for each in aliases[alias]]
            ends = [end for each, short in inner for end in (aliases[short] if short else (each,))]
            if (homeless := next(filter(None, map(self._homeless, ends)), None)) is not None:
                self._refuse(("default",), f"by way of the alias `{shown(alias)}`: {homeless}")
            elif not all(map(self._names_provider, ends)):
                words = f"the alias `{shown(alias)}` leads to names without a provider"
                self._refuse(("default",), f"{words}; write them as `PROVIDER:MODEL`")
            return
        if (homeless := self._homeless(name)) is not None:
            self._refuse(("default",), homeless)
            return
        known = dict.fromkeys([*self._file.providers, *self._presets, *self._file.aliases])
        near = nearest(name, known)
        hint = f"did you mean `{shown(near)}`?" if near else f"there are: {', '.join(map(shown, known))}"
        self._refuse(("default",), f"`{shown(name)}` is no provider, preset or alias; {hint}")

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
