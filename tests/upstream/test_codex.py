from __future__ import annotations

import base64
import json
import os
import stat
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.errors import ApiError, ConnectFailed
from ccrouter.file_lock import locked
from ccrouter.providers.provider import Preset, Provider
from ccrouter.providers.secret import Literal
from ccrouter.routing.credentials import ClientCredentials
from ccrouter.upstream import codex
from ccrouter.upstream.codex import CodexLogin, has_login, headers_of, read_answer, user_agent
from ccrouter.upstream.codex_file import Login, NoLogin, parse_login, renewed
from ccrouter.upstream.credentials import Credentials
from ccrouter.upstream.pool import HttpDial
from ccrouter.upstream.secrets import Secrets
from tests.backend import Reply, Seen, backend
from tests.strategies import json_values

NOW = 1_800_000_000.0
HOUR = 3600.0
REFRESH = "rt-first"
CODEX = Preset(name="codex", title="Codex", base_url="https://chatgpt.com/backend-api/codex", auth="codex")


def jwt(**claims: Any) -> str:
    def part(value: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return f"{part({'alg': 'none'})}.{part(claims)}.c2lnbmF0dXJl"


def access(expires: float, **more: Any) -> str:
    return jwt(exp=expires, **more)


def own(**claims: Any) -> dict[str, Any]:
    return {"https://api.openai.com/auth": claims}


def content(expires: float = NOW + HOUR, refreshed: float = NOW, **more: Any) -> dict[str, Any]:
    return {
        "auth_mode": "chatgpt",
        "OPENAI_API_KEY": None,
        "tokens": {
            "id_token": jwt(**own(chatgpt_account_id="acc-claim")),
            "access_token": access(expires),
            "refresh_token": REFRESH,
            "account_id": "acc-1",
            "unknown": [1, "ü"],
        },
        "last_refresh": datetime.fromtimestamp(refreshed, UTC).isoformat().replace("+00:00", "Z"),
        "agent_identity": {"kept": True},
        **more,
    }


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path


def write(home: Path, value: Any) -> Path:
    path = home / "auth.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    path.chmod(0o600)
    return path


def machine(home: Path, url: str = "", dial: Any = None) -> CodexLogin:
    return CodexLogin({"CODEX_HOME": str(home), codex.REFRESH_URL_VARIABLE: url}, dial, now=lambda: NOW)


NEW_ACCESS = access(NOW + 10 * 24 * HOUR)


async def renew(seen: Seen, reply: Reply) -> None:
    body = {"access_token": NEW_ACCESS, "refresh_token": "rt-second", "id_token": "not.a.jwt", "expires_in": 5}
    await reply.whole(200, [], json.dumps(body).encode())


def refuse(status: int, body: Any) -> Any:
    async def script(seen: Seen, reply: Reply) -> None:
        await reply.whole(status, [], json.dumps(body).encode())

    return script


def good(found: Login | NoLogin) -> Login:
    assert isinstance(found, Login), found
    return found


def no_login(found: Login | NoLogin) -> NoLogin:
    assert isinstance(found, NoLogin)
    assert "\n" not in found.reason
    return found


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


# The refresh


@pytest.mark.parametrize(
    "old",
    [
        content(expires=NOW - 1),
        content(expires=NOW + codex.EARLY - 1),
        content(expires=NOW + 99 * 24 * HOUR, refreshed=NOW - codex.OLD - 1),
    ],
)
async def test_an_old_login_is_refreshed_and_written_back(home: Path, old: dict[str, Any]) -> None:
    path = write(home, old)
    path.chmod(0o640)
    async with backend(renew) as issuer:
        dial = HttpDial(environ={})
        login = good(await machine(home, issuer.url, dial).get())
        again = good(await machine(home, issuer.url, dial).get())
        await dial.aclose()
    assert login.access_token == again.access_token == NEW_ACCESS
    [seen] = issuer.seen
    assert (seen.method, seen.header(b"content-type")) == ("POST", b"application/json")
    assert json.loads(seen.body) == {
        "client_id": codex.CLIENT_ID,
        "grant_type": "refresh_token",
        "refresh_token": REFRESH,
    }
    written = json.loads(path.read_text())
    assert written == {
        **old,
        "tokens": {
            **old["tokens"],
            "access_token": NEW_ACCESS,
            "refresh_token": "rt-second",
            "id_token": "not.a.jwt",
        },
        "last_refresh": "2027-01-15T08:00:00.000000Z",
    }
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert {each.name for each in home.iterdir()} == {"auth.json"}


async def test_a_symbolic_link_stays_one(home: Path) -> None:
    (home / "real").mkdir()
    real = write(home / "real", content(expires=NOW - 1))
    (home / "auth.json").symlink_to(real)
    async with backend(renew) as issuer:
        dial = HttpDial(environ={})
        good(await machine(home, issuer.url, dial).get())
        await dial.aclose()
    assert (home / "auth.json").is_symlink()
    assert json.loads(real.read_text())["tokens"]["refresh_token"] == "rt-second"


async def test_requests_at_the_same_time_cause_one_refresh(home: Path) -> None:
    write(home, content(expires=NOW - 1))
    async with backend(renew) as issuer:
        dial = HttpDial(environ={})
        it = machine(home, issuer.url, dial)
        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(it.get)
        await dial.aclose()
    assert len(issuer.seen) == 1


async def test_a_request_that_is_cancelled_does_not_lose_the_new_token(home: Path) -> None:
    path = write(home, content(expires=NOW - 1))
    scope = trio.CancelScope()

    async def slow(seen: Seen, reply: Reply) -> None:
        scope.cancel()
        await trio.testing.wait_all_tasks_blocked()
        await renew(seen, reply)

    async with backend(slow) as issuer:
        dial = HttpDial(environ={})
        with scope:
            await machine(home, issuer.url, dial).get()
        await dial.aclose()
    assert json.loads(path.read_text())["tokens"]["refresh_token"] == "rt-second"


async def test_a_disk_that_does_not_answer_holds_nobody_up_and_may_come_back(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(home, content(expires=NOW - 1))
    monkeypatch.setattr(codex, "WRITE_DEADLINE", 0.1)
    back, genuine = threading.Event(), os.fsync

    def fsync(file: int) -> None:
        back.wait(30)
        genuine(file)

    monkeypatch.setattr(os, "fsync", fsync)
    async with backend(renew) as issuer:
        dial = HttpDial(environ={})
        try:
            with trio.fail_after(10):
                found = no_login(await machine(home, issuer.url, dial).get())
        finally:
            back.set()
        await dial.aclose()
    assert f"{path} was not written within 0.1 s" in found.reason
    assert not found.for_good
    with trio.fail_after(10):
        while json.loads(path.read_text())["tokens"]["refresh_token"] != "rt-second":
            await trio.sleep(0.01)
    assert [each.name for each in home.iterdir()] == ["auth.json"]


async def test_what_codex_wrote_meanwhile_is_used_and_kept(home: Path) -> None:
    path = write(home, content(expires=NOW - 1))
    newer = content()
    newer["tokens"]["refresh_token"] = "rt-of-codex"

    async def beaten(seen: Seen, reply: Reply) -> None:
        write(home, newer)
        await refuse(401, {"error": {"code": "refresh_token_reused"}})(seen, reply)

    async with backend(beaten) as issuer:
        dial = HttpDial(environ={})
        login = good(await machine(home, issuer.url, dial).get())
        await dial.aclose()
    assert login.refresh_token == "rt-of-codex"
    assert json.loads(path.read_text()) == newer


async def test_a_login_that_was_rotated_before_the_lock_was_had_is_not_refreshed_again(home: Path) -> None:
    path = write(home, content(expires=NOW - 1))
    async with backend(renew) as issuer:
        dial = HttpDial(environ={})
        async with trio.open_nursery() as nursery:
            async with locked(path.with_name("auth.json.ccrouter-lock"), 1):
                nursery.start_soon(machine(home, issuer.url, dial).get)
                await trio.testing.wait_all_tasks_blocked()
                write(home, content())
        await dial.aclose()
    assert issuer.seen == []


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (401, {"error": {"code": "refresh_token_expired", "message": REFRESH}}),
        (400, {"error": {"code": "refresh_token_reused"}}),
        (403, {"error": "refresh_token_invalidated"}),
        (400, {"error": "invalid_grant"}),
        (401, {}),
    ],
)
async def test_a_refresh_that_fails_for_good_is_told_once_and_not_tried_again(
    home: Path, status: int, body: Any
) -> None:
    write(home, content(expires=NOW - 1))
    async with backend(refuse(status, body)) as issuer:
        dial = HttpDial(environ={})
        it = machine(home, issuer.url, dial)
        for _ in range(3):
            found = no_login(await it.get())
            assert found.for_good
            assert "run `codex login`" in found.reason
            assert REFRESH not in found.reason
        assert len(issuer.seen) == 1
        other = content(expires=NOW - 1)
        other["tokens"]["refresh_token"] = "rt-other"
        write(home, other)
        await it.get()
        assert len(issuer.seen) == 2
        await dial.aclose()


async def test_a_token_that_is_still_good_outlives_a_failed_refresh(home: Path) -> None:
    for status, tries in ((401, 1), (503, 1)):
        write(home, content(expires=NOW + 60))
        async with backend(refuse(status, {})) as issuer:
            dial = HttpDial(environ={})
            it = machine(home, issuer.url, dial)
            for _ in range(3):
                assert (good(await it.get())).refresh_token == REFRESH
            await dial.aclose()
        assert len(issuer.seen) == tries


@pytest.mark.parametrize("answer", [refuse(503, {}), refuse(200, {"id_token": "x"}), refuse(200, ["x"])])
async def test_a_refresh_that_fails_for_now_is_tried_again_and_changes_nothing(home: Path, answer: Any) -> None:
    path = write(home, content(expires=NOW - 1))
    before = path.read_bytes()
    async with backend(answer) as issuer:
        dial = HttpDial(environ={})
        it = machine(home, issuer.url, dial)
        for _ in range(2):
            found = no_login(await it.get())
            assert not found.for_good
            assert "codex login" not in found.reason
        await dial.aclose()
    assert len(issuer.seen) == 2
    assert path.read_bytes() == before


async def test_an_issuer_that_cannot_be_reached_is_a_failure_for_now(home: Path) -> None:
    write(home, content(expires=NOW - 1))

    def unreachable(call: Any) -> Any:
        raise ConnectFailed("cannot reach the issuer")

    found = no_login(await machine(home, "", unreachable).get())
    assert not found.for_good
    assert "cannot reach the issuer" in found.reason


async def test_an_issuer_that_does_not_answer_is_given_up(home: Path, autojump_clock: Any) -> None:
    write(home, content(expires=NOW - 1))

    class Silent:
        async def __aenter__(self) -> Any:
            await trio.sleep_forever()

        async def __aexit__(self, *_: object) -> None:
            pass

    found = no_login(await machine(home, "", lambda call: Silent()).get())
    assert "no answer within 20 s" in found.reason


@pytest.mark.parametrize("url", ["http://auth.example.com/token", "ftp://127.0.0.1/", "http://[::1"])
async def test_the_refresh_token_goes_nowhere_unguarded(home: Path, url: str) -> None:
    write(home, content(expires=NOW - 1))

    def never(call: Any) -> Any:
        raise AssertionError(call)

    assert codex.REFRESH_URL_VARIABLE in no_login(await machine(home, url, never).get()).reason


async def test_without_room_for_the_result_nothing_is_asked(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(home, content(expires=NOW - 1))

    def full(**_: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ccrouter.files.tempfile.mkstemp", full)

    def never(call: Any) -> Any:
        raise AssertionError(call)

    found = no_login(await machine(home, "", never).get())
    assert "No space left on device" in found.reason
    assert not found.for_good


async def test_a_lock_that_is_never_free_is_given_up(home: Path, autojump_clock: Any) -> None:
    path = write(home, content(expires=NOW - 1))
    async with locked(path.with_name("auth.json.ccrouter-lock"), 1):
        found = no_login(await machine(home).get())
    assert "another process" in found.reason
    assert not found.for_good


async def test_an_expired_login_without_a_refresh_token_is_told(home: Path) -> None:
    old = content(expires=NOW - 1)
    old["tokens"]["refresh_token"] = ""
    write(home, old)
    found = no_login(await machine(home).get())
    assert found.for_good
    assert "no refresh token" in found.reason


@given(st.integers(200, 599), json_values.map(str.encode) | st.binary())
def test_any_answer_is_tokens_or_a_failure_that_tells_none_of_it(status: int, body: bytes) -> None:
    found = read_answer(status, body)
    assert isinstance(found, dict) or found.reason.isprintable()


# A login that is refused before its time


def stale(**more: Any) -> dict[str, Any]:
    """A login that looks good and was refreshed an hour ago."""
    return content(expires=NOW + 99 * HOUR, refreshed=NOW - HOUR, **more)


def changed(**tokens: str) -> dict[str, Any]:
    old = stale()
    return {**old, "tokens": {**old["tokens"], **tokens}}


async def test_a_refused_token_is_replaced_by_what_stands_in_the_file_meanwhile(home: Path) -> None:
    write(home, stale())
    it = machine(home)
    refused = good(await it.get())
    write(home, changed(access_token="of-codex"))
    found = await it.renew(refused)
    assert isinstance(found, Login)
    assert found.access_token == "of-codex"


async def test_a_refused_token_that_still_stands_there_is_refreshed_once_for_all(home: Path) -> None:
    path = write(home, stale())
    found = []
    async with backend(renew) as issuer:
        dial = HttpDial(environ={})
        it = machine(home, issuer.url, dial)
        refused = good(await it.get())

        async def ask() -> None:
            found.append(await it.renew(refused))

        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(ask)
        await ask()
        await dial.aclose()
    assert len(issuer.seen) == 1
    assert {each.access_token for each in found if isinstance(each, Login)} == {NEW_ACCESS}
    assert len(found) == 21
    assert json.loads(path.read_text())["tokens"]["refresh_token"] == "rt-second"


async def test_two_processes_that_are_refused_refresh_once(home: Path) -> None:
    write(home, stale())
    async with backend(renew) as issuer:
        dial = HttpDial(environ={})
        async with trio.open_nursery() as nursery:
            for _ in range(2):
                it = machine(home, issuer.url, dial)
                nursery.start_soon(it.renew, good(await it.get()))
        await dial.aclose()
    assert len(issuer.seen) == 1


@pytest.mark.parametrize("seconds", [0, codex.PAUSE - 1])
async def test_a_token_that_is_refused_right_after_its_refresh_is_not_refreshed(
    home: Path, seconds: float
) -> None:
    write(home, content(refreshed=NOW - seconds))
    it = machine(home, "", lambda call: pytest.fail("asked"))
    assert await it.renew(good(await it.get())) is None


async def test_a_refused_token_without_a_refresh_token_is_all_there_is(home: Path) -> None:
    write(home, changed(refresh_token=""))
    it = machine(home, "", lambda call: pytest.fail("asked"))
    assert await it.renew(good(await it.get())) is None


async def test_the_login_of_another_account_ends_no_request_of_the_first(home: Path) -> None:
    write(home, stale())
    it = machine(home)
    refused = good(await it.get())
    write(home, changed(access_token="other", account_id="acc-other"))
    found = await it.renew(refused)
    assert isinstance(found, NoLogin)
    assert "another account" in found.reason
    assert not found.for_good


async def test_a_refused_token_that_cannot_be_refreshed_is_told(home: Path) -> None:
    write(home, stale())
    for status, for_good, hint in ((401, True, "run `codex login`"), (503, False, "try again soon")):
        async with backend(refuse(status, {})) as issuer:
            dial = HttpDial(environ={})
            it = machine(home, issuer.url, dial)
            refused = good(await it.get())
            for _ in range(2):
                found = await it.renew(refused)
                assert isinstance(found, NoLogin)
                assert "was refused and cannot be refreshed" in found.reason
                assert found.reason.endswith(hint)
                assert found.for_good is for_good
            await dial.aclose()
        assert len(issuer.seen) == 1


async def test_without_a_login_there_is_nothing_to_renew(home: Path) -> None:
    path = write(home, stale())
    it = machine(home)
    refused = good(await it.get())
    path.unlink()
    assert isinstance(await it.renew(refused), NoLogin)


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


# Between processes

_PROCESS = """
import sys, time, trio
from ccrouter.upstream.codex import CodexLogin
from ccrouter.upstream.codex_file import Login
from ccrouter.file_lock import locked
from ccrouter.upstream.pool import HttpDial

async def main():
    environ = {"CODEX_HOME": sys.argv[1], "CODEX_REFRESH_TOKEN_URL_OVERRIDE": sys.argv[2]}
    dial = HttpDial(environ={})
    login = await CodexLogin(environ, dial, now=lambda: float(sys.argv[3])).get()
    assert isinstance(login, Login), login
    print(login.refresh_token)
    await dial.aclose()

trio.run(main)
"""


def process(home: Path, url: str) -> list[str]:
    return [sys.executable, "-c", _PROCESS, str(home), url, str(NOW)]


async def test_two_processes_refresh_once(home: Path) -> None:
    write(home, content(expires=NOW - 1))
    results: list[bytes] = []

    async def slow(seen: Seen, reply: Reply) -> None:
        await trio.sleep(0.5)  # the second process comes to the lock meanwhile, or finds the new file
        await renew(seen, reply)

    async def one(url: str) -> None:
        done = await trio.run_process(process(home, url), capture_stdout=True)
        results.append(done.stdout.strip())

    async with backend(slow) as issuer:
        with trio.fail_after(30):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(one, issuer.url)
                nursery.start_soon(one, issuer.url)
    assert results == [b"rt-second"] * 2
    assert len(issuer.seen) == 1
    assert [each.name for each in home.iterdir()] == ["auth.json"]


async def test_a_process_that_is_killed_in_mid_refresh_leaves_a_whole_file_and_no_lock(home: Path) -> None:
    path = write(home, content(expires=NOW - 1))
    before = path.read_bytes()
    asked = trio.Event()

    async def silent(seen: Seen, reply: Reply) -> None:
        if asked.is_set():
            await renew(seen, reply)
        else:
            asked.set()
            await trio.sleep(30)

    async with backend(silent) as issuer:
        with trio.fail_after(30):
            child = subprocess.Popen(process(home, issuer.url))
            try:
                await asked.wait()
            finally:
                child.kill()
                child.wait()
            assert path.read_bytes() == before
            dial = HttpDial(environ={})
            good(await machine(home, issuer.url, dial).get())
            await dial.aclose()
    assert json.loads(path.read_text())["tokens"]["refresh_token"] == "rt-second"


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
