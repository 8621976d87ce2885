"""The models that can be had, as the lists of clients show them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import trio
from attrs import frozen

from ccrouter.providers.provider import Model, Provider
from ccrouter.routing.credentials import ClientCredentials
from ccrouter.routing.model_name import discovery_id
from ccrouter.upstream.facts import Facts
from ccrouter.upstream.models import ModelLists


@frozen(kw_only=True)
class Listed:
    """A model as a menu shows it. ``name`` is what the user types."""

    name: str
    label: str
    description: str
    provider: str
    anthropic: bool


async def rows(
    providers: Sequence[Provider],
    claude: Provider | None,
    lists: ModelLists,
    facts: Facts,
    credentials: ClientCredentials,
    *,
    seconds: float,
    discovery: bool,
) -> list[dict[str, Any]]:
    """All models in Anthropic's shape, asking each provider for at most ``seconds``.

    Those of ``claude``, the provider for Claude models, have no provider's name before theirs. ``discovery``:
    under ids that older clients accept.
    """
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lists.refresh, providers, credentials, seconds)
        nursery.start_soon(facts.refresh, providers, credentials, seconds)
    return [
        _row(provider, facts.known(provider, each.id), bare=provider is claude, discovery=discovery)
        for provider in providers
        for each in lists.of(provider).models
    ]


def listed(providers: Iterable[Provider], lists: ModelLists, facts: Facts) -> list[Listed]:
    """All models as a menu shows them, as far as they are known."""
    return [
        Listed(
            name=f"{provider.name}:{model.id}",
            label=model.name or model.id,
            description=describe(provider.preset.title, facts.known(provider, model.id)),
            provider=provider.name,
            anthropic=provider.preset.first_party,
        )
        for provider in providers
        for model in lists.of(provider).models
    ]


def _row(provider: Provider, model: Model, *, bare: bool, discovery: bool) -> dict[str, Any]:
    plain = model.id if bare else f"{provider.name}:{model.id}"
    foreign = discovery and not bare
    return {
        "type": "model",
        "id": discovery_id(provider.name, model.id) if foreign else plain,
        "display_name": f"{model.name or model.id} ({provider.name})" if foreign else model.name or plain,
        "description": describe(provider.preset.title, model),
        "created_at": "1970-01-01T00:00:00Z",
        "max_input_tokens": model.room,
        "max_tokens": model.max_output,
    }


def describe(title: str, model: Model) -> str:
    """``Ollama · 32k of 256k · text only · local``: what a picker shows below a model's name."""
    words = [title]
    own, room = model.window, model.room
    if room is not None:
        words.append(f"{_short(room)} of {_short(own)}" if own is not None and own > room else _short(room))
    elif own is not None:
        words.append(f"~{_short(own)}")
    if model.vision is not None:
        words.append("images" if model.vision else "text only")
    if model.tools is False:
        words.append("no tools")
    if model.local:
        words.append("local")
    return " · ".join(words)


def _short(size: int) -> str:
    """131072 as 128k, 200000 as 200k: as whoever chose the number would say it."""
    if size >= 1_000_000:
        millions = size / (1 << 20 if size % (1 << 20) == 0 else 1_000_000)
        return f"{millions:.3g}M"
    return f"{size // (1000 if size % 1000 == 0 else 1024)}k" if size >= 1000 else str(size)
