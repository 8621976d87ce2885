"""What is asked of a real server when its replies are recorded, and how a recording is read.

A recording is the bytes of one HTTP reply as they came: status line, headers, body, chunked framing included. It lies
at ``tests/recorded/SERVER/WIRE.SCENARIO.{stream,whole}.http`` and is never edited; ``dist-scripts/record`` makes it.

So far: llama.cpp's server with the model of tests/e2e/llama_server.py; ``-thinking`` and ``-calling`` are the same with
a chat template that knows reasoning and tools, and words for both. A server that can't be had here (vLLM, Ollama,
LM Studio) is only known from the cases in tests/cases, which are written by hand.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h11
from attrs import frozen

from ccrouter.providers.presets import PRESETS
from ccrouter.providers.provider import Provider, Target, Wire
from ccrouter.wire.messages import MessagesRequest, read_request

FOLDER = Path(__file__).parent

#: Without chance, so that a stream and a whole reply say the same.
_ASK: dict[str, Any] = {
    "max_tokens": 200,
    "temperature": 0,
    "messages": [{"role": "user", "content": "Hello"}],
}
_PLACE = {"type": "object", "properties": {"place": {"enum": ["here"]}}, "required": ["place"]}
_TOOLS = [{"name": "look", "description": "Looks at a place.", "input_schema": _PLACE}]

#: Scenario -> the request in the client's words.
SCENARIOS: dict[str, dict[str, Any]] = {
    "text": _ASK,
    "stop": {**_ASK, "stop_sequences": ["ny"]},
    "length": {**_ASK, "max_tokens": 6},
    "tools": {**_ASK, "tools": _TOOLS},
    "forced": {**_ASK, "tools": _TOOLS, "tool_choice": {"type": "any"}},
    "broken_call": {**_ASK, "tools": _TOOLS, "tool_choice": {"type": "any"}, "max_tokens": 40},
    "overflow": {**_ASK, "messages": [{"role": "user", "content": "x " * 9000}]},
}


@frozen
class Recording:
    """One reply of a real server."""

    server: str
    wire: Wire
    scenario: str
    streamed: bool
    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes

    @property
    def request(self) -> MessagesRequest:
        """What the client had asked for."""
        return request(self.scenario, "tiny", stream=self.streamed)

    @property
    def target(self) -> Target:
        """The server, as the preset that its folder is named after."""
        preset = PRESETS[self.server.split("-")[0]]
        return Target(Provider(name=preset.name, preset=preset, base_url="http://127.0.0.1"), "tiny")


def request(scenario: str, model: str, *, stream: bool) -> MessagesRequest:
    """A scenario as the client would send it."""
    return read_request(json.dumps({"model": model, "stream": stream} | SCENARIOS[scenario]).encode())


def recordings() -> list[Recording]:
    """All that there are, in a fixed order."""
    return [_read(path) for path in sorted(FOLDER.glob("*/*.http"))]


def _read(path: Path) -> Recording:
    wire, scenario, form, _ = path.name.split(".")
    conn = h11.Connection(h11.CLIENT)
    conn.send(h11.Request(method="POST", target="/", headers=[("host", "h")]))
    conn.send(h11.EndOfMessage())
    conn.receive_data(path.read_bytes())
    conn.receive_data(b"")
    status, headers, body = 0, [], b""
    while not isinstance(event := conn.next_event(), h11.EndOfMessage):
        match event:
            case h11.Response():
                status, headers = event.status_code, list(event.headers)
            case h11.Data():
                body += event.data
    assert wire in {"messages", "chat", "responses"}
    return Recording(path.parent.name, wire, scenario, form == "stream", status, headers, body)  # type: ignore[arg-type]
