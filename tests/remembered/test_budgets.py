"""What is left of budgets, by the notebook and the calendar."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ccrouter.providers.provider import Budget, Model, Price, Provider, Target
from ccrouter.remembered.budgets import Budgets
from ccrouter.remembered.notebook import Notebook
from tests.rig import provider

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
USAGE = {"input_tokens": 3, "output_tokens": 5}


def limited(budget: Budget, name: str = "anthropic") -> Provider:
    return provider(name, budget=budget, models=(Model("claude-x", price=Price(input=2e5, output=1e5)),))


def claude(budget: Budget, model: str = "claude-x") -> Target:
    target = Target(limited(budget), model)
    return target if model == "claude-y" else Target(target.provider, model, target.provider.models[0])


@pytest.mark.parametrize(
    ("now", "budget", "seconds"),
    [
        (datetime(2026, 11, 28, 23, 59, tzinfo=UTC), Budget(tokens_per_day=1), 60),
        (datetime(2026, 11, 28, tzinfo=UTC), Budget(tokens_per_day=1), 24 * 3600),
        (datetime(2026, 11, 30, 23, 59, tzinfo=UTC), Budget(tokens_per_month=1), 60),
        (datetime(2026, 12, 31, 23, 59, tzinfo=UTC), Budget(tokens_per_month=1), 60),
        (datetime(2027, 2, 1, tzinfo=UTC), Budget(tokens_per_month=1), 28 * 24 * 3600),
        (datetime(2026, 11, 28, 23, 59, tzinfo=UTC), Budget(dollars_per_month=1e-9), 2 * 24 * 3600 + 60),
    ],
)
def test_a_budget_begins_anew_at_midnight_or_with_the_month(
    tmp_path: Path, now: datetime, budget: Budget, seconds: int
) -> None:
    clock = [now]
    budgets = Budgets(Notebook(tmp_path), clock=lambda: 0.0, now=lambda: clock[0])
    budgets.spend(claude(budget), USAGE)
    refusal = budgets.refusal(claude(budget))
    assert refusal is not None
    assert dict(refusal.headers)["retry-after"] == str(seconds)
    clock[0] = now + timedelta(seconds=seconds)
    assert budgets.refusal(claude(budget)) is None


def test_what_no_budget_of_dollars_sees_is_told_once_it_is_used(tmp_path: Path) -> None:
    warnings: list[str] = []
    budgets = Budgets(Notebook(tmp_path), clock=lambda: 0.0, now=lambda: NOON, warn=warnings.append)
    dollars = Budget(dollars_per_day=1.0)
    budgets.spend(claude(dollars), USAGE)
    budgets.spend(claude(dollars, "claude-y"), {})
    budgets.spend(claude(Budget(tokens_per_day=9), "claude-y"), USAGE)
    assert warnings == []
    budgets.spend(claude(dollars, "claude-y"), USAGE)
    (warning,) = warnings
    assert "what anthropic:claude-y costs is not counted in the budget of anthropic" in warning


def test_only_who_has_a_budget_is_counted_and_told_of(tmp_path: Path) -> None:
    notebook = Notebook(tmp_path)
    budgets = Budgets(notebook, clock=lambda: 0.0, now=lambda: NOON)
    free, priced = Target(provider("ollama"), "q"), claude(Budget(dollars_per_day=1.0))
    for target in (free, priced):
        budgets.spend(target, USAGE)
    assert notebook.ledger.dump() == {"anthropic": {"2026-11-28": [8, pytest.approx(1.1)]}}
    assert budgets.refusal(free) is None
    assert budgets.refusal(priced) is not None
    assert budgets.summary([free.provider, priced.provider]) == {
        "anthropic": {"tokens_today": 8, "tokens_this_month": 8, "dollars_today": 1.1, "dollars_this_month": 1.1}
    }
