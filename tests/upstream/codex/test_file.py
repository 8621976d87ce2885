"""What stands in the file, and how it is replaced."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.upstream.codex import headers_of
from ccrouter.upstream.codex_file import Login, NoLogin, parse_login, renewed
from tests.strategies import json_values
from tests.upstream.codex.logins import HOUR, NOW, access, content, jwt, no_login, own

# What stands in the file


def test_a_login_has_its_account_and_times() -> None:
    login = parse_login(content(refreshed=NOW - 5), "auth.json")
    assert isinstance(login, Login)
    assert (login.account_id, login.expires, login.last_refresh) == ("acc-1", NOW + HOUR, NOW - 5)
    assert not login.fedramp
    assert "rt-first" not in repr(login)
    assert login.access_token not in repr(login)


@pytest.mark.parametrize(("id_claims", "access_claims"), [({"a": 1}, {}), ({}, {"a": 1})])
def test_the_account_and_the_fedramp_flag_can_stand_in_either_token(id_claims: dict, access_claims: dict) -> None:
    def claims(there: dict) -> dict:
        return own(chatgpt_account_id="acc-2", chatgpt_account_is_fedramp=True) if there else {}

    tokens = {"id_token": jwt(**claims(id_claims)), "access_token": access(NOW, **claims(access_claims))}
    login = parse_login({"tokens": tokens}, "auth.json")
    assert isinstance(login, Login)
    assert (login.account_id, login.fedramp, login.refresh_token) == ("acc-2", True, None)
    headers = dict(headers_of(login))
    assert headers[b"chatgpt-account-id"] == b"acc-2"
    assert headers[b"x-openai-fedramp"] == b"true"


@pytest.mark.parametrize("mode", [None, "chatgpt", "chatgptAuthTokens"])
def test_a_key_beside_the_tokens_does_not_hide_them(mode: str | None) -> None:
    assert isinstance(parse_login(content(auth_mode=mode, OPENAI_API_KEY="sk-key"), "auth.json"), Login)


@pytest.mark.parametrize(
    "value",
    [
        {"OPENAI_API_KEY": "sk-key"},
        {"auth_mode": "apikey", "OPENAI_API_KEY": "sk-key"},
        content(auth_mode="apikey", OPENAI_API_KEY="sk-key"),
    ],
)
def test_a_login_by_key_is_explained(value: Any) -> None:
    reason = no_login(parse_login(value, "auth.json")).reason
    assert "auth.json holds an API key" in reason
    assert "codex login" in reason
    assert "sk-key" not in reason


@pytest.mark.parametrize(
    "value",
    [
        [],
        None,
        "x",
        {},
        {"tokens": None},
        {"tokens": []},
        {"tokens": {"access_token": 5}},
        {"tokens": {"access_token": ""}},
        {"tokens": {"access_token": "a\r\nx: y"}},
        {"auth_mode": "agentIdentity", "agent_identity": {"key": "s"}},
    ],
)
def test_other_shapes_are_no_login(value: Any) -> None:
    assert "run `codex login`" in no_login(parse_login(value, "auth.json")).reason


@given(
    st.fixed_dictionaries(
        {}, optional=dict.fromkeys(["auth_mode", "OPENAI_API_KEY", "last_refresh", "tokens"], json_values)
    )
    | st.fixed_dictionaries(
        {"tokens": st.fixed_dictionaries({"access_token": st.text() | st.just(jwt(exp=10**400))})}
    )
)
def test_any_content_is_a_login_or_a_reason(value: Any) -> None:
    found = parse_login(value, "auth.json")
    assert isinstance(found, NoLogin) or headers_of(found)


def test_a_token_that_is_no_jwt_has_no_known_end() -> None:
    for token in ("opaque", "a.b.c", "..", f"x.{'A' * 5}.y"):
        login = parse_login({"tokens": {"access_token": token}}, "auth.json")
        assert isinstance(login, Login)
        assert login.expires is None


@pytest.mark.parametrize(
    "text", ["2027-01-15T08:00:00.123456789Z", "2027-01-15T08:00:00+00:00", "2027-01-15T08:00:00"]
)
def test_the_time_of_the_last_refresh_is_read_in_its_forms(text: str) -> None:
    login = parse_login(content(last_refresh=text), "auth.json")
    assert isinstance(login, Login)
    assert login.last_refresh == pytest.approx(NOW, abs=1)


def test_a_renewed_login_keeps_what_was_not_renewed() -> None:
    old = content()
    new = renewed(old, {"access_token": "new"}, NOW)
    assert new == {
        **old,
        "tokens": {**old["tokens"], "access_token": "new"},
        "last_refresh": "2027-01-15T08:00:00.000000Z",
    }
    assert list(new) == list(old)
