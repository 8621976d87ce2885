"""Which models the providers have: asked in parallel, kept for a while, never waited for longer than is said.

A list that can't be had now leaves the last one standing; what went wrong is kept beside it for ``status``.
One question to a provider is under way at a time, and whoever comes meanwhile waits for its answer.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import trio
from attrs import evolve, frozen

from ccrouter.errors import CcrouterError, UpstreamBroken
from ccrouter.providers.provider import Model, Preset, Provider
from ccrouter.routing.credentials import ClientCredentials
from ccrouter.upstream.credentials import Credentials
from ccrouter.upstream.dial import Answer, Call, Dial

#: A list is asked for again when it is older than this, in seconds.
FRESH = 60.0

#: OpenRouter's list of some four hundred models is about 1 MB.
MAX_LIST = 16 * 1024 * 1024

#: How long a backend on this machine's default ports gets to show that it is there, in seconds.
PROBE = 0.7


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
        self._dials = dials
        self._credentials = credentials
        self._listings: dict[str, Listing] = {}
        self._asking: dict[str, trio.Event] = {}

    def of(self, provider: Provider) -> Listing:
        """What is known now: the configuration's word, else the last answer."""
        if provider.models:
            return Listing(models=provider.models, seen=0.0)
        return self._listings.get(_key(provider), Listing())

    async def refresh(self, providers: Iterable[Provider], client: ClientCredentials, seconds: float) -> None:
        """Ask every provider whose list isn't fresh; return when all have answered or ``seconds`` are over."""
        async with trio.open_nursery() as nursery:
            for provider in providers:
                nursery.start_soon(self._refresh_one, provider, client, seconds)

    async def _refresh_one(self, provider: Provider, client: ClientCredentials, seconds: float) -> None:
        if provider.models or provider.preset.models_path is None:
            return
        key = _key(provider)
        deadline = trio.current_time() + seconds
        with trio.move_on_at(deadline) as waiting:
            while (asking := self._asking.get(key)) is not None:
                await asking.wait()
        listing = self._listings.get(key, Listing())
        age = trio.current_time() - listing.tried
        if waiting.cancelled_caught or age < (FRESH if listing.problem is None else FRESH / 10):
            return
        self._asking[key] = trio.Event()
        now = trio.current_time()
        # What stays when the time runs out: a dead backend must not cost every later caller its time.
        listing = evolve(listing, problem=f"no answer within {seconds:g} s", tried=now)
        try:
            with trio.move_on_at(deadline):
                try:
                    listing = Listing(models=await self._ask(provider, client), seen=now, tried=now)
                except CcrouterError as error:
                    listing = evolve(listing, problem=str(error))
            self._listings[key] = listing
        finally:  # a caller who went away leaves nothing, and one who waits asks instead
            self._asking.pop(key).set()

    async def probe(self, provider: Provider) -> bool:
        """Whether a backend of the provider's kind is there; its list is kept when it is."""
        with trio.move_on_after(PROBE):
            try:
                models = await self._ask(provider, ClientCredentials())
            except CcrouterError:
                return False
            now = trio.current_time()
            self._listings[_key(provider)] = Listing(models=models, seen=now, tried=now)
            return True
        return False

    async def _ask(self, provider: Provider, client: ClientCredentials) -> tuple[Model, ...]:
        grant = await self._credentials.grant(provider, client)
        preset = provider.preset
        headers = [*grant.headers, (b"accept", b"application/json"), (b"accept-encoding", b"identity")]
        query = ""
        if preset.first_party:
            headers.append((b"anthropic-version", b"2023-06-01"))
            query = "?limit=1000"
        if grant.betas:
            headers.append((b"anthropic-beta", ",".join(grant.betas).encode()))
        call = Call(
            method="GET",
            url=f"{provider.base_url}{preset.models_path}{query}",
            headers=headers,
            body=b"",
            timeouts=evolve(provider.timeouts, first_byte=10.0, idle=10.0),
        )
        async with self._dials[preset.transport](call) as answer:
            body = await _read(answer)
            if answer.status != 200:
                raise UpstreamBroken(f"HTTP status {answer.status} to the question for its models")
        return read_models(body, preset)


async def _read(answer: Answer) -> bytes:
    body = bytearray()
    while data := await answer.read():
        body += data
        if len(body) > MAX_LIST:
            raise UpstreamBroken("its list of models is too long")
    return bytes(body)


def read_models(body: bytes, preset: Preset) -> tuple[Model, ...]:
    """The models in a list as the preset's kind of backend gives it. Raises UpstreamBroken for anything else."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        value = None
    key = "data" if preset.listing == "data" else "models"
    rows = value.get(key) if isinstance(value, dict) else None
    if not isinstance(rows, list):
        raise UpstreamBroken("its list of models cannot be read")
    found: dict[str, Model] = {}
    for row in rows:
        if not isinstance(row, dict) or (preset.owner is not None and row.get("owned_by") != preset.owner):
            continue
        if (model := _model(row)) is not None:
            found.setdefault(model.id, model)
    if rows and not found and preset.owner is not None:
        raise UpstreamBroken(f"what answers there is not {preset.title}")
    return tuple(found.values())


def _model(row: dict[str, Any]) -> Model | None:
    name = row.get("id") or row.get("slug") or row.get("model") or row.get("name")
    if not isinstance(name, str) or not name or not name.isprintable():
        return None
    if row.get("capabilities") == ["embedding"] or row.get("type") == "embeddings":
        return None
    if row.get("visibility", "list") != "list":  # Codex: not for people to choose
        return None
    title = row.get("display_name") or (row.get("name") if "id" in row else None)
    meta = row.get("meta")  # llama.cpp: the window that it was started with, not the one that was trained
    loaded = meta.get("n_ctx") if isinstance(meta, dict) else None
    keys = ("max_input_tokens", "context_length", "max_model_len", "max_context_length", "context_window")
    windows = (loaded, *(row.get(key) for key in keys))
    window = next((size for size in windows if type(size) is int and size > 0), None)  # true is an int too
    return Model(name, name=title if isinstance(title, str) and title.isprintable() else None, window=window)


def _key(provider: Provider) -> str:
    """The same name with another address is another provider: a reload must not keep its list."""
    return f"{provider.name} {provider.base_url}"
