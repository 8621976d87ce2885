"""What holds for any reply: streams of chunks, and what they say, folded without a look at the code."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from ccrouter.errors import WireError
from ccrouter.translate import provenance
from ccrouter.wire.fold import fold
from tests.strategies import cuts, mutated
from tests.translate.chat.reply.chunks import REQUEST, answer, bridge, chunk, events_in, spelled, target

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
