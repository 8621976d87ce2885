"""Single values of the configuration: what is taken, what is refused, and that a refusal never repeats it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.routing.values import (
    HEADER_TEXT,
    KINDS,
    BaseUrl,
    ClassName,
    Count,
    DayName,
    Deadline,
    Dollars,
    EffortName,
    HeaderName,
    HintName,
    HostName,
    Hours,
    Name,
    Part,
    Pause,
    Percent,
    Port,
    ProviderName,
    SlotsName,
    Stay,
)


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (Deadline, "10s", 10.0),
        (Deadline, "1.5m", 90.0),
        (Deadline, "250ms", 0.25),
        (Deadline, "1h", 3600.0),
        (Deadline, 7, 7.0),
        (Pause, 0, 0.0),
        (Stay, "30m", 1800.0),
        (Stay, 0, 0.0),
        (Stay, "0s", 0.0),
        (Stay, "forever", float("inf")),
        (Stay, -1, float("inf")),
        (Port, 0, 0),
        (Port, 65535, 65535),
        (Count, 1, 1),
        (BaseUrl, "HTTPS://LLM.example.com:8443/v1/", "https://llm.example.com:8443/v1"),
        (HostName, "Router.LAN", "router.lan"),
        (HostName, "::1", "::1"),
        (HeaderName, "X-Team", "X-Team"),
        (ProviderName, "ollama-cloud", "ollama-cloud"),
        (bool, True, True),
        (ClassName, "side_reply", "side_reply"),
        (ClassName, "classifier", "classifier"),
        (EffortName, "xhigh", "xhigh"),
        (Part, "documents", "documents"),
        (DayName, "sun", "sun"),
        (SlotsName, "conservative", "conservative"),
        (HintName, "X-Team", "x-team"),
        (Percent, 1, 1),
        (Percent, 100, 100),
        (Dollars, 0, 0.0),
        (Dollars, 2.5, 2.5),
        (Hours, "09:00-17:30", (540, 1050)),
        (Hours, "22:00-06:00", (1320, 360)),
        (Hours, "00:00-24:00", (0, 1440)),
        (Hours, "23:59-00:00", (1439, 0)),
    ],
)
def test_a_value_is_read_in_its_normal_form(kind: Any, value: object, expected: object) -> None:
    assert KINDS[kind].read(value) == expected


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Deadline, 0),
        (Deadline, "0s"),
        (Deadline, -1),
        (Deadline, True),
        (Deadline, "ten"),
        (Deadline, float("nan")),
        (Deadline, float("inf")),
        (Deadline, "9999999h"),
        (Stay, -2),
        (Stay, "-1"),
        (Stay, "-1s"),
        (Stay, "always"),
        (Stay, True),
        (Stay, float("inf")),
        (Stay, []),
        (Port, 65536),
        (Port, -1),
        (Port, "80"),
        (Port, True),
        (Count, 0),
        (BaseUrl, "llm.example.com"),
        (BaseUrl, "ftp://x"),
        (BaseUrl, "https://user:word@x"),
        (BaseUrl, "https://x/?a=b"),
        (BaseUrl, "https://x#a"),
        (BaseUrl, "https://x:0"),
        (BaseUrl, "https://x:99999"),
        (BaseUrl, "https://x\\@evil"),
        (BaseUrl, "https://"),
        (HostName, "http://x"),
        (HeaderName, "host"),
        (HeaderName, "Content-Length"),
        (HeaderName, "x-ccrouter-token"),
        (HeaderName, "a b"),
        (ProviderName, "a:b"),
        (ProviderName, "a/b"),
        (ProviderName, ""),
        (Name, " x"),
        (Name, "x\ny"),
        (bool, 1),
        (bool, "true"),
        (ClassName, "Main"),
        (ClassName, "main|subagent"),
        (ClassName, ""),
        (ClassName, 3),
        (EffortName, "none"),
        (Part, "image"),
        (DayName, "monday"),
        (SlotsName, True),
        (HintName, "authorization"),
        (HintName, "X-Api-Key"),
        (HintName, "Cookie"),
        (HintName, "x-ccrouter-token"),
        (HintName, "proxy-authorization"),
        (HintName, "a b"),
        (HintName, ""),
        (Percent, 0),
        (Percent, 101),
        (Percent, 50.0),
        (Dollars, -1),
        (Dollars, "5"),
        (Dollars, True),
        (Dollars, float("nan")),
        (Dollars, float("inf")),
        (Dollars, 10**400),
        (Hours, "9:00-17:00"),
        (Hours, "09:00"),
        (Hours, "09:00-09:00"),
        (Hours, "24:00-01:00"),
        (Hours, "23:00-24:01"),
        (Hours, "12:60-13:00"),
        (Hours, "٠٩:00-10:00"),
        (Hours, 9),
    ],
)
def test_what_a_value_can_not_be_is_refused(kind: Any, value: object) -> None:
    with pytest.raises(ValueError, match=r"must|is |carries|begins when"):
        KINDS[kind].read(value)


@given(value=st.text(min_size=12))
@pytest.mark.parametrize(
    "kind",
    [Deadline, Stay, Port, BaseUrl, HostName, HeaderName, HintName, Hours, Dollars, ClassName, ProviderName, Name],
)
def test_a_refusal_does_not_repeat_what_it_refuses(kind: Any, value: str) -> None:
    try:
        KINDS[kind].read(value)
    except ValueError as error:
        assert value not in str(error)


@given(st.integers(0, 1439), st.integers(0, 1440))
def test_a_span_of_the_day_is_read_as_it_is_spelled(begin, end):
    spelled = "-".join(f"{each // 60:02}:{each % 60:02}" for each in (begin, end))
    if begin == end:
        with pytest.raises(ValueError, match="leave it out"):
            KINDS[Hours].read(spelled)
    else:
        assert KINDS[Hours].read(spelled) == (begin, end)


@given(value=st.text())
def test_header_text_has_no_control_characters(value: str) -> None:
    if re.fullmatch(HEADER_TEXT, value):
        assert value.isascii()
        assert value.isprintable()
        assert value == value.strip()
