from __future__ import annotations

from itertools import groupby

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ccrouter.translate.think_tags import ThinkTags, lone_closing_tag


def taken_apart(*texts):
    tags = ThinkTags()
    pieces = [piece for text in texts for piece in tags.feed(text)] + tags.close()
    assert all(text for _, text in pieces)
    return [(kind, "".join(text for _, text in group)) for kind, group in groupby(pieces, lambda piece: piece[0])]


WORDS = [
    ("plain", [("text", "plain")]),
    ("", []),
    ("<think>why</think>so", [("thinking", "why"), ("text", "so")]),
    ("<thought>why</thought>so", [("thinking", "why"), ("text", "so")]),
    ("\n <think>\nwhy\n</think>\n\nso", [("thinking", "why\n"), ("text", "so")]),
    ("<think>\n\n</think>\n\nso", [("text", "so")]),
    ("<think></think>", []),
    ("<think>a</think> <think>b</think>so", [("thinking", "ab"), ("text", "so")]),
    ("<think>a</thought>b</think>so", [("thinking", "a</thought>b"), ("text", "so")]),
    ("<think>a < b </th", [("thinking", "a < b </th")]),
    ("<think>no end", [("thinking", "no end")]),
    ("<thi", [("text", "<thi")]),
    ("<thin ice", [("text", "<thin ice")]),
    ("  indented", [("text", "  indented")]),
    ("say <think>x</think>", [("text", "say <think>x</think>")]),
    ("<think>a</think>so <think>b</think>", [("thinking", "a"), ("text", "so <think>b</think>")]),
    ("x</think>so", [("text", "x</think>so")]),
    ("why\n</think>\n\nso", [("text", "why\n</think>\n\nso")]),
    ("</think>so", [("text", "so")]),
    ("\n</think>\n\nso", [("text", "so")]),
    ("</thought><think>why</think>so", [("thinking", "why"), ("text", "so")]),
    ("</th", [("text", "</th")]),
    ("<think>a<think>b</think>so", [("thinking", "a<think>b"), ("text", "so")]),
]


@pytest.mark.parametrize(("text", "expected"), WORDS)
def test_reasoning_in_front_of_an_answer_is_taken_apart_however_it_is_cut(text, expected):
    assert taken_apart(text) == expected
    assert taken_apart(*text) == expected
    for place in range(len(text)):
        assert taken_apart(text[:place], text[place:]) == expected


tagged = st.lists(
    st.sampled_from(["<think>", "</think>", "<thought>", "</thought>", "<", " ", "\n", "a", "think>"])
).map("".join)


@given(tagged, st.data())
@example("<think> </think> ", None)
def test_any_cut_gives_the_same_pieces(text, data):
    places = data.draw(st.lists(st.integers(0, len(text)), max_size=5).map(sorted)) if data else [1]
    cut = [text[start:end] for start, end in zip([0, *places], [*places, len(text)], strict=True)]
    assert taken_apart(*cut) == taken_apart(text)


@given(tagged)
def test_a_text_that_begins_with_anything_else_is_untouched(text):
    assert taken_apart(f"a{text}") == [("text", f"a{text}")]


def test_after_it_was_closed_everything_is_text():
    tags = ThinkTags()
    assert tags.feed("<thi") == []
    assert tags.close() == [("text", "<thi")]
    assert tags.feed("<think>x") == [("text", "<think>x")]


def test_text_is_held_back_only_while_it_may_become_a_tag():
    tags = ThinkTags()
    assert tags.feed("<th") == []
    assert tags.feed("e") == [("text", "<the")]
    assert tags.feed("<think>") == [("text", "<think>")]


def test_after_a_restart_a_tag_counts_again():
    tags = ThinkTags()
    assert tags.feed("a<think>b") == [("text", "a<think>b")]
    tags.restart()
    assert tags.feed("<think>c</think>d") == [("thinking", "c"), ("text", "d")]


@pytest.mark.parametrize(
    ("text", "lone"),
    [
        ("why\n</think>\n\nso", True),
        ("why</think>\nso", True),
        ("<think>why</think>\nso", False),
        ("say </think> to end it", False),
        ("why", False),
        ("", False),
    ],
)
def test_a_closing_tag_on_a_lines_end_that_nothing_opened_is_known(text, lone):
    assert lone_closing_tag(text) is lone
