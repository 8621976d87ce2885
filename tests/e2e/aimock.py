"""aimock, a stand-in for every wire at once, with answers and faults that the name of the model chooses.

``@copilotkit/aimock`` serves Chat Completions, Responses and Messages from one set of fixtures, and breaks its
replies on demand. Here each fault has a model of its own that shows it each time, so that nothing is left to chance.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.e2e import child, npm
from tests.e2e.child import Missing

if TYPE_CHECKING:  # a second of imports, which conftest would put upon every test
    from anthropic.types import Message

Json = dict[str, Any]

VERSION = "1.43.0"
FOLDER = Path(__file__).with_name("aimock_server")
CACHE = Path(__file__).parents[2] / ".cache" / "aimock"

TEXT = "A sentence of some length, for a stream of many pieces: ü and “quotes” as well."
THOUGHT = "First a thought."
WEATHER = {
    "name": "get_weather",
    "description": "The weather of a city.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
HALVES = "nineteen letters…: 🙂🙂"
CITIES = ("Rome", "São Paulo")
AFTER_TOOLS = "Sunny in both."
#: What the model `text` says that it used, in the words of OpenAI's two wires; Messages shares the second.
USAGE = {"input": 1200, "output": 34}

#: Where a reply of the models ``cut-N`` and ``cut-call-N`` ends: after its nth event, of twelve or more.
CUTS = range(1, 9)
#: The models that never come to an end of their reply.
FAULTS = (
    *(f"cut-{count}" for count in CUTS),
    *(f"cut-call-{count}" for count in CUTS),
    *("cut-late", "stalled", "mute", "dropped", "malformed", "disconnected", "throttled"),
    *("half-a-call", "overflow", "limited", "failing"),
)

#: Pieces of five letters, with three milliseconds between them.
SMALL: Json = {"latency": 3, "chunkSize": 5}


def package() -> Path:
    """The folder of the package, fetched if it isn't here yet. Raises Missing."""
    folder = CACHE / VERSION
    if not folder.is_dir():
        npm.install(FOLDER, folder)
    return folder / "node_modules" / "@copilotkit" / "aimock"


@contextmanager
def serve(package: Path, folder: Path) -> Iterator[str]:
    """aimock for the block: its address. Its log is written to ``folder``. Raises Missing."""
    node = shutil.which("node")
    if node is None:
        raise Missing("node, which runs aimock, is not on the PATH")
    (folder / "fixtures.json").write_text(json.dumps({"fixtures": fixtures()}))
    command: list[str | Path] = [node, FOLDER / "server.mjs", package, folder / "fixtures.json"]
    with child.serve(command, folder / "aimock.log") as url:
        yield url


def fixtures() -> list[Json]:
    """What each model answers."""
    calls = [{"name": "get_weather", "arguments": json.dumps({"city": city})} for city in CITIES]
    usage = {
        "prompt_tokens": USAGE["input"],
        "input_tokens": USAGE["input"],
        "completion_tokens": USAGE["output"],
        "output_tokens": USAGE["output"],
    }
    return [
        fixture("text", content=TEXT, usage=usage),
        fixture("reasoning", content=TEXT, reasoning=THOUGHT),
        # The call is made if the tool's definition arrived.
        {"match": {"model": "tools", "toolName": "get_weather", "hasToolResult": False},
         "response": {"content": "I look.", "toolCalls": calls}},
        {"match": {"model": "tools", "toolResultContains": "sunny"}, "response": {"content": AFTER_TOOLS}},
        fixture("half-a-call", toolCalls=[{"name": "get_weather", "arguments": '{"city": "Ro'}]),
        # A piece ends after twenty UTF-16 units: between the halves of the first of these two.
        fixture("halves", content=HALVES),
        refused("overflow", 400, "invalid_request_error", "context_length_exceeded",
                "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens."),
        refused("limited", 429, "rate_limit_error", "rate_limit_exceeded", "Rate limit reached", retryAfter=7),
        refused("failing", 503, "server_error", "overloaded", "The engine is overloaded"),
        # Without a pause between its events a cut reply is gone before its first byte.
        *(fixture(f"cut-{count}", {**SMALL, "truncateAfterChunks": count}, content=TEXT) for count in CUTS),
        *(fixture(f"cut-call-{count}", {**SMALL, "truncateAfterChunks": count}, toolCalls=calls) for count in CUTS),
        fixture("cut-late", {"latency": 10, "chunkSize": 5, "disconnectAfterMs": 60}, content=TEXT),
        fixture("slow", {"latency": 130, "chunkSize": 5}, content=TEXT),
        fixture("stalled", {"streamingProfile": {"ttft": 1, "tps": 0.05}}, content=TEXT),
        fixture("mute", {"chaos": {"latencyMs": 30000}}, content=TEXT),
        fixture("dropped", {"chaos": {"dropRate": 1}}, content=TEXT),
        fixture("malformed", {"chaos": {"malformedRate": 1}}, content=TEXT),
        fixture("disconnected", {"chaos": {"disconnectRate": 1}}, content=TEXT),
        fixture("throttled", {"chaos": {"rateLimitRate": 1}}, content=TEXT),
    ]  # fmt: skip


def ask(model: str, *turns: Json) -> Json:
    """A request with a tool on offer."""
    messages = turns or ({"role": "user", "content": "How is the weather?"},)
    return {"model": model, "max_tokens": 500, "messages": list(messages), "tools": [WEATHER]}


def with_results(request: Json, message: Message) -> Json:
    """The request that follows when ``message`` answered ``request`` by asking for the weather of all cities."""
    calls = [block for block in message.content if block.type == "tool_use"]
    assert [(call.name, call.input) for call in calls] == [("get_weather", {"city": city}) for city in CITIES]
    said = {"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in message.content]}
    results = [{"type": "tool_result", "tool_use_id": call.id, "content": "sunny"} for call in calls]
    return ask(request["model"], *request["messages"], said, {"role": "user", "content": results})


def fixture(model: str, options: Json | None = None, **response: Any) -> Json:
    """A reply of ``model`` to whatever it is asked."""
    return {"match": {"model": model}, "response": response, **(options or {})}


def refused(model: str, status: int, kind: str, code: str, message: str, **more: Any) -> Json:
    """An error of ``model`` before anything of a reply."""
    return fixture(model, error={"message": message, "type": kind, "code": code}, status=status, **more)
