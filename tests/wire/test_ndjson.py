from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.errors import FrameError, TruncatedStream
from ccrouter.wire.ndjson import Decoder
from tests.strategies import cuts, mutated

words = st.text(max_size=6) | st.sampled_from(
    ["\u2028", "\u2029", "\u0085", "\n", "\r\n", "\x0b", "\x1c", "\ufeff"]
)
objects = st.dictionaries(words, words | st.integers() | st.lists(words, max_size=2), max_size=3)


@st.composite
def bodies(draw):
    """Objects, and a stream of them as some server may spell it."""
    found = draw(st.lists(objects, max_size=5))
    body = b""
    for each in found:
        line = json.dumps(each, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")
        blank = draw(st.sampled_from([b"", b"", b"\n", b" \r\n"]))
        body += (
            blank + draw(st.sampled_from([b"", b" "])) + line + draw(st.sampled_from([b"\n", b"\r\n", b"\t\n"]))
        )
    return found, body


def decode(chunks, **options):
    """The lines, and how many bytes are left of an unfinished one."""
    decoder = Decoder(**options)
    lines = [line for chunk in chunks for line in decoder.feed(chunk)]
    try:
        lines += decoder.close()
    except TruncatedStream:
        assert decoder.pending
    return lines, decoder.pending


@given(bodies(), st.data())
def test_each_object_is_one_line_however_the_bytes_are_cut(given_, data):
    found, body = given_
    lines, left = decode(data.draw(cuts(body)))
    assert [json.loads(line) for line in lines] == found
    assert not left


@given(bodies().map(lambda each: each[1]).flatmap(mutated), st.data())
def test_any_cut_gives_the_same_lines(body, data):
    assert decode(data.draw(cuts(body))) == decode([body])


@given(objects.filter(bool), objects, st.data())
def test_a_line_that_is_cut_is_told(whole, cut, data):
    line = json.dumps(cut).encode()
    part = line[: data.draw(st.integers(1, len(line) - 1))]
    decoder = Decoder()
    lines = decoder.feed(json.dumps(whole).encode() + b"\n" + part)
    assert [json.loads(each) for each in lines] == [whole]
    with pytest.raises(TruncatedStream, match="inside a line"):
        decoder.close()


@pytest.mark.parametrize("rest", [b"12", b"null", b'"a"', b"[1]", b"[" * 100_000, b'{"a":1}}', b"\xff"])
def test_a_last_line_without_its_end_is_whole_only_if_it_is_an_object(rest):
    decoder = Decoder()
    assert decoder.feed(rest) == []
    with pytest.raises(TruncatedStream):
        decoder.close()
    assert decode([b'{"a":1}\n{"b":2} ']) == ([b'{"a":1}', b'{"b":2}'], 0)


def test_a_line_comes_as_soon_as_its_end_is_there():
    decoder = Decoder()
    assert decoder.feed(b'{"a":') == []
    assert decoder.feed(b"1}\n{") == [b'{"a":1}']
    assert decoder.pending == 1


def test_a_line_beyond_the_limit_is_refused_while_it_grows():
    decoder = Decoder(max_line=10)
    assert decoder.feed(b"x" * 10) == []
    with pytest.raises(FrameError, match="more than 10 bytes"):
        decoder.feed(b"x")
    assert len(Decoder(max_line=10).feed(b"{}\n" * 1000)) == 1000


def test_a_line_is_looked_through_once_however_it_is_cut():
    """A line of a megabyte in pieces of ten bytes: looking from the front each time would take minutes."""
    body = b"x" * 1_000_000 + b"\n"
    lines, _ = decode([body[place : place + 10] for place in range(0, len(body), 10)])
    assert lines == [body[:-1]]
