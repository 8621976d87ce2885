"""What the system says in mid-conversation: to Claude as it is, by the user to everybody else."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.providers.presets import PRESETS
from ccrouter.translate import block_text
from ccrouter.translate.messages import history_calls
from ccrouter.translate.shown import TOLD_BY_USER, reminder
from tests.e2e.strictness import about_messages
from tests.translate.messages.settling import (
    HI,
    MESSAGES,
    SO,
    assistant,
    result,
    settle,
    spoken,
    switched,
    text,
    use,
    user,
)

#: Claude itself; and the demo, which reads all that the client writes.
TAKING = ["anthropic", "foundry", "demo"]
#: Where nobody knows what is behind it, what is more than words is another matter.
UNKNOWN = "messages"
TELLING = sorted({*MESSAGES} - {*TAKING, UNKNOWN})
EMPTY = "system: an empty later message left out"

NOTE = spoken("system", "note")
TOLD = reminder(text("note"))
NONE = spoken("system", [])
CALL = assistant(use("a"))
MARK = {"cache_control": {"type": "ephemeral"}}


def test_who_takes_it_is_said_in_the_row_of_each_preset():
    assert [name for name in MESSAGES if settle([HI, NOTE], name)[0] == [HI, NOTE]] == sorted(TAKING)
    for preset, claude, other in (
        ("openrouter", "anthropic/claude-x", "qwen/x"),
        ("litellm", "claude-x", "gpt"),
        (UNKNOWN, "claude-opus-5-5", "qwen3-coder"),
        (UNKNOWN, "us.anthropic.Claude-sonnet-5-v1:0", "glm-5"),
        (UNKNOWN, "opus", "smart"),
    ):
        assert settle([HI, NOTE], preset, claude) == ([HI, NOTE], [])
        assert settle([HI, NOTE], preset, other) == ([user(text("hi"), TOLD)], [TOLD_BY_USER])


def test_where_nobody_knows_who_it_is_all_that_is_words_is_told_and_a_tool_stays_one():
    removal = spoken("system", [text("note"), {"type": "tool_removal", "tool": {"name": "Bash"}}])
    for messages, found in (
        ([HI, removal], [HI, removal]),
        ([HI, NOTE, removal, NOTE, SO], [user(text("hi"), TOLD), removal, user(TOLD, text("so?"))]),
        ([HI, CALL, NOTE, user(result("a"))], [HI, CALL, user(result("a"), TOLD)]),
        ([HI, NONE], [HI]),
    ):
        assert settle(messages, UNKNOWN)[0] == found
        assert settle(messages, UNKNOWN, "claude-x")[0] == settle(messages)[0]


@given(switched())
def test_where_nobody_knows_who_it_is_claude_would_find_nothing_wrong_either(messages):
    found, _ = settle(messages, UNKNOWN)
    assert not {*about_messages(found)} - {*about_messages(messages)}
    assert not [each for each in found if each["role"] == "system"]
    assert settle(found, UNKNOWN)[0] is found


@pytest.mark.parametrize("preset", TELLING)
@pytest.mark.parametrize(
    ("messages", "found"),
    [
        ([HI, NOTE], [user(text("hi"), TOLD)]),
        ([spoken("user", "hi"), NOTE], [user(text("hi"), TOLD)]),
        ([spoken("user", " "), NOTE], [user(TOLD)]),
        ([NOTE, HI], [user(TOLD, text("hi"))]),
        ([HI, NOTE, SO], [user(text("hi"), TOLD, text("so?"))]),
        ([HI, NOTE, NOTE], [user(text("hi"), TOLD, TOLD)]),
        ([HI, assistant(text("a")), NOTE, assistant(text("b"))], [HI, assistant(text("a")), user(TOLD), assistant(text("b"))]),
        # Results come first, wherever they stood.
        ([HI, CALL, user(result("a")), NOTE], [HI, CALL, user(result("a"), TOLD)]),
        ([HI, CALL, NOTE, user(result("a"))], [HI, CALL, user(result("a"), TOLD)]),
        ([HI, CALL, SO, NOTE, user(result("a"))], [HI, CALL, user(result("a"), text("so?"), TOLD)]),
        # The mark of the client's stays; a text is told as a reminder once.
        ([HI, spoken("system", [{**text("note"), **MARK}])], [user(text("hi"), {**TOLD, **MARK})]),
        ([HI, spoken("system", [TOLD])], [user(text("hi"), TOLD)]),
        (
            [HI, spoken("system", [{"type": "tool_removal", "tool": {"name": "Bash"}}])],
            [user(text("hi"), reminder(text("The tool Bash must not be called from here on.")))],
        ),
        # An empty one says nothing, but still keeps messages apart.
        ([HI, {**NONE, "output_config": {"effort": "low"}}], [HI]),
        ([HI, spoken("system", " "), SO], [user(text("hi"), text("so?"))]),
        ([assistant(text("a")), NONE, assistant(text("b"))], [assistant(text("a")), user(text(block_text.NOTHING)), assistant(text("b"))]),
    ],
)  # fmt: skip
def test_it_joins_what_the_user_says_beside_it(preset, messages, found):
    if PRESETS[preset].results_last:
        found = history_calls.apart(found, lambda _: None)
    assert settle(messages, preset, thinks=False)[0] == found


def test_each_is_noted():
    _, changes = settle([HI, NOTE, NONE, assistant(text("a")), SO, NOTE], "ollama")
    assert changes == [f"{TOLD_BY_USER} (2 times)", EMPTY]


def test_messages_without_one_are_the_very_same():
    messages = [HI, NOTE, assistant(text("a")), SO, assistant(text("b")), spoken("user", "c"), NONE]
    found, _ = settle(messages, "ollama")
    assert [each is own for each, own in zip(found[1:], messages[2:], strict=False)] == [True] * 4


def role_and_content(message):
    content = message["content"]
    return message["role"], [text(content)] if isinstance(content, str) else content


@given(switched(), st.sampled_from(TELLING))
def test_all_of_it_reaches_the_model_and_nobodys_turn_is_cut_in_two(messages, preset):
    found, _ = settle(messages, preset, thinks=False)
    assert "system" not in [each["role"] for each in found]
    words = [
        block["text"]
        for role, content in map(role_and_content, messages)
        if role == "system"
        for block in content
        if block["text"].strip()
    ]
    shown = [block for _, content in map(role_and_content, found) for block in content]
    assert [block["text"] for block in shown if block.get("text", "").startswith("<system-reminder>")] == [
        reminder(text(each))["text"] for each in words
    ]
    assert turns(found) == turns(messages)


def turns(messages):
    """Whose turn it is, one after the other: the model's or not."""
    return [models for models, _ in itertools.groupby(each["role"] == "assistant" for each in messages)]
