"""Signatures of our own: what is put in comes out, and nothing else is taken for one."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.translate.provenance import Origin, is_ours, read, sign

PAYLOADS = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
ORIGINS = st.builds(Origin, st.text(min_size=1, max_size=20), st.text(max_size=30), PAYLOADS)


@given(origin=ORIGINS)
def test_an_origin_survives_the_round_trip_and_is_always_written_the_same(origin: Origin) -> None:
    signature = sign(origin)
    assert read(signature) == origin
    assert sign(origin) == signature
    assert re.fullmatch(r"ccr1\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[0-9a-f]{12}", signature)


def test_a_long_payload_is_compressed() -> None:
    assert len(sign(Origin("p", "m", "reasoning " * 1000))) < 500


@given(origin=ORIGINS, data=st.data())
def test_a_signature_that_was_cut_or_garbled_is_not_read(origin: Origin, data: st.DataObject) -> None:
    signature = sign(origin)
    cut = data.draw(st.integers(0, len(signature) - 1))
    assert read(signature[:cut]) is None
    other = data.draw(st.sampled_from("AbZ09_-.").filter(lambda char: char != signature[cut]))
    assert read(signature[:cut] + other + signature[cut + 1 :]) is None


@given(text=st.text())
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
