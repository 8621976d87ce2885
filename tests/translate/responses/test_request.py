from __future__ import annotations

import base64
import functools
import itertools
import json
import re
from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ccrouter.errors import ApiError
from ccrouter.providers.presets import PRESETS
from ccrouter.providers.provider import Model, Provider, Target
from ccrouter.translate.provenance import Origin, sign
from ccrouter.translate.responses import request as responses_request
from ccrouter.wire import envelope
from ccrouter.wire.fold import fold
from tests import golden
from tests.golden import Message
from tests.translate.dialogues import IMAGE, PDF, TOOLS, any_fields, dialogues, without_marks
from tests.translate.responses_wire import (
    ROWS,
    bridge,
    encode,
    events_of,
    message,
    reasoning,
    replies,
    request,
    target,
    whole,
)

CASES = sorted((Path(__file__).parent.parent.parent / "cases" / "responses_request").glob("*.case"))


# Golden cases


def play(sections):
    said = dict(line.split(": ", 1) for line in sections["target"].splitlines())
    given_request = sections["request"]
    asked = request(**json.loads(given_request.body))
    shown = {name: sections[name] for name in ("target", "request")}
    try:
        out = responses_request.render(
            asked, target(said["preset"], said["model"]), given_request.headers, "beta=true", "messages"
        )
    except ApiError as error:
        return shown | {"client": Message(f"HTTP {error.status}", [], envelope.write(error, "req_1"))}
    body = json.dumps(json.loads(out.body), ensure_ascii=False, indent=1).encode() + b"\n"
    return shown | {
        "sent": Message(f"POST {out.url}", out.headers, body),
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
    assert len(CASES) >= 5


# What is rendered


def render(preset="there", model="m", headers=(), models=(), quirks=None, **fields):
    to = target(preset, model, models=models)
    if quirks:
        row = evolve(to.provider.preset, quirks=evolve(to.provider.preset.quirks, **quirks))
        to = evolve(to, provider=evolve(to.provider, preset=row))
    out = responses_request.render(request(**fields), to, list(headers), "beta=true", "messages")
    return json.loads(out.body), out.changes


def items(*messages, **how):
    return render(messages=list(messages), **how)[0]["input"]


def user(*content):
    return {"role": "user", "content": list(content)}


def assistant(*content):
    return {"role": "assistant", "content": list(content)}


def text(words):
    return {"type": "text", "text": words}


def refused(**how):
    with pytest.raises(ApiError) as caught:
        render(**how)
    assert (caught.value.status, caught.value.kind) == (400, "invalid_request_error")
    return caught.value.message


@given(dialogues(), st.sampled_from(sorted(ROWS)))
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_a_longer_conversation_begins_with_the_same_items(dialogue, preset):
    bodies = [render(preset, messages=messages, tools=TOOLS)[0] for messages in dialogue.requests]
    for shorter, longer in itertools.pairwise(without_marks(bodies)):
        assert longer["input"][: len(shorter["input"])] == shorter["input"]
        assert {**longer, "input": ()} == {
            **shorter,
            "input": (),
            **{key: longer[key] for key in ("reasoning",) if key in longer},
        }


@given(st.lists(replies(), min_size=1, max_size=3))
@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=50)
def test_a_conversation_with_the_models_own_reasoning_only_grows(answers):
    history = [{"role": "user", "content": "hi"}]
    before: list[dict[str, object]] = []
    for number, events in enumerate(answers):
        running, rest = bridge([encode(events)], message_id=f"msg_{number}")
        content = fold(events_of(running + rest))["content"]
        results = [
            {"type": "tool_result", "tool_use_id": block["id"], "content": "ok"}
            for block in content
            if block["type"] == "tool_use"
        ]
        history = [*history, {"role": "assistant", "content": content}, user(*results, text("go on"))]
        now = items(*history)
        assert now[: len(before)] == before
        before = now


@given(dialogues())
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_every_call_has_its_result_and_every_result_its_call(dialogue):
    rendered = items(*dialogue.requests[-1])
    calls = [item["call_id"] for item in rendered if item["type"] == "function_call"]
    results = [item["call_id"] for item in rendered if item["type"] == "function_call_output"]
    assert calls == results
    assert len(set(calls)) == len(calls)
    assert all(0 < len(call) <= 64 for call in calls)


@given(any_fields, st.sampled_from(sorted(ROWS)))
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_whatever_a_client_sends_is_rendered_or_refused(fields, preset):
    try:
        body, _ = render(preset, **fields)
    except ApiError as error:
        assert 400 <= error.status < 500
    else:
        assert body["store"] is False
        assert body["stream"] is True


@given(replies())
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_what_a_model_said_goes_back_to_it_in_its_order(events):
    running, rest = bridge([encode(events)])
    content = fold(events_of(running + rest))["content"]
    rendered = items({"role": "user", "content": "hi"}, {"role": "assistant", "content": content})[1:]
    shown = [block for block in content if block["type"] != "thinking"]
    told = [
        item for item in rendered if item["type"] in {"message", "function_call"} and item.get("role") != "user"
    ]
    assert [item.get("content") or json.loads(item["arguments"]) for item in told] == [
        block["text"] if block["type"] == "text" else block["input"]
        for block in shown
        if block["type"] != "text" or block["text"].strip()
    ]
    for item, following in itertools.pairwise([*rendered, None]):
        if item["type"] == "reasoning":
            assert following is not None
            assert following["type"] in {"reasoning", "message", "function_call"}
            assert following.get("role") != "user"


# Reasoning on its way back


def said(*blocks_of_items, **how):
    """What the client carries of a reply."""
    running, rest = bridge([encode(whole(*blocks_of_items))], **how)
    return fold(events_of(running + rest))["content"]


def test_reasoning_goes_back_in_its_parts_in_front_of_what_followed():
    content = said(reasoning("one", "two", encrypted="E"), message("hi", phase="final_answer"))
    assert items(user(text("q")), assistant(*content))[1:] == [
        {
            "type": "reasoning",
            "summary": [{"type": "summary_text", "text": "one"}, {"type": "summary_text", "text": "two"}],
            "encrypted_content": "E",
        },
        {"type": "message", "role": "assistant", "content": "hi", "phase": "final_answer"},
    ]


def test_a_phase_goes_back_with_each_text_of_its_message_and_no_other():
    content = said(message("a", "b", phase="commentary"), message("c", identity="msg_b"))
    told = items(user(text("q")), assistant(*content))[1:]
    assert [(item["content"], item.get("phase")) for item in told] == [
        ("a", "commentary"),
        ("b", "commentary"),
        ("c", None),
    ]


def test_reasoning_in_the_open_goes_back_as_such():
    content = said(reasoning(texts=["thought"]), message("hi"))
    assert items(user(text("q")), assistant(*content))[1] == {
        "type": "reasoning",
        "summary": [],
        "content": [{"type": "reasoning_text", "text": "thought"}],
        "id": "rs_a",
    }


def test_a_mere_summary_does_not_go_back():
    content = said(reasoning("one"), message("hi"))
    assert [item["type"] for item in items(user(text("q")), assistant(*content))] == ["message", "message"]


def test_reasoning_that_nothing_followed_stays_out():
    content = said(reasoning("one", encrypted="E"))
    body, changes = render(messages=[user(text("q")), assistant(*content), user(text("go on"))])
    assert [item["type"] for item in body["input"]] == ["message", "message"]
    assert "thinking: without anything that followed it left out" in changes


@pytest.mark.parametrize(("provider", "model"), [("elsewhere", "m"), ("there", "other")])
def test_reasoning_goes_back_to_nobody_but_its_maker(provider, model):
    signature = sign(Origin(provider, model, {"f": "responses", "p": [], "e": "SECRET"}))
    block = {"type": "thinking", "thinking": "", "signature": signature}
    body, changes = render(messages=[user(text("q")), assistant(block, text("a"))])
    assert "SECRET" not in json.dumps(body)
    assert "thinking: of another model, left out" in changes


def test_a_summary_that_is_not_what_was_cut_stays_in_one_piece():
    [block, hi] = said(reasoning("one", "two", encrypted="E"), message("hi"))
    item = items(user(text("q")), assistant({**block, "thinking": "changed"}, hi))[1]
    assert item["summary"] == [{"type": "summary_text", "text": "changed"}]


# Parts


def test_pictures_and_files_are_shown_inside_results_too():
    [_, _, result] = items(
        user(text("q")),
        assistant({"type": "tool_use", "id": "t1", "name": "Read", "input": {}}),
        user({"type": "tool_result", "tool_use_id": "t1", "content": [text("a"), IMAGE, PDF]}),
    )
    assert [part["type"] for part in result["output"]] == ["input_text", "input_image", "input_file"]
    assert result["output"][1]["image_url"] == "data:image/png;base64,iVBORw0KGgo="
    assert result["output"][2]["filename"] == "document.pdf"
    assert (
        base64.b64decode(result["output"][2]["file_data"].removeprefix("data:application/pdf;base64,")) == b"%PDF-"
    )


def test_what_a_model_cannot_see_leaves_its_place_in_words():
    for how in ({"preset": "small"}, {"models": (Model("m", vision=False),), "quirks": {"files": False}}):
        body, changes = render(messages=[user(IMAGE, PDF)], **how)
        assert [part["type"] for part in body["input"][0]["content"]] == ["input_text", "input_text"]
        assert {
            "image: left out, the model takes only text",
            "document: left out, the backend takes no such file",
        } <= set(changes)


def test_a_model_that_is_known_not_to_think_is_not_asked_to():
    wanted = {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}
    body, changes = render(models=(Model("m", thinking=False),), **wanted)
    assert "reasoning" not in body
    assert "reasoning.encrypted_content" not in body.get("include", [])
    assert "thinking: not asked for, the model can't" in changes
    assert "reasoning" in render(**wanted)[0]


def test_an_error_is_told_as_one():
    [_, _, result] = items(
        user(text("q")),
        assistant({"type": "tool_use", "id": "t1", "name": "Read", "input": {}}),
        user({"type": "tool_result", "tool_use_id": "t1", "content": "no such file", "is_error": True}),
    )
    assert result["output"] == "[error]\n\nno such file"


def test_a_system_message_in_mid_conversation_keeps_its_place_and_role():
    messages = [user(text("q")), {"role": "system", "content": "be brief"}]
    assert [item["role"] for item in items(*messages)] == ["user", "developer"]
    [_, told] = items(*messages, preset="small")
    assert (told["role"], told["content"][0]["text"]) == (
        "user",
        "<system-reminder>\nbe brief\n</system-reminder>",
    )


# Thinking


@pytest.mark.parametrize(
    ("fields", "asked"),
    [
        ({}, None),
        ({"thinking": {"type": "disabled"}}, {"effort": "none"}),
        ({"thinking": {"type": "adaptive"}}, {"summary": "auto"}),
        (
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "xhigh"}},
            {"effort": "xhigh", "summary": "auto"},
        ),
        (
            {"thinking": {"type": "adaptive", "display": "omitted"}, "output_config": {"effort": "low"}},
            {"effort": "low"},
        ),
        ({"thinking": {"type": "enabled", "budget_tokens": 2048}}, {"effort": "low", "summary": "auto"}),
        ({"output_config": {"effort": "max"}}, {"effort": "max"}),
    ],
)
def test_how_much_to_think_is_asked_for(fields, asked):
    assert render(**fields)[0].get("reasoning") == asked


def test_a_model_that_does_not_reason_is_not_asked_about_it():
    body, _ = render(model="gpt-4.1", thinking={"type": "adaptive"})
    assert "reasoning" not in body
    assert "include" not in body


def test_a_model_is_asked_in_the_words_that_it_has():
    quirks = {"model_efforts": (("m", ("medium", "high")), ("m-plain", ()))}
    off, most = {"thinking": {"type": "disabled"}}, {"output_config": {"effort": "max"}}
    assert render(quirks=quirks, **off)[0]["reasoning"] == {"effort": "medium"}
    assert render(quirks=quirks, **most)[0]["reasoning"] == {"effort": "high"}
    body, changes = render(model="m-plain-2", quirks=quirks, **most)
    assert "reasoning" not in body
    assert body["include"] == ["reasoning.encrypted_content"]
    assert "thinking: left to the backend" in changes


def test_the_weakest_effort_stands_for_none_where_thinking_cannot_be_switched_off():
    assert render("chatgpt", thinking={"type": "disabled"})[0]["reasoning"] == {"effort": "low"}


# Tools

BASH = {
    "name": "Bash",
    "description": "Runs",
    "input_schema": {"type": "object", "properties": {"c": {"type": "string"}}},
}


def choice(value, preset="there", tools=(BASH,)):
    body, changes = render(preset, tools=list(tools), tool_choice=value)
    return body.get("tool_choice"), len(body["tools"]), changes


def test_tools_say_that_they_are_not_strict():
    assert render(tools=[BASH])[0]["tools"] == [
        {
            "type": "function",
            "name": "Bash",
            "description": "Runs",
            "parameters": BASH["input_schema"],
            "strict": False,
        }
    ]


def test_a_tool_is_strict_only_where_its_schema_allows_it():
    closed = {
        "type": "object",
        "properties": {"c": {"type": "string"}},
        "required": ["c"],
        "additionalProperties": False,
    }
    assert render(tools=[{**BASH, "input_schema": closed, "strict": True}])[0]["tools"][0]["strict"] is True
    assert render(tools=[{**BASH, "strict": True}])[0]["tools"][0]["strict"] is False


def test_parameters_are_always_a_plain_object():
    odd = {**BASH, "input_schema": {"anyOf": [{"type": "object"}], "description": "d"}}
    assert render(tools=[odd])[0]["tools"][0]["parameters"] == {
        "type": "object",
        "properties": {},
        "description": "d",
    }


def test_a_schema_at_which_all_would_be_refused_is_mended_and_said():
    odd = {"type": "object", "properties": {"a": {"type": "string", "pattern": r"\p{L}"}, "b": {"type": "array"}}}
    mended = {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "array", "items": {}}}}
    body, changes = render(
        tools=[{**BASH, "input_schema": odd}, {**BASH, "name": "Other", "input_schema": odd}],
        output_config={"format": {"type": "json_schema", "schema": odd}},
    )
    assert [each["parameters"] for each in body["tools"]] == [mended, mended]
    assert body["text"]["format"]["schema"] == mended
    for words in ("a pattern that the backend can't read left out", "items added to an array without"):
        assert f"tools: {words} (2 times)" in changes
        assert f"output_config.format: {words}" in changes


@pytest.mark.parametrize("key", ["anyOf", "oneOf", "allOf"])
def test_a_choice_of_parameters_is_offered_as_all_of_them_and_said(key):
    forms = [{"properties": {"a": {"type": "string"}}}, {"$ref": "#/$defs/B"}]
    defined = {"$defs": {"B": {"type": "object", "properties": {"b": {"type": "integer"}}}}}
    body, changes = render(tools=[{**BASH, "input_schema": {key: forms, **defined}}])
    assert body["tools"][0]["parameters"] == {
        "type": "object",
        "properties": {"a": {"type": "string"}, "b": {"type": "integer"}},
        **defined,
    }
    assert "tools: parameters that are a choice or a reference told as one list" in changes
    assert not any(each.startswith("tools") for each in render(tools=[BASH])[1])


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        ({"type": "auto"}, "auto"),
        ({"type": "any"}, "required"),
        ({"type": "none"}, "none"),
        ({"type": "tool", "name": "Bash"}, {"type": "function", "name": "Bash"}),
        (None, "auto"),
    ],
)
def test_every_tool_choice_has_its_form(value, sent):
    assert choice(value)[0] == sent


def test_a_tool_choice_that_a_backend_lacks_is_put_otherwise_and_said():
    read_tool = {**BASH, "name": "Read"}
    assert choice({"type": "tool", "name": "Bash"}, "small", (BASH, read_tool))[:2] == ("required", 1)
    assert choice({"type": "none"}, "small")[:2] == (None, 0)
    sent, count, changes = choice({"type": "any"}, "chatgpt")
    assert (sent, count) == ("auto", 1)
    assert "tool_choice: any -> auto, the backend forces no calls" in changes


def test_a_forced_tool_that_is_not_there_is_refused():
    assert (
        refused(tools=[BASH], tool_choice={"type": "tool", "name": "Nope"})
        == "tool_choice: there is no tool 'Nope' among the tools"
    )


@pytest.mark.parametrize("fields", [{}, {"tools": [BASH], "tool_choice": {"type": "none"}}])
def test_a_backend_that_wants_all_of_it_is_told_of_tools_where_there_are_none(fields):
    body, _ = render("chatgpt", quirks={"tools_always": True}, **fields)
    assert (body["tools"], body["tool_choice"], body["parallel_tool_calls"]) == ([], "auto", True)
    assert not render("chatgpt", **fields)[0].keys() & {"tool_choice", "parallel_tool_calls"}


def test_parallel_calls_are_said_either_way():
    assert render(tools=[BASH])[0]["parallel_tool_calls"] is True
    forbidden = {"type": "auto", "disable_parallel_tool_use": True}
    assert render(tools=[BASH], tool_choice=forbidden)[0]["parallel_tool_calls"] is False
    body, changes = render("small", tools=[BASH], tool_choice=forbidden)
    assert "parallel_tool_calls" not in body
    assert "tool_choice: disable_parallel_tool_use dropped" in changes


SEARCH = {"type": "web_search_20250305", "name": "web_search", "max_uses": 8}


def test_the_clients_search_becomes_the_backends():
    body, changes = render(tools=[{**SEARCH, "allowed_domains": ["a.example"]}], tool_choice={"type": "auto"})
    assert body["tools"] == [{"type": "web_search", "filters": {"allowed_domains": ["a.example"]}}]
    assert "web_search_call.action.sources" in body["include"]
    assert "tools: max_uses of the search dropped" in changes


@pytest.mark.parametrize(
    ("preset", "model"), [("openai", "gpt-5"), ("codex", "gpt-5"), ("azure", "gpt-5"), ("xai", "grok-4")]
)
def test_who_searches_is_asked_to_in_words_that_go_with_it(preset, model):
    row = PRESETS[preset]
    to = Target(Provider(name=preset, preset=row, base_url="https://x.example"), model)
    asked = request(tools=[SEARCH], thinking={"type": "disabled"})
    body = json.loads(responses_request.render(asked, to, [], "", "messages").body)
    assert body["tools"] == [{"type": "web_search"}]
    assert body.get("reasoning") == (None if preset == "xai" else {"effort": "low"})


def test_a_search_that_is_forced_is_the_only_tool():
    body, _ = render(tools=[BASH, SEARCH], tool_choice={"type": "tool", "name": "web_search"})
    assert (body["tools"], body["tool_choice"]) == ([{"type": "web_search"}], "required")


def test_a_search_that_cannot_be_run_is_refused_unless_there_is_else_to_do():
    assert refused(preset="small", tools=[SEARCH]).startswith(
        "capability_rejected: server_tools: small can't run the tool web_search"
    )
    assert "blocked_domains" in refused(tools=[{**SEARCH, "blocked_domains": ["a.example"]}])
    body, changes = render("small", tools=[BASH, SEARCH])
    assert [tool["name"] for tool in body["tools"]] == ["Bash"]
    assert "tools: web_search (web_search_20250305) left out, the backend can't run it" in changes


# Limits and the rest


def test_max_tokens_keeps_to_what_the_backend_takes():
    models = (Model("m", max_output=128_000),)
    for asked, sent in ((5, 16), (100, 100), (500_000, 128_000)):
        assert render(max_tokens=asked, models=models)[0]["max_output_tokens"] == sent
    body, changes = render("chatgpt", max_tokens=100)
    assert "max_output_tokens" not in body
    assert "max_tokens: dropped, the backend sets its own limit" in changes


def test_chatgpts_backend_gets_nothing_that_it_refuses():
    body, _ = render("chatgpt", temperature=1, top_p=0.5, tools=[BASH], metadata={"user_id": "u"})
    assert sorted(body) == [
        "include",
        "input",
        "instructions",
        "model",
        "parallel_tool_calls",
        "prompt_cache_key",
        "store",
        "stream",
        "tool_choice",
        "tools",
    ]
    assert render("chatgpt")[0]["tools"] == []  # and what it wants to have


def test_instructions_are_there_even_if_there_are_none():
    assert render()[0]["instructions"] == ""
    assert render(system=[text("a"), text("b")])[0]["instructions"] == "a\n\nb"


CACHED = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
BREAK = {"prompt_cache_breakpoint": {"mode": "explicit"}}


def test_the_system_prompt_is_an_item_where_it_can_carry_marks():
    body, _ = render("marked", system=[{**text("a"), **CACHED}, text("b")])
    assert "instructions" not in body
    assert "prompt_cache_options" not in body
    assert body["input"][0] == {
        "type": "message",
        "role": "developer",
        "content": [{"type": "input_text", "text": "a", **BREAK}, {"type": "input_text", "text": "b"}],
    }
    assert [item["role"] for item in render("marked")[0]["input"]] == ["user"]
    assert refused(preset="marked", system="a", messages=[]).startswith("messages: at least one")


def test_marks_stand_on_parts_and_change_nothing_else():
    def told(**mark):
        call = {"type": "tool_use", "id": "t1", "name": "Read", "input": {}}
        result = {"type": "tool_result", "tool_use_id": "t1", "content": "x", **mark}
        return items(user(text("q")), assistant(call), user(result, {**PDF, **mark}), preset="marked")

    marked = told(**CACHED)
    assert marked[2]["output"] == [{"type": "input_text", "text": "x", **BREAK}]
    assert marked[3]["content"][0] == {**marked[3]["content"][0], "type": "input_file", **BREAK}
    assert without_marks(marked) == told()
    assert "prompt_cache_breakpoint" not in json.dumps(items(user({**text("q"), **CACHED})))


def test_more_than_a_model_can_say_is_not_asked_for():
    assert render(max_tokens=32_000, models=(Model("m", max_output=8192),))[0]["max_output_tokens"] == 8192
    body, changes = render(max_tokens=32_000, models=(Model("m", window=20_000),))
    assert 15_000 < body["max_output_tokens"] < 20_000
    assert f"max_tokens: 32000 -> {body['max_output_tokens']}" in changes


def test_an_answer_in_a_given_form_is_asked_for_or_refused():
    form = {
        "type": "object",
        "properties": {"title": {"type": "string"}},
        "required": ["title"],
        "additionalProperties": False,
    }
    wanted = {"format": {"type": "json_schema", "schema": form}}
    assert render(output_config=wanted)[0]["text"] == {
        "format": {"type": "json_schema", "name": "answer", "schema": form, "strict": True}
    }
    # The client's own rule of where the name of a class ends.
    assert re.match(
        r"capability_rejected: structured_outputs_unsupported(?![A-Za-z0-9_:.-])",
        refused(preset="small", output_config=wanted),
    )


def key(headers=(), **fields):
    return render(headers=headers, **fields)[0].get("prompt_cache_key")


def test_the_cache_key_is_that_of_session_and_agent():
    one, other = {"user_id": "a"}, {"user_id": "b"}
    agent = [(b"x-claude-code-agent-id", b"7")]
    assert key(metadata=one) == key(metadata=one, system="else")
    assert (
        len(
            {
                key(metadata=one),
                key(metadata=other),
                key(agent, metadata=one),
                key([(b"x-claude-code-session-id", b"s")]),
            }
        )
        == 4
    )
    assert len(key(metadata=one)) <= 64
    assert key() is None


def test_verdicts_on_safety_are_refused():
    assert refused(safeguards={}).startswith("safeguards: Extra inputs are not permitted")


def test_no_header_of_the_client_goes_on_but_its_name():
    out = responses_request.render(
        request(),
        target(),
        [(b"authorization", b"Bearer x"), (b"user-agent", b"claude-cli/2"), (b"anthropic-beta", b"b")],
        "",
        "messages",
    )
    assert out.headers == [
        (b"content-type", b"application/json"),
        (b"accept", b"text/event-stream"),
        (b"accept-encoding", b"identity"),
        (b"user-agent", b"claude-cli/2"),
    ]


def test_an_endpoint_that_the_wire_lacks_is_not_found():
    with pytest.raises(ApiError) as caught:
        responses_request.render(request(), target(), [], "", "count_tokens")
    assert caught.value.status == 404


# The SDK's types


@given(
    dialogues(),
    st.sampled_from(sorted(ROWS)),
    st.sampled_from([None, {"type": "any"}, {"type": "tool", "name": "Bash"}]),
    st.booleans(),
)
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_every_request_has_the_types_of_openais_sdk(dialogue, preset, forced, searching):
    body_type, item_type, tool_type = _types()
    tools = [*TOOLS, SEARCH] if searching else TOOLS
    fields = {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}, "metadata": {"user_id": "u"}}
    body, _ = render(preset, messages=dialogue.requests[-1], tools=tools, tool_choice=forced, **fields)
    assert set(body) <= _MEMBERS
    body_type.validate_python(body)
    for tool in body["tools"]:
        tool_type.validate_python(tool)
    for item in body["input"]:
        # The SDK asks for the id of a reasoning item. Where nothing is stored, it would only be looked for in vain.
        item_type.validate_python({"id": "rs_1", **item} if item["type"] == "reasoning" else item)


def test_the_types_of_openais_sdk_tell_right_from_wrong():
    _, item_type, tool_type = _types()
    for adapter, wrong in (
        (item_type, {"type": "function_call", "call_id": "c", "name": "n", "arguments": {}}),
        (
            item_type,
            {"type": "function_call_output", "call_id": "c", "output": [{"type": "output_text", "text": "t"}]},
        ),
        (tool_type, {"type": "function", "name": "n", "parameters": {}}),
    ):
        with pytest.raises(ValueError):
            adapter.validate_python(wrong)


#: The members of a request, of openai 3.52.0: its types let others pass.
_MEMBERS = frozenset(
    [
        "background",
        "context_management",
        "conversation",
        "include",
        "input",
        "instructions",
        "max_output_tokens",
        "max_tool_calls",
        "metadata",
        "model",
        "parallel_tool_calls",
        "previous_response_id",
        "prompt",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "reasoning",
        "safety_identifier",
        "service_tier",
        "store",
        "stream",
        "stream_options",
        "temperature",
        "text",
        "tool_choice",
        "tools",
        "top_logprobs",
        "top_p",
        "truncation",
        "user",
    ]
)


@functools.cache
def _types():
    pytest.importorskip("openai")
    from openai.types.responses import ResponseInputItemParam, ToolParam
    from openai.types.responses.response_create_params import ResponseCreateParamsStreaming
    from pydantic import TypeAdapter

    return TypeAdapter(ResponseCreateParamsStreaming), TypeAdapter(ResponseInputItemParam), TypeAdapter(ToolParam)
