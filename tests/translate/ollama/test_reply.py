from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccrouter.errors import FrameError, TruncatedStream, WireError
from ccrouter.providers.presets import PRESETS
from ccrouter.providers.provider import Model, Provider, Target
from ccrouter.translate import provenance, tokens
from ccrouter.translate.dialect import Bridge
from ccrouter.translate.ollama import request as ollama_request
from ccrouter.translate.ollama.reply import OllamaReply
from ccrouter.wire import ndjson
from ccrouter.wire.fold import fold
from ccrouter.wire.messages import read_request
from ccrouter.wire.sse import Decoder
from tests import golden
from tests.golden import Message
from tests.strategies import cuts, mutated

CASES = sorted((Path(__file__).parent.parent.parent / "cases" / "ollama_reply").glob("*.case"))
REQUEST = {"model": "claude-sonnet-4-5", "max_tokens": 99, "messages": [{"role": "user", "content": "Hello"}]}


def target(model="m", name="p", **known):
    models = (Model(model, **known),) if known else ()
    return Target(Provider(name=name, preset=PRESETS["ollama"], base_url="http://h", models=models), model)


def bridge(to=None, request=None):
    asked = read_request(json.dumps(request or REQUEST).encode())
    return Bridge(OllamaReply(asked, to or target(), "msg_1"), ndjson.Decoder())


def answer(chunks, to=None, request=None):
    """The bytes that the client gets, and how the stream ended."""
    reply = bridge(to, request)
    out = b""
    try:
        for chunk in chunks:
            out += reply.feed(chunk)
        out += reply.close()
    except WireError as error:
        return out, f"{type(error).__name__}: {error}"
    if b"event: error\n" in out:
        assert_told_as_a_status(reply, events_in(out)[-1]["error"])
        return out, "failed at once" if reply.first == "error" else "failed"
    return out, "whole"


def events_in(out):
    return [json.loads(frame.data or b"") for frame in Decoder().feed(out)]


def spelled(*lines):
    return b"".join(each if isinstance(each, bytes) else json.dumps(each).encode() + b"\n" for each in lines)


def piece(content="", **more):
    message = {"role": "assistant", "content": content, **more}
    return {"model": "m", "created_at": "2026-11-20T10:00:00Z", "message": message, "done": False}


def assert_told_as_a_status(reply, error):
    """An error that is all of a reply is told before it begins, and counts as a failure wherever it comes."""
    assert reply.failure is not None
    assert (reply.failure.kind, reply.failure.message) == (error["type"], error["message"])
    assert reply.failure.status >= 400


def done(reason="stop", **more):
    return {**piece(), "done": True, "done_reason": reason, "total_duration": 1, **more}


def call(name="Read", arguments=None, **more):
    return {
        "function": {"index": 0, "name": name, "arguments": {"x": 1} if arguments is None else arguments},
        **more,
    }


def message(*lines, to=None, **asked):
    out, verdict = answer([spelled(*lines)], to, REQUEST | asked)
    assert verdict == "whole"
    return fold(events_in(out))


def failure(*lines, to=None, **asked):
    """The error that the stream ends with, and whether it is all there is."""
    out, verdict = answer([spelled(*lines)], to, REQUEST | asked)
    last = events_in(out)[-1]
    assert last["type"] == "error"
    return last["error"], verdict == "failed at once"


# Golden cases


def play(given_, seed):
    """The whole case as it comes out. ``given_`` has what the case says of target, request and reply."""
    said = dict(line.split(": ", 1) for line in given_["target"].splitlines())
    to = target(
        said["model"], said["provider"], **({"num_ctx": int(said["num_ctx"])} if "num_ctx" in said else {})
    )
    request, reply = given_["request"], given_["reply"]
    outcomes = [answer(pieces, to, json.loads(request.body)) for pieces in ways_to_cut(reply.body, seed)]
    for other in outcomes[1:]:
        assert other == outcomes[0]
    out, verdict = outcomes[0]
    return {
        "target": given_["target"],
        "request": request,
        "reply": reply,
        "client": Message("HTTP 200", [(b"content-type", b"text/event-stream")], out),
        "verdict": f"{verdict}\n",
    }


def ways_to_cut(body, seed):
    """Whole, byte by byte, and at a few places that are the same in every run."""
    yield [body]
    yield [body[place : place + 1] for place in range(len(body))]
    chance = random.Random(seed)
    for _ in range(10):
        places = sorted(chance.randint(0, len(body)) for _ in range(chance.randint(1, 8)))
        yield [body[start:end] for start, end in zip([0, *places], [*places, len(body)], strict=True)]


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_a_golden_case_comes_out_as_it_is_written(path, update_cases):
    shows, expected = golden.read(path)
    out = golden.show(shows, play(expected, path.stem))
    if update_cases:
        path.write_bytes(out.encode())
    assert out == path.read_bytes().decode()


def test_there_are_golden_cases():
    assert len(CASES) >= 10


# Properties: streams of lines, and what they say, folded without a look at the code

words = st.text(max_size=6) | st.sampled_from(
    ["\u2028", "\r\n\r\n", '{"done":true}\n', "😀", "<think>", "</think>", " "]
)
inputs = st.dictionaries(words, st.integers(0, 9) | words | st.booleans(), max_size=3)


@st.composite
def replies(draw):
    """Lines of a whole reply, and the message that they mean."""
    thought = draw(st.lists(words, max_size=3))
    said = draw(st.lists(words, max_size=3))
    if not any(thought):
        said.insert(0, "x")  # or the text could begin with a tag
    called = draw(st.lists(st.tuples(st.sampled_from(["Read", "Bash"]), inputs), max_size=3))
    lines = [piece(thinking=each) for each in thought] + [piece(each) for each in said]
    asked = [call(name, draw(st.sampled_from([value, json.dumps(value)]))) for name, value in called]
    ids = draw(st.sampled_from([None, "same", "apart"]))
    for place, each in enumerate(asked):
        if ids:
            each["id"] = "call_0" if ids == "same" else f"call_{place}"
    together = draw(st.booleans())
    last = draw(st.integers(0, len(lines)))
    for group in [asked] if together and asked else [[each] for each in asked]:
        last = draw(st.integers(last, len(lines)))
        lines.insert(last, piece(tool_calls=group))
        last += 1
    counts = (draw(st.integers(1, 99)), draw(st.integers(1, 99)))
    lines.append(done(prompt_eval_count=counts[0], eval_count=counts[1]))
    joined = "".join(said)
    return lines, {
        "thinking": "".join(thought),
        "text": joined if joined.strip() else "",
        "calls": called,
        "reason": "tool_use" if called else "end_turn",
        "counts": counts,
    }


@st.composite
def bodies(draw):
    """The bytes of a stream as some server may spell them."""
    lines, meant = draw(replies())
    end = draw(st.sampled_from([b"\n", b"\r\n"]))
    body = b"".join(json.dumps(each, ensure_ascii=draw(st.booleans())).encode() + end for each in lines)
    return body, meant


@given(bodies(), st.data())
def test_what_comes_out_folds_to_what_the_lines_say_however_they_are_cut(given_, data):
    body, meant = given_
    out, verdict = answer(data.draw(cuts(body)))
    assert verdict == "whole"
    assert (out, verdict) == answer([body])
    folded = fold(events_in(out))
    assert folded["stop_reason"] == meant["reason"]
    found = {
        kind: [block for block in folded["content"] if block["type"] == kind]
        for kind in ("thinking", "text", "tool_use")
    }
    assert sum(map(len, found.values())) == len(folded["content"])
    assert "".join(block["thinking"] for block in found["thinking"]) == meant["thinking"]
    assert "".join(block["text"] for block in found["text"]) == meant["text"]
    assert [(block["name"], block["input"]) for block in found["tool_use"]] == meant["calls"]
    assert len({block["id"] for block in found["tool_use"]}) == len(found["tool_use"])
    assert (folded["usage"]["input_tokens"], folded["usage"]["output_tokens"]) == meant["counts"]
    assert all(provenance.read(block["signature"]) for block in found["thinking"])


@given(bodies())
def test_who_wants_no_thinking_gets_all_but_that(given_):
    body, meant = given_
    out, verdict = answer([body], request=REQUEST | {"thinking": {"type": "disabled"}})
    assert verdict == "whole"
    folded = fold(events_in(out))
    assert {block["type"] for block in folded["content"]} <= {"text", "tool_use"}
    assert "".join(block.get("text", "") for block in folded["content"]) == meant["text"]
    assert [(block["name"], block["input"]) for block in folded["content"] if "name" in block] == meant["calls"]


@given(bodies(), st.data())
def test_a_stream_that_is_cut_never_ends_in_message_stop(given_, data):
    body, _ = given_
    whole = len(body.rstrip())
    part = body[: data.draw(st.integers(0, whole - 1))]
    out, verdict = answer(data.draw(cuts(part)))
    assert b"event: message_stop" not in out
    assert verdict.startswith("TruncatedStream")


def test_a_stream_that_is_cut_at_any_byte_is_told():
    body = spelled(
        piece(thinking="hm"),
        piece("a {"),
        piece(tool_calls=[call(id="c")]),
        done(prompt_eval_count=1, eval_count=2),
    )
    for size in range(len(body) - 1):
        out, verdict = answer([body[:size]])
        assert verdict.startswith("TruncatedStream"), size
        assert b"message_stop" not in out
    assert answer([body[:-1]])[1] == "whole"  # nothing but the last LF is missing


@given(bodies().map(lambda each: each[0]).flatmap(mutated), st.sampled_from(["adaptive", "disabled"]))
@settings(max_examples=300)
def test_mutated_streams_raise_our_own_errors_only_and_follow_the_grammar(body, thinking):
    reply = bridge(request=REQUEST | {"thinking": {"type": thinking}})
    try:
        out = reply.feed(body) + reply.close()
    except WireError as error:
        assert "translation" not in str(error)
    else:
        assert events_in(out)[-1]["type"] in {"message_stop", "error"}


FIELDS = st.sampled_from(
    [
        "message",
        "content",
        "thinking",
        "tool_calls",
        "function",
        "name",
        "arguments",
        "id",
        "index",
        "done",
        "done_reason",
        "error",
        "prompt_eval_count",
        "eval_count",
    ]
)
junk = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 3) | st.floats() | st.sampled_from(["", "a", "<think>", "stop", "load"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(st.lists(st.dictionaries(FIELDS, junk, max_size=5), max_size=4), st.dictionaries(FIELDS, junk, max_size=5))
@settings(max_examples=300)
def test_members_of_wrong_types_raise_our_own_errors_only(lines, said):
    reply = bridge(target(num_ctx=4), REQUEST | {"stop_sequences": ["a"]})
    try:
        out = reply.feed(spelled({"message": said}, *lines, done())) + reply.close()
    except WireError as error:
        assert "translation" not in str(error)
    else:
        events = events_in(out)
        assert events[-1]["type"] == "error" or fold(events)


# Lines


@pytest.mark.parametrize("line", [b"{", b"5", b"[]", b"null", b'"x"', b"\xff", b"<html>", b"data: {}"])
def test_what_is_no_object_is_a_broken_stream(line):
    with pytest.raises(FrameError, match=r"^the backend sent a line that is no"):
        bridge().feed(line + b"\n")


@pytest.mark.parametrize("place", ["x", "arguments"])
def test_a_line_that_is_nested_too_deep_is_a_broken_stream(place):
    deep = b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    line = b'{"message":{"tool_calls":[{"function":{"name":"a","' + place.encode() + b'":' + deep + b"}}]}}\n"
    with pytest.raises(FrameError, match="nested too deep"):
        bridge().feed(line)


def test_numbers_that_json_does_not_have_are_read_over():
    found = message(b'{"message":{"content":"a"},"logprobs":-Infinity}\n', done())
    assert found["content"] == [{"type": "text", "text": "a"}]


def test_nothing_is_written_before_something_was_said():
    reply = bridge()
    assert reply.feed(spelled(piece(), piece(tool_calls=[call()]))) == b""
    assert reply.first is None


def test_a_reply_that_says_nothing_is_whole_all_the_same():
    folded = message(piece(), done())
    assert (folded["content"], folded["stop_reason"]) == ([], "end_turn")
    assert message({"message": {"content": "a"}, "done": True})["stop_reason"] == "end_turn"


def test_the_message_has_the_id_and_the_model_that_the_client_knows():
    folded = message(piece("a"), done())
    assert (folded["id"], folded["model"]) == ("msg_1", "claude-sonnet-4-5")


def test_what_comes_behind_the_end_is_not_heard():
    reply = bridge()
    reply.feed(spelled(piece("a"), done()))
    assert reply.ended
    assert reply.feed(spelled(piece("b"), {"error": "late"})) + reply.close() == b""


def test_a_block_of_nothing_but_white_space_is_not_written():
    assert message(piece("\n\n"), piece(tool_calls=[call()]), done())["content"][0]["type"] == "tool_use"
    assert message(piece("\n"), piece("\na"), done())["content"] == [{"type": "text", "text": "\n\na"}]


# Counts


def test_a_prompt_is_estimated_until_its_count_is_known():
    started = events_in(bridge().feed(spelled(piece("a"))))[0]
    assert started["message"]["usage"] == {"input_tokens": tokens.estimate(REQUEST), "output_tokens": 0}
    told = message(piece("a"), done(prompt_eval_count=5000, eval_count=7))
    assert (told["usage"]["input_tokens"], told["usage"]["output_tokens"]) == (5000, 7)


def test_what_nobody_counts_is_estimated():
    told = message(piece(thinking="Some thought"), piece("Some words"), piece(tool_calls=[call()]), done())
    assert told["usage"]["output_tokens"] == tokens.estimate_text('Some thoughtSome words{"x": 1}')
    assert told["usage"]["input_tokens"] == tokens.estimate(REQUEST)


# Thinking


@pytest.mark.parametrize("line", [piece(thinking="hm"), piece("<think>hm</think>")])
def test_thinking_carries_its_origin_and_goes_back_as_thinking(line):
    [block, _] = message(line, piece("a"), done())["content"]
    assert provenance.read(block["signature"]) == provenance.Origin("p", "m", {"f": "messages"})
    said = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": [block]}]
    again = read_request(json.dumps(REQUEST | {"messages": said}).encode())
    body = json.loads(ollama_request.render(again, target(), [], "", "messages").body)
    assert body["messages"][1] == {"role": "assistant", "content": "(no text)", "thinking": "hm"}


def test_thinking_once_more_behind_a_text_is_a_block_of_its_own():
    content = message(piece(thinking="a"), piece("b"), piece(thinking="c"), piece("d"), done())["content"]
    assert [block.get("thinking") or block.get("text") for block in content] == ["a", "b", "c", "d"]


def test_a_closing_tag_that_nothing_opened_is_noted():
    reply = bridge()
    reply.feed(spelled(piece("So\n</think>\nit is"), done()))
    [note] = reply.notes
    assert "</think>" in note
    plain = bridge()
    plain.feed(spelled(piece("So it is"), done()))
    assert plain.notes == ()


# Calls


def test_a_name_that_was_shortened_is_the_clients_again():
    long = "mcp__server__" + "x" * 80
    tool = {"name": long, "input_schema": {"type": "object", "properties": {}}}
    asked = read_request(json.dumps(REQUEST | {"tools": [tool]}).encode())
    body = json.loads(ollama_request.render(asked, target(), [], "", "messages").body)
    there = body["tools"][0]["function"]["name"]
    assert there != long
    assert message(piece(tool_calls=[call(there)]), done(), tools=[tool])["content"][0]["name"] == long


@pytest.mark.parametrize(
    ("arguments", "given_"),
    [(None, {}), ("", {}), ('{"a": 1}', {"a": 1}), ({}, {}), ({"a": [None]}, {"a": [None]})],
)
def test_arguments_are_an_object_or_stand_for_one(arguments, given_):
    asked = {"function": {"name": "Read", "arguments": arguments}}
    assert message(piece(tool_calls=[asked]), done())["content"][0]["input"] == given_


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (call(""), "called a tool without naming it"),
        ({"function": {"arguments": {}}}, "called a tool without naming it"),
        ({}, "called a tool without naming it"),
        (call("Read", [1]), "arguments of the call of 'Read' are no JSON object"),
        (call("Read", "{"), "arguments of the call of 'Read' are no JSON object"),
    ],
)
def test_a_call_that_can_not_be_run_is_an_error(asked, words):
    error, _ = failure(piece("a"), piece(tool_calls=[asked]), done())
    assert error["type"] == "api_error"
    assert words in error["message"]


# Ends


def test_a_stop_sequence_is_cut_by_the_router_too():
    folded = message(piece("one ST"), piece("OP two"), stop_sequences=["STOP"])
    assert (folded["content"][0]["text"], folded["stop_reason"], folded["stop_sequence"]) == (
        "one ",
        "stop_sequence",
        "STOP",
    )


@pytest.mark.parametrize(
    ("known", "counts", "reason"),
    [
        ({"num_ctx": 4096}, {"prompt_eval_count": 2050, "eval_count": 2046}, "model_context_window_exceeded"),
        ({"num_ctx": 4096}, {"prompt_eval_count": 2050, "eval_count": 2045}, "model_context_window_exceeded"),
        ({"num_ctx": 4096}, {"prompt_eval_count": 2050, "eval_count": 100}, "max_tokens"),
        ({"num_ctx": 4096}, {"eval_count": 5000}, "max_tokens"),
        ({"num_ctx": 9000, "window": 4096}, {"prompt_eval_count": 4000, "eval_count": 96}, "model_context_window_exceeded"),
        ({}, {"prompt_eval_count": 2050, "eval_count": 2046}, "max_tokens"),
    ],
)  # fmt: skip
def test_a_window_that_is_full_is_told_from_a_limit_that_was_reached(known, counts, reason):
    assert message(piece("a"), done("length", **counts), to=target(**known))["stop_reason"] == reason
    assert message(piece("a"), done("stop", **counts), to=target(**known))["stop_reason"] == "end_turn"


@pytest.mark.parametrize("reason", ["load", "unload"])
def test_a_model_that_was_only_loaded_answered_nothing(reason):
    error, at_once = failure(done(reason))
    assert at_once
    assert "answered nothing" in error["message"]


# Errors


def test_an_error_in_the_stream_is_told():
    error, at_once = failure(piece("a"), {"error": "model runner has unexpectedly stopped"})
    assert not at_once
    assert error == {"type": "api_error", "message": "p: model runner has unexpectedly stopped"}
    assert failure({"error": {"message": "no", "code": 503}})[1]


@pytest.mark.parametrize(
    "words",
    [
        "the input length exceeds the context length",
        "prompt too long; exceeded max context length by 1024 tokens",
        "request (9000 tokens) exceeds the available context size (4096 tokens), try increasing it",
    ],
)
def test_a_prompt_that_is_too_long_after_all_is_told_in_the_clients_words(words):
    reply = bridge(target(num_ctx=4096))
    reply.feed(spelled({"error": words}))
    assert reply.failure is not None
    assert (reply.failure.status, reply.failure.kind) == (400, "invalid_request_error")
    assert reply.failure.message.startswith("prompt is too long")


def test_an_end_without_done_is_none():
    reply = bridge()
    reply.feed(spelled(piece("a"), piece("b")))
    with pytest.raises(TruncatedStream):
        reply.close()
