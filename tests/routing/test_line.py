from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ccrouter.routing.line import Line


def test_who_comes_to_a_free_place_has_it_at_once():
    line = Line(2)
    first, second, third = (line.enter("s") for _ in range(3))
    assert [each.admitted for each in (first, second, third)] == [True, True, False]
    assert (line.inside, line.waiting) == (2, 1)


def test_who_leaves_makes_place_for_the_next():
    line = Line(1)
    first, second = line.enter("s"), line.enter("s")
    assert line.leave(first) == [second]
    assert second.admitted
    assert line.leave(second) == []
    assert (line.inside, line.waiting) == (0, 0)


def test_a_single_question_does_not_wait_for_twenty_subagents():
    line = Line(1)
    inside = line.enter("crowd")
    crowd = [line.enter("crowd") for _ in range(20)]
    single = line.enter("single")
    assert line.leave(inside) == [crowd[0]]
    assert line.leave(crowd[0]) == [single]
    assert line.leave(single) == [crowd[1]]


def test_within_a_session_who_came_first_is_first():
    line = Line(1)
    inside, *others = [line.enter("s") for _ in range(5)]
    for each in others:
        assert line.leave(inside) == [each]
        inside = each


def test_who_hangs_up_in_the_line_is_not_missed():
    line = Line(1)
    inside, gone, last = line.enter("a"), line.enter("b"), line.enter("c")
    assert line.leave(gone) == []
    assert not gone.admitted
    assert line.leave(inside) == [last]


@pytest.mark.parametrize("waiting", [False, True])
def test_who_leaves_twice_does_no_harm(waiting):
    line = Line(1)
    first, second, third = line.enter("a"), line.enter("a"), line.enter("a")
    doomed = second if waiting else first
    line.leave(doomed)
    before = (line.inside, line.waiting)
    assert line.leave(doomed) == []
    assert (line.inside, line.waiting) == before
    assert not doomed.admitted
    assert third.admitted is False


def test_more_places_are_filled_when_they_are_there():
    line = Line(1)
    tickets = [line.enter(session) for session in "aab"]
    line.places = 3
    assert line.admit() == [tickets[1], tickets[2]]
    line.places = 1
    assert line.leave(tickets[0]) == []
    assert line.inside == 2


@given(st.lists(st.sampled_from("abcd"), max_size=20), st.integers(0, 20), st.integers(1, 3), st.data())
def test_who_has_one_request_waits_for_at_most_one_of_each_other_session(crowd, place, places, data):
    """Whoever comes after it, too."""
    line = Line(places)
    inside = [line.enter("before") for _ in range(places)]
    waiting = [line.enter(session) for session in crowd[:place]]
    single = line.enter("single")
    waiting += [line.enter(session) for session in crowd[place:]]
    served = []
    while not single.admitted:
        leaving = inside.pop(data.draw(st.integers(0, len(inside) - 1)))
        if data.draw(st.booleans()):
            waiting.append(line.enter(leaving.session))
        admitted = line.leave(leaving)
        assert len(admitted) == 1
        inside += admitted
        served += [each.session for each in admitted if each is not single]
    assert len(served) == len(set(served))


class LineMachine(RuleBasedStateMachine):
    """Requests that come, get a place, wait, and go, in any order."""

    @initialize(places=st.integers(1, 3))
    def begin(self, places):
        self.line = Line(places)
        self.inside = []
        self.waiting = []
        self.gone = []

    @rule(session=st.sampled_from("abc"))
    def one_comes(self, session):
        free = len(self.inside) < self.line.places
        ticket = self.line.enter(session)
        assert ticket.admitted is free
        (self.inside if free else self.waiting).append(ticket)

    def admit(self, tickets):
        for each in tickets:
            of_its_session = [other for other in self.waiting if other.session == each.session]
            assert of_its_session[0] is each
            self.waiting.remove(each)
            self.inside.append(each)

    @precondition(lambda self: self.inside)
    @rule(data=st.data())
    def one_is_served(self, data):
        ticket = data.draw(st.sampled_from(self.inside))
        self.inside.remove(ticket)
        self.gone.append(ticket)
        wanted = min(len(self.waiting), max(0, self.line.places - len(self.inside)))
        admitted = self.line.leave(ticket)
        assert len(admitted) == wanted
        self.admit(admitted)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def one_hangs_up_in_the_line(self, data):
        ticket = data.draw(st.sampled_from(self.waiting))
        self.waiting.remove(ticket)
        self.gone.append(ticket)
        assert self.line.leave(ticket) == []

    @precondition(lambda self: self.gone)
    @rule(data=st.data())
    def one_leaves_again(self, data):
        assert self.line.leave(data.draw(st.sampled_from(self.gone))) == []

    @rule(places=st.integers(1, 4))
    def the_configuration_changes(self, places):
        self.line.places = places
        self.admit(self.line.admit())

    @invariant()
    def no_place_is_lost_and_none_is_given_twice(self):
        assert self.line.inside == len(self.inside)
        assert self.line.waiting == len(self.waiting)
        assert all(each.admitted for each in self.inside)
        assert not any(each.admitted for each in [*self.waiting, *self.gone])
        assert not self.waiting or len(self.inside) >= self.line.places


TestLine = LineMachine.TestCase
