from __future__ import annotations

import json

import pytest
from hypothesis import given

from ccrouter.errors import FrameError
from ccrouter.translate.members import as_object, frame_object, objects
from tests.strategies import json_values


def test_what_json_has_no_word_for_is_nothing() -> None:
    assert frame_object(
        b'{"a": NaN, "b": [Infinity, -Infinity], "c": 1, "d": [1e999, -1e999, 1.5]}', "a line"
    ) == {
        "a": None,
        "b": [None, None],
        "c": 1,
        "d": [None, None, 1.5],
    }


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"{", "the backend sent a chunk that is not JSON"),
        (b"\xff", "the backend sent a chunk that is not JSON"),
        (b"", "the backend sent a chunk that is not JSON"),
        (b'{"a":' + b"[" * 100_000, "the backend sent a chunk that is nested too deep"),
        (b"[{}]", "the backend sent a chunk that is no object"),
        (b"null", "the backend sent a chunk that is no object"),
    ],
)
def test_a_frame_that_is_no_object_is_named(data: bytes, words: str) -> None:
    with pytest.raises(FrameError, match=words):
        frame_object(data, "a chunk")


@given(json_values)
def test_anything_has_members(value: object) -> None:
    assert as_object(value) == (value if isinstance(value, dict) else {})
    found = objects(value)
    assert all(isinstance(each, dict) for each in found)
    if isinstance(value, list):
        assert json.dumps(found) == json.dumps([each for each in value if type(each) is dict])
    else:
        assert found == []
