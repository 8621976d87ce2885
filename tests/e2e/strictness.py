"""What a strict backend would find wrong with a request. Pure.

Anthropic refuses requests for these; a lenient stand-in would let a router pass that spoils conversations.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

#: A header that is the router's own, or speaks of the client's connection to it.
_NEVER = frozenset({b"x-ccrouter-token", b"proxy-authorization", b"te", b"upgrade", b"expect", b"cookie"})

_ONCE = frozenset(
    {b"host", b"content-length", b"content-type", b"authorization", b"x-api-key", b"anthropic-version"}
)

_MOST_MARKS = 4


def judge(method: str, path: str, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> list[str]:
    """The complaints about a request; none for a good one."""
    where = f"{method} {path}"
    found = [f"{where}: {words}" for words in _about_headers(headers)]
    if method == "POST" and path.endswith(("/v1/messages", "/v1/messages/count_tokens")):
        found += [f"{where}: {words}" for words in _about_post(path, headers, body)]
    return found


def _about_headers(headers: Sequence[tuple[bytes, bytes]]) -> Iterator[str]:
    names = Counter(name for name, _ in headers)
    yield from (f"the header {name.decode()} has no business here" for name in names if name in _NEVER)
    yield from (f"the header {name.decode()} comes {names[name]} times" for name in _ONCE if names[name] > 1)
    if b"content-length" in names and b"transfer-encoding" in names:
        yield "content-length beside transfer-encoding"


def _about_post(path: str, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> Iterator[str]:
    if not any(name == b"anthropic-version" for name, _ in headers):
        yield "no anthropic-version"
    if not any(name == b"content-type" and value.startswith(b"application/json") for name, value in headers):
        yield "the content type is not JSON"
    try:
        value = json.loads(body)
    except ValueError as error:
        yield f"the body is not JSON: {error}"
        return
    if not isinstance(value.get("model"), str) or not value["model"]:
        yield "no model"
    if path.endswith("/messages") and not (isinstance(value.get("max_tokens"), int) and value["max_tokens"] > 0):
        yield "no max_tokens"
    tools = Counter(str(tool.get("name")) for tool in value.get("tools") or [])
    yield from (f"the tool {name} is defined {times} times" for name, times in tools.items() if times > 1)
    if (marks := _marks(value)) > _MOST_MARKS:
        yield f"{marks} cache_control marks, {_MOST_MARKS} are allowed"
    yield from _about_messages(value.get("messages"))


def _marks(value: Any) -> int:
    if isinstance(value, dict):
        return ("cache_control" in value) + sum(_marks(each) for key, each in value.items() if key != "input")
    return sum(map(_marks, value)) if isinstance(value, list) else 0


def _about_messages(messages: Any) -> Iterator[str]:
    if not isinstance(messages, list) or not messages:
        yield "no messages"
        return
    if messages[0].get("role") != "user":
        yield "the first message is not the user's"
    called: list[str] = []
    ever: set[str] = set()
    for message in messages:
        role, blocks = message.get("role"), _blocks(message)
        if role == "system":
            continue
        results = [str(block.get("tool_use_id")) for block in blocks if block.get("type") == "tool_result"]
        calls = [str(block.get("id")) for block in blocks if block.get("type") == "tool_use"]
        if role == "user":
            if sorted(results) != sorted(called):
                yield f"the results {sorted(results)} do not answer the calls {sorted(called)}"
            called = []
        elif role == "assistant":
            if called:
                yield f"the calls {called} are followed by the assistant again"
            if ever & set(calls) or len(set(calls)) < len(calls):
                yield "an id of a call comes twice"
            called = calls
            ever |= set(calls)
            for block in blocks:
                if block.get("type") == "thinking" and not block.get("signature"):
                    yield "a thinking block has no signature"
                if block.get("type") == "text" and not str(block.get("text", "")):
                    yield "a text block is empty"
        else:
            yield f"the role {role!r} does not exist"
    if called:
        yield f"the calls {called} are never answered"


def _blocks(message: dict[str, Any]) -> list[dict[str, Any]]:
    content = message.get("content")
    return [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []
