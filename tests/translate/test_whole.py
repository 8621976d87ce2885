"""Whole replies: what they mean is what the same reply means as a stream."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.errors import FrameError, WireError
from ccrouter.providers.provider import Preset, Provider, Target
from ccrouter.providers.quirks import Quirks
from ccrouter.translate.chat.reply import ChatReply
from ccrouter.translate.dialect import Bridge, Reply
from ccrouter.translate.responses.reply import ResponsesReply
from ccrouter.translate.whole import unroll_completion, unroll_line, unroll_response
from ccrouter.wire import ndjson
from ccrouter.wire.fold import fold
from ccrouter.wire.messages import MessagesRequest, read_request
from ccrouter.wire.sse import Decoder
from tests import golden
from tests.golden import Message
from tests.strategies import cuts, json_values, mutated
from tests.strategies import words as plain_words
from tests.translate import responses_wire

CASES = Path(__file__).parent.parent / "cases"
UNROLLS = [unroll_completion, unroll_response]


def target(replay: Any = "reasoning_content", **quirks: Any) -> Target:
    preset = Preset(name="p", title="P", quirks=Quirks(replay=replay, **quirks))
    return Target(Provider(name="p", preset=preset, base_url="https://example.com"), "m")


def request(**fields: Any) -> MessagesRequest:
    base = {"model": "claude-x", "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]}
    return read_request(json.dumps(base | fields).encode())


def events_of(body: bytes, reply: Reply) -> list[dict[str, Any]]:
    """The Messages events of a stream."""
    bridge = Bridge(reply, Decoder())
    return [json.loads(frame.data or b"") for frame in Decoder().feed(bridge.feed(body) + bridge.close())]


def meaning(body: bytes, reply: Reply) -> dict[str, Any]:
    """What a stream folds to; for a failure, its error."""
    found = events_of(body, reply)
    return found[-1] if found[-1]["type"] == "error" else fold(found)


def chat(to: Target | None = None, **asked: Any) -> ChatReply:
    return ChatReply(request(**asked), to or target(), "msg_1")


def responses(to: Target | None = None, asked: MessagesRequest | None = None) -> ResponsesReply:
    return ResponsesReply(asked or request(), to or responses_wire.target(), "msg_1")


def stream(*chunks: dict[str, Any]) -> bytes:
    return b"".join(b"data: " + json.dumps(each).encode() + b"\n\n" for each in chunks) + b"data: [DONE]\n\n"


def completion(message: dict[str, Any], finish: str | None = "stop", **more: Any) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
    return json.dumps({"id": "c", "object": "chat.completion", "choices": [choice], **more}).encode()


def message_of(body: bytes, **asked: Any) -> dict[str, Any]:
    return meaning(unroll_completion(body), chat(**asked))


# Both forms of one reply

words = plain_words | st.sampled_from(["<think>", "</think>", "END", "EN"])
inputs = st.dictionaries(words, st.integers(0, 9) | words, max_size=2)


@st.composite
def chat_replies(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """A reply of Chat Completions as a stream and whole."""
    message: dict[str, Any] = {}
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": None}]

    def in_pieces(name: str, text: str) -> None:
        message[name] = text
        places = [0, *draw(st.lists(st.integers(0, len(text)), max_size=3).map(sorted)), len(text)]
        deltas.extend({name: text[start:end]} for start, end in pairwise(places))

    where = draw(st.sets(st.sampled_from(["reasoning_content", "reasoning", "reasoning_details"])))
    for thought in draw(st.lists(words.filter(bool), max_size=3)):
        detail = {"type": "reasoning.text", "index": 0, "text": thought}
        said = {name: [detail] if name == "reasoning_details" else thought for name in sorted(where)}
        deltas.append(said)
        message |= {name: message[name] + value if name in message else value for name, value in said.items()}
    if draw(st.booleans()):
        in_pieces("content", draw(st.lists(words, max_size=4).map("".join)))
    else:
        parts = [{"type": draw(st.sampled_from(["text", "thinking"]))} for _ in range(draw(st.integers(0, 3)))]
        for part in parts:
            part |= {part["type"]: draw(words)}
        message["content"] = parts
        deltas += [{"content": [part]} for part in parts]
    if draw(st.booleans()):
        in_pieces("refusal", draw(words))
    for index in range(draw(st.integers(0, 3))):
        function = {"name": draw(st.sampled_from(["Read", "Bash"])), "arguments": json.dumps(draw(inputs))}
        call = {"id": f"call_{index}", "type": "function", "function": function}
        message.setdefault("tool_calls", []).append(call)
        first = {**call, "index": index, "function": {**function, "arguments": ""}}
        rest = {"index": index, "function": {"arguments": function["arguments"]}}
        deltas += [{"tool_calls": [first]}, {"tool_calls": [rest]}]
    finish = draw(st.sampled_from(["stop", "tool_calls", "length", "content_filter"]))
    usage = {"prompt_tokens": draw(st.integers(1, 99)), "completion_tokens": draw(st.integers(1, 99))}
    chunks: list[dict[str, Any]] = [
        {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas
    ]
    chunks += [{"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}, {"choices": [], "usage": usage}]
    return stream(*chunks), completion(message, finish, usage=usage)


@given(chat_replies(), st.sampled_from(["reasoning_content", "reasoning_details", "content", "none"]))
def test_a_whole_completion_means_what_its_stream_means(both: tuple[bytes, bytes], replay: str) -> None:
    streamed, whole = both
    to = target(replay)
    expected = meaning(streamed, chat(to, stop_sequences=["END"]))
    found = meaning(unroll_completion(whole), chat(to, stop_sequences=["END"]))
    if expected.get("stop_reason") == "stop_sequence":  # such a stream is not read to its count
        expected["usage"] = found["usage"]
    assert found == expected


def told_at_once(body: bytes) -> dict[str, Any] | None:
    """The whole reply that a stream of chunks spells; None for one that a whole reply can't say."""
    message: dict[str, Any] = {"role": "assistant"}
    choice: dict[str, Any] = {"index": 0, "message": message}
    whole: dict[str, Any] = {}
    calls: dict[int, dict[str, Any]] = {}
    seen: list[str] = []
    for frame in Decoder().feed(body):
        chunk = json.loads(frame.data) if frame.data and frame.data.startswith(b"{") else {}
        whole |= {key: value for key, value in chunk.items() if key != "choices" and value is not None}
        for each in chunk.get("choices") or []:
            if each.get("index"):
                continue
            choice |= {key: value for key, value in each.items() if key != "delta" and value is not None}
            for name, value in (each.get("delta") or {}).items():
                if not value or name == "role":
                    continue
                kind = "thought" if "reasoning" in name else name
                if (
                    kind in seen[:-1]
                    or (kind == "thought" and seen[:1] not in ([], [kind]))
                    or isinstance(value, dict)
                ):
                    return None  # told in another order; a legacy call in fragments
                seen += [kind] if kind not in seen else []
                if name != "tool_calls" and type(message.get(name, value)) is not type(value):
                    return None  # a text, then a list of parts
                if name != "tool_calls":
                    message[name] = message[name] + value if name in message else value
                    continue
                for fragment in value:
                    if type(fragment.get("index")) is not int or not isinstance(fragment.get("function"), dict):
                        return None
                    call = calls.setdefault(fragment["index"], {"function": {"name": "", "arguments": ""}})
                    call |= {key: held for key, held in fragment.items() if key != "function" and held}
                    called, text = fragment["function"].get("name"), fragment["function"].get("arguments")
                    if call["function"]["name"] and called:
                        return None  # one index for several calls, or a name in each fragment
                    call["function"]["name"] += called or ""
                    call["function"]["arguments"] += text or ""
    if calls:
        message["tool_calls"] = list(calls.values())
    return {**whole, "object": "chat.completion", "choices": [choice]} if "finish_reason" in choice else None


CHAT_CASES = sorted((CASES / "chat_reply").glob("*.case"))
RESPONSES_CASES = sorted((CASES / "responses_reply").glob("*.case"))


def test_recorded_streams_of_chunks_mean_the_same_whole() -> None:
    compared = []
    for path in CHAT_CASES:
        _, case = golden.read(path)
        asked, reply, said = case["request"], case["reply"], case["target"]
        assert isinstance(asked, Message)
        assert isinstance(reply, Message)
        whole = told_at_once(reply.body)
        if whole is None or case["verdict"] != "whole\n":
            continue
        named = dict(line.split(": ", 1) for line in str(said).splitlines())
        to = target(named["replay"], reasoning_apart="reasoning_apart" in named)
        wanted = read_request(asked.body)
        expected = meaning(reply.body, ChatReply(wanted, to, "msg_1"))
        found = meaning(unroll_completion(json.dumps(whole).encode()), ChatReply(wanted, to, "msg_1"))
        if expected["stop_reason"] == "stop_sequence":
            expected["usage"] = found["usage"]
        assert found == expected, path.stem
        compared.append(path.stem)
    assert len(compared) >= 20, compared


def test_recorded_streams_of_responses_mean_the_same_whole() -> None:
    compared = []
    for path in RESPONSES_CASES:
        _, case = golden.read(path)
        asked, reply, said = case["request"], case["reply"], case["target"]
        assert isinstance(asked, Message)
        assert isinstance(reply, Message)
        frames = [frame.data or b"" for frame in Decoder().feed(reply.body)]
        told = [json.loads(data) for data in frames if data.startswith(b"{")]
        last = told[-1].get("response") or {}
        items = {
            each["output_index"]: each["item"] for each in told if each["type"] == "response.output_item.done"
        }
        if case["verdict"] != "whole\n" or not (items or last.get("output")):
            continue
        whole = {**last, "output": last.get("output") or [items[at] for at in sorted(items)]}
        named = dict(line.split(": ", 1) for line in str(said).splitlines())
        to = responses_wire.target(named["preset"], named["model"])
        wanted = responses_wire.request(**json.loads(asked.body))
        expected = meaning(reply.body, responses(to, wanted))
        found = meaning(unroll_response(json.dumps(whole).encode()), responses(to, wanted))
        if expected.get("stop_reason") == "stop_sequence":
            expected["usage"] = found["usage"]
        assert found == expected, path.stem
        compared.append(path.stem)
    assert len(compared) >= 8, compared


@given(responses_wire.items(), st.sampled_from(["completed", "incomplete"]), st.data())
def test_a_whole_response_means_what_its_stream_means(items: list[Any], status: str, data: st.DataObject) -> None:
    end = responses_wire.ended(items, status, incomplete_details={"reason": "max_output_tokens"})
    streamed = [event for index, item in enumerate(items) for event in responses_wire.told(item, index)]
    listed = responses_wire.ended([], status, incomplete_details={"reason": "max_output_tokens"})
    expected = meaning(responses_wire.encode([*responses_wire.created(), *streamed, *listed]), responses())
    bridge = Bridge(responses(), Decoder())
    unrolled = unroll_response(json.dumps(end[0]["response"]).encode())
    out = b"".join(map(bridge.feed, data.draw(cuts(unrolled)))) + bridge.close()
    assert fold(json.loads(frame.data or b"") for frame in Decoder().feed(out)) == expected


# What gateways make of it


def test_calls_without_indexes_or_with_one_for_all_are_apart() -> None:
    calls = [{"id": f"c{at}", "function": {"name": "Read", "arguments": {"at": at}}} for at in range(3)]
    twice = [{"index": 0, "function": {"name": "List", "arguments": ""}}] * 2
    assert len(message_of(completion({"tool_calls": twice}))["content"]) == 2
    for listed in (calls, [{**call, "index": 0} for call in calls]):
        folded = message_of(completion({"content": None, "tool_calls": listed}, "tool_calls"))
        assert [block["input"] for block in folded["content"]] == [{"at": 0}, {"at": 1}, {"at": 2}]
        assert folded["stop_reason"] == "tool_use"


def test_a_call_of_the_time_before_there_were_tools_is_one() -> None:
    legacy = {"content": None, "function_call": {"name": "Read", "arguments": '{"x": 1}'}}
    (block,) = message_of(completion(legacy, "function_call"))["content"]
    assert (block["name"], block["input"]) == ("Read", {"x": 1})


@pytest.mark.parametrize("finish", [None, "", "stop"])
def test_a_whole_completion_needs_no_reason_to_have_ended(finish: str | None) -> None:
    assert message_of(completion({"content": "a"}, finish))["stop_reason"] == "end_turn"
    calls = [{"id": "c", "function": {"name": "Read", "arguments": "{}"}}]
    assert message_of(completion({"tool_calls": calls}, finish))["stop_reason"] == "tool_use"


def test_a_refusal_is_told_with_its_words() -> None:
    folded = message_of(completion({"content": None, "refusal": "I won't"}))
    assert folded["content"] == [{"type": "text", "text": "I won't"}]
    assert folded["stop_reason"] == "refusal"


def test_what_stands_behind_a_stop_sequence_was_never_said() -> None:
    calls = [{"id": "c", "function": {"name": "Read", "arguments": "{}"}}]
    body = completion(
        {
            "content": [{"type": "text", "text": "a END"}, {"type": "thinking", "thinking": "b"}],
            "refusal": "c",
            "tool_calls": calls,
        }
    )
    folded = message_of(body, stop_sequences=["END"])
    assert folded["content"] == [{"type": "text", "text": "a "}]
    assert (folded["stop_reason"], folded["stop_sequence"]) == ("stop_sequence", "END")


def test_of_several_choices_the_first_is_read() -> None:
    choices = [
        {"index": at, "message": {"content": str(at)}, "finish_reason": "length" if at else "stop"}
        for at in (1, 0)
    ]
    folded = message_of(json.dumps({"choices": choices}).encode())
    assert folded["content"] == [{"type": "text", "text": "0"}]
    assert folded["stop_reason"] == "end_turn"


@pytest.mark.parametrize(
    ("status", "reason"),
    [("completed", "end_turn"), (None, "end_turn"), ("incomplete", "max_tokens")],
)
def test_a_response_ends_by_its_status(status: str | None, reason: str) -> None:
    body = {"output": [responses_wire.message("a")], "status": status, "usage": responses_wire.USAGE}
    folded = meaning(unroll_response(json.dumps(body).encode()), responses())
    assert folded["content"] == [{"type": "text", "text": "a"}]
    assert folded["stop_reason"] == reason
    assert folded["usage"]["input_tokens"] == 30


def test_a_call_that_an_incomplete_response_broke_off_is_left_out() -> None:
    items = [responses_wire.call(), responses_wire.call(arguments='{"x', call_id="b", status="incomplete")]
    (end,) = responses_wire.ended(items, "incomplete", incomplete_details={"reason": "max_output_tokens"})
    folded = meaning(unroll_response(json.dumps(end["response"]).encode()), responses())
    assert [block["name"] for block in folded["content"]] == ["Bash"]


# Failures inside 200

QUOTA = {"message": "You exceeded your current quota", "code": "insufficient_quota"}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"error": QUOTA}, 429),
        ({"error": QUOTA, "choices": []}, 429),
        ({"object": "error", "message": "no", "code": 404}, 404),
        ({"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}, 529),
        ({"detail": "Not authenticated", "status": 401}, 401),
    ],
)
@pytest.mark.parametrize("unroll", UNROLLS)
def test_an_error_in_the_place_of_a_reply_is_told_as_one(unroll: Any, body: dict[str, Any], status: int) -> None:
    reply = chat() if unroll is unroll_completion else responses()
    (event,) = events_of(unroll(json.dumps(body).encode()), reply)
    assert event["type"] == "error"
    assert reply.failure is not None
    assert reply.failure.status == status


def test_an_error_in_the_place_of_a_choice_is_told_as_one() -> None:
    reply = chat()
    choice = {"index": 0, "message": {"content": "half"}, "error": {"code": 502, "message": "Provider broke"}}
    (event,) = events_of(unroll_completion(json.dumps({"choices": [choice]}).encode()), reply)
    assert "Provider broke" in event["error"]["message"]


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_a_response_that_failed_is_told_with_its_code(status: str) -> None:
    reply = responses()
    error = {"code": "context_length_exceeded", "message": "Your input exceeds the context window"}
    body = json.dumps({"object": "response", "status": status, "output": [], "error": error}).encode()
    (event,) = events_of(unroll_response(body), reply)
    assert event["error"]["message"].startswith("prompt is too long")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ({"error": {"message": "no such model"}}, "no such model"),
        ({"detail": "Unsupported"}, "Unsupported"),
        ({"type": "error", "message": "it broke"}, "it broke"),
        ({"base_resp": {"status_code": 1004, "status_msg": "login fail"}}, "login fail"),
    ],
)
@pytest.mark.parametrize("unroll", UNROLLS)
def test_an_error_in_whatever_envelope_is_told_in_its_words(unroll: Any, error: Any, words: str) -> None:
    (event,) = events_of(
        unroll(json.dumps(error).encode()), chat() if unroll is unroll_completion else responses()
    )
    assert event["type"] == "error"
    assert words in event["error"]["message"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "(empty)"),
        (b"<html><title>x</title><p>Please log in</p></html>", "Please log in"),
        (b"Welcome", "Welcome"),
        (b'{"models": []}', '{"models": []}'),
        (b'{"message": "hello"}', "hello"),
        (b'{"status": "in_progress", "output": []}', "in_progress"),
        (b'{"choices": []}', "choices"),
        (b"[1]", "1"),
        (b"5", "5"),
        (b"\xff\x00", "\ufffd"),
        (b"token sk-0123456789abcdef0123", "token [redacted]"),
        (b"x" * 9999, "x" * 200),
    ],
)
@pytest.mark.parametrize("unroll", UNROLLS)
def test_what_is_no_reply_is_told_by_its_first_words(unroll: Any, body: bytes, words: str) -> None:
    with pytest.raises(FrameError) as caught:
        unroll(body)
    assert words in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("begin", [b"", b"\r\n", b": hello\n\n", b"event: x\n", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("unroll", UNROLLS)
def test_a_stream_under_another_name_passes_as_it_is(unroll: Any, begin: bytes) -> None:
    body = begin + stream({"choices": []})
    assert unroll(body) == body


@pytest.mark.parametrize("unroll", UNROLLS)
def test_a_reply_that_is_nested_too_deep_is_no_reply(unroll: Any) -> None:
    for deep in (b"[" * 100_000 + b"]" * 100_000, b"[" * 5_000 + b"]" * 5_000):
        body = b'{"status": "completed", "output": [], "choices": [{"message": {}}], "x": ' + deep + b"}"
        try:
            unroll(body)
        except FrameError as error:
            assert len(str(error)) < 300


_bodies = st.one_of(
    chat_replies().map(lambda both: both[1]),
    responses_wire.items().map(lambda items: json.dumps(responses_wire.ended(items)[0]["response"]).encode()),
)


@given(_bodies.flatmap(mutated) | json_values.map(str.encode) | st.binary())
def test_anything_else_raises_our_own_errors_only(body: bytes) -> None:
    for unroll, reply in ((unroll_completion, chat()), (unroll_response, responses())):
        bridge = Bridge(reply, Decoder())
        try:
            out = bridge.feed(unroll(body)) + bridge.close()
        except WireError as error:
            assert "translation" not in str(error)
        else:
            assert json.loads(Decoder().feed(out)[-1].data or b"")["type"] in {"message_stop", "error"}


# Ollama's own API


def ollama_lines(body: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in ndjson.Decoder().feed(body)]


def test_a_whole_reply_of_ollamas_is_the_one_line_that_says_it() -> None:
    reply = {"model": "m", "message": {"role": "assistant", "content": "a\nb"}, "done": True, "eval_count": 3}
    for spelling in (json.dumps(reply), json.dumps(reply, indent=2), f"\n{json.dumps(reply)}\n"):
        assert ollama_lines(unroll_line(spelling.encode())) == [reply]
    assert ollama_lines(unroll_line(b'{"message": {}}')) == [{"done": True, "message": {}}]


def test_lines_that_only_call_themselves_json_pass_as_they_are() -> None:
    body = b'{"message":{"content":"a"},"done":false}\n{"message":{"content":"b"},"done":true}\n'
    assert unroll_line(body) == body
    assert unroll_line(body[:-9]) == body[:-9]


def test_a_line_that_is_not_the_last_is_not_made_the_last() -> None:
    assert ollama_lines(unroll_line(b'{"message":{"content":"a"},"done":false}\n'))[0]["done"] is False


@pytest.mark.parametrize("error", ['{"error": "no"}', '{"error": {"message": "no"}}'])
def test_an_error_in_ollamas_place_is_for_the_reader_to_tell(error: str) -> None:
    assert ollama_lines(unroll_line(error.encode())) == [{"done": True, **json.loads(error)}]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"5", b'{"message": "hi"}', b"<html><p>hello", b"data: {}\n\n", b"[" * 100_000]
)
def test_what_is_no_reply_of_ollamas_is_told(body: bytes) -> None:
    with pytest.raises(FrameError, match="no reply"):
        unroll_line(body)
