"""Which variables point a program at the router, and which must not reach it."""

from __future__ import annotations

import os

import pytest

from ccrouter.cli.environment import (
    BYPASSES,
    child_environ,
    keys_are_foreign,
    printed,
    strangers,
    variables,
)

URL = "http://127.0.0.1:43117"


def test_a_printed_environment_is_the_contract() -> None:
    assert printed(URL, "ccr-1", {"HOME": "/h"}) == {
        "ANTHROPIC_BASE_URL": URL,
        "ANTHROPIC_AUTH_TOKEN": "ccr-1",
        "CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY": "1",
        "CLAUDE_CODE_GATEWAY_HINT_HEADERS": "1",
        "API_TIMEOUT_MS": "3600000",
    }


def test_a_kept_login_has_the_token_in_a_header_and_nowhere_else() -> None:
    env = variables(URL, "ccr-1", {}, login_kept=True)
    assert env["ANTHROPIC_CUSTOM_HEADERS"] == "x-ccrouter-token: ccr-1"
    assert "ANTHROPIC_AUTH_TOKEN" not in env
    assert "CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY" not in env


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_users_headers_stay_and_an_older_token_goes(end: str) -> None:
    own = end.join(["x-team: core", "X-CCRouter-Token: old", "", "x-b: a: b "])
    env = variables(URL, "new", {"ANTHROPIC_CUSTOM_HEADERS": own}, login_kept=True)
    assert env["ANTHROPIC_CUSTOM_HEADERS"] == "x-team: core\nx-b: a: b\nx-ccrouter-token: new"


def test_an_older_token_in_the_headers_goes_in_token_mode_too() -> None:
    old = {"ANTHROPIC_CUSTOM_HEADERS": "x-ccrouter-token: old"}
    assert variables(URL, "t", old)["ANTHROPIC_CUSTOM_HEADERS"] == ""
    assert "ANTHROPIC_CUSTOM_HEADERS" not in variables(URL, "t", {"ANTHROPIC_CUSTOM_HEADERS": "a: b"})


def test_a_time_limit_of_the_users_own_stays() -> None:
    assert "API_TIMEOUT_MS" not in variables(URL, "t", {"API_TIMEOUT_MS": "5"})
    assert "API_TIMEOUT_MS" in variables(URL, "t", {"API_TIMEOUT_MS": ""})


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, None),
        ({"NO_PROXY": "corp"}, None),
        ({"HTTPS_PROXY": "http://p"}, "127.0.0.1,localhost"),
        ({"all_proxy": "http://p", "NO_PROXY": "corp, .lan"}, "corp,.lan,127.0.0.1,localhost"),
        ({"HTTP_PROXY": "http://p", "no_proxy": "a", "NO_PROXY": "b,a"}, "b,a,127.0.0.1,localhost"),
        ({"HTTPS_PROXY": "http://p", "NO_PROXY": "localhost"}, "localhost,127.0.0.1"),
        ({"HTTPS_PROXY": "http://p", "no_proxy": "*"}, None),
    ],
)
def test_a_proxy_is_never_asked_for_the_router(environ: dict[str, str], expected: str | None) -> None:
    env = variables(URL, "t", environ)
    assert env.get("NO_PROXY") == expected
    assert env.get("no_proxy") == expected


def test_a_router_on_another_address_is_kept_from_the_proxy_as_well() -> None:
    env = variables("http://10.0.0.5:80", "t", {"HTTP_PROXY": "p"}, windows=True)
    assert env["NO_PROXY"] == "10.0.0.5,127.0.0.1,localhost"
    assert "no_proxy" not in env


def test_every_bypass_is_noticed_and_one_that_is_off_is_not() -> None:
    names = tuple(bypass.name for bypass in BYPASSES)
    assert strangers(dict.fromkeys(names, "1"), URL) == names
    for off in ("", "0", "false", "No", "off"):
        assert strangers(dict.fromkeys(names, off), URL) == ()


@pytest.mark.parametrize(
    ("address", "removed"),
    [
        ("https://gw.example.com", ("ANTHROPIC_BASE_URL", "ANTHROPIC_API_KEY")),
        ("http://127.example.com", ("ANTHROPIC_BASE_URL", "ANTHROPIC_API_KEY")),
        ("http://[", ("ANTHROPIC_BASE_URL", "ANTHROPIC_API_KEY")),
        ("https://api.anthropic.com", ("ANTHROPIC_BASE_URL",)),
        ("http://localhost:9", ("ANTHROPIC_BASE_URL",)),
        (URL + "/", ()),
        ("", ()),
    ],
)
def test_a_key_goes_only_with_the_address_of_the_host_that_it_is_for(
    address: str, removed: tuple[str, ...]
) -> None:
    assert strangers({"ANTHROPIC_BASE_URL": address, "ANTHROPIC_API_KEY": "k"}, URL) == removed
    assert keys_are_foreign({"ANTHROPIC_BASE_URL": address}) == ("ANTHROPIC_API_KEY" in removed)


def test_what_a_printed_line_cannot_take_away_is_printed_as_empty() -> None:
    environ = {"CLAUDE_CODE_USE_BEDROCK": "1", "ANTHROPIC_AUTH_TOKEN": "theirs"}
    env = printed(URL, "ccr-1", environ)
    assert env["CLAUDE_CODE_USE_BEDROCK"] == ""
    assert env["ANTHROPIC_AUTH_TOKEN"] == "ccr-1"


def test_a_child_gets_ours_over_the_inherited_without_the_removed() -> None:
    assert child_environ({"A": "1", "B": "2", "C": "3"}, {"B": "x"}, ("C",)) == {"A": "1", "B": "x"}


@pytest.mark.parametrize("login_kept", [True, False])
def test_where_a_client_is_started_is_told_in_a_header(login_kept: bool) -> None:
    env = variables(
        URL, "t", {"ANTHROPIC_CUSTOM_HEADERS": "x-team: core"}, login_kept=login_kept, folder="/a b/ü\n:"
    )
    lines = env["ANTHROPIC_CUSTOM_HEADERS"].split("\n")
    assert lines[:2] == ["x-team: core", "x-ccrouter-project: /a%20b/%C3%BC%0A%3A"]
    assert lines[2:] == (["x-ccrouter-token: t"] if login_kept else [])


def test_a_directory_whose_name_is_no_utf8_is_told_too() -> None:
    env = variables(URL, "t", {}, folder=os.fsdecode(b"/home/caf\xe9"))
    assert env["ANTHROPIC_CUSTOM_HEADERS"] == "x-ccrouter-project: /home/caf%E9"


def test_the_directory_of_a_router_around_us_is_not_passed_on() -> None:
    around = {"ANTHROPIC_CUSTOM_HEADERS": "X-CCRouter-Project: /outer\nx-team: core"}
    assert variables(URL, "t", around)["ANTHROPIC_CUSTOM_HEADERS"] == "x-team: core"
    inner = variables(URL, "t", around, folder="/inner")["ANTHROPIC_CUSTOM_HEADERS"]
    assert inner == "x-team: core\nx-ccrouter-project: /inner"


def test_what_is_printed_for_any_program_names_no_directory() -> None:
    assert "ANTHROPIC_CUSTOM_HEADERS" not in printed(URL, "t", {})
