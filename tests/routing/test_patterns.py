from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.routing import patterns
from ccrouter.routing.patterns import covers, fits


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("Explore", "explore"),
        ("*", ""),
        ("*", "anything at all"),
        ("claude-*", "claude-opus-5-5"),
        ("*haiku*", "claude-haiku-5-5"),
        ("*:30b", "qwen3-coder:30b"),
        ("a*b*c", "a-b-b-c"),
        ("a**c", "abc"),
        ("claude-*[1m]", "claude-opus-5-5[1m]"),
        ("ollama:*", "OLLAMA:x"),
        (".+", ".+"),
    ],
)
def test_a_pattern_fits(pattern, text):
    assert fits(pattern, text)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("Explore", "Explorer"),
        ("claude-*", "my-claude-opus"),
        ("*:30b", "qwen3:30b-q4"),
        ("a*a", "a"),
        ("ab*ba", "aba"),
        ("*ab*ba*", "aba"),
        ("a*b*c", "a-c-b"),
        ("", "x"),
        ("?", "x"),
        (".*", "x"),
        ("[ab]", "a"),
    ],
)
def test_a_pattern_does_not_fit(pattern, text):
    assert not fits(pattern, text)


few = st.lists(st.sampled_from(["", "a", "b", "ab", "ba", "aa"]), max_size=5).map("*".join)


@given(few, st.text("ab", max_size=10) | few)
def test_a_pattern_fits_as_the_regular_expression_does_that_it_stands_for(pattern, text):
    expression = ".*".join(map(re.escape, pattern.split("*")))
    assert fits(pattern, text) is (re.fullmatch(expression, text, re.DOTALL) is not None)


@given(st.text(max_size=6))
def test_every_text_fits_itself_and_a_star(text):
    assert fits(text, text)
    assert fits("*", text)
    assert fits(text.upper(), text) is (text.upper().lower() == text.lower())


# Directories

HOME = "/home/me"


@pytest.mark.parametrize(
    ("pattern", "directory"),
    [
        ("/srv/app", "/srv/app"),
        ("/srv/app/", "/srv/app"),
        ("/srv/app", "/srv/app/"),
        ("/srv/app", "/srv/app/deep/below"),
        ("~", "/home/me"),
        ("~/work", "/home/me/work/x"),
        ("~/work/*", "/home/me/work/x/y"),
        ("~/*-secret", "/home/me/top-secret"),
        ("/srv/**/app", "/srv/app"),
        ("/srv/**/app", "/srv/a/b/app/c"),
        ("**/app", "/any/where/app"),
        ("**", "/"),
        ("/", "/any"),
        ("C:\\Work", "c:/work/x"),
        ("C:/Work", "C:\\Work\\x"),
        ("/srv/wörk dir", "/srv/wörk dir"),
        ("*/work", "/work"),
    ],
)
def test_a_directory_is_covered(pattern, directory):
    assert covers(pattern, directory, HOME)


@pytest.mark.parametrize(
    ("pattern", "directory"),
    [
        ("/srv/app", "/srv/apple"),
        ("/srv/app", "/srv"),
        ("/srv/app", "srv/app"),
        ("~/work", "/home/you/work"),
        ("~you", "/home/me"),
        ("~/work/*", "/home/me/work"),
        ("/srv/*/app", "/srv/app"),
        ("/srv/*/app", "/srv/a/b/app"),
        ("/srv/**/app", "/srv/a/b/c"),
        ("work", "/home/me/work"),
    ],
)
def test_a_directory_is_not_covered(pattern, directory):
    assert not covers(pattern, directory, HOME)


@pytest.mark.parametrize("home", ["/home/me", "/home/me/", "C:\\Users\\me", "/"])
def test_the_home_directory_may_be_spelled_in_any_way(home):
    assert covers("~/work", f"{home.rstrip('/')}/work/x", home)
    assert covers("~", f"{home.rstrip('/')}/x", home)
    assert not covers("~/work", "/elsewhere/work", home)


@pytest.mark.parametrize("pattern", ["~", "~/", "~/work", "~\\work"])
def test_without_a_home_directory_nothing_lies_below_it(pattern):
    assert not covers(pattern, "/work", "")
    assert not covers(pattern, "/home/me/work", "")


def regular(pattern):
    """A directory pattern as a regular expression: a slash before each name, and anything below."""
    parts = pattern.split("/")
    made = "".join(
        "(?:/[^/]*)*" if each == "**" else "/" + re.escape(each).replace(r"\*", "[^/]*") for each in parts
    )
    return made + "(?:/[^/]*)*"


parts = st.sampled_from(["a", "b", "ab", "*", "a*", "**", "*b"])


@given(
    st.lists(parts, min_size=1, max_size=5),
    st.lists(st.sampled_from(["a", "b", "ab", "bb"]), min_size=1, max_size=6),
)
def test_a_pattern_covers_as_the_regular_expression_does_that_it_stands_for(wanted, there):
    pattern, directory = "/".join(wanted), "/".join(there)
    assert covers(pattern, directory, HOME) is (re.fullmatch(regular(pattern), f"/{directory}") is not None)


@given(st.lists(st.text("ab.", min_size=1, max_size=3), min_size=1, max_size=5), st.data())
def test_a_directory_covers_itself_and_all_below_it_and_nothing_above(names, data):
    directory = "/" + "/".join(names)
    assert covers(directory, directory, HOME)
    assert covers(directory, f"{directory}/x", HOME)
    above = "/" + "/".join(names[: data.draw(st.integers(0, len(names) - 1))])
    assert not covers(directory, above, HOME)


# No pattern takes long


class Searched(str):
    """A text that adds up how far it was searched."""

    __slots__ = ()
    steps = 0

    def find(self, part, start=0, end=None):
        end = len(self) if end is None else end
        found = super().find(part, start, end)
        Searched.steps += (end if found < 0 else found + len(part)) - start
        return found

    def lower(self):
        return self


@pytest.mark.parametrize("pattern", ["*a" * 500, "*a*a*a*a*a*a*a*a*b", "*" * 1000 + "b", "a*" * 500 + "b"])
def test_a_pattern_looks_at_each_place_of_a_text_once(pattern):
    Searched.steps = 0
    fits(pattern, Searched("a" * 20_000))
    assert Searched.steps <= 20_000 + len(pattern)


@pytest.mark.parametrize(
    "pattern", ["/".join(["**", "a"] * 40) + "/b", "/".join(["**"] * 80) + "/b", "/".join(["**", "*"] * 40)]
)
def test_a_directory_is_compared_no_oftener_than_names_with_names(pattern, monkeypatch):
    compared = []

    def counted(wanted, there):
        compared.append(there)
        return fits(wanted, there)

    monkeypatch.setattr(patterns, "fits", counted)
    directory = "/".join(["a"] * 200)
    patterns.covers(pattern, directory, HOME)
    assert len(compared) <= (pattern.count("/") + 2) * 201
