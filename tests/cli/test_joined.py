"""The router that runs already, asked over its port; or one of our own."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from attrs import evolve

import ccrouter.router
from ccrouter.cli import joined, runtime
from ccrouter.cli.runtime import Record
from ccrouter.errors import CcrouterError, ConfigError
from ccrouter.providers.presets import PRESETS
from ccrouter.routing.config import DEFAULT_PORT
from tests.backend import Backend, Reply, Seen, backend

JSON = [(b"content-type", b"application/json")]


def record(port: int, started: float = 0.0, purpose: str = "serve") -> Record:
    return Record(
        url=f"http://127.0.0.1:{port}",
        port=port,
        pid=1,
        token="ccr-secret",
        version="1",
        started=started,
        purpose=purpose,
    )


OLD, NEW, RUN = record(9, 1.0), record(8, 2.0), record(7, 3.0, "run")


@pytest.mark.parametrize(
    ("records", "port", "found"),
    [
        ([], None, None),
        ([OLD], None, OLD),
        ([NEW, OLD], None, NEW),
        ([RUN, NEW, OLD], None, RUN),
        ([RUN, record(DEFAULT_PORT), OLD], None, record(DEFAULT_PORT)),
        ([RUN, record(DEFAULT_PORT), OLD], 9, OLD),
    ],
)
def test_the_named_the_usual_or_the_newest_router_is_meant(
    records: list[Record], port: int | None, found: Record | None
) -> None:
    assert joined.chosen(records, port) == found


@pytest.mark.parametrize(
    ("records", "words"),
    [
        ([], "no router of yours serves on port 5$"),
        ([OLD, NEW], "no router of yours serves on port 5; there is one on 9, 8$"),
    ],
)
def test_a_port_without_a_router_is_told_with_those_that_there_are(records: list[Record], words: str) -> None:
    with pytest.raises(CcrouterError, match=words):
        joined.chosen(records, 5)


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No router and no server of this machine's user."""
    for name in ("XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "CCROUTER_STATE", "HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    nowhere = "http://127.0.0.1:9"
    presets = {name: evolve(row, base_url=nowhere) if row.probe else row for name, row in PRESETS.items()}
    monkeypatch.setattr(ccrouter.router, "PRESETS", presets)


def of(it: Backend) -> Record:
    return evolve(record(it.port), pid=os.getpid())


async def asked(reply: tuple[int, bytes], path: str = "/explain", **more: object) -> tuple[object, Seen]:
    """What a router that answers so is understood to say, and what it was asked."""

    async def script(seen: Seen, back: Reply) -> None:
        status, body = (200, b'{"status": "ok"}') if seen.target == "/health" else reply
        await back.whole(status, JSON, body)

    async with backend(script) as it:
        with runtime.announced(of(it), os.environ):
            answer = await joined.ask(path, **more)  # type: ignore[arg-type]
    (seen,) = (each for each in it.seen if each.target != "/health")
    return answer, seen


async def test_the_running_router_is_asked_with_its_token_and_past_any_proxy() -> None:
    answer, seen = await asked((200, b'{"requests": []}'), "/explain?last=3")
    assert answer == {"requests": []}
    assert (seen.method, seen.target) == ("GET", "/explain?last=3")
    assert seen.header(b"x-ccrouter-token") == b"ccr-secret"


async def test_with_a_body_it_is_a_post_and_the_token_stays_the_routers() -> None:
    headers: Mapping[str, str] = {"x-claude-code-agent-type": "Plan", "x-ccrouter-token": "another"}
    _, seen = await asked((200, b"{}"), body=b'{"model":"m"}', headers=headers)
    assert (seen.method, seen.body) == ("POST", b'{"model":"m"}')
    assert seen.header(b"x-claude-code-agent-type") == b"Plan"
    assert [value for name, value in seen.headers if name == b"x-ccrouter-token"] == [b"ccr-secret"]


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (400, b'{"type":"error","error":{"type":"x","message":"last: a number"}}', "last: a number"),
        (200, b"<html>", "is no router of this version"),
        (200, b"\xff", "is no router of this version"),
    ],
)
async def test_what_goes_wrong_is_one_line_for_the_user(status: int, body: bytes, words: str) -> None:
    with pytest.RaisesGroup(
        pytest.RaisesExc(CcrouterError, match=words), allow_unwrapped=True, flatten_subgroups=True
    ):
        await asked((status, body))


async def test_a_router_that_dies_meanwhile_is_told() -> None:
    async def script(seen: Seen, back: Reply) -> None:
        if seen.target == "/health":
            await back.whole(200, JSON, b'{"status": "ok"}')
        else:
            await back.stream.aclose()

    async with backend(script) as it:
        with runtime.announced(of(it), os.environ):
            with pytest.raises(CcrouterError, match=rf"the router at {it.url} does not answer: "):
                await joined.ask("/explain")


@pytest.mark.parametrize("died", [False, True], ids=["none", "one whose process id is another's"])
async def test_without_a_router_it_is_said_how_to_start_one(died: bool) -> None:
    with contextlib.ExitStack() as stack:
        if died:
            stack.enter_context(runtime.announced(evolve(record(9), pid=os.getpid()), os.environ))
        with pytest.raises(CcrouterError, match="no router of yours is running; start one with `ccrouter`"):
            await joined.ask("/explain")


BODY = json.dumps({"model": "free", "messages": []}).encode()


async def test_one_of_our_own_answers_where_none_runs(tmp_path: Path) -> None:
    told = await joined.ask("/explain", body=BODY, own=True)
    assert [each["target"] for each in told["candidates"]] == ["demo:free"]
    assert runtime.running({"XDG_RUNTIME_DIR": str(tmp_path)}) == []


async def test_a_configuration_that_is_named_is_never_asked_of_another_router(tmp_path: Path) -> None:
    config = tmp_path / "other.toml"
    config.write_text('[aliases]\nfree = "demo:mine"\n[providers.demo]\n')
    with runtime.announced(evolve(record(9), pid=os.getpid()), os.environ):
        told = await joined.ask("/explain", body=BODY, own=True, config=config)
    assert [each["target"] for each in told["candidates"]] == ["demo:mine"]


async def test_a_configuration_with_a_mistake_is_told_as_one(tmp_path: Path) -> None:
    config = tmp_path / "other.toml"
    config.write_text("prot = 1")
    with pytest.raises(ConfigError, match="prot"):
        await joined.ask("/explain", body=BODY, own=True, config=config)


async def test_what_our_own_refuses_is_told_in_its_words() -> None:
    with pytest.raises(CcrouterError, match="not JSON"):
        await joined.ask("/explain", body=b'{"model": ', own=True)
