"""The budgets of all providers: what is left of them, by the notebook and the calendar of this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from ccrouter.errors import BudgetSpent
from ccrouter.observe.log import Log, silent
from ccrouter.providers.provider import Provider, Target
from ccrouter.remembered.notebook import Notebook
from ccrouter.routing import budget


class Budgets:
    """Asked before a call, told after it.

    ``clock`` gives seconds since 1970, ``now`` local time; ``warn`` hears what the user is to know, not only once.
    """

    def __init__(
        self,
        notebook: Notebook,
        *,
        clock: Callable[[], float],
        now: Callable[[], datetime] = datetime.now,
        warn: Log = silent,
    ) -> None:
        self._notebook = notebook
        self._clock = clock
        self._now = now
        self._warn = warn

    def refusal(self, target: Target) -> BudgetSpent | None:
        """What the client is told where the budget of a target's provider is used up; None where it is not."""
        if not target.provider.budget:
            return None
        self._notebook.look(self._clock())
        now = self._now()
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
        day = midnight + timedelta(days=1)
        month = (midnight.replace(day=1) + timedelta(days=32)).replace(day=1)
        # By the clock of the world: a day on which the local one is put back has 25 hours.
        until = {name: round(end.timestamp() - now.timestamp()) for name, end in (("day", day), ("month", month))}
        return budget.refusal(target.provider, self._notebook.ledger, self._day(), until)

    def spend(self, target: Target, usage: Mapping[str, int]) -> None:
        """Count what a reply says that it cost, be it cut short or not. ``target`` with what is known of it."""
        allowed, price = target.provider.budget, target.known.price
        if not usage or not allowed:
            return
        name = target.provider.name
        self._notebook.spend(name, self._day(), budget.amount(usage, price))
        if price is None and allowed.in_dollars:
            self._warn(f"what {target} costs is not counted in the budget of {name}, for want of a `price`")

    def summary(self, providers: Iterable[Provider]) -> dict[str, dict[str, Any]]:
        """What was used up, of the providers that have a budget; for ``GET /status``."""
        day, ledger = self._day(), self._notebook.ledger
        return {
            each.name: {
                "tokens_today": ledger.of_day(each.name, day).tokens,
                "tokens_this_month": ledger.of_month(each.name, day).tokens,
                "dollars_today": round(ledger.of_day(each.name, day).dollars, 4),
                "dollars_this_month": round(ledger.of_month(each.name, day).dollars, 4),
            }
            for each in providers
            if each.budget
        }

    def _day(self) -> str:
        return self._now().date().isoformat()
