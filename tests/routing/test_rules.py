from __future__ import annotations

import pytest
from attrs import evolve, fields
from hypothesis import given

from ccrouter.routing.caller import Caller
from ccrouter.routing.rules import Rule, When, counts_tokens
from ccrouter.routing.traits import Moment
from ccrouter.routing.values import DAYS
from ccrouter.translate import tokens
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
    traits,
)

EXPLORE = Caller(kind="subagent", agent="Explore")
NIGHT = Moment(minute=23 * 60 + 30, weekday=5, profile="local", home="/home/me")


def at(clock):
    hour, minute = clock.split(":")
    return Moment(minute=int(hour) * 60 + int(minute))


def objection(when, one):
    return Rule(name="x", when=when, use=("ollama:m",)).objection(one)


def test_a_rule_without_conditions_fits_every_request_but_those_in_the_background():
    assert objection(When(), traits()) is None
    assert objection(When(), traits(of=EXPLORE)) is None


FITTING = [
    (When(classes=("main",)), traits()),
    (When(classes=("workflow", "subagent")), traits(of=EXPLORE)),
    (When(classes=("classifier",)), traits(of=Caller(kind="auxiliary", task="classifier"))),
    (When(classes=("auxiliary",)), traits(of=Caller(kind="auxiliary", task="title"))),
    (When(agent=("explore",)), traits(of=EXPLORE)),
    (When(agent=("Plan", "E*")), traits(of=EXPLORE)),
    (When(model=("claude-opus-*",)), traits(model="claude-opus-5-5")),
    (When(tokens_over=100), traits(messages=LONG_TALK)),
    (When(tokens_under=100), traits()),
    (When(has=("tools", "thinking")), traits(tools=[{"name": "x"}], thinking={"type": "adaptive"})),
    (When(server_tool=("web_search*",)), traits(tools=[SEARCH])),
    (When(server_tool=("web_search_20250305",)), traits(tools=[SEARCH])),
    (When(effort="high"), traits(output_config={"effort": "high"})),
    (When(effort="high"), traits(output_config={"effort": "max"})),
    (When(headers=(("x-team", "co*"), ("x-b", "*"))), traits(said=headers(x_team="core", x_b=""))),
    (When(project=("~/work",)), traits(of=Caller(project="/home/me/work/x"), moment=NIGHT)),
    (When(hours=(22 * 60, 6 * 60)), traits(moment=at("23:30"))),
    (When(hours=(22 * 60, 6 * 60)), traits(moment=at("05:59"))),
    (When(hours=(9 * 60, 17 * 60)), traits(moment=at("09:00"))),
    (When(hours=(0, 24 * 60)), traits(moment=at("23:59"))),
    (When(days=("mon", "sat")), traits(moment=NIGHT)),
    (When(profile=("lo*",)), traits(moment=NIGHT)),
    (When(quota_over=(("anthropic", 80),)), traits(moment=full(anthropic=81))),
]


@pytest.mark.parametrize(("when", "one"), FITTING)
def test_a_condition_that_holds_has_no_objection(when, one):
    assert objection(when, one) is None


def test_over_and_under_are_more_and_fewer_and_never_both():
    one = traits(messages=LONG_TALK)
    size = tokens.of(one.request)
    for asked, over, under in ((size - 1, True, False), (size, False, False), (size + 1, False, True)):
        assert (objection(When(tokens_over=asked), one) is None) is over
        assert (objection(When(tokens_under=asked), one) is None) is under


OBJECTIONS = [
    (When(classes=("main",)), traits(of=EXPLORE), "the class is subagent, not main"),
    (When(classes=("main", "workflow")), traits(of=EXPLORE), "the class is subagent, not main or workflow"),
    (When(classes=("title",)), traits(of=Caller(kind="auxiliary")), "the class is auxiliary, not title"),
    (When(agent=("Plan",)), traits(of=EXPLORE), "the agent is Explore, not Plan"),
    (When(agent=("*",)), traits(), "the agent is not known, not *"),
    (When(model=("*haiku*",)), traits(), "the model is claude-opus-5-5, not *haiku*"),
    (When(tokens_over=100_000), traits(messages=LONG_TALK), "it has no more than 100000 tokens"),
    (When(tokens_under=100), traits(messages=LONG_TALK), "it has 100 tokens or more"),
    (When(has=("tools", "thinking")), traits(tools=[{"name": "x"}]), "it has no thinking"),
    (When(has=("images",)), traits(), "it has no images"),
    (When(server_tool=("web_search",)), traits(tools=[{"name": "x"}]), "it has no server tool web_search"),
    (When(effort="high"), traits(output_config={"effort": "medium"}), "the effort is medium, not high or more"),
    (When(effort="low"), traits(), "the effort is not said, not low or more"),
    (When(headers=(("x-team", "core"),)), traits(), "the header x-team is not there"),
    (When(headers=(("x-team", "core"),)), traits(said=headers(x_team="other")), "the header x-team is another"),
    (When(project=("~/work",)), traits(moment=NIGHT), "the project is not known, not ~/work"),
    (When(project=("~/work",)), traits(of=Caller(project="/x"), moment=NIGHT), "the project is /x, not ~/work"),
    (When(hours=(22 * 60, 6 * 60)), traits(moment=at("06:00")), "it is 06:00, not between 22:00 and 06:00"),
    (When(hours=(540, 1020)), traits(moment=at("17:00")), "it is 17:00, not between 09:00 and 17:00"),
    (When(days=("mon", "tue")), traits(moment=NIGHT), "it is sat, not mon or tue"),
    (When(profile=("cloud",)), traits(moment=NIGHT), "the profile is local, not cloud"),
    (When(profile=("*",)), traits(), "the profile is none, not *"),
    (
        When(quota_over=(("anthropic", 80),)),
        traits(moment=full(anthropic=80)),
        "80 % of anthropic's plan are used up, not over 80 %",
    ),
    (When(quota_over=(("codex", 1),)), traits(), "how much of codex's plan is used up is not known"),
]


@pytest.mark.parametrize(("when", "one", "why"), OBJECTIONS)
def test_a_condition_that_does_not_hold_says_why(when, one, why):
    assert objection(when, one) == why


def given_in(when):
    return {each.name for each in fields(When) if getattr(when, each.name) not in ((), None)}


@pytest.mark.parametrize("rows", [[when for when, _ in FITTING], [when for when, *_ in OBJECTIONS]])
def test_every_condition_has_its_examples(rows):
    assert set().union(*map(given_in, rows)) == {each.name for each in fields(When)}


def test_a_header_that_another_one_has_is_not_told():
    assert "secret" not in str(objection(When(headers=(("x-a", "b"),)), traits(said=headers(x_a="secret"))))


# Background requests

TITLE = Caller(kind="auxiliary", task="title")
CHECK = Caller(kind="auxiliary", task="classifier")
WEB = Caller(kind="auxiliary")
HAIKU = "claude-haiku-5-5"


@pytest.mark.parametrize("of", [TITLE, CHECK, WEB])
@pytest.mark.parametrize(
    "when",
    [
        When(),
        When(model=("*haiku*",)),
        When(model=("*",)),
        When(model=("claude-haiku-5-*", "opus")),
        When(tokens_under=10**6),
        When(days=DAYS),
        When(hours=(0, 1440)),
        When(project=("**",)),
    ],
)
def test_no_rule_moves_them_by_chance(of, when):
    one = traits(model=HAIKU, of=evolve(of, project="/x"))
    assert objection(when, one) == "background requests are moved only by a rule that names their class"


@pytest.mark.parametrize(
    ("of", "classes"),
    [(TITLE, ("title",)), (CHECK, ("classifier",)), (WEB, ("auxiliary",)), (CHECK, ("main", "auxiliary"))],
)
def test_a_rule_that_names_their_class_moves_them(of, classes):
    assert objection(When(classes=classes), traits(model=HAIKU, of=of)) is None


@pytest.mark.parametrize("pattern", [HAIKU, HAIKU.upper()])
def test_a_rule_that_names_their_very_model_moves_them(pattern):
    assert objection(When(model=("opus", pattern)), traits(model=HAIKU, of=CHECK)) is None


def test_a_rule_that_names_another_class_does_not():
    assert objection(When(classes=("main",), model=(HAIKU,)), traits(model=HAIKU, of=CHECK)) is not None
    assert objection(When(classes=("title",)), traits(model=HAIKU, of=CHECK)) is not None


# Several conditions


@given(CONDITIONS, REQUESTS, CALLERS, MOMENTS, SOME_HEADERS)
def test_a_rule_fits_if_and_only_if_each_of_its_conditions_does(asked, whole, of, moment, said):
    one = traits(whole, of=of, moment=moment, said=said)
    alone = [objection(When(**{name: value}), one) for name, value in asked.items()]
    why = objection(When(**asked), one)
    assert (why is None) is all(each is None for each in alone)
    assert why is None or why in alone


# What it uses


def test_what_a_rule_uses_may_be_the_model_that_is_asked_for():
    rule = Rule(name="x", use=("openrouter:{model}", "ollama:qwen3:8b", "{model}"))
    assert rule.names("m{model}") == ("openrouter:m{model}", "ollama:qwen3:8b", "m{model}")


def test_whether_tokens_are_to_be_counted_is_known_beforehand():
    plain = Rule(name="a", when=When(model=("x",)), use=("m",))
    assert not counts_tokens(())
    assert not counts_tokens((plain,))
    for when in (When(tokens_over=1), When(tokens_under=1)):
        assert counts_tokens((plain, Rule(name="b", when=when, use=("m",))))
