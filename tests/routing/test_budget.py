from __future__ import annotations

import datetime as dt
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.providers.provider import Budget, Price
from ccrouter.routing.budget import Amount, Ledger, amount, refusal
from tests.routing.samples import provider
from tests.strategies import json_values

TODAY = "2026-11-28"
UNTIL = {"day": 3 * 3600, "month": 3 * 86400}


def ledger(**days):
    """Of the provider ``work``: tokens by days of November, with a dollar for each."""
    made = Ledger()
    for day, tokens in days.items():
        made.add("work", f"2026-11-{day.removeprefix('d')}", Amount(tokens, float(tokens)))
    return made


# Sums


def test_a_day_is_a_day_and_a_month_the_calendars():
    made = ledger(d01=1, d27=10, d28=100)
    made.add("work", "2026-10-31", Amount(1000))
    made.add("work", "2025-11-28", Amount(5000))
    made.add("other", TODAY, Amount(7))
    made.add("work", TODAY, Amount(200, 0.5))
    assert made.of_day("work", TODAY) == Amount(300, 100.5)
    assert made.of_month("work", TODAY) == Amount(311, 111.5)
    assert made.of_month("work", "2026-10-01") == Amount(1000)
    assert made.of_day("work", "2026-11-02") == made.of_month("nobody", TODAY) == Amount()


_day = st.dates(dt.date(2026, 10, 1), dt.date(2026, 11, 30)).map(str)
_entries = st.lists(
    st.tuples(st.sampled_from("ab"), _day, st.integers(0, 10**6), st.integers(0, 1000)), max_size=12
)


@given(_entries)
def test_sums_are_those_of_what_was_added(entries):
    made = Ledger()
    for name, day, tokens, dollars in entries:
        made.add(name, day, Amount(tokens, float(dollars)))
    for name in "ab":
        for month in ("2026-10", "2026-11"):
            own = [each for each in entries if each[0] == name and each[1].startswith(month)]
            total = Amount(sum(each[2] for each in own), float(sum(each[3] for each in own)))
            assert made.of_month(name, f"{month}-15") == total


def test_two_months_are_kept_whole_and_what_is_older_goes():
    made = Ledger()
    begin = dt.date(2026, 1, 1)
    for number in range(300):
        made.add("work", str(begin + dt.timedelta(number)), Amount(1))
    (days,) = made.dump().values()
    assert len(days) == 63
    assert made.of_day("work", str(begin + dt.timedelta(299))) == Amount(1)
    assert made.of_month("work", "2026-10-05").tokens == 27
    assert made.of_month("work", "2026-09-05").tokens == 30
    assert made.of_month("work", "2026-07-05").tokens == 0


# On disk


@given(_entries)
def test_what_was_written_down_reads_back(entries):
    made = Ledger()
    for name, day, tokens, dollars in entries:
        made.add(name, day, Amount(tokens, float(dollars)))
    assert Ledger.load(json.loads(json.dumps(made.dump()))).dump() == made.dump()


def test_what_somebody_else_counted_is_added():
    made = ledger(d28=1)
    made.merge(ledger(d27=5, d28=10))
    assert made.of_day("work", TODAY) == Amount(11, 11.0)
    assert made.of_month("work", TODAY) == Amount(16, 16.0)


@pytest.mark.parametrize(
    "pair",
    [
        None,
        [],
        [1],
        [1, 2, 3],
        ["1", 2],
        [True, 2],
        [-1, 2],
        [1, -2],
        [float("nan"), 1],
        [1, float("nan")],
        [float("inf"), 1],
        [1, float("inf")],
        [10**400, 1],
        [1, 10**400],
        {"tokens": 1},
    ],
)
def test_junk_is_left_out_and_the_rest_is_kept(pair):
    made = Ledger.load({"work": {TODAY: pair, "2026-11-27": [5, 0.5]}, "x": pair})
    assert made.dump() == {"work": {"2026-11-27": [5, 0.5]}}


@pytest.mark.parametrize("day", ["", "today", "2026-11", "2026-11-28T00", "zzzz-zz-zz", "99999-01-01"])
def test_what_is_no_day_is_left_out(day):
    assert Ledger.load({"work": {day: [1, 1.0]}}).dump() == {}


@given(json_values.map(json.loads))
def test_no_junk_is_beyond_it(value):
    for each in (value, {"work": value}, {"work": {TODAY: value}}):
        Ledger.load(each).of_month("work", TODAY)


# What a reply cost

PRICE = Price(3.0, 15.0, 0.3, 3.75)
USAGE = {
    "input_tokens": 1000,
    "cache_read_input_tokens": 20_000,
    "cache_creation_input_tokens": 4000,
    "output_tokens": 500,
}


def test_what_a_reply_cost_is_counted_by_its_price():
    found = amount(USAGE, PRICE)
    assert found.tokens == 25_500
    assert found.dollars == pytest.approx(0.003 + 0.006 + 0.015 + 0.0075)


def test_a_cache_costs_as_the_prompt_where_that_is_not_known():
    assert amount(USAGE, Price(3.0, 15.0)).dollars == pytest.approx(0.075 + 0.0075)
    assert amount(USAGE, Price(3.0, 0.0, cache_read=0.0)).dollars == pytest.approx(0.003 + 0.012)


def test_without_a_price_only_tokens_count():
    assert amount(USAGE, None) == Amount(25_500, 0.0)
    assert amount({}, PRICE) == Amount()


@pytest.mark.parametrize("odd", [None, "7", 7.5, True, -7, [7], 10**400])
def test_what_is_no_count_counts_nothing(odd):
    assert amount({"input_tokens": odd, "output_tokens": 2}, PRICE) == Amount(2, 3e-05)


# The refusal


def test_as_long_as_there_is_budget_nothing_is_refused():
    spender = provider(budget=Budget(tokens_per_day=101, tokens_per_month=112, dollars_per_day=100.5))
    assert refusal(spender, ledger(d01=1, d27=10, d28=100), TODAY, UNTIL) is None
    assert refusal(provider(), ledger(d28=10**9), TODAY, UNTIL) is None


@pytest.mark.parametrize(
    ("budget", "words", "seconds"),
    [
        (Budget(tokens_per_day=100), "for this day is used up (100 of 100 tokens); it begins anew in 3 h.", 10800),
        (
            Budget(tokens_per_month=50),
            "for this month is used up (110 of 50 tokens); it begins anew in 3 days.",
            259200,
        ),
        (Budget(dollars_per_day=9.5), "for this day is used up ($100.00 of $9.50); it begins anew in 3 h.", 10800),
        (
            Budget(dollars_per_month=110),
            "for this month is used up ($110.00 of $110.00); it begins anew in 3 days.",
            259200,
        ),
        (Budget(dollars_per_day=0.0), "for this day is used up ($100.00 of $0.00)", 10800),
    ],
)
def test_who_used_up_a_budget_is_told_until_when_and_not_to_ask_again(budget, words, seconds):
    found = refusal(provider(budget=budget), ledger(d27=10, d28=100), TODAY, UNTIL)
    assert found is not None
    assert (found.status, found.kind) == (429, "rate_limit_error")
    assert f"ccrouter: the budget of work {words}" in found.message
    assert found.message.endswith("Choose another model, or raise `budget` in [providers.work]")
    assert found.headers == (("retry-after", str(seconds)), ("x-should-retry", "false"))


def test_nothing_of_anthropics_own_headers_is_in_it():
    found = refusal(provider(budget=Budget(tokens_per_day=1)), ledger(d28=1), TODAY, UNTIL)
    assert found is not None
    assert not [name for name, _ in found.headers if name.startswith("anthropic-")]


@pytest.mark.parametrize(
    ("seconds", "span"),
    [
        (0, "0 s"),
        (119, "119 s"),
        (120, "2 min"),
        (121, "3 min"),
        (7140, "119 min"),
        (7141, "2 h"),
        (7201, "3 h"),
        (47 * 3600, "47 h"),
        (47 * 3600 + 1, "2 days"),
        (31 * 86400, "31 days"),
    ],
)
def test_the_time_until_then_is_told_in_whole_units_and_never_too_short(seconds, span):
    found = refusal(provider(budget=Budget(tokens_per_day=1)), ledger(d28=1), TODAY, {**UNTIL, "day": seconds})
    assert found is not None
    assert f"it begins anew in {span}." in found.message
