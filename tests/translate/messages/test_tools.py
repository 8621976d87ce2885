"""What a target of the Messages lane gets of the tools."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

from ccrouter.errors import ApiError
from ccrouter.providers.presets import PRESETS
from ccrouter.providers.provider import Target
from ccrouter.translate.messages import lane
from ccrouter.wire.messages import read_request
from tests.rig import provider
from tests.translate.test_plain_schemas import ANY, assert_llamacpp_takes, tool_schemas

#: Whose Messages endpoints make grammars of schemas, and everybody else.
GRAMMAR = ["ollama", "ollama-cloud", "lmstudio", "llamacpp"]
OTHERS = sorted(
    name for name, row in PRESETS.items() if row.messages_path and row.transport == "http" and name not in GRAMMAR
)
MESSAGES = json.dumps([{"role": "user", "content": "hi"}])


def put(name: str, tools: str, choice: str = '{"type": "auto"}') -> tuple[str, tuple[str, ...]]:
    """The tools as a preset's endpoint gets them, in its very characters, and what changed of the request."""
    target = Target(provider(name, wire="messages"), "m")
    begin, end = (
        '{"model": "m", "max_tokens": 9, "tools": ',
        f', "tool_choice": {choice}, "messages": {MESSAGES}}}',
    )
    outbound = lane.render(read_request(f"{begin}{tools}{end}".encode()), target, [], "", "messages")
    sent = outbound.body.decode()
    assert sent.startswith(begin)
    assert sent.endswith(end)
    return sent.removeprefix(begin).removesuffix(end), outbound.changes


def tool(schema: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": "mcp__x__put", "description": "d", "input_schema": schema, **more}


@pytest.mark.parametrize("name", GRAMMAR)
def test_of_tools_only_the_schema_is_written_anew_that_has_true_in_it(name: str) -> None:
    fine = '{ "name": "Bash" ,"input_schema": {"type": "object", "additionalProperties": false, "x": 1.0} }'
    given_ = (
        f'[ {fine} , {{"name":"put","input_schema":{{"type": "object","properties":{{"v": true}}}}}} ,{fine} ]'
    )
    any_value = json.dumps(ANY, separators=(",", ":"))
    written = f'{{"name":"put","input_schema":{{"type":"object","properties":{{"v":{any_value}}}}}}}'
    sent, changes = put(name, given_)
    assert sent == f"[ {fine} , {written} ,{fine} ]"
    assert changes == ("tools: true or false for a schema spelled out",)
    assert put(name, sent) == (sent, ())


@pytest.mark.parametrize("name", OTHERS)
def test_who_knows_schemas_gets_tools_as_they_came(name: str) -> None:
    properties = {"v": True, "w": {"pattern": r"\d"}}
    tools = json.dumps([tool({"type": "object", "properties": properties}, cache_control={"type": "ephemeral"})])
    assert put(name, tools) == (tools, ())


@given(tool_schemas)
def test_tools_are_taken_whatever_legal_schema_they_have(schema: dict[str, Any]) -> None:
    tools = json.dumps([tool({"type": "object", "properties": {"v": False}}), tool(schema)])
    for name in GRAMMAR:
        sent, changes = put(name, tools)
        found = json.loads(sent)
        for each in found:
            assert_llamacpp_takes(each["input_schema"])
        assert (found[1] == tool(schema)) is (changes == ("tools: true or false for a schema spelled out",))
        assert put(name, sent) == (sent, ())


@pytest.mark.parametrize("tools", ["null", "[]", "5", '"x"', "[null, 5, {}]", '[{"input_schema": true}]'])
def test_what_are_no_tools_is_left_alone(tools: str) -> None:
    for name in GRAMMAR:
        assert put(name, tools) == (tools, ())


SEARCH = '{"type": "web_search_20250305", "name": "web_search", "max_uses": 8}'
EXECUTION = '{"type":"code_execution_20250825","name":"code_execution"}'
BASH = '{"name": "Bash", "input_schema": {"type": "object"}, "type": "custom"}'
#: Anthropic's own words for tools that the client runs, with a schema and without.
EDITOR = '{"type": "text_editor_20250728", "name": "edit", "input_schema": {"type": "object"}}'
PLACEHOLDER = '{"name": "DeferredToolPlaceholder", "input_schema": {"type": "object"}, "defer_loading": true}'

#: Preset -> what its endpoint runs of `SEARCH` and `EXECUTION`.
RUNNING = {"ollama": [SEARCH], "ollama-cloud": [SEARCH], "llamacpp": []}


@pytest.mark.parametrize(("name", "runs"), RUNNING.items())
@pytest.mark.parametrize("tool", [SEARCH, EXECUTION])
def test_a_tool_that_the_server_can_not_run_is_refused_alone_and_left_out_beside_others(
    name: str, runs: list[str], tool: str
) -> None:
    called = json.loads(tool)["name"]
    forced = json.dumps({"type": "tool", "name": called})
    if tool in runs:
        for choice in ('{"type": "auto"}', forced):
            assert put(name, f"[{tool}, {BASH}]", choice) == (f"[{tool}, {BASH}]", ())
            assert put(name, f"[{tool}]", choice) == (f"[{tool}]", ())
        return
    sent, (told,) = put(name, f"[{BASH} , {tool},{EDITOR}]")
    assert sent == f"[{BASH},{EDITOR}]"
    assert told.startswith(f"tools: {called} (")
    assert put(name, f"[{tool} , {BASH}]")[0] == f"[{BASH}]"
    assert put(name, f"[{tool}]", '{"type": "none"}')[0] == "[]"
    for tools, choice in ((f"[{tool}]", '{"type": "auto"}'), (f"[{BASH}, {tool}]", forced)):
        with pytest.raises(ApiError, match=f"capability_rejected: server_tools: .* {called} ") as caught:
            put(name, tools, choice)
        assert (caught.value.status, caught.value.kind) == (400, "invalid_request_error")


@pytest.mark.parametrize("name", RUNNING)
def test_what_only_stands_in_for_tools_is_offered_to_nobody_who_would_call_it(name: str) -> None:
    told = ("tools: the placeholder for deferred ones left out",)
    assert put(name, f"[{BASH}, {PLACEHOLDER}]") == (f"[{BASH}]", told)
    with pytest.raises(ApiError, match="server_tools"):
        put(name, f"[{PLACEHOLDER}, {EXECUTION}]")  # no other tool


@pytest.mark.parametrize("name", sorted({*OTHERS} - {*RUNNING}))
def test_of_whom_it_is_not_known_what_he_runs_he_gets_all_tools(name: str) -> None:
    tools = f"[{SEARCH}, {PLACEHOLDER}, {EXECUTION}]"
    assert put(name, tools) == (tools, ())


def test_tools_are_left_out_and_written_anew_in_one_request() -> None:
    schema = '{"name":"put","input_schema":{"properties":{"v":%s}}}'
    sent, changes = put("llamacpp", f"[{SEARCH}, {schema % 'true'}, {PLACEHOLDER},{BASH}]")
    assert sent == f"[{schema % json.dumps(ANY, separators=(',', ':'))},{BASH}]"
    assert len(changes) == 3
