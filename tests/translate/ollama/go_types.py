"""What Ollama decodes a request into: the types of its api/types.go (2026-11), as far as we send anything.

Its decoder forgets members that it does not know, and refuses a request in which one has another type. `check` does.
"""

from __future__ import annotations

import base64
from typing import Any


def check(body: dict[str, Any], *, images: bool = True) -> None:
    """Raises AssertionError for what Ollama would not take. ``images``: those are whole."""
    known = {
        "model",
        "messages",
        "tools",
        "format",
        "think",
        "options",
        "keep_alive",
        "truncate",
        "shift",
        "stream",
    }
    assert body.keys() <= known
    assert isinstance(body["model"], str)
    for message in body["messages"]:
        _message(message, images=images)
    for tool in body.get("tools", ()):
        assert tool.keys() == {"type", "function"}
        function = tool["function"]
        assert function.keys() <= {"name", "description", "parameters"}
        assert 0 < len(function["name"]) <= 64
        assert isinstance(function.get("description", ""), str)
        parameters = function["parameters"]
        assert isinstance(parameters["type"], str)
        _of_strings(parameters.get("required", []))
        for each in parameters["properties"].values():
            _property(each)
    assert body.get("think") in {None, True, False, "low", "medium", "high"}
    options = body.get("options", {})
    assert options.keys() <= {"num_ctx", "num_predict", "top_k", "top_p", "temperature", "stop"}
    for name in ("num_ctx", "num_predict", "top_k"):
        assert type(options.get(name, 0)) is int
    for name in ("top_p", "temperature"):
        assert type(options.get(name, 0)) in {int, float}
    _of_strings(options.get("stop", []))
    assert type(body.get("keep_alive", 0)) in {int, float}
    assert (body["truncate"], body["shift"], body["stream"]) == (False, False, True)


def _message(message: dict[str, Any], *, images: bool) -> None:
    assert message.keys() <= {"role", "content", "thinking", "images", "tool_calls", "tool_name", "tool_call_id"}
    assert message["role"] in {"system", "user", "assistant", "tool"}
    for name in ("content", "thinking", "tool_name", "tool_call_id"):
        assert isinstance(message.get(name, ""), str)
    for each in message.get("images", ()):
        assert isinstance(each, str)
        if images:
            base64.b64decode(each, validate=True)
    for place, call in enumerate(message.get("tool_calls", ())):
        assert isinstance(call["id"], str)
        function = call["function"]
        assert (function["index"], type(function["name"]), type(function["arguments"])) == (place, str, dict)


def _property(found: Any) -> None:
    assert isinstance(found, dict)
    kind = found.get("type", "")
    if not isinstance(kind, str):
        _of_strings(kind)
    assert isinstance(found.get("description", ""), str)
    assert isinstance(found.get("enum", []), list)
    for each in found.get("anyOf", []):
        _property(each)
    for each in found.get("properties", {}).values():
        _property(each)


def _of_strings(found: Any) -> None:
    assert isinstance(found, list)
    assert all(isinstance(each, str) for each in found)
