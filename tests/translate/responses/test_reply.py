from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ccrouter.errors import FrameError, TruncatedStream, WireError
from ccrouter.providers.provider import Model
from ccrouter.translate import blocks, conversation, tokens
from ccrouter.translate.dialect import Bridge
from ccrouter.translate.provenance import Origin, read, sign
from ccrouter.translate.responses.reply import ResponsesReply
from ccrouter.translate.tools import Names
from ccrouter.wire.fold import fold
from ccrouter.wire.grammar import ENDED, Grammar
from ccrouter.wire.sse import Decoder
from tests import golden
from tests.golden import Message
from tests.strategies import cuts, mutated
from tests.translate.responses_wire import (
    USAGE,
    bridge,
    call,
    created,
    encode,
    ended,
    events_of,
    message,
    reasoning,
    replies,
    request,
    target,
    told,
    whole,
)

FAILED: tuple[dict[str, Any], ...] = (
    {"type": "response.failed", "response": {"error": {"code": "server_error", "message": "no"}}},
    {"type": "error", "code": "rate_limit_exceeded", "message": "slow down"},
)
INCOMPLETE = tuple(
    ended((), "incomplete", incomplete_details=details)[0] for details in (None, {"reason": "max_output_tokens"})
)

CASES = sorted((Path(__file__).parent.parent.parent / "cases" / "responses_reply").glob("*.case"))


# Golden cases


def ways_to_cut(body, seed):
    """Whole, byte by byte, and at a few places that are the same in every run."""
    yield [body]
    yield [body[place : place + 1] for place in range(len(body))]
    chance = random.Random(seed)
    for _ in range(10):
        places = sorted(chance.randint(0, len(body)) for _ in range(chance.randint(1, 8)))
        yield [body[start:end] for start, end in zip([0, *places], [*places, len(body)], strict=True)]


_SIGNATURE = re.compile(rb"ccr1\.[\w.-]+")


def _shown(signature):
    """What a signature says. Its own bytes depend on the version of zlib."""
    origin = read(signature[0].decode())
    assert origin is not None
    return f"<{origin.provider} {origin.model} {json.dumps(origin.payload)}>".replace('"', "'").encode()


def play(given_sections, seed):
    """The whole case as it comes out: ``target`` names a preset and a model, ``request`` and ``reply`` are given."""
    said = dict(line.split(": ", 1) for line in given_sections["target"].splitlines())
    asked = request(**json.loads(given_sections["request"].body))
    outcomes = []
    for chunks in ways_to_cut(given_sections["reply"].body, seed):
        try:
            client = b"".join(bridge(chunks, asked=asked, to=target(said["preset"], said["model"])))
            outcomes.append((_SIGNATURE.sub(_shown, client), "whole\n"))
        except TruncatedStream as error:
            outcomes.append((b"", f"TruncatedStream: {error}\n"))
    assert all(outcome == outcomes[0] for outcome in outcomes)
    client, verdict = outcomes[0]
    sections = {name: given_sections[name] for name in ("target", "request", "reply")}
    return sections | {"client": Message("HTTP 200", [], client), "verdict": verdict}


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_a_golden_case_comes_out_as_it_is_written(path, update_cases):
    shows, expected = golden.read(path)
    out = golden.show(shows, play(expected, path.stem))
    if update_cases:
        path.write_bytes(out.encode())
    assert out == path.read_bytes().decode()


def test_there_are_golden_cases():
    assert len(CASES) >= 8


# What a reply means


def folded(events, **how):
    running, rest = bridge([encode(events)], **how)
    return fold(events_of(running + rest))


def content(events, **how):
    """The blocks of the message, with what is in their signatures, and without the marks of calls."""
    found: list[tuple[Any, ...]] = []
    for block in folded(events, **how)["content"]:
        match block["type"]:
            case "thinking":
                origin = read(block["signature"])
                assert origin is not None
                assert (origin.provider, origin.model) == ("there", "m")
                found.append(("thinking", block["thinking"], origin.payload))
            case "text":
                found.append(("text", block["text"]))
            case "tool_use":
                assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", block["id"])
                found.append(("tool_use", block["id"].rpartition("_")[0], block["name"], block["input"]))
            case _:
                found.append(block)
    return found


def expected(events):
    """The same, from the full statements of the items alone."""
    order = []
    stated = {}
    for event in events:
        index = event.get("output_index")
        if (
            event["type"].endswith((".delta", ".done", ".added"))
            and "hologram" not in event["type"]
            and index != 90
        ):
            if index not in order:
                order.append(index)
            if event["type"] == "response.output_item.done":
                stated[index] = event["item"]
    items = [stated[index] for index in order] or events[-1]["response"]["output"]
    found: list[tuple[Any, ...]] = []
    for item in items:
        match item["type"]:
            case "message":
                texts = [part.get("text") or part.get("refusal") for part in item["content"]]
                for text in filter(None, texts):
                    if text.strip() and item.get("phase"):
                        found.append(("thinking", "", {"f": "phase", "p": item["phase"]}))
                    if text.strip():
                        found.append(("text", text))
            case "reasoning":
                parts = [("s", part["text"]) for part in item["summary"]]
                parts += [("r", part["text"]) for part in item.get("content", [])]
                parts = [(sort, text) for sort, text in parts if text]
                payload = {"f": "responses", "p": [[sort, len(text)] for sort, text in parts]}
                if item["encrypted_content"]:
                    payload["e"] = item["encrypted_content"]
                else:
                    payload["i"] = item["id"]
                if parts or item["encrypted_content"]:
                    found.append(("thinking", "\n\n".join(text for _, text in parts), payload))
            case "function_call":
                found.append(("tool_use", item["call_id"], item["name"], json.loads(item["arguments"])))
    return without_hidden_end(found)


def without_hidden_end(blocks):
    """Nothing of a message may stand behind its words that can't be seen."""
    seen = [place for place, block in enumerate(blocks) if block[:2] != ("thinking", "")]
    return blocks[: seen[-1] + 1] if seen else blocks


def without_phases(blocks):
    return without_hidden_end(
        [block for block in blocks if not (block[0] == "thinking" and block[2]["f"] == "phase")]
    )


@given(replies())
def test_what_comes_out_means_what_went_in(events):
    kinds = [event["type"] for event in events]
    out, meant = content(events), expected(events)
    if any(kind.endswith(".delta") for kind in kinds) and "response.output_item.added" not in kinds:
        out, meant = without_phases(out), without_phases(meant)  # told only when the text is on its way
    assert out == meant


@given(replies(), st.data())
def test_how_the_bytes_are_cut_makes_no_difference(events, data):
    body = encode(events, named=data.draw(st.booleans()))
    assert b"".join(bridge(data.draw(cuts(body)))) == b"".join(bridge([body]))


@given(replies(), st.data())
def test_a_reply_without_its_end_never_ends_the_message(events, data):
    body = encode(events)
    stream = Bridge(ResponsesReply(request(), target(), "msg_1"), Decoder())
    running = stream.feed(body[: data.draw(st.integers(0, len(body) - 1))])
    with pytest.raises(TruncatedStream):
        stream.close()
    assert "message_stop" not in {event["type"] for event in events_of(running)}


@given(
    replies(),
    st.data(),
    st.sampled_from([*FAILED, *INCOMPLETE, None]),
    st.sampled_from([1, 10, blocks._PULSE]),
)
def test_of_a_reply_that_breaks_off_no_call_is_given_that_was_not_done(events, data, end, pulse):
    """Nor one that waits behind an open item, nor the block that shows meanwhile that something is written."""
    said = events[: data.draw(st.integers(0, len(events) - 1))]
    stream = Bridge(ResponsesReply(request(), target(), "msg_1"), Decoder())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "_PULSE", pulse)
        out = events_of(stream.feed(encode([*said, *([] if end is None else [end])])))
    grammar = Grammar()
    for event in out:
        grammar.feed(event)
    if end is None:
        with pytest.raises(TruncatedStream):
            stream.close()
        assert grammar.state not in ENDED
    else:
        assert stream.close() == b""
        assert out[-1]["type"] == ("error" if end in FAILED else "message_stop")
    items = [event["item"] for event in said if event["type"] == "response.output_item.done"]
    done = {item["call_id"]: json.loads(item["arguments"]) for item in items if item["type"] == "function_call"}
    opened = [event["content_block"] for event in out if event["type"] == "content_block_start"]
    inputs = [event["delta"] for event in out if event["type"] == "content_block_delta"]
    given = [json.loads(delta["partial_json"]) for delta in inputs if delta["type"] == "input_json_delta"]
    calls = [block["id"].rpartition("_")[0] for block in opened if block["type"] == "tool_use"]
    assert given == [done[each] for each in calls]


@pytest.mark.parametrize(
    ("item", "given"),
    [
        (call(arguments="", status="in_progress"), False),
        (call(arguments="{}", status="in_progress"), False),
        (call(arguments='{"a": 1}', status="in_progress"), False),
        (call(arguments='{"a": 1', status="in_progress"), False),
        (call(arguments='{"a": 1', status=None), False),
        (call(arguments="", status=None), False),
        (call(arguments='{"a": 1}', status=None), True),
        (call(arguments="{}", status="completed"), True),
        (call(arguments='{"a": 1}', status="completed"), True),
    ],
)
def test_a_call_that_only_the_list_of_a_broken_off_reply_tells_of_must_be_whole(item, given):
    """There are servers without a status, and such as leave it as it was when they were stopped."""
    out = folded([*told(message("hi"), 0), *ended([message("hi"), item], "incomplete")])
    assert [block["type"] for block in out["content"]] == (["text", "tool_use"] if given else ["text"])
    assert out["stop_reason"] == ("tool_use" if given else "max_tokens")


@given(replies(), st.data())
def test_a_garbled_reply_raises_nothing_but_our_own_errors(events, data):
    body = data.draw(mutated(encode(events)))
    try:
        out = b"".join(bridge(data.draw(cuts(body))))
    except WireError:
        return
    last = events_of(out)[-1]["type"]
    assert last in {"message_stop", "error"}


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "type",
                    "item",
                    "part",
                    "delta",
                    "text",
                    "content",
                    "summary",
                    "response",
                    "error",
                    "action",
                    "output",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
_kinds = st.sampled_from(
    [
        "response.output_item.added",
        "response.output_item.done",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.function_call_arguments.delta",
        "response.completed",
        "response.failed",
        "error",
        "response.output_text.annotation.added",
        "response.reasoning_summary_part.done",
        "response.incomplete",
    ]
)
_items = st.builds(
    lambda kind, fields: {**fields, "type": kind},
    st.sampled_from(["message", "reasoning", "function_call", "web_search_call", "custom_tool_call"]) | _json,
    st.dictionaries(
        st.sampled_from(
            [
                "id",
                "call_id",
                "name",
                "arguments",
                "content",
                "summary",
                "encrypted_content",
                "action",
                "phase",
                "status",
                "input",
            ]
        ),
        _json,
    ),
)
_responses = st.dictionaries(
    st.sampled_from(["status", "incomplete_details", "output", "error", "usage", "input_transformations"]),
    _json | st.dictionaries(st.just("reason"), _json),
)
_odd = st.builds(
    lambda kind, fields, item: {**fields, **item, "type": kind},
    _kinds,
    st.dictionaries(
        st.sampled_from(
            [
                "output_index",
                "item_id",
                "delta",
                "text",
                "part",
                "response",
                "error",
                "message",
                "annotation",
                "content_index",
            ]
        ),
        _json,
    ),
    st.builds(lambda item: {"item": item}, _items | _json)
    | st.builds(lambda said: {"response": said}, _responses),
)


@given(st.lists(_odd, max_size=6))
@example([{"type": "response.output_item.added", "output_index": 0, "item": {"type": ["message"]}}])
@example([{"type": "response.completed", "response": {"status": ["failed"]}}])
@example([{"type": "response.incomplete", "response": {"incomplete_details": {"reason": ["max_tokens"]}}}])
def test_fields_of_the_wrong_type_are_passed_over(events):
    body = encode([*events, *ended()])
    out = events_of(b"".join(bridge([body])))
    assert out[-1]["type"] in {"message_stop", "error"}


# Text


def deltas(body):
    return [event["delta"].get("text") for event in events_of(body) if event["type"] == "content_block_delta"]


def test_text_is_passed_on_as_it_comes():
    events = [*created(), *told(message("hello"), 0, cut=list), *ended()]
    running, rest = bridge([encode(events)])
    assert deltas(running) == list("hello")
    assert rest == b""


def test_nothing_is_said_before_the_first_item_says_something():
    opening = [*created(), *told(message("hi"), 0, steps=("added",))]
    refused = [
        {
            "type": "response.failed",
            "response": {"status": "failed", "error": {"code": "server_is_overloaded", "message": "busy"}},
        }
    ]
    out = events_of(b"".join(bridge([encode([*opening, *refused])])))
    assert out == [{"type": "error", "error": {"type": "overloaded_error", "message": "there: busy"}}]


def test_a_whole_text_that_goes_on_where_its_fragments_ended_is_completed():
    events = told(message("hello world"), 0, steps=("added",))
    place = {"output_index": 0, "item_id": "msg_a", "content_index": 0}
    events.append({"type": "response.output_text.delta", **place, "delta": "hello"})
    events.append({"type": "response.output_text.done", **place, "text": "hello world"})
    assert content([*events, *ended()]) == [("text", "hello world")]


def test_a_whole_text_that_contradicts_what_was_said_is_not_heard():
    events = told(message("x"), 0, steps=("added",))
    place = {"output_index": 0, "item_id": "msg_a", "content_index": 0}
    events.append({"type": "response.output_text.delta", **place, "delta": "hello"})
    events.append({"type": "response.output_text.done", **place, "text": "goodbye, world"})
    assert content([*events, *ended()]) == [("text", "hello")]


def test_a_refusal_is_told_and_is_why_the_message_ends():
    whole_message = folded(whole(message(("refusal", "I can't help with that."))))
    assert whole_message["content"] == [{"type": "text", "text": "I can't help with that."}]
    assert whole_message["stop_reason"] == "refusal"
    assert whole_message["stop_details"] == {
        "type": "refusal",
        "category": None,
        "explanation": "I can't help with that.",
    }


def test_items_that_all_have_the_same_index_are_told_apart():
    events = [*told(message("one"), 0), *told(message("two", identity="msg_b"), 0)]
    events += [*told(call(call_id="c1", identity="f1"), 0), *told(call(call_id="c2", identity="f2"), 0)]
    blocks = content([*events, *ended()])
    assert [block[1] for block in blocks] == ["one", "two", "c1", "c2"]


def test_an_item_whose_id_changes_from_event_to_event_is_one_item():
    events = whole(message("hello"))
    for number, event in enumerate(events):
        if "item_id" in event:
            event["item_id"] = f"other_{number}"
    assert content(events) == [("text", "hello")]


def test_items_without_index_and_id_are_told_apart_by_their_kind():
    events = [*told(reasoning("think", encrypted="E"), 0), *told(message("hello"), 1), *told(call(), 2)]
    for event in events:
        event.pop("output_index", None)
        event.pop("item_id", None)
    assert [block[0] for block in content([*events, *ended()])] == ["thinking", "text", "tool_use"]


def test_open_items_of_two_kinds_with_one_index_are_told_apart():
    opened = [*told(message("hi"), 0, steps=("added",)), *told(call(), 0, steps=("added",))]
    events = [*opened, *told(message("hi"), 0, steps=("delta", "item")), *told(call(), 0, steps=("delta", "item"))]
    assert content([*events, *ended()]) == [("text", "hi"), ("tool_use", "call_a", "Bash", {})]


def test_items_without_names_are_known_again_in_the_list_at_the_end():
    said = [reasoning("think", encrypted="E"), message("hello"), call()]
    events = [event for item in said for event in told(item, 0, steps=("added", "delta", "done"))]
    for event in events:
        event.pop("output_index", None)
        event.pop("item_id", None)
        event.get("item", {}).pop("id", None)
    assert [block[0] for block in content([*events, *ended([{"type": "hologram"}, *said])])] == [
        "thinking",
        "text",
        "tool_use",
    ]


@pytest.mark.parametrize("steps", [("added", "delta", "item"), ("item",)])
def test_a_block_of_nothing_but_white_space_is_not_written(steps):
    blank = message("\n", " \n", phase="commentary")
    asked = {"asked": request(stop_sequences=["\n\nEND"])}
    for how in ({}, asked):
        behind = [*told(blank, 0, steps=steps, cut=list), *told(call(), 1), *ended()]
        assert content(behind, **how) == [("tool_use", "call_a", "Bash", {})]
        spaced = [*told(message("\n", "\n\na", "b"), 0, steps=steps, cut=list), *ended()]
        assert content(spaced, **how) == [("text", "\n\na"), ("text", "b")]


def test_the_parts_of_a_message_stay_apart_however_they_come():
    item = message("one", "two")
    first, second = told(item, 0, cut=list, steps=("delta",))[:3], told(item, 0, cut=list, steps=("delta",))[3:]
    events = [event for pair in zip(first, second, strict=True) for event in pair]
    running, rest = bridge(
        [encode([*told(item, 0, steps=("added",)), *events, *told(item, 0, steps=("item",)), *ended()])]
    )
    assert [block["text"] for block in fold(events_of(running + rest))["content"]] == ["one", "two"]


def test_an_item_told_twice_as_done_is_one_item():
    events = told(message("hello"), 0)
    assert content([*events, events[-1], *ended([events[-1]["item"]])]) == [("text", "hello")]


# Stop sequences


def test_text_is_cut_at_a_stop_sequence_and_the_message_ends_there():
    asked = request(stop_sequences=["</block>"])
    events = [*created(), *told(message("<block>no</block> and more"), 0, cut=list), *told(call(), 1), *ended()]
    out = folded(events, asked=asked)
    assert out["content"] == [{"type": "text", "text": "<block>no"}]
    assert (out["stop_reason"], out["stop_sequence"]) == ("stop_sequence", "</block>")
    assert out["usage"]["input_tokens"] > 0
    assert out["usage"]["output_tokens"] > 0


def test_what_only_began_like_a_stop_sequence_is_told():
    out = folded(whole(message("a </blo")), asked=request(stop_sequences=["</block>"]))
    assert out["content"] == [{"type": "text", "text": "a </blo"}]
    assert out["stop_reason"] == "end_turn"


# Reasoning


def test_only_the_encrypted_content_of_a_done_item_is_trusted():
    events = told(reasoning("think", encrypted="whole"), 0, steps=("added", "delta"))
    assert events[0]["item"]["encrypted_content"] == "partial"
    assert content([*events, *ended()]) == [
        ("thinking", "think", {"f": "responses", "p": [["s", 5]], "i": "rs_a"})
    ]
    assert content(whole(reasoning("think", encrypted="whole")))[0][2]["e"] == "whole"


def test_reasoning_that_says_nothing_and_gives_nothing_back_is_left_out():
    assert content(whole(reasoning(), message("hi"))) == [("text", "hi")]


def test_reasoning_without_a_summary_is_a_block_of_nothing_but_its_signature():
    assert content(whole(reasoning(encrypted="E"))) == [("thinking", "", {"f": "responses", "p": [], "e": "E"})]


def test_who_wants_no_thinking_gets_none():
    events = whole(reasoning("think", encrypted="E"), message("hi", phase="final_answer"))
    assert content(events, asked=request(thinking={"type": "disabled"})) == [("text", "hi")]


def test_who_wants_no_thinking_still_gets_what_the_backend_needs_back_in_front_of_the_calls():
    items = [reasoning("think", encrypted="E"), message("hi"), reasoning("more"), call()]
    assert content(whole(*items), asked=request(thinking={"type": "disabled"})) == [
        ("text", "hi"),
        ("thinking", "", {"f": "responses", "p": [], "e": "E"}),
        ("tool_use", "call_a", "Bash", {}),
    ]


def test_encrypted_reasoning_that_nothing_follows_is_not_the_last_block():
    assert content(whole(message("hi"), reasoning(encrypted="E"))) == [("text", "hi")]


def test_reasoning_that_the_backend_dropped_is_noted():
    def removed(reason):
        return {"id": "rs_1", "type": "reasoning", "action": "removed", "reason": reason}

    def notes(transformations):
        reply = ResponsesReply(request(), target(), "msg_1")
        bridged = Bridge(reply, Decoder())
        bridged.feed(encode(whole(message("hi"), input_transformations=transformations)))
        return reply.notes

    dropped = [removed("model_mismatch"), removed("model_mismatch"), removed("turn_boundary")]
    assert notes(dropped) == (
        "the backend dropped reasoning of earlier turns (model_mismatch, 2 times)",
        "the backend dropped reasoning of earlier turns (turn_boundary, 1 times)",
    )
    assert notes([]) == notes(None) == notes([5, "x"]) == notes({}) == ()


def test_a_signature_names_provider_model_and_payload_and_is_the_same_each_time():
    signature = folded(whole(reasoning("think", encrypted="E")))["content"][0]["signature"]
    assert signature == sign(Origin("there", "m", {"f": "responses", "p": [["s", 5]], "e": "E"}))


# Calls


def test_a_call_goes_under_the_clients_name_for_the_tool():
    name = "mcp__server__" + "read" * 20
    asked = request(tools=[{"name": name, "input_schema": {"type": "object"}}])
    there = Names(conversation.read(asked.fields)).there(name)
    assert there != name
    assert content(whole(call(there)), asked=asked) == [("tool_use", "call_a", name, {})]


def test_calls_of_different_messages_have_different_ids():
    ids = {folded(whole(call()), message_id=each)["content"][0]["id"] for each in ("msg_1", "msg_2")}
    ids |= {block["id"] for block in folded(whole(call(), call(identity="fc_b")), message_id="msg_3")["content"]}
    assert len(ids) == 4


def test_a_long_call_shows_that_it_lives():
    def cut(text):
        return [text[place : place + 100] for place in range(0, len(text), 100)]

    item = call(arguments=json.dumps({"x": "a" * 9000}))
    events = [*told(message("hi"), 0), *told(item, 1, cut=cut), *ended()]
    assert [block[:2] for block in content(events)] == [
        ("text", "hi"),
        ("thinking", ""),
        ("tool_use", "call_a"),
    ]


def test_arguments_sent_as_an_object_are_taken():
    item = call(arguments={"a": 1})
    assert content([*told(item, 0, steps=("item",)), *ended()]) == [("tool_use", "call_a", "Bash", {"a": 1})]


def test_arguments_that_lack_little_are_mended():
    assert content(whole(call(arguments='{"a": 1,}'))) == [("tool_use", "call_a", "Bash", {"a": 1})]


@pytest.mark.parametrize("item", [call(arguments="{nothing like it"), call(name="")])
def test_a_call_that_nobody_can_run_is_an_error(item):
    out = events_of(b"".join(bridge([encode(whole(message("hi"), item))])))
    assert out[-1]["type"] == "error"
    assert out[-1]["error"]["type"] == "api_error"
    assert out[-1]["error"]["message"].startswith("there: the model wrote ")
    reply = Bridge(ResponsesReply(request(), target(), "msg_1"), Decoder())
    reply.feed(encode(whole(item)))
    assert reply.first == "error"
    assert reply.failure is not None
    assert (reply.failure.status, reply.failure.message) == (500, out[-1]["error"]["message"])


def test_free_text_for_a_custom_tool_is_its_input():
    item = {"type": "custom_tool_call", "id": "ct_1", "call_id": "c1", "name": "apply_patch", "input": "*** Begin"}
    fragments = [
        {"type": "response.custom_tool_call_input.delta", "output_index": 0, "delta": each}
        for each in ("***", " Begin")
    ]
    added = {"type": "response.output_item.added", "output_index": 0, "item": {**item, "input": ""}}
    assert content([added, *fragments, *ended()]) == [("tool_use", "c1", "apply_patch", {"input": "*** Begin"})]


def test_a_call_that_was_broken_off_is_left_out():
    half = call(arguments='{"command": "rm -rf /tmp', status="incomplete")
    cut_off = {"incomplete_details": {"reason": "max_output_tokens"}}
    for output in ([], [message("hi"), half]):
        for steps in (("added", "delta"), ("added", "delta", "item")):
            events = [
                *told(message("hi"), 0),
                *told(half, 1, steps=steps),
                *ended(output, "incomplete", **cut_off),
            ]
            out = folded(events)
            assert [block["type"] for block in out["content"]] == ["text"]
            assert out["stop_reason"] == "max_tokens"
            uncounted = folded([*events[:-1], *ended(output, "incomplete", **cut_off, usage=None)])
            assert uncounted["usage"]["output_tokens"] >= tokens.estimate_text(half["arguments"])


# Ends


@pytest.mark.parametrize(
    ("items", "more", "reason"),
    [
        ([message("hi")], {}, "end_turn"),
        ([], {}, "end_turn"),
        ([message("hi"), call()], {}, "tool_use"),
        (
            [message("hi")],
            {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}},
            "max_tokens",
        ),
        ([message("hi")], {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}, "refusal"),
        ([call()], {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, "tool_use"),
        ([message("hi")], {"status": "incomplete", "incomplete_details": {"reason": "steered"}}, "end_turn"),
    ],
)
def test_why_a_message_ends(items, more, reason):
    assert folded(whole(*items, **more))["stop_reason"] == reason


def test_tokens_are_counted_as_anthropic_does():
    usage = folded(whole(message("hi")))["usage"]
    assert (
        usage["input_tokens"] + usage["cache_read_input_tokens"] + usage["cache_creation_input_tokens"]
        == USAGE["input_tokens"]
    )
    assert (usage["cache_read_input_tokens"], usage["cache_creation_input_tokens"]) == (60, 10)
    assert (usage["output_tokens"], usage["output_tokens_details"]) == (20, {"thinking_tokens": 5})


def test_a_prompt_is_estimated_until_its_count_is_known():
    running, _ = bridge([encode(whole(message("hi")))])
    started = events_of(running)[0]
    assert started["message"]["usage"] == {"input_tokens": tokens.estimate(request().fields), "output_tokens": 0}


def test_tokens_that_nobody_counted_are_estimated():
    usage = folded([*told(message("some words"), 0), *ended(usage=None)])["usage"]
    assert usage["input_tokens"] > 0
    assert usage["output_tokens"] > 0


def test_an_end_without_a_terminal_event_is_none():
    events = told(message("hi"), 0)
    with pytest.raises(TruncatedStream):
        bridge([encode(events) + b"data: [DONE]\n\n"])


def test_what_comes_after_the_end_is_not_heard():
    body = encode(whole(message("hi")))
    assert bridge([body + b"data: [DONE]\n\n" + encode(told(message("more"), 1))]) == bridge([body])


@pytest.mark.parametrize("body", [b"data: {\n\n", b"data: []\n\n", b"data: " + b"[" * 100_000 + b"\n\n"])
def test_what_is_no_event_is_an_error(body):
    with pytest.raises(FrameError):
        bridge([body])


# Failures


def failed(event, **how):
    out = events_of(b"".join(bridge([encode([event])], **how)))
    assert [each["type"] for each in out] == ["error"]
    return out[0]["error"]["type"], out[0]["error"]["message"]


def response_failed(code, words="it went wrong"):
    return {"type": "response.failed", "response": {"status": "failed", "error": {"code": code, "message": words}}}


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("server_error", "api_error"),
        ("rate_limit_exceeded", "rate_limit_error"),
        ("server_is_overloaded", "overloaded_error"),
        ("slow_down", "overloaded_error"),
        ("insufficient_quota", "rate_limit_error"),
        ("usage_limit_reached", "rate_limit_error"),
        ("usage_not_included", "rate_limit_error"),
        ("invalid_prompt", "invalid_request_error"),
        ("cyber_policy", "invalid_request_error"),
        ("bio_policy", "invalid_request_error"),
        ("misalignment_policy_violation", "invalid_request_error"),
        ("invalid_image_format", "invalid_request_error"),
        ("image_content_policy_violation", "invalid_request_error"),
        ("empty_image_file", "invalid_request_error"),
        ("something_new", "api_error"),
    ],
)
@pytest.mark.parametrize("form", ["failed", "bare", "nested"])
def test_a_failure_has_the_clients_type_and_the_backends_words(code, kind, form):
    error = {"code": code, "message": "it went wrong"}
    event = {
        "failed": response_failed(code),
        "bare": {"type": "error", **error, "param": None, "sequence_number": 1},
        "nested": {"type": "error", "error": {"type": "x", **error}, "sequence_number": 1},
    }[form]
    found, words = failed(event)
    assert found == kind
    assert words.startswith("there: it went wrong")


def test_an_overflow_is_told_in_the_words_at_which_the_client_compacts():
    overflow = response_failed("context_length_exceeded", "Your input exceeds the context window of this model.")
    assert failed(overflow) == ("invalid_request_error", "prompt is too long")
    small = target(models=(Model("m", window=5),))
    kind, words = failed(
        overflow, asked=request(messages=[{"role": "user", "content": "many words " * 50}]), to=small
    )
    assert kind == "invalid_request_error"
    assert re.fullmatch(r"prompt is too long: \d+ tokens > 5 maximum", words)


def test_a_failure_without_a_word_still_says_who_failed():
    kind, words = failed({"type": "response.failed", "response": {"status": "failed", "error": None}})
    assert kind == "api_error"
    assert words.startswith("there: the backend failed without a word")


def test_a_failure_after_text_ends_the_stream():
    events = [*told(message("hi"), 0, steps=("added", "delta")), response_failed("server_error")]
    out = events_of(b"".join(bridge([encode(events)])))
    assert [each["type"] for each in out][-2:] == ["content_block_delta", "error"]


# Searches


def search(query="q", identity="ws_a", sources=None, status="completed", kind="search"):
    action = {"type": kind, "query": query} | (
        {} if sources is None else {"sources": [{"type": "url", "url": each} for each in sources]}
    )
    return {"type": "web_search_call", "id": identity, "status": status, "action": action}


def citing(text, *pages):
    item = message(text)
    item["content"][0]["annotations"] = [
        {"type": "url_citation", "start_index": 0, "end_index": 1, "url": url, "title": title}
        for url, title in pages
    ]
    return item


def results(out):
    return [
        [(page["url"], page["title"]) for page in block["content"]]
        if isinstance(block["content"], list)
        else block["content"]
        for block in out["content"]
        if block["type"] == "web_search_tool_result"
    ]


def test_a_search_is_told_with_its_pages_in_front_of_the_text_that_cites_them():
    out = folded(
        whole(
            search("moon", sources=["https://a", "https://b"]),
            citing("The moon.", ("https://b", "B"), ("https://c", "C")),
        )
    )
    asked, found, text = out["content"]
    assert (asked["type"], asked["name"], asked["input"]) == ("server_tool_use", "web_search", {"query": "moon"})
    assert re.fullmatch(r"srvtoolu_[a-zA-Z0-9_]+", asked["id"])
    assert found["tool_use_id"] == asked["id"]
    assert results(out) == [[("https://a", "https://a"), ("https://b", "B"), ("https://c", "C")]]
    assert text["text"] == "The moon."
    assert out["stop_reason"] == "end_turn"
    assert out["usage"]["server_tool_use"] == {"web_search_requests": 1, "web_fetch_requests": 0}


def test_each_search_has_a_result_even_if_nothing_cites_it():
    out = folded(
        whole(
            search("a", "ws_1", ["https://a"]),
            search("b", "ws_2"),
            search(kind="open_page", identity="ws_3"),
            message("none"),
        )
    )
    assert results(out) == [[("https://a", "https://a")], []]
    uses = [block["id"] for block in out["content"] if block["type"] == "server_tool_use"]
    answers = [block["tool_use_id"] for block in out["content"] if block["type"] == "web_search_tool_result"]
    assert len(set(uses)) == 2
    assert uses == answers


def test_a_result_stands_behind_its_search_also_where_a_call_follows():
    out = folded(whole(search("a", "ws_1", ["https://a"]), call(), search("b", "ws_2"), call(call_id="call_b")))
    kinds = [block["type"] for block in out["content"]]
    assert kinds == ["server_tool_use", "web_search_tool_result", "tool_use"] * 2
    assert results(out) == [[("https://a", "https://a")], []]
    assert out["stop_reason"] == "tool_use"


def test_a_search_that_failed_says_so():
    out = folded(whole(search(status="failed"), message("sorry")))
    assert results(out) == [{"type": "web_search_tool_result_error", "error_code": "unavailable"}]


def test_a_cited_page_is_told_once_by_the_search_that_found_it():
    pages = [search("a", "ws_1", ["https://a"]), search("b", "ws_2", ["https://b"])]
    out = folded(whole(*pages, citing("Both.", ("https://a", "A"), ("https://b", "B"))))
    assert results(out) == [[("https://a", "A")], [("https://b", "B")]]


def test_a_citation_told_twice_is_one_page():
    item = citing("The moon.", ("https://b", "B"))
    events = told(item, 1)
    events.insert(
        2,
        {
            "type": "response.output_text.annotation.added",
            "output_index": 1,
            "annotation": item["content"][0]["annotations"][0],
        },
    )
    assert results(folded([*told(search(), 0), *events, *ended()])) == [[("https://b", "B")]]
