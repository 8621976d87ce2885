"""Whose credentials go where: a subscription login, keys, the router's token, with the real clients."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from attrs import frozen

from tests.e2e import replies, router, upstream
from tests.e2e.replies import Reply, Text
from tests.e2e.sandbox import Ran, Sandbox
from tests.e2e.stage import ARGUMENTS, Client, Way, staged
from tests.e2e.upstream import Received, Upstream

pytestmark = pytest.mark.e2e

BEARER = "sk-ant-oat01-pretended-login"
TOKEN_PREFIX = b"ccr-"

TWO_PROVIDERS = """
[providers.anthropic]
base_url = "ANTHROPIC"

[providers.ollama]
base_url = "OLLAMA"
"""


@frozen
class Backends:
    """Anthropic's stand-in, Ollama's, and the configuration that names the two."""

    anthropic: Upstream
    ollama: Upstream
    config: str


@pytest.fixture
async def backends() -> AsyncIterator[Backends]:
    """Both run."""
    async with upstream.serve(_claude) as anthropic, upstream.serve(_ollama) as ollama:
        config = TWO_PROVIDERS.replace("ANTHROPIC", anthropic.url).replace("OLLAMA", ollama.url)
        yield Backends(anthropic, ollama, config)
        for backend in (anthropic, ollama):
            assert TOKEN_PREFIX not in backend.everything, "the router's token left the router"
        for secret in (BEARER.encode(), b"sk-ant-api", b"oauth-2025-04-20"):
            assert secret not in ollama.everything, "Anthropic's credential reached another backend"


def _claude(received: Received) -> Reply:
    return upstream.usual(received) or received.say(Text("Claude here."))


def _ollama(received: Received) -> Reply:
    if received.path == "/api/tags":
        return replies.ollama_tags("x:1b", "qwen3-coder:30b")
    return upstream.usual(received) or received.say(Text(f"{received.json['model']} here."))


@frozen
class Recorder:
    """A program named ``claude`` that notes how it was started and then is the real one."""

    folder: Path

    def place(self, client: Client) -> Recorder:
        """Writes the program."""
        self.folder.mkdir()
        script = f"""#!/bin/sh
if [ "$1" != --version ]; then
  env -0 >"{self.folder}/env"
  printf '%s\\n' "$@" >"{self.folder}/arguments"
  if [ "$1" = --settings ]; then
    if [ -f "$2" ]; then cp "$2" "{self.folder}/settings"; else printf %s "$2" >"{self.folder}/settings"; fi
  fi
fi
exec "{client.program}" "$@"
"""
        path = self.folder / "claude"
        path.write_text(script)
        path.chmod(0o755)
        return self

    @property
    def env(self) -> dict[str, str]:
        """The environment that the client got."""
        variables = (self.folder / "env").read_text().split("\0")
        return dict(each.split("=", 1) for each in variables if each)

    @property
    def settings(self) -> dict[str, Any]:
        """What ``--settings`` named; empty without it."""
        path = self.folder / "settings"
        value = json.loads(path.read_text()) if path.exists() else {}
        assert isinstance(value, dict)
        return value

    @property
    def arguments(self) -> str:
        """Its command line, which everyone on the machine may read."""
        return (self.folder / "arguments").read_text()


async def run_claude(
    client: Client, sandbox: Sandbox, backends: Backends, *arguments: str, **environ: str
) -> tuple[Ran, Recorder]:
    """``ccrouter run -- claude -p …``, with the client on the PATH."""
    recorder = Recorder(sandbox.root / "bin")
    if not recorder.folder.exists():
        recorder.place(client)
    env = router.environ(sandbox, **environ)
    env["PATH"] = f"{recorder.folder}:{env['PATH']}"
    config = router.write_config(sandbox, backends.config)
    argv: list[str | Path] = [
        *router.command(),
        "run",
        "--config",
        config,
        "--",
        "claude",
        "-p",
        "say hi",
        *ARGUMENTS,
        *arguments,
    ]
    return await sandbox.run(argv, env), recorder


async def test_run_keeps_the_login_and_its_own_token_to_itself(
    new_client: Client, sandbox: Sandbox, backends: Backends
) -> None:
    sandbox.log_in(BEARER)
    ran, recorder = await run_claude(new_client, sandbox, backends)
    assert ran.answer == "Claude here."
    [request] = backends.anthropic.of("main")
    assert request.header("authorization") == f"Bearer {BEARER}"
    assert "oauth-2025-04-20" in (request.header("anthropic-beta") or "")
    # The client did carry a token of ours, and no byte of it went further.
    project, carried = recorder.env["ANTHROPIC_CUSTOM_HEADERS"].split("\n")
    assert project == f"x-ccrouter-project: {quote(str(sandbox.folder))}"
    name, _, token = carried.partition(": ")
    assert name == "x-ccrouter-token"
    assert token.startswith(TOKEN_PREFIX.decode())
    assert len(token) > 20
    assert "ANTHROPIC_AUTH_TOKEN" not in recorder.env
    assert token not in recorder.arguments
    for backend in (backends.anthropic, backends.ollama):
        assert token.encode() not in backend.everything


async def test_run_offers_the_other_models_beside_a_login(
    new_client: Client, sandbox: Sandbox, backends: Backends
) -> None:
    sandbox.log_in(BEARER)
    ran, recorder = await run_claude(new_client, sandbox, backends, "--model", "ollama:x:1b")
    assert ran.answer == "x:1b here."
    rows = recorder.settings["modelPicker"]["options"]
    assert [row["model"] for row in rows if row["model"].startswith("ollama:")] == [
        "ollama:x:1b",
        "ollama:qwen3-coder:30b",
    ]
    assert recorder.settings["modelPicker"]["replaceBuiltInOptions"] is False
    [request] = backends.ollama.of("main")
    assert request.json["model"] == "x:1b"
    assert request.header("authorization") is None
    assert request.header("x-api-key") is None
    # The shape of request that every backend understands.
    assert all(message["role"] != "system" for message in request.json["messages"])
    assert not request.json["system"][0]["text"].startswith("x-anthropic-billing-header")
    assert backends.anthropic.of("main") == []


@pytest.mark.parametrize("way", ["run", "printed"])
async def test_with_the_token_in_the_client_the_router_reads_the_login_itself(
    old_client: Client, sandbox: Sandbox, backends: Backends, way: Way
) -> None:
    sandbox.log_in(BEARER)
    async with staged(old_client, way, sandbox, config=backends.config) as stage:
        assert (await stage.ask("say hi")).answer == "Claude here."
        assert (await stage.ask("say hi", "--model", "ollama:x:1b")).answer == "x:1b here."
    [request] = backends.anthropic.of("main")
    assert request.header("authorization") == f"Bearer {BEARER}"
    assert "oauth-2025-04-20" in (request.header("anthropic-beta") or "")
    [request] = backends.ollama.of("main")
    assert request.header("authorization") is None


async def test_a_login_renewed_meanwhile_is_the_one_that_is_used(
    new_client: Client, sandbox: Sandbox, backends: Backends
) -> None:
    sandbox.log_in(BEARER)
    async with staged(new_client, "printed", sandbox, config=backends.config) as stage:
        await stage.ask("say hi")
        sandbox.log_in(BEARER + "-renewed")
        await stage.ask("say hi")
    seen = [request.header("authorization") for request in backends.anthropic.of("main")]
    assert seen == [f"Bearer {BEARER}", f"Bearer {BEARER}-renewed"]


async def test_without_a_login_the_client_starts_and_is_told_how_to_log_in(
    client: Client, way: Way, sandbox: Sandbox, backends: Backends
) -> None:
    async with staged(client, way, sandbox, config=backends.config) as stage:
        ran = await stage.ask("say hi")
        assert ran.code == 1
        assert "claude /login" in ran.json["result"]
        assert (await stage.ask("say hi", "--model", "ollama:x:1b")).answer == "x:1b here."
    assert backends.anthropic.of("main") == []


async def test_a_key_of_the_user_s_own_goes_to_anthropic_only(
    client: Client, way: Way, sandbox: Sandbox, backends: Backends
) -> None:
    key = "sk-ant-api03-pretended"
    async with staged(client, way, sandbox, config=backends.config) as stage:
        if stage.router is None:
            assert (await stage.ask("say hi", ANTHROPIC_API_KEY=key)).answer == "Claude here."
            assert (await stage.ask("hi", "--model", "ollama:x:1b", ANTHROPIC_API_KEY=key)).answer == "x:1b here."
        else:
            # Beside the router's token in ANTHROPIC_AUTH_TOKEN the client sends its key as well.
            assert (await stage.ask("say hi", ANTHROPIC_API_KEY=key)).answer == "Claude here."
    [request] = backends.anthropic.of("main")
    assert request.header("x-api-key") == key
    assert request.header("authorization") is None


async def test_settings_that_lead_past_the_router_do_not(
    client: Client, sandbox: Sandbox, backends: Backends
) -> None:
    sandbox.log_in(BEARER)
    past = {"env": {"ANTHROPIC_BASE_URL": "http://127.0.0.1:9", "ANTHROPIC_CUSTOM_HEADERS": "x-team: core"}}
    (sandbox.home / ".claude" / "settings.json").write_text(json.dumps(past))
    ran, _ = await run_claude(client, sandbox, backends)
    assert ran.answer == "Claude here."
    [request] = backends.anthropic.of("main")
    assert request.header("authorization") == f"Bearer {BEARER}"
    assert request.header("x-team") == "core"
