from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.translate.retry import LONGEST, retry_after
from tests.strategies import json_values

DATE = (b"date", b"Fri, 20 Nov 2026 10:00:00 GMT")


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ([(b"retry-after", b"7")], 7),
        ([(b"retry-after", b"0")], 0),
        ([(b"retry-after", b"0.2")], 1),
        ([(b"retry-after-ms", b"1500"), (b"retry-after", b"9")], 2),
        ([DATE, (b"retry-after", b"Fri, 20 Nov 2026 10:01:30 GMT")], 90),
        ([DATE, (b"retry-after", b"Fri, 20 Nov 2026 09:00:00 GMT")], 0),
        ([(b"retry-after", b"Fri, 20 Nov 2026 10:01:30 GMT")], None),
        ([DATE, (b"x-codex-primary-reset-at", b"1795168860")], 60),
        ([(b"retry-after", b"99999999999")], LONGEST),
        ([(b"retry-after", b"nan")], None),
        ([(b"retry-after", b"-5")], None),
        ([(b"retry-after", b"soon")], None),
        ([DATE, (b"retry-after", b"Fri, 99 Nov 2026 10:01:30 GMT")], None),
        ([], None),
    ],
)
def test_headers_say_how_long_in_whole_seconds_rounded_up(headers, seconds):
    assert retry_after(headers, {}, "") == seconds


@pytest.mark.parametrize(
    ("body", "seconds"),
    [
        ({"error": {"resets_in_seconds": 12.1}}, 13),
        ({"error": {"resets_at": 1795168810}}, 10),
        ({"error": {"resets_at": 1795168810_000}}, 10),
        ({"error": {"resets_at": "2026-11-20T10:00:10Z"}}, 10),
        ({"error": {"resets_at": "2026-11-20T10:00:10"}}, 10),
        ({"error": {"resets_at": "tomorrow"}}, None),
        ({"error": {"retry_after": True}}, None),
        ([{"error": {"details": ["x", {"retryDelay": "17.5s"}]}}], 18),
        ({"error": {"details": [{"retryDelay": "soon"}]}}, None),
        (None, None),
    ],
)
def test_fields_say_how_long(body, seconds):
    assert retry_after([DATE], body, "") == seconds


@pytest.mark.parametrize(
    ("message", "seconds"),
    [
        ("Please try again in 1.2s. Visit", 2),
        ("Please try again in 6m0s.", 360),
        ("Please try again in 1h2m3s.", 3723),
        ("Please try again in 350ms.", 1),
        ("Please retry in 17.5s.", 18),
        ("try again in 20 seconds.", 20),
        ("It resets in 2 minutes", 120),
        ("Try again later", None),
        ("try again in 5 minds", None),
    ],
)
def test_words_say_how_long(message, seconds):
    assert retry_after([], {}, message) == seconds


@pytest.mark.parametrize(
    ("words", "seconds"),
    [
        ("usage limit reached, resets at 2026-11-20T11:00:00Z (2056)", 3600),
        ("Please try again at 2026-11-20T10:00:30.5+00:00", 31),
        ("it reset at 2026-11-20T09:00:00Z", 0),
        ("Your limit will reset at 2026-11-20 11:00:00", None),  # in which time zone?
        ("resets at 2026-11-99T11:00:00Z", None),
    ],
)
def test_words_can_name_a_moment(words, seconds):
    assert retry_after([DATE], None, words) == seconds
    assert retry_after([], None, words) is None


@given(
    st.text(max_size=60),
    st.dictionaries(st.sampled_from(["error", "resets_at", "details"]), json_values),
    st.binary(),
)
def test_the_time_to_wait_is_never_negative_nor_absurd(message, body, header):
    found = retry_after([DATE, (b"retry-after", header)], body, message)
    assert found is None or 0 <= found <= LONGEST
