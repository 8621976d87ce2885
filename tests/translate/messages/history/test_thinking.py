"""Whose thinking is whose, and what it is bound to."""

from __future__ import annotations

import itertools
import json

import pytest

from ccrouter.providers.presets import PRESETS
from ccrouter.translate.block_text import NOTHING
from ccrouter.translate.messages import lane
from ccrouter.translate.provenance import Origin, sign
from ccrouter.wire.messages import read_request
from tests.e2e.strictness import about_bonds, about_messages, bond
from tests.translate.messages.settling import (
    GENUINE,
    HI,
    MESSAGES,
    SEARCH,
    SO,
    assistant,
    hits,
    own,
    reply,
    result,
    settle,
    target,
    text,
    thinking,
    use,
    user,
)

# Whose thinking is whose


@pytest.mark.parametrize(
    "signature",
    [
        "",
        None,
        5,
        "ccr1.x",
        "gAAAAABo" + "x" * 90,
        "0123456789abcdef" * 2,
        "not base64!",
        own("ollama", "m", s=GENUINE),
    ],
)
def test_no_thinking_that_anthropic_cant_have_signed_reaches_it(signature):
    assert reply(thinking(signature), text("a")) == ([text("a")], ["thinking: of another model, left out"])


@pytest.mark.parametrize("signature", [GENUINE, "Rwxyz+/=", "CAIS", "signature-1", "Zm9v"])
def test_what_may_be_anthropics_own_thinking_passes(signature):
    assert reply(thinking(signature), text("a")) == ([thinking(signature), text("a")], [])


def test_redacted_thinking_goes_to_anthropic_and_to_who_takes_it_unless_it_is_anthropics():
    claudes = {"type": "redacted_thinking", "data": GENUINE}
    others = {"type": "redacted_thinking", "data": "x"}
    assert reply(claudes, text("a"))[0] == [claudes, text("a")]
    assert reply({**claudes, "data": own("x", "m")}, text("a"))[0] == [text("a")]
    assert reply(claudes, others, text("a"), preset="vllm")[0] == [others, text("a")]
    assert reply(others, text("a"), preset="deepseek")[0] == [text("a")]


@pytest.mark.parametrize("preset", [name for name in MESSAGES if not PRESETS[name].first_party])
@pytest.mark.parametrize("maker", ["m", "n"])
@pytest.mark.parametrize("signature", ["2b5c", "QUFB"])
def test_a_messages_backend_gets_its_own_signature_back_whichever_of_its_models_is_asked(preset, maker, signature):
    found, changes = reply(thinking(own(preset, maker, s=signature)), text("a"), preset=preset)
    assert found == [thinking(signature), text("a")]
    assert changes == ["thinking: the target's own, its signature as the target made it"]


def test_what_had_no_signature_gets_none_back():
    bare = {"type": "thinking", "thinking": "hm"}
    assert reply(thinking(own("ollama", "n")), preset="ollama")[0] == [bare]
    assert reply(thinking(own("ollama", "n", s="")), preset="ollama")[0] == [thinking("")]
    assert reply(thinking(own("messages", "m")), text("a"), preset="messages")[0] == [bare, text("a")]


def test_within_one_gateway_nobody_gets_what_another_model_there_would_refuse():
    claude, glm = "anthropic/claude-opus-5-5", "z-ai/glm-5"
    forged, genuine = (thinking(own("openrouter", claude if s else glm, s=s)) for s in ("", GENUINE))
    assert reply(forged, text("a"), preset="openrouter", model=claude)[0] == [text("a")]
    assert reply(genuine, text("a"), preset="openrouter", model=claude)[0] == [thinking(GENUINE), text("a")]
    assert reply(genuine, text("a"), preset="openrouter", model=glm)[0] == [text("a")]
    assert reply(forged, text("a"), preset="openrouter", model=glm)[0] == [thinking(""), text("a")]


@pytest.mark.parametrize("preset", MESSAGES)
@pytest.mark.parametrize(
    "signature",
    [
        own("elsewhere", "m", s="x"),
        own("elsewhere", "m", s="x")[:-1],
        sign(Origin("elsewhere", "m", {"f": "reasoning_content"})),
        sign(Origin("elsewhere", "m")),
    ],
)
def test_another_providers_thinking_goes_nowhere_and_leaves_no_words(preset, signature):
    found, changes = reply(thinking(signature), text("a"), preset=preset)
    assert found == [text("a")]
    assert changes == ["thinking: of another model, left out"]


@pytest.mark.parametrize("preset", sorted({*MESSAGES} - {"anthropic", "foundry", "messages"}))
def test_who_never_serves_claude_gets_none_of_its_thinking(preset):
    assert reply(thinking(GENUINE), text("a"), preset=preset)[0] == [text("a")]


def test_a_message_of_which_nothing_is_left_goes_or_keeps_its_place_where_roles_must_take_turns():
    messages = [HI, assistant(thinking(own("x", "m"))), SO]
    assert settle(messages)[0] == [HI, SO]
    assert settle(messages, "llamacpp")[0] == [HI, assistant(text(NOTHING)), SO]


def test_thinking_is_never_left_as_the_last_of_a_message():
    assert reply(thinking(GENUINE), text(" "))[0] == [thinking(GENUINE), text(NOTHING)]


@pytest.mark.parametrize("preset", ["deepseek", "moonshot"])
def test_calls_of_others_have_blank_thinking_where_a_backend_refuses_them_without(preset):
    blank, call = thinking("", " "), use("c")
    messages = [HI, assistant(call), user(result("c")), assistant(text("a")), SO]
    found, changes = settle(messages, preset)
    assert found == [HI, assistant(blank, call), *messages[2:]]
    assert changes == ["thinking: a blank one in front of another model's calls"]
    mine = [HI, assistant(thinking("x"), call), user(result("c"))]
    assert settle(mine, preset)[0] is mine
    assert settle(messages, preset, thinks=False)[0] is messages


# Thinking that is bound to what precedes it


def of_claude(received):
    """What the newest models say: thinking that is bound to what they were shown, twice in a message."""
    messages = received["messages"]
    first = thinking(bond(messages), "first")
    call = use(f"toolu_{len(messages)}")
    second = thinking(bond(messages, [first, call]), "then")
    return [first, call, second, text("done")]


def of_others(provider, number):
    """What comes of a Messages backend with the ids of a local model, or of a bridge."""
    signature = (
        own(provider, "m", s="") if provider in PRESETS else sign(Origin(provider, "m", {"f": "responses"}))
    )
    return [thinking(signature), text(" "), use("functions.Bash:0"), SEARCH, hits(""), text(f"turn {number}")]


@pytest.mark.parametrize("order", [*itertools.permutations(["anthropic", "ollama", "deepseek", "a bridge"])])
def test_bound_thinking_stays_bound_however_often_the_model_is_switched(order):
    messages = [HI]
    asked = 0
    for number, name in enumerate([*order, *order, *reversed(order)]):
        if name in PRESETS:
            body = json.dumps({"model": "m", "max_tokens": 5, "messages": messages}).encode()
            sent = json.loads(lane.render(read_request(body), target(name), [], "", "messages").body)
        if name == "anthropic":
            asked += 1
            assert not [*about_messages(sent["messages"])]
            assert not [*about_bonds(sent["messages"])]
        said = of_claude(sent) if name == "anthropic" else of_others(name, number)
        calls = [block["id"] for block in said if block["type"] == "tool_use"]
        messages = [*messages, assistant(*said), user(*map(result, calls), text("and now?"))]
    assert asked == 3


def test_the_fake_finds_thinking_that_was_moved_behind_something_else():
    sent = {"messages": [HI]}
    moved = [SO, assistant(*of_claude(sent))]
    assert len([*about_bonds(moved)]) == 2
    assert not [*about_bonds([HI, assistant(*of_claude(sent))])]
