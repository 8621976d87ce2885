from __future__ import annotations

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.providers.provider import Target
from ccrouter.routing.caller import Caller
from ccrouter.routing.config import Config, Lent
from ccrouter.routing.directory import Directory
from ccrouter.routing.pins import Pins
from ccrouter.routing.route import route
from ccrouter.routing.rules import Considered, Rule, When
from ccrouter.routing.traits import Moment
from tests.routing.samples import provider, request, traits

MARKER = "<ccrouter-model>ollama:marked</ccrouter-model>"
SUBAGENT = Caller(kind="subagent", agent="Explore", session="s", agent_id="a1")
CHECK = Caller(kind="auxiliary", task="classifier", session="s")
MAIN = Caller(session="s")

ANTHROPIC, OLLAMA, WORK = provider("anthropic"), provider("ollama"), provider("work")


def directory(*, aliases=None, listed=None, default="anthropic", without=(), stopped=()):
    known = {each.name: each for each in (ANTHROPIC, OLLAMA, WORK) if each.name not in without}
    return Directory(
        providers={name: each for name, each in known.items() if name not in stopped},
        addressable=known,
        aliases=aliases or {},
        default=default,
        listed=listed or {},
    )


def sent(one, config=None, there=None, pins=None, **more):
    made = route(one, config or Config(), there or directory(), pins or Pins(), **more)
    assert bool(made.targets) is (made.refused is None)
    return made


def spelled(made):
    return [str(each) for each in made.targets]


ALL = Config(
    routes=(Rule(name="r", when=When(classes=("subagent", "classifier")), use=("ollama:ruled",)),),
    subagent=("ollama:set",),
    classifier=("ollama:checked",),
)
SETTINGS = evolve(ALL, routes=())


# Who decides


def test_a_marker_comes_before_all_others():
    made = sent(traits(system=f"{MARKER}\nYou are BEGIN.", of=SUBAGENT), ALL)
    assert (spelled(made), made.because) == (["ollama:marked"], "the marker in the agent's definition")
    assert made.request.fields["system"] == "You are BEGIN."
    assert made.changes == ("system: the marker of a model taken out",)
    assert made.considered == ()


@pytest.mark.parametrize("kind", ["main", "subagent", "workflow", "compaction", "side_reply"])
def test_whoever_has_an_agents_prompt_can_have_its_marker(kind):
    made = sent(traits(request(system=f"{MARKER}\nYou are BEGIN."), of=Caller(kind=kind)))
    assert spelled(made) == ["ollama:marked"]


def test_a_background_request_has_no_marker():
    whole = request(system=MARKER)
    made = sent(traits(whole, of=Caller(kind="auxiliary")))
    assert made.request is whole
    assert (spelled(made), made.changes) == (["anthropic:claude-opus-5-5"], ())


@pytest.mark.parametrize(
    ("who", "set_"),
    [
        (Caller(kind="subagent"), True),
        (Caller(kind="workflow", agent_id="a1"), True),
        (Caller(kind="compaction", agent_id="a1"), True),
        (Caller(kind="compaction"), False),
        (Caller(kind="auxiliary", agent_id="a1"), False),
        (Caller(), False),
    ],
)
def test_the_model_for_subagents_is_for_all_that_an_agent_asks(who, set_):
    assert (sent(traits(of=who), SETTINGS).because == "the setting `subagent`") is set_


def test_what_a_subagent_was_told_is_no_marker():
    whole = request(messages=[{"role": "user", "content": MARKER}])
    made = sent(traits(whole, of=SUBAGENT))
    assert made.request is whole
    assert spelled(made) == ["anthropic:claude-opus-5-5"]


def test_a_rule_comes_before_the_settings():
    for caller in (SUBAGENT, CHECK):
        made = sent(traits(of=caller), ALL)
        assert (spelled(made), made.because) == (["ollama:ruled"], "the rule r")


@pytest.mark.parametrize(
    ("caller", "target", "because"),
    [
        (SUBAGENT, "ollama:set", "the setting `subagent`"),
        (CHECK, "ollama:checked", "the setting `classifier`"),
        (MAIN, "anthropic:claude-opus-5-5", "the model's name"),
        (Caller(kind="compaction"), "anthropic:claude-opus-5-5", "the model's name"),
        (Caller(kind="auxiliary", task="title"), "anthropic:claude-opus-5-5", "the model's name"),
    ],
)
def test_a_setting_comes_before_the_name(caller, target, because):
    made = sent(traits(of=caller), SETTINGS)
    assert (spelled(made), made.because) == ([target], because)


def test_without_any_word_the_name_decides():
    for caller in (SUBAGENT, CHECK, MAIN):
        made = sent(traits(model="ollama:qwen3:8b", of=caller))
        assert (spelled(made), made.names, made.because) == (
            ["ollama:qwen3:8b"],
            ("ollama:qwen3:8b",),
            "the model's name",
        )


def test_a_request_without_a_marker_is_passed_on_as_the_same_object():
    whole = request(system="You are BEGIN.")
    assert sent(traits(whole, of=SUBAGENT), ALL).request is whole


# Rules


def test_the_first_rule_that_fits_decides_and_the_others_say_why_they_do_not():
    rules = (
        Rule(name="a", when=When(classes=("subagent",)), use=("ollama:a",)),
        Rule(name="b", when=When(model=("*haiku*",)), use=("ollama:b",)),
        Rule(name="c", use=("ollama:c",)),
        Rule(name="d", use=("ollama:d",)),
    )
    made = sent(traits(of=MAIN), Config(routes=rules))
    assert (spelled(made), made.because) == (["ollama:c"], "the rule c")
    assert made.considered == (
        Considered(rule="a", objection="the class is main, not subagent"),
        Considered(rule="b", objection="the model is claude-opus-5-5, not *haiku*"),
        Considered(rule="c", objection=None),
    )


def test_where_no_rule_fits_each_has_said_why():
    rule = Rule(name="a", when=When(classes=("subagent",)), use=("ollama:a",))
    made = sent(traits(of=MAIN), Config(routes=(rule,)))
    assert [each.objection is None for each in made.considered] == [False]
    assert made.because == "the model's name"


def test_a_rule_can_send_what_is_asked_for_to_another_provider():
    rule = Rule(name="a", use=("work:{model}", "{model}", "big"))
    there = directory(aliases={"big": ("ollama:x", "work:claude-opus-5-5")})
    made = sent(traits(of=MAIN), Config(routes=(rule,)), there)
    assert spelled(made) == ["work:claude-opus-5-5", "anthropic:claude-opus-5-5", "ollama:x"]


def test_a_name_that_leads_nowhere_is_told():
    rule = Rule(name="a", use=("ollama:",))
    made = sent(traits(of=MAIN), Config(routes=(rule,)))
    assert (made.refused.status, str(made.refused)) == (404, "'ollama:' names a provider but no model")
    assert (made.because, made.names, made.session) == ("the rule a", ("ollama:",), None)
    assert made.considered == (Considered("a", None),)


OFF = frozenset({"ollama"})
SWITCHED = "the provider ollama is switched off by the profile in force"


@pytest.mark.parametrize(
    ("config", "model", "targets"),
    [
        (Config(subagent=("ollama:q", "work:m")), "opus", ["work:m"]),
        (Config(classifier=("ollama:q", "work:m")), "opus", ["work:m"]),
        (Config(routes=(Rule(name="r", use=("ollama:q", "work:m")),)), "opus", ["work:m"]),
        (Config(), "mixed", ["work:m", "anthropic:opus"]),
        (Config(), "inner", ["work:m", "anthropic:opus"]),
        (Config(default="homed"), "free", ["work:m", "anthropic:free"]),
        (Config(subagent=("off", "mixed")), "opus", ["work:m", "anthropic:opus"]),
    ],
)
def test_of_a_list_those_that_are_switched_off_are_left_out_and_that_is_told(config, model, targets):
    aliases = {
        "mixed": ("work:m", "ollama:q", "opus"),
        "inner": ("mixed",),
        "off": ("ollama:q", "ollama:r"),
        "homed": ("ollama:q", "work:m", "ollama", "anthropic"),
    }
    there = evolve(directory(aliases=aliases, default=config.default or "anthropic", without=["ollama"]), off=OFF)
    who = CHECK if config.classifier else SUBAGENT
    made = sent(traits(model=model, of=who), config, there)
    assert spelled(made) == targets
    assert made.changes
    assert all(each.startswith("candidates: without") and SWITCHED in each for each in made.changes)
    assert sent(traits(model=model, of=who), config, there).changes == made.changes


@pytest.mark.parametrize("name", ["ollama:q", "off", "free"])
def test_where_all_are_switched_off_that_is_said(name):
    there = directory(aliases={"off": ("ollama:q", "ollama:r")}, default="off", without=["ollama"])
    made = sent(traits(model=name, of=MAIN), there=evolve(there, off=OFF))
    assert SWITCHED in str(made.refused)
    assert (made.refused.status, made.names) == (404, (name,))


def test_a_client_with_a_login_reaches_anthropic():
    there = Directory(
        providers={"work": WORK},
        addressable={"work": WORK, "anthropic": ANTHROPIC},
        aliases={},
        default="work",
    )
    assert spelled(sent(traits(), there=there)) == ["work:claude-opus-5-5"]
    assert spelled(sent(traits(), there=there, client_login=True)) == ["anthropic:claude-opus-5-5"]


# Pins

BIG = {"big": ("work:big", "ollama:big"), "other": ("work:other", "ollama:other")}


def held(pins, made, target):
    pins.hold(made.session, made.intent, target, 0.0)


def test_a_list_is_pinned_and_the_session_stays_with_its_second():
    pins, there = Pins(), directory(aliases=BIG)
    first = sent(traits(model="big", of=MAIN), there=there, pins=pins)
    assert (spelled(first), first.session, first.pinned) == (["work:big", "ollama:big"], "s", None)
    held(pins, first, first.targets[1])
    second = sent(traits(model="big", of=MAIN), there=there, pins=pins)
    assert (spelled(second), second.pinned) == (["ollama:big", "work:big"], "ollama:big")
    assert str(second.wanted) == "work:big"
    assert set(second.targets) == set(first.targets)


def test_another_name_is_always_followed():
    pins, there = Pins(), directory(aliases=BIG)
    first = sent(traits(model="big", of=MAIN), there=there, pins=pins)
    held(pins, first, first.targets[1])
    for name, target in (("other", "work:other"), ("ollama:x", "ollama:x"), ("opus", "anthropic:opus")):
        made = sent(traits(model=name, of=MAIN), there=there, pins=pins)
        assert (spelled(made)[0], made.pinned) == (target, None)


@pytest.mark.parametrize("name", ["ollama:qwen3:8b", "claude-opus-5-5", "anthropic-via-ollama:x", "one"])
def test_a_name_that_says_all_needs_no_pin(name):
    made = sent(traits(model=name, of=MAIN), there=directory(aliases={"one": ("ollama:x",)}))
    assert made.session is None


def test_a_name_that_nobody_explains_keeps_its_first_meaning():
    pins = Pins()
    first = sent(traits(model="glm-5", of=MAIN), there=directory(listed={"work": ("glm-5",)}), pins=pins)
    assert (spelled(first), first.session) == (["work:glm-5"], "s")
    held(pins, first, first.targets[0])
    both = directory(listed={"work": ("glm-5",), "ollama": ("glm-5",)}, default="ollama")
    pins_default = sent(traits(model="glm-5", of=MAIN), there=both, pins=Pins())
    assert spelled(pins_default) == ["ollama:glm-5"]
    again = sent(traits(model="glm-5", of=MAIN), there=both, pins=pins)
    assert (spelled(again), again.pinned, again.wanted) == (["work:glm-5", "ollama:glm-5"], "work:glm-5", None)


def test_an_edited_default_is_another_intent():
    pins = Pins()
    first = sent(traits(model="glm-5", of=MAIN), Config(default="work"), directory(default="work"), pins)
    held(pins, first, first.targets[0])
    made = sent(traits(model="glm-5", of=MAIN), Config(default="ollama"), directory(default="ollama"), pins)
    assert (spelled(made), made.pinned) == (["ollama:glm-5"], None)


TURNED = {"big": ("ollama:big", "work:big"), "inner": ("ollama:big", "work:big")}


@pytest.mark.parametrize(
    ("name", "aliases", "edited", "profile"),
    [
        ("big", BIG, TURNED, None),
        ("big", {"big": ("inner",), "inner": BIG["big"]}, {"big": ("inner",), "inner": TURNED["big"]}, None),
        ("big[1m]", BIG, TURNED, None),
        ("{rule}", {"inner": BIG["big"]}, TURNED, None),
        ("free", {"inner": BIG["big"]}, TURNED, None),  # by the default
        ("big", BIG, BIG, "local"),
    ],
)
def test_an_edited_list_and_another_profile_are_followed_in_mid_conversation(name, aliases, edited, profile):
    rule = Rule(name="r", when=When(model=("{rule}",)), use=("inner",))
    pins, config = Pins(), Config(default="inner", routes=(rule,))
    first = sent(traits(model=name, of=MAIN), config, directory(aliases=aliases, default="inner"), pins)
    held(pins, first, first.targets[0 if aliases != edited else 1])
    asked = traits(model=name, of=MAIN, moment=Moment(profile=profile))
    made = sent(asked, config, directory(aliases=edited, default="inner"), pins)
    free = sent(asked, config, directory(aliases=edited, default="inner"))
    assert (spelled(made), made.pinned) == (spelled(free), None)
    held(pins, made, made.targets[1])
    again = sent(asked, config, directory(aliases=edited, default="inner"), pins)
    assert again.pinned == spelled(made)[1]


TOOLS = [{"name": "Read", "input_schema": {"type": "object"}}]


@pytest.mark.parametrize(
    ("model", "who", "tools", "released"),
    [
        ("opus", MAIN, TOOLS, True),
        ("ollama:x", MAIN, TOOLS, True),
        ("opus", MAIN, [], False),  # such as an older client's question whether there is room
        ("big", MAIN, TOOLS, False),
        ("opus", evolve(MAIN, session="other"), TOOLS, False),
        ("opus", evolve(MAIN, session=None), TOOLS, False),
        *(
            ("opus", Caller(kind=kind, session="s"), TOOLS, False)
            for kind in ("subagent", "workflow", "compaction", "auxiliary", "side_reply")
        ),
    ],
)
def test_a_turn_with_a_model_of_which_there_is_but_one_releases_the_session(model, who, tools, released):
    pins, there = Pins(), directory(aliases=BIG)
    first = sent(traits(model="big", of=MAIN), there=there, pins=pins)
    held(pins, first, first.targets[1])
    made = sent(traits(model=model, tools=tools, of=who), there=there, pins=pins)
    assert made.releases == ("s" if released else None)
    if released:
        pins.release("s", 1.0)
        assert sent(traits(model=model, tools=tools, of=who), there=there, pins=pins).releases is None
        assert spelled(sent(traits(model="big", of=MAIN), there=there, pins=pins)) == ["work:big", "ollama:big"]


def test_a_pin_to_a_target_that_is_gone_does_not_hold():
    pins = Pins()
    first = sent(traits(model="big", of=MAIN), there=directory(aliases=BIG), pins=pins)
    held(pins, first, first.targets[1])
    edited = directory(aliases={"big": ("work:big", "work:more")})
    made = sent(traits(model="big", of=MAIN), there=edited, pins=pins)
    assert (spelled(made), made.pinned) == (["work:big", "work:more"], None)


def test_a_pin_to_a_provider_that_is_gone_does_not_hold():
    pins = Pins()
    first = sent(traits(model="glm-5", of=MAIN), there=directory(listed={"work": ("glm-5",)}), pins=pins)
    held(pins, first, first.targets[0])
    made = sent(traits(model="glm-5", of=MAIN), there=directory(default="ollama", without=["work"]), pins=pins)
    assert (spelled(made), made.pinned) == (["ollama:glm-5"], None)


@pytest.mark.parametrize(
    ("owner", "default", "targets"),
    [
        # Refused by a server that is not running, it is still nobody else's; a vendor that is no longer set up
        # would refuse it for ever.
        ("ollama", "work", ["ollama:glm-5"]),
        ("work", "ollama", ["ollama:glm-5"]),
    ],
)
def test_a_conversation_with_a_server_of_this_machine_is_no_other_vendors_when_that_is_stopped(
    owner, default, targets
):
    pins = Pins()
    first = sent(traits(model="glm-5", of=MAIN), there=directory(listed={owner: ("glm-5",)}), pins=pins)
    held(pins, first, first.targets[0])
    there = directory(default=default, stopped=[owner])
    assert spelled(sent(traits(model="glm-5", of=MAIN), there=there, pins=pins)) == targets
    assert spelled(sent(traits(model="glm-5", of=MAIN), there=there)) == [f"{default}:glm-5"]


def test_each_agent_has_a_pin_of_its_own_and_who_has_no_session_has_none():
    there = directory(aliases=BIG)
    assert sent(traits(model="big", of=SUBAGENT), there=there).session == "s/a1"
    assert sent(traits(model="big", of=Caller()), there=there).session is None


def test_a_rules_list_is_pinned_too():
    pins, config = Pins(), Config(routes=(Rule(name="r", use=("work:a", "ollama:b")),))
    first = sent(traits(of=MAIN), config, pins=pins)
    held(pins, first, first.targets[1])
    assert spelled(sent(traits(of=MAIN), config, pins=pins)) == ["ollama:b", "work:a"]
    other = Config(routes=(Rule(name="r", use=("work:a", "ollama:b", "ollama:c")),))
    assert spelled(sent(traits(of=MAIN), other, pins=pins)) == ["work:a", "ollama:b", "ollama:c"]


_names = st.sampled_from(["big", "other", "glm-5", "ollama:x", "claude-opus-5-5", "work/y", "nobody"])
_pinned = st.sampled_from(
    ["work:big", "ollama:big", "ollama:x", "gone:x", "work:glm-5", "anthropic:claude-opus-5-5"]
)


@given(_names, _pinned, st.sampled_from([MAIN, SUBAGENT]))
def test_a_pin_chooses_only_among_what_is_meant_or_was_meant_by_a_name_that_nobody_explains(name, pin, caller):
    there, pins = directory(aliases=BIG), Pins()
    free = sent(traits(model=name, of=caller), there=there, pins=pins)
    if free.session is None:
        return
    provider_name, _, model = pin.partition(":")
    pins.hold(free.session, free.intent, Target(provider(provider_name), model), 0.0)
    made = sent(traits(model=name, of=caller), there=there, pins=pins)
    assert [each for each in made.targets if str(each) != made.pinned] == [
        each for each in free.targets if str(each) != made.pinned
    ]
    if name in BIG:
        assert set(made.targets) == set(free.targets)
    assert all(each.provider.name in there.providers for each in made.targets)
    assert made.pinned in (None, spelled(made)[0])


# A repository's word


MAY_NOT = "can't choose the provider lmstudio"
LENT_RULE = Rule(name="r", use=("lmstudio:x",), lent=True)


@pytest.mark.parametrize(
    ("one", "config"),
    [
        (traits(system="<ccrouter-model>lmstudio:x</ccrouter-model>", of=SUBAGENT), Config()),
        (traits(system="<CCR-SUBAGENT-MODEL>lmstudio,x</CCR-SUBAGENT-MODEL>", of=SUBAGENT), Config()),
        (traits(of=MAIN), Config(routes=(LENT_RULE,))),
        (traits(of=SUBAGENT), Config(subagent=("lmstudio:x",), lent=Lent(subagent=True))),
    ],
)
def test_a_repository_reaches_no_server_that_nobody_set_up(one, config):
    lmstudio = provider("lmstudio")
    there = evolve(directory(), addressable={**directory().addressable, "lmstudio": lmstudio})
    assert MAY_NOT in str(sent(one, config, there).refused)
    own = evolve(config, routes=tuple(evolve(each, lent=False) for each in config.routes), lent=Lent())
    if own != config:
        assert spelled(sent(one, own, there)) == ["lmstudio:x"]
    set_up = evolve(there, providers={**there.providers, "lmstudio": lmstudio})
    assert spelled(sent(one, config, set_up)) == ["lmstudio:x"]


def test_a_name_for_a_conversations_model_leaves_safety_checks_with_claude():
    there = directory(aliases={"opus": ("ollama:q",)})
    assert spelled(sent(traits(of=MAIN), there=there)) == ["ollama:q"]
    assert spelled(sent(traits(of=CHECK), there=there)) == ["anthropic:claude-opus-5-5"]
    ruled = Config(routes=(Rule(name="r", when=When(classes=("classifier",)), use=("opus",)),))
    assert spelled(sent(traits(of=CHECK), ruled, there)) == ["ollama:q"]


def with_lmstudio():
    return evolve(directory(), addressable={**directory().addressable, "lmstudio": provider("lmstudio")})


def test_of_a_repositorys_list_the_allowed_ones_are_asked():
    config = Config(subagent=("lmstudio:x", "ollama:q", "lmstudio:y"), lent=Lent(subagent=True))
    made = sent(traits(of=SUBAGENT), config, with_lmstudio())
    assert spelled(made) == ["ollama:q"]
    assert [each.split(":")[0] for each in made.changes] == ["candidates", "candidates"]
    assert "lmstudio:x" in made.changes[0]
    ruled = Config(routes=(evolve(LENT_RULE, use=("lmstudio:x", "{model}")),))
    assert spelled(sent(traits(of=MAIN), ruled, with_lmstudio())) == ["anthropic:claude-opus-5-5"]


def test_what_its_user_asks_for_is_the_users_word_in_a_repositorys_rule_too():
    config = Config(routes=(evolve(LENT_RULE, use=("{model}",)),))
    assert spelled(sent(traits(model="lmstudio:x", of=MAIN), config, with_lmstudio())) == ["lmstudio:x"]


def test_a_marker_may_name_claude_where_the_clients_own_login_opens_it():
    there = evolve(directory(without=("anthropic",)), default="ollama")
    there = evolve(there, addressable={**there.addressable, "anthropic": ANTHROPIC})
    one = traits(system="<ccrouter-model>anthropic:claude-haiku-5-5</ccrouter-model>", of=SUBAGENT)
    assert spelled(sent(one, there=there, client_login=True)) == ["anthropic:claude-haiku-5-5"]
    assert "can't choose the provider anthropic" in str(sent(one, there=there).refused)
