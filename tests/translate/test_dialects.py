"""The table of dialects: every wire has one, and every preset's wires can be rendered by theirs."""

from __future__ import annotations

import json
import re
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.errors import TruncatedStream
from ccrouter.providers.presets import PRESETS
from ccrouter.providers.provider import Model, Target, Wire
from ccrouter.translate import tokens
from ccrouter.translate.dialects import DIALECTS
from ccrouter.wire.claude_code import ATTRIBUTION
from ccrouter.wire.fold import fold
from ccrouter.wire.messages import read_request
from ccrouter.wire.sse import Decoder
from tests.rig import provider, request
from tests.translate.dialogues import IMAGE, PDF

SPOKEN = [(name, wire) for name, row in PRESETS.items() for wire in get_args(Wire) if row.path(wire) is not None]


def test_every_wire_has_a_dialect() -> None:
    assert set(DIALECTS) == set(get_args(Wire))


@pytest.mark.parametrize(("name", "wire"), SPOKEN)
def test_a_request_is_put_to_every_preset_by_each_of_its_wires(name: str, wire: Wire) -> None:
    target = Target(provider(name, wire=wire), "some-model")
    wanted = read_request(request(model="anything", stop_sequences=["a"], thinking={"type": "adaptive"}))
    dialect = DIALECTS[wire]
    outbound = dialect.render(wanted, target, [(b"x-api-key", b"secret")], "beta=true", "messages")
    assert outbound.url.startswith(f"{target.provider.base_url}{target.provider.preset.path(wire)}")
    body = json.loads(outbound.body)
    assert body["model"] == "some-model"
    assert body["stream"] is True
    assert all(value != b"secret" for _, value in outbound.headers)
    stream = dialect.stream(wanted, target, "msg_1")
    with pytest.raises(TruncatedStream):
        stream.close()


@pytest.mark.parametrize(("name", "wire"), [each for each in SPOKEN if PRESETS[each[0]].quirks.schema == "plain"])
def test_no_true_for_a_schema_reaches_who_can_not_read_it(name: str, wire: Wire) -> None:
    schema = {"type": "object", "properties": {"v": True}, "required": ["v"]}
    asked = request(
        tools=[{"name": "put", "input_schema": schema}],
        output_config={"format": {"type": "json_schema", "schema": schema}},
    )
    outbound = DIALECTS[wire].render(
        read_request(asked), Target(provider(name, wire=wire), "m"), [], "", "messages"
    )
    sent = json.loads(outbound.body)
    sent.pop("output_config", None)  # which nobody of them reads
    assert '"v": true' not in json.dumps(sent)
    told = "tools: true or false for a schema spelled out"
    assert (told in outbound.changes) is (wire != "ollama")  # where all of a schema is put in other terms


#: How a system prompt may begin that is no attribution, or is one only as the first of its blocks.
_BEGINNINGS = ("", ATTRIBUTION, ATTRIBUTION.removesuffix(":"), f"{ATTRIBUTION.removesuffix(':')} is what I debug")


@pytest.mark.parametrize("wire", DIALECTS)
@given(beginnings=st.lists(st.sampled_from(_BEGINNINGS), min_size=1, max_size=3), joined=st.booleans())
def test_what_is_counted_of_a_system_prompt_is_what_is_sent(
    wire: Wire, beginnings: list[str], joined: bool
) -> None:
    texts = [f"{beginning} word{place}" for place, beginning in enumerate(beginnings)]
    system = "".join(texts) if joined else [{"type": "text", "text": each} for each in texts]
    wanted = read_request(request(model="m", system=system))
    target = Target(provider(wire, wire=wire), "m")
    sent = DIALECTS[wire].render(wanted, target, [], "", "messages").body.decode()
    counted = " ".join(tokens.texts_of(wanted.fields))
    assert re.findall(r"word\d", sent) == re.findall(r"word\d", counted)
    assert sent.count(ATTRIBUTION) == counted.count(ATTRIBUTION)


BRIDGES = [wire for wire, dialect in DIALECTS.items() if dialect.translates]

#: Two of each kind of thing that changes on its way to a model that sees nothing.
_CHANGING: list[dict[str, Any]] = [
    {"role": "user", "content": [IMAGE, IMAGE, PDF, PDF]},
    {
        "role": "assistant",
        "content": [
            *[{"type": "thinking", "thinking": "t", "signature": "EqQB"}] * 2,
            {"type": "tool_use", "id": "a.1", "name": "a.b", "input": {}},
            {"type": "tool_use", "id": "a.2", "name": "a.b", "input": {}},
            {"type": "tool_use", "id": "c", "name": "Bash", "input": {}},
        ],
    },
    {
        "role": "user",
        "content": [
            {"type": "tool_result", "tool_use_id": "c", "content": "C"},
            {"type": "tool_result", "tool_use_id": "a.1", "content": "A", "is_error": True},
            {"type": "tool_result", "tool_use_id": "a.2", "content": "B", "is_error": True},
            *[{"type": "search_result", "title": "t", "source": "s", "content": []}] * 2,
        ],
    },
    {"role": "system", "content": "one"},
    {"role": "user", "content": "so"},
    {"role": "system", "content": "two"},
    {"role": "user", "content": "on"},
]
#: How often each kind is told of one such conversation, and of two in a row: all ids are taken then.
_COUNTED = {
    "tool_result: not in its place behind the calls, moved": (2, 4),
    "search_result: told as text": (2, 4),
    "image: left out, the model takes only text": (2, 4),
    "document: left out, the backend takes no such file": (2, 4),
    "thinking: of another model, left out": (2, 4),
    "tool_use: an id that was taken or not plain replaced": (2, 5),
    "tool_use: a name that was not plain replaced": (2, 4),
    "tool_result: that it failed told as text": (2, 4),
    "system: a later message told as the user's": (2, 4),
    "tools: a name that was not plain replaced": (2, 2),
}


@pytest.mark.parametrize("wire", BRIDGES)
@pytest.mark.parametrize("times", [1, 2])
def test_every_bridge_counts_what_it_changes_in_the_same_words(wire: Wire, times: int) -> None:
    target = Target(provider(wire, wire=wire, models=(Model("m", vision=False),)), "m")
    names = ("a.b", "c.d", "Bash")
    tools = [{"name": each, "input_schema": {"type": "object", "properties": {}}} for each in names]
    body = request(model="m", messages=_CHANGING * times, tools=tools, max_tokens=100)

    def changes() -> tuple[str, ...]:
        return DIALECTS[wire].render(read_request(body), target, [], "", "messages").changes

    assert set(changes()) == {f"{kind} ({counts[times - 1]} times)" for kind, counts in _COUNTED.items()}
    assert changes() == changes()


# Thinking of a model that changes wires

_THOUGHT = {
    "messages": b"".join(
        b"event: " + kind + b"\ndata: " + json.dumps({"type": kind.decode(), **more}).encode() + b"\n\n"
        for kind, more in (
            (b"message_start", {"message": {"id": "m", "type": "message", "role": "assistant", "content": []}}),
            (b"content_block_start", {"index": 0, "content_block": {"type": "thinking", "thinking": ""}}),
            (b"content_block_delta", {"index": 0, "delta": {"type": "thinking_delta", "thinking": "hm"}}),
            (b"content_block_stop", {"index": 0}),
            (b"message_delta", {"delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}}),
            (b"message_stop", {}),
        )
    ),
    "ollama": b"".join(
        json.dumps(line).encode() + b"\n"
        for line in (
            {"message": {"role": "assistant", "content": "", "thinking": "hm"}, "done": False},
            {"message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop"},
        )
    ),
}


@pytest.mark.parametrize("before", ["messages", "ollama"])
@pytest.mark.parametrize("after", ["messages", "ollama"])
def test_what_ollama_thinks_comes_back_to_it_by_either_of_its_wires(before: Wire, after: Wire) -> None:
    said = {"role": "user", "content": "hi"}
    first = Target(provider("ollama", wire=before), "m")
    stream = DIALECTS[before].stream(read_request(request(model="m", messages=[said])), first, "msg_1")
    events = [
        json.loads(frame.data or b"") for frame in Decoder().feed(stream.feed(_THOUGHT[before]) + stream.close())
    ]
    [thought] = fold(events)["content"]
    assert thought["signature"].startswith("ccr1.")
    again = request(model="m", messages=[said, {"role": "assistant", "content": [thought]}, said])
    second = Target(provider("ollama", wire=after), "m")
    outbound = DIALECTS[after].render(read_request(again), second, [], "", "messages")
    message = json.loads(outbound.body)["messages"][1]
    if after == "messages":
        assert message["content"] == [{"type": "thinking", "thinking": "hm"}]
    else:
        assert message == {"role": "assistant", "content": "(no text)", "thinking": "hm"}
    assert "thinking: of another model, left out" not in outbound.changes
