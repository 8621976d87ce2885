from __future__ import annotations

import sys
from itertools import pairwise

import pytest
from attrs import evolve
from hypothesis import given

from ccrouter.translate.block_text import SILENT, UNFINISHED
from ccrouter.translate.conversation import read
from ccrouter.translate.provenance import Origin, sign
from ccrouter.translate.turns import Call, Document, Image, Mark, Result, ServerTool, Text, Thinking, Turn
from tests.translate.dialogues import IMAGE, any_fields, dialogues


def user(*blocks):
    return {"role": "user", "content": list(blocks)}


def calls(*ids):
    return {
        "role": "assistant",
        "content": [{"type": "tool_use", "id": each, "name": "Bash", "input": {}} for each in ids],
    }


def result(call_id, **more):
    return {"type": "tool_result", "tool_use_id": call_id, **more}


def text(words):
    return {"type": "text", "text": words}


def turns(*messages):
    return read({"messages": list(messages)}).turns


@pytest.mark.parametrize("content", ["hi", [text("hi")], [text("hi"), text(" \n")]])
def test_a_string_and_a_list_mean_the_same(content):
    assert turns({"role": "user", "content": content}) == (Turn("user", (Text("hi"),)),)


@pytest.mark.parametrize("content", ["", [], None, "\n"])
def test_an_empty_message_of_the_users_says_nothing(content):
    assert turns({"role": "user", "content": content}, user(text("hi"))) == (Turn("user", (Text("hi"),)),)


def test_the_attribution_block_is_gone_and_no_other():
    blocks = [
        text("x-anthropic-billing-header: cc_version=1;"),
        text("You are"),
        text("x-anthropic-billing-header: mine"),
    ]
    found = read({"system": blocks})
    assert found.system == (Text("You are"), Text("x-anthropic-billing-header: mine"))
    assert found.changes == ("system: attribution block dropped",)


def test_a_later_system_message_is_a_turn_in_its_place_and_may_ask_for_an_effort():
    found = turns(
        user(text("a")),
        {"role": "system", "content": "note"},
        {"role": "system", "content": [], "output_config": {"effort": "high"}},
        {"role": "system", "content": []},
    )
    assert found == (
        Turn("user", (Text("a"),)),
        Turn("system", (Text("note"),)),
        Turn("system", (), "high"),
    )


def test_results_come_first_in_the_order_of_the_calls():
    found = turns(
        calls("a", "b", "c"),
        {"role": "system", "content": "note"},
        user(text("x"), result("c", content="C"), result("a", content=[text("A"), IMAGE]), text("y")),
        user(result("b", is_error=True)),
    )
    assert found[1] == Turn(
        "user",
        (
            Result("a", (Text("A"), Image("image/png", "iVBORw0KGgo="))),
            Result("b", (Text(SILENT),), is_error=True),
            Result("c", (Text("C"),)),
        ),
    )
    assert found[2:] == (Turn("system", (Text("note"),)), Turn("user", (Text("x"), Text("y"))))


@pytest.mark.parametrize(
    ("between", "moved"),
    [
        ([user(result("a"), result("b"), result("c"), text("x"))], 0),
        ([user(result("a")), user(result("b"), text("x")), user(result("c"))], 1),
        ([user(result("a"), result("c"), result("b"))], 1),
        ([user(result("c"), result("a"), result("b"))], 2),
        ([user(text("x"), result("a"), result("b"), result("c"))], 3),
        ([{"role": "system", "content": "note"}, user(result("a"), result("b"), result("c"))], 3),
        ([{"role": "system", "content": " "}, user(result("a"), result("b"), result("c"))], 0),
    ],
)
def test_results_that_were_not_in_their_place_are_counted(between, moved):
    found = read({"messages": [calls("a", "b", "c"), *between]})
    times = f" ({moved} times)" if moved > 1 else ""
    words = f"tool_result: not in its place behind the calls, moved{times}"
    assert found.changes == ((words,) if moved else ())


def test_a_call_without_a_result_gets_one_and_a_result_without_a_call_becomes_text():
    found = read({"messages": [calls("a"), user(result("b", content="B"), text("on"))]})
    assert found.turns[1].parts == (
        Result("a", (Text(UNFINISHED),), is_error=True),
        Text("[result of a call that is not in this conversation]"),
        Text("B"),
        Text("on"),
    )
    assert len(found.changes) == 2


def test_calls_that_share_an_id_are_told_apart():
    found = turns(
        calls("0"),
        user(result("0", content="A")),
        calls("0", "0"),
        user(result("0", content="B"), result("0", content="C")),
    )
    ids = [part.id for turn in found for part in turn.parts if isinstance(part, Call)]
    answered = [(part.call_id, part.parts[0]) for turn in found for part in turn.parts if isinstance(part, Result)]
    assert len(set(ids)) == 3
    assert answered == [(ids[0], Text("A")), (ids[1], Text("B")), (ids[2], Text("C"))]


def test_messages_of_the_assistant_that_follow_each_other_are_one_turn():
    found = turns(calls("a"), calls("b"), user(result("b"), result("a")))
    assert [part.id for part in found[0].parts if isinstance(part, Call)] == ["a", "b"]
    assert [part.call_id for part in found[1].parts if isinstance(part, Result)] == ["a", "b"]


def test_an_answer_of_which_nothing_can_be_shown_keeps_its_place():
    found = turns(
        user(text("a")),
        {"role": "assistant", "content": [{"type": "redacted_thinking", "data": "x"}]},
        user(text("b")),
    )
    assert [turn.role for turn in found] == ["user", "assistant", "user"]


def test_thinking_carries_its_origin_if_the_signature_is_ours_and_whole():
    origin = Origin("p", "m", {"f": "reasoning"})
    blocks = [
        {"type": "thinking", "thinking": "t", "signature": each}
        for each in (sign(origin), sign(origin)[:-1], "Eq", 1)
    ]
    found = read({"messages": [{"role": "assistant", "content": blocks}]})
    assert found.turns[0].parts == (
        Thinking("t", origin),
        Thinking("t", None),
        Thinking("t", None),
        Thinking("t", None),
    )
    assert found.changes == ("thinking: a signature of ccrouter's that is not whole",)


def test_documents_of_every_kind():
    pdf = {"type": "base64", "media_type": "application/pdf", "data": "JV"}
    sources = [
        pdf,
        {"type": "text", "media_type": "text/plain", "data": "words"},
        {"type": "content", "content": "words"},
        {"type": "url", "url": "https://x/a.pdf"},
    ]
    found = turns(user(*({"type": "document", "source": each, "title": "T"} for each in sources)))
    assert found[0].parts == (
        Document("application/pdf", "T", data="JV"),
        Document("text/plain", "T", text="words"),
        Document("text/plain", "T", text="words"),
        Document("application/pdf", "T", url="https://x/a.pdf"),
    )


def test_what_lies_at_its_makers_leaves_its_place_in_words():
    source = {"type": "file", "file_id": "file_1"}
    found = read({"messages": [user({"type": "image", "source": source}, {"type": "document", "source": source})]})
    assert all(isinstance(part, Text) and "omitted" in part.text for part in found.turns[0].parts)
    assert len(found.turns[0].parts) == len(found.changes) == 2


def test_references_to_tools_and_results_of_searches_become_words():
    found = turns(
        calls("a"),
        user(
            result("a", content=[{"type": "tool_reference", "tool_name": "WebFetch"}]),
            {"type": "search_result", "source": "https://s", "title": "T", "content": [text("hit")]},
        ),
    )
    assert found[1].parts == (
        Result("a", (Text("The tool WebFetch is available from here on."),)),
        Text("T\nhttps://s\nhit"),
    )


def test_a_search_that_another_backend_ran_is_told_as_text():
    content = [
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "q"}},
        {
            "type": "web_search_tool_result",
            "tool_use_id": "s",
            "content": [{"type": "web_search_result", "url": "https://u", "title": "T", "encrypted_content": "x"}],
        },
    ]
    found = turns({"role": "assistant", "content": content})
    assert found[0].parts == (Text("[searched for: q]"), Text("[search results]\n- T https://u"))


def test_tools_are_those_that_the_client_runs_and_those_that_the_backend_does():
    search = {"type": "web_search_20250305", "name": "web_search", "max_uses": 8}
    found = read(
        {
            "tools": [
                {"name": "Bash", "description": "d", "input_schema": {"type": "object"}, "strict": True},
                {"name": "Late", "input_schema": {}, "defer_loading": True, "type": "custom"},
                {"name": "DeferredToolPlaceholder", "input_schema": {}, "defer_loading": True},
                search,
                {"description": "nameless"},
            ],
            "messages": [
                {
                    "role": "system",
                    "content": [
                        {
                            "type": "tool_addition",
                            "tool": {
                                "type": "tool_definition",
                                "definition": {"name": "Inline", "input_schema": {}},
                            },
                        }
                    ],
                }
            ],
        }
    )
    assert [(tool.name, tool.strict) for tool in found.tools] == [
        ("Bash", True),
        ("Late", False),
        ("Inline", False),
    ]
    assert found.server_tools == (ServerTool("web_search_20250305", "web_search", search),)
    assert found.turns[0].parts == (Text("The tool Inline is available from here on."),)
    assert found.changes == ("tool_addition: told as text", "tools: a tool without a name left out")


CACHED = {"cache_control": {"type": "ephemeral"}}


@pytest.mark.parametrize(
    ("said", "mark"),
    [
        ({"type": "ephemeral"}, Mark()),
        ({"type": "ephemeral", "ttl": "1h"}, Mark("1h")),
        ({"type": "ephemeral", "ttl": 5}, Mark()),
        (None, None),
        ("ephemeral", None),
    ],
)
def test_a_cache_mark_is_kept_beside_the_text(said, mark):
    marked = {**text("a"), "cache_control": said}
    assert turns(user(marked))[0].parts == (Text("a", mark),)
    assert read({"system": [marked, text("b")]}).system == (Text("a", mark), Text("b"))


def test_a_mark_on_a_block_is_at_the_end_of_all_that_is_shown_of_it():
    document = {"type": "document", "source": {"type": "text", "data": "words"}, "context": "c", **CACHED}
    image = {**IMAGE, **CACHED}
    found = turns(
        calls("a", "b"),
        user(result("a", content=[text("A"), text("B")], **CACHED), result("b", **CACHED), document, image),
    )
    assert found[1].parts == (
        Result("a", (Text("A"), Text("B", Mark()))),
        Result("b", (Text(SILENT, Mark()),)),
        Text("c"),
        Document("text/plain", "document", text="words", mark=Mark()),
        Image("image/png", "iVBORw0KGgo=", mark=Mark()),
    )


@given(any_fields)
def test_anything_is_read(fields):
    found = read(fields)
    for turn in found.turns:
        asked = [part.id for part in turn.parts if isinstance(part, Call)]
        assert len(set(asked)) == len(asked)
        assert all(part.parts for part in turn.parts if isinstance(part, Result))
        assert all(part.text.strip() for part in turn.parts if isinstance(part, Text))


@given(dialogues())
def test_a_longer_conversation_only_adds_at_its_end(dialogue):
    so_far = [[unmarked(turn) for turn in turns(*messages)] for messages in dialogue.requests]
    for shorter, longer in pairwise(so_far):
        assert longer[: len(shorter)] == shorter


def unmarked(value):
    """Without the cache marks: they move."""
    if isinstance(value, tuple):
        return tuple(map(unmarked, value))
    if isinstance(value, Text | Image | Document):
        return evolve(value, mark=None)
    return evolve(value, parts=unmarked(value.parts)) if isinstance(value, Turn | Result) else value


def lines_run(work) -> int:
    """How many lines of Python `work` runs: the same on any machine, however busy."""
    count = 0

    def trace(_frame, event, _arg):
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def test_reading_takes_steps_in_proportion_to_the_length():
    def steps(count):
        ids = ["0"] * count
        messages = [calls(*ids), user(*(result(each, content="x") for each in ids))]
        return lines_run(lambda: read({"messages": messages}))

    # Ten times as long: a square would be a hundred times.
    assert steps(1_000) < 12 * steps(100)
