"""Whose plan and limits a target is held to."""

from __future__ import annotations

import json

import pytest
from hypothesis import given

from ccrouter.providers.provider import Target
from ccrouter.providers.secret import FromEnv, Literal
from ccrouter.routing.account import account_at, held_to, login_of
from ccrouter.routing.credentials import ClientCredentials
from tests.rig import provider
from tests.strategies import json_values

NOBODY = ClientCredentials()


def said(**ids: object) -> dict[str, object]:
    return {"metadata": {"user_id": json.dumps(ids)}}


def bearer(token: bytes) -> ClientCredentials:
    return ClientCredentials(authorization=b"Bearer " + token)


def test_a_login_is_known_by_its_account_whatever_its_token_is() -> None:
    one, other = said(device_id="d", account_uuid="a", session_id="s"), said(account_uuid="b", session_id="s")
    assert login_of(one, bearer(b"1")) == login_of(one | {"model": "m"}, bearer(b"renewed"))
    assert login_of(one, bearer(b"1")) == login_of(said(account_uuid="a", session_id="other"), bearer(b"1"))
    assert login_of(one, bearer(b"1")) != login_of(other, bearer(b"1"))


def test_a_key_is_known_by_itself() -> None:
    keys = [login_of(said(account_uuid=""), ClientCredentials(api_key=key)) for key in (b"k", b"l", b"k")]
    assert keys[0] == keys[2] != keys[1]


@pytest.mark.parametrize(
    "user_id",
    [
        None,
        5,
        "",
        "user_0123_account__session_1",
        "{",
        '{"account_uuid": 5}',
        "[" * 900,
        "{" * 900,
        '{"a":"' + "x" * 2_000,
    ],
)
def test_who_does_not_say_whose_login_it_is_has_none_in_particular(user_id: object) -> None:
    assert login_of({"metadata": {"user_id": user_id}}, bearer(b"1")) == 0


@given(json_values)
def test_any_metadata_can_be_read(value: object) -> None:
    assert isinstance(login_of({"metadata": value}, NOBODY), int)
    assert isinstance(login_of({"metadata": {"user_id": json.dumps(value)}}, NOBODY), int)


def test_a_login_matters_where_it_is_taken_and_a_key_where_it_is_given() -> None:
    claude = provider("anthropic")
    assert account_at(claude, 1) != account_at(claude, 2)
    keyed = [provider("anthropic", api_key=Literal(key)) for key in ("k", "l", "k")]
    accounts = [account_at(each, login) for each, login in zip(keyed, (1, 2, 3), strict=True)]
    assert accounts[0] == accounts[2] != accounts[1]
    assert account_at(provider("ollama"), 1) == account_at(provider("ollama"), 2)
    work = provider("messages", headers=(("x-api-key", FromEnv("A")),))
    assert account_at(work, 0) != account_at(provider("messages", headers=(("x-api-key", FromEnv("B")),)), 0)


def test_an_account_makes_no_other_target() -> None:
    target = Target(provider("anthropic"), "m")
    assert held_to(target, 1) == held_to(target, 2) == target
    assert str(held_to(target, 1)) == "anthropic:m"
    assert "account" not in repr(held_to(target, 1))
