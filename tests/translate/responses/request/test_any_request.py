"""What holds for any request; with the types of OpenAI's SDK."""

from __future__ import annotations

import functools
import itertools
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ccrouter.errors import ApiError
from ccrouter.wire.fold import fold
from tests.translate.dialogues import TOOLS, any_fields, dialogues, without_marks
from tests.translate.responses.request.rendered import SEARCH, items, render, text, user
from tests.translate.responses_wire import ROWS, bridge, encode, events_of, replies

# What is rendered


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
