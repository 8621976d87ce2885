from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ccrouter.errors import ApiError, ConnectFailed, UpstreamBroken, UpstreamTimeout
from ccrouter.providers.presets import PRESETS
from ccrouter.providers.provider import Provider, Target
from ccrouter.routing.plan import Outcome, Plan, Refusal, api_error

PROVIDER = Provider(name="work", preset=PRESETS["messages"], base_url="https://llm.example.com")
TARGETS = tuple(Target(PROVIDER, f"m{number}") for number in range(4))

#: What is the backend's fault, and so worth another target; in its own words, reworded, or none at all.
_ELSEWHERE = [404, 408, 409, 429, 500, 502, 503, 504, 529]
_NOWHERE = [400, 401, 402, 403, 405, 413, 422]
TRANSPORT = [
    ConnectFailed("no connection"),
    UpstreamBroken("it hung up", before_reply=True),
    UpstreamTimeout("no first byte in 600 s", "first_byte"),
]


def refused(status):
    return st.sampled_from([Refusal(status, [], b"{}"), ApiError(status, "some_error", "no")])


backend_at_fault = st.sampled_from(_ELSEWHERE).flatmap(refused) | st.sampled_from(TRANSPORT)
request_at_fault = st.sampled_from(_NOWHERE).flatmap(refused)
after_the_commit = st.sampled_from(["done", "broken", "hung_up", "ended"])


class PlanMachine(RuleBasedStateMachine):
    """A relay that follows a plan, whatever its attempts come to."""

    @initialize(order=st.lists(st.sampled_from(TARGETS), min_size=1, max_size=4, unique=True).map(tuple))
    def begin(self, order):
        self.plan = Plan(order)
        self.wanted = list(order)
        self.tried: list[Target] = []
        self.under_way = False
        self.over = False
        self.failure = None

    @precondition(lambda self: not self.under_way)
    @rule()
    def ask_for_the_next(self):
        target = self.plan.next_target()
        if self.over or not self.wanted:
            assert target is None
            self.over = True
        else:
            assert target is not None
            assert target == self.wanted.pop(0)
            self.tried.append(target)
            self.under_way = True

    def record(self, outcome):
        self.plan.record(outcome)
        self.under_way = False
        self.failure = outcome.failure

    @precondition(lambda self: self.under_way)
    @rule(failure=backend_at_fault)
    def the_backend_fails(self, failure):
        self.record(Outcome(result="failed", failure=failure))

    @precondition(lambda self: self.under_way)
    @rule(failure=request_at_fault)
    def the_request_is_wrong(self, failure):
        self.record(Outcome(result="failed", failure=failure))
        self.over = True

    @precondition(lambda self: self.under_way)
    @rule(result=after_the_commit, failure=st.none() | backend_at_fault)
    def the_client_has_seen_something(self, result, failure):
        self.record(Outcome(result=result, failure=failure))
        self.over = True

    @invariant()
    def each_target_is_tried_at_most_once(self):
        assert len(set(self.tried)) == len(self.tried)
        assert self.plan.more is bool(self.wanted)

    @precondition(lambda self: self.tried and not self.under_way and self.failure is not None)
    @rule()
    def the_last_failure_is_the_verdict(self):
        verdict = self.plan.verdict()
        if isinstance(self.failure, Refusal | ApiError):
            assert verdict is self.failure
        else:
            assert isinstance(verdict, ApiError)
            assert verdict.message == f"work: {self.failure}"


TestPlan = PlanMachine.TestCase


def test_a_plan_comes_to_its_end():
    plan = Plan(TARGETS)
    tried = []
    while target := plan.next_target():
        tried.append(target)
        plan.record(Outcome(result="failed", failure=UpstreamBroken("it hung up")))
    assert tuple(tried) == TARGETS
    assert plan.next_target() is None


def test_without_an_attempt_there_is_no_verdict():
    with pytest.raises(ValueError, match="nothing was tried"):
        Plan(TARGETS).verdict()


@pytest.mark.parametrize(
    ("failure", "status", "kind"),
    [(TRANSPORT[0], 502, "api_error"), (TRANSPORT[1], 502, "api_error"), (TRANSPORT[2], 504, "timeout_error")],
)
def test_a_failed_connection_is_told_in_the_words_of_the_envelope(failure, status, kind):
    told = api_error(failure, TARGETS[0])
    assert (told.status, told.kind, told.message) == (status, kind, f"work: {failure}")


def test_a_refusals_content_is_not_shown():
    assert "secret" not in repr(Refusal(400, [(b"x", b"secret")], b"secret"))
