"""Calls and results: ids, order, what is missing."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import given

from ccrouter.translate import block_text
from ccrouter.translate.block_text import NOTHING
from ccrouter.translate.messages import history_calls
from tests.e2e.strictness import about_messages
from tests.translate.dialogues import IMAGE, dialogues
from tests.translate.messages.settling import HI, SO, assistant, reply, result, settle, spoken, text, use, user
from tests.translate.test_conversation import lines_run


def test_ids_are_made_plain_at_both_ends_and_never_collide():
    calls = [use("a.b"), use("a:b"), use("a_b"), use("")]
    results = [result("a:b"), result(""), result("a.b"), result("a_b")]
    (_, asked, answered), changes = settle([HI, assistant(*calls), user(*results, text("so"))])
    ids = [block["id"] for block in asked["content"]]
    assert ids[2] == "a_b"
    assert [block.get("tool_use_id") for block in answered["content"]] == [ids[1], ids[3], ids[0], ids[2], None]
    assert len({*ids}) == 4
    assert changes == ["tool_use: an id that was taken or not plain replaced (3 times)"]
    assert not [*about_messages([HI, asked, answered])]


def test_a_plain_id_of_any_length_passes():
    messages = [HI, assistant(use("x" * 200)), user(result("x" * 200))]
    assert settle(messages)[0] is messages


def test_ids_that_come_again_each_turn_get_one_of_their_own():
    turn = [assistant(use("call_0")), user(result("call_0"))]
    found, _ = settle([HI, *turn, *copy.deepcopy(turn), *copy.deepcopy(turn)])
    assert not [*about_messages(found)]
    assert found[:3] == [HI, *turn]


def test_a_missing_result_is_said_to_be_missing():
    found, changes = settle([HI, assistant(use("a"), use("b")), user(result("b"), text("stop"))])
    missing = result("a", block_text.UNFINISHED, is_error=True)
    assert found[2] == user(result("b"), missing, text("stop"))
    assert changes == ["tool_use: a call without its result was given one"]
    assert settle([HI, assistant(use("a"))])[0][2:] == [user(missing)]
    assert settle([HI, assistant(use("a")), {"role": "user", "content": "no"}])[0][2:] == [
        user(missing, text("no"))
    ]
    system = {"role": "system", "content": []}
    assert settle([HI, assistant(use("a")), system])[0][2:] == [user(missing), system]


def test_results_are_the_first_of_the_message_behind_their_calls():
    found, changes = settle([HI, assistant(use("a"), use("b")), user(text("x"), result("a")), user(result("b"))])
    assert found[2:] == [user(result("a"), result("b"), text("x"))]
    assert changes == ["tool_result: not where Anthropic looks for it, moved (2 times)"]
    assert settle([HI, assistant(use("a")), user(text("x"), result("a"))])[0][2:] == [user(result("a"), text("x"))]
    assert settle([HI, assistant(use("a")), SO, user(result("a"))])[0][2:] == [user(result("a"), *SO["content"])]


@pytest.mark.parametrize("preset", ["ollama", "llamacpp"])
def test_results_have_a_message_of_their_own_where_they_would_come_behind_the_rest(preset):
    messages = [HI, assistant(use("a")), user(text("x"), result("a"), text("y")), assistant(text("b")), SO]
    found, changes = settle(messages, preset)
    assert found == [*messages[:2], user(result("a")), user(text("x"), text("y")), *messages[3:]]
    assert changes == ["tool_result: in a message of its own, in front of what is said beside it"]
    alone = [HI, assistant(use("a")), user(result("a")), SO]
    assert settle(alone, preset)[0] is alone
    assert settle(messages, "vllm")[0] is messages


def as_ollama_reads(messages, *, said_first):
    """Its chat messages (anthropic/anthropic.go, convertMessage). ``said_first``: as its first versions have them."""
    found = []
    for role, content in ((each["role"], each["content"]) for each in messages):
        blocks = [text(content)] if isinstance(content, str) else content
        results = [("tool", block["tool_use_id"]) for block in blocks if block["type"] == "tool_result"]
        rest = [block for block in blocks if block["type"] != "tool_result" and block.get("text") != ""]
        said = [(role, json.dumps(rest))] if rest else []
        found += results + said if role == "user" and not said_first else said + results
    return found


@given(dialogues())
def test_ollama_reads_the_same_prompt_whether_it_puts_results_in_front_or_behind(dialogue):
    messages = dialogue.requests[-1]
    found = history_calls.apart(messages, lambda _: None)
    wanted = as_ollama_reads(messages, said_first=False)  # as it does since
    assert as_ollama_reads(found, said_first=False) == as_ollama_reads(found, said_first=True) == wanted


def test_messages_of_the_systems_behind_a_call_take_steps_in_proportion_to_their_number():
    def steps(count):
        between = [{"role": "system", "content": "x"}] * count
        messages = [HI, assistant(use("a b")), *between, user(result("a b"))]
        return lines_run(lambda: settle(messages))

    # Ten times as many: a square would be a hundred times.
    assert steps(1_000) < 12 * steps(100)


def test_of_two_calls_with_one_id_the_first_has_the_first_result():
    found, _ = settle([HI, assistant(use("a"), use("a")), user(result("a", "1"), result("a", "2"))])
    calls, results = (message["content"] for message in found[1:])
    assert [(call["id"], each["content"]) for call, each in zip(calls, results, strict=True)] == [
        ("a", "1"),
        (results[1]["tool_use_id"], "2"),
    ]
    assert not [*about_messages(found)]


def test_a_result_without_its_call_is_told_as_text():
    orphans = user(
        result("gone", "a.txt"), result("gone", [text("b"), IMAGE, {"type": "tool_reference", "tool_name": "X"}])
    )
    found, changes = settle([orphans])
    assert found == [
        user(
            *(text(block_text.ORPHANED), text("a.txt"), text(block_text.ORPHANED), text("b"), IMAGE),
            text("The tool X is available from here on."),
        )
    ]
    assert changes == ["tool_result: a result without its call told as text (2 times)"]


def test_calls_have_plain_names_and_objects_for_inputs():
    (call,), changes = reply(use("a", "functions.Bash", "ls"))
    assert (call["name"].startswith("functions_Bash_"), call["input"]) == (True, {})
    assert len(changes) == 3  # the missing result is one of them


def test_calls_are_left_alone_where_nobody_asks_for_more():
    messages = [HI, assistant(use("a.b"), use("a.b")), user(text(""), result("c"))]
    for preset in ("lmstudio", "zai", "openrouter", "demo"):
        assert settle(messages, preset)[0] is messages


@pytest.mark.parametrize(
    "between", [[spoken("user")], [spoken("user"), spoken("assistant")], [spoken("assistant")]]
)
def test_what_is_said_as_a_string_stands_between_calls_and_results_too(between):
    """Whatever comes later: an odd id at the end must not be what makes the beginning right."""
    messages = [HI, assistant(use("a")), *between, user(result("a"))]
    first, _ = settle(messages)
    assert not [*about_messages(first)]
    later, _ = settle([*messages, assistant(use("b:1")), user(result("b:1"))])
    assert later[: len(first)] == first


def test_the_user_begins_and_nobody_has_a_role_that_there_is_not():
    found, changes = settle([assistant(text("a")), spoken("tool", "b"), spoken("developer", [text("c")])])
    assert found == [user(text(NOTHING)), assistant(text("a")), spoken("user", "b"), user(text("c"))]
    assert changes == [
        "messages: an unknown role taken for the user's (2 times)",
        "messages: a conversation that the user did not begin given a beginning",
    ]
    assert settle([spoken("system"), HI])[0] == [user(text(NOTHING)), spoken("system"), HI]
    assert settle([spoken("tool", "b")], "ollama")[1] == []


def test_looking_for_results_takes_steps_in_proportion_to_the_length():
    def steps(count):
        messages = [HI, assistant(use("a:b")), *[spoken("system")] * count, user(result("a:b"))]
        return lines_run(lambda: settle(messages))

    # Ten times as long: a square would be a hundred times.
    assert steps(1_000) < 12 * steps(100)
