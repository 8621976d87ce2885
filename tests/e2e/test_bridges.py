"""Claude Code on backends that speak OpenAI's wires: it can't tell the difference.

The backends are scripts written against documents (`tests.e2e.openai_wires`), as strict as the real ones
(`tests.e2e.openai_strictness`), and a real llama.cpp.
"""

from __future__ import annotations

import re

import pytest

from tests.e2e import router
from tests.e2e.bridge_stage import Asked, assert_cached, bridged, on
from tests.e2e.claude_code import NEW, OLD
from tests.e2e.llama import WINDOW, Llama
from tests.e2e.openai_wires import CODEX, DEEPSEEK, KEY, OPENAI, OPENROUTER, Wire
from tests.e2e.replies import Reply, Text, Thinking, Use
from tests.e2e.sandbox import Sandbox
from tests.e2e.stage import Client

pytestmark = pytest.mark.e2e


@on((OLD, DEEPSEEK), (NEW, OPENROUTER), (OLD, OPENAI), (NEW, CODEX))
async def test_a_plain_prompt_is_answered(client: Client, sandbox: Sandbox, wire: Wire) -> None:
    def script(asked: Asked) -> Reply:
        return asked.say(Thinking("A greeting.", "gAAAA-1"), Text("Hello from the script."))

    async with bridged(client, sandbox, wire, script) as bridge:
        ran = await bridge.ask("say hi")
    assert ran.answer == "Hello from the script."
    # What came from the cache is counted once, and in its own place.
    usage = ran.json["usage"]
    assert (usage["input_tokens"], usage["cache_read_input_tokens"], usage["output_tokens"]) == (4000, 1000, 20)
    [asked] = bridge.asked
    assert asked.body["model"] == "some-model"
    assert asked.body["stream"] is True
    assert {"Bash", "Read", "Edit"} <= set(asked.tools)


@on((NEW, OPENROUTER), (OLD, DEEPSEEK), (NEW, OPENAI), (OLD, CODEX))
async def test_parallel_tools_run_and_their_results_come_back_in_order(
    client: Client, sandbox: Sandbox, wire: Wire
) -> None:
    commands = ("sleep 0.3; echo first", "echo second")

    def script(asked: Asked) -> Reply:
        if asked.results:
            return asked.say(Text(f"It gave: {' and '.join(asked.results)}."))
        calls = [
            Use(f"call_{at}", "Bash", {"command": command, "description": "d"})
            for at, command in enumerate(commands)
        ]
        return asked.say(Thinking("Both at once.", "gAAAA-1"), *calls)

    async with bridged(client, sandbox, wire, script) as bridge:
        ran = await bridge.ask("run two commands")
    assert ran.answer == "It gave: first and second."
    assert len(bridge.asked) == 2
    assert_cached(bridge.asked)
    assert wire.reasoning(bridge.asked[1].body) == [wire.given_back(Thinking("Both at once.", "gAAAA-1"))]


@on((NEW, DEEPSEEK), (OLD, OPENAI))
async def test_an_error_of_the_backend_is_told_in_words(client: Client, sandbox: Sandbox, wire: Wire) -> None:
    def script(_asked: Asked) -> Reply:
        return wire.refuse(401, f"Incorrect API key provided: {KEY}", code="invalid_api_key")

    async with bridged(client, sandbox, wire, script) as bridge:
        ran = await bridge.ask("say hi")
    assert "Incorrect API key" in ran.stdout + ran.stderr
    assert KEY not in ran.stdout + ran.stderr
    assert len(bridge.asked) == 1  # it is told not to try again


@pytest.mark.parametrize("llama_wire", ["chat", "responses"])
async def test_a_real_llama_cpp_answers_by_its_other_wires(
    sandbox: Sandbox, server: Llama, llama_wire: str
) -> None:
    config = f'[providers.llamacpp]\nbase_url = "{server.url}"\nwire = "{llama_wire}"\n'
    body = {"model": "llamacpp:tiny", "max_tokens": 40, "messages": [{"role": "user", "content": "hello"}]}
    async with router.serve(sandbox, config) as running, running.client() as http:
        whole = (await http.post("/v1/messages", json=body)).json()
        streamed = await http.post("/v1/messages", json={**body, "stream": True})
    assert whole["type"] == "message", whole
    assert "".join(block.get("text", "") for block in whole["content"])
    assert whole["usage"]["input_tokens"] > 0
    assert "event: message_stop" in streamed.text


@pytest.mark.parametrize("llama_wire", ["chat", "responses"])
async def test_an_overflow_of_a_real_server_is_told_in_the_clients_words(
    sandbox: Sandbox, server: Llama, llama_wire: str
) -> None:
    config = f'[providers.llamacpp]\nbase_url = "{server.url}"\nwire = "{llama_wire}"\n'
    long = {"role": "user", "content": "x " * WINDOW}
    body = {"model": "llamacpp:tiny", "max_tokens": 40, "stream": True, "messages": [long]}
    async with router.serve(sandbox, config) as running, running.client() as http:
        reply = await http.post("/v1/messages", json=body)
    assert reply.status_code == 400
    assert re.fullmatch(rf"prompt is too long: \d+ tokens > {WINDOW} maximum", reply.json()["error"]["message"])
