"""The refresh of an old login, by one of all who need it."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.errors import ConnectFailed
from ccrouter.file_lock import locked
from ccrouter.upstream import codex
from ccrouter.upstream.codex import read_answer
from ccrouter.upstream.pool import HttpDial
from tests.backend import Reply, Seen, backend
from tests.strategies import json_values
from tests.upstream.codex.logins import (
    HOUR,
    NEW_ACCESS,
    NOW,
    REFRESH,
    content,
    good,
    machine,
    no_login,
    refuse,
    renew,
    write,
)

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
