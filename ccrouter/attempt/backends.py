"""What a client asked for, and the ways to the backends that may have it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from attrs import evolve, field, frozen

from ccrouter.attempt.places import Places
from ccrouter.providers.provider import Place, Provider, Target, Wire
from ccrouter.routing.credentials import ClientCredentials
from ccrouter.routing.quota import Quotas
from ccrouter.translate.dialect import Endpoint
from ccrouter.upstream.credentials import Credentials
from ccrouter.upstream.dial import Dial
from ccrouter.upstream.facts import Facts
from ccrouter.upstream.models import ModelLists
from ccrouter.wire.headers import Headers
from ccrouter.wire.messages import MessagesRequest


@frozen(kw_only=True)
class Inbound:
    """What the client asked for."""

    request: MessagesRequest
    headers: Headers = field(repr=False)
    query: str
    endpoint: Endpoint
    credentials: ClientCredentials = field(repr=False)
    request_id: str
    session: str | None = None
    """Whose turn it is where requests wait for a place; None: nobody's in particular."""

    @property
    def streamed(self) -> bool:
        """Whether the client waits for a stream."""
        return self.request.stream and self.endpoint == "messages"


@frozen(kw_only=True)
class Backends:
    """The ways to the backends. ``dials`` by the transport of a preset.

    ``fallen`` remembers backends that turned out not to have their preset's wire, and the one that they have,
    ``unsummarized`` models that turned out not to sum up their reasoning, both until the router ends.
    ``facts`` knows what their models can do, ``quotas`` how much of their plans is used up, ``places`` who waits
    for one. ``clock`` gives seconds since 1970.
    """

    dials: Mapping[str, Dial]
    credentials: Credentials
    fallen: dict[Place, Wire] = field(factory=dict)
    unsummarized: set[tuple[Place, str]] = field(factory=set)
    quotas: Quotas = field(factory=Quotas, repr=False)
    places: Places = field(factory=Places, repr=False)
    clock: Callable[[], float] = time.time
    facts: Facts = field(repr=False)

    @facts.default
    def _facts(self) -> Facts:
        return Facts(ModelLists(self.dials, self.credentials))

    def wire(self, target: Target, endpoint: Endpoint = "messages") -> Wire:
        """The wire that is spoken to a target now. Who can count a Messages request is asked in that form."""
        provider = target.provider
        if endpoint == "count_tokens" and provider.preset.count_path is not None:
            return "messages"
        return self.fallen.get(provider.place, target.wire)

    def asked(self, target: Target) -> Target:
        """The target as it can be asked, for all that was found out."""
        return evolve(target, summarized=(target.provider.place, target.model) not in self.unsummarized)

    def unsummarize(self, target: Target) -> Target:
        """Remember that a model refuses to sum up its reasoning; the target as it can be asked now."""
        self.unsummarized.add((target.provider.place, target.model))
        return self.asked(target)

    def fall(self, provider: Provider, wire: Wire) -> None:
        """Remember that a backend has this wire only."""
        self.fallen[provider.place] = wire
