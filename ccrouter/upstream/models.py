"""Which models the providers have: asked in parallel, kept for a while, never waited for longer than is said.

A list that can't be had now leaves the last one standing; what went wrong is kept beside it for ``status``.
One question to a provider is under way at a time, and whoever comes meanwhile waits for its answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import trio
from attrs import evolve, frozen

from ccrouter.errors import CcrouterError, ConnectFailed, WrongAnswer
from ccrouter.providers.listings import read_models
from ccrouter.providers.provider import Model, Provider, ProviderKey
from ccrouter.routing.credentials import ClientCredentials
from ccrouter.routing.sightings import Sight
from ccrouter.upstream.credentials import Credentials
from ccrouter.upstream.dial import Dial
from ccrouter.upstream.inquiry import Inquiry
from ccrouter.upstream.single_flight import SingleFlight

#: A list is asked for again when it is older than this, in seconds.
FRESH = 60.0

#: How long a backend on this machine's default ports gets to show that it is there, in seconds.
PROBE = 0.7

#: The statuses of a server that can't answer just now, whatever it was asked.
_BUSY = frozenset({408, 429, 500, 502, 503, 504})


@frozen(kw_only=True)
class Listing:
    """What is known of a provider's models. ``seen`` is the time of the last answer, None without any."""

    models: tuple[Model, ...] = ()
    problem: str | None = None
    seen: float | None = None
    tried: float = -1e9


class ModelLists:
    """The lists of all providers, by name."""

    def __init__(self, dials: Mapping[str, Dial], credentials: Credentials) -> None:
        self.inquiry = Inquiry(dials, credentials)
        self._listings: dict[ProviderKey, Listing] = {}
        self._asking: SingleFlight[ProviderKey, None] = SingleFlight()

    def of(self, provider: Provider) -> Listing:
        """What is known now: the configuration's word, else the last answer."""
        if provider.models:
            return Listing(models=provider.models, seen=0.0)
        return self.told(provider)

    def told(self, provider: Provider) -> Listing:
        """The last answer, whatever the configuration says."""
        return self._listings.get(provider.key, Listing())

    async def refresh(self, providers: Iterable[Provider], credentials: ClientCredentials, seconds: float) -> None:
        """Ask every provider whose list isn't fresh; return when all have answered or ``seconds`` are over."""
        async with trio.open_nursery() as nursery:
            for provider in providers:
                nursery.start_soon(self._refresh_one, provider, credentials, seconds)

    async def _refresh_one(self, provider: Provider, credentials: ClientCredentials, seconds: float) -> None:
        preset = provider.preset
        if preset.models_path is None or (provider.models and preset.facts_from != "list"):
            return
        deadline = trio.current_time() + seconds

        async def run() -> None:
            now, listing = trio.current_time(), self.told(provider)
            if now - listing.tried < (FRESH if listing.problem is None else FRESH / 10):
                return
            # What stays when the time runs out: a dead backend must not cost every later caller its time.
            listing = evolve(listing, problem=f"no answer within {seconds:g} s", tried=now)
            with trio.move_on_at(deadline):
                try:
                    listing = Listing(models=await self._ask(provider, credentials), seen=now, tried=now)
                except CcrouterError as error:
                    listing = evolve(listing, problem=str(error))
            self._listings[provider.key] = listing

        await self._asking.join(provider.key, run, deadline=deadline)

    async def probe(self, provider: Provider, seconds: float) -> Sight:
        """Whether a backend of the provider's kind is there; its list is kept when it is.

        ``seconds`` are for its answer; to take the connection nobody gets more than `PROBE`. It is gone where
        nobody listens or somebody else answers. Who is slow, breaks off or says that it can't at this moment
        (llama.cpp's 503 while it loads a model) may be there.
        """
        provider = evolve(provider, timeouts=evolve(provider.timeouts, connect=PROBE))
        with trio.move_on_after(seconds):
            try:
                models = await self._ask(provider, ClientCredentials())
            except ConnectFailed:
                return "gone"
            except WrongAnswer as error:
                return "silent" if error.status in _BUSY else "gone"
            except CcrouterError:
                return "silent"
            now = trio.current_time()
            self._listings[provider.key] = Listing(models=models, seen=now, tried=now)
            return "there"
        return "silent"

    async def _ask(self, provider: Provider, credentials: ClientCredentials) -> tuple[Model, ...]:
        body = await self.inquiry.ask(provider, credentials, provider.preset.models_path or "")
        return read_models(body, provider.preset)
