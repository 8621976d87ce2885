"""Which kind of failure it was, and what follows from it. Pure; the table is `TREATMENTS`.

Only what a backend is to blame for leads to another one. What the request got wrong stays wrong elsewhere, and a
wrong key is mended by nobody but its user. That much is so of the target that was wanted; what stands in for it
may be without a key, or refuse what the wanted one takes (`routing.plan`).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from attrs import field, frozen

from ccrouter.errors import (
    ApiError,
    CapabilityRefused,
    ConnectFailed,
    Stopping,
    UpstreamBroken,
    UpstreamError,
    UpstreamTimeout,
)
from ccrouter.routing.quota import is_of_one_model
from ccrouter.wire import claude_code, envelope
from ccrouter.wire import headers as http
from ccrouter.wire.headers import Headers

Kind = Literal[
    "connect",
    "timeout",
    "broken",
    "garbled",
    "rate_limit",
    "quota",
    "model_quota",
    "overloaded",
    "server",
    "missing_model",
    "overflow",
    "capability",
    "credential",
    "request",
    "stopped",
]

#: Whom a failure speaks of, and so who is left alone for a while after it.
Scope = Literal["nobody", "provider", "target"]


@frozen
class Refusal:
    """A backend's reply that is no success, whole; goes to the client as it is unless it must be reworded."""

    status: int
    headers: Headers = field(repr=False)
    body: bytes = field(repr=False)
    original: str = field(default="", repr=False)
    """The backend's own words for the log, where ``body`` has others; without credentials."""


Failure = Refusal | ApiError | UpstreamError


#: Of a pause: only as long as the backend says, if it says so.
NEVER = float("inf")


@frozen(kw_only=True)
class Treatment:
    """What follows from a kind of failure.

    ``elsewhere``: the next target may do better. ``again``: how often the same one is tried once more where there
    is no next, after ``pause`` seconds or as many as the backend says. ``final``: it is not over by itself in a
    moment, and the client can do nothing about it; ``passing``: it is, unless the backend says otherwise, and the
    client asks again by itself, and shows that it does. ``scope`` is left alone after ``patience`` such failures
    in a row, for ``rest`` seconds at first (longer where the backend says so). ``rank``: of several failures the
    client is told the one with the highest, which is the one that it, or its user, can do most about; what is
    final to a stand-in comes last.
    """

    elsewhere: bool = True
    again: int = 0
    pause: float = 0.0
    final: bool = False
    passing: bool = False
    scope: Scope = "nobody"
    patience: int = 1
    rest: float = 0.0
    rank: int = 0


TREATMENTS: Mapping[Kind, Treatment] = MappingProxyType(
    {
        # Nobody listens there: known at once, and again with the next request at no cost.
        "connect": Treatment(again=1, pause=0.3, scope="provider", rest=2.0, rank=1),
        "timeout": Treatment(scope="provider", rest=15.0, rank=2),
        # A backend that is restarted ends its connections; who starts next is served.
        "broken": Treatment(again=1, pause=0.3, scope="provider", patience=2, rest=2.0, rank=3),
        # It began to answer and broke off, or answered in another format.
        "garbled": Treatment(scope="target", patience=2, rest=5.0, rank=3),
        # Of these three none says more than another: it is the wanted target's that counts.
        "server": Treatment(passing=True, scope="target", patience=3, rest=5.0, rank=4),
        "overloaded": Treatment(passing=True, scope="target", rest=5.0, rank=4),
        # A moment is waited for rather than to move a conversation to another model, and its cache with it.
        "rate_limit": Treatment(again=1, pause=NEVER, passing=True, scope="target", rest=5.0, rank=4),
        "missing_model": Treatment(final=True, scope="target", patience=2, rest=30.0, rank=5),
        "quota": Treatment(final=True, scope="provider", rest=60.0, rank=6),
        # A plan's limit of one model, which can last for days; its others have room.
        "model_quota": Treatment(final=True, scope="target", rest=60.0, rank=6),
        "capability": Treatment(final=True, rank=7),
        # The client compacts its conversation, and goes on.
        "overflow": Treatment(rank=8),
        "credential": Treatment(elsewhere=False, final=True, rank=9),
        "request": Treatment(elsewhere=False, final=True, rank=9),
        "stopped": Treatment(elsewhere=False, rank=10),
    }
)

#: Refusals that mean that a plan or a balance is used up, whatever the words: the client is told not to ask again.
_NEVER_AGAIN = "false"

_OVERFLOW = (claude_code.PROMPT_TOO_LONG, "exceed context limit")


def kind_of(failure: Failure) -> Kind:
    """The kind of a failure."""
    match failure:
        case ConnectFailed():
            return "connect"
        case UpstreamTimeout():
            return "timeout"
        case UpstreamBroken(before_reply=True):
            return "broken"
        case UpstreamError():
            return "garbled"
        case CapabilityRefused():
            return "capability"
        case Stopping():
            return "stopped"
    return _kind_of_status(failure.status, _message(failure), _header(failure, "x-should-retry"), failure)


def _kind_of_status(status: int, message: str, again: str | None, failure: Refusal | ApiError) -> Kind:
    match status:
        case 400 | 413 if any(words in message for words in _OVERFLOW):
            return "overflow"
        case 401 | 403:
            return "credential"
        case 402:
            return "quota"
        case 404:
            return "missing_model"
        case 429:
            rejected = _header(failure, _PLAN_STATUS) == "rejected"
            if rejected and is_of_one_model(_header(failure, _PLAN_CLAIM)):
                return "model_quota"
            return "quota" if rejected or again == _NEVER_AGAIN else "rate_limit"
        case 408 | 504:
            return "timeout"
        case 409 | 529 | 503:
            return "overloaded"
        case _ if status >= 500:
            return "server"
        case _:
            return "request"


#: Anthropic's word on whether a subscription still has room, beside a 429.
_PLAN_STATUS = "anthropic-ratelimit-unified-status"
_PLAN_CLAIM = "anthropic-ratelimit-unified-representative-claim"


def rest_of(failure: Failure) -> float | None:
    """For how many seconds the backend wants to be left alone, where it says so."""
    if isinstance(failure, UpstreamError):
        return None
    said = _header(failure, "retry-after")
    try:
        seconds = float(said) if said is not None else None
    except ValueError:  # a date: rare, and the shorter rest does no harm
        return None
    return seconds if seconds is not None and 0 <= seconds < float("inf") else None


def may_ask_again(failure: Failure) -> bool:
    """Whether the backend leaves it open that to ask again is of use."""
    return isinstance(failure, UpstreamError) or _header(failure, "x-should-retry") != _NEVER_AGAIN


def _message(failure: Refusal | ApiError) -> str:
    return failure.message if isinstance(failure, ApiError) else envelope.message_in(failure.body)


def _header(failure: Refusal | ApiError, name: str) -> str | None:
    if isinstance(failure, ApiError):
        return dict(failure.headers).get(name)
    return http.get_text(failure.headers, name.encode())
