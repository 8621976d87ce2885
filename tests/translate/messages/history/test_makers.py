"""What only its maker understands goes back to its maker, and to everybody else plain."""

from __future__ import annotations

import pytest

from ccrouter.providers.presets import PRESETS
from ccrouter.translate import block_text
from ccrouter.translate.messages import makers
from tests.e2e.strictness import about_messages
from tests.translate.messages.settling import (
    HI,
    LINK,
    MESSAGES,
    ODD,
    REASONING,
    SO,
    assistant,
    marked,
    own,
    reply,
    result,
    settle,
    text,
    use,
    user,
)

PLAIN = [
    text("[hologram omitted]"),
    text('[called web_search_prime: {"a": 1}]'),
    text("42"),
    text("[image omitted]"),
    text("a"),
    use("a"),
]


@pytest.mark.parametrize("preset", MESSAGES)
def test_a_block_of_a_servers_own_kind_goes_back_to_it_as_it_made_it_and_to_others_plain(preset):
    messages = [HI, assistant(*(marked(block, "zai") for block in ODD)), user(result("a"))]
    (_, answer, _), changes = settle(messages, preset, thinks=False)
    strict = PRESETS[preset].first_party or PRESETS[preset].relays == ("",)
    if preset == "zai":
        assert answer == assistant(*ODD)
        assert changes[0] == "hologram: the target's own, as the target made it"
    else:
        linked = [text(block_text.without_image(LINK))] if "ollama" in preset else [ODD[3]]
        assert answer == assistant(*PLAIN[:3], *(PLAIN[3:4] if strict else linked), *PLAIN[4:])
        assert changes == [
            "hologram: left out, only its maker can use it",
            "server_tool_use: told as text",
            "code_execution_tool_result: told as text",
            "image: left out, only its maker can use it" if strict else "image: told as text",
            "text: members that only their maker can use left out",
            "tool_use: members that only their maker can use left out",
        ]
    assert not strict or not [*about_messages([HI, answer, user(result("a"))])]


def test_a_gateways_claude_gets_nothing_that_another_model_there_made():
    claude, glm = "anthropic/claude-opus-5-5", "z-ai/glm-5"
    block = marked(ODD[0], "openrouter", glm)
    assert reply(block, preset="openrouter", model=claude)[0] == [text("[hologram omitted]")]
    assert reply(block, preset="openrouter", model=glm)[0] == [ODD[0]]
    of_claude = marked(ODD[0], "openrouter", claude)
    assert reply(of_claude, preset="openrouter", model=claude)[0] == [ODD[0]]


@pytest.mark.parametrize("model", ["claude-sonnet-5", "gemini-3"])
def test_a_gateway_gets_the_members_back_that_it_added_itself(model):
    specific = {"provider_specific_fields": {"thought_signature": "AAAA"}}
    blocks = [{**text("a"), **specific, "annotations": []}, {**use("a"), **specific}]
    messages = [HI, assistant(*(marked(each, "litellm", model) for each in blocks)), user(result("a"))]
    (_, answer, _), changes = settle(messages, "litellm", model)
    assert answer == assistant(*blocks)
    assert changes == [f"{kind}: the target's own, as the target made it" for kind in ("text", "tool_use")]


def test_a_router_behind_this_one_gets_its_own_mark_back_and_nobody_else_does():
    inner = marked({**text("a"), "annotations": []}, "openrouter")
    block = marked(inner, "litellm", s=inner[makers.MAKER])
    assert reply(block, preset="litellm")[0] == [inner]
    assert reply(block, preset="openrouter")[0] == [text("a")]
    assert reply(marked(ODD[0], "litellm", s=inner[makers.MAKER]), preset="zai")[0] == [text("[hologram omitted]")]


def test_of_what_it_made_itself_a_gateways_claude_gets_nothing_that_it_would_refuse():
    claude = "claude-sonnet-5"
    cited = {"type": "web_search_result_location", "url": LINK, "title": "t", "cited_text": "c"}
    said, blank = {**text("a"), "annotations": []}, {**text(" "), "annotations": []}
    blocks = [marked(each, "litellm", claude) for each in (blank, {**said, "citations": [cited]})]
    assert reply(*blocks, preset="litellm", model=claude)[0] == [said]


@pytest.mark.parametrize("block", [ODD[0], {**text("a"), "yet_to_come": 1}, {**use("a"), "yet_to_come": 1}])
def test_what_nobody_marked_may_be_anthropics_own_and_stays(block):
    messages = [HI, assistant(block), *([user(result("a"))] if "id" in block else [SO])]
    assert settle(messages)[0] is messages


def test_of_what_nobody_marked_goes_what_certainly_isnt_anthropics():
    assert reply(REASONING, text("a")) == ([text("a")], ["reasoning: left out"])
    assert reply({"type": "output_text", "text": "a"})[0] == [text("a")]
    bare, changes = reply({**text("a"), "annotations": []})
    assert (bare, changes) == ([text("a")], ["text: members that only their maker can use left out"])
    call, _ = reply({**use("a"), "provider_specific_fields": {"a": 1}})
    assert call == [use("a")]
    asked = {"type": "mcp_tool_use", "id": "call.1", "name": "x", "server_name": "s", "input": {}}
    gave = {"type": "mcp_tool_result", "tool_use_id": "call.1", "content": "found"}
    assert reply(asked, gave)[0] == [text("[called x]"), text("found")]


@pytest.mark.parametrize("preset", [name for name in MESSAGES if not PRESETS[name].first_party])
def test_redacted_thinking_goes_back_to_who_made_it_and_to_nobody_else(preset):
    block = {"type": "redacted_thinking", "data": own(preset, "m", s="AAAA")}
    found, changes = reply(block, text("a"), preset=preset)
    assert found == [{**block, "data": "AAAA"}, text("a")]
    assert changes == ["redacted_thinking: the target's own, as the target made it"]
    elsewhere = {**block, "data": own("elsewhere", "m", s="AAAA")}
    for other in (elsewhere, {**block, "data": own(preset, "m")}):
        assert reply(other, text("a"), preset=preset)[0] == [text("a")]
    assert reply(elsewhere, text("a")) == ([text("a")], ["redacted_thinking: of another model, left out"])
