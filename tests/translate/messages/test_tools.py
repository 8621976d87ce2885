"""What a target of the Messages lane gets of the tools."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

from ccrouter.providers.presets import PRESETS
from ccrouter.providers.provider import Target
from ccrouter.translate.messages import lane
from ccrouter.wire.messages import read_request
from tests.rig import provider
from tests.translate.test_schema import ANY, assert_llamacpp_takes, tool_schemas

#: Whose Messages endpoints know only objects for schemas, and everybody else.
OBJECTS = ["ollama", "ollama-cloud", "llamacpp"]
OTHERS = sorted(
    name for name, row in PRESETS.items() if row.messages_path and row.transport == "http" and name not in OBJECTS
)
MESSAGES = json.dumps([{"role": "user", "content": "hi"}])


def put(name: str, tools: str) -> tuple[str, tuple[str, ...]]:
    """The tools as a preset's endpoint gets them, in its very characters, and what changed of the request."""
    target = Target(provider(name, wire="messages"), "m")
    begin, end = '{"model": "m", "max_tokens": 9, "tools": ', f', "messages": {MESSAGES}}}'
    outbound = lane.render(read_request(f"{begin}{tools}{end}".encode()), target, [], "", "messages")
    sent = outbound.body.decode()
    assert sent.startswith(begin)
    assert sent.endswith(end)
    return sent.removeprefix(begin).removesuffix(end), outbound.changes


def tool(schema: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": "mcp__x__put", "description": "d", "input_schema": schema, **more}


@pytest.mark.parametrize("name", OBJECTS)
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
    tools = json.dumps([tool({"type": "object", "properties": {"v": True}}, cache_control={"type": "ephemeral"})])
    assert put(name, tools) == (tools, ())


@given(tool_schemas)
def test_tools_are_taken_whatever_legal_schema_they_have(schema: dict[str, Any]) -> None:
    tools = json.dumps([tool({"type": "object", "properties": {"v": False}}), tool(schema)])
    for name in OBJECTS:
        sent, changes = put(name, tools)
        found = json.loads(sent)
        for each in found:
            assert_llamacpp_takes(each["input_schema"])
        assert (found[1] == tool(schema)) is (changes == ("tools: true or false for a schema spelled out",))


@pytest.mark.parametrize("tools", ["null", "[]", "5", '"x"', "[null, 5, {}]", '[{"input_schema": true}]'])
def test_what_are_no_tools_is_left_alone(tools: str) -> None:
    for name in OBJECTS:
        assert put(name, tools) == (tools, ())
