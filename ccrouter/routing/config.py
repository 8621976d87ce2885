"""The configuration as values. `routing.load` makes them from TOML text; nothing here reads files."""

from __future__ import annotations

from attrs import field, frozen

from ccrouter.providers.provider import Provider, Timeouts
from ccrouter.providers.secret import Secret

DEFAULT_PORT = 11436


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


@frozen(kw_only=True)
class Demo:
    """The ``[demo]`` table. ``pace`` is seconds between two pieces of an answer; 0 for none."""

    pace: float = 0.02


@frozen(kw_only=True)
class Config:
    """A whole configuration. ``providers`` holds what the user configured, by name, in the file's order."""

    default: str | None = None
    server: Server = field(factory=Server)
    providers: dict[str, Provider] = field(factory=dict)
    aliases: dict[str, tuple[str, ...]] = field(factory=dict)
    """Short name -> model names in fallback order."""
    demo: Demo = field(factory=Demo)
