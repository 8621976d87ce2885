from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.errors import ConnectFailed
from ccrouter.routing.failure import TREATMENTS, Refusal, kind_of, rest_of
from tests.routing.samples import FAILURES, TOO_LONG, both, refused, told


@pytest.mark.parametrize(("kind", "failure"), [(kind, each) for kind, some in FAILURES.items() for each in some])
def test_a_failure_is_of_its_kind(kind, failure):
    assert kind_of(failure) == kind


def test_every_kind_that_is_treated_is_shown():
    assert FAILURES.keys() == TREATMENTS.keys()


@pytest.mark.parametrize("status", range(400, 600))
def test_every_status_is_of_some_kind_and_only_backends_at_fault_lead_elsewhere(status):
    for failure in both(status):
        elsewhere = TREATMENTS[kind_of(failure)].elsewhere
        assert elsewhere is (status in {402, 404, 408, 409, 429} or status >= 500)


@pytest.mark.parametrize("kind", ["request", "credential", "stopped"])
def test_what_no_other_backend_can_mend_ends_the_matter(kind):
    treatment = TREATMENTS[kind]
    assert (treatment.elsewhere, treatment.again, treatment.scope) == (False, 0, "nobody")


def test_the_kinds_are_ranked_by_what_can_be_done_about_them():
    ranks = {kind: treatment.rank for kind, treatment in TREATMENTS.items()}
    assert sorted(ranks, key=lambda kind: ranks[kind]) == list(ranks)
    assert all(rank > 0 for rank in ranks.values())


def test_an_overflow_is_known_by_the_words_on_which_the_client_compacts():
    assert kind_of(refused(400, TOO_LONG)) == "overflow"
    assert kind_of(refused(422, TOO_LONG)) == "request"
    assert kind_of(refused(500, TOO_LONG)) == "server"


@pytest.mark.parametrize("body", [b"", b"no", b"[]", b'{"error":{"message":"prompt is too long"}}', b"\xff" * 9])
def test_any_body_of_a_refusal_has_a_kind(body):
    assert kind_of(Refusal(400, [], body)) == ("overflow" if b"long" in body else "request")


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("7", 7),
        ("0", 0),
        (" 1.5 ", 1.5),
        ("-1", None),
        ("nan", None),
        ("inf", None),
        ("", None),
        ("soon", None),
        ("Wed, 21 Oct 2026 07:28:00 GMT", None),
    ],
)
def test_a_backend_may_say_for_how_long_it_wants_to_be_left_alone(said, seconds):
    for failure in both(429, retry_after=said):
        assert rest_of(failure) == seconds


def test_who_says_nothing_has_no_rest_of_its_own():
    assert rest_of(refused(429)) is rest_of(told(429)) is rest_of(ConnectFailed("no")) is None


@given(st.binary(max_size=40), st.binary(max_size=10), st.integers(100, 999))
def test_no_refusal_is_beyond_it(body, value, status):
    failure = Refusal(status, [(b"retry-after", value), (b"x-should-retry", value)], body)
    assert kind_of(failure) in TREATMENTS
    seconds = rest_of(failure)
    assert seconds is None or seconds >= 0


def test_a_refusals_content_is_not_shown():
    assert "secret" not in repr(Refusal(400, [(b"x", b"secret")], b"secret", "secret"))
