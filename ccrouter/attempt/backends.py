"""The ways to the backends."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from attrs import evolve, field, frozen

from ccrouter.attempt.limiter import Limiter
from ccrouter.providers.provider import Provider, ProviderKey, Target, Wire
from ccrouter.remembered.budgets import Budgets
from ccrouter.routing.quota import Quotas
from ccrouter.translate.dialect import Endpoint
from ccrouter.upstream.credentials import Credentials
from ccrouter.upstream.dial import Dial
from ccrouter.upstream.facts import Facts


@frozen(kw_only=True)
class Backends:
    """The ways to the backends. ``dials`` by the transport of a preset.

    ``fallen`` remembers backends that turned out not to have their preset's wire, and the one that they have,
    ``unsummarized`` models that turned out not to sum up their reasoning, both until the router ends.
    ``facts`` knows what their models can do, ``quotas`` how much of their plans is used up, ``budgets`` what may
    still be spent, ``limiter`` who waits for a place. ``clock`` gives seconds since 1970.
    """

    dials: Mapping[str, Dial]
    credentials: Credentials
    facts: Facts = field(repr=False)
    budgets: Budgets = field(repr=False)
    fallen: dict[ProviderKey, Wire] = field(factory=dict)
    unsummarized: set[tuple[ProviderKey, str]] = field(factory=set)
    quotas: Quotas = field(factory=Quotas, repr=False)
    limiter: Limiter = field(factory=Limiter, repr=False)
    clock: Callable[[], float] = time.time

    def wire(self, target: Target, endpoint: Endpoint = "messages") -> Wire:
        """The wire that is spoken to a target now. Who can count a Messages request is asked in that form."""
        provider = target.provider
        if endpoint == "count_tokens" and provider.preset.count_path is not None:
            return "messages"
        return self.fallen.get(provider.key, target.wire)

    def asked(self, target: Target) -> Target:
        """The target as it can be asked, for all that was found out."""
        refused = (target.provider.key, target.model) in self.unsummarized
        return evolve(target, summarized=False) if refused else target

    def unsummarize(self, target: Target) -> Target:
        """Remember that a model refuses to sum up its reasoning; the target as it can be asked now."""
        self.unsummarized.add((target.provider.key, target.model))
        return self.asked(target)

    def fall(self, provider: Provider, wire: Wire) -> None:
        """Remember that a backend has this wire only."""
        self.fallen[provider.key] = wire
