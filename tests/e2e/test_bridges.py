"""Claude Code on backends that speak OpenAI's wires: it can't tell the difference.

The backends are scripts written against OpenAI's documents; the SDK's types check what the router sends them in
tests/translate.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.backend import Backend, Reply, Seen, backend
from tests.e2e import router
from tests.e2e.llama import WINDOW, Llama
from tests.e2e.sandbox import Ran, Sandbox
from tests.e2e.stage import ARGUMENTS, Client

pytestmark = pytest.mark.e2e

SSE = [(b"content-type", b"text/event-stream")]

CONFIG = """
default = "work"
[providers.work]
preset = "{wire}"
base_url = "{url}/v1"
api_key = "sk-scripted-key"
models = ["some-model"]
"""


def sse(*payloads: dict[str, Any] | str, named: bool = False) -> bytes:
    out = b""
    for payload in payloads:
        text = payload if isinstance(payload, str) else json.dumps(payload)
        if named and isinstance(payload, dict):
            out += b"event: " + payload["type"].encode() + b"\n"
        out += b"data: " + text.encode() + b"\n\n"
    return out


def first_line(content: object) -> str:
    """The client puts reminders of its own behind what a command printed."""
    return str(content).split("\n", 1)[0]


# Chat Completions


def chunk(finish: str | None = None, **delta: Any) -> dict[str, Any]:
    return {
        "id": "c",
        "object": "chat.completion.chunk",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }


def call(index: int, **function: str) -> dict[str, Any]:
    return {"index": index, "id": f"call_{index}", "type": "function", "function": function}


USAGE = {
    "choices": [],
    "usage": {"prompt_tokens": 5000, "completion_tokens": 20, "prompt_tokens_details": {"cached_tokens": 1000}},
}


def chat_text(text: str) -> bytes:
    return sse(
        chunk(role="assistant", content=""),
        chunk(reasoning_content="Thinking."),
        chunk(content=text),
        chunk("stop"),
        USAGE,
        "[DONE]",
    )


def chat_calls(*commands: str) -> bytes:
    """Parallel calls, their fragments interleaved."""
    starts = [chunk(tool_calls=[call(n, name="Bash", arguments="")]) for n, _ in enumerate(commands)]
    whole = [json.dumps({"command": command, "description": "d"}) for command in commands]
    halves = [
        chunk(tool_calls=[{"index": n, "function": {"arguments": text[:9]}}]) for n, text in enumerate(whole)
    ]
    rests = [chunk(tool_calls=[{"index": n, "function": {"arguments": text[9:]}}]) for n, text in enumerate(whole)]
    return sse(
        chunk(role="assistant", reasoning_content="Let me run it."),
        *starts,
        *halves,
        *rests,
        chunk("tool_calls"),
        USAGE,
        "[DONE]",
    )


def chat_results(body: dict[str, Any]) -> list[str]:
    results: list[str] = []
    for message in reversed(body["messages"]):
        if message["role"] == "tool":
            results.insert(0, first_line(message["content"]))
        elif message["role"] == "assistant":
            break
    return results


# Responses


def item(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": kind, "id": f"{kind}_1", **fields}


def completed() -> dict[str, Any]:
    usage = {"input_tokens": 5000, "output_tokens": 20, "input_tokens_details": {"cached_tokens": 1000}}
    return {
        "type": "response.completed",
        "response": {"id": "r", "status": "completed", "output": [], "usage": usage},
    }


def reasoning() -> list[dict[str, Any]]:
    done = item(
        "reasoning", summary=[{"type": "summary_text", "text": "Thought."}], encrypted_content="gAAAAB-opaque"
    )
    return [
        {"type": "response.created", "response": {"id": "r"}},
        {"type": "response.output_item.added", "output_index": 0, "item": item("reasoning", summary=[])},
        {"type": "response.output_item.done", "output_index": 0, "item": done},
    ]


def responses_text(text: str) -> bytes:
    done = item("message", role="assistant", content=[{"type": "output_text", "text": text, "annotations": []}])
    return sse(
        *reasoning(),
        {
            "type": "response.output_item.added",
            "output_index": 1,
            "item": item("message", role="assistant", content=[]),
        },
        {
            "type": "response.output_text.delta",
            "output_index": 1,
            "content_index": 0,
            "item_id": "message_1",
            "delta": text,
        },
        {"type": "response.output_item.done", "output_index": 1, "item": done},
        completed(),
        named=True,
    )


def responses_calls(*commands: str) -> bytes:
    events = reasoning()
    for number, command in enumerate(commands, 1):
        arguments = json.dumps({"command": command, "description": "d"})
        made = {"type": "function_call", "id": f"fc_{number}", "call_id": f"call_{number}", "name": "Bash"}
        events.append(
            {"type": "response.output_item.added", "output_index": number, "item": {**made, "arguments": ""}}
        )
        events.append(
            {
                "type": "response.function_call_arguments.delta",
                "output_index": number,
                "item_id": f"fc_{number}",
                "delta": arguments,
            }
        )
        events.append(
            {"type": "response.output_item.done", "output_index": number, "item": {**made, "arguments": arguments}}
        )
    return sse(*events, completed(), named=True)


def responses_results(body: dict[str, Any]) -> list[str]:
    results: list[str] = []
    for each in reversed(body["input"]):
        if each.get("type") == "function_call_output":
            results.insert(0, first_line(each["output"]))
        elif results:
            break
    return results


Script = Callable[[Seen, Reply], Awaitable[None]]

WIRES = {
    "chat": ("/v1/chat/completions", chat_text, chat_calls, chat_results),
    "responses": ("/v1/responses", responses_text, responses_calls, responses_results),
}


@pytest.fixture(params=WIRES)
def wire(request: pytest.FixtureRequest) -> str:
    """Each wire in turn."""
    return str(request.param)


def scripted(wire: str, *commands: str) -> Script:
    """A model that runs ``commands`` at once and then repeats what they gave."""
    path, text, calls, results = WIRES[wire]

    async def script(seen: Seen, reply: Reply) -> None:
        if seen.target != path:
            await reply.whole(404, [], b'{"error": {"message": "nothing here"}}')
            return
        body = json.loads(seen.body)
        found = results(body)
        await reply.start(200, SSE)
        if "Bash" in json.dumps(body.get("tools", [])) and commands and not found:
            await reply.send(calls(*commands))
        else:
            await reply.send(text(f"It gave: {' and '.join(found)}." if found else "Hello from the script."))
        await reply.end()

    return script


async def ask(client: Client, sandbox: Sandbox, upstream: Backend, wire: str, prompt: str) -> Ran:
    config = router.write_config(sandbox, CONFIG.format(wire=wire, url=upstream.url))
    command: list[str | Path] = [*router.command(), "run", "--config", config, "--model", "work:some-model"]
    argv = [*command, "--", client.program, "-p", prompt, *ARGUMENTS]
    return await sandbox.run(argv, router.environ(sandbox))


def asked(upstream: Backend, wire: str) -> list[dict[str, Any]]:
    """The bodies of the requests that had tools: the main ones."""
    path = WIRES[wire][0]
    bodies = [json.loads(seen.body) for seen in upstream.seen if seen.target == path]
    return [body for body in bodies if body.get("tools")]


async def test_a_plain_prompt_is_answered(client: Client, sandbox: Sandbox, wire: str) -> None:
    async with backend(scripted(wire)) as upstream:
        ran = await ask(client, sandbox, upstream, wire, "say hi")
    assert ran.answer == "Hello from the script."
    for seen in upstream.seen:
        assert seen.header(b"authorization") in {b"Bearer sk-scripted-key", None}
        assert b"ccr-" not in seen.body + b"".join(value for _, value in seen.headers)
        assert b"x-anthropic-billing-header" not in seen.body
    (body,) = asked(upstream, wire)[:1]
    assert body["model"] == "some-model"
    assert body["stream"] is True


async def test_parallel_tools_run_and_their_results_come_back_in_order(
    client: Client, sandbox: Sandbox, wire: str
) -> None:
    async with backend(scripted(wire, "sleep 0.3; echo first", "echo second")) as upstream:
        ran = await ask(client, sandbox, upstream, wire, "run two commands")
    assert ran.answer == "It gave: first and second."
    first, second = asked(upstream, wire)[:2]
    key = "messages" if wire == "chat" else "input"
    assert second[key][: len(first[key])] == first[key]  # the prompt cache holds
    assert second["tools"] == first["tools"]
    if wire == "responses":
        # What the model needs back of its reasoning is there, and stands before its calls.
        kinds = [each.get("type") for each in second["input"]]
        at = kinds.index("reasoning")
        assert second["input"][at]["encrypted_content"] == "gAAAAB-opaque"
        assert kinds[at + 1 : at + 3] == ["function_call", "function_call"]


async def test_an_error_of_the_backend_is_told_in_words(new_client: Client, sandbox: Sandbox, wire: str) -> None:
    async def script(seen: Seen, reply: Reply) -> None:
        body = b'{"error": {"message": "Incorrect API key provided: sk-scripted-key", "type": "invalid_request_error", "code": "invalid_api_key"}}'
        await reply.whole(401, [(b"content-type", b"application/json")], body)

    async with backend(script) as upstream:
        ran = await ask(new_client, sandbox, upstream, wire, "say hi")
    assert "Incorrect API key" in ran.stdout + ran.stderr
    assert "sk-scripted-key" not in ran.stdout + ran.stderr
    assert len(upstream.seen) < 6  # it is told not to try again


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
