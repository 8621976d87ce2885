from __future__ import annotations

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.routing.quota import Quotas, Window
from tests.routing.samples import provider

NOW = 1_800_000_000.0
ANTHROPIC, CODEX, WORK = provider("anthropic"), provider("codex"), provider("work")


def unified(**rest):
    """Headers of Anthropic's, from their ends with ``_`` for ``-``."""
    return [
        (f"anthropic-ratelimit-unified-{name.replace('_', '-')}".encode(), value.encode())
        for name, value in rest.items()
    ]


def codex(**rest):
    return [(f"x-codex-{name.replace('_', '-')}".encode(), value.encode()) for name, value in rest.items()]


def heard(of, *replies):
    quotas = Quotas()
    for headers in replies:
        quotas.hear(of, [(b"content-type", b"application/json"), *headers], NOW)
    return quotas


FIVE_HOURS = {"5h_utilization": "0.42", "5h_reset": str(NOW + 3600)}
WEEK = {"7d_utilization": "0.07", "7d_reset": str(NOW + 86400)}


def test_of_a_claude_plan_the_fullest_window_counts():
    quotas = heard(ANTHROPIC, unified(status="allowed", **FIVE_HOURS, **WEEK))
    assert quotas.fullness(ANTHROPIC, NOW) == 42
    assert quotas.windows(ANTHROPIC, NOW) == [
        Window("5h", 42, NOW + 3600, NOW),
        Window("7d", 7, NOW + 86400, NOW),
    ]


def test_of_a_codex_plan_the_fullest_window_counts():
    headers = codex(
        primary_used_percent="12",
        primary_reset_at=str(NOW + 3600),
        secondary_used_percent="88.6",
        secondary_reset_at=str(NOW + 86400),
        primary_window_minutes="300",
    )
    quotas = heard(CODEX, headers)
    assert quotas.fullness(CODEX, NOW) == 89
    assert [each.name for each in quotas.windows(CODEX, NOW)] == ["primary", "secondary"]


def test_what_was_never_told_is_not_known():
    assert heard(ANTHROPIC, []).fullness(ANTHROPIC, NOW) is None
    assert heard(ANTHROPIC, []).windows(ANTHROPIC, NOW) == []


def test_after_its_reset_a_window_is_empty():
    quotas = heard(ANTHROPIC, unified(**FIVE_HOURS, **WEEK))
    assert quotas.fullness(ANTHROPIC, NOW + 3599) == 42
    assert quotas.fullness(ANTHROPIC, NOW + 3600) == 7
    assert [each.name for each in quotas.windows(ANTHROPIC, NOW + 3600)] == ["7d"]
    assert quotas.fullness(ANTHROPIC, NOW + 86400) == 0
    assert quotas.windows(ANTHROPIC, NOW + 86400) == []


def test_without_a_reset_a_number_grows_stale():
    quotas = heard(ANTHROPIC, unified(**{"5h_utilization": "0.9"}))
    assert quotas.fullness(ANTHROPIC, NOW + 6 * 3600 - 1) == 90
    assert quotas.fullness(ANTHROPIC, NOW + 6 * 3600) == 0


def test_the_last_word_on_each_window_stands():
    quotas = heard(ANTHROPIC, unified(**FIVE_HOURS, **WEEK), unified(**{**FIVE_HOURS, "5h_utilization": "0.5"}))
    assert [each.percent for each in quotas.windows(ANTHROPIC, NOW)] == [50, 7]


def test_a_plan_that_refuses_is_full_until_it_takes_again():
    rejected = unified(status="rejected", reset=str(NOW + 600), **FIVE_HOURS)
    quotas = heard(ANTHROPIC, rejected)
    assert quotas.fullness(ANTHROPIC, NOW) == 100
    assert quotas.fullness(ANTHROPIC, NOW + 600) == 42
    quotas.hear(ANTHROPIC, unified(status="allowed", **FIVE_HOURS), NOW)
    assert quotas.fullness(ANTHROPIC, NOW) == 42


@pytest.mark.parametrize(
    ("claim", "full"),
    [
        ("five_hour", 100),
        ("seven_day", 100),
        ("seven_day_opus", 42),
        ("seven_day_sonnet", 42),
        ("seven_day_overage_included", 42),
        ("", 100),
    ],
)
def test_a_limit_of_one_model_is_none_of_the_whole_plan(claim, full):
    rejected = unified(status="rejected", representative_claim=claim, **FIVE_HOURS)
    assert heard(ANTHROPIC, rejected).fullness(ANTHROPIC, NOW) == full


def test_each_provider_has_a_plan_of_its_own_and_headers_of_its_own():
    everything = [*unified(**FIVE_HOURS), *codex(primary_used_percent="9")]
    assert heard(WORK, everything).fullness(WORK, NOW) is None
    assert heard(CODEX, everything).fullness(CODEX, NOW) == 9
    quotas = heard(ANTHROPIC, everything)
    assert quotas.fullness(ANTHROPIC, NOW) == 42
    assert quotas.fullness(CODEX, NOW) is None
    assert quotas.fullness(evolve(ANTHROPIC, base_url="https://elsewhere.example.com"), NOW) is None


@pytest.mark.parametrize(
    ("said", "percent"),
    [
        ("0", 0),
        ("1", 100),
        ("1.7", 100),
        ("0.995", 100),
        ("0.004", 0),
        ("-1", None),
        ("nan", None),
        ("inf", None),
        ("1e400", None),
        ("", None),
        ("much", None),
        ("0" * 40, None),
    ],
)
def test_what_is_no_part_of_a_whole_says_nothing(said, percent):
    assert heard(ANTHROPIC, unified(**{"5h_utilization": said})).fullness(ANTHROPIC, NOW) == percent


@pytest.mark.parametrize(
    "name", ["5H_utilization", "utilization", "_utilization", "5h_utilization_x", f"{'x' * 25}_utilization"]
)
def test_what_only_looks_like_a_window_is_none(name):
    assert heard(ANTHROPIC, unified(**{name: "0.5"})).fullness(ANTHROPIC, NOW) is None


def test_a_reset_that_is_no_number_is_as_if_it_was_not_said():
    quotas = heard(CODEX, codex(primary_used_percent="50", primary_reset_at="soon"))
    assert quotas.windows(CODEX, NOW) == [Window("primary", 50, None, NOW)]


_names = st.sampled_from(["status", "reset", "5h_utilization", "5h_reset", "7d_utilization"])
_values = st.binary(max_size=40) | st.sampled_from([b"rejected", b"0.5", b"1_0", b"\xff", b"9e99"])


@given(
    st.lists(st.tuples(_names, _values)),
    st.lists(st.tuples(st.sampled_from(["primary_used_percent", "secondary_reset_at"]), _values)),
)
def test_no_headers_are_beyond_it(first, second):
    for of, rows, beginning in ((ANTHROPIC, first, "anthropic-ratelimit-unified-"), (CODEX, second, "x-codex-")):
        quotas = Quotas()
        quotas.hear(of, [(f"{beginning}{name.replace('_', '-')}".encode(), value) for name, value in rows], NOW)
        full = quotas.fullness(of, NOW)
        assert full is None or 0 <= full <= 100
        assert all(0 <= each.percent <= 100 for each in quotas.windows(of, NOW))
