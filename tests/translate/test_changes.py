from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from ccrouter.translate.changes import Changes

KINDS = ["image: left out", "tool_use: a name replaced", "document: told as text"]


def told(*notes: str) -> tuple[str, ...]:
    changes = Changes()
    for each in notes:
        changes.note(each)
    return changes.listed()


def test_one_of_a_kind_needs_no_number():
    assert told() == ()
    assert told("a", "b", "a") == ("a (2 times)", "b")


@given(st.lists(st.sampled_from(KINDS)))
def test_each_kind_is_told_once_with_its_number_in_the_order_of_their_first(notes):
    found = told(*notes)
    assert [each.partition(" (")[0] for each in found] == list(dict.fromkeys(notes))
    numbers = [int(each.partition(" (")[2].removesuffix(" times)") or 1) for each in found]
    assert numbers == list(Counter(notes).values())
