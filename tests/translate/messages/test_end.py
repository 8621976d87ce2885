"""How a loose Messages stream begins and ends: what is believed of its counts and its reason."""

from __future__ import annotations

from typing import Any

import pytest

from ccrouter.translate.messages.end import End, message


def settled(*deltas: tuple[dict[str, Any], Any], **known: Any) -> dict[str, Any] | None:
    end = End()
    for delta, usage in deltas:
        end.tell({"type": "message_delta", "delta": delta} | ({} if usage is None else {"usage": usage}))
    facts: dict[str, Any] = {"start": {"usage": {"input_tokens": 70}}, "called": False, "asked": (), "text": ""}
    return end.settle(**facts | known, output=lambda: 9)


COUNTED = {"output_tokens": 5}


@pytest.mark.parametrize(
    ("told", "known", "reason"),
    [
        (("end_turn", None), {}, None),
        (("tool_use", None), {"called": True}, None),
        (("max_tokens", None), {"called": True}, None),
        (("refusal", None), {}, None),
        (("compaction", None), {}, None),
        (("stop_sequence", "b"), {"asked": ("a", "b")}, None),
        (("stop_sequence", None), {"asked": ("a", "b")}, None),
        ((None, None), {}, ("end_turn", None)),
        ((None, None), {"called": True}, ("tool_use", None)),
        (("end_turn", None), {"called": True}, ("tool_use", None)),
        (("tool_use", None), {}, ("end_turn", None)),
        (("stop", None), {}, ("end_turn", None)),
        (("tool_calls", None), {"called": True}, ("tool_use", None)),
        (("length", None), {"called": True}, ("max_tokens", None)),
        (("content_filter", None), {}, ("refusal", None)),
        (("banana", None), {}, ("end_turn", None)),
        (("stop_sequence", None), {}, ("end_turn", None)),
        (("stop_sequence", None), {"called": True}, ("tool_use", None)),
        (("stop_sequence", None), {"asked": ("a",)}, ("stop_sequence", "a")),
        (("end_turn", "b"), {"asked": ("a", "b")}, ("stop_sequence", "b")),
        (("end_turn", None), {"asked": ("a", "b"), "text": "so b"}, ("stop_sequence", "b")),
    ],
)
def test_the_reason_follows_from_what_was_seen(
    told: tuple[Any, Any], known: dict[str, Any], reason: tuple[str, str | None] | None
) -> None:
    found = settled(({"stop_reason": told[0], "stop_sequence": told[1]}, COUNTED), **known)
    assert (found and (found["delta"]["stop_reason"], found["delta"]["stop_sequence"])) == reason


@pytest.mark.parametrize(
    ("told", "counts"),
    [
        ({"output_tokens": 5}, None),
        ({"output_tokens": 5, "input_tokens": 80, "server_tool_use": {"x": 1}}, None),
        ({"output_tokens": 5, "input_tokens": 0, "cache_read_input_tokens": 80}, None),
        (None, {"output_tokens": 9}),
        ([], {"output_tokens": 9}),
        ({"output_tokens": 0}, {"output_tokens": 9}),
        ({"output_tokens": "5"}, {"output_tokens": 9}),
        ({"output_tokens": 5, "input_tokens": 0}, {"output_tokens": 5, "input_tokens": 70}),
        (
            {"output_tokens": 5, "input_tokens": 0, "cache_read_input_tokens": 0},
            {"output_tokens": 5, "input_tokens": 70, "cache_read_input_tokens": 0},
        ),
    ],
)
def test_counts_are_believed_unless_they_are_none(told: Any, counts: dict[str, Any] | None) -> None:
    found = settled(({"stop_reason": "end_turn"}, told))
    assert (found and found["usage"]) == counts


def test_several_deltas_that_are_wrong_become_one() -> None:
    found = settled(
        ({"stop_reason": "length"}, {"output_tokens": 3}),
        ({"stop_reason": None, "stop_details": {"a": 1}}, {"output_tokens": 7}),
    )
    assert found == {
        "type": "message_delta",
        "delta": {"stop_reason": "max_tokens", "stop_details": {"a": 1}, "stop_sequence": None},
        "usage": {"output_tokens": 7},
    }
    assert settled(({"stop_reason": "end_turn"}, COUNTED), ({}, COUNTED)) is None
    assert settled(({"stop_reason": "end_turn"}, COUNTED), ({}, None)) is not None


@pytest.mark.parametrize(
    ("usage", "told"),
    [
        (None, {"input_tokens": 33, "output_tokens": 0}),
        ({"input_tokens": 0}, {"input_tokens": 33, "output_tokens": 0}),
        ({"input_tokens": None, "output_tokens": -1}, {"input_tokens": 33, "output_tokens": 0}),
        ({"prompt_tokens": 50}, {"input_tokens": 50, "output_tokens": 0}),
        ({"cache_read_input_tokens": 7, "output_tokens": 1}, {"cache_read_input_tokens": 7, "input_tokens": 0}),
    ],
)
def test_a_prompt_is_never_told_to_be_empty(usage: Any, told: dict[str, Any]) -> None:
    given = {"usage": usage, "model": "other", "stop_reason": "x", "content": [1], "extra": 1}
    found = message(given, "msg_1", "m", lambda: 33)
    assert {**found["usage"], **told} == found["usage"]
    assert (found["id"], found["model"], found["content"], found["stop_reason"], found["extra"]) == (
        "msg_1",
        "m",
        [],
        None,
        1,
    )
