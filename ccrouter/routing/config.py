"""The configuration as values. `routing.load` makes them from TOML text; nothing here reads files."""

from __future__ import annotations

from functools import cached_property
from typing import Literal

from attrs import field, frozen

from ccrouter.providers.provider import Provider, Timeouts
from ccrouter.providers.secret import Secret
from ccrouter.routing.rulebook import Rulebook
from ccrouter.routing.rules import Rule

DEFAULT_PORT = 11436

#: Which of the client's own names are given to other models: none; the one for a model of the user's choice; also
#: those of the two larger Claude models. That of the smallest never is: it serves the safety checks.
Slots = Literal["none", "conservative", "aggressive"]


@frozen(kw_only=True)
class Server:
    """The ``[server]`` table. Durations in seconds, sizes in bytes."""

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    token: Secret | None = None
    """None: a random one for each start."""
    hosts: tuple[str, ...] = ()
    """Further names that the ``Host`` header may carry, beside loopback and the bound address."""
    drain: float = 10.0
    ping: float = 15.0
    commit_after: float = 15.0
    """How long a stream waits for the backend's first event before it is answered with 200 and a ping. Until
    then a failure can be told with its own status, or go to the next target; afterwards it is an ``error``
    event."""
    max_connections: int = 512
    timeouts: Timeouts = field(factory=Timeouts)
    tries: int = 5
    """How often one request is tried in all, before anything of a reply came."""
    patience: float = 120.0
    """No further try begins when a request has taken this long. The client itself gives up after 300 s."""


@frozen(kw_only=True)
class Explain:
    """The ``[explain]`` table: what is remembered of the last requests, in memory only."""

    keep: int = 200
    prompts: bool = False


@frozen(kw_only=True)
class Profile:
    """A ``[profiles.NAME]`` table: what differs while it is in force. ``off`` are providers switched off."""

    default: str | None = None
    subagent: tuple[str, ...] = ()
    classifier: tuple[str, ...] = ()
    aliases: dict[str, tuple[str, ...]] = field(factory=dict)
    routes: tuple[Rule, ...] = ()
    off: frozenset[str] = frozenset()


@frozen(kw_only=True)
class Demo:
    """The ``[demo]`` table. ``pace`` is seconds between two pieces of an answer; 0 for none."""

    pace: float = 0.02


@frozen(kw_only=True)
class Lent:
    """Which words are a repository's, and not the user's own: they may only lead to providers that are set up."""

    aliases: frozenset[str] = frozenset()
    default: bool = False
    subagent: bool = False


@frozen(kw_only=True)
class Config:
    """A whole configuration. ``providers`` holds what the user configured, by name, in the file's order."""

    default: str | None = None
    server: Server = field(factory=Server)
    providers: dict[str, Provider] = field(factory=dict)
    aliases: dict[str, tuple[str, ...]] = field(factory=dict)
    """Short name -> model names in fallback order."""
    routes: tuple[Rule, ...] = ()
    """The first that fits decides."""
    subagent: tuple[str, ...] = ()
    """The models for subagents that no rule speaks of; empty: as they ask."""
    classifier: tuple[str, ...] = ()
    """The same for the client's safety checks."""
    off: frozenset[str] = frozenset()
    """Providers that are switched off, by the profile in force."""
    lent: Lent = field(factory=Lent)
    """What of it a project's file put in."""
    profile: str | None = None
    profiles: dict[str, Profile] = field(factory=dict)
    slots: Slots = "none"
    explain: Explain = field(factory=Explain)
    demo: Demo = field(factory=Demo)

    @cached_property
    def rulebook(self) -> Rulebook:
        """The rules, with what they remember of conversations."""
        return Rulebook(self.routes)
