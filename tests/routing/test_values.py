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
    Count,
    Deadline,
    HeaderName,
    HostName,
    Name,
    Pause,
    Port,
    ProviderName,
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
    ],
)
def test_what_a_value_can_not_be_is_refused(kind: Any, value: object) -> None:
    with pytest.raises(ValueError, match=r"must|is "):
        KINDS[kind].read(value)


@given(value=st.text(min_size=12))
@pytest.mark.parametrize("kind", [Deadline, Stay, Port, BaseUrl, HostName, HeaderName, ProviderName, Name])
def test_a_refusal_does_not_repeat_what_it_refuses(kind: Any, value: str) -> None:
    try:
        KINDS[kind].read(value)
    except ValueError as error:
        assert value not in str(error)


@given(value=st.text())
def test_header_text_has_no_control_characters(value: str) -> None:
    if re.fullmatch(HEADER_TEXT, value):
        assert value.isascii()
        assert value.isprintable()
        assert value == value.strip()
