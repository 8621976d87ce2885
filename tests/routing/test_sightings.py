from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ccrouter.routing.sightings import Sightings

LOOKS = st.lists(
    st.fixed_dictionaries({}, optional={each: st.sampled_from(["there", "silent", "gone"]) for each in "ab"})
)


def after(*looks):
    seen = Sightings()
    for each in looks:
        seen = seen.after(each)
    return seen


def test_nobody_is_there_before_it_was_seen():
    for sight in ("silent", "gone"):
        seen = after({"a": sight})
        assert (seen.there, seen.ever) == (frozenset(), frozenset())


@given(LOOKS)
def test_who_was_found_is_there_until_two_looks_in_a_row_say_that_it_is_gone(looks):
    seen = after(*looks)
    for name in "ab":
        # Who says nothing, or was not looked for, changes nothing.
        said = [each[name] for each in looks if each.get(name, "silent") != "silent"]
        assert (name in seen.ever) is ("there" in said)
        assert (name in seen.there) is ("there" in said and said[-2:] != ["gone", "gone"])


@given(LOOKS)
def test_who_answers_is_there_at_once_however_long_it_was_gone(looks):
    assert "a" in after(*looks, {"a": "there"}).there
