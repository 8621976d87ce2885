"""Loose Messages streams made strict: golden cases, and properties on streams that chance has spoiled."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ccrouter.errors import FrameError, TruncatedStream, WireError
from ccrouter.providers.presets import PRESETS
from ccrouter.providers.provider import Provider, Target
from ccrouter.translate import provenance
from ccrouter.translate.dialect import Stream
from ccrouter.translate.dialects import DIALECTS, spoken
from ccrouter.translate.messages import makers
from ccrouter.translate.whole import unroll_message
from ccrouter.wire import envelope, events
from ccrouter.wire.events import Event
from ccrouter.wire.fold import fold
from ccrouter.wire.grammar import ENDED, KNOWN, Grammar
from ccrouter.wire.messages import read_request
from ccrouter.wire.sse import Decoder
from tests import golden
from tests.golden import Message
from tests.recorded.scenarios import recordings
from tests.strategies import cuts, mutated, spelled, streams

CASES = sorted((Path(__file__).parent.parent.parent / "cases" / "messages_reply").glob("*.case"))
REQUEST: dict[str, Any] = {"model": "claude-sonnet-4-5", "messages": [{"role": "user", "content": "Hello"}]}
RECORDED = [each.body for each in recordings() if each.wire == "messages" and each.streamed and each.status == 200]


def target(name: str = "messages") -> Target:
    return Target(Provider(name=name, preset=PRESETS[name], base_url="http://127.0.0.1"), "m")


def stream(to: Target | None = None, **asked: Any) -> Stream:
    request = read_request(json.dumps(REQUEST | asked).encode())
    return spoken("messages", to or target()).stream(request, to or target(), "msg_1")


def answer(chunks: Sequence[bytes], reply: Stream) -> tuple[bytes, str]:
    """The bytes that the client gets, and how the stream ended."""
    out = b""
    try:
        for chunk in chunks:
            out += reply.feed(chunk)
        out += reply.close()
    except WireError as error:
        return out, f"{type(error).__name__}: {error}"
    if b"event: error\n" in out:
        return out, "failed at once" if reply.first == "error" else "failed"
    return out, "whole"


def events_in(out: bytes) -> list[Event]:
    """The events that the client reads: frames without a name are none."""
    decoder = Decoder()
    frames = [*decoder.feed(out), *decoder.close()]
    return [json.loads(frame.data) for frame in frames if frame.event and frame.data]


def body(*said: Event) -> bytes:
    return b"".join(map(events.encode, said))


# Golden cases


def play(case: dict[str, Any], seed: str) -> dict[str, Any]:
    """The whole case as it comes out. ``case`` has what is given of target, request and reply."""
    told = dict(line.split(": ", 1) for line in case["target"].splitlines())
    outcomes = []
    notes: tuple[str, ...] = ()
    for chunks in ways_to_cut(case["reply"].body, seed):
        reply = stream(target(told["provider"]), **json.loads(case["request"].body))
        outcomes.append(answer(chunks, reply))
        notes = reply.notes
    assert all(each == outcomes[0] for each in outcomes)
    out, verdict = outcomes[0]
    return {
        "target": case["target"],
        "request": case["request"],
        "reply": case["reply"],
        "client": Message("HTTP 200", [(b"content-type", b"text/event-stream")], out),
        "verdict": "".join(f"{line}\n" for line in (verdict, *notes)),
    }


def ways_to_cut(whole: bytes, seed: str) -> Iterator[list[bytes]]:
    """Whole, byte by byte, and at a few places that are the same in every run."""
    yield [whole]
    yield [whole[place : place + 1] for place in range(len(whole))]
    chance = random.Random(seed)
    for _ in range(10):
        places = sorted(chance.randint(0, len(whole)) for _ in range(chance.randint(1, 8)))
        yield [whole[start:end] for start, end in zip([0, *places], [*places, len(whole)], strict=True)]


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_a_golden_case_comes_out_as_it_is_written(path: Path, update_cases: bool) -> None:
    shows, expected = golden.read(path)
    out = golden.show(shows, play(expected, path.stem))
    if update_cases:
        path.write_bytes(out.encode())
    assert out == path.read_bytes().decode()


def test_there_are_golden_cases() -> None:
    assert len(CASES) >= 30


# Properties


def unsigned(message: dict[str, Any]) -> dict[str, Any]:
    """A message with the backend's own signatures and without marks, and without its id."""
    blocks = [dict(block) for block in message["content"]]
    for block in blocks:
        for key in ("signature", "data", makers.MAKER):
            origin = provenance.read(block.get(key))
            if origin is not None:
                assert (origin.provider, origin.model, origin.payload["f"]) == ("messages", "m", "messages")
                block[key] = origin.payload.get("s", "")
        block.pop(makers.MAKER, None)
    return {**message, "content": blocks, "id": ""}


def is_consistent(said: list[Event]) -> bool:
    """Whether a stream that the grammar allows also says nothing that is wrong."""
    calls = [event["content_block"] for event in said if event["type"] == "content_block_start"]
    tools = [block for block in calls if block["type"] == "tool_use"]
    ends = [event for event in said if event["type"] == "message_delta"]
    return (
        all(tool["name"] and tool["id"].isascii() and tool["id"].isalnum() for tool in tools)
        and len({tool["id"] for tool in tools}) == len(tools)
        and ends[-1]["delta"]["stop_reason"] == ("tool_use" if tools else "end_turn")
        and all(block.get("name", "x") for block in calls)
        and all(not block.get("text") for block in calls)
        and all(end["usage"]["output_tokens"] for end in ends)
    )


@st.composite
def correct(draw: st.DrawFn) -> list[Event]:
    """Streams that need no change."""
    said = draw(streams())
    begun = next(place for place, event in enumerate(said) if event["type"] == "message_start")
    said = [event for place, event in enumerate(said) if place > begun or event["type"] in KNOWN]
    tools = 0
    for event in said:
        block = event.get("content_block", {})
        if "name" in block:
            tools += block["type"] == "tool_use"
            block |= {"id": f"toolu{tools}", "name": "Read"}
        if block.get("type") == "text":
            block["text"] = ""
        if event["type"] == "message_start":
            event["message"]["usage"]["input_tokens"] += 1
        if event["type"] == "message_delta":
            event["usage"]["output_tokens"] += 1
            event["delta"]["stop_reason"] = "tool_use" if tools else "end_turn"
    assert is_consistent(said)
    return said


def is_same(event: Event) -> bool:
    """Whether an event must come out as it went in."""
    block = event.get("content_block", {})
    if block.get("type") == "redacted_thinking" or (block and makers.needs_mark(block)):
        return False
    return not {"message_start", "signature_delta"} & {event["type"], event.get("delta", {}).get("type")}


@given(correct(), st.data())
def test_a_correct_stream_keeps_its_bytes_and_its_meaning(said: list[Event], data: st.DataObject) -> None:
    whole = data.draw(spelled(said) | st.just(body(*said)))
    decoder = Decoder()
    frames = [*decoder.feed(whole), *decoder.close()]
    out, verdict = answer(data.draw(cuts(whole)), stream())
    assert verdict == "whole"
    place = 0
    for event, frame in zip(said, frames, strict=True):
        if is_same(event) and frame.event:
            place = out.index(frame.raw, place) + len(frame.raw)
    given, found = ([event for event in each if event["type"] in KNOWN] for each in (said, events_in(out)))
    assert unsigned(fold(found)) == {**unsigned(fold(given)), "model": REQUEST["model"]}


@given(correct())
def test_nothing_is_added_to_a_correct_stream_but_signatures_that_were_missing(said: list[Event]) -> None:
    out, _ = answer([body(*said)], stream())
    found = [event for event in events_in(out) if is_same(event)]
    assert found == [event for event in said if is_same(event)]
    assert out.count(b"signature_delta") >= sum(
        event.get("content_block", {}).get("type") == "thinking" for event in said
    )


@st.composite
def spoiled(draw: st.DrawFn) -> list[bytes]:
    """Frames of a stream, real or drawn, some of them lost, doubled, moved, or with another index."""
    whole = draw(st.sampled_from(RECORDED) | streams().map(lambda said: body(*said)))
    frames = [frame.raw for frame in Decoder().feed(whole)]
    for _ in range(draw(st.integers(1, 6))):
        if not frames:
            break
        place = draw(st.integers(0, len(frames) - 1))
        match draw(st.sampled_from(["lose", "double", "move", "index", "kind", "end"])):
            case "lose":
                del frames[place]
            case "double":
                frames.insert(place, frames[place])
            case "move":
                frames.insert(draw(st.integers(0, len(frames) - 1)), frames.pop(place))
            case "index":
                frames[place] = frames[place].replace(b'"index":0', b'"index":%d' % draw(st.integers(0, 3)))
            case "kind":
                frames[place] = frames[place].replace(b"text", draw(st.sampled_from([b"thinking", b"tool_use"])))
            case _:
                del frames[place + 1 :]
    return frames


def check(out: bytes, verdict: str) -> None:
    """Whatever came in: what goes out follows the grammar, and nothing follows its end."""
    grammar = Grammar()
    for event in events_in(out):
        grammar.feed(event)
    if verdict in {"whole", "failed", "failed at once"}:
        assert grammar.state in ENDED
    else:
        assert grammar.state not in ENDED
        assert verdict.startswith(("FrameError", "TruncatedStream"))
    if verdict == "whole":
        message = fold(events_in(out))
        assert message["id"] == "msg_1"
        calls = [block for block in message["content"] if block["type"] == "tool_use"]
        assert all(isinstance(call["input"], dict) and call["name"] for call in calls)
        assert len({call["id"] for call in calls}) == len(calls)
        thoughts = [block for block in message["content"] if block["type"] == "thinking"]
        assert all(provenance.read(thought["signature"]) for thought in thoughts)
        assert message["usage"]["input_tokens"] + (message["usage"].get("cache_read_input_tokens") or 0) > 0
        assert (message["stop_reason"] == "tool_use") <= bool(calls)


@given(spoiled(), st.data())
def test_a_spoiled_stream_comes_out_by_the_book_or_as_an_error(frames: list[bytes], data: st.DataObject) -> None:
    whole = b"".join(frames)
    out, verdict = answer(data.draw(cuts(whole)), stream())
    check(out, verdict)
    assert answer([whole], stream()) == (out, verdict)


@given((st.sampled_from(RECORDED) | streams().flatmap(spelled)).flatmap(mutated), st.data())
def test_spoiled_bytes_raise_our_own_errors_only(whole: bytes, data: st.DataObject) -> None:
    out, verdict = answer(data.draw(cuts(whole)), stream())
    check(out, verdict)


@given(streams(), st.data())
def test_a_stream_that_is_cut_off_before_its_reason_never_ends_as_if_it_were_whole(
    said: list[Event], data: st.DataObject
) -> None:
    reason = next(place for place, event in enumerate(said) if event["type"] == "message_delta")
    whole = body(*said[:reason])
    part = whole[: data.draw(st.integers(0, len(whole)))]
    out, verdict = answer([part], stream())
    assume(not verdict.startswith("FrameError"))
    assert verdict.startswith("TruncatedStream")
    assert b"message_stop" not in [event["type"] for event in events_in(out)]


@st.composite
def side_by_side(draw: st.DrawFn) -> list[Event]:
    """The events of texts and calls that are written at the same time, as no client can read them."""
    lines = []
    for index, kind in enumerate(draw(st.lists(st.sampled_from(["text", "tool_use"]), min_size=1, max_size=4))):
        given = json.dumps(draw(st.dictionaries(st.text(max_size=3), st.integers() | st.text(), min_size=1)))
        start: dict[str, Any] = {"type": "text", "text": ""}
        name = "text"
        if kind == "tool_use":
            start, name = {"type": kind, "id": f"call_{index}", "name": "Read", "input": {}}, "partial_json"
        delta = "input_json_delta" if kind == "tool_use" else "text_delta"
        size = draw(st.integers(1, len(given)))
        pieces = [given[at : at + size] for at in range(0, len(given), size)]
        deltas = [events.block_delta(index, {"type": delta, name: each}) for each in pieces]
        lines.append([events.block_start(index, start), *deltas, events.block_stop(index)])
    found = []
    while any(lines):
        found.append(draw(st.sampled_from([line for line in lines if line])).pop(0))
    return found


def inputs(said: Iterable[Event]) -> dict[str, str]:
    """The id of each call -> its input as it was written."""
    ids: dict[int, str] = {}
    found: dict[str, str] = {}
    for event in said:
        if event.get("content_block", {}).get("type") == "tool_use":
            ids[event["index"]] = event["content_block"]["id"]
            found[ids[event["index"]]] = ""
        elif event.get("delta", {}).get("type") == "input_json_delta":
            found[ids[event["index"]]] += event["delta"]["partial_json"]
    return found


@given(side_by_side(), st.data(), st.sampled_from(["nothing", "an error", "a limit"]))
def test_of_a_stream_that_breaks_off_no_call_is_given_that_was_not_whole(
    blocks: list[Event], data: st.DataObject, end: str
) -> None:
    """Nor one that waits behind another. At a limit, one without any input, which others follow, needs none."""
    said = blocks[: data.draw(st.integers(0, len(blocks)))]
    start = events.message_start("msg_9", "m", {"input_tokens": 1, "output_tokens": 1})
    last: dict[str, list[Event]] = {
        "nothing": [],
        "an error": [events.error("overloaded_error", "no")],
        "a limit": [events.message_delta("max_tokens", {"output_tokens": 9}), events.message_stop()],
    }
    out, verdict = answer([body(start, *said, *last[end])], stream())
    check(out, verdict)
    assert verdict == {"nothing": verdict, "an error": "failed", "a limit": "whole"}[end]
    assert end != "nothing" or verdict.startswith("TruncatedStream")
    meant, heard, given = inputs(blocks), inputs(said), inputs(events_in(out))
    for name, words in given.items():
        if end == "a limit" and not heard[name]:
            assert json.loads(words or "{}") == {}
        else:
            assert words == heard[name] == meant[name]


# What the cases can't show


@pytest.mark.parametrize("preset", [name for name, row in PRESETS.items() if row.native])
@given(said=streams(), data=st.data())
def test_anthropics_own_streams_are_never_touched(preset: str, said: list[Event], data: st.DataObject) -> None:
    whole = data.draw(spelled(said))
    reply = stream(target(preset))
    assert b"".join([*map(reply.feed, data.draw(cuts(whole))), reply.close()]) == whole


def test_a_call_that_is_not_whole_is_not_seen_and_a_long_one_comes_as_it_is_written() -> None:
    call = {"type": "tool_use", "id": "a", "name": "Write", "input": {}}
    reply = stream()
    reply.feed(body(events.message_start("x", "m", {"input_tokens": 1, "output_tokens": 0})))
    assert reply.feed(body(events.block_start(0, call))) == b""
    piece = events.block_delta(0, {"type": "input_json_delta", "partial_json": '{"text":"' + "x" * 1500})
    assert reply.feed(body(piece)) == b""
    more = events.block_delta(0, {"type": "input_json_delta", "partial_json": "y" * 1500})
    assert reply.feed(body(more)) == body(events.block_start(0, call), piece, more)
    assert reply.feed(body(more)) == body(more)
    reply.feed(body(events.block_stop(0), events.message_delta("tool_use", {"output_tokens": 3})))
    with pytest.raises(FrameError, match="'Write' are no JSON object"):
        reply.feed(body(events.message_stop()))


def test_text_comes_at_once_and_a_ping_in_front_of_the_message_waits_for_it() -> None:
    reply = stream()
    assert reply.feed(body(events.ping())) == b""
    assert reply.first is None
    start = events.message_start("x", "m", {"input_tokens": 1, "output_tokens": 0})
    assert events_in(reply.feed(body(start)))[0] == events.ping()
    opening = events.block_start(0, {"type": "text", "text": ""})
    for event in (opening, events.block_delta(0, {"type": "text_delta", "text": "a"}), events.ping()):
        assert reply.feed(body(event)) == body(event)


@pytest.mark.parametrize(
    "data", [b"{", b"[]", b"5", b"NaN", b'{"type":"content_block_stop","index":NaN}', b"\xff"]
)
def test_an_event_that_cannot_be_read_is_told(data: bytes) -> None:
    with pytest.raises(FrameError, match="content_block_stop event that is no JSON object"):
        stream().feed(b"event: content_block_stop\ndata: " + data + b"\n\n")


@pytest.mark.parametrize("data", [b"[]", b"null", b'{"type":5}', b"{", b"[" * 100_000, b"\xff", b"", b"[DONE]"])
def test_a_frame_that_nobody_reads_does_no_harm(data: bytes) -> None:
    out, verdict = answer([b"data: " + data + b"\n\n" + CALLED], stream())
    assert verdict == "whole"
    assert fold(events_in(out))["stop_reason"] == "tool_use"


CALLED = body(
    events.message_start("x", "m", {"input_tokens": 1, "output_tokens": 0}),
    events.block_start(0, {"type": "tool_use", "id": "a", "name": "Read", "input": {}}),
    events.block_stop(0),
    events.message_delta("end_turn", {"output_tokens": 1}),
    events.message_stop(),
)


@pytest.mark.parametrize("place", range(5))
def test_a_number_that_is_too_large_stays_in_its_own_bytes_or_is_nothing(place: int) -> None:
    said = CALLED.split(b"\n\n")
    said[place] = said[place].removesuffix(b"}") + b',"x":[1e999]}'
    out, verdict = answer([b"\n\n".join(said)], stream())
    assert verdict == "whole"
    assert b"Infinity" not in out
    assert (b'"x":[null]' in out) is (said[place] not in out)


def test_a_delta_that_is_not_utf8_is_not_taken_for_a_plain_one() -> None:
    text = body(
        events.message_start("x", "m", {"input_tokens": 1, "output_tokens": 0}),
        events.block_start(0, {"type": "text", "text": ""}),
    )
    delta = body(events.block_delta(0, {"type": "text_delta", "text": "?"}))
    reply = stream()
    reply.feed(text)
    assert reply.feed(delta) == delta
    with pytest.raises(FrameError):
        reply.feed(delta.replace(b"?", b"\xff"))


def test_what_was_said_is_counted_where_the_backend_does_not() -> None:
    said = [
        events.message_start("x", "m", {}),
        events.block_start(0, {"type": "text", "text": ""}),
        *(events.block_delta(0, {"type": "text_delta", "text": f"word{n} \ud83d"}) for n in range(50)),
        events.block_stop(0),
        events.message_delta("end_turn", {}),
        events.message_stop(),
    ]
    out, verdict = answer([body(*said)], stream())
    assert verdict == "whole"
    assert fold(events_in(out))["usage"]["output_tokens"] >= 50


def test_an_error_that_is_the_whole_stream_has_a_status() -> None:
    reply = stream(target("zai"))
    answer([b'data: {"error":{"code":"1302","message":"slow down"}}\n\n'], reply)
    assert reply.first == "error"
    assert reply.failure is not None
    assert reply.failure.status == 429


@pytest.mark.parametrize(
    ("reason", "status"), [("error", 500), ("insufficient_system_resource", 529), ("network_error", 500)]
)
def test_a_stream_that_says_it_failed_is_a_failure(reason: str, status: int) -> None:
    said = [events.message_start("x", "m", {}), events.message_delta(reason, {}), events.message_stop()]
    reply = stream()
    out, _ = answer([body(*said)], reply)
    assert list(events_in(out))[-1]["type"] == "error"
    assert reply.failure is not None
    assert (reply.failure.status, reply.failure.kind) == (status, envelope.kind_of(status))


def test_a_whole_reply_is_put_right_like_a_stream() -> None:
    reply = {
        "id": "chatcmpl-1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [
            {"type": "thinking", "thinking": "Hm.", "signature": "abc"},
            {"type": "text", "text": "Hi", "citations": [{"type": "char_location"}]},
            {"type": "tool_use", "id": "a.b", "name": "Read", "input": '{"path":"a"}'},
        ],
        "container": {"id": "c"},
    }
    out, verdict = answer([unroll_message(json.dumps(reply).encode())], stream())
    message = fold(events_in(out))
    assert verdict == "whole"
    origin = provenance.read(message["content"][0]["signature"])
    assert origin == provenance.Origin("messages", "m", {"f": "messages", "s": "abc"})
    assert message["content"][1] == reply["content"][1]  # type: ignore[index]
    assert message["content"][2]["input"] == {"path": "a"}
    assert message["content"][2]["id"].startswith("a_b_")
    assert (message["stop_reason"], message["container"]) == ("tool_use", {"id": "c"})
    assert message["usage"]["input_tokens"] > 0
    assert message["usage"]["output_tokens"] > 0


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"{}", "no reply: {}"),
        (b"hello", "no reply: hello"),
        (b'{"type":"error","x":1}', None),
        (b"[]", "no reply"),
    ],
)
def test_a_whole_reply_that_is_none_is_an_error(said: bytes, words: str | None) -> None:
    if words is None:
        assert answer([unroll_message(said)], stream())[1] == "failed at once"
        return
    with pytest.raises(FrameError, match=words):
        unroll_message(said)


START = events.message_start("x", "m", {"input_tokens": 1, "output_tokens": 0})
TEXT = [
    events.block_start(0, {"type": "text", "text": ""}),
    events.block_delta(0, {"type": "text_delta", "text": "a"}),
    events.block_stop(0),
]


@pytest.mark.parametrize(
    "said",
    [
        [START, events.message_stop()],
        [START, *TEXT, {"type": "message_delta", "delta": {"stop_reason": None}, "usage": {"output_tokens": 1}}],
        [START, *TEXT],
    ],
)
def test_no_end_is_made_up(said: list[Event]) -> None:
    out, verdict = answer([body(*said)], stream())
    assert verdict.startswith("TruncatedStream")
    assert "message_delta" not in [event["type"] for event in events_in(out)]


def test_content_that_stands_in_the_start_and_in_blocks_is_told_once() -> None:
    start = {"type": "message_start", "message": {"content": [{"type": "text", "text": "a"}]}}
    out, _ = answer([body(start, *TEXT, events.message_stop())], stream())
    assert fold(events_in(out))["content"] == [{"type": "text", "text": "a"}]


def test_a_whole_reply_says_at_its_end_what_a_stream_says_there() -> None:
    reply = {
        "content": "Hi",
        "stop_reason": "refusal",
        "stop_details": {"category": None},
        "container": {"id": "c"},
    }
    found = events_in(answer([unroll_message(json.dumps(reply).encode())], stream())[0])
    delta = {"stop_reason": "refusal", "stop_details": {"category": None}, "container": {"id": "c"}}
    assert found[-2]["delta"] == {**delta, "stop_sequence": None}
    assert fold(found)["content"] == [{"type": "text", "text": "Hi"}]


def test_the_table_has_the_mending_dialect_for_all_but_anthropic() -> None:
    assert spoken("messages", target("ollama")) is DIALECTS["messages"]
    assert spoken("messages", target("anthropic")).unroll is None
    assert spoken("chat", target("ollama")) is DIALECTS["chat"]
    with pytest.raises(TruncatedStream):
        stream().close()
