from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given

from ccrouter.errors import ApiError
from ccrouter.providers.presets import PRESETS
from ccrouter.providers.provider import Model, Provider, Target
from ccrouter.translate import tokens
from ccrouter.translate.ollama import request as ollama_request
from ccrouter.translate.provenance import Origin, sign
from ccrouter.wire import envelope
from ccrouter.wire.messages import read_request
from tests import golden
from tests.golden import Message
from tests.translate.dialogues import IMAGE, PDF, TOOLS, any_fields, dialogues
from tests.translate.ollama.go_types import check

CASES = sorted((Path(__file__).parent.parent.parent / "cases" / "ollama_request").glob("*.case"))
HEADERS = [
    (b"user-agent", b"claude-cli/2.1.329"),
    (b"authorization", b"Bearer secret"),
    (b"x-api-key", b"secret"),
    (b"anthropic-beta", b"oauth-2025-04-20"),
]
BASH: dict[str, Any] = {
    "name": "Bash",
    "description": "d",
    "input_schema": {"type": "object", "properties": {"c": {"type": "string"}}},
}
READ = {**BASH, "name": "Read"}
SEARCH = {"type": "web_search_20250305", "name": "web_search", "max_uses": 8}


def target(model="m", *, facts=None, **known):
    models = (Model(model, **known),) if known else ()
    to = Provider(name="there", preset=PRESETS["ollama"], base_url="http://127.0.0.1:11434", models=models)
    return Target(to, model, facts)


def outbound(fields, to=None, headers=HEADERS):
    fields = {"model": "there:m", "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}], **fields}
    request = read_request(json.dumps(fields).encode())
    return ollama_request.render(request, to or target(), headers, "beta=true", "messages")


def sent(to=None, **fields):
    body = json.loads(outbound(fields, to).body)
    check(body)
    return body


def changes(to=None, **fields):
    return outbound({"model": "m", **fields}, to).changes


def messages(*said, to=None):
    return sent(to, messages=list(said))["messages"]


def assistant(*blocks):
    return {"role": "assistant", "content": list(blocks)}


def user(*blocks):
    return {"role": "user", "content": list(blocks)}


def call(call_id, name="Bash", **given_):
    return {"type": "tool_use", "id": call_id, "name": name, "input": given_}


def result(call_id, content=None, **more):
    return {"type": "tool_result", "tool_use_id": call_id, "content": content, **more}


def text(words):
    return {"type": "text", "text": words}


def thought(payload, words="hm", provider="there", model="m"):
    return {"type": "thinking", "thinking": words, "signature": sign(Origin(provider, model, payload))}


# Golden cases


def play(sections):
    said = dict(line.split(": ", 1) for line in sections["target"].splitlines())
    known = {name: json.loads(value) for name, value in said.items() if name not in {"preset", "model"}}
    row = PRESETS[said["preset"]]
    to = Provider(name=row.name, preset=row, base_url=row.base_url or "", models=(Model(said["model"], **known),))
    asked = sections["request"]
    shown = {name: sections[name] for name in ("target", "request")}
    try:
        out = ollama_request.render(
            read_request(asked.body), Target(to, said["model"]), asked.headers, "beta=true", "messages"
        )
    except ApiError as error:
        return shown | {"client": Message(f"HTTP {error.status}", [], envelope.write(error, "req_1"))}
    body = json.loads(out.body)
    check(body)
    spelled = json.dumps(body, ensure_ascii=False, indent=1).encode() + b"\n"
    return shown | {
        "sent": Message(f"POST {out.url}", out.headers, spelled),
        "changes": "".join(f"{each}\n" for each in out.changes),
    }


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_a_golden_case_comes_out_as_it_is_written(path, update_cases):
    shows, expected = golden.read(path)
    out = golden.show(shows, play(expected))
    if update_cases:
        path.write_bytes(out.encode())
    assert out == path.read_bytes().decode()


def test_there_are_golden_cases():
    assert len(CASES) >= 4


# The request around the messages


def test_the_request_goes_to_its_own_endpoint_with_nothing_of_the_clients_headers():
    found = outbound({})
    assert found.url == "http://127.0.0.1:11434/api/chat"
    assert found.headers == [
        (b"content-type", b"application/json"),
        (b"accept", b"application/x-ndjson"),
        (b"accept-encoding", b"identity"),
        (b"user-agent", b"claude-cli/2.1.329"),
    ]
    assert found.changes == ("model: there:m -> m",)


def test_there_is_no_such_endpoint_elsewhere_and_none_to_count_with():
    request = read_request(b'{"model": "m", "messages": []}')
    with pytest.raises(ApiError, match="no such endpoint"):
        ollama_request.render(request, target(), [], "", "count_tokens")
    nowhere = evolve(target().provider, preset=PRESETS["vllm"])
    with pytest.raises(ApiError, match="no such endpoint"):
        ollama_request.render(request, Target(nowhere, "m"), [], "", "messages")


def test_nothing_may_be_cut_and_a_stream_is_asked_for_even_if_the_client_wants_none():
    body = sent(stream=False)
    assert (body["truncate"], body["shift"], body["stream"]) == (False, False, True)


def test_the_window_and_the_time_to_stay_come_from_the_configuration():
    body = sent(target(num_ctx=65_536, keep_alive=1800.0))
    assert body["options"]["num_ctx"] == 65_536
    assert body["keep_alive"] == 1800
    assert "num_ctx" not in sent(target(keep_alive=0.0)).get("options", {})
    assert "keep_alive" not in sent(target(num_ctx=8_192))


@pytest.mark.parametrize(("seconds", "said"), [(0.0, 0), (0.5, 0.5), (86_400.0, 86_400), (float("inf"), -1)])
def test_a_time_is_told_in_seconds_and_for_ever_is_below_zero(seconds, said):
    body = outbound({}, target(keep_alive=seconds)).body.decode()
    assert f'"keep_alive":{said},' in body


def test_what_was_found_out_does_not_hide_what_is_configured():
    configured = target(num_ctx=65_536, keep_alive=60.0)
    found = evolve(configured, facts=evolve(configured.known, window=262_144, loaded=4_096))
    assert sent(found)["options"]["num_ctx"] == 65_536
    assert sent(found)["keep_alive"] == 60


def test_an_answer_is_limited_to_what_the_prompt_leaves_of_the_configured_window():
    words = "some words of a prompt " * 500
    fields = {"max_tokens": 32_000, "messages": [{"role": "user", "content": words}]}
    room = 16_384
    body = sent(target(num_ctx=room), **fields)
    prompt = tokens.estimate({"model": "there:m", **fields})
    assert body["options"]["num_predict"] == room - prompt
    assert f"max_tokens: 32000 -> {room - prompt}" in changes(target(num_ctx=room), **fields)
    assert sent(**fields)["options"]["num_predict"] == 32_000


def test_sampling_and_stops_are_options():
    stops = ["A", "B", "C", "D", "E", "F"]
    body = sent(temperature=0.5, top_p=0.9, top_k=20, stop_sequences=[*stops, "", 5])
    assert body["options"] == {"num_predict": 100, "temperature": 0.5, "top_p": 0.9, "top_k": 20, "stop": stops}
    assert changes(temperature=0.5, top_p=0.9, top_k=20, stop_sequences=stops) == ()
    assert changes(top_k=0.5) == ("top_k: dropped",)
    assert changes(context_management={"edits": []}) == ("context_management: dropped",)


def test_an_answer_of_a_given_form_is_asked_for():
    form = {"type": "object", "properties": {"title": {"type": "string"}}}
    body = sent(output_config={"format": {"type": "json_schema", "schema": form}})
    assert body["format"] == form


def test_safeguards_are_refused():
    with pytest.raises(ApiError, match="safeguards"):
        outbound({"safeguards": {}})


# Thinking

ADAPTIVE = {"thinking": {"type": "adaptive"}}
HIGH = {**ADAPTIVE, "output_config": {"effort": "high"}}
OFF = {"thinking": {"type": "disabled"}}
BUDGET = {"thinking": {"type": "enabled", "budget_tokens": 4_000}}
LEFT = "thinking: left to the backend"
HOW_MUCH = "thinking: how much is left to the backend"
CANT = "thinking: not asked for, the model can't"


@pytest.mark.parametrize(
    ("model", "thinks", "wanted", "said", "changed"),
    [
        ("qwen3:8b", True, {}, None, ()),
        ("qwen3:8b", True, ADAPTIVE, True, ()),
        ("qwen3:8b", True, HIGH, True, (HOW_MUCH,)),
        ("qwen3:8b", True, {"output_config": {"effort": "high"}}, None, (LEFT,)),
        ("qwen3:8b", True, OFF, False, ()),
        ("qwen3:8b", False, HIGH, None, (CANT,)),
        ("qwen3:8b", False, OFF, None, ()),
        ("qwen3:8b", None, HIGH, None, (LEFT,)),
        ("qwen3:8b", None, OFF, False, ()),
        ("gpt-oss:20b", True, HIGH, "high", ()),
        ("gpt-oss:20b", None, {**ADAPTIVE, "output_config": {"effort": "xhigh"}}, "high", ()),
        ("gpt-oss:20b", True, {**ADAPTIVE, "output_config": {"effort": "minimal"}}, "low", ()),
        ("gpt-oss:20b", True, BUDGET, "low", ()),
        ("gpt-oss:20b", None, ADAPTIVE, True, ()),
        ("gpt-oss:20b", True, OFF, "low", ()),
    ],
)
def test_thinking_is_a_switch_and_for_some_a_word(model, thinks, wanted, said, changed):
    to = target(model, thinking=thinks)
    assert sent(to, **wanted).get("think") == said
    assert changes(to, **wanted)[1:] == changed


# Tools


def test_tools_are_functions():
    assert sent(tools=[BASH])["tools"] == [
        {
            "type": "function",
            "function": {"name": "Bash", "description": "d", "parameters": BASH["input_schema"]},
        }
    ]


def test_a_schema_that_ollamas_types_can_not_hold_is_put_into_them():
    odd = {
        "type": "object",
        "required": ["a", 5],
        "properties": {"a": True, "b": {"$ref": "#/$defs/B"}, "c": {"description": 5, "enum": "x"}},
        "$defs": {"B": {"type": "string", "const": "b"}},
    }
    [tool] = sent(tools=[{**BASH, "input_schema": odd}])["tools"]
    assert tool["function"]["parameters"] == {
        "type": "object",
        "required": ["a"],
        "properties": {"a": {}, "b": {"type": "string", "enum": ["b"]}, "c": {}},
    }


def test_no_call_can_be_forced_and_the_tools_stay():
    both = sent(tools=[BASH, READ])["tools"]
    for choice in ({"type": "any"}, {"type": "tool", "name": "Read"}):
        assert sent(tools=[BASH, READ], tool_choice=choice)["tools"] == both
        words = f"tool_choice: {choice['type']} -> auto, the backend forces no calls"
        assert changes(tools=[BASH, READ], tool_choice=choice) == (words,)
    assert changes(tools=[BASH], tool_choice={"type": "auto"}) == ()
    assert changes(tools=[BASH], tool_choice={"type": "odd"}) == ("tool_choice: left out, of no known type",)
    with pytest.raises(ApiError, match="no tool 'Gone'"):
        outbound({"tools": [BASH], "tool_choice": {"type": "tool", "name": "Gone"}})


def test_no_tools_are_offered_where_none_may_be_called():
    assert "tools" not in sent(tools=[BASH], tool_choice={"type": "none"})
    assert changes(tools=[BASH], tool_choice={"type": "none"}) == ("tool_choice: none -> no tools",)


def test_parallel_calls_can_not_be_forbidden():
    choice = {"type": "auto", "disable_parallel_tool_use": True}
    assert changes(tools=[BASH], tool_choice=choice) == ("tool_choice: disable_parallel_tool_use dropped",)


def test_a_search_that_is_anthropics_is_left_out_or_refused():
    assert changes(tools=[BASH, SEARCH]) == (
        "tools: web_search (web_search_20250305) left out, the backend can't run it",
    )
    with pytest.raises(ApiError, match="capability_rejected: server_tools"):
        outbound({"tools": [SEARCH]})


# Messages


def test_a_whole_turn():
    found = sent(
        system=[text("You are"), text("Be brief")],
        messages=[
            user(text("a"), text("b")),
            assistant(thought({"f": "messages"}), text("Looking."), call("t1", c="ls"), call("t2", "Read", p="x")),
            user(result("t2", "X"), result("t1", [text("A"), text("B")]), text("go on")),
        ],
    )["messages"]
    assert found == [
        {"role": "system", "content": "You are\n\nBe brief"},
        {"role": "user", "content": "a\n\nb"},
        {
            "role": "assistant",
            "content": "Looking.",
            "thinking": "hm",
            "tool_calls": [
                {"id": "t1", "function": {"index": 0, "name": "Bash", "arguments": {"c": "ls"}}},
                {"id": "t2", "function": {"index": 1, "name": "Read", "arguments": {"p": "x"}}},
            ],
        },
        {"role": "tool", "content": "A\n\nB", "tool_name": "Bash", "tool_call_id": "t1"},
        {"role": "tool", "content": "X", "tool_name": "Read", "tool_call_id": "t2"},
        {"role": "user", "content": "go on"},
    ]


def test_a_turn_without_words_keeps_its_place():
    assert messages(user(text("a")), assistant(call("t")), user(result("t")))[1]["content"] == ""
    assert messages(user(text("a")), assistant(), user(text("b")))[1] == {
        "role": "assistant",
        "content": "(no text)",
    }
    with pytest.raises(ApiError, match="at least one message"):
        outbound({"messages": []})


def test_pictures_stand_beside_the_text():
    assert messages(user(text("a"), IMAGE, text("b"))) == [
        {"role": "user", "content": "a\n\nb", "images": ["iVBORw0KGgo="]}
    ]
    assert messages(user(IMAGE)) == [{"role": "user", "content": "", "images": ["iVBORw0KGgo="]}]


def test_what_can_not_be_shown_leaves_its_place_in_words():
    linked = {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}}
    fields = {"messages": [user(linked, linked, PDF)]}
    [message] = sent(**fields)["messages"]
    assert message["content"].count("[image omitted: it is at https://x/y.png]") == 2
    assert "[document omitted" in message["content"]
    assert changes(**fields) == (
        "image: told as text (2 times)",
        "document: left out, the backend takes no such file",
    )
    blind = target(vision=False)
    assert messages(user(IMAGE), to=blind) == [
        {"role": "user", "content": "[image omitted: current model is text-only]"}
    ]


def test_pictures_of_a_result_follow_it():
    said = [user(text("a")), assistant(call("t")), user(result("t", [text("R"), IMAGE]), text("so"))]
    assert messages(*said)[2:] == [
        {
            "role": "tool",
            "content": "R\n\n(see the attachment in the next message)",
            "tool_name": "Bash",
            "tool_call_id": "t",
        },
        {"role": "user", "content": "[attachment to the result of Bash]\n\nso", "images": ["iVBORw0KGgo="]},
    ]
    assert "tool_result: an image or a file moved behind the results" in changes(messages=said)


def test_a_result_that_failed_says_so():
    said = [user(text("a")), assistant(call("t"), call("u")), user(result("t", "no", is_error=True))]
    found = messages(*said)[2:]
    assert found[0]["content"] == "[error] no"
    assert found[1]["content"].startswith("[error] (no result")
    assert "tool_result: that it failed told as text (2 times)" in changes(messages=said)


def test_a_later_system_message_is_a_reminder():
    assert messages(user(text("a")), {"role": "system", "content": "note"}, user(text("b"))) == [
        {"role": "user", "content": "a\n\n<system-reminder>\nnote\n</system-reminder>\n\nb"}
    ]


@pytest.mark.parametrize(
    ("block", "back"),
    [
        (thought({"f": "messages"}), "hm"),
        (thought({"f": "messages"}, model="another"), "hm"),
        (thought({"f": "reasoning"}), "hm"),
        (thought({"f": "reasoning_content"}), "hm"),
        (thought({"f": "messages", "s": "sealed"}), None),
        (thought({"f": "google", "t": "sig"}), None),
        (thought(None), None),
        (thought({"f": "messages"}, provider="elsewhere"), None),
        ({"type": "thinking", "thinking": "hm", "signature": "EqQB"}, None),
    ],
)
def test_thinking_goes_back_to_the_provider_that_made_it_by_any_of_its_wires(block, back):
    said = [user(text("a")), assistant(block, text("A")), user(text("b"))]
    assert messages(*said)[1].get("thinking") == back
    assert ("thinking: of another model, left out" in changes(messages=said)) == (back is None)


# Properties


def conforms(body, *, images=True):
    """What every request must be."""
    check(body, images=images)
    waiting: list[tuple[str, str]] = []
    seen: set[tuple[str, str]] = set()
    for message in body["messages"]:
        if message["role"] == "tool":
            assert (message["tool_call_id"], message["tool_name"]) == waiting.pop(0)
        else:
            assert not waiting
        calls = [(each["id"], each["function"]["name"]) for each in message.get("tool_calls", ())]
        assert message["content"] or calls or message.get("images")
        assert not seen & set(calls)
        assert len(set(calls)) == len(calls)
        seen |= set(calls)
        waiting = waiting or calls
    assert not waiting


@given(dialogues())
def test_a_longer_conversation_begins_with_the_same_messages(dialogue):
    rendered = [sent(messages=each, tools=TOOLS, system="You are") for each in dialogue.requests]
    for body in rendered:
        conforms(body)
    for shorter, longer in pairwise(rendered):
        before, now = (json.dumps(each["messages"]) for each in (shorter, longer))
        assert now.startswith(before[:-1])
        assert longer["tools"] == shorter["tools"]


@given(any_fields)
def test_any_json_is_rendered_or_refused(fields):
    try:
        found = outbound(fields)
    except ApiError as error:
        assert error.status == 400
        return
    conforms(json.loads(found.body), images=False)
