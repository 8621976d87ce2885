"""JSON from outside: what is read, what is refused, and that what is read can be written again."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.errors import FrameError
from ccrouter.wire.json_text import Nan, loads, loads_or_none
from tests.strategies import json_values, mutated

#: Such as other programs write, and such as none may.
TEXTS = (
    json_values.map(str.encode) | json_values.flatmap(lambda text: mutated(text.encode())) | st.binary(max_size=20)
)
ODD = st.sampled_from(["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
BOTH = st.sampled_from(["refuse", "null"])


@given(TEXTS | ODD.map(str.encode), BOTH)
def test_any_bytes_have_a_value_or_are_a_frame_error(data: bytes, nan: Nan) -> None:
    try:
        value = loads(data, nan=nan)
    except FrameError:
        assert loads_or_none(data, nan=nan) is None
        return
    if nan == "null":
        assert json.loads(json.dumps(value, allow_nan=False)) == value
    assert loads_or_none(data, nan=nan) == value


@given(st.lists(ODD | json_values, max_size=4))
def test_numbers_that_json_has_not_are_refused_or_nothing(items: list[str]) -> None:
    text = f'{{"a":[{",".join(items)}]}}'
    value = loads(text, nan="null")
    if not {"NaN", "Infinity", "-Infinity"}.isdisjoint(items):
        with pytest.raises(FrameError, match="is not JSON"):
            loads(text, nan="refuse")
    else:
        as_read = loads(text, nan="refuse")
        assert as_read == json.loads(text)
        assert value == _without_infinities(as_read)


def _without_infinities(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list):
        return [_without_infinities(each) for each in value]
    if isinstance(value, dict):
        return {key: _without_infinities(each) for key, each in value.items()}
    return value


@pytest.mark.parametrize("nan", ["refuse", "null"])
def test_a_byte_order_mark_in_front_says_nothing(nan: Nan) -> None:
    assert loads("\ufeff".encode() + b'{"a":"\xc3\xa9"}', nan=nan) == {"a": "é"}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is not JSON"),
        (b"\xff", "is not JSON"),
        (b"1 2", "is not JSON"),
        (b"9" * 5_000, "is not JSON"),  # more digits than Python reads
        (b"[" * 100_000, "is nested too deep"),
        (b'{"a":' * 100_000, "is nested too deep"),
    ],
)
@pytest.mark.parametrize("nan", ["refuse", "null"])
def test_what_cannot_be_read_says_what_it_is_not(data: bytes, words: str, nan: Nan) -> None:
    with pytest.raises(FrameError, match=f"^{words}$"):
        loads(data, nan=nan)
