"""What a backend was told, read from the request of whichever wire as one list of entries."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Literal

from attrs import frozen

Kind = Literal["text", "image", "file", "call", "result"]


@frozen
class Entry:
    """One thing that was said.

    ``role``: system, user, assistant, or tool for what a tool gave. ``value``: a text, the address or the data of
    an image or a file, or the id of a call; ``name`` is the tool that is called.
    """

    role: str
    kind: Kind
    value: str
    name: str = ""


def entries(wire: str, sent: dict[str, Any]) -> list[Entry]:
    """All of it, in its order."""
    return list({"chat": _chat, "responses": _responses, "ollama": _ollama}.get(wire, _messages)(sent))


def tools(sent: dict[str, Any]) -> list[str]:
    """The names of the tools that are offered."""
    found = [tool.get("function", tool) for tool in sent.get("tools", ())]
    return [tool.get("name", tool.get("type")) for tool in found]


def _listed(content: Any) -> list[dict[str, Any]]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content or []


# Messages


def _messages(sent: dict[str, Any]) -> Iterator[Entry]:
    yield from _blocks("system", sent.get("system"))
    for message in sent["messages"]:
        yield from _blocks(message["role"], message["content"])


def _blocks(role: str, content: Any) -> Iterator[Entry]:
    for block in _listed(content):
        match block["type"]:
            case "text":
                yield Entry(role, "text", block["text"])
            case "image" | "document" as kind:
                source = block["source"]
                found = source.get("data") or source["url"]
                text = kind == "document" and source["type"] == "text"
                yield Entry(role, "text" if text else "image" if kind == "image" else "file", found)
            case "search_result":
                yield Entry(role, "text", json.dumps(block))
            case "tool_reference":
                yield Entry(role, "text", block["tool_name"])
            case "tool_use":
                yield Entry(role, "call", block["id"], block["name"])
            case "tool_result":
                yield Entry("tool", "result", block["tool_use_id"])
                yield from _blocks("tool", block.get("content"))


# Chat Completions


def _chat(sent: dict[str, Any]) -> Iterator[Entry]:
    for message in sent["messages"]:
        role = {"developer": "system"}.get(message["role"], message["role"])
        if role == "tool":
            yield Entry(role, "result", message["tool_call_id"])
        for part in _listed(message["content"]):
            match part["type"]:
                case "text":
                    yield Entry(role, "text", part["text"])
                case "image_url":
                    yield Entry(role, "image", part["image_url"]["url"])
                case "file":
                    yield Entry(role, "file", part["file"]["file_data"])
        for call in message.get("tool_calls", ()):
            yield Entry(role, "call", call["id"], call["function"]["name"])


# Responses


def _responses(sent: dict[str, Any]) -> Iterator[Entry]:
    yield Entry("system", "text", sent["instructions"])
    for item in sent["input"]:
        match item["type"]:
            case "message":
                role = {"developer": "system"}.get(item["role"], item["role"])
                yield from _parts(role, item["content"])
            case "function_call":
                yield Entry("assistant", "call", item["call_id"], item["name"])
            case "function_call_output":
                yield Entry("tool", "result", item["call_id"])
                yield from _parts("tool", item["output"])


def _parts(role: str, content: Any) -> Iterator[Entry]:
    for part in _listed(content):
        match part["type"]:
            case "text" | "input_text" | "output_text":
                yield Entry(role, "text", part["text"])
            case "input_image":
                yield Entry(role, "image", part["image_url"])
            case "input_file":
                yield Entry(role, "file", part.get("file_data") or part["file_url"])


# Ollama's own API


def _ollama(sent: dict[str, Any]) -> Iterator[Entry]:
    for message in sent["messages"]:
        role = message["role"]
        if role == "tool":
            yield Entry(role, "result", message["tool_call_id"])
        if message["content"]:
            yield Entry(role, "text", message["content"])
        for image in message.get("images", ()):
            yield Entry(role, "image", image)
        for call in message.get("tool_calls", ()):
            yield Entry(role, "call", call["id"], call["function"]["name"])
