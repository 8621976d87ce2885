"""A stream that is passed on in its own bytes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.errors import TruncatedStream, WireError
from ccrouter.translate.messages.watch import StreamWatch, error_in
from ccrouter.wire import envelope, events
from tests.strategies import cuts, mutated, spelled, streams

# Streams


def watch(chunks):
    """What was passed on while the stream ran and at its end, and the watch."""
    watching = StreamWatch()
    running = b"".join([watching.feed(chunk) for chunk in chunks])
    return running, watching.close(), watching


@given(streams(), st.data())
def test_a_whole_stream_is_passed_on_byte_for_byte(stream, data):
    body = data.draw(spelled(stream))
    running, rest, watching = watch(data.draw(cuts(body)))
    assert running + rest == body
    assert watching.ended
    assert watching.first == next(event["type"] for event in stream if event["type"] != "ping")


@given(streams().flatmap(spelled), st.data())
def test_a_part_of_a_stream_is_never_taken_for_the_whole(body, data):
    # A frame whose lines end at CRLF is whole one byte before its end: at the CR of its blank line.
    part = body[: data.draw(st.integers(0, len(body) - 2))]
    watching = StreamWatch()
    passed = b"".join([watching.feed(chunk) for chunk in data.draw(cuts(part))])
    with pytest.raises(TruncatedStream):
        passed += watching.close()
    assert part.startswith(passed)
    assert not watching.ended


@given(streams().flatmap(spelled), st.data())
def test_whatever_is_passed_on_ends_between_two_events(body, data):
    watching = StreamWatch()
    for chunk in data.draw(cuts(body)):
        passed = watching.feed(chunk)
        assert passed == b"" or passed.endswith((b"\n\n", b"\r\r", b"\r\n\r\n"))


@given(streams().flatmap(spelled).flatmap(mutated), st.data())
def test_mutated_streams_raise_our_own_errors_only_and_lose_nothing(body, data):
    watching = StreamWatch()
    passed = b""
    try:
        for chunk in data.draw(cuts(body)):
            passed += watching.feed(chunk)
        passed += watching.close()
    except WireError:
        assert body.startswith(passed)
    else:
        assert passed == body


@pytest.mark.parametrize(
    "data",
    [
        b"[]",
        b"null",
        b"5",
        b'{"type":5}',
        b'{"type":["error"]}',
        b"{",
        b"[" * 100_000,
        b"\xff",
        b"",
        b'{"type":"ping"}',
    ],
)
def test_a_frame_that_says_nothing_is_passed_on_and_not_counted(data):
    watching = StreamWatch()
    body = b"data: " + data + b"\n\n"
    assert watching.feed(body) == body
    assert watching.first is None
    assert not watching.ended


def test_what_follows_the_last_event_is_passed_on_too():
    body = events.encode(events.message_stop())
    running, rest, watching = watch([body + b": bye\n\n: cut of"])
    assert (running, rest) == (body + b": bye\n\n", b": cut of")
    assert watching.ended


@pytest.mark.parametrize(
    ("data", "status", "words"),
    [
        (events.encode(events.error("overloaded_error", "too many")), 529, "too many"),
        (
            events.encode(events.ping()) + events.encode(events.error("rate_limit_error", "slow down")),
            429,
            "slow down",
        ),
        (events.encode(events.error("weather_error", "rain")), 500, "rain"),
        (
            b'event: error\ndata: {"error":"words"}\n\n',
            502,
            "the backend's stream began with an error that cannot be read",
        ),
        (b"event: error\ndata: {\n\n", 502, "cannot be read"),
        (b"event: error\n\n", 502, "cannot be read"),
    ],
)
def test_an_error_that_a_stream_begins_with_has_a_status(data, status, words):
    found, body = error_in(data)
    assert found == status
    assert envelope.is_envelope(body)
    assert words in json.loads(body)["error"]["message"]


def test_of_a_stream_that_passes_the_usage_is_what_was_told_last():
    watch = StreamWatch()
    watch.feed(events.encode(events.message_start("msg_1", "m", {"input_tokens": 3, "output_tokens": 1})))
    early = watch.usage
    watch.feed(b"event: message_delta\ndata: not json\n\nevent: message_delta\ndata: [1]\n\n")
    watch.feed(events.encode(events.message_delta("end_turn", {"output_tokens": 5})))
    assert early == {"input_tokens": 3, "output_tokens": 1}
    assert watch.usage == {"input_tokens": 3, "output_tokens": 5}
