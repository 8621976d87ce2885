from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.errors import FrameError, TruncatedStream
from ccrouter.wire.sse import Decoder, Frame
from tests.strategies import cuts, mutated, spelled, streams


def decode(chunks, **options):
    """The frames, and what was left of an unfinished one."""
    decoder = Decoder(**options)
    frames = [frame for chunk in chunks for frame in decoder.feed(chunk)]
    try:
        frames += decoder.close()
    except TruncatedStream:
        assert decoder.pending == len(decoder.rest) > 0
        return frames, decoder.rest
    return frames, decoder.rest


def interpret(body):
    """The event stream interpretation of WHATWG HTML 9.2.6, one character at a time: (event, data) of each dispatch."""
    body = body.removeprefix(b"\xef\xbb\xbf")
    lines = []
    line = bytearray()
    place = 0
    while place < len(body):
        byte = body[place : place + 1]
        place += 1
        if byte in (b"\r", b"\n"):
            if byte == b"\r" and body[place : place + 1] == b"\n":
                place += 1
            lines.append(bytes(line))
            line.clear()
        else:
            line += byte
    dispatched = []
    event: str | None = None
    data: list[bytes] = []
    for each in lines:
        if not each:
            if data:
                dispatched.append((event, b"\n".join(data)))
            event, data = None, []
            continue
        name, _, value = each.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"event":
            event = value.decode("utf-8", "replace")
        elif name == b"data":
            data.append(value)
    return dispatched


LINES = [
    b"event: a",
    b"event:b",
    b"event",
    b"data: 1",
    b"data:2",
    b"data",
    b"data:  3",
    b"datax: 4",
    b": note",
    b"id: 5",
    b"data: a:b",
]
bodies = st.lists(
    st.sampled_from([*LINES, b"", b"", b"data: \xe2\x80\xa8\xc2\x85"]).flatmap(
        lambda line: st.sampled_from([b"\n", b"\r\n", b"\r"]).map(lambda end: line + end)
    ),
    max_size=12,
).map(b"".join)
marked = st.builds(bytes.__add__, st.sampled_from([b"", b"\xef\xbb\xbf"]), bodies)


@given(marked, st.data())
def test_the_frames_are_what_the_specification_dispatches(body, data):
    frames, _ = decode(data.draw(cuts(body)))
    assert [(frame.event, frame.data) for frame in frames if frame.data is not None] == interpret(body)


@given(streams(), st.data())
def test_each_event_of_a_stream_is_one_frame(stream, data):
    frames, rest = decode(data.draw(cuts(data.draw(spelled(stream)))))
    assert rest == b""
    assert len(frames) == len(stream)


@given(st.data(), st.one_of(marked, streams().flatmap(spelled), streams().flatmap(spelled).flatmap(mutated)))
def test_any_cut_gives_the_same_frames_and_no_byte_is_lost(data, body):
    whole, rest = decode([body])
    assert decode(data.draw(cuts(body))) == (whole, rest)
    assert b"".join(frame.raw for frame in whole) + rest == body


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_a_frame_ends_at_the_first_blank_line(end):
    first, second = end.join([b"event: a", b"data: 1", b"", b""]), end.join([b"data: 2", b"", b""])
    assert decode([first + second]) == ([Frame(first), Frame(second)], b"")


def test_a_frame_comes_as_soon_as_its_blank_line_is_there():
    decoder = Decoder()
    assert decoder.feed(b"data: 1\n") == []
    assert decoder.feed(b"\n") == [Frame(b"data: 1\n\n")]
    assert decoder.feed(b"data: 2\r\n\r") == []
    assert decoder.feed(b"\n") == [Frame(b"data: 2\r\n\r\n")]
    assert decoder.pending == 0


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\u0085", "\x0b", "\x0c", "\x1c", "\x1e"])
def test_what_only_python_takes_for_a_line_end_stays_inside_the_data(separator):
    body = f'data: {{"text":"a{separator}b"}}\n\n'.encode()
    assert [frame.data for frame in Decoder().feed(body)] == [f'{{"text":"a{separator}b"}}'.encode()]


def test_the_last_event_line_counts_and_data_lines_are_joined():
    (frame,) = Decoder().feed(b"event: a\ndata: 1\nevent: b\ndata: 2\n\n")
    assert frame.event == "b"
    assert frame.data == b"1\n2"


def test_a_frame_of_comments_has_neither_event_nor_data():
    (frame,) = Decoder().feed(b": keep-alive\n\n")
    assert frame.event is None
    assert frame.data is None
    assert frame.field(b"id") is None


@pytest.mark.parametrize("body", [b"data: 1", b"data: 1\n", b"data: 1\r", b": note\r\n", b"data: 0\n\nda"])
def test_an_end_inside_a_frame_is_told(body):
    decoder = Decoder()
    decoder.feed(body)
    with pytest.raises(TruncatedStream, match="inside an event"):
        decoder.close()


@pytest.mark.parametrize(
    "body", [b"", b"\n", b"\r\n", b"\r", b"data: 1\n\n", b"data: 1\r\r", b"data: 1\n\r", b"data: 1\r\n\r\n\r\n"]
)
def test_an_end_between_frames_is_fine(body):
    frames, rest = decode([body])
    assert rest == b""
    assert b"".join(frame.raw for frame in frames) == body


def test_a_frame_beyond_the_limit_is_refused_while_it_grows():
    decoder = Decoder(max_frame=100)
    assert decoder.feed(b"data: " + b"x" * 94) == []
    with pytest.raises(FrameError, match="more than 100 bytes"):
        decoder.feed(b"x")


def test_many_small_frames_may_come_at_once_whatever_the_limit():
    assert len(Decoder(max_frame=20).feed(b"data: 1\n\n" * 1000)) == 1000


def test_a_frame_is_looked_through_once_however_it_is_cut():
    """A frame of a megabyte in pieces of ten bytes: looking from the front each time would take minutes."""
    body = b"data: " + b"x" * 1_000_000 + b"\n\n"
    frames, _ = decode([body[place : place + 10] for place in range(0, len(body), 10)])
    assert [frame.raw for frame in frames] == [body]


def test_the_bytes_are_not_shown_by_a_frame():
    assert "secret" not in repr(Frame(b"data: secret\n\n"))
