"""The models that can be had, as the lists of clients show them."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from ccrouter import menu
from ccrouter.menu import describe
from ccrouter.providers.provider import Model
from ccrouter.routing.credentials import ClientCredentials
from tests.rig import JSON, Rig, Script, Sleep, provider, rig


async def rows(it: Rig, *, seconds: float = 1.0, discovery: bool = False) -> list[dict[str, Any]]:
    providers = list(it.providers.values())
    nobody = ClientCredentials()
    claude = (await it.directory()).claude
    facts = it.backends.facts
    return await menu.rows(providers, claude, it.lists, facts, nobody, seconds=seconds, discovery=discovery)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({}, "Ollama"),
        (
            {"window": 262_144, "loaded": 32_768, "vision": False, "local": True},
            "Ollama · 32k of 256k · text only · local",
        ),
        ({"window": 200_000, "vision": True, "tools": False}, "Ollama · 200k · images · no tools"),
        ({"window": 32_768, "sources": {"window": "guess"}}, "Ollama · ~32k"),
        ({"window": 1_048_576}, "Ollama · 1M"),
        ({"window": 1_050_000, "loaded": 500}, "Ollama · 500 of 1.05M"),
    ],
)
def test_a_picker_shows_what_matters_of_a_model(facts: dict[str, Any], words: str) -> None:
    assert describe("Ollama", Model("m", **facts)) == words


async def test_claudes_own_models_have_their_own_names_and_others_their_providers() -> None:
    providers = [
        provider("anthropic", models=(Model("claude-x", name="Claude X"), Model("claude-y"))),
        provider(
            "work", "messages", models=(Model("glm", name="GLM", window=131072, max_output=4096), Model("q"))
        ),
    ]
    it = rig(Script(status=404), providers=providers)
    assert [(each["id"], each["display_name"]) for each in await rows(it)] == [
        ("claude-x", "Claude X"),
        ("claude-y", "claude-y"),
        ("work:glm", "GLM"),
        ("work:q", "work:q"),
    ]
    old = await rows(it, discovery=True)
    assert [each["display_name"] for each in old] == ["Claude X", "claude-y", "GLM (work)", "q (work)"]
    assert all(each["id"].startswith(("claude", "anthropic")) for each in old)
    assert (old[2]["max_input_tokens"], old[2]["max_tokens"]) == (131072, 4096)


async def test_of_two_accounts_for_claude_only_one_has_the_bare_names() -> None:
    models = (Model("claude-x"),)
    providers = [provider("work", "anthropic", models=models), provider("anthropic", models=models)]
    it = rig(Script(status=404), providers=providers, default="anthropic")
    assert [each["id"] for each in await rows(it)] == ["work:claude-x", "claude-x"]
    assert [each["id"] for each in await rows(it, discovery=True)] == ["anthropic-via-work:claude-x", "claude-x"]


async def test_all_are_asked_at_once_and_nobody_is_waited_for_longer(autojump_clock: MockClock) -> None:
    slow = Script(where=":1234", before=[Sleep(1e6)])
    quick = Script(where="quick", headers=JSON, body=[json.dumps({"data": [{"id": "q"}]}).encode()])
    it = rig(slow, quick, providers=[provider("lmstudio"), provider("quick", "messages")])
    assert [each["id"] for each in await rows(it)] == ["quick:q"]
    assert trio.current_time() == pytest.approx(1.0)
    assert it.dial.opened == it.dial.closed == 2
