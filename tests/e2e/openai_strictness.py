"""What OpenAI and those who speak its wires would find wrong with a request. Pure.

The types of the openai SDK say what may be sent; what they can't say (calls and their results, what ChatGPT's
backend refuses) stands here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from openai.types.chat.completion_create_params import CompletionCreateParamsStreaming
from openai.types.responses.response_create_params import ResponseCreateParamsStreaming
from pydantic import TypeAdapter, ValidationError

from tests.e2e.openai_wires import Json, Wire

_CHAT: TypeAdapter[Any] = TypeAdapter(CompletionCreateParamsStreaming)
_RESPONSES: TypeAdapter[Any] = TypeAdapter(ResponseCreateParamsStreaming)

#: What vendors have beside OpenAI's members: of a request, and of an assistant's message.
_VENDORS_OWN = {
    "deepseek": ({"thinking"}, {"reasoning_content"}),
    "openrouter": ({"reasoning"}, {"reasoning_details", "reasoning"}),
}

#: What ChatGPT's backend answers with "Unsupported parameter".
_NOT_AT_CHATGPT = frozenset(
    {
        "max_output_tokens",
        "metadata",
        "previous_response_id",
        "prompt_cache_retention",
        "safety_identifier",
        "stream_options",
        "temperature",
        "top_p",
        "truncation",
        "user",
    }
)


def judge(wire: Wire, body: Json) -> list[str]:
    """The complaints about a request; none for a good one."""
    found = list(_about_types(wire, body))
    if wire.history_key == "messages":
        return found + list(_about_messages(wire.history(body)))
    found += _about_items(wire.history(body))
    return found + list(_about_chatgpt(body)) if wire.preset == "codex" else found


def _about_types(wire: Wire, body: Json) -> Iterator[str]:
    fields, members = _VENDORS_OWN.get(wire.preset, (set(), set()))
    said = {key: value for key, value in body.items() if key not in fields}
    history = [{key: value for key, value in entry.items() if key not in members} for entry in wire.history(body)]
    if wire.history_key == "input":
        # The SDK asks for the id of a reasoning item. Where nothing is stored, it would only be looked for in vain.
        history = [{"id": "rs_1", **entry} if entry.get("type") == "reasoning" else entry for entry in history]
    said[wire.history_key] = history
    adapter = _CHAT if wire.history_key == "messages" else _RESPONSES
    try:
        known = _plain(adapter.validate_python(said))
    except ValidationError as error:
        yield f"the SDK would not send this: {str(error)[:600]}"
        return
    for key, value in said.items():
        if known.get(key) != value:
            yield f"the SDK does not know all of {key}: {str(value)[:300]}"


def _plain(value: Any) -> Any:
    """A validated value as JSON has it. The SDK's lists are iterables, checked when they are walked through."""
    if isinstance(value, str | bytes):
        return value
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, Iterable) else value


def _about_messages(messages: list[Json]) -> Iterator[str]:
    if messages[0]["role"] not in {"system", "developer"}:
        yield "the system prompt does not come first"
    waiting: list[str] = []
    ever: set[str] = set()
    for message in messages:
        role = message["role"]
        if role == "tool":
            if message["tool_call_id"] not in waiting:
                yield f"a result answers {message['tool_call_id']}, which is not among {waiting}"
                continue
            waiting.remove(message["tool_call_id"])
            continue
        if waiting:
            yield f"the calls {waiting} are followed by a message of role {role}"
        waiting = [call["id"] for call in message.get("tool_calls") or ()]
        if ever & set(waiting) or len(set(waiting)) < len(waiting):
            yield "an id of a call comes twice"
        ever |= set(waiting)
        if not message.get("content") and not waiting:
            yield f"an empty message of role {role}"
    if waiting:
        yield f"the calls {waiting} are never answered"


def _about_items(items: list[Json]) -> Iterator[str]:
    waiting: list[str] = []
    ever: set[str] = set()
    for at, item in enumerate(items):
        kind = item["type"]
        if "id" in item:
            yield f"{kind} has an id, and nothing is stored"
        if kind == "function_call":
            if item["call_id"] in ever:
                yield "an id of a call comes twice"
            ever.add(item["call_id"])
            waiting.append(item["call_id"])
        elif kind == "function_call_output":
            if item["call_id"] not in waiting:
                yield f"a result answers {item['call_id']}, which is not among {waiting}"
                continue
            waiting.remove(item["call_id"])
        elif kind == "reasoning":
            after = items[at + 1] if at + 1 < len(items) else {"type": "nothing"}
            if after["type"] not in {"function_call", "reasoning"} and after.get("role") != "assistant":
                yield f"reasoning without its following item, but with {after['type']}"
        elif waiting and item.get("role") != "assistant":
            yield f"the calls {waiting} are followed by {kind}"
        if kind == "message" and not item.get("content"):
            yield "an empty message"
    if waiting:
        yield f"the calls {waiting} are never answered"


def _about_chatgpt(body: Json) -> Iterator[str]:
    yield from (f"Unsupported parameter: {name}" for name in sorted(_NOT_AT_CHATGPT & set(body)))
    wanted = {"store": False, "stream": True, "include": ["reasoning.encrypted_content"]}
    yield from (f"{name} must be {value}" for name, value in wanted.items() if body.get(name) != value)
    members = ("instructions", "tools", "tool_choice", "parallel_tool_calls", "prompt_cache_key")
    yield from (f"no {name}" for name in members if name not in body)
    if body.get("tool_choice", "auto") != "auto":
        yield "tool_choice must be auto"
