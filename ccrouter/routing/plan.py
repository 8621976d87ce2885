"""The plan of one request: which target is tried next, and what the client hears when none is left. Pure.

A target may be given up for the next one only as long as the client has seen nothing of a reply (before the
commit point), and only when the backend is at fault. What the request itself got wrong stays wrong elsewhere.
"""

from __future__ import annotations

from typing import Literal

from attrs import define, field, frozen

from ccrouter.errors import ApiError, UpstreamError, UpstreamTimeout
from ccrouter.providers.provider import Target
from ccrouter.wire.headers import Headers

#: Refusals that speak of the backend, not of the request: unknown model there, timeout, conflict, rate limit.
_ELSEWHERE = frozenset({404, 408, 409, 429})


@frozen
class Refusal:
    """A backend's reply that is no success, whole; goes to the client as it is unless it must be reworded."""

    status: int
    headers: Headers = field(repr=False)
    body: bytes = field(repr=False)
    original: str = field(default="", repr=False)
    """The backend's own words for the log, where ``body`` has others; without credentials."""


@frozen(kw_only=True)
class Outcome:
    """How an attempt went.

    ``done``: the reply is whole. ``failed``: nothing of it reached the client; ``failure`` says why.
    ``broken``: it failed after the commit point; the client was told in the stream. ``hung_up``: the client
    went away. ``ended``: the router was stopped. ``notes`` are for the log: what the client can't be told;
    ``changes`` were made to the request.
    """

    result: Literal["done", "failed", "broken", "hung_up", "ended"]
    failure: Refusal | ApiError | UpstreamError | None = None
    notes: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()


@define
class Plan:
    """Targets in the order in which they are tried."""

    targets: tuple[Target, ...]
    _next: int = 0
    _last: Outcome | None = None
    _last_target: Target | None = None

    def next_target(self) -> Target | None:
        """The target to try now, or None when no further one should be."""
        if self._last is not None and not _goes_on(self._last):
            return None
        if self._next >= len(self.targets):
            return None
        self._last_target = self.targets[self._next]
        self._next += 1
        return self._last_target

    @property
    def more(self) -> bool:
        """Whether another target stands behind the present one."""
        return self._next < len(self.targets)

    def record(self, outcome: Outcome) -> None:
        """Take note of how the attempt at the last target went."""
        self._last = outcome

    def verdict(self) -> Refusal | ApiError:
        """What the client is told when the plan is at its end without a reply."""
        if self._last is None or self._last_target is None:
            raise ValueError("nothing was tried")
        failure = self._last.failure
        if isinstance(failure, Refusal | ApiError):
            return failure
        return api_error(failure, self._last_target)


def _goes_on(outcome: Outcome) -> bool:
    if outcome.result != "failed":
        return False
    match outcome.failure:
        case Refusal(status) | ApiError(status=status):  # as it came, or reworded
            return status >= 500 or status in _ELSEWHERE
        case _:
            return True


def api_error(failure: UpstreamError | None, target: Target) -> ApiError:
    """A backend's failure in the words of the envelope, naming the provider."""
    words = f"{target.provider.name}: {failure}"
    if isinstance(failure, UpstreamTimeout):
        return ApiError(504, "timeout_error", words)
    return ApiError(502, "api_error", words)
