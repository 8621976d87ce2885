"""A rulebook says what its rules say, one after the other, whatever it was asked before."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ccrouter.routing.caller import Caller
from ccrouter.routing.rulebook import _LONGEST, _MOST, Answer, Rulebook
from ccrouter.routing.rules import Considered, Rule, When
from ccrouter.routing.traits import Traits
from tests.routing.samples import CALLERS, CONDITIONS, MOMENTS, REQUESTS, SOME_HEADERS, request, traits


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


def test_what_was_said_of_one_caller_is_not_said_of_another():
    book = Rulebook((rule("x", classes=("subagent",), model=("claude-*",), project=("/src",)),))
    callers = [
        (Caller(kind="subagent", project="/src"), "claude-x", None),
        (Caller(kind="main", project="/src"), "claude-x", "the class is main, not subagent"),
        (Caller(kind="subagent", project="/src"), "other", "the model is other, not claude-*"),
        (Caller(kind="subagent", project="/home"), "claude-x", "the project is /home, not /src"),
    ]
    for who, model, expected in callers * 2:
        ((_, objection),) = book.ask(traits(model=model, of=who)).considered
        assert objection == expected


def test_rules_about_the_conversation_are_asked_once_for_each(monkeypatch):
    asked = []
    genuine = Rule.lasting_objection

    def ask(self, of):
        asked.append(self.name)
        return genuine(self, of)

    monkeypatch.setattr(Rule, "lasting_objection", ask)
    book = Rulebook(
        (rule("a", classes=("subagent",)), rule("b", effort="high"), rule("c", model=("x",)), rule("d"))
    )
    for effort, fitting in (("low", "d"), ("high", "b"), ("low", "d")):
        found = book.ask(traits(output_config={"effort": effort}))
        assert found.rule is not None
        assert found.rule.name == fitting
    assert asked == ["a", "b", "c", "d"]


def test_rules_behind_one_that_always_fits_are_never_asked(monkeypatch):
    behind = rule("b", classes=("main",))
    monkeypatch.setattr(Rule, "lasting_objection", lambda self, _: None if self.name == "a" else 1 / 0)
    assert [each.rule for each in Rulebook((rule("a"), behind)).ask(traits()).considered] == ["a"]


def test_so_many_conversations_are_remembered_and_nothing_long():
    book = Rulebook((rule("x", classes=("subagent",)),))
    for number in range(2 * _MOST):
        assert book.ask(traits(model=f"m{number}")).rule is None
        assert len(book._sifted) <= _MOST
    book._sifted.clear()
    assert book.ask(traits(model="m" * 5_000)).rule is None
    assert book._sifted == {}


def test_a_reason_is_cut_where_it_quotes_what_is_long():
    book = Rulebook((rule("x", model=("ollama:*",)),))
    ((_, why),) = book.ask(traits(request(model="m" * 5_000))).considered
    assert why is not None
    assert why.startswith("the model is mmm")
    assert len(why) == _LONGEST
