"""What this machine has for a router: servers of models on their usual ports, and the logins of other programs.

Looked for at the start, and again behind the back of whoever asks when the last look is older than `LOOK_AGAIN`.
What a look shows is weighed against the ones before (`ccrouter.routing.sightings`).

A server that is busy at the start would be missing when the first conversation chooses who answers it, and that
choice stays. So the first look gives those who take the connection and say nothing yet `FIRST` seconds, and the
first requests wait for it; the lists that clients ask for are made of what shows itself within `PROBE`. And
where nothing was found but a stand-in, whoever asks waits for a look that is no older than `LOOK_SOON`: a
server may just have been started.
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
#: The same where nothing was found that could answer.
LOOK_SOON = 2.0

#: How long a server gets to show itself at the first look, in seconds. No request waits for longer than 3 s.
FIRST = 2.5
_SPARE = 0.3

#: How long a look waits for the logins, in seconds: a home on a disk that hangs must not end all looking around.
LOGINS = subscription.KEYCHAIN_DEADLINE + 1.0


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
        self._reader = trio.CapacityLimiter(1)
        """One thread may hang on a disk, but not one more with each look."""
        self._glanced = trio.Event()
        """What shows itself at once is known."""
        self._looked = trio.Event()
        """The first look is over, or was waited for as long as anybody may."""
        self._ended = 0.0
        """When the last look ended."""
        self._under_way: trio.Event | None = None
        """Set when the look that is under way ends."""

    @property
    def first_look_over(self) -> bool:
        """Whether what was not found counts as not there."""
        return self._looked.is_set()

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

    async def glanced(self, background: trio.Nursery) -> None:
        """As `looked`, but wait for no more of the first look than a second: for what shows itself at once."""
        with trio.move_on_after(PROBE + _SPARE):
            await self._glanced.wait()
        self._see_to_it(background, LOOK_AGAIN)

    async def looked(self, background: trio.Nursery) -> None:
        """Wait for the first look, which takes under 3 s; see to it that there is another in time."""
        with trio.move_on_after(FIRST + _SPARE) as waiting:
            await self._looked.wait()
        if waiting.cancelled_caught:
            self._looked.set()  # a login on a disk that hangs must not keep everybody
        self._see_to_it(background, LOOK_AGAIN)

    async def looked_anew(self, background: trio.Nursery) -> None:
        """Wait, where nothing was found, for a look no older than `LOOK_SOON`, which takes under a second."""
        self._see_to_it(background, LOOK_SOON)
        if (under_way := self._under_way) is not None:
            with trio.move_on_after(PROBE + _SPARE):
                await under_way.wait()

    def _see_to_it(self, background: trio.Nursery, seconds: float) -> None:
        """Have another look begun where the last one is older than that."""
        if self._looked.is_set() and self._under_way is None and trio.current_time() > self._ended + seconds:
            self._under_way = trio.Event()  # before the next one asks
            background.start_soon(self.look)

    async def look(self) -> None:
        """Look for all of it at once."""
        ended = self._under_way = trio.Event() if self._under_way is None else self._under_way
        patience = PROBE if self._looked.is_set() else FIRST
        config = self._config()
        servers: dict[str, Sight] = {}
        logins: dict[str, Sight] = {}

        async def look_for_server(preset: Preset) -> None:
            provider = preset_provider(preset, config.server.timeouts)
            if provider is not None:
                servers[preset.name] = await self._lists.probe(provider, patience)

        async def look_for_logins() -> None:
            with trio.move_on_after(LOGINS):
                found = await trio.to_thread.run_sync(
                    _logins, self._environ, self._platform, abandon_on_cancel=True, limiter=self._reader
                )
                logins.update({auth: "there" if there else "gone" for auth, there in found.items()})

        def weigh() -> None:
            self._servers = self._servers.after(servers)
            self._logins = self._logins.after(logins)
            servers.clear()
            logins.clear()
            self._glanced.set()
            self._then()

        async def weigh_what_is_there() -> None:
            await trio.sleep(PROBE)
            weigh()

        try:
            async with trio.open_nursery() as nursery:
                if patience > PROBE:
                    nursery.start_soon(weigh_what_is_there)
                async with trio.open_nursery() as looking:
                    looking.start_soon(look_for_logins)
                    for name, preset in self._presets.items():
                        if preset.probe and name not in config.providers:
                            looking.start_soon(look_for_server, preset)
                nursery.cancel_scope.cancel()
            self._ended = trio.current_time()
            self._looked.set()
            weigh()
        finally:
            self._under_way = None
            ended.set()


def _logins(environ: Mapping[str, str], platform: str) -> Mapping[Auth, bool]:
    """Whether other programs have logins here, as the presets name them.

    Blocks, on macOS for `KEYCHAIN_DEADLINE` at most; on a disk that hangs, without end.
    """
    return {
        "client": subscription.has_login(environ, platform),
        "codex": codex.has_login(environ),
    }
