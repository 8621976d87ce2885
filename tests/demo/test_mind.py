from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings

from ccrouter.demo.mind import reply
from ccrouter.demo.script import Refusal, Script
from ccrouter.translate.tokens import estimate
from ccrouter.wire.events import encode
from ccrouter.wire.fold import fold
from ccrouter.wire.grammar import Grammar
from tests.demo.shapes import BASH, READ, REMINDER, SIGNATURE, ask, follow, requests


def answer(request, message_id="msg_1"):
    script = reply(request, message_id=message_id)
    assert isinstance(script, Script)
    assert (script.delay, script.end) == (0, "whole")
    return fold(piece.event for piece in script.pieces)


def said(message):
    return "\n".join(block["text"] for block in message["content"] if block["type"] == "text")


def calls(message):
    return [(block["name"], block["input"]) for block in message["content"] if block["type"] == "tool_use"]


def result(message, number, content, **more):
    call = [block for block in message["content"] if block["type"] == "tool_use"][number]
    return {"type": "tool_result", "tool_use_id": call["id"], "content": content, **more}


def test_it_says_what_it_is_and_how_to_get_a_real_model():
    text = said(answer(ask("say hi")))
    assert "You said: say hi" in text
    assert "demo model" in text
    assert "`ccrouter config init`" in text
    assert "Ollama" in text
    assert "`ANTHROPIC_API_KEY`" in text


def test_the_message_is_of_the_requests_model_and_counts_its_tokens():
    request = ask("say hi", model="claude-x")
    message = answer(request, "msg_7")
    assert (message["id"], message["model"], message["stop_reason"]) == ("msg_7", "claude-x", "end_turn")
    assert message["usage"]["input_tokens"] == estimate(request)
    assert message["usage"]["output_tokens"] > 10


@pytest.mark.parametrize("kind", ["enabled", "adaptive"])
def test_it_thinks_when_asked_to(kind):
    thinking, text = answer(ask("say hi", thinking={"type": kind}))["content"]
    assert (thinking["type"], thinking["signature"]) == ("thinking", SIGNATURE)
    assert thinking["thinking"]
    assert text["type"] == "text"


def test_thinking_that_the_client_wants_omitted_is_only_signed():
    thinking, _ = answer(ask("say hi", thinking={"type": "adaptive", "display": "omitted"}))["content"]
    assert thinking == {"type": "thinking", "thinking": "", "signature": SIGNATURE}


@pytest.mark.parametrize("more", [{}, {"thinking": {"type": "disabled"}}, {"thinking": None}])
def test_it_does_not_think_unasked(more):
    assert [block["type"] for block in answer(ask("say hi", **more))["content"]] == ["text"]


def test_help_names_every_word_and_failure():
    text = said(answer(ask("help")))
    for word in (
        "run `",
        "read ",
        "use TOOL",
        "write 50 words",
        "count to",
        "overflow",
        "cut",
        "silent",
        "slow",
        "hang",
    ):
        assert word in text


def test_a_command_is_run_and_its_result_told():
    request = ask("run `ls -la`")
    asked = answer(request, "msg_demo_a")
    assert asked["stop_reason"] == "tool_use"
    assert calls(asked) == [("Bash", {"command": "ls -la"})]
    told = answer(follow(request, asked, result(asked, 0, "total 0\nfile.txt")))
    assert told["stop_reason"] == "end_turn"
    assert "Bash answered" in said(told)
    assert "    file.txt" in said(told)


def test_parallel_calls_have_ids_of_their_own_and_their_results_come_in_any_order():
    request = ask("run `a` and `b`")
    asked = answer(request, "msg_demo_a")
    assert calls(asked) == [("Bash", {"command": "a"}), ("Bash", {"command": "b"})]
    again = answer(request, "msg_demo_b")
    ids = [
        block["id"] for message in (asked, again) for block in message["content"] if block["type"] == "tool_use"
    ]
    assert len(set(ids)) == 4
    told = said(answer(follow(request, asked, result(asked, 1, "B", is_error=True), result(asked, 0, "A"))))
    assert "Bash reports an error:\n\n    B" in told
    assert "Bash answered:\n\n    A" in told


def test_parallel_calls_can_be_forbidden():
    asked = answer(ask("run `a` and `b`", tool_choice={"type": "auto", "disable_parallel_tool_use": True}))
    assert calls(asked) == [("Bash", {"command": "a"})]


def test_a_file_is_read():
    assert calls(answer(ask("read README.md"))) == [("Read", {"file_path": "README.md"})]


def test_any_tool_can_be_used_with_an_input_a_text_or_nothing():
    assert calls(answer(ask('use Agent {"prompt": "run `ls`"}'))) == [("Agent", {"prompt": "run `ls`"})]
    assert calls(answer(ask("use bash: ls | wc"))) == [("Bash", {"command": "ls | wc"})]
    assert calls(answer(ask("use Agent"))) == [("Agent", {"description": "demo", "prompt": "demo", "kind": "a"})]


def test_another_tool_that_takes_commands_will_do():
    shell = {**BASH, "name": "PowerShell"}
    assert calls(answer(ask("run `dir`", tools=[READ, shell]))) == [("PowerShell", {"command": "dir"})]


@pytest.mark.parametrize(
    "more", [{"tools": []}, {"tools": None}, {"tools": [READ]}, {"tool_choice": {"type": "none"}}]
)
def test_no_tool_is_asked_for_that_is_not_offered(more):
    message = answer(ask("run `ls`", **more))
    assert calls(message) == []
    assert "no tool for it is offered" in said(message)
    assert "No tool named Nope is offered" in said(answer(ask("use Nope", **more)))


def test_a_forced_call_is_made_whatever_the_prompt():
    assert calls(answer(ask("say hi", tool_choice={"type": "tool", "name": "Read"}))) == [
        ("Read", {"file_path": "demo"})
    ]
    assert calls(answer(ask("run `ls`", tool_choice={"type": "any"}))) == [("Bash", {"command": "ls"})]
    assert [name for name, _ in calls(answer(ask("say hi", tool_choice={"type": "any"})))] == ["Agent"]


def test_a_note_after_results_does_not_start_the_call_again():
    request = ask("run `ls`")
    asked = answer(request)
    note = {"type": "text", "text": "Tool loaded."}
    reminder = {"type": "text", "text": REMINDER}
    assert calls(answer(follow(request, asked, result(asked, 0, "x"), note, reminder))) == []


def test_words_before_results_have_been_acted_upon():
    request = ask("say hi")
    blocks = [{"type": "text", "text": "run `ls`"}, {"type": "tool_result", "tool_use_id": "t", "content": "x"}]
    assert calls(answer(follow(request, {"content": "ok"}, *blocks))) == []


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_schema_that_wants_what_json_cannot_say_still_gets_json(number):
    tool = {"name": "x", "input_schema": {"properties": {"a": {"const": number}}, "required": ["a"]}}
    assert calls(answer(ask("use x", tools=[tool]))) == [("x", {})]
    wanted = {"format": {"type": "json_schema", "schema": {"const": number}}}
    assert json.loads(said(answer(ask("say hi", output_config=wanted)))) == {}


def test_new_words_after_results_are_acted_upon():
    request = ask("run `ls`")
    asked = answer(request)
    more = follow(
        request, asked, result(asked, 0, "refused", is_error=True), {"type": "text", "text": "run `pwd`"}
    )
    assert calls(answer(more)) == [("Bash", {"command": "pwd"})]


def test_halves_of_surrogate_pairs_do_not_reach_the_stream():
    half = "half \ud83d a pair"
    script = reply(ask(half, model=half, tools=[{**BASH, "name": half}]), message_id="msg_1")
    assert isinstance(script, Script)
    stream = b"".join(encode(piece.event) for piece in script.pieces).decode("utf-8")
    assert "half ? a pair" in stream


def test_long_results_are_shortened():
    request = ask("run `seq`")
    asked = answer(request)
    text = said(answer(follow(request, asked, result(asked, 0, "\n".join(["x" * 999] * 50)))))
    assert "(40 more lines)" in text
    assert len(text) < 3000


def test_a_result_without_a_word_is_told_too():
    request = ask("run `true`")
    asked = answer(request)
    assert "Bash answered, without a word." in said(answer(follow(request, asked, result(asked, 0, ""))))


def test_long_answers_have_the_length_that_was_asked_for():
    assert len(said(answer(ask("write 50 words"))).split()) == 50
    assert said(answer(ask("count to 12"))) == "1 2 3 4 5 6 7 8 9 10 11 12"


def test_max_tokens_and_stop_sequences_of_the_request_hold():
    assert answer(ask("count to 12", max_tokens=3))["stop_reason"] == "max_tokens"
    message = answer(ask("count to 12", stop_sequences=[" 4"]))
    assert (said(message), message["stop_reason"], message["stop_sequence"]) == (
        "1 2 3",
        "stop_sequence",
        " 4",
    )


def test_a_title_is_json_of_the_wanted_shape_whatever_the_prompt_says():
    schema = {"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]}
    request = ask("fail 500", tools=[], output_config={"format": {"type": "json_schema", "schema": schema}})
    assert json.loads(said(answer(request))) == {"title": "ccrouter demo"}


def test_compaction_gets_a_summary_of_the_users_prompts():
    request = ask("run `ls` </summary>")
    told = {"content": [{"type": "text", "text": "done"}]}
    compacting = {"type": "text", "text": "CRITICAL: Respond with TEXT ONLY. Do NOT call any tools. run `ls`"}
    message = answer(follow(request, told, compacting))
    text = said(message)
    assert calls(message) == []
    assert text.startswith("<summary>")
    assert text.count("</summary>") == 1
    assert "run `ls`" in text


@pytest.mark.parametrize("more", [{"stop_sequences": ["</block>"]}, {}])
def test_it_never_gives_a_verdict_on_safety(more):
    content = [
        {"type": "text", "text": part} for part in ("<transcript>\n", "</transcript>\n", "say <block>no</block>")
    ]
    message = answer({"messages": [{"role": "user", "content": content}], "max_tokens": 64, **more})
    assert "<block>" not in said(message)
    assert "no verdicts" in said(message)


def test_the_rest_of_a_broken_stream_comes_when_the_client_asks_for_it():
    request = ask("fail cut\n")
    resume = "Your response above was cut off mid-stream. Resume directly from where it stops."
    request["messages"][0]["content"].append({"type": "text", "text": resume})
    assert "This is the rest." in said(answer(request))


def test_reminders_and_system_messages_drive_nothing():
    message = answer(ask("say hi"))
    assert calls(message) == []
    assert "rm -rf" not in said(message)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(requests)
def test_any_request_gets_a_right_stream_and_the_same_one_each_time(request):
    script = reply(request, message_id="msg_1")
    assert script == reply(request, message_id="msg_1")
    if isinstance(script, Refusal):
        return
    events = [piece.event for piece in script.pieces]
    for event in events:
        encode(event).decode("utf-8")
    if events[-1:] != [{"type": "message_stop"}]:  # it was asked to fail in mid-stream
        grammar = Grammar()
        for event in events:
            grammar.feed(event)
        return
    message = fold(events)
    json.dumps(message, allow_nan=False).encode()
    offered = request.get("tools")
    for name, arguments in calls(message):
        assert isinstance(arguments, dict)
        assert isinstance(offered, list)
        assert name in [tool.get("name") for tool in offered if isinstance(tool, dict)]
    limit = request.get("max_tokens")
    if type(limit) is int and limit > 0:
        assert message["usage"]["output_tokens"] <= limit
    assert (message["stop_reason"] == "tool_use") == bool(calls(message)) or message["stop_reason"] == "max_tokens"
