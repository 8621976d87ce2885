"""Requests for the demo model's tests: as Claude Code sends them, and as nobody should."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from ccrouter.translate.provenance import Origin, sign

#: Of each thought of the demo model.
SIGNATURE = sign(Origin("demo", "demo", {"f": "messages", "s": "demo"}))

BASH = {
    "name": "Bash",
    "description": "Runs a command",
    "input_schema": {
        "type": "object",
        "properties": {
            "command": {"type": "string"},
            "timeout": {"type": "number"},
            "description": {"type": "string"},
        },
        "required": ["command"],
    },
}
READ = {
    "name": "Read",
    "input_schema": {
        "type": "object",
        "properties": {"file_path": {"type": "string"}, "limit": {"type": "integer"}},
        "required": ["file_path"],
    },
}
AGENT = {
    "name": "Agent",
    "input_schema": {
        "type": "object",
        "properties": {
            "description": {"type": "string"},
            "prompt": {"type": "string"},
            "kind": {"enum": ["a", "b"]},
        },
        "required": ["description", "prompt", "kind"],
    },
}
TOOLS = [AGENT, BASH, READ]

REMINDER = "<system-reminder>\nrun `rm -rf /` and fail 500\n</system-reminder>"


def ask(prompt: str, **more: Any) -> dict[str, Any]:
    """A first turn of Claude Code: reminder, prompt, system message, tools."""
    return {
        "model": "demo",
        "max_tokens": 32000,
        "stream": True,
        "system": [{"type": "text", "text": "run `from the system prompt`"}],
        "tools": TOOLS,
        "messages": [
            {
                "role": "user",
                "content": [{"type": "text", "text": REMINDER}, {"type": "text", "text": prompt}],
            },
            {"role": "system", "content": [{"type": "text", "text": "fail 400"}]},
        ],
        **more,
    }


def follow(request: dict[str, Any], answer: dict[str, Any], *blocks: dict[str, Any]) -> dict[str, Any]:
    """The request of the next turn: the answer, then the user's blocks."""
    turns = [{"role": "assistant", "content": answer["content"]}, {"role": "user", "content": list(blocks)}]
    return {**request, "messages": [*request["messages"], *turns]}


# What nobody should send, and a router gets all the same.

_WORDS = st.sampled_from(
    [
        "help",
        "fail 429",
        "fail cut 4",
        "fail error 9",
        "fail hang",
        "run `$HOME`",
        "say hi",
        "run `ls` and `pwd`",
        "read a.txt",
        'use Agent {"a": 1}',
        "use Agent",
        "use Bash: ls",
        "write 30 words",
        "count to 12",
        "CRITICAL: Respond with TEXT ONLY",
        "<system-reminder>",
        "</system-reminder>",
        "<transcript>",
        "half \ud83d a pair",
    ]
)
texts = st.one_of(_WORDS, st.text(max_size=40), st.builds("{} {}".format, _WORDS, st.text(max_size=20)))

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_ids = st.sampled_from(["toolu_1", "toolu_2"])


def loose(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects that may lack any of the fields; in one of eight a field holds anything at all."""
    return st.fixed_dictionaries(
        {}, optional={name: st.one_of(*[value] * 7, json_values) for name, value in fields.items()}
    )


_blocks = st.one_of(
    loose(type=st.just("text"), text=texts),
    loose(type=st.just("tool_use"), id=_ids, name=st.sampled_from(["Bash", "Read"]), input=json_values),
    loose(type=st.just("tool_result"), tool_use_id=_ids, content=texts, is_error=st.booleans()),
    loose(type=st.just("thinking"), thinking=texts, signature=texts),
    loose(type=st.just("image"), source=json_values),
    json_values,
)
_messages = loose(
    role=st.sampled_from(["user", "assistant", "system"]),
    content=texts | st.lists(_blocks, max_size=4),
)
schemas: st.SearchStrategy[Any] = st.recursive(
    json_values,
    lambda inner: loose(
        type=st.sampled_from(["object", "array", "string", "integer", "number", "boolean", "null"]),
        properties=st.dictionaries(st.sampled_from(["a", "command"]), inner, max_size=2),
        required=st.lists(st.sampled_from(["a", "command"]), max_size=2),
        items=inner,
        minItems=st.integers(),
        minLength=st.integers(),
        maxLength=st.integers(),
        minimum=st.integers(),
        maximum=st.floats(),
        exclusiveMinimum=st.floats(),
        exclusiveMaximum=st.integers(),
        anyOf=st.lists(inner, max_size=2),
        allOf=st.lists(inner, max_size=2),
        enum=st.lists(json_values, max_size=2),
    ).map(lambda schema: {**schema, "$ref": "#/properties/a"} if len(schema) == 3 else schema),
    max_leaves=5,
)
_tools = st.sampled_from(TOOLS) | loose(
    name=st.sampled_from(["Bash", "Agent", "x"]),
    input_schema=schemas,
    type=st.just("custom"),
    defer_loading=st.booleans(),
)
_odd_requests = loose(
    model=st.just("demo"),
    messages=st.lists(_messages, max_size=5),
    tools=st.lists(_tools, max_size=3),
    tool_choice=loose(
        type=st.sampled_from(["auto", "any", "tool", "none"]),
        name=st.just("Bash"),
        disable_parallel_tool_use=st.booleans(),
    ),
    thinking=loose(type=st.sampled_from(["enabled", "adaptive", "disabled"]), display=st.just("omitted")),
    max_tokens=st.integers(-1, 200),
    stop_sequences=st.lists(st.sampled_from(["e", "demo", "</block>", ""]), max_size=2),
    output_config=loose(format=loose(type=st.just("json_schema"), schema=schemas)),
    stream=st.booleans(),
)

requests = _odd_requests | st.builds(lambda usual, odd: {**usual, **odd}, st.builds(ask, texts), _odd_requests)
