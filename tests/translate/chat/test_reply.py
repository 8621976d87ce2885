from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccrouter.errors import FrameError, TruncatedStream, WireError
from ccrouter.providers.presets import PRESETS
from ccrouter.providers.provider import Model, Preset, Provider, Target
from ccrouter.providers.quirks import Quirks
from ccrouter.translate import provenance, tokens
from ccrouter.translate.chat.reply import ChatReply
from ccrouter.translate.dialect import Bridge
from ccrouter.wire.fold import fold
from ccrouter.wire.messages import read_request
from ccrouter.wire.sse import Decoder
from tests import golden
from tests.golden import Message
from tests.strategies import cuts, mutated

CASES = sorted((Path(__file__).parent.parent.parent / "cases" / "chat_reply").glob("*.case"))


def target(name="p", model="m", models=(), **quirks):
    codes = PRESETS[name].codes if name in PRESETS else ()
    preset = Preset(name=name, title=name, codes=codes, quirks=Quirks(**quirks))
    return Target(Provider(name=name, preset=preset, base_url="https://example.com", models=models), model)


REQUEST = {"model": "claude-sonnet-4-5", "messages": [{"role": "user", "content": "Hello"}]}


def bridge(to, request=None):
    return Bridge(ChatReply(read_request(json.dumps(request or REQUEST).encode()), to, "msg_1"), Decoder())


def answer(chunks, to, request=None):
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


def assert_told_as_a_status(reply, error):
    """An error that is all of a reply is told before it begins, and counts as a failure wherever it comes."""
    assert reply.failure is not None
    assert (reply.failure.kind, reply.failure.message) == (error["type"], error["message"])
    assert reply.failure.status >= 400


def events_in(out):
    return [json.loads(frame.data or b"") for frame in Decoder().feed(out)]


def spelled(*chunks, done=True):
    frames = [
        chunk if isinstance(chunk, bytes) else b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks
    ]
    return b"".join(frames) + (b"data: [DONE]\n\n" if done else b"")


def chunk(delta=None, finish=None, **more):
    return {"choices": [{"index": 0, "delta": delta or {}, "finish_reason": finish}], **more}


def message(*chunks, to=None, done=True, **asked):
    out, verdict = answer([spelled(*chunks, done=done)], to or target(), REQUEST | asked)
    assert verdict == "whole"
    return fold(events_in(out))


def failure(*chunks, to=None, done=True, **asked):
    """The error that the stream ends with, and whether it is all there is."""
    out, verdict = answer([spelled(*chunks, done=done)], to or target(), REQUEST | asked)
    last = events_in(out)[-1]
    assert last["type"] == "error"
    return last["error"], verdict == "failed at once"


def call(name="Read", arguments='{"x":1}', index=0, call_id="call_1", **more):
    return {
        "tool_calls": [{"index": index, "id": call_id, "function": {"name": name, "arguments": arguments}, **more}]
    }


def origins(folded):
    return [provenance.read(block["signature"]) for block in folded["content"] if block["type"] == "thinking"]


def payloads(folded):
    return [origin and origin.payload for origin in origins(folded)]


# Golden cases


def play(given, seed):
    """The whole case as it comes out. ``given`` has what the case says of target, request and reply."""
    said = dict(line.split(": ", 1) for line in given["target"].splitlines())
    to = target(said["provider"], said["model"], replay=said["replay"], reasoning_apart="reasoning_apart" in said)
    request, reply = given["request"], given["reply"]
    outcomes = [answer(pieces, to, json.loads(request.body)) for pieces in ways_to_cut(reply.body, seed)]
    for other in outcomes[1:]:
        assert other == outcomes[0]
    out, verdict = outcomes[0]
    return {
        "target": given["target"],
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
    assert len(CASES) >= 35


# Properties: streams of chunks, and what they say, folded without a look at the code

words = st.text(max_size=6) | st.sampled_from(
    ["\u2028", "\r\n\r\n", "data: x\n\n", "😀", "<think>", "</think>", " "]
)
inputs = st.dictionaries(words, st.integers(0, 9) | words | st.booleans(), max_size=3)


@st.composite
def replies(draw):
    """Chunks of a whole reply, and the message that they mean: reasoning, text, calls as JSON."""
    field = draw(st.sampled_from(["reasoning_content", "reasoning"]))
    deltas = [{"role": "assistant", "content": ""}]
    thought = [{field: each} for each in draw(st.lists(words, max_size=3))]
    said = [
        {"content": draw(st.sampled_from([each, [{"type": "text", "text": each}]]))}
        for each in draw(st.lists(words, max_size=3))
    ]
    if not any(each[field] for each in thought):
        said.insert(0, {"content": "x"})  # or the text could begin with a tag
    called = draw(st.lists(st.tuples(st.sampled_from(["Read", "Bash"]), inputs), max_size=3))
    pieces = []
    for index, (name, value) in enumerate(called):
        text = json.dumps(value, ensure_ascii=draw(st.booleans()))
        place = draw(st.integers(0, len(text)))
        pieces.append(
            [
                {"tool_calls": [{"index": index, "id": f"c{index}", "function": {"name": name, "arguments": ""}}]},
                {"tool_calls": [{"index": index, "function": {"arguments": text[:place]}}]},
                {"tool_calls": [{"index": index, "function": {"arguments": text[place:]}}]},
            ]
        )
    order = draw(st.permutations([index for index in range(len(called)) for _ in range(3)]))
    fragments = [pieces[index].pop(0) for index in order]
    deltas += thought + said
    for fragment in fragments:
        deltas.insert(draw(st.integers(1, len(deltas))) if draw(st.booleans()) else len(deltas), fragment)
    # Fragments keep their own order, whatever stands between them.
    queue = list(fragments)
    deltas = [queue.pop(0) if "tool_calls" in each else each for each in deltas]
    finish = draw(st.sampled_from(["stop", "tool_calls"]))
    counts = {"prompt_tokens": draw(st.integers(1, 99)), "completion_tokens": draw(st.integers(1, 99))}
    chunks = [chunk(each) for each in deltas]
    where = draw(st.sampled_from(["behind", "with", "choice", "groq", "each"]))
    last = chunk({}, finish)
    match where:
        case "with":
            last["usage"] = counts
        case "choice":
            last["choices"][0]["usage"] = counts
        case "groq":
            last["x_groq"] = {"usage": counts}
        case "each":
            last["usage"] = counts
            for each in chunks:
                each["usage"] = {"prompt_tokens": counts["prompt_tokens"], "completion_tokens": 0}
        case _:
            pass
    chunks.append(last)
    if where == "behind":
        chunks.append({"choices": [], "usage": counts})
    joined = "".join(
        each["content"] if isinstance(each["content"], str) else each["content"][0]["text"] for each in said
    )
    order_of_calls = list(dict.fromkeys(order))
    meant = {
        "thinking": "".join(each[field] for each in thought),
        "text": joined if joined.strip() else "",
        "calls": [called[index] for index in order_of_calls],
        "reason": "tool_use" if called else "end_turn",
        "counts": (counts["prompt_tokens"], counts["completion_tokens"]),
    }
    return chunks, meant


@st.composite
def bodies(draw):
    """The bytes of a stream as some server may spell them."""
    chunks, meant = draw(replies())
    end = draw(st.sampled_from([b"\n", b"\r\n", b"\r"]))
    space = draw(st.sampled_from([b"", b" "]))
    comments = draw(st.booleans())
    body = b""
    for each in [*chunks, None]:
        data = b"[DONE]" if each is None else json.dumps(each, ensure_ascii=draw(st.booleans())).encode()
        body += (b": keep-alive" + end + end + end if comments else b"") + b"data:" + space + data + end + end
    return body, meant


@given(bodies(), st.data())
def test_what_comes_out_folds_to_what_the_chunks_say_however_they_are_cut(given_, data):
    body, meant = given_
    out, verdict = answer(data.draw(cuts(body)), target(replay="reasoning_content"))
    assert verdict == "whole"
    assert (out, verdict) == answer([body], target(replay="reasoning_content"))
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
    out, verdict = answer([body], target(replay="reasoning_content"), REQUEST | {"thinking": {"type": "disabled"}})
    assert verdict == "whole"
    folded = fold(events_in(out))
    assert {block["type"] for block in folded["content"]} <= {"text", "tool_use"}
    assert "".join(block.get("text", "") for block in folded["content"]) == meant["text"]
    assert [(block["name"], block["input"]) for block in folded["content"] if "name" in block] == meant["calls"]
    assert (folded["usage"]["input_tokens"], folded["usage"]["output_tokens"]) == meant["counts"]


@given(bodies(), st.data())
def test_a_stream_that_is_cut_before_its_reason_never_ends_in_message_stop(given_, data):
    body, _ = given_
    finish = max(body.find(b'"finish_reason": "stop"'), body.find(b'"finish_reason": "tool_calls"'))
    part = body[: data.draw(st.integers(0, finish))]
    out, verdict = answer(data.draw(cuts(part)), target())
    assert b"event: message_stop" not in out
    assert verdict.startswith("TruncatedStream")


@given(
    bodies().map(lambda each: each[0]).flatmap(mutated),
    st.sampled_from(["none", "reasoning_details", "google"]),
    st.sampled_from(["adaptive", "disabled"]),
)
@settings(max_examples=300)
def test_mutated_streams_raise_our_own_errors_only_and_follow_the_grammar(body, replay, thinking):
    reply = bridge(target(replay=replay), REQUEST | {"thinking": {"type": thinking}})
    try:
        out = reply.feed(body) + reply.close()
    except WireError as error:
        assert "translation" not in str(error)
    else:
        assert events_in(out)[-1]["type"] in {"message_stop", "error"}


FIELDS = st.sampled_from(
    ["choices", "delta", "content", "type", "text", "thinking", "reasoning", "reasoning_details", "tool_calls", "function", "name", "arguments", "index", "id", "finish_reason", "usage", "error", "base_resp", "status_code", "thought", "message", "metadata", "raw", "extra_content", "google", "thought_signature", "refusal", "function_call", "stop_reason", "prompt_tokens"]
)  # fmt: skip
junk = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 3) | st.floats() | st.sampled_from(["", "a", "thinking", "reasoning.text", "stop", "error"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(
    st.lists(st.dictionaries(FIELDS, junk, max_size=4), max_size=4),
    st.lists(st.dictionaries(FIELDS, junk, max_size=5), max_size=4),
)
@settings(max_examples=300)
def test_members_of_wrong_types_raise_our_own_errors_only(chunks, deltas):
    reply = bridge(target(replay="google"), REQUEST | {"stop_sequences": ["a"]})
    try:
        out = reply.feed(spelled(*[chunk(each) for each in deltas], *chunks, chunk({}, "stop"))) + reply.close()
    except WireError as error:
        assert "translation" not in str(error)
    else:
        events = events_in(out)
        assert events[-1]["type"] == "error" or fold(events)


# Shapes of chunks


@pytest.mark.parametrize("data", [b"{", b"5", b"[]", b"null", b'"x"', b"\xff", b"<html>"])
def test_what_is_no_chunk_is_a_broken_stream(data):
    with pytest.raises(FrameError, match=r"^the backend sent a chunk that is no"):
        bridge(target()).feed(b"data: " + data + b"\n\n")


@pytest.mark.parametrize("field", ["reasoning_details", "x"])
def test_a_chunk_that_is_nested_too_deep_is_a_broken_stream(field):
    deep = b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    body = b'data: {"choices":[{"index":0,"delta":{"' + field.encode() + b'":[' + deep + b"]}}]}\n\n"
    with pytest.raises(FrameError, match="nested too deep"):
        bridge(target()).feed(body)


def test_numbers_that_json_does_not_have_are_read_over():
    assert message(b'data: {"choices":[{"index":0,"delta":{"content":"a"},"logprobs":-Infinity}]}\n\n', chunk({}, "stop"))["content"] == [
        {"type": "text", "text": "a"}
    ]  # fmt: skip


def test_nothing_is_written_before_something_was_said():
    reply = bridge(target())
    assert (
        reply.feed(spelled(b": hello\n\n", chunk({"role": "assistant", "content": ""}), chunk(call()), done=False))
        == b""
    )
    assert reply.first is None


def test_a_reply_that_says_nothing_is_whole_all_the_same():
    folded = message(chunk({"role": "assistant"}), chunk({}, "stop"))
    assert (folded["content"], folded["stop_reason"]) == ([], "end_turn")


def test_the_message_has_the_id_and_the_model_that_the_client_knows():
    folded = message(chunk({"content": "a"}, "stop"))
    assert (folded["id"], folded["model"]) == ("msg_1", "claude-sonnet-4-5")


def test_a_chunk_of_usage_behind_the_reason_is_an_end():
    reply = bridge(target())
    reply.feed(
        spelled(chunk({"content": "a"}, "stop"), {"choices": [], "usage": {"prompt_tokens": 1}}, done=False)
    )
    assert reply.ended
    assert reply.feed(b"data: {}\n\n: bye\n\n") + reply.close() == b""


def test_what_comes_between_the_reason_and_the_end_still_counts():
    folded = message(chunk({"content": "a"}, "stop"), chunk({"content": "b"}), chunk(call(), "stop"), done=False)
    assert [block["type"] for block in folded["content"]] == ["text", "tool_use"]
    assert folded["content"][0]["text"] == "ab"
    assert folded["stop_reason"] == "tool_use"


def test_a_prompt_is_estimated_until_its_count_is_known():
    started = events_in(bridge(target()).feed(spelled(chunk({"content": "a"}))))[0]
    assert started["message"]["usage"] == {"input_tokens": tokens.estimate(REQUEST), "output_tokens": 0}
    told = message(
        chunk({"content": "a"}), chunk({}, "stop", usage={"prompt_tokens": 5000, "completion_tokens": 7})
    )
    assert (told["usage"]["input_tokens"], told["usage"]["output_tokens"]) == (5000, 7)


def test_output_is_estimated_where_nobody_counts_it():
    told = message(
        chunk({"reasoning": "Some thought"}), chunk({"content": "Some words"}), chunk(call()), chunk({}, "stop")
    )
    assert told["usage"]["output_tokens"] == tokens.estimate_text('Some thoughtSome words{"x":1}')


def test_a_block_of_nothing_but_white_space_is_not_written():
    assert (
        message(chunk({"content": "\n\n"}), chunk(call()), chunk({}, "stop"))["content"][0]["type"] == "tool_use"
    )
    folded = message(chunk({"content": "\n\n"}), chunk({"content": "a"}), chunk({}, "stop"))
    assert folded["content"] == [{"type": "text", "text": "\n\na"}]


# Reasoning


@pytest.mark.parametrize(
    ("replay", "delta", "payload"),
    [
        ("none", {"reasoning_content": "a"}, None),
        ("reasoning_content", {"reasoning_content": "a"}, {"f": "reasoning_content"}),
        ("reasoning_content", {"reasoning": "a"}, {"f": "reasoning"}),
        ("reasoning_content", {"reasoning": "a", "reasoning_content": "a"}, {"f": "reasoning_content"}),
        ("reasoning_content", {"content": "<think>a</think>"}, {"f": "reasoning_content"}),
        ("google", {"content": "<thought>a</thought>"}, None),
        ("none", {"reasoning_details": [{"type": "reasoning.summary", "summary": "a"}]}, None),
        (
            "reasoning_details",
            {"reasoning_details": [{"type": "reasoning.summary", "summary": "a"}]},
            {"f": "reasoning_details", "d": [{"type": "reasoning.summary", "summary": "a"}]},
        ),
        (
            "content",
            {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "a"}]}]},
            {"f": "content", "d": [{"type": "thinking", "thinking": [{"type": "text", "text": "a"}]}]},
        ),
    ],
)
def test_the_signature_holds_what_the_backend_needs_back(replay, delta, payload):
    folded = message(
        chunk(delta), chunk({"content": "so"}), chunk({}, "stop"), to=target("work", "deep", replay=replay)
    )
    assert [block.get("thinking", block.get("text")) for block in folded["content"]] == ["a", "so"]
    assert origins(folded) == [provenance.Origin("work", "deep", payload)]


def test_details_are_joined_as_they_were_before_they_were_cut():
    folded = message(
        chunk({"reasoning_details": [{"type": "reasoning.text", "text": "a", "index": 0, "signature": None}]}),
        chunk({"reasoning_details": [{"type": "reasoning.text", "text": "b", "index": 0}]}),
        chunk({"reasoning_details": [{"type": "reasoning.text", "signature": "s", "index": 0}]}),
        chunk({"reasoning_details": [{"type": "reasoning.text", "text": "c", "index": 1}]}),
        chunk(
            {
                "reasoning_details": [
                    {"type": "reasoning.encrypted", "data": "x"},
                    {"type": "reasoning.encrypted", "data": "y"},
                ]
            }
        ),
        chunk({}, "stop"),
        to=target(replay="reasoning_details"),
    )
    assert [block["thinking"] for block in folded["content"]] == ["abc"]
    assert payloads(folded)[0]["d"] == [
        {"type": "reasoning.text", "text": "ab", "index": 0, "signature": "s"},
        {"type": "reasoning.text", "text": "c", "index": 1},
        {"type": "reasoning.encrypted", "data": "x"},
        {"type": "reasoning.encrypted", "data": "y"},
    ]


def test_details_name_a_call_as_it_will_come_back():
    hidden = {
        "reasoning_details": [
            {"type": "reasoning.encrypted", "data": "x", "id": "call_1"},
            {"id": "rs_1"},
            {"id": 5},
        ]
    }
    to = target(replay="reasoning_details")
    folded = message(chunk(hidden | call()), chunk(call(call_id="", index=1)), chunk({}, "stop"), to=to)
    assert [detail["id"] for detail in payloads(folded)[0]["d"]] == [folded["content"][1]["id"], "rs_1", 5]


def test_mistrals_parts_are_joined_with_what_else_they_say():
    folded = message(
        chunk({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "a"}]}]}),
        chunk({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "b"}], "closed": True}]}),
        chunk({"content": [{"type": "reference", "reference_ids": [1]}, {"type": "text", "text": "so"}]}),
        chunk({}, "stop"),
        to=target(replay="content"),
    )
    parts = [{"type": "thinking", "thinking": [{"type": "text", "text": "ab"}], "closed": True}]
    assert payloads(folded) == [{"f": "content", "d": parts}]


def test_details_that_cannot_be_read_stand_in_front_of_the_text_or_the_calls():
    hidden = {"reasoning_details": [{"type": "reasoning.encrypted", "data": "x"}]}
    to = target(replay="reasoning_details")
    early = message(chunk(hidden), chunk({"content": "a"}), chunk({}, "stop"), to=to)
    assert [block["type"] for block in early["content"]] == ["thinking", "text"]
    late = message(
        chunk({"content": "a"}), chunk(hidden), chunk({"content": "b"}), chunk(call()), chunk({}, "stop"), to=to
    )
    assert [block["type"] for block in late["content"]] == ["text", "thinking", "tool_use"]
    assert late["content"][0]["text"] == "ab"
    assert payloads(late) == [{"f": "reasoning_details", "d": hidden["reasoning_details"]}]


def test_thinking_after_text_is_a_block_of_its_own_with_its_own_signature():
    folded = message(
        chunk({"reasoning_content": "a"}),
        chunk({"content": "b"}),
        chunk({"reasoning_content": "c"}),
        chunk({"content": "d"}),
        chunk({}, "stop"),
        to=target(replay="reasoning_content"),
    )
    assert [block["type"] for block in folded["content"]] == ["thinking", "text"] * 2
    assert payloads(folded) == [{"f": "reasoning_content"}] * 2


def test_tags_in_the_text_are_text_where_reasoning_has_its_own_field():
    folded = message(chunk({"reasoning": "a"}), chunk({"content": "<think>b</think>"}), chunk({}, "stop"))
    assert folded["content"][1]["text"] == "<think>b</think>"


def notes(*chunks):
    reply = ChatReply(read_request(json.dumps(REQUEST).encode()), target(), "msg_1")
    Bridge(reply, Decoder()).feed(spelled(*chunks))
    return reply.notes


def test_a_closing_tag_that_nothing_opened_is_text_and_noted():
    parts = "why\n</think>\nso"
    for place in range(len(parts)):
        chunks = [chunk({"content": parts[:place]}), chunk({"content": parts[place:]}), chunk({}, "stop")]
        assert message(*chunks)["content"] == [{"type": "text", "text": parts}]
        assert notes(*chunks) == (
            "the answer has a </think> that nothing opened: is the server's reasoning parser off?",
        )
    assert notes(chunk({"content": "<think>why</think>\nso"}), chunk({}, "stop")) == ()


def test_thoughts_that_are_not_wanted_are_not_shown_but_what_their_calls_need_is_kept():
    hidden = {"reasoning_details": [{"type": "reasoning.encrypted", "data": "x", "id": "call_1"}]}
    off = {"thinking": {"type": "disabled"}}
    to = target(replay="reasoning_details")
    said = [chunk(hidden | {"reasoning": "a"}), chunk({"content": "b"})]
    folded = message(*said, chunk(call()), chunk({}, "stop"), to=to, **off)
    assert [block["type"] for block in folded["content"]] == ["text", "thinking", "tool_use"]
    assert folded["content"][1]["thinking"] == ""
    assert payloads(folded)[0]["d"][0]["data"] == "x"
    assert [block["type"] for block in message(*said, chunk({}, "stop"), to=to, **off)["content"]] == ["text"]


def signed(signature):
    return {"extra_content": {"google": {"thought_signature": signature}}}


def test_signatures_of_calls_travel_under_the_clients_ids_in_front_of_them():
    chunks = [
        chunk({"content": "a"}),
        chunk(call(call_id="x", **signed("s1"))),
        chunk(call(call_id="y", index=1)),
        chunk(call(call_id="z", index=2, **signed("s3"))),
        chunk({}, "stop"),
    ]
    folded = message(*chunks, to=target(replay="google"))
    assert [block["type"] for block in folded["content"]] == ["text", "thinking", *["tool_use"] * 3]
    ids = [block["id"] for block in folded["content"][2:]]
    assert payloads(folded) == [{"f": "google", "c": {ids[0]: "s1", ids[2]: "s3"}}]
    assert payloads(message(*chunks, to=target(replay="none"))) == []


# Calls


def test_calls_have_ids_of_their_own_even_where_the_backend_gives_none_or_one_for_all():
    folded = message(
        chunk(call(call_id="")),
        chunk(call(call_id="a", index=1)),
        chunk(call(call_id="a", index=2)),
        chunk({}, "stop"),
    )
    ids = [block["id"] for block in folded["content"]]
    assert len(set(ids)) == 3
    assert all(each.replace("_", "").replace("-", "").isalnum() and each.isascii() for each in ids)


@pytest.mark.parametrize("arguments", ['{"x":', "[1]", "words"])
def test_arguments_that_are_no_object_are_an_error_before_anything_was_written(arguments):
    error, at_once = failure(chunk(call(arguments=arguments)), chunk({}, "tool_calls"))
    assert error == {"type": "api_error", "message": "p: the arguments of the call of 'Read' are no JSON object"}
    assert at_once


def test_a_call_without_a_name_is_an_error():
    assert (
        failure(chunk(call(name="")), chunk({}, "tool_calls"))[0]["message"]
        == "p: the backend called a tool without naming it"
    )


@pytest.mark.parametrize(
    ("finish", "reason"),
    [("length", "max_tokens"), ("content_filter", "refusal"), ("model_length", "model_context_window_exceeded")],
)
@pytest.mark.parametrize("arguments", ['{"x":', "", "{}", "[1]"])
def test_a_call_that_was_broken_off_is_left_out(finish, reason, arguments):
    folded = message(chunk(call()), chunk(call(arguments=arguments, index=1)), chunk({}, finish))
    assert [block["input"] for block in folded["content"]] == [{"x": 1}]
    assert folded["stop_reason"] == reason


def test_a_call_that_was_left_out_was_written_all_the_same():
    folded = message(chunk(call(arguments='{"content":"' + "abc def " * 500)), chunk({}, "length"))
    assert all(block["type"] != "tool_use" for block in folded["content"])
    assert folded["usage"]["output_tokens"] > 500


def test_a_call_without_arguments_is_whole():
    assert message(chunk(call(arguments="")), chunk({}, "stop"))["content"][0]["input"] == {}


def test_a_long_call_shows_that_it_lives():
    text = json.dumps({"x": "a" * 9000})
    fragments = [chunk(call(arguments=text[place : place + 100])) for place in range(0, len(text), 100)]
    behind = message(chunk({"reasoning": "why"}), *fragments, chunk({}, "stop"), to=target(replay="reasoning"))
    assert [block["type"] for block in behind["content"]] == ["thinking", "tool_use"]
    assert payloads(behind) == [{"f": "reasoning"}]
    out, _ = answer([spelled(*fragments, chunk({}, "stop"))], target())
    assert sum(event["type"] == "content_block_delta" for event in events_in(out)) == 6  # and signature and input
    folded = fold(events_in(out))
    assert [block["type"] for block in folded["content"]] == ["thinking", "tool_use"]
    assert (folded["content"][0]["thinking"], payloads(folded)) == ("", [None])


# Ends


@pytest.mark.parametrize(
    ("finish", "reason"),
    [("stop", "end_turn"), ("tool_calls", "end_turn"), ("eos", "end_turn"), ("length", "max_tokens"), ("sensitive", "refusal"), ("odd", "end_turn")],
)  # fmt: skip
def test_every_finish_reason_ends_the_message(finish, reason):
    assert message(chunk({"content": "a"}), chunk({}, finish))["stop_reason"] == reason


@pytest.mark.parametrize("finish", ["stop", "tool_calls", "function_call", "eos", "odd"])
def test_with_calls_the_reason_is_that_they_are_to_be_made(finish):
    assert message(chunk(call()), chunk({}, finish))["stop_reason"] == "tool_use"


@pytest.mark.parametrize(
    ("finish", "kind"),
    [("error", "api_error"), ("network_error", "api_error"), ("insufficient_system_resource", "overloaded_error")],
)
def test_a_finish_reason_that_is_a_failure_is_an_error(finish, kind):
    error, at_once = failure(chunk({"content": "a"}), chunk({}, finish))
    assert (error["type"], at_once) == (kind, False)
    reply = bridge(target())
    reply.feed(spelled(chunk({}, finish)))
    assert reply.failure is not None
    assert reply.failure.status == {"api_error": 500, "overloaded_error": 529}[kind]


@pytest.mark.parametrize("done", [True, False])
@pytest.mark.parametrize("chunks", [[], [chunk({"content": "a"})], [chunk(call())], [chunk({"content": "a"}, "")]])
def test_a_stream_without_a_reason_is_never_whole(chunks, done):
    reply = bridge(target())
    with pytest.raises(TruncatedStream):
        reply.feed(spelled(*chunks, done=done) + b"\n")
        reply.close()
    assert not reply.ended


def test_a_refusal_in_its_own_field_is_text_and_the_reason():
    folded = message(chunk({"refusal": "I can"}), chunk({"refusal": "'t."}), chunk({}, "stop"))
    assert (folded["content"], folded["stop_reason"]) == ([{"type": "text", "text": "I can't."}], "refusal")
    assert folded["stop_details"] == {"type": "refusal", "category": None, "explanation": "I can't."}


# Stop sequences


def test_a_stop_sequence_ends_the_message_at_once():
    reply = bridge(target(), REQUEST | {"stop_sequences": ["END", "STOP"]})
    out = reply.feed(spelled(chunk({"content": "aS"}), chunk({"content": "TOPb"}), done=False))
    folded = fold(events_in(out))
    assert reply.ended
    assert folded["content"] == [{"type": "text", "text": "a"}]
    assert (folded["stop_reason"], folded["stop_sequence"]) == ("stop_sequence", "STOP")


def test_what_only_began_like_a_stop_sequence_is_text():
    folded = message(chunk({"content": "aST"}), chunk({}, "stop"), stop_sequences=["STOP"])
    assert (folded["content"][0]["text"], folded["stop_reason"]) == ("aST", "end_turn")


def test_a_stop_sequence_counts_in_text_held_back_for_another_reason():
    folded = message(chunk({"content": "<thi"}), chunk({}, "stop"), stop_sequences=["<"])
    assert (folded["content"], folded["stop_sequence"]) == ([], "<")


def test_reasoning_is_not_cut():
    folded = message(chunk({"content": "<think>a STOP</think>b"}), chunk({}, "stop"), stop_sequences=["STOP"])
    assert [block["type"] for block in folded["content"]] == ["thinking", "text"]


@pytest.mark.parametrize("key", ["stop_reason", "matched_stop"])
@pytest.mark.parametrize(
    ("value", "expected"),
    [("END", ("stop_sequence", "END")), ("other", ("end_turn", None)), (151645, ("end_turn", None))],
)
def test_a_stop_sequence_that_the_backend_names_is_named(key, value, expected):
    last = chunk({}, "stop")
    last["choices"][0][key] = value
    folded = message(chunk({"content": "a"}), last, stop_sequences=["END"])
    assert (folded["stop_reason"], folded["stop_sequence"]) == expected


# Errors inside 200


@pytest.mark.parametrize(
    ("said", "kind", "words"),
    [
        ({"error": {"message": "slow", "code": 429}}, "rate_limit_error", "p: slow"),
        ({"error": {"message": "slow", "code": "429"}}, "rate_limit_error", "p: slow"),
        ({"error": {"message": "x", "type": "server_error", "code": "server_is_overloaded"}}, "overloaded_error", "p: x"),
        ({"error": "boom"}, "api_error", "p: boom"),
        ({"error": {"message": "no"}, "choices": []}, "api_error", "p: no"),
        ({"object": "error", "message": "bad", "code": 400}, "invalid_request_error", "p: bad"),
        ({"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}, "overloaded_error", "p: busy"),
        ({"detail": "Not allowed"}, "api_error", "p: Not allowed"),
        ({"choices": [{"index": 0, "error": {"code": 502, "message": "gone"}, "finish_reason": "error"}]}, "api_error", "p: gone"),
        ({"error": {"message": "outer", "metadata": {"raw": "inner"}}}, "api_error", "p: outer: inner"),
    ],
)  # fmt: skip
def test_an_error_inside_the_stream_is_told_in_the_clients_types(said, kind, words):
    assert failure(said, done=False) == ({"type": kind, "message": words}, True)
    assert failure(chunk({"content": "a"}), said, done=False) == ({"type": kind, "message": words}, False)


def test_an_error_event_needs_no_member_of_that_name():
    error, _ = failure(b'event: error\ndata: {"message":"boom"}\n\n', done=False)
    assert error == {"type": "api_error", "message": "p: boom"}


def test_nothing_is_heard_after_an_error():
    out, _ = answer([spelled({"error": "boom"}, chunk({"content": "a"}, "stop"))], target())
    assert len(events_in(out)) == 1


def test_an_overflow_is_told_in_the_clients_words_with_what_is_known():
    words = "This model's maximum context length is 4096 tokens. However, your messages resulted in 5000 tokens."
    for said in ({"message": words}, {"message": "Provider returned error", "metadata": {"raw": words}}):
        error, _ = failure({"error": said}, done=False)
        assert error == {
            "type": "invalid_request_error",
            "message": "prompt is too long: 5000 tokens > 4096 maximum",
        }
    coded = {"error": {"message": "too much", "code": "context_length_exceeded"}}
    error, _ = failure(coded, to=target(models=(Model("m", window=2),)), done=False)
    assert error["message"] == f"prompt is too long: {tokens.estimate(REQUEST)} tokens > 2 maximum"


def test_a_null_error_is_none():
    assert message(chunk({"content": "a"}, "stop", error=None))["stop_reason"] == "end_turn"
