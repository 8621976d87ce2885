"""Conversations as Claude Code holds them, for the properties of what bridges render.

A dialogue grows turn by turn. Between two requests the client moves its cache marks, says a content once as a string
and once as a list, and gives results in another order than that of their calls.
"""

from __future__ import annotations

import copy
from typing import Any

from attrs import frozen
from hypothesis import strategies as st

from ccrouter.translate.provenance import Origin, sign

IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}
PDF = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}}
TOOLS: list[dict[str, Any]] = [
    {"name": "Bash", "description": "Runs a command", "input_schema": {"type": "object", "properties": {}}},
    {
        "name": "mcp__a.server__" + "read" * 20,
        "input_schema": {"type": "object", "properties": {"p": {"type": ["string", "null"]}}},
        "defer_loading": True,
    },
]

words = st.sampled_from(["hi", "é 😀", "two\nlines", '{"a": 1}', "<system-reminder>\nnote\n</system-reminder>"])
#: Few, so that they come again, and such as differ in nothing but what a wire doesn't take.
call_ids = st.sampled_from(["call_0", "a.b", "a:b", "", "toolu_01", "x" * 80, "x" * 81, "Abc123xyz"])
_blocks = words.map(lambda word: {"type": "text", "text": word})
_shown = st.one_of(_blocks, _blocks, st.sampled_from([IMAGE, PDF]))


@frozen
class Dialogue:
    """``requests[n]`` are the messages of the n-th request."""

    requests: list[list[dict[str, Any]]]


@st.composite
def _thinking(draw: st.DrawFn, calls: list[str]) -> dict[str, Any]:
    payload = draw(
        st.sampled_from(
            [
                {"f": "reasoning_content"},
                {"f": "reasoning"},
                {"f": "messages"},
                {"f": "reasoning_details", "d": [{"type": "reasoning.text", "text": "t", "index": 0}]},
                {"f": "content", "d": [{"type": "thinking", "thinking": [{"type": "text", "text": "t"}]}]},
                {"f": "google", "c": dict.fromkeys(calls[:1], "sig")},
                {"f": "google", "c": dict.fromkeys(calls[:1], "sig"), "t": "sig"},
                {"f": "google", "t": "sig"},
                None,
            ]
        )
    )
    ours = sign(Origin(draw(st.sampled_from(["there", "elsewhere"])), "m", payload))
    signature = draw(st.sampled_from([ours, ours[:-1], "EqQBCkYIBBgCKkA", ""]))
    return {"type": "thinking", "thinking": draw(words), "signature": signature}


@st.composite
def _exchange(draw: st.DrawFn, answers: list[str]) -> tuple[list[dict[str, Any]], dict[str, Any], list[str]]:
    """What comes before an answer of the model (results first), the answer, and the calls in it."""
    said: list[dict[str, Any]] = []
    for call in draw(st.permutations(answers)):
        result: dict[str, Any] = {"type": "tool_result", "tool_use_id": call}
        content = draw(st.one_of(st.none(), words, st.lists(_shown, max_size=3)))
        if content is not None:
            result["content"] = content
        if draw(st.booleans()):
            result["is_error"] = draw(st.booleans())
        said.append(result)
    said += draw(st.lists(_shown, max_size=2, min_size=0 if said else 1))
    messages = [{"role": "user", "content": said}]
    for _ in range(draw(st.integers(0, 1))):
        note: dict[str, Any] = {"role": "system", "content": draw(words | st.lists(_blocks, max_size=2))}
        if draw(st.booleans()):
            note["output_config"] = {"effort": draw(st.sampled_from(["low", "max"]))}
        messages.append(note)
    calls = draw(st.lists(call_ids, max_size=3, unique=True))
    content = [draw(_thinking(calls))] if draw(st.booleans()) else []
    content += draw(st.lists(_blocks, max_size=2))
    content += [
        {"type": "tool_use", "id": each, "name": TOOLS[len(each) % 2]["name"], "input": {"n": 1}} for each in calls
    ]
    return messages, {"role": "assistant", "content": content}, calls


def _marked(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A copy with the client's cache mark on its last block."""
    messages = copy.deepcopy(messages)
    content = messages[-1]["content"]
    if isinstance(content, list) and content:
        content[-1]["cache_control"] = {"type": "ephemeral"}
    return messages


def without_marks(value: Any) -> Any:
    """What was rendered, without cache marks in either form.

    They move on with each turn and are no part of the prompt: a prefix is the same prompt with and without them.
    """
    if isinstance(value, list):
        return [without_marks(each) for each in value]
    if isinstance(value, dict):
        marks = ("cache_control", "prompt_cache_breakpoint")
        return {key: without_marks(each) for key, each in value.items() if key not in marks}
    return value


def _flipped(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A copy in which a content of one text is a string, and a string such a list."""
    messages = copy.deepcopy(messages)
    for message in messages:
        match message["content"]:
            case str(text):
                message["content"] = [{"type": "text", "text": text}]
            case [{"type": "text", "text": text}]:
                message["content"] = text
    return messages


@st.composite
def dialogues(draw: st.DrawFn) -> Dialogue:
    """A conversation of up to five requests."""
    history: list[dict[str, Any]] = []
    requests = []
    calls: list[str] = []
    for _ in range(draw(st.integers(2, 5))):
        before, answer, calls = draw(_exchange(calls))
        history = [*history, *before]
        requests.append(_marked(_flipped(history) if draw(st.booleans()) else history))
        history = [*history, answer]
    return Dialogue(requests)


# Anything that JSON can say, with the members and the values that mean something drawn often

_KEYS = (
    "type role content text name id input tool_use_id is_error source data url media_type signature thinking title "
    "tool tool_name definition input_schema output_config effort format schema cache_control budget_tokens "
    "properties items anyOf $ref allOf enum required citations query error_code"
)
_VALUES = (
    "text image document tool_use tool_result thinking redacted_thinking tool_reference search_result tool_addition "
    "server_tool_use web_search_tool_result compaction base64 url content user assistant system enabled disabled "
    "adaptive json_schema auto any tool none object array string Bash web_search_20250305 high #/properties # "
    "web_search \ud800"
)
_MEMBERS = "system max_tokens thinking output_config stop_sequences temperature top_p metadata safeguards context_management"
_keys = st.sampled_from(_KEYS.split()) | st.text(max_size=3)
_values = st.sampled_from(_VALUES.split(" "))
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _values | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_keys, inner, max_size=6),
    max_leaves=30,
)
_messages = st.lists(
    anything
    | st.fixed_dictionaries(
        {
            "role": st.sampled_from(["user", "assistant", "system", "ctx", 1]),
            "content": anything
            | st.lists(
                anything
                | st.fixed_dictionaries(
                    {"type": _values},
                    optional={
                        "id": call_ids,
                        "tool_use_id": call_ids,
                        "name": words,
                        "input": anything,
                        "content": anything,
                        "source": anything,
                        "text": anything,
                        "thinking": anything,
                        "tool": anything,
                        "title": anything,
                    },
                ),
                max_size=4,
            ),
        }
    ),
    max_size=5,
)
_tool_members: dict[str, st.SearchStrategy[Any]] = {
    "name": words | anything,
    "type": st.sampled_from(["custom", "web_search_20250305"]) | anything,
    "description": anything,
    "input_schema": anything,
    "strict": anything,
}
#: The members of a request as a confused or hostile client may send them.
any_fields = st.fixed_dictionaries(
    {"messages": _messages | anything},
    optional=dict.fromkeys(_MEMBERS.split(), anything)
    | {
        "tools": anything | st.lists(st.fixed_dictionaries({}, optional=_tool_members), max_size=4),
        "tool_choice": anything
        | st.fixed_dictionaries(
            {"type": st.sampled_from(["auto", "any", "tool", "none", "tool", "odd"]) | anything},
            optional={"name": words | anything, "disable_parallel_tool_use": st.booleans()},
        ),
    },
)
