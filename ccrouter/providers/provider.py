"""The shape of a provider: what a preset says of a kind of backend, and what a user says of one."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Literal
from urllib.parse import urlsplit

from attrs import evolve, field, frozen

from ccrouter.providers.quirks import Quirks
from ccrouter.providers.secret import Secret
from ccrouter.wire.hosts import is_loopback

#: How a backend is asked for its models: Anthropic's or OpenAI's ``/v1/models`` (``data[].id``), Ollama's
#: ``/api/tags`` (``models[].name``), or Codex's (``models[].slug``).
Listing = Literal["data", "ollama", "codex"]

#: How a backend is asked what its models can do: not at all; its list says it (``list``); or by the questions of
#: `ccrouter.providers.questions` that have this name.
FactsFrom = Literal["none", "list", "ollama", "ollama-show", "lmstudio", "llamacpp"]

#: What a backend makes of a prompt that is too long for the window: it says so, with its own count (``tells``); it
#: cuts the prompt and answers as if nothing were missing (``truncates``); it loses minutes, or fails in words and
#: by a status that say something else (``fails``).
Overflow = Literal["tells", "truncates", "fails"]

#: Where a fact about a model comes from, best first: a guess is from the model's name alone.
Source = Literal["configuration", "backend", "table", "guess"]

#: In whose headers a backend says how much of the user's plan is used up (`ccrouter.routing.quota`).
PlanHeaders = Literal["none", "unified", "codex"]

#: The wire that a backend is spoken to in.
Wire = Literal["messages", "chat", "responses", "ollama"]

#: Who is let in: nobody asked (``none``), a key in ``x-api-key``, in ``Authorization: Bearer``, in both
#: (vendors whose documents disagree), ``client``: the client's own Anthropic login or key, or ``codex``: the
#: login of the Codex command line on this machine.
Auth = Literal["none", "x-api-key", "bearer", "both", "client", "codex"]


#: Headers by which a provider's own table can carry the credential that the preset would otherwise look for.
KEY_HEADERS = frozenset({"authorization", "x-api-key", "api-key"})


@frozen(kw_only=True)
class Preset:
    """What is known of a kind of backend. One row of `ccrouter.providers.presets`.

    Paths are relative to the base URL. ``drop_fields`` are left out of what goes to its Messages endpoint, for one
    that refuses them (none does that is known, 2026-11); ``refuse_fields`` make the router answer 400 naming the
    field, where leaving it out in silence would mislead the client.
    """

    name: str
    title: str
    base_url: str | None = None
    transport: Literal["http", "demo"] = "http"
    auth: Auth = "none"
    key_env: tuple[str, ...] = ()
    key_required: bool = False
    log_in: str = ""
    """What mends a refused login, where the credential is one and no key; the end of a sentence."""
    codes: tuple[tuple[str, int], ...] = ()
    """What the vendor's own codes mean, as the status that tells the same: 402 a balance or plan that is used up,
    413 a prompt that is too long, and so on."""
    wire: Wire = "messages"
    """The wire that is spoken unless the configuration says another one that it has."""
    messages_path: str | None = "/v1/messages"
    count_path: str | None = None
    chat_path: str | None = None
    """Where it speaks Chat Completions; None where it doesn't."""
    responses_path: str | None = None
    """Where it speaks Responses; None where it doesn't."""
    ollama_path: str | None = None
    """Where it speaks Ollama's own API; None where it doesn't."""
    responses_count_path: str | None = None
    """Where it counts the tokens of a Responses request."""
    falls_back: bool = False
    """Without an endpoint for Responses it is spoken to by Chat Completions, unless the configuration insists."""
    models_path: str | None = "/v1/models"
    listing: Listing = "data"
    probe: bool = False
    """Looked for on its default port without being configured."""
    facts_from: FactsFrom = "none"
    plan: PlanHeaders = "none"
    overflow: Overflow = "tells"
    widen: str = ""
    """How a model gets a larger window there, where it was loaded with a smaller one than its own; a clause."""
    owner: str | None = None
    """What ``owned_by`` says in its list of models; tells it from other programs on a common port."""
    first_party: bool = False
    """Anthropic itself, or Anthropic's API sold by a cloud: requests and replies pass as they are."""
    relays: tuple[str, ...] = ()
    """Beginnings of the names of its models that it passes on to Anthropic: those are as strict as that."""
    relayed_names: tuple[str, ...] = ()
    """Where ``relays`` is but a guess: what the names of models contain of which it is certain. The others are
    taken for Anthropic's only where that costs another model nothing."""
    blocks: frozenset[str] | None = None
    """Types of content blocks that its Messages endpoint takes; None: all, as far as is known."""
    image_links: bool = True
    """Its Messages endpoint takes images by their URLs."""
    thinks_at_calls: bool = False
    """Its Messages endpoint refuses a turn with calls that has no thinking, be it blank."""
    results_last: bool = False
    """Its Messages endpoint puts the results in a message behind what else is said there."""
    server_tools: tuple[str, ...] | None = None
    """How the types begin of the tools that its Messages endpoint runs itself, where it takes all others for the
    client's; None: not known, so it gets them all."""
    drop_fields: tuple[str, ...] = ()
    refuse_fields: tuple[str, ...] = ()
    quirks: Quirks = field(factory=Quirks)
    """How its Chat Completions or Responses wire differs from the book."""
    keep_attribution: bool = False
    """The first system block of Claude Code speaks of billing; only Anthropic strips it."""
    noted: str = ""
    """When and where these facts were seen."""

    @property
    def hosted(self) -> bool:
        """Whether it is a vendor's service, whose models are the same for all its customers."""
        return self.key_required or self.auth in {"client", "codex"}

    @property
    def native(self) -> bool:
        """Whether its errors pass as they are: they are those whose words the client's recovery matches."""
        return self.first_party or self.transport == "demo"

    def path(self, wire: Wire) -> str | None:
        """Where a wire is spoken; None where it isn't."""
        return {
            "messages": self.messages_path,
            "chat": self.chat_path,
            "responses": self.responses_path,
            "ollama": self.ollama_path,
        }[wire]


@frozen
class Timeouts:
    """Deadlines in seconds. ``idle`` is silence in mid-stream; ``total`` the whole request."""

    connect: float = 10.0
    first_byte: float = 600.0
    idle: float = 300.0
    total: float = 3600.0


@frozen
class Price:
    """US dollars for a million tokens; what a cache costs is as the prompt where it isn't known."""

    input: float
    output: float
    cache_read: float | None = None
    cache_write: float | None = None


@frozen
class Budget:
    """What a provider may use up; None: without end. A day and a month are those of this machine's calendar."""

    tokens_per_day: int | None = None
    tokens_per_month: int | None = None
    dollars_per_day: float | None = None
    dollars_per_month: float | None = None

    def __bool__(self) -> bool:
        return self != Budget()

    @property
    def in_dollars(self) -> bool:
        """Whether some of it is in dollars, so that models need a price."""
        return self.dollars_per_day is not None or self.dollars_per_month is not None


@frozen
class Model:
    """One model of a provider: its name, and what is known of it. None: not known. Sizes are in tokens."""

    id: str
    name: str | None = None
    window: int | None = None
    """What the model itself can take, prompt and answer together."""
    vision: bool | None = None
    max_output: int | None = None
    """The largest ``max_tokens`` that it takes."""
    tools: bool | None = None
    thinking: bool | None = None
    efforts: tuple[str, ...] | None = None
    """The words for effort that it takes, weakest first."""
    loaded: int | None = None
    """The window that it is loaded with at this moment, where a server loads models with windows of its choice; or
    the one that our requests have it loaded with, where that was seen."""
    num_ctx: int | None = None
    """The window that requests are to have it loaded with, where they can; that holds then, not ``loaded``."""
    keep_alive: float | None = None
    """How long it is to stay loaded behind a request, in seconds; infinite for ever."""
    local: bool | None = None
    """Whether it runs on this machine."""
    remote: bool | None = None
    """Whether its server says that it doesn't run it itself, but passes requests on to its vendor's cloud."""
    price: Price | None = None
    sources: Mapping[str, Source] = field(factory=dict, eq=False, repr=False)
    """Where the facts come from, by their names; only of a model that was put together from several."""

    @property
    def room(self) -> int | None:
        """The tokens that fit in now, as far as that is more than a guess."""
        own = None if self.sources.get("window") == "guess" else self.window
        loaded = self.loaded if self.num_ctx is None else self.num_ctx
        return min((size for size in (own, loaded) if size is not None), default=None)


#: A name and a base URL.
ProviderKey = tuple[str, str]


@frozen(kw_only=True)
class Provider:
    """A backend that requests can go to."""

    name: str
    preset: Preset
    base_url: str
    api_key: Secret | None = None
    wire: Wire | None = None
    """None: the preset's."""
    headers: tuple[tuple[str, Secret], ...] = ()
    models: tuple[Model, ...] = ()
    timeouts: Timeouts = field(factory=Timeouts)
    max_concurrent: int | None = None
    """How many requests it gets at one time; further ones wait."""
    budget: Budget = field(factory=Budget)
    configured: bool = False
    """Named in the configuration, not found by itself."""

    def configured_model(self, name: str) -> Model | None:
        """What the configuration says of a model."""
        return next((each for each in self.models if each.id == name), None)

    @property
    def key(self) -> ProviderKey:
        """The key of all that is found out about it: the same name at another address is another backend."""
        return self.name, self.base_url

    @cached_property
    def credential(self) -> int:
        """Tells what the user gave it as credentials from what stood there before an edit; 0: nothing."""
        return hash((self.api_key, self.headers)) if self.api_key or self.headers else 0

    @property
    def key_in_headers(self) -> bool:
        """Whether the user put its credential among its headers."""
        return any(name.lower() in KEY_HEADERS for name, _ in self.headers)

    @property
    def has_own_key(self) -> bool:
        """Whether the user gave it a credential, which then stands in for every other."""
        return self.api_key is not None or self.key_in_headers

    @property
    def local(self) -> bool:
        """Whether its models run on this machine: a server of models that is reached over loopback."""
        return self.preset.probe and is_loopback(urlsplit(self.base_url).hostname or "")

    @property
    def spoken(self) -> Wire:
        """The wire that is spoken to it, but for models that need another; see `Target.wire`."""
        return self.wire or self.preset.wire


@frozen
class Target:
    """Where one attempt goes: a provider, and the model's name as that provider knows it."""

    provider: Provider
    model: str
    facts: Model | None = field(default=None, eq=False, repr=False)
    """What was found out about the model, the configuration's word included; None before anybody asked."""
    login: int = field(default=0, eq=False, repr=False)
    """Tells the client's login from others, where that opens the provider; see `ccrouter.routing.account`."""
    summarized: bool = field(default=True, eq=False)
    """Its reasoning can be asked for in summaries: that was not refused yet."""

    @property
    def known(self) -> Model:
        """What is known of the model, at least its name."""
        return self.facts or self.provider.configured_model(self.model) or Model(self.model)

    @property
    def account(self) -> int:
        """Tells whose limits it is held to."""
        return self.provider.credential ^ self.login

    @property
    def quirks(self) -> Quirks:
        """How its wire differs from the book, for this model."""
        quirks = self.provider.preset.quirks.of(self.model)
        own = self.known.efforts
        return evolve(quirks, efforts=own) if own else quirks

    @property
    def wire(self) -> Wire:
        """The wire that is spoken to it: the provider's, unless what is configured of the model needs another."""
        said = self.provider.configured_model(self.model)
        own = said is not None and (said.num_ctx is not None or said.keep_alive is not None)
        return "ollama" if own else self.provider.spoken

    @property
    def overflow(self) -> Overflow:
        """What becomes of a prompt that is too long, on the wire that is spoken.

        On Ollama's own a request says that nothing may be cut, so it fails; but not before the model is loaded,
        which can take minutes.
        """
        return "fails" if self.wire == "ollama" else self.provider.preset.overflow

    def __str__(self) -> str:
        return f"{self.provider.name}:{self.model}"
