"""Tools, the choice among them, and searches."""

from __future__ import annotations

import json

import pytest

from ccrouter.providers.presets import PRESETS
from ccrouter.providers.provider import Provider, Target
from ccrouter.translate.responses import request as responses_request
from tests.translate.responses.request.rendered import BASH, SEARCH, refused, render
from tests.translate.responses_wire import request


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
