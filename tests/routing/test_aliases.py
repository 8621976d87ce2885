"""What aliases stand for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.routing.aliases import alias_of, stands_for, unfolded

FAMILY = {"haiku", "opus", "claude-opus-4-8"}


@pytest.mark.parametrize(
    ("name", "alias"),
    [
        ("haiku", "haiku"),
        ("haiku[1m]", "haiku"),
        ("claude-haiku-5-5", "haiku"),
        ("claude-haiku-4-5-20251001", "haiku"),
        ("claude-3-5-haiku-20241022", "haiku"),
        ("claude-haiku-5-5[1m]", "haiku"),
        ("claude-opus-5-5", "opus"),
        ("claude-opus-4-8", "claude-opus-4-8"),
        ("claude-opus-4-8[1m]", "claude-opus-4-8"),
        ("claude-sonnet-5-5", None),
        ("sonnet", None),
        ("my-haiku-model", None),
        ("claude-haikus", None),
        ("anthropic:claude-haiku-5-5", None),
        ("claude-", None),
        ("", None),
    ],
)
def test_an_alias_by_the_name_of_a_family_is_one_of_every_model_of_it(name, alias):
    assert alias_of(name, FAMILY) == alias


@pytest.mark.parametrize(
    ("aliases", "names"),
    [
        ({}, ("a",)),
        ({"a": ()}, ("a",)),
        ({"a": ("a",)}, ("a",)),
        ({"a": ("b", "c")}, ("b", "c")),
        ({"a": ("b", "c"), "b": ("c", "d")}, ("c", "d")),
        ({"a": ("b",), "b": ("a", "c")}, ("a", "c")),
        ({"a": ("b[1m]",), "b": ("c",)}, ("c",)),
    ],
)
def test_aliases_may_name_aliases_and_a_loop_ends_at_the_name_that_closes_it(aliases, names):
    assert stands_for("a", aliases) == names


def test_what_an_alias_stands_for_is_the_word_of_who_made_it():
    aliases = {"users": ("x", "y"), "projects": ("y", "z", "users")}
    assert unfolded("projects", aliases, frozenset({"projects"}), lent=False) == [
        ("y", False),  # the user's alias names it too
        ("z", True),
        ("x", False),
    ]


NAMES = st.sampled_from(["a", "b", "c", "haiku", "claude-haiku-5-5", "p:m"])


@given(st.dictionaries(NAMES, st.lists(NAMES, max_size=3).map(tuple), max_size=4), NAMES)
def test_any_aliases_end_at_names_of_which_there_is_at_least_one_and_each_once(aliases, name):
    names = stands_for(name, aliases)
    assert len(set(names)) == len(names) >= 1
    assert set(names) <= {name, *(each for some in aliases.values() for each in some), *aliases}
