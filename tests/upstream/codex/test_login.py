"""A login that is there, or is not, and what it opens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from ccrouter.errors import ApiError, ConnectFailed
from ccrouter.providers.provider import Preset, Provider
from ccrouter.providers.secret import Literal
from ccrouter.routing.credentials import ClientCredentials
from ccrouter.upstream import codex
from ccrouter.upstream.codex import has_login, headers_of, user_agent
from ccrouter.upstream.credentials import Credentials
from ccrouter.upstream.secrets import Secrets
from tests.upstream.codex.logins import HOUR, NOW, content, good, machine, no_login, stale, write

CODEX = Preset(name="codex", title="Codex", base_url="https://chatgpt.com/backend-api/codex", auth="codex")


# Without a refresh


async def test_a_fresh_login_is_used_as_it_is(home: Path) -> None:
    write(home, content())
    login = good(await machine(home).get())
    headers = headers_of(login)
    assert headers[:2] == [
        (b"authorization", f"Bearer {login.access_token}".encode()),
        (b"chatgpt-account-id", b"acc-1"),
    ]
    assert dict(headers)[b"originator"] == b"codex_cli_rs"
    assert dict(headers)[b"user-agent"].startswith(b"codex_cli_rs/")
    assert "ccrouter/" in user_agent()
    assert b"rt-first" not in b"".join(value for _, value in headers)


async def test_without_a_file_the_user_is_told_to_log_in(home: Path) -> None:
    found = no_login(await machine(home).get())
    assert found.reason == f"there is no {home / 'auth.json'}: run `codex login`"


@pytest.mark.parametrize(
    ("store", "words"), [("keyring", "keyring"), ("auto", "keyring"), ("ephemeral", "memory only")]
)
async def test_a_login_in_a_keyring_is_explained(home: Path, store: str, words: str) -> None:
    (home / "config.toml").write_text(f'model = "x"\ncli_auth_credentials_store = "{store}"\n')
    reason = no_login(await machine(home).get()).reason
    assert words in reason
    assert f'cli_auth_credentials_store = "file" in {home / "config.toml"}' in reason


@pytest.mark.parametrize("text", ['cli_auth_credentials_store = "file"', "= broken", "\udcff"])
async def test_other_settings_do_not_hide_that_there_is_no_file(home: Path, text: str) -> None:
    (home / "config.toml").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert "there is no" in no_login(await machine(home).get()).reason


async def test_a_file_that_is_no_json_is_told_after_a_few_looks(home: Path, autojump_clock: Any) -> None:
    write(home, '{"tokens": {')
    assert "does not hold JSON" in no_login(await machine(home).get()).reason


async def test_a_file_half_written_is_read_again(home: Path, autojump_clock: Any) -> None:
    write(home, '{"tokens": {')
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def _() -> None:
            await trio.sleep(codex._READ_AGAIN / 2)
            write(home, content())

        good(await machine(home).get())


# What is there


def test_a_login_is_seen_without_being_used(home: Path) -> None:
    environ = {"CODEX_HOME": str(home)}
    assert not has_login(environ)
    for there in (stale(), content(expires=NOW - HOUR)):
        write(home, there)
        assert has_login(environ)
    others: list[Any] = ['{"tokens": {', "[" * 100_000, {"OPENAI_API_KEY": "sk-key"}, []]
    for other in others:
        write(home, other)
        assert not has_login(environ)


# As a credential


def credentials(home: Path, dial: Any = None) -> Credentials:
    environ = {"CODEX_HOME": str(home)}
    return Credentials(Secrets(environ), environ, "linux", dial=dial, now=lambda: NOW)


def provider(base_url: str = "https://chatgpt.com/backend-api/codex", **more: Any) -> Provider:
    return Provider(name="codex", preset=CODEX, base_url=base_url, **more)


@pytest.mark.parametrize(
    "base_url", ["https://chatgpt.com/backend-api/codex", "https://gw.example.com", "http://[::1]:80"]
)
async def test_a_grant_holds_the_login(home: Path, base_url: str) -> None:
    write(home, content())
    grant = await credentials(home).grant(
        provider(base_url), ClientCredentials(b"Bearer sk-ant-client", b"sk-ant")
    )
    assert grant.headers == headers_of(good(await machine(home).get()))
    assert b"sk-ant" not in b"".join(value for _, value in grant.headers)


@pytest.mark.parametrize("base_url", ["http://chatgpt.com", "http://127.0.0.1@evil.example", "http://10.0.0.5"])
async def test_a_login_does_not_go_where_it_can_be_seen(home: Path, base_url: str) -> None:
    write(home, content())
    with pytest.raises(ApiError, match="https") as caught:
        await credentials(home).grant(provider(base_url), ClientCredentials())
    assert (caught.value.status, caught.value.headers) == (401, (("x-should-retry", "false"),))


async def test_no_login_is_a_401_that_is_not_repeated(home: Path) -> None:
    with pytest.raises(ApiError, match="run `codex login`") as caught:
        await credentials(home).grant(provider(), ClientCredentials())
    assert (caught.value.status, caught.value.headers) == (401, (("x-should-retry", "false"),))


async def test_a_refresh_that_fails_for_now_is_a_502_that_may_be_repeated(home: Path) -> None:
    write(home, content(expires=NOW - 1))

    def unreachable(call: Any) -> Any:
        raise ConnectFailed("cannot reach it")

    with pytest.raises(ApiError, match="cannot reach it") as caught:
        await credentials(home, unreachable).grant(provider(), ClientCredentials())
    assert (caught.value.status, caught.value.kind, caught.value.headers) == (502, "api_error", ())


async def test_a_key_of_the_configuration_stands_in_for_the_login(home: Path) -> None:
    grant = await credentials(home).grant(provider(api_key=Literal("key-of-a-gateway")), ClientCredentials())
    assert grant.headers == [(b"authorization", b"Bearer key-of-a-gateway")]
