from __future__ import annotations

import copy
import itertools
import json

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.providers.presets import PRESETS
from ccrouter.providers.provider import Model, Provider, Target
from ccrouter.translate import told
from ccrouter.translate.messages import history, history_calls, lane, makers
from ccrouter.translate.provenance import Origin, sign
from ccrouter.translate.told import NOTHING
from ccrouter.wire import spans
from ccrouter.wire.messages import read_request
from tests.e2e.strictness import about_bonds, about_messages, bond
from tests.strategies import json_objects
from tests.translate.dialogues import IMAGE, PDF, any_fields, dialogues, without_marks
from tests.translate.test_conversation import lines_run

GENUINE = "EqQBCkYIBBgCKkAz" * 8
MESSAGES = sorted(name for name, preset in PRESETS.items() if preset.messages_path)


def target(preset="anthropic", model="m", **facts):
    row = PRESETS[preset]
    known = (Model(model, **facts),) if facts else ()
    return Target(
        Provider(name=preset, preset=row, base_url=row.base_url or "https://x.example", models=known), model
    )


def settle(messages, preset="anthropic", model="m", *, thinks=True, **facts):
    return history.settle(messages, target(preset, model, **facts), thinks=thinks)


def user(*blocks):
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks):
    return {"role": "assistant", "content": list(blocks)}


def spoken(role, words="so"):
    """A message as a string."""
    return {"role": role, "content": words}


def text(words):
    return {"type": "text", "text": words}


def use(call_id, name="Bash", given=None):
    return {"type": "tool_use", "id": call_id, "name": name, "input": {} if given is None else given}


def result(call_id, content="done", **more):
    return {"type": "tool_result", "tool_use_id": call_id, "content": content, **more}


def thinking(signature, words="hm"):
    return {"type": "thinking", "thinking": words, "signature": signature}


def own(provider, model, **payload):
    return sign(Origin(provider, model, {"f": "messages", **payload}))


HI, SO = user(text("hi")), user(text("so?"))


def reply(*blocks, preset="anthropic", model="m", thinks=True, **facts):
    """What a target gets of one message of the assistant's, and what is said to have changed."""
    (_, *rest), changes = settle([HI, assistant(*blocks), SO], preset, model, thinks=thinks, **facts)
    return [block for message in rest[:-1] for block in message["content"]], changes


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
    assert changes == ["thinking: an empty one in front of another model's calls"]
    mine = [HI, assistant(thinking("x"), call), user(result("c"))]
    assert settle(mine, preset)[0] is mine
    assert settle(messages, preset, thinks=False)[0] is messages


# What only its maker understands

LINK = "https://x.example/a.png"
ODD = [
    {"type": "hologram", "text": "a"},
    {"type": "server_tool_use", "id": "srvtoolu_zai1", "name": "web_search_prime", "input": {"a": 1}},
    {"type": "code_execution_tool_result", "tool_use_id": "srvtoolu_zai1", "content": {"stdout": "42"}},
    {"type": "image", "source": {"type": "url", "url": LINK}},
    {**text("a"), "annotations": [], "odd": 1},
    {**use("a"), "provider_specific_fields": {}, "odd": 1},
]
PLAIN = [
    text("[hologram omitted]"),
    text('[called web_search_prime: {"a": 1}]'),
    text("42"),
    text("[image omitted]"),
    text("a"),
    use("a"),
]


def marked(block, provider, model="m", **payload):
    return {**block, makers.MAKER: own(provider, model, **payload)}


@pytest.mark.parametrize("preset", MESSAGES)
def test_a_block_of_a_servers_own_kind_goes_back_to_it_as_it_made_it_and_to_others_plain(preset):
    messages = [HI, assistant(*(marked(block, "zai") for block in ODD)), user(result("a"))]
    (_, answer, _), changes = settle(messages, preset, thinks=False)
    strict = PRESETS[preset].first_party or PRESETS[preset].relays == ("",)
    if preset == "zai":
        assert answer == assistant(*ODD)
        assert changes[0] == "hologram: the target's own, as the target made it"
    else:
        linked = [text(told.without_image(LINK))] if "ollama" in preset else [ODD[3]]
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


# Calls and results


def test_ids_are_made_plain_at_both_ends_and_never_collide():
    calls = [use("a.b"), use("a:b"), use("a_b"), use("")]
    results = [result("a:b"), result(""), result("a.b"), result("a_b")]
    (_, asked, answered), changes = settle([HI, assistant(*calls), user(*results, text("so"))])
    ids = [block["id"] for block in asked["content"]]
    assert ids[2] == "a_b"
    assert [block.get("tool_use_id") for block in answered["content"]] == [ids[1], ids[3], ids[0], ids[2], None]
    assert len({*ids}) == 4
    assert changes == ["tool_use: an id that was taken or not plain replaced (3 times)"]
    assert not [*about_messages([HI, asked, answered])]


def test_a_plain_id_of_any_length_passes():
    messages = [HI, assistant(use("x" * 200)), user(result("x" * 200))]
    assert settle(messages)[0] is messages


def test_ids_that_come_again_each_turn_get_one_of_their_own():
    turn = [assistant(use("call_0")), user(result("call_0"))]
    found, _ = settle([HI, *turn, *copy.deepcopy(turn), *copy.deepcopy(turn)])
    assert not [*about_messages(found)]
    assert found[:3] == [HI, *turn]


def test_a_missing_result_is_said_to_be_missing():
    found, changes = settle([HI, assistant(use("a"), use("b")), user(result("b"), text("stop"))])
    missing = result("a", told.UNFINISHED, is_error=True)
    assert found[2] == user(result("b"), missing, text("stop"))
    assert changes == ["tool_use: a call without its result was given one"]
    assert settle([HI, assistant(use("a"))])[0][2:] == [user(missing)]
    assert settle([HI, assistant(use("a")), {"role": "user", "content": "no"}])[0][2:] == [
        user(missing, text("no"))
    ]
    system = {"role": "system", "content": []}
    assert settle([HI, assistant(use("a")), system])[0][2:] == [user(missing), system]


def test_results_are_the_first_of_the_message_behind_their_calls():
    found, changes = settle([HI, assistant(use("a"), use("b")), user(text("x"), result("a")), user(result("b"))])
    assert found[2:] == [user(result("a"), result("b"), text("x"))]
    assert changes == ["tool_result: not where Anthropic looks for it, moved (2 times)"]
    assert settle([HI, assistant(use("a")), user(text("x"), result("a"))])[0][2:] == [user(result("a"), text("x"))]
    assert settle([HI, assistant(use("a")), SO, user(result("a"))])[0][2:] == [user(result("a"), *SO["content"])]


@pytest.mark.parametrize("preset", ["ollama", "llamacpp"])
def test_results_have_a_message_of_their_own_where_they_would_come_behind_the_rest(preset):
    messages = [HI, assistant(use("a")), user(text("x"), result("a"), text("y")), assistant(text("b")), SO]
    found, changes = settle(messages, preset)
    assert found == [*messages[:2], user(result("a")), user(text("x"), text("y")), *messages[3:]]
    assert changes == ["tool_result: in a message of its own, in front of what is said beside it"]
    alone = [HI, assistant(use("a")), user(result("a")), SO]
    assert settle(alone, preset)[0] is alone
    assert settle(messages, "vllm")[0] is messages


def as_ollama_reads(messages, *, said_first):
    """Its chat messages (anthropic/anthropic.go, convertMessage). ``said_first``: as its first versions have them."""
    found = []
    for role, content in ((each["role"], each["content"]) for each in messages):
        blocks = [text(content)] if isinstance(content, str) else content
        results = [("tool", block["tool_use_id"]) for block in blocks if block["type"] == "tool_result"]
        rest = [block for block in blocks if block["type"] != "tool_result" and block.get("text") != ""]
        said = [(role, json.dumps(rest))] if rest else []
        found += results + said if role == "user" and not said_first else said + results
    return found


@given(dialogues())
def test_ollama_reads_the_same_prompt_whether_it_puts_results_in_front_or_behind(dialogue):
    messages = dialogue.requests[-1]
    found = history_calls.apart(messages, lambda _: None)
    wanted = as_ollama_reads(messages, said_first=False)  # as it does since
    assert as_ollama_reads(found, said_first=False) == as_ollama_reads(found, said_first=True) == wanted


def test_messages_of_the_systems_behind_a_call_take_steps_in_proportion_to_their_number():
    def steps(count):
        between = [{"role": "system", "content": "x"}] * count
        messages = [HI, assistant(use("a b")), *between, user(result("a b"))]
        return lines_run(lambda: settle(messages))

    # Ten times as many: a square would be a hundred times.
    assert steps(1_000) < 12 * steps(100)


def test_of_two_calls_with_one_id_the_first_has_the_first_result():
    found, _ = settle([HI, assistant(use("a"), use("a")), user(result("a", "1"), result("a", "2"))])
    calls, results = (message["content"] for message in found[1:])
    assert [(call["id"], each["content"]) for call, each in zip(calls, results, strict=True)] == [
        ("a", "1"),
        (results[1]["tool_use_id"], "2"),
    ]
    assert not [*about_messages(found)]


def test_a_result_without_its_call_is_told_as_text():
    orphans = user(
        result("gone", "a.txt"), result("gone", [text("b"), IMAGE, {"type": "tool_reference", "tool_name": "X"}])
    )
    found, changes = settle([orphans])
    assert found == [
        user(
            *(text(told.ORPHANED), text("a.txt"), text(told.ORPHANED), text("b"), IMAGE),
            text("The tool X is available from here on."),
        )
    ]
    assert changes == ["tool_result: a result without its call told as text (2 times)"]


def test_calls_have_plain_names_and_objects_for_inputs():
    (call,), changes = reply(use("a", "functions.Bash", "ls"))
    assert (call["name"].startswith("functions_Bash_"), call["input"]) == (True, {})
    assert len(changes) == 3  # the missing result is one of them


def test_calls_are_left_alone_where_nobody_asks_for_more():
    messages = [HI, assistant(use("a.b"), use("a.b")), user(text(""), result("c"))]
    for preset in ("lmstudio", "zai", "openrouter", "demo"):
        assert settle(messages, preset)[0] is messages


@pytest.mark.parametrize(
    "between", [[spoken("user")], [spoken("user"), spoken("assistant")], [spoken("assistant")]]
)
def test_what_is_said_as_a_string_stands_between_calls_and_results_too(between):
    """Whatever comes later: an odd id at the end must not be what makes the beginning right."""
    messages = [HI, assistant(use("a")), *between, user(result("a"))]
    first, _ = settle(messages)
    assert not [*about_messages(first)]
    later, _ = settle([*messages, assistant(use("b:1")), user(result("b:1"))])
    assert later[: len(first)] == first


def test_the_user_begins_and_nobody_has_a_role_that_there_is_not():
    found, changes = settle([assistant(text("a")), spoken("tool", "b"), spoken("developer", [text("c")])])
    assert found == [user(text(NOTHING)), assistant(text("a")), spoken("user", "b"), user(text("c"))]
    assert changes == [
        "messages: an unknown role taken for the user's (2 times)",
        "messages: a conversation that the user did not begin given a beginning",
    ]
    assert settle([spoken("system"), HI])[0] == [user(text(NOTHING)), spoken("system"), HI]
    assert settle([spoken("tool", "b")], "ollama")[1] == []


def test_looking_for_results_takes_steps_in_proportion_to_the_length():
    def steps(count):
        messages = [HI, assistant(use("a:b")), *[spoken("system")] * count, user(result("a:b"))]
        return lines_run(lambda: settle(messages))

    # Ten times as long: a square would be a hundred times.
    assert steps(1_000) < 12 * steps(100)


# What is said and shown


@pytest.mark.parametrize("blank", ["", " ", "\n\t"])
def test_blank_text_is_left_out_where_it_is_refused(blank):
    found, changes = settle(
        [user(text("hi"), text(blank)), assistant(text(blank)), user(result("x", [text(blank)]))]
    )
    assert found == [HI, user(text(told.ORPHANED))]
    assert changes[0] == "content: blank text left out (3 times)"
    assert settle([{"role": "user", "content": blank}])[0] == [user(text(NOTHING))]
    assert settle([user(text(blank))], "ollama")[1] == []


def test_the_systems_messages_stay_as_they_are():
    messages = [HI, {"role": "system", "content": []}, {"role": "system", "content": [text("")]}]
    assert settle(messages)[0] is messages


SEARCH = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "news"}}


def hits(encrypted, call_id="srvtoolu_1"):
    page = {"type": "web_search_result", "url": "https://x.example", "title": "X", "encrypted_content": encrypted}
    return {"type": "web_search_tool_result", "tool_use_id": call_id, "content": [page]}


def test_searches_of_others_are_told_to_anthropic_as_text_and_its_own_pass():
    told_as = [text("[searched for: news]"), text("[search results]\n- X https://x.example")]
    assert reply(SEARCH, hits(""))[0] == told_as
    assert reply(SEARCH, hits("abc")) == ([SEARCH, hits("abc")], [])
    other = {**SEARCH, "id": "call_1"}
    assert reply(other, hits("abc", "call_1"))[0] == told_as
    cited = {"type": "web_search_result_location", "url": "https://x.example", "encrypted_index": ""}
    assert reply({**text("a"), "citations": [cited]})[0] == [text("a")]
    cited["encrypted_index"] = "x"
    assert reply({**text("a"), "citations": [cited]})[0] == [{**text("a"), "citations": [cited]}]


@pytest.mark.parametrize(
    ("preset", "model"),
    [
        ("anthropic", "claude-opus-5-5"),
        ("foundry", "claude-opus-5-5"),
        ("litellm", "bedrock/anthropic.claude-opus-5-5"),
        ("litellm", "claude-opus-5-5"),
        ("openrouter", "anthropic/claude-opus-5.5"),
        ("messages", "anthropic.claude-opus-5-5-v1:0"),
    ],
)
def test_claudes_own_citations_go_on_with_it_to_another_of_its_gateways(preset, model):
    page = {
        "type": "web_search_result_location",
        "url": LINK,
        "title": "t",
        "cited_text": "c",
        "encrypted_index": "x",
    }
    place = {"type": "char_location", "cited_text": "c", "document_index": 0, "start_char_index": 0}
    for citations in ([page], [place, page], [], None):
        block = {**text("a"), "citations": citations}
        assert reply(block, preset=preset, model=model) == ([block], [])


def test_blocks_that_a_backend_doesnt_take_are_told_as_text_or_left_out_and_named():
    blocks = [
        {
            "type": "document",
            "title": "notes",
            "source": {"type": "text", "media_type": "text/plain", "data": "abc"},
        },
        {**PDF, "cache_control": {"type": "ephemeral"}},
        {"type": "search_result", "source": "https://x.example", "title": "X", "content": [text("found")]},
        {"type": "container_upload", "file_id": "file_1"},
    ]
    reference = {"type": "tool_reference", "tool_name": "Bash"}
    messages = [user(*blocks), assistant(use("a"), SEARCH, hits("x")), user(result("a", [reference]))]
    found, changes = settle(messages, "llamacpp")
    assert found[0] == user(
        text("[document: notes]\nabc"),
        {
            **text("[document omitted: document can't be read by the current model]"),
            "cache_control": {"type": "ephemeral"},
        },
        text("X\nhttps://x.example\nfound"),
        text("[container_upload omitted]"),
    )
    assert [block["type"] for block in found[1]["content"]] == ["tool_use", "text", "text"]
    assert found[2] == user(result("a", [text("The tool Bash is available from here on.")]))
    assert changes == [
        "document: told as text",
        "document: left out, the backend takes no such file",
        "search_result: told as text",
        "container_upload: left out, only its maker can use it",
        "server_tool_use: told as text",
        "web_search_tool_result: told as text",
        "tool_reference: told as text",
    ]
    assert settle(messages)[0] is messages
    assert settle([*messages[1:]], "vllm")[0][1] is messages[2]


def test_a_tool_of_anthropics_own_is_told_with_what_it_gave_where_only_searches_are_taken():
    ran = {"type": "server_tool_use", "id": "srvtoolu_2", "name": "code_execution", "input": {"code": "6*7"}}
    stdout = {"type": "code_execution_result", "stdout": "42", "stderr": "", "return_code": 0}
    gave = {"type": "code_execution_tool_result", "tool_use_id": "srvtoolu_2", "content": stdout}
    told_as = [text('[called code_execution: {"code": "6*7"}]'), text("42")]
    for preset in ("ollama", "zai", "deepseek"):
        found, changes = reply(SEARCH, hits("x"), ran, gave, preset=preset)
        assert found == [SEARCH, hits("x"), *told_as]
        assert changes == ["server_tool_use: told as text", "code_execution_tool_result: told as text"]
        assert reply(ran, preset=preset)[0] == told_as[:1]
        assert reply(SEARCH, preset=preset)[0] == [SEARCH]
    assert reply(ran, gave, preset="vllm")[0] == told_as
    assert reply(ran, gave)[1] == []


def test_a_model_without_eyes_is_told_of_images_in_results_too():
    messages = [user({**IMAGE, "cache_control": {}}), assistant(use("a")), user(result("a", [text("x"), IMAGE]))]
    unseen = text("[image omitted: current model is text-only]")
    for preset in MESSAGES:
        found, changes = settle(messages, preset, thinks=False, vision=False)
        assert found[0] == user({**unseen, "cache_control": {}})
        assert found[2] == user(result("a", [text("x"), unseen]))
        assert changes == ["image: left out, the model takes only text (2 times)"]
        assert settle(messages, preset, thinks=False)[0] is messages


def test_an_image_behind_a_link_is_told_of_where_links_are_refused():
    linked = {"type": "image", "source": {"type": "url", "url": "https://x.example/a.png"}}
    assert settle([user(linked)], "ollama")[0] == [user(text("[image omitted: it is at https://x.example/a.png]"))]
    assert settle([user(linked, IMAGE)], "vllm")[1] == []


def test_a_file_that_lies_at_anthropic_is_told_of_elsewhere():
    image, document = (
        {"type": each, "source": {"type": "file", "file_id": "f"}} for each in ("image", "document")
    )
    messages = [user(image, document, text("a"))]
    assert settle(messages)[0] is messages
    for preset in ("vllm", "zai", "openrouter"):
        found, changes = settle(messages, preset)
        told_of = "[document omitted: document can't be shown here]"
        assert found == [user(text("[image omitted: it can't be shown here]"), text(told_of), text("a"))]
        assert changes == [
            "image: left out, it can't be shown outside its maker's files",
            "document: left out, it can't be shown outside its maker's files",
        ]


@pytest.mark.parametrize("block", [PDF, {**IMAGE, "source": {"type": "file", "file_id": "f"}}])
def test_of_what_leaves_only_its_place_the_log_says_that_it_was_left_out(block):
    """Whoever doesn't get it; and a result that holds nothing else says the same."""
    for preset in MESSAGES:
        for shown in ([user(block)], [HI, assistant(use("a")), user(result("a", [block]))]):
            found, changes = settle(shown, preset, thinks=False)
            if found is not shown:
                assert " omitted: " in json.dumps(found)
                assert [each.split(",")[0] for each in changes] == [f"{block['type']}: left out"]


# What holds for any conversation

_signatures = st.sampled_from(
    [GENUINE, "", "gAAAAABo", "0" * 32, own("ollama", "m", s=""), own("vllm", "m"), own("x", "y", s=GENUINE)]
)
REASONING = {"type": "reasoning", "text": "a plan"}
#: What other servers say that is no part of Anthropic's format, on its way to the client or without a mark.
_odd = st.sampled_from(
    [
        REASONING,
        {"type": "output_text", "text": "a"},
        {**text("a"), "annotations": []},
        {"type": "mcp_tool_use", "id": "call.1", "name": "x", "server_name": "s", "input": {}},
        {"type": "web_fetch_tool_result", "tool_use_id": "call_1", "content": {}},
        *(marked(block, *by) for block in ODD for by in (("zai", "m"), ("anthropic", "x"), ("openrouter", "m"))),
    ]
)
_said = st.one_of(
    _odd,
    st.builds(text, st.sampled_from(["hi", "", " ", "é"])),
    st.sampled_from([IMAGE, PDF]),
    st.builds(thinking, _signatures),
    st.builds(lambda data: {"type": "redacted_thinking", "data": data}, _signatures),
    st.builds(
        use, st.sampled_from(["a.b", "a:b", "a_b", "call_0", "", "x" * 80]), st.sampled_from(["Bash", "a.b"])
    ),
    st.sampled_from([SEARCH, hits(""), hits("x"), {"type": "container_upload", "file_id": "f"}]),
)


_beginnings = st.sampled_from(
    [None, None, *map(spoken, ["system", "assistant", "developer"]), assistant(text("a"))]
)
_roles = st.sampled_from(["user", "user", "user", "tool", "developer"])


@st.composite
def switched(draw):
    """A conversation through many hands: odd ids and roles, results lost, moved and doubled, blocks of anybody's."""
    messages = [*filter(None, [draw(_beginnings)])]
    calls: list[str] = []
    for _ in range(draw(st.integers(1, 4))):
        kept = draw(st.lists(st.sampled_from(calls), max_size=4)) if calls else []
        answers = [result(call, draw(st.sampled_from(["x", "", [text("y"), IMAGE], [text("")]]))) for call in kept]
        shown = [
            each for each in draw(st.lists(_said, max_size=3)) if each["type"] in {"text", "image", "document"}
        ]
        messages += draw(
            st.lists(st.sampled_from([*map(spoken, ["user", "assistant"]), spoken("user", " ")]), max_size=1)
        )
        messages.append({**user(*draw(st.permutations([*answers, *shown]))), "role": draw(_roles)})
        if draw(st.booleans()):
            messages.append(spoken("system", draw(st.sampled_from(["note", [], [text("note")]]))))
        answer = [each for each in draw(st.lists(_said, max_size=5)) if each["type"] not in {"image", "document"}]
        messages.append(assistant(*answer))
        calls = [each["id"] for each in answer if each["type"] == "tool_use"]
    messages.append(user(*map(result, calls), text("and now?")))
    return copy.deepcopy(messages)


_BROKEN_OFF = "thinking is the last of its message"


def wrong(messages):
    """What Anthropic would find wrong; a turn of its own that broke off while it thought is left as it came."""
    found = {*about_messages(settle(messages)[0])}
    return found - {_BROKEN_OFF} if _BROKEN_OFF in about_messages(messages) else found


@given(switched())
def test_anthropic_finds_nothing_wrong_with_what_it_gets(messages):
    assert not wrong(messages)


@given(dialogues())
def test_nor_with_a_dialogue_of_odd_ids_and_foreign_thinking(dialogue):
    for messages in dialogue.requests:
        assert not wrong(messages)


@given(switched())
def test_settling_twice_is_settling_once_and_changes_nothing_that_was_given(messages):
    before = copy.deepcopy(messages)
    found, changes = settle(messages)
    assert messages == before
    assert settle(found)[0] is found
    assert settle(found)[1] == []
    assert bool(changes) == (found is not messages)
    assert (found, changes) == settle(copy.deepcopy(messages))


@given(switched(), st.sampled_from(MESSAGES))
def test_a_longer_conversation_begins_with_what_a_shorter_one_was(messages, preset):
    whole, _ = settle(messages, preset)
    for place, message in enumerate(messages):
        if message["role"] == "assistant" and place and messages[place - 1]["role"] != "assistant":
            shorter, _ = settle(messages[:place], preset)
            assert whole[: len(shorter)] == shorter


@given(dialogues(), st.sampled_from(MESSAGES))
def test_nor_do_cache_marks_change_what_is_said(dialogue, preset):
    found = [without_marks(settle(messages, preset)[0]) for messages in dialogue.requests]
    listed = [[{**each, "content": history_of(each["content"])} for each in messages] for messages in found]
    for shorter, longer in itertools.pairwise(listed):
        assert longer[: len(shorter)] == shorter


def history_of(content):
    return [text(content)] if isinstance(content, str) else content


@given(any_fields, st.sampled_from(MESSAGES), st.booleans())
def test_nothing_that_json_can_say_is_too_odd(fields, preset, sees):
    body = json.dumps({"model": "m", "messages": fields["messages"]})
    items = read_request(body.encode()).items
    to = target(preset, vision=sees)
    edits, changes = history.edits(body, items[1], to)
    found = json.loads(spans.apply(body, edits))["messages"]
    assert json.dumps(found) == json.dumps(history.settle(json.loads(body)["messages"], to)[0])
    assert bool(edits) == bool(changes)


@given(json_objects(), st.sampled_from(MESSAGES))
def test_what_needs_nothing_stays_in_its_own_bytes(written, preset):
    """In the middle of a conversation of which something else is changed."""
    call = f'{{"type":"tool_use","id":"a","name":"Bash","input":{written.text}}}'
    kept = f'{{"role":"assistant", "content":[{call}]}}'
    foreign = json.dumps(thinking(own("x", "m")))
    body = f'[{{"role":"user","content":"hi"}},{kept},{json.dumps(user(result("a")))},{{"role":"assistant","content":[{foreign},{call}]}}]'
    text = f'{{"model":"m","messages":{body}}}'
    to = target(preset)
    edits, changes = history.edits(text, read_request(text.encode()).items[1], to, thinks=False)
    assert changes
    assert kept in spans.apply(text, edits)
    assert spans.apply(text, edits).count(written.text.strip()) >= 2


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


# In a request


@given(switched(), st.sampled_from(MESSAGES))
def test_each_change_is_named_among_those_of_the_request(messages, preset):
    body = json.dumps({"model": "m", "messages": messages}).encode()
    outbound = lane.render(read_request(body), target(preset), [], "", "messages")
    assert list(outbound.changes) == settle(messages, preset)[1]
    assert json.loads(outbound.body)["messages"] == settle(messages, preset)[0]
    assert (outbound.body == body) == (not outbound.changes)


def test_a_gateways_own_name_for_its_models_says_whether_they_are_strict():
    preset = evolve(PRESETS["litellm"], relays=("claude",))
    for model, strict in (("claude-opus-5-5", True), ("gpt-6", False)):
        to = Target(Provider(name="p", preset=preset, base_url="http://127.0.0.1:1"), model)
        assert bool(history.settle([HI, assistant(use("a.b")), user(result("a.b"))], to)[1]) == strict
