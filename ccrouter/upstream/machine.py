"""What this machine has for a router: servers of models on their usual ports, and the logins of other programs.

Looked for at the start, and again behind the back of whoever asks when the last look is older than `LOOK_AGAIN`.
What a look shows is weighed against the ones before (`ccrouter.routing.sightings`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import trio

from ccrouter.providers.provider import Auth, Preset
from ccrouter.routing.config import Config
from ccrouter.routing.directory import preset_provider
from ccrouter.routing.sightings import Sight, Sightings
from ccrouter.upstream import codex, subscription
from ccrouter.upstream.models import PROBE, ModelLists

#: Local servers and the logins are looked for again when the last look is older than this, in seconds.
LOOK_AGAIN = 15.0


class Machine:
    """What was found up to now. ``then`` is called after each look."""

    def __init__(
        self,
        presets: Mapping[str, Preset],
        lists: ModelLists,
        config: Callable[[], Config],
        *,
        environ: Mapping[str, str],
        platform: str,
        then: Callable[[], None],
    ) -> None:
        self._presets = presets
        self._lists = lists
        self._config = config
        self._environ = environ
        self._platform = platform
        self._then = then
        self._servers = Sightings()
        self._logins = Sightings()
        self._looked = trio.Event()
        self._look_due = 0.0
        self._looking = False

    @property
    def running(self) -> frozenset[str]:
        """The presets whose server counts as there."""
        return self._servers.there

    @property
    def logins(self) -> frozenset[str]:
        """The logins that count as there, as presets name them."""
        return self._logins.there

    @property
    def before(self) -> frozenset[str]:
        """The presets that were found at any time."""
        logins = self._logins.ever
        return self._servers.ever | {name for name, each in self._presets.items() if each.auth in logins}

    async def looked(self, background: trio.Nursery) -> None:
        """Wait for the first look, which takes under a second; see to it that there is another in time."""
        if not self._looked.is_set():
            with trio.move_on_after(PROBE + 0.3):
                await self._looked.wait()
        elif trio.current_time() > self._look_due and not self._looking:
            self._looking = True  # before the next one asks
            background.start_soon(self.look)

    async def look(self) -> None:
        """Look for all of it at once."""
        self._looking = True
        config = self._config()
        servers: dict[str, Sight] = {}
        logins: dict[str, Sight] = {}

        async def look_for_server(preset: Preset) -> None:
            provider = preset_provider(preset, config.server.timeouts)
            if provider is not None:
                servers[preset.name] = await self._lists.probe(provider)

        async def look_for_logins() -> None:
            found = await trio.to_thread.run_sync(_logins, self._environ, self._platform, abandon_on_cancel=True)
            logins.update({auth: "there" if there else "gone" for auth, there in found.items()})

        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(look_for_logins)
                for name, preset in self._presets.items():
                    if preset.probe and name not in config.providers:
                        nursery.start_soon(look_for_server, preset)
        finally:
            self._looking = False
        self._servers = self._servers.after(servers)
        self._logins = self._logins.after(logins)
        self._look_due = trio.current_time() + LOOK_AGAIN
        self._looked.set()
        self._then()


def _logins(environ: Mapping[str, str], platform: str) -> Mapping[Auth, bool]:
    """Whether other programs have logins here, as the presets name them. Blocks for milliseconds."""
    return {
        "client": subscription.has_login(environ, platform),
        "codex": codex.has_login(environ),
    }
