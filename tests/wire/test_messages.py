from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.errors import FrameError
from ccrouter.wire.messages import Sizes, read_request
from tests.strategies import json_objects, mutated


def test_the_text_stays_as_it_came():
    body = '{ "model" : "m", "temperature":1.0, "x":"\\u00e9é" }\n'.encode()
    request = read_request(body)
    assert request.text.encode() == body
    assert request.model == "m"
    assert [item.key for item in request.items] == ["model", "temperature", "x"]


def test_of_a_repeated_key_the_last_value_counts():
    request = read_request(b'{"model":"a","stream":true,"model":"b","stream":false}')
    assert request.model == "b"
    assert not request.stream
    assert len(request.items) == 4


@pytest.mark.parametrize(
    ("value", "stream"), [("true", True), ("false", False), ("null", False), ("1", False), ('"true"', False)]
)
def test_only_true_asks_for_a_stream(value, stream):
    assert read_request(f'{{"model":"m","stream":{value}}}'.encode()).stream is stream


def test_without_a_word_about_streams_there_is_none():
    assert not read_request(b'{"model":"m"}').stream


@pytest.mark.parametrize(
    "model", ["", '"model":null,', '"model":"",', '"model":5,', '"model":["m"],', '"model":"m","model":null,']
)
def test_a_request_without_a_model_is_told_what_is_missing(model):
    with pytest.raises(FrameError, match=r"^model: a non-empty string is required$"):
        read_request(f'{{{model}"max_tokens":1}}'.encode())


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "not JSON"),
        (b"[]", "not JSON: expected '{'"),
        (b'{"model":"m"} x', "unexpected text"),
        (b'{"model":"\xff"}', "not UTF-8: invalid start byte at byte 10"),
    ],
)
def test_a_body_that_is_no_object_is_refused(body, words):
    with pytest.raises(FrameError) as caught:
        read_request(body)
    assert words in str(caught.value)


@given(st.one_of(st.binary(max_size=30), json_objects().flatmap(lambda each: mutated(each.text.encode()))))
def test_any_bytes_give_a_request_or_a_frame_error(body):
    try:
        request = read_request(body)
    except FrameError:
        return
    assert request.text.encode() == body
    assert request.model == request.fields["model"]


def test_a_prompt_is_not_shown_by_a_request():
    assert "secret" not in repr(read_request(b'{"model":"m","system":"secret"}'))


def test_what_was_found_out_about_a_request_is_kept_with_it_and_makes_no_difference():
    first, second = read_request(b'{"model":"m"}'), read_request(b'{"model":"m"}')
    first.sizes.by_url = True
    assert second.sizes == Sizes()
    assert first == second
    assert "sizes" not in repr(first)
