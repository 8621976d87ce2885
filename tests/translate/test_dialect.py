"""`Bridge`: frames in, checked Messages frames out."""

from __future__ import annotations

import json

import pytest

from ccrouter.errors import ApiError, FrameError, GrammarError, TruncatedStream
from ccrouter.translate.dialect import Bridge
from ccrouter.wire import events, ndjson
from ccrouter.wire.events import Event
from ccrouter.wire.sse import Decoder, Frame


class Scripted:
    """A reply that gives the events that the frame's data names, by their numbers."""

    def __init__(self, closing: list[Event] | None = None) -> None:
        self.failure: ApiError | None = None
        self.notes: tuple[str, ...] = ()
        self._closing = closing
        self.said = [
            events.message_start("msg_1", "m", {"input_tokens": 1, "output_tokens": 0}),
            events.block_start(0, {"type": "text", "text": ""}),
            events.block_delta(0, {"type": "text_delta", "text": "hi"}),
            events.block_stop(0),
            events.message_delta("end_turn", {"output_tokens": 1}),
            events.message_stop(),
            events.ping(),
        ]

    def feed(self, frame: Frame) -> list[Event]:
        return [self.said[int(number)] for number in (frame.data or b"").decode().split()]

    def close(self) -> list[Event]:
        if self._closing is None:
            raise TruncatedStream("no end was seen")
        return self._closing


def test_events_come_out_as_frames_and_the_end_is_known() -> None:
    reply = Scripted()
    bridge = Bridge(reply, Decoder())
    assert bridge.feed(b"data: 6 0 1") == b""
    assert not bridge.first
    assert bridge.feed(b"\n\ndata: 2\n\n") == b"".join(map(events.encode, [reply.said[n] for n in (6, 0, 1, 2)]))
    assert str(bridge.first) == "message_start"
    bridge.feed(b"data: 3 4 5\n\n")
    assert bridge.ended
    assert bridge.close() == b""


def test_the_notes_are_those_of_the_reply() -> None:
    reply = Scripted()
    reply.notes = ("worth knowing",)
    assert Bridge(reply, Decoder()).notes == ("worth knowing",)


def test_what_is_said_after_the_end_is_not_heard() -> None:
    bridge = Bridge(Scripted(), Decoder())
    bridge.feed(b"data: 0 4 5\n\n")
    assert bridge.feed(b"data: 2\n\n") == b""


def test_an_end_that_only_the_close_shows_is_written() -> None:
    reply = Scripted()
    bridge = Bridge(Scripted(closing=[reply.said[4], reply.said[5]]), Decoder())
    bridge.feed(b"data: 0\n\n")
    assert bridge.close() == events.encode(reply.said[4]) + events.encode(reply.said[5])
    assert bridge.ended


def test_a_stream_without_its_end_is_truncated() -> None:
    bridge = Bridge(Scripted(), Decoder())
    bridge.feed(b"data: 0 1\n\n")
    with pytest.raises(TruncatedStream):
        bridge.close()
    half = Bridge(Scripted(closing=[]), Decoder())
    half.feed(b"data: 0 1\n\n")
    with pytest.raises(TruncatedStream):
        half.close()
    cut = Bridge(Scripted(closing=[]), Decoder())
    cut.feed(b"data: 0")
    with pytest.raises(TruncatedStream):
        cut.close()


def test_a_translation_that_breaks_the_grammar_never_reaches_the_client() -> None:
    bridge = Bridge(Scripted(), Decoder())
    with pytest.raises(GrammarError, match="translation"):
        bridge.feed(b"data: 0 2\n\n")


def test_what_stands_before_a_fault_reaches_the_client_first() -> None:
    reply = Scripted()
    bridge = Bridge(reply, Decoder())
    assert bridge.feed(b"data: 0 1\n\ndata: 4\n\n") == events.encode(reply.said[0]) + events.encode(reply.said[1])
    with pytest.raises(GrammarError):
        bridge.feed(b"data: 2\n\n")
    with pytest.raises(GrammarError):
        bridge.close()


def test_frames_have_a_limit() -> None:
    with pytest.raises(FrameError):
        Bridge(Scripted(), Decoder()).feed(b"data: " + b"x" * 40_000_000)


class Echo:
    """A reply whose frames are lines: each is the number of an event of `Scripted`."""

    def __init__(self) -> None:
        self.failure: ApiError | None = None
        self.notes: tuple[str, ...] = ()

    def feed(self, frame: bytes) -> list[Event]:
        return [Scripted().said[each] for each in json.loads(frame)["say"]]

    def close(self) -> list[Event]:
        raise TruncatedStream("no end was seen")


def test_how_bytes_are_framed_is_the_dialects_affair() -> None:
    said = Scripted().said
    bridge = Bridge(Echo(), ndjson.Decoder())
    assert bridge.feed(b'{"say":[0,1,2]}\n{"say":[3') == b"".join(map(events.encode, said[:3]))
    assert bridge.feed(b"]}") == b""
    assert bridge.feed(b'\n{"say":[4,5]}\n') == b"".join(map(events.encode, said[3:6]))
    assert bridge.ended
    cut = Bridge(Echo(), ndjson.Decoder())
    cut.feed(b'{"say":[0]}\n{"say"')
    with pytest.raises(TruncatedStream):
        cut.close()


def test_the_usage_is_what_was_told_last_and_what_was_handed_out_stays() -> None:
    bridge = Bridge(Scripted(), Decoder())
    assert bridge.usage == {}
    bridge.feed(b"data: 0 1 2\n\n")
    early = bridge.usage
    bridge.feed(b"data: 3 4 5\n\n")
    assert early == {"input_tokens": 1, "output_tokens": 0}
    assert bridge.usage == {"input_tokens": 1, "output_tokens": 1}
