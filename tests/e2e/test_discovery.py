"""Clients that ask the router for its models, and for counts of tokens."""

from __future__ import annotations

import json

import pytest

from tests.e2e import replies, upstream
from tests.e2e.replies import Reply, Text
from tests.e2e.sandbox import Sandbox
from tests.e2e.stage import Client, staged
from tests.e2e.upstream import Received

pytestmark = pytest.mark.e2e

LISTS = """
[providers.anthropic]
base_url = "UPSTREAM"
api_key = "sk-scripted"

[providers.ollama]
base_url = "UPSTREAM"

[providers.dead]
preset = "messages"
base_url = "http://127.0.0.1:9"
"""

#: Without this the client would not ask; its other errands fail at the dead proxy.
ASKING = {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": ""}


def _script(received: Received) -> Reply:
    if received.path == "/api/tags":
        return replies.ollama_tags("x:1b")
    return upstream.usual(received) or received.say(Text(f"{received.json['model']} here."))


async def test_discovery_lists_all_models_and_their_ids_lead_back(client: Client, sandbox: Sandbox) -> None:
    async with staged(client, "printed", sandbox, config=LISTS) as stage:
        stage.upstream.script = _script
        ran = await stage.ask("say hi", **ASKING)
        assert ran.answer.endswith("here.")
        cache = json.loads((sandbox.home / ".claude" / "cache" / "gateway-models.json").read_text())
        models = {model["id"]: model["display_name"] for model in cache["models"]}
        assert set(models) == {"claude-sonnet-5-5", "claude-opus-5-5", "anthropic-via-ollama:x:1b"}
        assert models["anthropic-via-ollama:x:1b"] == "x:1b (ollama)"
        ran = await stage.ask("say hi", "--model", "anthropic-via-ollama:x:1b")
        assert ran.answer == "x:1b here."


async def test_the_client_s_own_counts_come_from_the_upstream(client: Client, sandbox: Sandbox) -> None:
    async with staged(client, "printed", sandbox) as stage:
        stage.upstream.script = _script
        ran = await stage.ask("/context")
        assert "Context Usage" in ran.answer
        counted = stage.upstream.of("count")
        assert len(counted) > 5
        assert all(request.json["messages"] for request in counted)


async def test_counts_are_estimated_where_the_backend_has_none(client: Client, sandbox: Sandbox) -> None:
    async with staged(client, "printed", sandbox, config=LISTS) as stage:
        stage.upstream.script = _script
        ran = await stage.ask("/context", "--model", "ollama:x:1b")
        assert "Context Usage" in ran.answer
        assert stage.upstream.of("count") == [], "Ollama was asked for what it does not have"
