"""Claude Code at a terminal, below ``ccrouter run``."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.e2e import replies, router, upstream
from tests.e2e.replies import Reply, Text
from tests.e2e.sandbox import Sandbox
from tests.e2e.stage import Client
from tests.e2e.terminal import at_terminal
from tests.e2e.upstream import Received

pytestmark = pytest.mark.e2e


async def test_the_model_menu_offers_the_other_models_and_the_chosen_one_answers(
    client: Client, sandbox: Sandbox
) -> None:
    def script(received: Received) -> Reply:
        if received.path == "/api/tags":
            return replies.ollama_tags("qwen3-coder:30b")
        return upstream.usual(received) or received.say(Text(f"This is {received.json['model']}."))

    sandbox.log_in("sk-ant-oat01-pretended-login")
    sandbox.skip_first_questions(client.version)
    async with upstream.serve(script) as anthropic, upstream.serve(script) as ollama:
        config = router.write_config(
            sandbox,
            f'[providers.anthropic]\nbase_url = "{anthropic.url}"\n[providers.ollama]\nbase_url = "{ollama.url}"\n',
        )
        argv: list[str | Path] = [*router.command(), "run", "--config", config, "--", client.program]
        environ = router.environ(sandbox)
        del environ["CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC"]  # 2.1.197 asks for no models with it
        async with at_terminal(argv, environ, sandbox.folder) as terminal:
            if client.is_new:
                await terminal.shows("Claude Max")  # it is logged in as ever
            await terminal.shows("/effort")  # the line below its prompt, which it draws last
            await terminal.ask("/model", "qwen3-coder:30b", "Enter to")
            row = re.findall(r"([0-9])\.qwen3-coder:30b", terminal.text)[-1]
            await terminal.type(row)
            await terminal.shows("Set model to qwen3-coder:30b")
            await terminal.type("who are you?\r")
            await terminal.shows("This is qwen3-coder:30b.")
    assert [request.json["model"] for request in ollama.of("main")] == ["qwen3-coder:30b"]
    assert b"pretended-login" not in ollama.everything
