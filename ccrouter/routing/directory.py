"""Which providers there are at one moment: the configured ones, and those that were found. Pure.

Without any configuration a router still finds what its user has: logins of other programs on this machine, keys of
the presets in the environment, and local servers on their default ports. What is found never takes the place of
what is configured, nor is it there when the profile in force switches it off. The demo model stands in only when
there is nothing else and never was: where all that was found is gone, its own failure is the answer.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from ccrouter.providers.provider import Preset, Provider, Timeouts
from ccrouter.routing.config import Config
from ccrouter.routing.names import Directory, for_claude

DEMO = "demo"


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
    for preset in presets.values():
        provider = preset_provider(preset, config.server.timeouts)
        if provider is None or preset.name in config.providers or preset.name in config.off:
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
        lent=config.lent,
        default=config.default or _default(providers),
    )


def _default(providers: Mapping[str, Provider]) -> str:
    """Claude where there is one, else the first configured provider, else the first found."""
    claude = for_claude(providers.values())
    return next(iter(providers)) if claude is None else claude.name
