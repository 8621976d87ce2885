"""How much of a plan is used up, as its backend says with every reply. Pure.

Two vendors tell it, each in headers of its own (`providers.provider.PlanHeaders` says which of the two a preset
has):

* ``anthropic-ratelimit-unified-WINDOW-utilization`` (a part of 1) and ``-reset`` (seconds since 1970), for the
  windows ``5h`` and ``7d`` and others; ``-status`` without a window says when all is used up. Seen in several
  clients' logs, 2026-04 to 2026-09. Beside a refusal ``-representative-claim`` names the limit that was met:
  ``five_hour`` and ``seven_day`` are the whole plan's, others (``seven_day_opus``, ``seven_day_sonnet``) one
  model's. Names as Claude Code 2.1.329 knows them, 2026-11.
* ``x-codex-primary-used-percent`` and ``-reset-at`` (seconds since 1970), and the same for ``secondary``.

Each account at a provider has a plan of its own (`ccrouter.routing.account`). ``GET /status`` tells of the one
that was heard of last.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from attrs import frozen

from ccrouter.providers.provider import PlanHeaders, Provider, ProviderKey
from ccrouter.wire.headers import Headers

_UNIFIED = re.compile(rb"anthropic-ratelimit-unified-([0-9a-z_]{1,24})-utilization")
_CODEX = re.compile(rb"x-codex-(primary|secondary)-used-percent")

#: The limits that hold for all models of a plan.
_OF_THE_PLAN = frozenset({"five_hour", "seven_day"})

#: The window that stands for all of them, when a plan is used up.
_ALL = "all"

#: A number that nobody renewed says nothing any more after so long without a reset, in seconds.
_STALE = 6 * 3600.0


#: Of how many accounts the plans are kept, the ones heard of last.
_ACCOUNTS = 64


@frozen
class Window:
    """One of a plan's windows. ``resets`` and ``seen`` are seconds since 1970."""

    name: str
    percent: int
    resets: float | None
    seen: float

    def holds(self, now: float) -> bool:
        """Whether what it says is still so."""
        return now < (self.resets if self.resets is not None else self.seen + _STALE)


class Quotas:
    """The plans of all accounts at all providers."""

    def __init__(self) -> None:
        self._windows: dict[tuple[ProviderKey, int], dict[str, Window]] = {}

    def hear(self, provider: Provider, headers: Headers, now: float, account: int | None = None) -> None:
        """Take note of what a reply's headers say. ``account``: as in `Target`."""
        found = list(_READERS[provider.preset.plan](dict(headers), now))
        if found:
            key = provider.key, provider.credential if account is None else account
            known = self._windows[key] = self._windows.pop(key, {})
            known.pop(_ALL, None)  # said with each refusal, and only with that
            known.update((each.name, each) for each in found)
            if len(self._windows) > _ACCOUNTS:
                del self._windows[next(iter(self._windows))]

    def fullness(self, provider: Provider, now: float, account: int | None = None) -> int | None:
        """How many per cent are used up in the fullest of its windows; 0 after a reset; None: never told."""
        windows = self._windows.get((provider.key, provider.credential if account is None else account))
        if not windows:
            return None
        return max((each.percent for each in windows.values() if each.holds(now)), default=0)

    def windows(self, provider: Provider, now: float) -> list[Window]:
        """What is known of a provider's plan, of the account heard of last, by the names of its windows."""
        known = reversed(self._windows.items())
        windows = next((each for (of, _), each in known if of == provider.key), {})
        return [windows[name] for name in sorted(windows) if windows[name].holds(now)]


def is_of_one_model(claim: str | None) -> bool:
    """Whether a limit that was met leaves room for other models of the plan; what is not said does not."""
    return bool(claim) and claim not in _OF_THE_PLAN


def _none(headers: Mapping[bytes, bytes], now: float) -> Iterator[Window]:
    del headers, now
    return iter(())


def _unified(headers: Mapping[bytes, bytes], now: float) -> Iterator[Window]:
    for name, value in headers.items():
        if (found := _UNIFIED.fullmatch(name)) is None or (part := _number(value)) is None:
            continue
        resets = _number(headers.get(b"anthropic-ratelimit-unified-" + found[1] + b"-reset"))
        yield Window(found[1].decode(), _percent(part * 100), resets, now)
    claim = headers.get(b"anthropic-ratelimit-unified-representative-claim", b"").decode("latin-1")
    if headers.get(b"anthropic-ratelimit-unified-status") == b"rejected" and not is_of_one_model(claim):
        resets = _number(headers.get(b"anthropic-ratelimit-unified-reset"))
        yield Window(_ALL, 100, resets, now)


def _codex(headers: Mapping[bytes, bytes], now: float) -> Iterator[Window]:
    for name, value in headers.items():
        if (found := _CODEX.fullmatch(name)) is None or (percent := _number(value)) is None:
            continue
        resets = _number(headers.get(b"x-codex-" + found[1] + b"-reset-at"))
        yield Window(found[1].decode(), _percent(percent), resets, now)


_READERS: Mapping[PlanHeaders, Callable[[Mapping[bytes, bytes], float], Iterator[Window]]] = MappingProxyType(
    {"none": _none, "unified": _unified, "codex": _codex}
)


def _percent(value: float) -> int:
    return round(min(max(value, 0.0), 100.0))


def _number(value: bytes | None) -> float | None:
    try:
        number = float(value) if value is not None and len(value) <= 32 else None
    except ValueError:
        return None
    return number if number is not None and 0 <= number < 1e12 else None
