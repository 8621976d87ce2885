from __future__ import annotations

import pytest
from attrs import evolve
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ccrouter.providers.provider import Target
from ccrouter.routing.failure import TREATMENTS, Refusal
from ccrouter.routing.health import LONGEST, LONGEST_TOLD, MOST, PROBE, Health
from tests.routing.samples import FAILURES, refused, target

HOME, AWAY = target(of="home"), target(of="away")
HOME_TOO = target("other", of="home")
TARGETS = [HOME, HOME_TOO, AWAY]

TIMEOUT, CONNECT = FAILURES["timeout"][0], FAILURES["connect"][0]
SERVER = refused(500)


def rests(health, of, now):
    down = health.down(of, now)
    return None if down is None else down.seconds


# The rests


def test_who_is_not_known_does_not_rest():
    health = Health()
    assert health.down(HOME, 0) is None
    assert list(health.resting(0)) == []


@pytest.mark.parametrize("kind", [kind for kind, each in TREATMENTS.items() if each.scope != "nobody"])
def test_a_rest_begins_after_as_many_failures_as_are_allowed_and_doubles_up_to_the_longest(kind):
    health, treatment, failure = Health(), TREATMENTS[kind], FAILURES[kind][0]
    for _ in range(treatment.patience - 1):
        health.failed(HOME, failure, 0)
        assert health.down(HOME, 0) is None
    expected = treatment.rest
    for now in range(0, 1000, 100):
        health.failed(HOME, failure, now)
        down = health.down(HOME, now)
        assert down is not None
        assert (down.seconds, down.why) == (min(expected, LONGEST), kind)
        assert health.down(HOME, now + down.seconds) is None
        expected *= 2
    assert rests(health, HOME, 900) == LONGEST


def test_a_thousand_failures_do_not_make_a_rest_longer():
    health = Health()
    for number in range(3000):
        health.failed(HOME, CONNECT, number * 100)
    assert rests(health, HOME, 299_900) == LONGEST


@pytest.mark.parametrize("kind", [kind for kind, each in TREATMENTS.items() if each.scope != "nobody"])
def test_twenty_requests_that_fail_at_once_are_one_reason_to_rest(kind):
    health = Health()
    for number in range(20):
        health.failed(HOME, FAILURES[kind][0], number / 100)
    down = health.down(HOME, 0.2)
    assert down is not None
    assert down.seconds <= TREATMENTS[kind].rest
    health.failed(HOME, FAILURES[kind][0], 100)
    assert rests(health, HOME, 100) == min(2 * TREATMENTS[kind].rest, LONGEST)


def test_a_rest_that_the_backend_asks_for_in_the_midst_of_one_is_kept():
    health = Health()
    health.failed(HOME, refused(529), 0)
    health.failed(HOME, refused(529, retry_after="50"), 1)
    assert rests(health, HOME, 1) == 50


@pytest.mark.parametrize(("said", "seconds"), [("7", 7), ("90", 90), ("9000", 9000), ("99999999", LONGEST_TOLD)])
def test_a_rest_that_the_backend_asks_for_is_kept(said, seconds):
    health = Health()
    health.failed(HOME, refused(429, retry_after=said), 100)
    assert rests(health, HOME, 100) == seconds
    assert rests(health, HOME, 100 + seconds - 1) == 1
    assert health.down(HOME, 100 + seconds) is None


def test_a_rest_that_the_backend_asks_for_begins_before_patience_ends():
    health = Health()
    health.failed(HOME, refused(500, retry_after="7"), 0)
    assert rests(health, HOME, 0) == 7


@pytest.mark.parametrize("kind", [kind for kind, each in TREATMENTS.items() if each.scope == "nobody"])
def test_after_what_the_request_got_wrong_nobody_rests(kind):
    health = Health()
    for _ in range(20):
        for failure in FAILURES[kind]:
            health.failed(HOME, failure, 0)
    assert health.down(HOME, 0) is None


def test_failures_in_a_row_are_of_one_kind():
    health = Health()
    for failure in (SERVER, SERVER, FAILURES["overloaded"][0]):
        health.failed(HOME, failure, 0)
    assert rests(health, HOME, 0) == TREATMENTS["overloaded"].rest
    for now in (10, 11):
        health.failed(HOME, SERVER, now)
        assert health.down(HOME, now) is None
    health.failed(HOME, SERVER, 12)
    assert rests(health, HOME, 12) == TREATMENTS["server"].rest


# Who rests


def test_a_provider_rests_with_all_its_models_and_a_model_alone():
    health = Health()
    health.failed(HOME, refused(529), 0)
    assert (rests(health, HOME, 0), health.down(HOME_TOO, 0)) == (5, None)
    health.failed(HOME, TIMEOUT, 0)
    assert rests(health, HOME_TOO, 0) == 15
    assert health.down(AWAY, 0) is None
    assert {name: down.why for name, down in health.resting(0)} == {"home:m": "overloaded", "home": "timeout"}
    assert [name for name, _ in health.resting(10)] == ["home"]


def test_the_same_name_with_another_address_is_another_provider():
    health = Health()
    health.failed(HOME, TIMEOUT, 0)
    moved = Target(evolve(HOME.provider, base_url="https://elsewhere.example.com"), HOME.model)
    assert health.down(moved, 0) is None


# After the rest


def after_a_rest():
    health = Health()
    health.failed(HOME, TIMEOUT, 0)
    assert health.down(HOME, 15) is None
    health.begin(HOME, 15)
    return health


def test_after_a_rest_one_probe_is_let_through_and_everybody_else_goes_on_waiting():
    health = after_a_rest()
    for _ in range(50):
        assert rests(health, HOME, 16) == PROBE - 1
        assert health.down(HOME_TOO, 16) is not None
    assert health.down(HOME, 15 + PROBE) is None


def test_a_probe_that_goes_well_makes_all_forgotten():
    health = after_a_rest()
    health.well(HOME, 15, 16)
    assert health.down(HOME, 15) is health.down(HOME_TOO, 15) is None
    health.begin(HOME, 16)
    assert health.down(HOME, 16) is None
    health.failed(HOME, TIMEOUT, 20)
    assert rests(health, HOME, 20) == 15


def test_a_probe_that_fails_begins_a_longer_rest():
    health = after_a_rest()
    health.failed(HOME, TIMEOUT, 16)
    assert rests(health, HOME, 16) == 30


def test_a_probe_whose_client_hangs_up_lets_the_next_one_through():
    health = after_a_rest()
    health.gave_up(HOME)
    assert health.down(HOME, 16) is None
    health.begin(HOME, 16)
    assert health.down(HOME, 16) is not None


@pytest.mark.parametrize("status", [400, 401])
def test_a_backend_that_refuses_a_request_for_its_own_sake_is_there_for_all(status):
    health = after_a_rest()
    health.failed(HOME, refused(status), 16)
    health.begin(HOME, 16)
    assert health.down(HOME, 16) is None


def test_what_the_router_itself_refuses_says_nothing_of_the_backend():
    health = after_a_rest()
    health.failed(HOME, FAILURES["capability"][0], 16)
    health.begin(HOME, 16)
    assert health.down(HOME, 16) is not None


def test_a_backend_that_begins_to_answer_is_there_for_all_and_its_failures_still_count():
    health = after_a_rest()
    health.answers(HOME, 16)
    health.begin(HOME_TOO, 16)
    assert health.down(HOME, 16) is health.down(HOME_TOO, 16) is None
    assert list(health.resting(16)) == []
    health.failed(HOME, TIMEOUT, 17)
    assert rests(health, HOME, 17) == 30


def test_an_answer_to_what_was_asked_before_a_rest_does_not_end_it():
    health = Health()
    health.begin(HOME, 0)
    health.failed(HOME, refused(429, retry_after="60"), 1)
    health.answers(HOME, 2)
    assert rests(health, HOME, 2) == 59


@pytest.mark.parametrize("failure", [refused(429, retry_after="7200"), refused(402), TIMEOUT])
def test_an_answer_that_ends_well_ends_no_rest_that_began_after_it_and_lasts(failure):
    for began, ended, lasts in ((99, 105, True), (100, 105, False), (99, 9000, False)):
        health = Health()
        health.failed(HOME, failure, 100)
        health.well(HOME, began, ended)
        assert (health.down(HOME, 105) is not None) is lasts


def test_while_the_machine_sleeps_those_who_rest_go_on_resting():
    health = Health()
    health.failed(HOME, refused(429, retry_after="7200"), 0)
    health.slept(7000)
    assert rests(health, HOME, 10) == 190
    health.begin(HOME, 200)
    health.slept(PROBE)
    assert health.down(HOME, 200) is None, "who was to answer meanwhile is not waited for"


def test_who_is_not_known_may_begin_to_answer():
    health = Health()
    health.answers(HOME, 0)
    assert health.down(HOME, 0) is None


def test_who_never_rested_is_never_probed():
    health = Health()
    health.failed(HOME, SERVER, 0)
    health.begin(HOME, 1)
    assert health.down(HOME, 1) is None


def test_what_is_kept_is_bounded_and_the_latest_is_kept():
    health = Health()
    for number in range(MOST + 500):
        health.failed(target(str(number), of="home"), refused(529), 0)
    assert len(list(health.resting(0))) == MOST
    assert health.down(target(str(MOST + 499), of="home"), 0) is not None


# Whatever happens


class Known:
    """What is to be known of one provider or target."""

    def __init__(self):
        self.row = []  # the failures since the last success
        self.until = float("-inf")
        self.since = float("-inf")
        self.probe = float("-inf")

    def add(self, kind, told, now):
        if told is None and self.until > now:
            return
        self.row.append(kind)
        streak = next((n for n, each in enumerate(reversed(self.row)) if each != kind), len(self.row))
        treatment = TREATMENTS[kind]
        if told is not None:
            self.since, self.until = now, now + told
        elif streak >= treatment.patience:
            self.since = now
            self.until = now + min(LONGEST, treatment.rest * 2.0 ** (streak - treatment.patience))

    def free_at(self):
        return max(self.until, self.probe)


places = st.sampled_from(TARGETS)
failing = st.sampled_from([(kind, None, FAILURES[kind][0]) for kind in FAILURES]) | st.sampled_from(
    [("rate_limit", 7.0, refused(429, retry_after="7")), ("server", 0.0, refused(500, retry_after="0"))]
)


class HealthMachine(RuleBasedStateMachine):
    """Requests that leave alone whom they are to leave alone, most of the time."""

    def __init__(self):
        super().__init__()
        self.now = 0.0
        self.health = Health()
        self.model = {}
        self.under_way = []

    def keys(self, of):
        return [of.provider.name, str(of)]

    def known(self, of):
        return [self.model[key] for key in self.keys(of) if key in self.model]

    @rule(of=places, stubborn=st.booleans())
    def begin(self, of, stubborn):
        if self.health.down(of, self.now) is not None and not stubborn:
            return
        self.health.begin(of, self.now)
        self.under_way.append((of, self.now))
        for each in self.known(of):
            if each.until > float("-inf"):
                each.probe = self.now + PROBE

    def end(self, data):
        of, began = one = data.draw(st.sampled_from(self.under_way))
        self.under_way.remove(one)
        return of, began

    def ends_the_probe(self, of):
        for each in self.known(of):
            each.probe = float("-inf")

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def one_goes_well(self, data):
        of, began = self.end(data)
        self.health.well(of, began, self.now)
        for key in self.keys(of):
            each = self.model.get(key)
            if each is not None and not (each.until > self.now and each.since > began):
                del self.model[key]

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), how=failing)
    def one_fails(self, data, how):
        of, _ = self.end(data)
        self.ends_the_probe(of)
        kind, told, failure = how
        self.health.failed(of, failure, self.now)
        scope = TREATMENTS[kind].scope
        if scope == "nobody" and isinstance(failure, Refusal):
            self.forget_the_rests(of)
        if scope != "nobody":
            key = of.provider.name if scope == "provider" else str(of)
            self.model.setdefault(key, Known()).add(kind, told, self.now)

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def one_begins_to_be_answered(self, data):
        of, _ = data.draw(st.sampled_from(self.under_way))
        self.health.answers(of, self.now)
        self.forget_the_rests(of)

    def forget_the_rests(self, of):
        for each in self.known(of):
            if each.until <= self.now:
                each.until = each.probe = float("-inf")

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def one_hangs_up(self, data):
        of, _ = self.end(data)
        self.ends_the_probe(of)
        self.health.gave_up(of)

    @rule(seconds=st.sampled_from([0.1, 1.0, 5.0, 16.0, 31.0, 61.0]))
    def time_passes(self, seconds):
        self.now += seconds

    @rule(seconds=st.sampled_from([10.0, 7200.0]))
    def the_machine_sleeps(self, seconds):
        self.health.slept(seconds)
        for each in self.model.values():
            each.until -= seconds
            each.probe -= seconds

    @invariant()
    def all_rest_who_are_to_rest_and_nobody_else(self):
        for of in TARGETS:
            free = max((each.free_at() for each in self.known(of)), default=float("-inf"))
            down = self.health.down(of, self.now)
            assert (down is not None) is (free > self.now)
            if down is not None:
                assert 0 < down.seconds <= free - self.now + 1e-6
                assert down.why in {kind for each in self.known(of) for kind in each.row}
        resting = {key for key, each in self.model.items() if each.until > self.now}
        assert {name for name, _ in self.health.resting(self.now)} == resting


TestHealth = HealthMachine.TestCase
