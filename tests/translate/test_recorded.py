"""Replies of real servers, recorded byte for byte, through the bridges and the mending: see tests/recorded/scenarios.py."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from ccrouter.errors import WireError
from ccrouter.translate.dialect import Stream
from ccrouter.translate.dialects import DIALECTS
from ccrouter.translate.rewording import is_refusal, reword
from ccrouter.wire import events
from ccrouter.wire.fold import fold
from ccrouter.wire.grammar import Grammar
from ccrouter.wire.sse import Decoder
from tests.recorded.scenarios import FOLDER, Recording, recordings

ALL = {
    f"{each.server}/{each.wire}.{each.scenario}.{'stream' if each.streamed else 'whole'}": each
    for each in recordings()
}
STREAMS = [name for name, each in ALL.items() if each.streamed and each.status == 200]
#: Its Responses form says of a call that was cut off that it is completed. Half of a command must not be run.
LIES = "calling/responses.broken_call.stream"


def stream_of(recording: Recording) -> Stream:
    return DIALECTS[recording.wire].stream(recording.request, recording.target, "msg_1")


def told(recording: Recording, pieces: list[bytes]) -> bytes:
    """What the client gets. Raises WireError where it is not whole."""
    stream = stream_of(recording)
    return b"".join([*map(stream.feed, pieces), stream.close()])


def events_in(said: bytes) -> list[dict[str, Any]]:
    """The events, each where the grammar allows it."""
    found = [json.loads(frame.data or b"") for frame in Decoder().feed(said)]
    grammar = Grammar()
    for event in found:
        grammar.feed(event)
    grammar.finish()
    return found


def meaning(message: dict[str, Any]) -> dict[str, Any]:
    """A message without what differs from one reply to the next; signatures hold ids of the server's."""
    differs = {"id", "signature"}
    blocks = [{key: value for key, value in block.items() if key not in differs} for block in message["content"]]
    return {"content": blocks, "reason": message["stop_reason"], "stop": message.get("stop_sequence")}


def text_of(message: dict[str, Any], kind: str = "text") -> str:
    return "".join(block[kind] for block in message["content"] if block["type"] == kind)


def test_there_are_recordings_of_every_wire_and_none_tells_of_its_machine():
    # Ollama's own wire is spoken by nobody but Ollama, which is no package that a test could install.
    assert {each.wire for each in ALL.values()} == DIALECTS.keys() - {"ollama"}
    files = [path.read_bytes() for path in FOLDER.glob("*/*.http")]
    assert sum(map(len, files)) < 150_000
    for raw in files:
        assert raw.startswith(b"HTTP/1.1 ")
        assert not any(word in raw for word in (b"/home", b"/root", b"/tmp", b"/work", b"localhost", b"127.0.0.1"))


@pytest.mark.parametrize("name", STREAMS)
def test_a_recorded_stream_means_the_same_however_it_is_cut(name):
    recording = ALL[name]
    whole = told(recording, [recording.body])
    events_in(whole)
    chance = random.Random(name)
    assert told(recording, [recording.body[at : at + 1] for at in range(len(recording.body))]) == whole
    for _ in range(20):
        places = sorted(chance.sample(range(len(recording.body)), 5))
        pieces = [recording.body[a:b] for a, b in zip([0, *places], [*places, len(recording.body)], strict=True)]
        assert told(recording, pieces) == whole


@pytest.mark.parametrize("name", STREAMS)
def test_a_recorded_stream_that_breaks_off_never_ends_as_if_it_were_whole(name):
    recording = ALL[name]
    full = told(recording, [recording.body])
    final = events.encode(events.message_stop())
    ends = range(len(recording.body) - 1)
    for end in random.Random(name).sample(ends, min(150, len(ends))):
        stream = stream_of(recording)
        said = stream.feed(recording.body[:end])
        assert full.startswith(said)
        if stream.ended:
            assert said == full  # only what nobody needs was cut off
            continue
        assert final not in said
        try:
            rest = stream.close()
        except WireError:
            continue
        # The reason had come, and what was cut off is how many tokens there were, or nothing but the end.
        assert {"chat": b'"finish_reason":"', "messages": b'"stop_reason":"'}[recording.wire] in recording.body[
            :end
        ]
        assert meaning(fold(events_in(said + rest))) == meaning(fold(events_in(full)))


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_and_the_whole_reply_to_the_same_request_mean_the_same(name):
    streamed, whole = ALL[name], ALL[name.replace(".stream", ".whole")]
    unroll = DIALECTS[whole.wire].unroll
    assert unroll is not None
    one, other = (events_in(told(*each)) for each in ((streamed, [streamed.body]), (whole, [unroll(whole.body)])))
    if name.endswith(LIES):
        assert one[-1] == other[-1]
        assert one[-1]["type"] == "error"
        return
    assert meaning(fold(one)) == meaning(fold(other))
    assert fold(one)["usage"]["output_tokens"] == fold(other)["usage"]["output_tokens"]


FOLDED = [name for name in STREAMS if not name.endswith(LIES)]


@pytest.mark.parametrize("name", FOLDED)
def test_a_recorded_stream_folds_to_what_the_server_was_asked_for(name):
    recording = ALL[name]
    message = fold(events_in(told(recording, [recording.body])))
    calls = [block for block in message["content"] if block["type"] == "tool_use"]
    thinks = not recording.server.endswith("20261120")
    if thinks and recording.wire != "responses":
        assert text_of(message, "thinking") in {"gla", "glagla"}
    match recording.scenario:
        case "text":
            assert (text_of(message), message["stop_reason"]) == ("tiny ü.", "end_turn")
        case "stop":
            assert text_of(message) == "ti"
            assert (message["stop_reason"], message["stop_sequence"]) in {
                ("stop_sequence", "ny"),
                ("end_turn", None),
            }
        case "length" if recording.wire != "responses":  # which asks for at least 16
            assert message["stop_reason"] == "max_tokens"
        case "tools" | "forced":
            assert [call["name"] for call in calls] == ["look"]
            assert [call["input"] for call in calls] == [{"place": "here"}]
        case "broken_call":
            assert message["stop_reason"] == "max_tokens"
    assert message["usage"]["output_tokens"] > 0


@pytest.mark.parametrize("name", [name for name, each in ALL.items() if each.scenario == "overflow"])
def test_a_recorded_overflow_is_told_in_the_clients_words(name):
    recording = ALL[name]
    assert is_refusal(recording.status, recording.headers, recording.body)
    found = reword(recording.request, recording.target, recording.status, recording.headers, recording.body)
    assert found is not None
    assert (found.status, found.kind) == (400, "invalid_request_error")
    prompt, limit = json.loads(recording.body)["error"]["n_prompt_tokens"], 8192
    assert found.message == f"prompt is too long: {prompt} tokens > {limit} maximum"
