from __future__ import annotations

import pytest

from ccrouter.providers.address import url
from ccrouter.providers.presets import PRESETS
from ccrouter.providers.provider import Provider


def provider(base_url: str) -> Provider:
    return Provider(name="x", preset=PRESETS["messages"], base_url=base_url)


@pytest.mark.parametrize(
    ("query", "sent"),
    [
        ("", ""),
        ("beta=true", "?beta=true"),
        ("a=%20b&c=d+e&&=", "?a=%20b&c=d+e&&="),
        ("a[0]=~!$'(),;:@/?-._*", "?a[0]=~!$'(),;:@/?-._*"),
        ('a= "<é>#\\^`{|}', "?a=%20%22%3C%C3%A9%3E%23%5C%5E%60%7B%7C%7D"),
    ],
)
def test_a_query_goes_on_as_far_as_a_url_can_carry_it(query, sent):
    address = url(provider("https://api.anthropic.com"), "/v1/messages", query)
    assert address == f"https://api.anthropic.com/v1/messages{sent}"


def test_a_base_url_may_end_in_a_slash():
    assert url(provider("http://127.0.0.1:1/x/"), "/v1/messages") == "http://127.0.0.1:1/x/v1/messages"


@pytest.mark.parametrize(
    ("base_url", "path", "address"),
    [
        ("https://x.example", "/v1/messages", "https://x.example/v1/messages"),
        ("https://x.example/", "/v1/messages", "https://x.example/v1/messages"),
        ("https://x.example/anthropic", "/anthropic/v1/messages", "https://x.example/anthropic/v1/messages"),
        ("https://x.example/v1", "/v1/chat/completions", "https://x.example/v1/chat/completions"),
        ("https://x.example/v1", "/chat/completions", "https://x.example/v1/chat/completions"),
        ("https://x.example/v1/messages", "/v1/messages", "https://x.example/v1/messages"),
        ("https://x.example/v1", "/anthropic/v1/messages", "https://x.example/v1/anthropic/v1/messages"),
        ("https://anthropic", "/anthropic/v1/messages", "https://anthropic/anthropic/v1/messages"),
        (
            "https://api.z.ai/api/paas/v4",
            "/api/coding/paas/v4/chat/completions",
            "https://api.z.ai/api/paas/v4/chat/completions",
        ),
    ],
)
def test_what_a_base_url_ends_with_is_not_said_twice(base_url, path, address):
    assert url(provider(base_url), path) == address
    assert url(provider(base_url), path, "beta=true") == f"{address}?beta=true"
