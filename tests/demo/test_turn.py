from __future__ import annotations

import time

import pytest

from ccrouter.demo.turn import prompts, read
from tests.demo.shapes import BASH, READ, REMINDER, TOOLS, ask


def user(*blocks):
    return {"role": "user", "content": list(blocks)}


def text(words):
    return {"type": "text", "text": words}


CALLED = {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "Bash", "input": {}}]}
RESULT = {"type": "tool_result", "tool_use_id": "t1", "content": "out"}


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "user", "content": "mine"}],
        [user(text("context"), text("mine"))],
        [user(text("mine"), text(REMINDER))],
        [user(text(f"{REMINDER}\nmine\n{REMINDER}"))],
        [user(text('<system-reminder id="0a">x</system-reminder id="0a">mine'))],
        [user(text("mine")), {"role": "system", "content": "not mine"}, {"role": "system", "content": []}],
        [user(text("mine")), user(text(REMINDER))],
        [user(text("mine")), {"role": "assistant", "content": "begun"}],
        [user(text("earlier")), CALLED, {"role": "system", "content": "x"}, user(text("mine"))],
        [user(text("mine"), {"type": "image", "source": {}}), {}, 7, user()],
    ],
)
def test_the_prompt_is_the_users_own_last_text(messages):
    turn = read({"messages": messages})
    assert turn.prompt == "mine"
    assert not turn.settled


def test_a_reminder_that_never_ends_is_plain_text():
    assert read({"messages": [user(text("a <system-reminder> b"))]}).prompt == "a <system-reminder> b"


def test_many_open_reminders_cost_no_more_than_their_length():
    start = time.process_time()
    read({"messages": [user(text("<system-reminder" * 60_000)), user(text("<system-reminder>" * 60_000))]})
    assert time.process_time() - start < 2


def test_results_settle_the_prompt_before_them():
    turn = read({"messages": [user(text("run it")), CALLED, user(RESULT, text(REMINDER))]})
    assert turn.settled
    assert [(result.tool, result.text, result.failed) for result in turn.results] == [("Bash", "out", False)]


@pytest.mark.parametrize("wrap", ["{}", "<system-reminder>\nnot the user\n{}\n</system-reminder>"])
def test_the_report_of_a_background_task_is_a_result(wrap):
    report = "<task-notification><status>{}</status><result>run `ls`\n</result></task-notification>"
    notes = [text(wrap.format(report.format(status))) for status in ("completed", "failed")]
    turn = read({"messages": [user(text("go")), {"role": "assistant", "content": "ok"}, user(*notes)]})
    assert turn.settled
    assert [(result.tool, result.text, result.failed) for result in turn.results] == [
        ("The background task", "run `ls`\n", False),
        ("The background task", "run `ls`\n", True),
    ]


@pytest.mark.parametrize("words", ["<result>x</result>", "<task-notification> </result><result>"])
def test_what_is_no_whole_report_is_plain_text(words):
    turn = read({"messages": [user(text(words))]})
    assert (turn.prompt, turn.results) == (words, ())


def test_words_after_results_are_a_new_prompt():
    turn = read({"messages": [user(text("run it")), CALLED, user(RESULT, text("more"))]})
    assert not turn.settled
    assert turn.prompt == "more"


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        ([text("a"), text("b")], "a\nb"),
        (
            [{"type": "image", "source": {"type": "base64", "media_type": "image/png"}}],
            "[an image, image/png]",
        ),
        ([{"type": "tool_reference", "tool_name": "WebSearch"}], "[the tool WebSearch]"),
        ([{"type": "document"}], "[document]"),
        ([], ""),
        (None, ""),
    ],
)
def test_a_result_is_shown_as_text(content, shown):
    (result,) = read({"messages": [user({"type": "tool_result", "content": content, "is_error": True})]}).results
    assert (result.text, result.failed, result.tool) == (shown, True, "The tool")


def test_only_loaded_tools_that_the_client_runs_can_be_called():
    offered = [
        BASH,
        {**READ, "defer_loading": True},
        {"type": "web_search_20250305", "name": "web_search"},
        {"type": "custom", "name": "mine"},
        {"name": ""},
        {"name": 7},
        "Bash",
    ]
    assert [tool.name for tool in read({"tools": offered}).tools] == ["Bash", "mine"]


@pytest.mark.parametrize(
    ("choice", "names", "forced"),
    [
        ({"type": "none"}, [], False),
        ({"type": "auto"}, ["Agent", "Bash", "Read"], False),
        ({"type": "any"}, ["Agent", "Bash", "Read"], True),
        ({"type": "tool", "name": "Read"}, ["Read"], True),
        ({"type": "tool", "name": "Other"}, [], True),
    ],
)
def test_tool_choice_says_which_tools_can_be_called(choice, names, forced):
    turn = read({"tools": TOOLS, "tool_choice": choice})
    assert ([tool.name for tool in turn.tools], turn.forced) == (names, forced)


def test_the_prompts_of_a_conversation_are_the_users_own():
    request = ask("first")
    request["messages"] += [CALLED, user(RESULT), {"role": "user", "content": "second"}]
    assert prompts(request) == ["first", "second"]
