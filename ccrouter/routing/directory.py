"""Which providers there are at one moment: the configured ones, and those that were found. Pure.

Without any configuration a router still finds what its user has: logins of other programs on this machine, keys of
the presets in the environment, and local servers on their default ports. What is found never takes the place of
what is configured, nor is it there when the profile in force switches it off. The demo model stands in only when
there is nothing else and never was: where all that was found is gone, its own failure is the answer.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import cached_property
from typing import Any

from attrs import field, frozen

from ccrouter.providers.provider import Preset, Provider, Target, Timeouts
from ccrouter.routing.aliases import stands_for
from ccrouter.routing.config import Config, Lent
from ccrouter.routing.model_name import split

DEMO = "demo"


@frozen(kw_only=True)
class Meaning:
    """What a name means: its targets in fallback order, never none.

    ``names`` are those that it stands for, without aliases; ``without`` says which of them it had to do without,
    and why.
    """

    targets: tuple[Target, ...]
    names: tuple[str, ...]
    without: tuple[str, ...] = ()


@frozen(kw_only=True)
class Directory:
    """Everything that a name can mean at one moment.

    ``providers`` are in the order in which they are preferred. ``addressable`` has those too, and the presets
    that are not set up but can be asked for by name. ``listed`` has the models that each provider is known to
    have; a provider whose list has not been seen yet is missing. ``off`` are those that are switched off,
    ``homeless`` the presets without an address of their own that nobody gave one.
    """

    providers: Mapping[str, Provider]
    addressable: Mapping[str, Provider] = field(repr=False)
    aliases: Mapping[str, tuple[str, ...]]
    default: str
    listed: Mapping[str, tuple[str, ...]] = field(factory=dict)
    off: frozenset[str] = frozenset()
    homeless: frozenset[str] = frozenset()
    lent: Lent = field(factory=Lent)
    resolved: dict[Any, Meaning] = field(factory=dict, init=False, eq=False, repr=False)
    """What `names.meaning` remembers."""

    @cached_property
    def claude(self) -> Provider | None:
        """The provider for Claude models; None where none is set up, and none is the user's default."""
        return _claude(self, self.providers)

    @cached_property
    def default_names(self) -> tuple[str, ...]:
        """What the default stands for: itself, or the names behind an alias."""
        if self.default in self.addressable:
            return (self.default,)
        return stands_for(self.default, self.aliases)

    @cached_property
    def claude_by_login(self) -> Provider | None:
        """As `claude`, for a client with a login of its own, which opens one that need not be set up."""
        return self.claude or _claude(self, self.addressable)


def preset_provider(preset: Preset, timeouts: Timeouts) -> Provider | None:
    """A preset as it is; None for one that needs a base URL of the user's."""
    if preset.base_url is None:
        return None
    return Provider(name=preset.name, preset=preset, base_url=preset.base_url, timeouts=timeouts)


def build(
    config: Config,
    presets: Mapping[str, Preset],
    *,
    logins: Collection[str],
    environ: Collection[str],
    running: Collection[str],
    before: Collection[str] = (),
) -> Directory:
    """The directory, without the models that its providers list.

    ``logins``: those of other programs on this machine, as presets name them. ``environ``: names of variables that
    are set. ``running``: presets whose server answered on its default port. ``before``: presets that were found
    earlier.
    """
    configured = {name: each for name, each in config.providers.items() if name not in config.off}
    addressable = dict(configured)
    found: dict[str, Provider] = {}
    gone: dict[str, Provider] = {}
    homeless = set()
    for preset in presets.values():
        if preset.name in config.providers or preset.name in config.off:
            continue
        provider = preset_provider(preset, config.server.timeouts)
        if provider is None:
            homeless.add(preset.name)
            continue
        addressable[preset.name] = provider
        has_key = any(name in environ for name in preset.key_env) and preset.key_required
        if has_key or preset.name in running or preset.auth in logins:
            found[preset.name] = provider
        elif preset.name in before:
            gone[preset.name] = provider
    providers = configured | found or gone
    if not providers:
        demo = preset_provider(presets[DEMO], config.server.timeouts)
        assert demo is not None  # noqa: S101  it has an address of its own
        providers = {DEMO: demo}
        addressable[DEMO] = demo
    return Directory(
        providers=providers,
        addressable=addressable,
        aliases=config.aliases,
        off=config.off,
        homeless=frozenset(homeless),
        lent=config.lent,
        default=config.default or _default(providers),
    )


def stands_in(directory: Directory) -> bool:
    """Whether the demo model answers because there is nothing else."""
    demo = directory.providers.get(DEMO)
    return demo is not None and not demo.configured and len(directory.providers) == 1


def _default(providers: Mapping[str, Provider]) -> str:
    """Claude where there is one, else the first configured provider, else the first found."""
    claude = for_claude(providers.values())
    return next(iter(providers)) if claude is None else claude.name


def _claude(directory: Directory, there: Mapping[str, Provider]) -> Provider | None:
    """Of all providers that are ``there`` the one for Claude models, if there is any.

    The user's default needs not be set up: a login that is lost must not move them to an account that is paid by
    the token. A repository's default needs to be.
    """
    known = there if directory.lent.default else directory.addressable
    for name in directory.default_names:
        named = split(name, known)
        said = known.get(name) if named is None else named[0]
        if said is not None and said.preset.first_party:
            return said
    return for_claude(there.values())


def for_claude(providers: Iterable[Provider]) -> Provider | None:
    """Where Claude models go as long as nobody says more: where the login is taken, else to the first."""
    own = [each for each in providers if each.preset.first_party]
    return next((each for each in own if takes_login(each)), next(iter(own), None))


def takes_login(provider: Provider) -> bool:
    """Whether it is authenticated by a Claude login, as long as there is one."""
    return provider.preset.auth == "client" and not provider.has_own_key
