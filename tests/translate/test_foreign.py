"""What requests that are translated have in common."""

from __future__ import annotations

import json
from typing import Any

import pytest
from attrs import evolve

from ccrouter.providers.presets import PRESETS
from ccrouter.providers.quirks import Quirks
from ccrouter.translate import foreign

CLIENT = [
    (b"user-agent", b"claude-cli/2"),
    (b"anthropic-beta", b"a"),
    (b"x-claude-code-session-id", b"session"),
    (b"authorization", b"Bearer own"),
    (b"cookie", b"a=b"),
]


def test_of_the_clients_headers_only_its_name_goes_on() -> None:
    found = dict(foreign.headers(CLIENT, {}, PRESETS["chat"]))
    assert found[b"user-agent"] == b"claude-cli/2"
    assert set(found) == {b"content-type", b"accept", b"accept-encoding", b"user-agent"}
    assert found[b"accept"] == b"text/event-stream"
    lines = dict(foreign.headers(CLIENT, {}, PRESETS["chat"], accept=b"application/x-ndjson"))
    assert lines == found | {b"accept": b"application/x-ndjson"}


def test_what_a_wire_has_no_place_for_is_named() -> None:
    fields = {"model": "m", "top_k": 5, "x" * 80: 1}
    assert foreign.dropped(fields) == ["top_k: dropped", f"{'x' * 64}: dropped"]
    assert foreign.dropped(fields, seen={"top_k"}) == [f"{'x' * 64}: dropped"]


def test_a_backend_that_wants_to_know_the_conversation_gets_the_same_id_each_turn() -> None:
    preset = evolve(PRESETS["chat"], quirks=Quirks(session_headers=("session-id", "thread-id")))
    first = dict(foreign.headers(CLIENT, {}, preset))
    assert (
        first[b"session-id"]
        == first[b"thread-id"]
        == dict(foreign.headers(CLIENT, {"x": 1}, preset))[b"session-id"]
    )
    other = dict(foreign.headers([*CLIENT, (b"x-claude-code-agent-id", b"2")], {}, preset))
    assert other[b"session-id"] != first[b"session-id"]
    assert b"session-id" not in dict(foreign.headers([], {}, preset))


@pytest.mark.parametrize("metadata", [{"user_id": "u"}, None, 5, {"user_id": 5}, {}])
def test_a_cache_key_is_of_one_agent_in_one_session(metadata: Any) -> None:
    key = foreign.cache_key({"metadata": metadata}, CLIENT)
    assert key == foreign.cache_key({"metadata": metadata, "messages": []}, CLIENT)
    assert len(key["prompt_cache_key"]) == 64
    assert key != foreign.cache_key({"metadata": metadata}, [*CLIENT, (b"x-claude-code-agent-id", b"2")])


def test_without_a_session_there_is_no_key() -> None:
    assert foreign.cache_key({}, []) == {}


def test_sampling_goes_where_it_is_taken_and_is_told_elsewhere() -> None:
    fields = {"temperature": 0.5, "top_p": True}
    changes: list[str] = []
    assert foreign.sampling(fields, changes, taken=True) == {"temperature": 0.5}
    assert changes == ["top_p: dropped"]
    assert foreign.sampling(fields, changes, taken=False) == {}


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ({"format": {"type": "json_schema", "schema": {"type": "object"}}}, {"type": "object"}),
        ({"format": {"type": "text"}}, None),
        ({"format": {"type": "json_schema", "schema": []}}, None),
        ({"format": 5}, None),
        (None, None),
    ],
)
def test_the_form_of_an_answer_is_found(output: Any, expected: Any) -> None:
    assert foreign.answer_schema({"output_config": output}) == expected


def test_what_has_no_place_is_named() -> None:
    assert foreign.dropped({"model": "m", "context_management": {}, "stream": True}) == [
        "context_management: dropped"
    ]


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("\U0001f600 plain", "\U0001f600 plain"),
        ("\ud83d" + "\ude00 in two pieces", "\U0001f600 in two pieces"),
        ("\ud83d alone", "\ufffd alone"),
        ("\ude00\ud83d", "\ufffd\ufffd"),
    ],
)
def test_a_surrogate_pair_in_two_pieces_is_a_character_again(text: str, read: str) -> None:
    assert json.loads(foreign.written({"text": text})) == {"text": read}
