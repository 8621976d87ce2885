"""Signatures of our own: what is put in comes out, and nothing else is taken for one."""

from __future__ import annotations

import base64
import hashlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.translate.provenance import Origin, is_ours, read, sign

# Halves of surrogate pairs too: JSON can say them.
WORDS = st.text(st.characters() | st.sampled_from("\ud83d\ude00"), max_size=30)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)
PAYLOADS = st.none() | st.builds(lambda rest, kind: {**rest, "f": kind}, st.dictionaries(WORDS, VALUES), WORDS)
ORIGINS = st.builds(Origin, st.text(min_size=1, max_size=20), WORDS, PAYLOADS)


def checked(body: bytes) -> str:
    """A signature of this body, with the check that belongs to it."""
    head = f"ccr1.cA.{base64.urlsafe_b64encode(b'p' + body).rstrip(b'=').decode()}"
    return f"{head}.{hashlib.sha256(head.encode()).hexdigest()[:12]}"


@given(origin=ORIGINS)
def test_an_origin_survives_the_round_trip_and_is_always_written_the_same(origin: Origin) -> None:
    signature = sign(origin)
    assert read(signature) == origin
    assert sign(origin) == signature
    assert re.fullmatch(r"ccr1\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[0-9a-f]{12}", signature)


def test_a_long_payload_is_compressed() -> None:
    assert len(sign(Origin("p", "m", {"f": "messages", "s": "reasoning " * 1000}))) < 500


def test_what_was_signed_once_is_read_for_ever() -> None:
    signature = "ccr1.cA.cFsibSIseyJmIjoibWVzc2FnZXMiLCJzIjoiw6kifV0.ffe87d3237f0"
    assert sign(Origin("p", "m", {"f": "messages", "s": "é"})) == signature
    assert read(signature) == Origin("p", "m", {"f": "messages", "s": "é"})


def test_half_of_a_pair_comes_back_as_half_of_a_pair() -> None:
    for half in ("\ud83d", "\ude00", "\ud83d\ude00", "a\ude00\ud83d"):
        origin = Origin("p", half, {"f": "messages", "s": half})
        assert read(sign(origin)) == origin


def test_infinite_numbers_that_were_signed_once_are_nothing() -> None:
    assert read(checked(b'["m",{"f":"content","d":[Infinity,NaN]}]')) == Origin(
        "p", "m", {"f": "content", "d": [None, None]}
    )


@pytest.mark.parametrize(
    "body",
    [
        b"5",
        b"null",
        b'"mp"',
        b'{"m":1,"p":2}',
        b'["m"]',
        b'["m",null,1]',
        b"[5,null]",
        b'["m",{}]',
        b'["m",[]]',
        b'["m","f"]',
        b'["m",{"f":["x"]}]',
        b'["m",{"f":null}]',
        b"",
        b"\xff",
    ],
)
def test_what_is_checked_but_says_nothing_is_not_read(body: bytes) -> None:
    assert read(checked(body)) is None
    assert read(checked(b'["m",{"f":"x"}]')) == Origin("p", "m", {"f": "x"})


@given(origin=ORIGINS, data=st.data())
def test_a_signature_that_was_cut_or_garbled_is_not_read(origin: Origin, data: st.DataObject) -> None:
    signature = sign(origin)
    cut = data.draw(st.integers(0, len(signature) - 1))
    assert read(signature[:cut]) is None
    other = data.draw(st.sampled_from("AbZ09_-.").filter(lambda char: char != signature[cut]))
    assert read(signature[:cut] + other + signature[cut + 1 :]) is None


@given(text=WORDS)
@pytest.mark.parametrize("head", ["", "ccr1.", "ccr1.cA.", "ccr2."])
def test_anything_else_is_somebody_elses(head: str, text: str) -> None:
    assert read(head + text) is None


@pytest.mark.parametrize("value", [None, 5, [], {}, b"ccr1.a.b.c"])
def test_what_is_no_text_is_no_signature(value: object) -> None:
    assert read(value) is None
    assert not is_ours(value)


def test_a_broken_signature_of_ours_is_still_known_as_ours() -> None:
    assert is_ours(sign(Origin("p", "m"))[:-1])
    assert not is_ours("EqQBCkgIAxABGAIiQ")
