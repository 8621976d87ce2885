from __future__ import annotations

import pytest
from attrs import evolve
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ccrouter.errors import ApiError, BudgetSpent, ConnectFailed, UpstreamBroken, UpstreamTimeout
from ccrouter.providers.presets import PRESETS
from ccrouter.providers.provider import Provider, Target
from ccrouter.routing.failure import NEVER, TREATMENTS, Kind, Refusal, kind_of, rest_of
from ccrouter.routing.health import Health
from ccrouter.routing.plan import SHORT, Outcome, Patience, Plan, Verdict, Wait, api_error
from tests.routing.samples import FAILURES, TOO_LONG, both, plan_refused, refused, target, told

A, A_TOO, B, C = target("a", of="one"), target("a2", of="one"), target("b", of="two"), target("c", of="three")
FOUR = (A, A_TOO, B, C)

CONNECT, BROKEN, TIMEOUT = FAILURES["connect"][0], FAILURES["broken"][0], FAILURES["timeout"][0]


def failed(failure):
    return Outcome(result="failed", failure=failure)


def lasts(failure):
    """Whether the client stops when it is told of it, as the backend says."""
    pairs = failure.headers if isinstance(failure, Refusal | ApiError) else ()
    said = {
        str(n, "ascii") if isinstance(n, bytes) else n: v if isinstance(v, str) else v.decode() for n, v in pairs
    }
    return said.get("x-should-retry") == "false" or float(said.get("retry-after", 0)) > 60


PASSING_KINDS: tuple[Kind, ...] = ("server", "overloaded", "rate_limit")
LASTING = [failure for kind in PASSING_KINDS for failure in FAILURES[kind] if lasts(failure)]


def followed(plan, *outcomes, now=0.0):
    """What the plan says, one by one, while its tries come to these outcomes."""
    said = []
    waiting = list(outcomes)
    while (step := plan.next_target(now)) is not None:
        said.append(step)
        if isinstance(step, Wait):
            now += step.seconds
            continue
        if not waiting:
            return said
        plan.record(waiting.pop(0), now)
    return [*said, None]


# The order


def test_the_next_is_tried_when_one_fails_until_one_answers():
    plan = Plan(FOUR)
    assert followed(plan, failed(refused(529)), failed(refused(500)), Outcome(result="done")) == [
        A,
        A_TOO,
        B,
        None,
    ]
    assert [each.outcome.result for each in plan.tries] == ["failed", "failed", "done"]


def test_a_plan_comes_to_its_end():
    assert followed(Plan((A, B)), failed(refused(429)), failed(refused(529))) == [A, B, None]


@pytest.mark.parametrize("failure", [*FAILURES["request"], *FAILURES["credential"], *FAILURES["stopped"]])
def test_nobody_else_is_tried_for_what_nobody_else_can_mend(failure):
    plan = Plan(FOUR)
    assert followed(plan, failed(failure)) == [A, None]
    assert plan.verdict().reply is failure


@pytest.mark.parametrize("kind", [kind for kind, each in TREATMENTS.items() if each.elsewhere])
def test_every_kind_that_may_be_anothers_luck_leads_to_the_next(kind):
    for failure in FAILURES[kind]:
        assert followed(Plan((A, C)), failed(failure), Outcome(result="done")) == [A, C, None]


@pytest.mark.parametrize("result", ["done", "broken", "hung_up", "ended"])
def test_nobody_is_tried_after_the_client_saw_something_or_went_away(result):
    for failure in (None, CONNECT, refused(529)):
        assert followed(Plan(FOUR), Outcome(result=result, failure=failure)) == [A, None]


def test_a_try_is_told_with_its_times():
    plan = Plan((A, B), began=100.0)
    assert plan.next_target(101) == A
    plan.record(failed(CONNECT), 104)
    (only,) = plan.tries
    assert (only.target, only.began, only.ended, only.outcome.failure) == (A, 1, 4, CONNECT)


def test_what_was_not_tried_cannot_be_recorded():
    plan = Plan((A,))
    with pytest.raises(ValueError, match="nothing is being tried"):
        plan.record(Outcome(result="done"), 0)
    plan.next_target(0)
    plan.record(Outcome(result="done"), 0)
    with pytest.raises(ValueError, match="nothing is being tried"):
        plan.record(Outcome(result="done"), 0)


# Once more


@pytest.mark.parametrize("kind", list(TREATMENTS))
def test_the_last_one_is_tried_once_more_where_that_may_help(kind):
    treatment = TREATMENTS[kind]
    failure = FAILURES[kind][0]
    expected = [A, None]
    if treatment.again and treatment.pause < NEVER:
        expected = [A, *([Wait(treatment.pause)] if treatment.pause else []), A, None]
    assert followed(Plan((A,)), *[failed(failure)] * 5) == expected


def test_only_the_last_one_is_tried_once_more():
    outcomes = [failed(CONNECT)] * 9
    assert followed(Plan((A, B)), *outcomes) == [A, B, Wait(0.3), B, None]
    assert followed(Plan((A, A_TOO)), *outcomes) == [
        A,
        Wait(0.3),
        A,
        None,
    ]  # both are of the provider that is down


def test_a_pause_that_the_backend_wants_is_sat_out_if_it_is_short():
    def after(seconds):
        return followed(Plan((A,)), *[failed(refused(429, retry_after=seconds))] * 2)

    assert after("2") == [A, Wait(2), A, None]
    assert after("0") == [A, A, None]
    assert after(f"{SHORT:g}") == [A, Wait(SHORT), A, None]
    assert after(f"{SHORT + 1:g}") == [A, None]


def test_a_moment_is_waited_for_rather_than_to_move_the_conversation():
    wait = failed(refused(429, retry_after="1"))
    assert followed(Plan((A, B)), wait, Outcome(result="done")) == [A, Wait(1), A, None]
    assert followed(Plan((A, B)), wait, wait, Outcome(result="done")) == [A, Wait(1), A, B, None]
    assert followed(Plan((A, B)), failed(refused(429, retry_after="9")), Outcome(result="done")) == [A, B, None]
    assert followed(Plan((A, B)), failed(refused(429)), Outcome(result="done")) == [A, B, None]


@pytest.mark.parametrize("failure", both(429, x_should_retry="false", retry_after="1"))
def test_who_is_told_not_to_ask_again_does_not(failure):
    assert followed(Plan((A,)), failed(failure)) == [A, None]


def test_there_is_no_wait_without_a_try_after_it():
    for seconds in (0.2, 0.5, 0.59, 0.61, 0.9, 1.1):
        said = followed(Plan((A,), patience=Patience(seconds=seconds)), *[failed(CONNECT)] * 2, now=0.0)
        assert said in ([A, None], [A, Wait(0.3), A, None])
        assert (len(said) == 4) is (seconds > 0.3)


# Budgets of tries and time


@pytest.mark.parametrize("tries", [1, 2, 3])
def test_a_request_is_tried_so_often_in_all(tries):
    plan = Plan(FOUR, patience=Patience(tries=tries))
    assert followed(plan, *[failed(refused(500))] * 9) == [*FOUR[:tries], None]
    assert followed(Plan((A,), patience=Patience(tries=1)), failed(CONNECT)) == [A, None]


def test_no_try_begins_when_patience_is_at_its_end():
    plan = Plan(FOUR, patience=Patience(seconds=10), began=50)
    assert plan.next_target(50) == A
    plan.record(failed(refused(500)), 59.9)
    assert plan.next_target(59.9) == A_TOO
    plan.record(failed(refused(500)), 60)
    assert plan.next_target(60) is None


def test_the_first_try_begins_however_late_it_is():
    assert Plan((A,), patience=Patience(seconds=1)).next_target(500) == A


# Who is passed over


def resting(*targets, failure=TIMEOUT):
    health = Health()
    for each in targets:
        health.failed(each, failure, 0)
    return health


def test_who_rests_is_passed_over_and_that_is_told():
    plan = Plan((A, A_TOO, B), health=resting(A))
    assert followed(plan, failed(refused(500))) == [B, None]
    assert [(each.target, each.why) for each in plan.passed] == [
        (each, "left alone for 15 s more after failures (timeout)") for each in (A, A_TOO)
    ]


def test_a_weekly_limit_of_one_model_leaves_the_plans_other_models_in_use():
    health = Health()
    followed(Plan((A,), health=health), failed(plan_refused("seven_day_opus", retry_after="400000")[0]))
    for now in (1, 3 * 24 * 3600):
        assert Plan((A_TOO, B), health=health).next_target(now) == A_TOO
        assert Plan((A, B), health=health).next_target(now) == B
    assert Plan((A, B), health=health).next_target(400_001) == A


def test_when_all_rest_the_first_is_tried_all_the_same():
    plan = Plan((A, B, C), health=resting(A, B, C))
    assert followed(plan, failed(refused(503))) == [A, None]
    assert [each.target for each in plan.passed] == [B, C]


def test_when_all_rest_the_one_that_ended_its_rest_meanwhile_is_next():
    health = resting(A, B)
    plan = Plan((A, B), health=health)
    assert plan.next_target(0) == A
    plan.record(failed(refused(503)), 1)
    health.well(B, 0, 1)
    assert plan.next_target(1) == B
    assert plan.passed == []


# A stand-in's own troubles

FINAL = [kind for kind, each in TREATMENTS.items() if each.final]
OTHERS_LUCK = [kind for kind, each in TREATMENTS.items() if each.elsewhere]


@pytest.mark.parametrize("kind", [*FINAL, "lasting"])
@pytest.mark.parametrize("wanted", OTHERS_LUCK)
def test_what_is_final_to_a_stand_in_leads_to_the_next_and_hides_nothing(kind, wanted):
    for final in LASTING if kind == "lasting" else FAILURES[kind]:
        plan = Plan((A, B, C))
        first = FAILURES[wanted][0]
        assert followed(plan, failed(first), failed(final), Outcome(result="done")) == [A, B, C, None]
        plan = Plan((A, B, C))
        followed(plan, failed(first), failed(final), failed(final))
        assert plan.verdict().reply is first or str(first) in str(plan.verdict().reply)


@pytest.mark.parametrize("kind", FINAL)
def test_who_rests_is_tried_when_it_is_final_to_all_others(kind):
    for final in FAILURES[kind]:
        plan = Plan((A, B, C), health=resting(A))
        assert followed(plan, failed(final), failed(final), failed(refused(529))) == [B, C, A, None]
        assert plan.verdict().reply is plan.tries[-1].outcome.failure
        assert plan.passed == []
        assert followed(Plan((A, B, C), health=resting(A, C)), failed(final), Outcome(result="done")) == [
            B,
            A,
            None,
        ]


def test_who_rests_is_left_alone_as_long_as_others_may_do_better_in_a_moment():
    plan = Plan((A, B, C), health=resting(A))
    assert followed(plan, failed(refused(401)), failed(refused(529))) == [B, C, None]
    assert [each.target for each in plan.passed] == [A]


def test_a_used_up_budget_is_told_rather_than_that_a_stand_in_has_no_key():
    plan = Plan((A, B), budget=spent(A))
    assert followed(plan, failed(refused(401))) == [B, None]
    assert str(plan.verdict().reply) == "the budget of one:a is used up"


@pytest.mark.parametrize("kind", FINAL)
def test_a_session_that_stays_with_a_stand_in_finds_back_to_the_one_that_was_wanted(kind):
    for final in FAILURES[kind]:
        assert followed(Plan((B, A), wanted=A), failed(final), Outcome(result="done")) == [B, A, None]
        plan = Plan((B, A), wanted=A)
        followed(plan, failed(final), failed(refused(529)))
        assert plan.verdict().reply is plan.tries[-1].outcome.failure


def spent(*targets):
    return lambda of: told(429, f"the budget of {of} is used up") if of in targets else None


def test_who_has_no_budget_left_is_passed_over():
    plan = Plan((A, B), budget=spent(A))
    assert followed(plan, Outcome(result="done")) == [B, None]
    assert [(each.target, each.why) for each in plan.passed] == [(A, "the budget of one:a is used up")]


def test_when_all_budgets_are_used_up_the_first_refusal_is_told():
    plan = Plan((A, B), budget=spent(A, B))
    assert plan.next_target(0) is None
    verdict = plan.verdict().reply
    assert isinstance(verdict, ApiError)
    assert verdict.message == "the budget of one:a is used up"


def ended(words="no budget"):
    return BudgetSpent(429, "rate_limit_error", words, (("retry-after", "9000"), ("x-should-retry", "false")))


def test_a_budget_that_ended_while_a_try_stood_in_the_line_is_passed_over_like_any_other():
    health = Health()
    plan = Plan((A, B), health=health)
    assert followed(plan, failed(ended()), Outcome(result="done")) == [A, B, None]
    assert [(each.target, each.why) for each in plan.passed] == [(A, "no budget")]
    assert [each.target for each in plan.tries] == [B]
    assert list(health.resting(0.0)) == [], "nobody asked the backend"


def test_when_all_budgets_ended_in_the_line_the_first_refusal_is_told():
    plan = Plan((A, B))
    assert followed(plan, failed(ended("first")), failed(ended("second"))) == [A, B, None]
    verdict = plan.verdict().reply
    assert isinstance(verdict, ApiError)
    assert verdict.message == "first"


def test_a_budget_that_ended_in_the_line_hides_no_failure():
    plan = Plan((A, B))
    assert followed(plan, failed(refused(529)), failed(ended())) == [A, B, None]
    assert plan.verdict().reply.status == 529


def test_a_budget_that_ended_after_the_commit_point_says_nothing_of_the_backend():
    health = Health()
    plan = Plan((A, B), health=health)
    assert followed(plan, Outcome(result="broken", failure=ended())) == [A, None]
    assert [each.target for each in plan.tries] == [A]
    assert list(health.resting(0.0)) == []


def test_who_rests_is_tried_rather_than_who_has_no_budget():
    plan = Plan((A, B), budget=spent(A), health=resting(B))
    assert followed(plan, Outcome(result="done")) == [B, None]


def test_a_budget_that_ends_meanwhile_is_not_overdrawn_by_a_try_once_more():
    used: list[Target] = []
    plan = Plan((A,), budget=lambda of: told(429, "no budget") if of in used else None)
    assert plan.next_target(0) == A
    plan.record(failed(CONNECT), 0)
    used.append(A)
    assert plan.next_target(0) is None
    assert isinstance(plan.verdict().reply, ApiError)


SMALL, SAME, LARGE = (target(str(room), of="sizes", window=room) for room in (200_000, 200_999, 1_000_000))
UNKNOWN = target("unknown", of="sizes")


@pytest.mark.parametrize("failure", FAILURES["overflow"])
def test_after_an_overflow_only_a_larger_window_helps(failure):
    plan = Plan((SMALL, replica(SMALL), LARGE), health=Health())
    assert followed(plan, failed(failure), Outcome(result="done")) == [SMALL, LARGE, None]
    assert [(each.target, each.why) for each in plan.passed] == [
        (replica(SMALL), "its window of 200000 tokens is too small")
    ]


def replica(of):
    return Target(evolve(of.provider, name="replica"), of.model, of.facts)


def test_a_window_must_be_as_large_as_the_prompt_that_was_counted():
    assert followed(Plan((SMALL, SAME, LARGE)), failed(refused(400, TOO_LONG)))[:2] == [SMALL, LARGE]
    fits = "prompt is too long: 200999 tokens > 200000 maximum"
    assert followed(Plan((SMALL, SAME, LARGE)), failed(told(400, fits)))[:2] == [SMALL, SAME]


def test_a_window_that_is_not_known_may_be_large_enough():
    assert followed(Plan((SMALL, UNKNOWN)), failed(refused(400, TOO_LONG)))[:2] == [SMALL, UNKNOWN]


def test_but_not_where_the_prompt_would_be_cut_in_silence():
    ollama = Target(Provider(name="ollama", preset=PRESETS["ollama"], base_url="http://127.0.0.1:1"), "m")
    plan = Plan((SMALL, ollama))
    assert followed(plan, failed(refused(400, TOO_LONG))) == [SMALL, None]
    assert [each.why for each in plan.passed] == [
        "its window is not known, and it would cut the prompt in silence"
    ]


def test_without_a_number_and_without_a_window_each_may_be_large_enough():
    words = "input length and `max_tokens` exceed context limit"
    assert followed(Plan((UNKNOWN, SMALL)), failed(refused(400, words)))[:2] == [UNKNOWN, SMALL]


def test_an_overflow_is_remembered_when_something_else_fails_after_it():
    outcomes = failed(refused(400, TOO_LONG)), failed(refused(500))
    assert followed(Plan((SMALL, LARGE, replica(SMALL))), *outcomes)[:2] == [SMALL, LARGE]
    plan = Plan((SMALL, LARGE, replica(SMALL)))
    assert replica(SMALL) not in followed(plan, *outcomes, failed(refused(500)))


def test_who_is_known_to_lack_what_was_refused_is_passed_over():
    lacks, has = target("x", of="two", tools=False), target("y", of="two", tools=True)
    plan = Plan((A, lacks, has))
    assert followed(plan, failed(FAILURES["capability"][0]), Outcome(result="done")) == [A, has, None]
    assert [each.why for each in plan.passed] == ["it can't call tools either"]


# What others are told


class Told(Health):
    """Health that remembers what it was told."""

    def __init__(self):
        super().__init__()
        self.log = []

    def begin(self, of, now):
        self.log.append(("begin", of))
        super().begin(of, now)

    def well(self, of, began, now):
        self.log.append(("well", of))
        super().well(of, began, now)

    def failed(self, of, failure, now):
        self.log.append(("failed", of))
        super().failed(of, failure, now)

    def gave_up(self, of):
        self.log.append(("gave_up", of))
        super().gave_up(of)


@pytest.mark.parametrize(
    ("outcome", "word"),
    [
        (Outcome(result="done"), "well"),
        (failed(CONNECT), "failed"),
        (failed(refused(400)), "failed"),
        (failed(None), "gave_up"),
        (Outcome(result="broken", failure=BROKEN), "failed"),
        (Outcome(result="broken"), "gave_up"),
        (Outcome(result="hung_up"), "gave_up"),
        (Outcome(result="ended", failure=FAILURES["stopped"][0]), "gave_up"),
    ],
)
def test_health_is_told_of_each_try_as_it_was(outcome, word):
    health = Told()
    plan = Plan((A,), health=health)
    plan.next_target(0)
    plan.record(outcome, 0)
    assert health.log == [("begin", A), (word, A)]


def test_more_is_said_as_long_as_another_target_may_follow():
    plan = Plan((A, B, C), patience=Patience(tries=2))
    plan.next_target(0)
    said = [plan.more]
    plan.record(failed(refused(500)), 0)
    plan.next_target(0)
    assert [*said, plan.more] == [True, False]


def test_of_a_single_target_there_is_no_more():
    alone = Plan((A,))
    alone.next_target(0)
    assert not alone.more


# What the client is told


def test_without_an_attempt_there_is_no_verdict():
    with pytest.raises(ValueError, match="nothing was tried"):
        Plan(FOUR).verdict()


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (0, 2, 1)])
def test_the_verdict_is_the_failure_that_most_can_be_done_about(order):
    failures = [CONNECT, refused(429, retry_after="7"), refused(400, TOO_LONG)]
    plan = Plan((A, B, C))
    followed(plan, *[failed(failures[place]) for place in order])
    assert plan.verdict().reply is failures[2]


def test_of_equals_the_verdict_is_that_of_the_target_that_was_wanted():
    first, second = refused(529), told(529)
    for order, wanted in (((A, B), None), ((A, B), A), ((B, A), A)):
        plan = Plan(order, wanted=wanted)
        followed(plan, *[failed(first if each is A else second) for each in order])
        assert plan.verdict().reply is first


PASSING = [failure for kind in PASSING_KINDS for failure in FAILURES[kind] if not lasts(failure)]


@pytest.mark.parametrize("own", PASSING)
@pytest.mark.parametrize("others", [*PASSING, *LASTING, *FAILURES["overflow"]])
def test_who_was_wanted_and_is_back_in_a_moment_is_told_whatever_a_stand_in_says(own, others):
    for order in ((A, C), (C, A)):
        plan = Plan(order, wanted=A)
        followed(plan, *[failed(own if each is A else others) for each in order])
        assert plan.verdict().reply is own


@pytest.mark.parametrize("failure", FAILURES["overflow"])
def test_a_stand_ins_window_is_told_where_the_wanted_one_is_away_for_longer(failure):
    for own in (CONNECT, TIMEOUT, *LASTING, *FAILURES["quota"]):
        plan = Plan((A, C))
        followed(plan, failed(own), failed(failure))
        assert plan.verdict().reply is failure


def test_before_a_conversation_is_compacted_for_a_stand_in_who_rests_for_a_moment_is_tried():
    overflow = failed(refused(400, TOO_LONG))
    plan = Plan((A, C), health=resting(A, failure=refused(529)))
    assert followed(plan, overflow, Outcome(result="done")) == [C, A, None]
    for lasting in (TIMEOUT, refused(529, retry_after="7200"), refused(402)):
        plan = Plan((A, C), health=resting(A, failure=lasting))
        assert followed(plan, overflow) == [C, None]


def test_a_connection_that_failed_is_told_with_the_provider_that_it_was_to():
    plan = Plan((A, B))
    followed(plan, failed(CONNECT), failed(UpstreamTimeout("nothing in 600 s", "first_byte")))
    verdict = plan.verdict().reply
    assert isinstance(verdict, ApiError)
    assert (verdict.status, verdict.message) == (504, "two: nothing in 600 s")


@pytest.mark.parametrize(
    ("failure", "status", "kind"),
    [
        (ConnectFailed("no connection"), 502, "api_error"),
        (UpstreamBroken("it hung up", before_reply=True), 502, "api_error"),
        (UpstreamTimeout("no first byte in 600 s", "first_byte"), 504, "timeout_error"),
    ],
)
def test_a_failed_connection_is_told_in_the_words_of_the_envelope(failure, status, kind):
    said = api_error(failure, A)
    assert (said.status, said.kind, said.message) == (status, kind, f"one:a: {failure}".replace(":a", ""))


@pytest.mark.parametrize("first", [each for kind in FAILURES.values() for each in kind])
@pytest.mark.parametrize("second", [CONNECT, TIMEOUT, refused(529), told(401)])
def test_it_is_known_whose_failure_the_client_is_told(first, second):
    plan = Plan((A, B), patience=Patience(tries=2))
    followed(plan, failed(first), failed(second))
    verdict = plan.verdict()
    one = verdict.of
    assert one in plan.tries
    assert verdict.reply is one.outcome.failure or (
        str(verdict.reply) == f"{one.target.provider.name}: {one.outcome.failure}"
    )


def test_what_no_try_ended_in_is_no_trys_failure():
    refusal = told(404)
    assert Plan((), refused=refusal).verdict() == Verdict(reply=refusal, of=None)


# Whatever happens

_STAGE = (
    target("s", of="one", window=100_000),
    target("l", of="one", window=400_000),
    target("m", of="two", window=200_000, tools=False),
    target("u", of="three"),
    target("x", of="four", window=1_000_000, tools=True),
)
any_failure = st.sampled_from(sorted(FAILURES)).flatmap(lambda kind: st.sampled_from(FAILURES[kind]))
backend_at_fault = any_failure.filter(lambda failure: TREATMENTS[kind_of(failure)].elsewhere)
final = st.sampled_from(FINAL).flatmap(lambda kind: st.sampled_from(FAILURES[kind]))
steps = st.sampled_from([0.0, 0.1, 0.3, 1.0, 6.0, 40.0])


class PlanMachine(RuleBasedStateMachine):
    """A relay that follows a plan, among other requests, whatever its attempts come to."""

    @initialize(
        order=st.lists(st.sampled_from(_STAGE), min_size=1, max_size=5, unique=True).map(tuple),
        place=st.sampled_from([0, 0, 0, 1]),
        tries=st.integers(1, 6),
        seconds=st.sampled_from([0.5, 10.0, 120.0]),
        down=st.lists(st.tuples(st.sampled_from(_STAGE), any_failure), max_size=6),
    )
    def begin(self, order, place, tries, seconds, down):
        self.now = 1000.0
        self.health = Told()
        for each, failure in down:
            self.health.failed(each, failure, self.now)
        self.health.log.clear()
        self.spent = set()
        self.patience = Patience(tries=tries, seconds=seconds)
        self.order = order
        self.wanted = order[place % len(order)]
        self.plan = Plan(
            order,
            wanted=self.wanted,
            health=self.health,
            patience=self.patience,
            began=self.now,
            budget=self.budget,
        )
        self.tried = []
        self.failures = []
        self.under_way = False
        self.last = Outcome(result="done")
        self.over = False
        self.waited = False
        self.more = True
        self.others = 0
        self.rested = {}
        self.ended_between = set()  # the budget of who was tried, and was to be tried once more

    def budget(self, of):
        return told(429, f"{of} has no budget") if of in self.spent else None

    # What the plan says

    @precondition(lambda self: not self.under_way)
    @rule()
    def ask(self):
        were_down = {each: self.health.down(each, self.now) for each in self.order}
        seen = {each.target for each in self.plan.passed} | set(self.tried)
        step = self.plan.next_target(self.now)
        alone = {each.target for each in self.plan.passed if each.why.startswith("left alone")} | {step}
        self.rested |= {each: were_down[each] for each in alone - seen if were_down.get(each) is not None}
        if self.over:
            assert step is None
        elif step is None:
            self.over = True
            self.nobody_was_left()
        elif isinstance(step, Wait):
            assert not self.waited
            assert 0 < step.seconds <= SHORT
            assert self.now + step.seconds < self.plan.began + self.patience.seconds
            self.may_try_once_more()
            self.waited = True
            self.now += step.seconds
        else:
            self.it_may_be_tried(step, were_down)
            self.tried.append(step)
            self.under_way, self.waited = True, False
            self.more = self.plan.more

    def it_may_be_tried(self, step, were_down):
        assert step in self.order
        assert len(self.tried) < self.patience.tries
        assert step not in self.spent
        if self.tried:
            assert self.last.result == "failed"
            assert self.leads_elsewhere()
            assert self.now - self.plan.began < self.patience.seconds
        if step in self.tried:
            assert step == self.tried[-1]
            self.may_try_once_more()
            return
        assert self.more, "another target follows, and nobody said so"
        assert not self.is_hopeless(step)
        if were_down[step] is not None:
            assert all(self.no_words()), "who rests is tried only if nobody else can be"
            assert {each.target for each in self.plan.passed} <= set(self.order) - set(self.tried)

    def no_words(self):
        """Of each failure whether it is a stand-in's own trouble."""
        soon = self.is_back_soon()
        return [
            each != self.wanted
            and (TREATMENTS[kind_of(failure)].final or lasts(failure) or (soon and kind_of(failure) == "overflow"))
            for each, failure in zip(self.tried, self.failures, strict=False)  # the last may have none
        ]

    def is_back_soon(self):
        """Whether the wanted target failed or rests for what is over in a moment."""
        for each, failure in zip(self.tried, self.failures, strict=False):
            if each == self.wanted and kind_of(failure) in PASSING_KINDS and not lasts(failure):
                return True
        down = self.rested.get(self.wanted)
        if down is None or self.wanted in self.tried:
            return False
        passed = [each for each in self.plan.passed if each.target == self.wanted]
        alone = all(each.why.startswith("left alone") for each in passed)
        return alone and down.why in PASSING_KINDS and down.seconds <= 60

    def leads_elsewhere(self):
        return TREATMENTS[kind_of(self.failures[-1])].elsewhere or self.no_words()[-1]

    def is_hopeless(self, of):
        """As far as is known from the failures: windows that are too small, tools that it can't call."""
        room = of.known.room
        for each, failure in zip(self.tried, self.failures, strict=True):
            kind = kind_of(failure)
            if kind == "overflow" and room is not None:
                counted = "201000" in str(getattr(failure, "body", failure))
                if counted and room < 201_000:
                    return True
                if not counted and each.known.room is not None and room <= each.known.room:
                    return True
            if kind == "capability" and of.known.tools is False:
                return True
        return False

    def may_try_once_more(self):
        assert self.tried.count(self.tried[-1]) == 1
        assert TREATMENTS[kind_of(self.failures[-1])].again == 1
        assert (rest_of(self.failures[-1]) or 0) <= SHORT
        seen = {each.target for each in self.plan.passed} | set(self.tried)
        assert seen == set(self.order), "as long as there is another one, that is tried"

    def nobody_was_left(self):
        if self.tried and (self.last.result != "failed" or not self.leads_elsewhere()):
            return
        if len(self.tried) >= self.patience.tries or self.now - self.plan.began >= self.patience.seconds:
            return
        assert {each.target for each in self.plan.passed} | set(self.tried) == set(self.order)
        if all(self.no_words()):
            assert not any(each.why.startswith("left alone") for each in self.plan.passed)

    # What becomes of a try

    def record(self, outcome):
        self.plan.record(outcome, self.now)
        self.under_way = False
        self.last = outcome
        if outcome.failure is not None:
            self.failures.append(outcome.failure)

    @precondition(lambda self: self.under_way)
    @rule(failure=backend_at_fault)
    def the_backend_fails(self, failure):
        self.record(failed(failure))

    @precondition(lambda self: self.under_way)
    @rule(failure=final)
    def it_is_final_to_the_backend(self, failure):
        self.record(failed(failure))

    @precondition(lambda self: self.under_way)
    @rule(failure=any_failure)
    def something_fails(self, failure):
        self.record(failed(failure))

    @precondition(lambda self: self.under_way)
    @rule(result=st.sampled_from(["done", "broken", "hung_up", "ended"]), failure=st.none() | any_failure)
    def the_client_has_seen_something(self, result, failure):
        self.record(Outcome(result=result, failure=failure))

    @precondition(lambda self: self.under_way)
    @rule()
    def its_budget_ended_in_the_line(self):
        """Nobody was asked: it counts as passed over, and all goes on as if it had not been tried."""
        target = self.tried.pop()
        self.plan.record(failed(ended(f"{target} has no budget")), self.now)
        assert self.health.log[-2:] == [("begin", target), ("gave_up", target)]
        del self.health.log[-2:]
        self.under_way, self.more = False, True
        self.spent.add(target)
        self.ended_between |= {target} & set(self.tried)

    # The world around it

    @rule(seconds=steps)
    def time_passes(self, seconds):
        self.now += seconds

    @rule(of=st.sampled_from(_STAGE))
    def a_budget_ends_or_begins_anew(self, of):
        self.spent ^= {of}

    @rule(of=st.sampled_from(_STAGE), failure=st.none() | any_failure)
    def another_request_is_answered_or_fails(self, of, failure):
        log = list(self.health.log)
        self.health.begin(of, self.now)
        if failure is None:
            self.health.well(of, self.now, self.now)
        else:
            self.health.failed(of, failure, self.now)
        self.health.log = log

    # What always holds

    @invariant()
    def each_target_is_tried_at_most_once_but_for_one_more_time(self):
        counts = sorted(self.tried.count(each) for each in set(self.tried))
        assert counts[-1:] in ([], [1], [2])
        assert counts.count(2) <= 1
        assert [each.target for each in self.plan.tries] == self.tried[: len(self.plan.tries)]

    @invariant()
    def health_is_told_of_each_try_exactly_once(self):
        expected = []
        for each in self.plan.tries:
            words = {"done": "well", "failed": "failed"}
            if each.outcome.failure is not None:
                words["broken"] = "failed"
            word = words.get(each.outcome.result, "gave_up")
            expected += [("begin", each.target), (word, each.target)]
        if self.under_way:
            expected.append(("begin", self.tried[-1]))
        assert self.health.log == expected

    @precondition(lambda self: not self.under_way)
    @invariant()
    def no_probe_stays_behind(self):
        assert all(state.probing == float("-inf") for state in self.health._states.values())

    @invariant()
    def who_was_tried_was_not_passed_over_before(self):
        assert {each.target for each in self.plan.passed} & set(self.tried) <= self.ended_between
        assert len(self.plan.passed) == len({each.target for each in self.plan.passed})

    @precondition(lambda self: self.failures and not self.under_way)
    @rule()
    def the_verdict_is_the_most_useful_failure_as_it_was(self):
        verdict = self.plan.verdict().reply
        told = [failure for failure, no_word in zip(self.failures, self.no_words(), strict=True) if not no_word]
        if not told and str(verdict).endswith("has no budget"):
            return
        best = max(told or self.failures, key=lambda failure: TREATMENTS[kind_of(failure)].rank)
        if isinstance(best, Refusal | ApiError):
            assert verdict is best
        else:
            place = self.failures.index(best)
            assert isinstance(verdict, ApiError)
            assert verdict.message == f"{self.tried[place].provider.name}: {best}"

    def teardown(self):
        """Whatever happened so far: from here on everything fails, and soon nobody is left."""
        if not hasattr(self, "plan"):
            return
        for _ in range(2 * len(_STAGE) + 3):
            if self.under_way:
                self.record(failed(refused(500)))
            self.ask()
            if self.over:
                return
        raise AssertionError("it does not end")


TestPlan = PlanMachine.TestCase
