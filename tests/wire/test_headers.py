from __future__ import annotations

import re
from pathlib import Path

import pytest

from ccrouter.wire import headers as http
from ccrouter.wire.headers import CREDENTIALS, HOP_BY_HOP, Headers


def test_the_first_of_several_values_is_found():
    headers: Headers = [(b"x", b"1"), (b"accept", b"a"), (b"accept", b"b")]
    assert http.get(headers, b"accept") == b"a"
    assert http.get(headers, b"cookie") is None


def test_any_bytes_can_be_read_as_text():
    every_byte = bytes(range(256))
    text = http.get_text([(b"x", every_byte)], b"x")
    assert text is not None
    assert text.encode("latin-1") == every_byte
    assert http.get_text([], b"x") is None


def test_without_keeps_the_order_and_repeats_of_the_others():
    headers: Headers = [(b"b", b"1"), (b"a", b"2"), (b"c", b"3"), (b"b", b"4")]
    assert http.without(headers, {b"a", b"c"}) == [(b"b", b"1"), (b"b", b"4")]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((each.decode(), "x") for each in sorted(CREDENTIALS)),
        ("x-litellm-api-key", "sk-1"),
        ("cf-access-client-secret", "s"),
        ("cf-access-jwt-assertion", "s"),
        ("ocp-apim-subscription-key", "s"),
        ("x-goog-api-key", "s"),
        ("x-amz-security-token", "s"),
        ("apikey", "s"),
        ("gateway-auth", "s"),
        ("x-gateway", "Bearer s"),
        ("x-gateway", "basic czpz"),
    ],
)
def test_a_credential_is_known_by_its_name_or_by_the_scheme_of_its_value(name, value):
    assert http.is_credential(name, value)


@pytest.mark.parametrize(
    "name",
    ["anthropic-version", "anthropic-beta", "x-app", "user-agent", "accept", "content-type", "x-team",
     "x-claude-code-session-id", "x-claude-code-agent-id", "x-claude-code-request-class",
     "x-claude-code-prev-tool-durations", "x-stainless-retry-count", "x-stainless-runtime-version"],
)  # fmt: skip
def test_what_claude_code_sends_is_none(name):
    assert not http.is_credential(name, "bearer")


@pytest.mark.parametrize("name", sorted(HOP_BY_HOP))
def test_headers_of_one_connection_are_not_passed_on(name):
    assert http.end_to_end([(b"x", b"1"), (name, b"whatever"), (b"y", b"2")]) == [(b"x", b"1"), (b"y", b"2")]


def test_headers_that_connection_names_are_not_passed_on():
    headers: Headers = [
        (b"x-secret-of-this-hop", b"1"),
        (b"connection", b"close, X-Secret-Of-This-Hop ,,"),
        (b"x-other", b"2"),
        (b"x-kept", b"3"),
        (b"connection", b"x-other"),
    ]
    assert http.end_to_end(headers) == [(b"x-kept", b"3")]


def test_end_to_end_headers_keep_their_order_and_repeats():
    headers: Headers = [(b"set-cookie", b"a"), (b"content-type", b"text/plain"), (b"set-cookie", b"b")]
    assert http.end_to_end(headers) == headers


def test_the_names_of_our_own_headers_stand_here_and_nowhere_else():
    package = Path(http.__file__).parents[1]
    spelled = {
        path.name for path in package.rglob("*.py") if re.search(r"[\"']x-ccrouter-", path.read_text("utf-8"))
    }
    assert spelled == {"headers.py"}
