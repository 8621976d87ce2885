"""A rulebook says what its rules say, one after the other, whatever it was asked before."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve, fields
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.routing.caller import Caller
from ccrouter.routing.rulebook import _LONGEST, _MOST, _MOST_KINDS, Answer, Rulebook
from ccrouter.routing.rules import Considered, Rule, When
from ccrouter.routing.traits import Moment, Traits
from tests.routing.samples import (
    CALLERS,
    CONDITIONS,
    LONG_TALK,
    MOMENTS,
    REQUESTS,
    SEARCH,
    SOME_HEADERS,
    full,
    headers,
    request,
    traits,
)


def rule(name: str, **when) -> Rule:
    return Rule(name=name, when=When(**when), use=("ollama:m",))


def one_by_one(rules: tuple[Rule, ...], one: Traits) -> Answer:
    said = []
    for each in rules:
        said.append(Considered(each.name, each.objection(one)))
        if said[-1].objection is None:
            return Answer(tuple(said), each)
    return Answer(tuple(said), None)


SOME_RULES = st.lists(CONDITIONS, max_size=6).map(
    lambda found: tuple(rule(str(number), **when) for number, when in enumerate(found))
)
ASKED = st.tuples(REQUESTS, CALLERS, MOMENTS, SOME_HEADERS)


@given(SOME_RULES, st.lists(ASKED, min_size=1, max_size=5))
def test_it_says_what_the_rules_say_one_by_one(rules, asked):
    book = Rulebook(rules)
    for whole, of, moment, said in asked * 2:
        one = traits(whole, of=of, moment=moment, said=said)
        assert book.ask(one) == one_by_one(rules, one)


def test_without_rules_none_fits():
    assert Rulebook().ask(traits()) == Answer((), None)


@pytest.fixture
def asked(monkeypatch):
    """Which rule was asked at which stage."""
    found = []
    genuine = Rule.objection_at

    def ask(self, stage, of):
        found.append((self.name, stage))
        return genuine(self, stage, of)

    monkeypatch.setattr(Rule, "objection_at", ask)
    return found


def test_no_rule_is_asked_what_it_has_answered(asked):
    book = Rulebook(
        (rule("a", classes=("subagent",)), rule("b", effort="high"), rule("c", model=("x",)), rule("d"))
    )
    for effort, fitting in (("low", "d"), ("high", "b"), ("low", "d"), ("high", "b")):
        found = book.ask(traits(output_config={"effort": effort}))
        assert found.rule is not None
        assert found.rule.name == fitting
    assert asked == [("a", 0), ("b", 0), ("c", 0), ("d", 0), ("b", 1), ("b", 1)]


#: For each condition on a single request: one that it holds for, and one of the same conversation that it doesn't.
DIFFER: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    ({"headers": (("x-a", "yes"),)}, {"said": headers(x_a="yes")}, {"said": headers(x_a="no")}),
    ({"headers": (("x-b", "yes"),)}, {"said": headers(x_b="yes")}, {"said": []}),
    ({"hours": (60, 120)}, {"moment": Moment(minute=90)}, {"moment": Moment(minute=120)}),
    ({"days": ("tue",)}, {"moment": Moment(weekday=1)}, {"moment": Moment(weekday=2)}),
    ({"quota_over": (("a", 50),)}, {"moment": full(a=60)}, {"moment": full(a=50)}),
    ({"quota_over": (("b", 50),)}, {"moment": full(b=60)}, {"moment": full()}),
    ({"server_tool": ("web_search",)}, {"tools": [SEARCH]}, {"tools": []}),
    ({"effort": "high"}, {"output_config": {"effort": "high"}}, {"output_config": {"effort": "low"}}),
    ({"has": ("tools",)}, {"tools": [{"name": "x"}]}, {}),
    ({"has": ("images",)}, {"messages": [{"role": "user", "content": [{"type": "image"}]}]}, {}),
    ({"tokens_over": 500}, {"messages": LONG_TALK}, {}),
    ({"tokens_under": 500}, {}, {"messages": LONG_TALK}),
]


#: The same for conditions on whole conversations: the other one differs in nothing else.
_CHECK = Caller(kind="auxiliary", task="classifier")
LASTING: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    ({"classes": ("subagent",)}, {"of": Caller(kind="subagent")}, {"of": Caller(kind="main")}),
    ({"classes": ("title",)}, {"of": evolve(_CHECK, task="title")}, {"of": _CHECK}),
    ({"classes": ("classifier",)}, {"of": _CHECK}, {"of": evolve(_CHECK, task=None)}),
    ({"agent": ("Explore",)}, {"of": Caller(agent="Explore")}, {"of": Caller(agent="Plan")}),
    ({"profile": ("local",)}, {"moment": Moment(profile="local")}, {"moment": Moment(profile="work")}),
    ({"model": ("a*",)}, {"model": "ab"}, {"model": "ba"}),
    ({"project": ("/src",)}, {"of": Caller(project="/src")}, {"of": Caller(project="/tmp")}),
    (
        {"project": ("~",)},
        {"of": Caller(project="/home/me"), "moment": Moment(home="/home/me")},
        {"of": Caller(project="/home/me"), "moment": Moment(home="/home/you")},
    ),
]


@pytest.mark.parametrize(("when", "fitting", "other"), [*DIFFER, *LASTING])
def test_what_a_rule_said_of_one_request_is_not_said_of_one_that_differs_in_what_it_looks_at(when, fitting, other):
    book = Rulebook((rule("a", **when), rule("b", model=("never",))))
    for parts, expected in ((other, None), (fitting, "a"), (other, None), (fitting, "a")):
        found = book.ask(traits(**parts)).rule
        assert (None if found is None else found.name) == expected


def test_each_condition_is_among_those():
    single, lasting = ({key for when, _, _ in each for key in when} for each in (DIFFER, LASTING))
    assert {each.name for each in fields(When)} == single | lasting
    assert single & lasting == set()


def test_how_long_a_prompt_is_is_asked_each_time_of_those_that_are_left(asked):
    book = Rulebook((rule("a", effort="high", tokens_over=500), rule("b", tokens_over=500), rule("c")))
    for messages, fitting in ((LONG_TALK, "b"), (LONG_TALK[:0], "c"), (LONG_TALK, "b")):
        asked.clear()
        found = book.ask(traits(messages=messages))
        assert found.rule is not None
        assert found.rule.name == fitting
        assert [name for name, stage in asked if stage == 2] == ["b"]


def test_rules_behind_one_that_always_fits_are_never_asked(asked):
    behind = rule("b", classes=("main",))
    assert [each.rule for each in Rulebook((rule("a"), behind)).ask(traits()).considered] == ["a"]
    assert asked == [("a", 0)]


def test_what_is_not_looked_at_makes_no_new_kind_of_request(asked):
    book = Rulebook((rule("a", effort="high"),))
    for number in range(9):
        book.ask(traits(moment=Moment(minute=number), tools=[SEARCH] * number, said=headers(x_a=str(number))))
    assert asked == [("a", 0), ("a", 1)]


def test_so_many_kinds_of_requests_are_remembered_and_nothing_long(asked):
    book = Rulebook((rule("a", headers=(("x-a", "no"),)),))
    for number in range(2 * _MOST_KINDS):
        assert book.ask(traits(said=headers(x_a=str(number)))).rule is None
    (conversation,) = book._conversations.values()
    assert 0 < len(conversation.kinds) <= _MOST_KINDS
    before = len(conversation.kinds)
    asked.clear()
    for _ in range(2):
        book.ask(traits(said=headers(x_a="x" * 5_000)))
    assert len(conversation.kinds) == before
    assert asked == [("a", 1)] * 2


def test_so_many_conversations_are_remembered_and_nothing_long():
    book = Rulebook((rule("x", classes=("subagent",)),))
    for number in range(2 * _MOST):
        assert book.ask(traits(model=f"m{number}")).rule is None
        assert len(book._conversations) <= _MOST
    book._conversations.clear()
    assert book.ask(traits(model="m" * 5_000)).rule is None
    assert book._conversations == {}


def test_a_reason_is_cut_where_it_quotes_what_is_long():
    book = Rulebook((rule("x", model=("ollama:*",)),))
    ((_, why),) = book.ask(traits(request(model="m" * 5_000))).considered
    assert why is not None
    assert why.startswith("the model is mmm")
    assert len(why) == _LONGEST
