"""The shape of a provider: what a preset says of a kind of backend, and what a user says of one."""

from __future__ import annotations

from typing import Literal

from attrs import field, frozen

from ccrouter.providers.quirks import Quirks
from ccrouter.providers.secret import Secret

#: How a backend is asked for its models: Anthropic's or OpenAI's ``/v1/models`` (``data[].id``), Ollama's
#: ``/api/tags`` (``models[].name``), or Codex's (``models[].slug``).
Listing = Literal["data", "ollama", "codex"]

#: The wire that a backend is spoken to in.
Wire = Literal["messages", "chat", "responses"]

#: Who is let in: nobody asked (``none``), a key in ``x-api-key``, in ``Authorization: Bearer``, in both
#: (vendors whose documents disagree), ``client``: the client's own Anthropic login or key, or ``codex``: the
#: login of the Codex command line on this machine.
Auth = Literal["none", "x-api-key", "bearer", "both", "client", "codex"]


#: Headers by which a provider's own table can carry the credential that the preset would otherwise look for.
KEY_HEADERS = frozenset({"authorization", "x-api-key", "api-key"})


@frozen(kw_only=True)
class Preset:
    """What is known of a kind of backend. One row of `ccrouter.providers.presets`.

    Paths are relative to the base URL. ``drop_fields`` and ``drop_headers`` are left out of a request because
    the backend refuses them; ``refuse_fields`` make the router answer 400 naming the field, where leaving it
    out in silence would mislead the client.
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
    responses_count_path: str | None = None
    """Where it counts the tokens of a Responses request."""
    falls_back: bool = False
    """Without an endpoint for Responses it is spoken to by Chat Completions, unless the configuration insists."""
    models_path: str | None = "/v1/models"
    listing: Listing = "data"
    probe: bool = False
    """Looked for on its default port without being configured."""
    owner: str | None = None
    """What ``owned_by`` says in its list of models; tells it from other programs on a common port."""
    first_party: bool = False
    """Anthropic itself, or Anthropic's API sold by a cloud: requests and replies pass as they are."""
    drop_fields: tuple[str, ...] = ()
    refuse_fields: tuple[str, ...] = ()
    drop_headers: tuple[str, ...] = ()
    quirks: Quirks = field(factory=Quirks)
    """How its Chat Completions or Responses wire differs from the book."""
    keep_attribution: bool = False
    """The first system block of Claude Code speaks of billing; only Anthropic strips it."""
    noted: str = ""
    """When and where these facts were seen."""

    @property
    def native(self) -> bool:
        """Whether its errors pass as they are: they are those whose words the client's recovery matches."""
        return self.first_party or self.transport == "demo"

    def path(self, wire: Wire) -> str | None:
        """Where a wire is spoken; None where it isn't."""
        return {"messages": self.messages_path, "chat": self.chat_path, "responses": self.responses_path}[wire]


@frozen
class Timeouts:
    """Deadlines in seconds. ``idle`` is silence in mid-stream; ``total`` the whole request."""

    connect: float = 10.0
    first_byte: float = 600.0
    idle: float = 300.0
    total: float = 3600.0


@frozen
class Model:
    """One model of a provider as the configuration or a list names it. ``window`` is in tokens."""

    id: str
    name: str | None = None
    window: int | None = None
    vision: bool | None = None
    max_output: int | None = None
    """The largest ``max_tokens`` that it takes."""


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
    configured: bool = False
    """Named in the configuration, not found by itself."""

    @property
    def key_in_headers(self) -> bool:
        """Whether the user put its credential among its headers."""
        return any(name.lower() in KEY_HEADERS for name, _ in self.headers)

    @property
    def has_own_key(self) -> bool:
        """Whether the user gave it a credential, which then stands in for every other."""
        return self.api_key is not None or self.key_in_headers

    @property
    def spoken(self) -> Wire:
        """The wire that is spoken to it."""
        return self.wire or self.preset.wire


@frozen
class Target:
    """Where one attempt goes: a provider, and the model's name as that provider knows it."""

    provider: Provider
    model: str

    @property
    def known(self) -> Model:
        """What the configuration says of the model, at least its name."""
        return next((each for each in self.provider.models if each.id == self.model), Model(self.model))

    def __str__(self) -> str:
        return f"{self.provider.name}:{self.model}"
