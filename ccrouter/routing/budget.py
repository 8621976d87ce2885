"""What each provider has used up today and this month, and what that means for its budget. Pure.

Days are the calendar's of this machine, as ``2026-11-28``; whoever asks says which day it is. Counted is what
backends say of a whole reply: tokens of the prompt, cached ones too, and of the answer; dollars by the model's
``price``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from attrs import frozen

from ccrouter.errors import BudgetSpent
from ccrouter.providers.provider import Budget, Price, Provider
from ccrouter.translate.retry import span

#: So many days are kept, two months and a bit.
_DAYS = 63

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

#: No reply and no month has more, and a number of hundreds of digits must not come near a sum.
_LARGEST = 2**53

_PROMPT = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


@frozen
class Amount:
    """Tokens and US dollars."""

    tokens: int = 0
    dollars: float = 0.0

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.tokens + other.tokens, self.dollars + other.dollars)


class Ledger:
    """Amounts by provider and day."""

    def __init__(self) -> None:
        self._days: dict[str, dict[str, Amount]] = {}

    def add(self, provider: str, day: str, amount: Amount) -> None:
        """Count something."""
        days = self._days.setdefault(provider, {})
        days[day] = days.get(day, Amount()) + amount
        while len(days) > _DAYS:
            del days[min(days)]

    def of_day(self, provider: str, day: str) -> Amount:
        """What was used up on a day."""
        return self._days.get(provider, {}).get(day, Amount())

    def of_month(self, provider: str, day: str) -> Amount:
        """What was used up in the month of a day."""
        total = Amount()
        for each, amount in self._days.get(provider, {}).items():
            if each[:7] == day[:7]:
                total += amount
        return total

    def dump(self) -> dict[str, dict[str, list[float]]]:
        """All of it, for JSON."""
        return {
            provider: {day: [each.tokens, each.dollars] for day, each in days.items()}
            for provider, days in self._days.items()
        }

    @classmethod
    def load(cls, value: object) -> Ledger:
        """What `dump` gave; whatever else stands there is left out."""
        ledger = cls()
        for provider, day, amount in _entries(value):
            ledger.add(provider, day, amount)
        return ledger

    def merge(self, other: Ledger) -> None:
        """Add what somebody else counted."""
        for provider, days in other._days.items():
            for day, amount in days.items():
                self.add(provider, day, amount)


def _entries(value: object) -> Iterator[tuple[str, str, Amount]]:
    for provider, days in value.items() if isinstance(value, dict) else ():
        for day, pair in days.items() if isinstance(days, dict) else ():
            if not isinstance(pair, list) or len(pair) != 2 or not {type(each) for each in pair} <= {int, float}:
                continue
            tokens, dollars = pair
            if 0 <= tokens <= _LARGEST and 0 <= dollars <= _LARGEST and _DAY.fullmatch(str(day)):
                yield str(provider), str(day), Amount(int(tokens), float(dollars))


def amount(usage: Mapping[str, Any], price: Price | None) -> Amount:
    """What a reply cost. ``usage`` as Anthropic counts: cached tokens are not in ``input_tokens``."""
    fresh, read, written = (_count(usage.get(name)) for name in _PROMPT)
    output = _count(usage.get("output_tokens"))
    dollars = 0.0
    if price is not None:
        cache_read = price.input if price.cache_read is None else price.cache_read
        cache_write = price.input if price.cache_write is None else price.cache_write
        dollars = (fresh * price.input + read * cache_read + written * cache_write + output * price.output) / 1e6
    return Amount(fresh + read + written + output, dollars)


def _count(value: object) -> int:
    return value if type(value) is int and 0 <= value <= _LARGEST else 0


def refusal(provider: Provider, ledger: Ledger, day: str, until: Mapping[str, int]) -> BudgetSpent | None:
    """What the client is told when the provider's budget is used up; None while it is not.

    ``until`` has the seconds to the end of the ``day`` and of the ``month``. The client shows the words and asks
    no more: ``x-should-retry`` says so. Headers about the user's plan are Anthropic's to send, never ours.
    """
    for unit, period, limit, used in _limits(provider.budget, ledger, provider.name, day):
        if used < limit:
            continue
        seconds = until[period]
        spent = f"${used:.2f} of ${limit:.2f}" if unit == "dollars" else f"{used:.0f} of {limit:.0f} tokens"
        words = (
            f"ccrouter: the budget of {provider.name} for this {period} is used up ({spent}); it begins anew in"
            f" {span(seconds)}. Choose another model, or raise `budget` in [providers.{provider.name}]"
        )
        return BudgetSpent(
            429, "rate_limit_error", words, (("retry-after", str(seconds)), ("x-should-retry", "false"))
        )
    return None


def _limits(budget: Budget, ledger: Ledger, name: str, day: str) -> Iterator[tuple[str, str, float, float]]:
    """Unit, period, limit, and what of it is used up."""
    today, month = ledger.of_day(name, day), ledger.of_month(name, day)
    rows: tuple[tuple[str, str, float | None, float], ...] = (
        ("tokens", "day", budget.tokens_per_day, today.tokens),
        ("tokens", "month", budget.tokens_per_month, month.tokens),
        ("dollars", "day", budget.dollars_per_day, today.dollars),
        ("dollars", "month", budget.dollars_per_month, month.dollars),
    )
    return ((unit, period, limit, used) for unit, period, limit, used in rows if limit is not None)
