"""The state of a router, without its port; tests/service has it whole, over sockets."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from attrs import evolve
from trio.testing import MockClock

import ccrouter.router
from ccrouter.config_file import ConfigFile
from ccrouter.edits import Edits
from ccrouter.providers.presets import PRESETS
from ccrouter.router import Opened, Router
from ccrouter.upstream.pool import HttpDial
from ccrouter.upstream.secrets import Secrets

#: Of other programs' servers on this machine nothing is part of a test.
UNPROBED = {name: evolve(row, probe=False) if row.probe else row for name, row in PRESETS.items()}

TWO = """
[providers.one]
preset = "messages"
base_url = "http://127.0.0.1:9"

[providers.two]
preset = "messages"
base_url = "http://127.0.0.1:9"
"""


@asynccontextmanager
async def router(folder: Path, config: str, lines: list[str], host: str = "127.0.0.1") -> AsyncIterator[Router]:
    path = folder / "config.toml"
    path.write_text(config)
    file = ConfigFile(path, required=True, presets=PRESETS)
    environ = {"HOME": str(folder)}
    opened = Opened(
        file=file,
        edits=Edits(file, lines.append),
        secrets=Secrets(environ),
        http=HttpDial(environ=environ),
        host=host,
        port=4711,
        token="ccr-t",
    )
    async with trio.open_nursery() as background:
        yield Router(opened, background, log=lines.append, environ=environ, platform="linux")
        background.cancel_scope.cancel()
    await opened.http.aclose()


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ccrouter.router, "PRESETS", UNPROBED)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:4711"),
        ("0.0.0.0", "http://127.0.0.1:4711"),
        ("::", "http://[::1]:4711"),
        ("::1", "http://[::1]:4711"),
        ("box.local", "http://box.local:4711"),
    ],
)
async def test_its_url_is_what_a_client_on_this_machine_can_use(tmp_path: Path, host: str, url: str) -> None:
    async with router(tmp_path, "", [], host) as it:
        assert it.url == it.status()["url"] == url
        assert it.status()["pid"] == os.getpid()


async def test_its_providers_are_said_when_they_change_and_not_again(tmp_path: Path) -> None:
    lines: list[str] = []
    async with router(tmp_path, TWO, lines) as it:
        for _ in range(3):
            await it.machine.look()
        (tmp_path / "config.toml").write_text(TWO.replace("two", "three"))
        for _ in range(3):
            await it.machine.look()
    assert [line for line in lines if line.startswith("providers:")] == [
        "providers: one, two; default: one",
        "providers: one, three; default: one",
    ]


async def test_a_directory_is_put_together_once_for_many_requests_and_anew_after_an_edit(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with router(tmp_path, TWO, []) as it:
        await it.machine.look()
        first = await it.directory()
        assert await it.directory() is first
        (tmp_path / "config.toml").write_text(TWO.replace("two", "three"))
        edited = await it.directory()
        assert list(edited.providers) == ["one", "three"]
        await trio.sleep(2)
        assert await it.directory() is not edited, "what is listed meanwhile must come in"


async def test_the_token_is_in_no_repr(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path)}
    file = ConfigFile(tmp_path / "none.toml", required=False, presets=PRESETS)
    http = HttpDial(environ=environ)
    opened = Opened(
        file=file,
        edits=Edits(file, print),
        secrets=Secrets(environ),
        http=http,
        host="h",
        port=1,
        token="ccr-secret",
    )
    assert "ccr-secret" not in repr(opened)
    await http.aclose()


async def test_nothing_is_said_to_be_missing_before_the_first_look_is_over(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """A server that has the connection and is silent for a moment is no reason to speak of the demo."""
    lines: list[str] = []
    async with router(tmp_path, "", lines) as it:
        it.machine._then()
        assert lines == []
        await it.machine.look()
    assert len(lines) == 1
    assert "the built-in demo model answers" in lines[0]
