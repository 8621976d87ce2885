from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.translate.chat.reasoning import Reasoning, is_needed, is_thought, signature_of


def google(**said):
    return {"extra_content": {"google": said}}


@pytest.mark.parametrize(
    ("delta", "text", "payload"),
    [
        ({"reasoning_content": "a"}, "a", {"f": "reasoning_content"}),
        ({"reasoning": "a"}, "a", {"f": "reasoning"}),
        ({"reasoning": "a", "reasoning_content": "a"}, "a", {"f": "reasoning_content"}),
        ({"reasoning": "", "reasoning_content": None}, "", None),
        ({"content": "a"}, "", None),
        (
            {"reasoning": "a", "reasoning_details": [{"type": "reasoning.text", "text": "a"}]},
            "a",
            {"f": "reasoning_details", "d": [{"type": "reasoning.text", "text": "a"}]},
        ),
        (
            {"reasoning_details": [{"type": "reasoning.encrypted", "data": "x"}]},
            "",
            {"f": "reasoning_details", "d": [{"type": "reasoning.encrypted", "data": "x"}]},
        ),
    ],
)
def test_a_delta_has_its_words_and_what_goes_back_of_them(delta, text, payload):
    reasoning = Reasoning("reasoning_details")
    assert reasoning.read(delta) == text
    assert reasoning.take() == payload
    assert reasoning.take() is None


def test_nothing_goes_back_to_who_wants_nothing():
    reasoning = Reasoning("none")
    reasoning.read({"reasoning": "a", **google(thought_signature="s")})
    assert reasoning.take({"call_1": "s"}) is None


@pytest.mark.parametrize(
    ("replay", "payload"), [("reasoning", {"f": "reasoning"}), ("google", None), ("content", None)]
)
def test_words_between_tags_go_back_where_there_is_a_field_for_them(replay, payload):
    reasoning = Reasoning(replay)
    reasoning.read_tagged()
    assert reasoning.take() == payload


def test_gemini_gets_back_the_signatures_of_the_calls_and_of_the_message():
    reasoning = Reasoning("google")
    reasoning.read(google(thought_signature="m"))
    reasoning.read(google(thought=True))
    assert reasoning.take({"call_1": "s"}) == {"f": "google", "c": {"call_1": "s"}, "t": "m"}
    reasoning.read(google(thought_signature="m"))
    assert reasoning.take() == {"f": "google", "t": "m"}
    assert reasoning.take({"call_1": "s"}) == {"f": "google", "c": {"call_1": "s"}}
    assert reasoning.take() is None


@pytest.mark.parametrize(
    "odd", [None, 5, "x", [], {"google": None}, {"google": {"thought_signature": 5, "thought": "yes"}}]
)
def test_what_is_no_signature_and_no_mark_is_none(odd):  # fmt: skip
    assert signature_of({"extra_content": odd}) == ""
    assert is_thought({"extra_content": odd}) is False


def test_details_name_a_call_by_the_clients_id():
    reasoning = Reasoning("reasoning_details")
    details: list[dict[str, Any]] = [
        {"type": "reasoning.encrypted", "data": "x", "id": "there"},
        {"id": "rs_1"},
        {"id": ["odd"]},
    ]
    reasoning.read({"reasoning_details": details})
    payload = reasoning.take(ids={"there": "here"})
    assert payload is not None
    assert [each["id"] for each in payload["d"]] == ["here", "rs_1", ["odd"]]
    assert details[0]["id"] == "there"


@pytest.mark.parametrize(
    ("payload", "needed"),
    [
        (None, False),
        ({"f": "reasoning_content"}, False),
        ({"f": "google", "t": "s"}, True),
        ({"f": "content", "d": [{"type": "thinking", "thinking": []}]}, False),
        ({"f": "reasoning_details", "d": [{"type": "reasoning.summary", "summary": "a"}]}, False),
        ({"f": "reasoning_details", "d": [{"type": "reasoning.text", "text": "a", "signature": None}]}, False),
        ({"f": "reasoning_details", "d": [{"type": "reasoning.text", "text": "a", "signature": "s"}]}, True),
        ({"f": "reasoning_details", "d": [{}, {"type": "reasoning.encrypted", "data": "x"}]}, True),
    ],
)
def test_a_backend_needs_back_what_it_signed_or_encrypted(payload, needed):
    assert is_needed(payload) is needed


pieces = st.lists(st.text(min_size=1, max_size=4), min_size=1, max_size=5)


@given(pieces, st.sampled_from(["text", "summary"]))
def test_fragments_are_joined_to_what_they_were_before_they_were_cut(texts, name):
    reasoning = Reasoning("reasoning_details")
    read = [
        reasoning.read({"reasoning_details": [{"type": f"reasoning.{name}", name: each, "index": 0}]})
        for each in texts
    ]
    whole = {"type": f"reasoning.{name}", name: "".join(texts), "index": 0}
    assert "".join(read) == whole[name]
    assert reasoning.take() == {"f": "reasoning_details", "d": [whole]}


@given(pieces)
def test_parts_of_the_content_are_joined(texts):
    reasoning = Reasoning("content")
    for each in texts:
        assert reasoning.read_part({"type": "thinking", "thinking": [{"type": "text", "text": each}]}) == each
    part = {"type": "thinking", "thinking": [{"type": "text", "text": "".join(texts)}]}
    assert reasoning.take() == {"f": "content", "d": [part]}
