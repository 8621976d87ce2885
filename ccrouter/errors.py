"""Every exception that ccrouter raises on purpose, for somebody to be told of it.

::

    CcrouterError             its message is for the user: what, where, how to mend it
    ├── ApiError              what a client is answered with, in Anthropic's error envelope
    │   ├── CapabilityRefused the model can't do what the request is about; another one may
    │   ├── BudgetSpent       what its user allows the provider is used up
    │   ├── Barred            a name leads where it may not (`ccrouter.routing.barred`)
    │   └── Stopping          the router is being stopped
    ├── UsageError            a flag or an argument is wrong (exit code 2)
    ├── ConfigError           the configuration is wrong: file, line, key (exit code 2)
    ├── StartError            the router cannot start: port taken, unsafe bind (exit code 1)
    ├── ClientGone            the client hung up; nobody is left to be told
    ├── SecretError           a secret cannot be had: names its source, never its value
    ├── WireError             bytes that break the rules of their wire
    │   ├── FrameError        of the framing (server-sent events, JSON)
    │   ├── TruncatedStream   it ended before it was whole
    │   └── GrammarError      an event stands where it may not
    └── UpstreamError         a backend let us down; nothing of it is the client's fault
        ├── ConnectFailed     no connection: refused, unknown host, TLS, proxy
        ├── UpstreamTimeout   a deadline passed; ``phase`` says which
        └── UpstreamBroken    the connection ended or spoke no HTTP
            └── WrongAnswer   it answered a question of ours with something else

Anything else that escapes is a bug.
"""

from __future__ import annotations

from typing import Literal

#: The deadlines of a request, in the order in which they pass.
Phase = Literal["connect", "send", "first_byte", "idle", "total"]


class CcrouterError(Exception):
    """Base of all. ``str(error)`` is one line for a person in a hurry."""


class ApiError(CcrouterError):
    """A refusal to the client: HTTP status, error type and message of Anthropic's envelope.

    ``headers`` are lower-case names with their values, sent along (``retry-after``, ``x-should-retry``).
    The words of ``message`` matter: Claude Code's recovery matches them.
    """

    def __init__(self, status: int, kind: str, message: str, headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.message = message
        self.headers = headers


class CapabilityRefused(ApiError):
    """The model that was chosen is known not to be able to do what the request is about."""


class BudgetSpent(ApiError):
    """What its user allows the provider to use is used up; no word on the backend, which nobody asked."""


class Stopping(ApiError):
    """The router is being stopped, and tries nothing more."""


class UsageError(CcrouterError):
    """A flag or an argument is wrong."""


class ConfigError(CcrouterError):
    """The configuration is wrong; the message names file, line and key."""


class StartError(CcrouterError):
    """The router cannot start."""


class ClientGone(CcrouterError):
    """The client hung up, or can't be written to any more."""


class SecretError(CcrouterError):
    """A secret cannot be had. Names the source (variable, file, program), never a value."""


class WireError(CcrouterError):
    """Bytes that break the rules of their wire."""


class FrameError(WireError):
    """Framing is broken: not a frame, not JSON, or beyond a limit."""


class TruncatedStream(WireError):
    """The bytes ended before what they carry was whole."""


class GrammarError(WireError):
    """An event stands where the wire's grammar does not allow it."""


class UpstreamError(CcrouterError):
    """A backend let us down."""


class ConnectFailed(UpstreamError):
    """No connection could be made. ``str(error)`` says to where and why, without credentials."""


class UpstreamTimeout(UpstreamError):
    """A deadline passed while waiting for the backend."""

    def __init__(self, message: str, phase: Phase) -> None:
        super().__init__(message)
        self.phase = phase


class UpstreamBroken(UpstreamError):
    """The connection ended early or did not speak HTTP.

    ``before_reply`` is true when not one byte of a reply had come.
    """

    def __init__(self, message: str, *, before_reply: bool = False) -> None:
        super().__init__(message)
        self.before_reply = before_reply


class WrongAnswer(UpstreamBroken):
    """What answers does not say what it was asked for. ``status`` is the HTTP status of its answer."""

    def __init__(self, message: str, status: int = 200) -> None:
        super().__init__(message)
        self.status = status
