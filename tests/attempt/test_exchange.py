"""One request by one wire: a stream is sent on, and a credential that is refused is replaced once."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from attrs import evolve

from ccrouter.attempt.backends import Backends
from ccrouter.attempt.parts import End, Failed, Head, Piece, Whole
from ccrouter.attempt.pump import ask
from ccrouter.attempt.whole import STREAM_HEADERS
from ccrouter.providers.provider import Target
from ccrouter.providers.secret import FromCommand, FromFile
from ccrouter.remembered.budgets import Budgets
from ccrouter.remembered.notebook import Notebook
from ccrouter.routing.credentials import ClientCredentials
from ccrouter.upstream import codex
from ccrouter.upstream.credentials import Credentials
from ccrouter.upstream.dial import Answer, Call
from ccrouter.upstream.facts import Facts
from ccrouter.upstream.models import ModelLists
from ccrouter.upstream.secrets import Secrets
from ccrouter.wire import headers as http
from tests.attempt.calls import (
    CHAT,
    CLAUDE,
    RESPONSE,
    RESPONSES,
    bridged,
    chat_stream,
    inbound,
    parts,
)
from tests.rig import JSON, SSE, Script, ScriptedAnswer, event_types, message, provider, rig


async def test_a_translated_stream_comes_in_the_clients_format() -> None:
    found = await parts(bridged(Script(body=chat_stream("hello"))), CHAT, inbound())
    assert isinstance(found[0], Head)
    assert found[0].headers == STREAM_HEADERS
    stream = b"".join(part.data for part in found if isinstance(part, Piece))
    assert event_types(stream)[0] == "message_start"
    assert event_types(stream)[-1] == "message_stop"
    assert isinstance(found[-1], End)


async def test_a_translated_stream_that_is_cut_is_a_failure() -> None:
    found = await parts(bridged(Script(body=chat_stream("hello")[:1])), CHAT, inbound())
    assert isinstance(found[-1], Failed)
    assert not any(isinstance(part, End) for part in found)


# A credential that is refused


class Locked:
    """A backend that lets in one ``authorization`` only, and the issuer of logins beside it."""

    def __init__(self, environ: dict[str, str], right: bytes, issued: dict[str, str] | None = None) -> None:
        self.seen: list[bytes] = []
        self.issued = 0
        self._right = right
        self._answer = issued
        credentials = Credentials(Secrets(environ), environ, "linux", dial=self.dial)
        dials = {"http": self.dial}
        facts = Facts(ModelLists(dials, credentials))
        budgets = Budgets(Notebook(Path("/nonexistent")), clock=time.time)
        self.backends = Backends(dials=dials, credentials=credentials, facts=facts, budgets=budgets)

    @asynccontextmanager
    async def dial(self, call: Call) -> AsyncIterator[Answer]:
        await trio.testing.wait_all_tasks_blocked()  # all who ask at once are refused before one asks again
        if "/issuer" in call.url:
            self.issued += 1
            yield ScriptedAnswer(200, JSON, [json.dumps(self._answer).encode()])
            return
        shown = dict(call.headers).get(b"authorization", b"")
        self.seen.append(shown)
        if shown != self._right:
            yield ScriptedAnswer(401, JSON, [b'{"detail":"Unauthorized"}'])
        elif call.url.endswith("/responses"):
            yield ScriptedAnswer(200, JSON, [json.dumps(RESPONSE).encode()])
        else:
            yield ScriptedAnswer(200, SSE, list(message()))


def access(name: str) -> str:
    claims = json.dumps({"exp": time.time() + 90_000, "name": name}).encode()
    return f"a.{base64.urlsafe_b64encode(claims).decode().rstrip('=')}.c"


STALE, FRESH = access("stale"), access("fresh")


CODEX = Target(provider("codex"), "gpt-x")


def write_login(home: Path, token: str, refreshed: str = "2026-01-01T00:00:00Z") -> None:
    tokens = {"access_token": token, "refresh_token": "rt", "account_id": "acc"}
    login = {"auth_mode": "chatgpt", "tokens": tokens, "last_refresh": refreshed}
    (home / "auth.json").write_text(json.dumps(login))


def chatgpt(home: Path, right: str) -> Locked:
    """With a login that was refreshed just short of the time when one is refreshed by itself."""
    refreshed = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - codex.OLD + 3600))
    write_login(home, STALE, refreshed)
    environ = {"CODEX_HOME": str(home), codex.REFRESH_URL_VARIABLE: "http://127.0.0.1/issuer"}
    return Locked(environ, f"Bearer {right}".encode(), {"access_token": FRESH, "refresh_token": "rt-2"})


def bearer(*tokens: str) -> list[bytes]:
    return [f"Bearer {token}".encode() for token in tokens]


async def test_a_refused_login_is_refreshed_and_tried_once_more(tmp_path: Path) -> None:
    it = chatgpt(tmp_path, FRESH)
    found = await parts(it, CODEX, inbound())
    assert [type(part) for part in found] == [Head, Piece, End]
    assert it.seen == bearer(STALE, FRESH)
    assert it.issued == 1
    assert json.loads((tmp_path / "auth.json").read_text())["tokens"]["refresh_token"] == "rt-2"


async def test_twenty_requests_that_are_refused_at_once_cause_one_refresh(tmp_path: Path) -> None:
    it = chatgpt(tmp_path, FRESH)
    found: list[Whole] = []

    async def one() -> None:
        found.append(await ask(inbound(stream=False), CODEX, it.backends))

    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(one)
    assert [each.status for each in found] == [200] * 20
    assert it.issued == 1
    assert sorted(it.seen) == sorted(bearer(*[STALE] * 20, *[FRESH] * 20))


async def test_a_login_that_is_still_refused_is_told_after_the_second_try(tmp_path: Path) -> None:
    it = chatgpt(tmp_path, "nobody's")
    (found,) = await parts(it, CODEX, inbound())
    assert isinstance(found, Whole)
    assert found.status == 401
    assert it.seen == bearer(STALE, FRESH)
    await parts(it, CODEX, inbound())  # the next request refreshes nothing so soon
    assert it.seen == bearer(STALE, FRESH, FRESH)
    assert it.issued == 1


async def test_a_refused_login_that_was_renewed_by_its_owner_is_read_again(tmp_path: Path) -> None:
    login = tmp_path / ".claude" / ".credentials.json"
    login.parent.mkdir()

    def log_in(token: str) -> None:
        expires = (time.time() + 3600) * 1000
        login.write_text(json.dumps({"claudeAiOauth": {"accessToken": token, "expiresAt": expires}}))

    log_in("old-login")
    it = Locked({"HOME": str(tmp_path)}, b"Bearer new-login")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(parts, it, CLAUDE, inbound())
        await trio.testing.wait_all_tasks_blocked()
        log_in("new-login")
    assert it.seen == bearer("old-login", "new-login")


@pytest.mark.parametrize("own", [ClientCredentials(b"Bearer client"), ClientCredentials(None, b"sk-client")])
async def test_the_clients_own_credential_is_not_replaced(own: ClientCredentials, tmp_path: Path) -> None:
    login = tmp_path / ".claude" / ".credentials.json"
    login.parent.mkdir()
    expires = (time.time() + 3600) * 1000
    login.write_text(json.dumps({"claudeAiOauth": {"accessToken": "machine", "expiresAt": expires}}))
    it = Locked({"HOME": str(tmp_path), "ANTHROPIC_API_KEY": "sk-machine"}, b"Bearer machine")
    (found,) = await parts(it, CLAUDE, inbound(own))
    assert found == Whole(401, JSON, b'{"detail":"Unauthorized"}')
    assert it.seen == [own.authorization or b""]


@pytest.mark.parametrize("place", ["api_key", "headers"])
async def test_a_command_whose_key_is_refused_is_run_anew_once(tmp_path: Path, place: str) -> None:
    counter = tmp_path / "counter"
    counter.touch()
    script = 'printf x >> "$0"; printf "%skey-" "$1"; cat "$0"'
    command = FromCommand(("sh", "-c", script, str(counter), "" if place == "api_key" else "Bearer "))
    more: Any = {"api_key": command} if place == "api_key" else {"headers": (("Authorization", command),)}
    to = Target(provider("work", "responses", **more), "m")
    it = Locked({"PATH": "/usr/bin:/bin"}, b"Bearer key-xx")

    async def one() -> None:
        assert isinstance((await parts(it, to, inbound()))[-1], End)

    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(one)
    assert sorted(it.seen) == sorted(bearer(*["key-x"] * 20, *["key-xx"] * 20))
    assert counter.read_text() == "xx"


async def test_a_key_in_a_file_is_tried_again_only_when_it_changed(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("old")
    to = Target(provider("work", "responses", api_key=FromFile(str(file))), "m")
    it = Locked({}, b"Bearer new")
    (found,) = await parts(it, to, inbound())
    assert isinstance(found, Whole)
    assert it.seen == bearer("old")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(parts, it, to, inbound())
        await trio.testing.wait_all_tasks_blocked()
        file.write_text("new")
    assert it.seen == bearer("old", "old", "new")


@pytest.mark.parametrize("status", [400, 402, 403, 404, 407, 500])
async def test_no_other_status_is_a_reason_to_look_for_another_credential(status: int, tmp_path: Path) -> None:
    write_login(tmp_path, STALE, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 3600)))
    it = rig(Script(status=status, headers=JSON, body=[b"{}"]), environ={"CODEX_HOME": str(tmp_path)})
    (found,) = await parts(it, CODEX, inbound())
    assert isinstance(found, Whole)
    assert len(it.dial.calls) == 1


# What is heard and told beside the reply


@pytest.mark.parametrize("target", [CLAUDE, CHAT, RESPONSES])
async def test_where_the_client_was_started_is_told_to_no_backend(target: Target) -> None:
    it = rig(Script(status=400, headers=JSON, body=[b"{}"]), providers=[target.provider])
    await parts(it, target, evolve(inbound(), headers=[(http.PROJECT, b"/home/user/secret-project")]))
    (call,) = it.dial.calls
    assert b"secret-project" not in call.body
    assert all(b"secret-project" not in value for _, value in call.headers)


@pytest.mark.parametrize("status", [200, 429])
async def test_how_full_the_plan_is_is_heard_with_every_reply(status: int) -> None:
    told = [(b"anthropic-ratelimit-unified-5h-utilization", b"0.42")]
    it = rig(Script(status=status, headers=[*SSE, *told], body=message()))
    await parts(it, CLAUDE, inbound())
    assert it.backends.quotas.fullness(CLAUDE.provider, it.backends.clock()) == 42


@pytest.mark.parametrize(("status", "stream"), [(200, True), (200, False), (400, True)])
async def test_what_was_changed_is_told_with_the_reply(status: int, stream: bool) -> None:
    script = (
        Script(body=message()) if stream and status == 200 else Script(status=status, headers=JSON, body=[b"{}"])
    )
    (first, *_) = await parts(rig(script), Target(CLAUDE.provider, "other"), inbound(stream=stream))
    assert isinstance(first, Head | Whole)
    assert first.changes == ("model: claude-opus-5-5 -> other",)
