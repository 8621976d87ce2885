from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.routing.pins import LONGEST, MOST, Pin, Pins, dump, key, load, newest
from tests.routing.samples import target
from tests.strategies import json_values

NOW = 1_800_000_000.0
A, B = target("a"), target("b")


def test_a_session_stays_with_the_target_that_answered():
    pins = Pins()
    assert pins.of("s", "i") is None
    pins.hold("s", "i", A, NOW)
    assert (pins.of("s", "i"), len(pins)) == ("work:a", 1)
    assert pins.of("t", "i") is None


def test_another_intent_is_pinned_anew():
    pins = Pins()
    pins.hold("s", "i", A, NOW)
    assert pins.of("s", "j") is None
    pins.hold("s", "j", B, NOW)
    assert (pins.of("s", "i"), pins.of("s", "j")) == (None, "work:b")


def test_a_session_that_went_on_to_the_next_stays_with_that():
    pins = Pins()
    pins.hold("s", "i", A, NOW)
    pins.hold("s", "i", B, NOW + 1)
    assert pins.of("s", "i") == "work:b"


def test_a_session_that_was_released_is_free_and_so_it_is_to_those_who_know_an_older_pin():
    pins, other = Pins(), Pins({"s": Pin("i", "work:a", NOW)})
    assert not pins.holds("s")
    pins.hold("s", "i", A, NOW)
    assert pins.holds("s")
    pins.release("s", NOW + 1)
    other.merge(load(json.loads(json.dumps(dump(pins.changed))), NOW + 1))
    for each in (pins, other):
        assert (each.of("s", "i"), each.holds("s")) == (None, False)
    pins.merge({"s": Pin("i", "work:a", NOW)})
    assert not pins.holds("s")
    pins.hold("s", "i", B, NOW + 2)
    assert pins.of("s", "i") == "work:b"


# What is to be written down


def test_a_new_pin_is_to_be_written_down_and_one_that_is_used_only_now_and_then():
    pins = Pins()
    pins.hold("s", "i", A, NOW)
    assert pins.changed == {"s": Pin("i", "work:a", NOW)}
    pins.changed.clear()
    pins.hold("s", "i", A, NOW + 3599)
    assert pins.changed == {}
    pins.hold("s", "i", A, NOW + 3600)
    assert pins.changed == {"s": Pin("i", "work:a", NOW + 3600)}
    pins.changed.clear()
    pins.hold("s", "i", B, NOW + 3601)
    assert pins.changed == {"s": Pin("i", "work:b", NOW + 3601)}


def test_what_is_remembered_is_bounded_and_what_was_used_last_is_kept():
    pins = Pins()
    pins.hold("old", "i", A, NOW)
    for number in range(MOST - 1):
        pins.hold(str(number), "i", A, NOW)
    pins.hold("old", "i", A, NOW + 1)
    pins.hold("new", "i", A, NOW + 2)
    assert len(pins) == MOST
    assert pins.of("0", "i") is None
    assert (pins.of("old", "i"), pins.of("new", "i")) == ("work:a", "work:a")


def test_what_others_wrote_down_is_taken_over_where_it_is_later():
    pins = Pins({"s": Pin("i", "work:a", NOW), "t": Pin("i", "work:a", NOW)})
    pins.merge({"s": Pin("i", "work:b", NOW + 1), "t": Pin("i", "work:b", NOW - 1), "u": Pin("i", "work:b", NOW)})
    assert [pins.of(session, "i") for session in "stu"] == ["work:b", "work:a", "work:b"]
    assert pins.changed == {}


def test_what_others_wrote_down_does_not_make_it_grow():
    pins = Pins({str(number): Pin("i", "work:a", NOW) for number in range(MOST)})
    pins.merge({f"x{number}": Pin("i", "work:a", NOW + 1) for number in range(MOST)})
    assert len(pins) == MOST
    assert pins.of("x0", "i") == "work:a"


def test_each_agent_of_a_session_has_a_pin_of_its_own():
    assert len({key("s", None), key("s", "a1"), key("s", "a2"), key("t", "a1")}) == 4
    assert key("s", "") == key("s", None)


# On disk


_words = st.text(min_size=1, max_size=5)
_pins = st.dictionaries(_words, st.builds(Pin, _words, _words, st.integers(0, 10**6).map(lambda age: NOW - age)))


@given(_pins)
def test_what_was_written_down_reads_back(pins):
    assert load(json.loads(json.dumps(dump(pins))), NOW) == pins


@pytest.mark.parametrize(
    ("seen", "kept"),
    [(NOW, True), (NOW + 60, True), (NOW + 61, False), (NOW - LONGEST + 1, True), (NOW - LONGEST, False)],
)
def test_what_is_too_old_or_from_the_future_is_left_out(seen, kept):
    assert load({"s": ["i", "work:a", seen]}, NOW) == ({"s": Pin("i", "work:a", seen)} if kept else {})


@pytest.mark.parametrize(
    "row",
    [
        None,
        [],
        ["i", "t"],
        ["i", "t", "1"],
        ["i", 3, NOW],
        [None, "t", NOW],
        ["i", "t", NOW, 1],
        ["i", "t", float("nan")],
        ["i", "t", float("inf")],
        ["i", "t", 10**400],
        {"intent": "i"},
    ],
)
def test_junk_is_left_out_and_the_rest_is_kept(row):
    assert load({"x": row, "s": ["i", "work:a", NOW]}, NOW) == {"s": Pin("i", "work:a", NOW)}


@given(json_values.map(json.loads))
def test_no_junk_is_beyond_it(value):
    assert load(value, NOW) == {}


def test_of_too_many_the_newest_are_read_in_their_order():
    many = {str(number): Pin("i", "t", NOW - number) for number in range(MOST + 100)}
    found = newest(many.items())
    assert len(found) == MOST
    assert list(found)[-1] == "0"
    assert list(load(dump(many), NOW))[-1] == "0"
