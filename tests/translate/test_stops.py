from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.translate import stops
from ccrouter.translate.stops import StopCutter
from ccrouter.wire import envelope


def cut(sequences, *texts):
    cutter = StopCutter(sequences)
    passed = "".join([cutter.feed(text) for text in texts]) + cutter.close()
    return passed, cutter.found


@pytest.mark.parametrize(
    ("finish", "reason"),
    [
        ("stop", "end_turn"),
        ("STOP", "end_turn"),
        ("eos", "end_turn"),
        ("tool_calls", "end_turn"),
        ("function_call", "end_turn"),
        ("length", "max_tokens"),
        ("model_length", "model_context_window_exceeded"),
        ("content_filter", "refusal"),
        ("sensitive", "refusal"),
        ("content_filter: SAFETY", "refusal"),
        ("model_context_window_exceeded", "model_context_window_exceeded"),
        ("never heard of", "end_turn"),
    ],
)
def test_every_finish_reason_has_a_stop_reason(finish, reason):
    assert stops.stop_reason(finish) == reason


@pytest.mark.parametrize(
    ("finish", "kind"),
    [
        ("insufficient_system_resource", "overloaded_error"),
        ("network_error", "api_error"),
        ("function_call_filter: MALFORMED_FUNCTION_CALL", "api_error"),
        ("ERROR", "api_error"),
    ],
)
def test_a_finish_reason_can_be_a_failure(finish, kind):
    found = stops.failure(finish)
    assert found is not None
    assert found[0] == kind
    assert stops.failure("stop") is None


def test_all_types_are_anthropics():
    assert {kind for kind, _ in stops.FAILURES.values()} <= set(envelope.KINDS.values())


@pytest.mark.parametrize(
    ("sequences", "text", "expected"),
    [
        ([], "abc", ("abc", None)),
        (["b"], "abc", ("a", "b")),
        (["abc"], "abc", ("", "abc")),
        (["bx"], "abab", ("abab", None)),
        (["aab"], "aaab", ("a", "aab")),
        (["bcd", "c"], "abcd", ("ab", "c")),
        (["cd", "bcd"], "abcd", ("a", "bcd")),
        (["</block>"], "<block>no</block> more", ("<block>no", "</block>")),
        (["</block>"], "</bloc", ("</bloc", None)),
    ],
)
def test_text_is_cut_at_the_sequence_that_is_whole_first(sequences, text, expected):
    assert cut(sequences, text) == expected
    assert cut(sequences, *text) == expected


@given(st.lists(st.text("ab", min_size=1, max_size=4), max_size=3), st.text("abc", max_size=20), st.data())
def test_any_cut_gives_the_same_text_and_sequence(sequences, text, data):
    places = data.draw(st.lists(st.integers(0, len(text)), max_size=5).map(sorted))
    pieces = [text[start:end] for start, end in zip([0, *places], [*places, len(text)], strict=True)]
    passed, found = cut(sequences, *pieces)
    assert (passed, found) == cut(sequences, *text)
    assert not any(each in passed for each in sequences)
    assert text.startswith(passed + (found or ""))
    assert found or passed == text


@given(st.lists(st.text("ab", min_size=1, max_size=4), min_size=1, max_size=3), st.text("abc", max_size=20))
def test_no_more_is_held_back_than_may_begin_a_sequence(sequences, text):
    cutter = StopCutter(sequences)
    passed = cutter.feed(text)
    if cutter.found is None:
        held = text[len(passed) :]
        assert not held or any(each.startswith(held) for each in sequences)


@pytest.mark.parametrize(
    ("asked", "sequences"),
    [(["a", "", 5, "b"], ("a", "b")), (None, ()), ("a", ()), ([], ())],
)
def test_stop_sequences_are_those_texts_that_can_stop_anything(asked, sequences):
    assert stops.stop_sequences({"stop_sequences": asked}) == sequences
    assert stops.stop_sequences({}) == ()
