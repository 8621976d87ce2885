from __future__ import annotations

import copy
import json

import anthropic
import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.errors import FrameError, TruncatedStream, WireError
from ccrouter.wire import events
from ccrouter.wire.fold import Fold, fold
from ccrouter.wire.sse import Decoder
from tests.strategies import cuts, mutated, spelled, streams


def read(chunks):
    decoder = Decoder()
    frames = [frame for chunk in chunks for frame in decoder.feed(chunk)] + decoder.close()
    return [json.loads(frame.data) for frame in frames if frame.data]


@given(streams(), st.data())
def test_a_stream_means_the_same_however_it_is_spelled_and_cut(stream, data):
    assert fold(read(data.draw(cuts(data.draw(spelled(stream)))))) == fold(stream)
    assert fold(read([b"".join(map(events.encode, stream))])) == fold(stream)


@given(streams())
def test_folding_changes_no_event(stream):
    before = copy.deepcopy(stream)
    fold(stream)
    assert stream == before


def as_the_sdk_folds(body):
    """What the SDK hands to its user for a reply of these bytes, in the beta, which knows more types."""
    transport = httpx2.MockTransport(
        lambda request: httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=body)
    )
    with (
        httpx2.Client(transport=transport) as http,
        anthropic.Anthropic(
            api_key="k", base_url="http://backend.invalid", http_client=http, max_retries=0
        ) as client,
        client.beta.messages.stream(model="m", max_tokens=1, messages=[]) as stream,
    ):
        return stream.get_final_message().to_dict(mode="json", warnings=False)


def said(value):
    """Without fields that are null: the SDK has some that were never sent."""
    if isinstance(value, dict):
        return {key: said(each) for key, each in value.items() if each is not None}
    return [said(each) for each in value] if isinstance(value, list) else value


@given(streams(unknown=False))
def test_a_stream_means_what_the_sdk_takes_it_for(stream):
    body = b"".join(map(events.encode, stream))
    body.decode()
    assert said(fold(stream)) == said(as_the_sdk_folds(body))


START = events.message_start("msg_1", "m", {"input_tokens": 7, "output_tokens": 1})
END = [events.message_delta("end_turn", {"output_tokens": 5}), events.message_stop()]


def block(start, *deltas):
    return [events.block_start(0, start), *(events.block_delta(0, each) for each in deltas), events.block_stop(0)]


def test_what_stands_beside_the_last_delta_is_the_messages_too():
    last = {
        **events.message_delta("end_turn", {"output_tokens": 5}),
        "context_management": {"applied_edits": []},
        "input_transformations": None,
    }
    stream = [{**START, "message": {**START["message"], "input_transformations": []}}, last, END[-1]]
    message = fold(stream)
    assert message["context_management"] == {"applied_edits": []}
    assert message["input_transformations"] == []
    assert said(message) == said(as_the_sdk_folds(b"".join(map(events.encode, stream))))


def test_usage_is_overwritten_field_by_field():
    stream = [START, events.message_delta("end_turn", {"output_tokens": 5}), END[-1]]
    assert fold(stream)["usage"] == {"input_tokens": 7, "output_tokens": 5}


def test_the_model_that_went_on_with_the_message_is_named():
    fallback = {"type": "fallback", "from": {"model": "m"}, "to": {"model": "n"}}
    stream = [START, *block(fallback), *END]
    assert fold(stream)["model"] == "n"
    assert as_the_sdk_folds(b"".join(map(events.encode, stream)))["model"] == "n"


def test_the_input_of_a_tool_is_what_its_pieces_spell():
    tool = {"type": "tool_use", "id": "t", "name": "Bash", "input": {}}
    pieces = [{"type": "input_json_delta", "partial_json": each} for each in ("", '{"a', '":1', ".0}")]
    assert fold([START, *block(tool, *pieces), *END])["content"] == [{**tool, "input": {"a": 1.0}}]


def test_without_pieces_the_input_stands_that_the_block_opened_with():
    tool = {"type": "tool_use", "id": "t", "name": "Bash", "input": {"a": 1}}
    empty = {"type": "input_json_delta", "partial_json": ""}
    assert fold([START, *block(tool, empty), *END])["content"] == [tool]


@pytest.mark.parametrize(
    ("text", "words"),
    [('{"a":', "is not JSON"), ("nonsense", "is not JSON"), ("[" * 100_000, "is nested too deep")],
)
def test_an_input_that_is_no_json_names_the_tool(text, words):
    tool = {"type": "tool_use", "id": "t", "name": "Bash", "input": {}}
    with pytest.raises(FrameError, match=f"the input of tool 'Bash' {words}"):
        fold([START, *block(tool, {"type": "input_json_delta", "partial_json": text}), *END])


def test_a_number_that_json_has_not_is_nothing_in_a_message_that_is_written_anew():
    tool = {"type": "tool_use", "id": "t", "name": "Bash", "input": {}}
    given = {"type": "input_json_delta", "partial_json": '{"a":1e999,"b":NaN,"c":1.5}'}
    [block_found] = fold([START, *block(tool, given), *END])["content"]
    assert block_found["input"] == {"a": None, "b": None, "c": 1.5}


def test_a_message_can_be_looked_at_while_it_comes():
    folder = Fold()
    with pytest.raises(WireError, match="no message_start yet"):
        folder.message()
    for event in [START, *block({"type": "text", "text": ""}, {"type": "text_delta", "text": "hi"})[:2]]:
        folder.feed(event)
    assert folder.message()["content"] == [{"type": "text", "text": "hi"}]
    assert folder.message()["stop_reason"] is None


def test_a_stream_that_stops_early_has_no_meaning():
    with pytest.raises(TruncatedStream):
        fold([START, END[0]])


def test_an_error_event_is_raised_in_its_own_words():
    with pytest.raises(WireError, match=r"^overloaded_error: too many$"):
        fold([START, events.error("overloaded_error", "too many")])


WRONG = [
    [{"type": "message_start"}],
    [{"type": "message_start", "message": 5}],
    [{"type": "message_start", "message": {"content": [], "usage": 5}}],
    [{"type": "message_start", "message": {"content": None, "usage": {}}}],
    [START, *block({"type": "text", "text": None}, {"type": "text_delta", "text": "x"})],
    [START, *block({"type": "text", "text": ""}, {"type": "text_delta"})],
    [START, *block({"type": "text", "text": ""}, {"type": "citations_delta"})],
    [START, *block({"type": "tool_use"}, {"type": "input_json_delta", "partial_json": 5})],
    [START, *block({"type": "fallback"})],
    [START, {"type": "message_delta", "usage": {}}],
    [START, {"type": "message_delta", "delta": "end_turn"}],
    [START, {"type": "message_delta", "delta": {}, "usage": [1]}],
    [START, {"type": "error"}],
    [START, {"type": "error", "error": "words"}],
]


@pytest.mark.parametrize("stream", WRONG)
def test_an_event_of_the_wrong_shape_is_a_frame_error(stream):
    with pytest.raises(FrameError, match=f"a {stream[-1]['type']} event of the wrong shape|a content_block_"):
        fold(stream)


@given(streams().flatmap(spelled).flatmap(mutated))
def test_mutated_bytes_raise_our_own_errors_only(body):
    try:
        stream = read([body])
    except (WireError, ValueError):
        return
    try:
        fold([event for event in stream if isinstance(event, dict)])
    except WireError:
        return
