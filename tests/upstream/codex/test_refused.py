"""A login that is refused before its time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from ccrouter.upstream import codex
from ccrouter.upstream.codex_file import Login, NoLogin
from ccrouter.upstream.pool import HttpDial
from tests.backend import backend
from tests.upstream.codex.logins import NEW_ACCESS, NOW, content, good, machine, refuse, renew, stale, write


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
