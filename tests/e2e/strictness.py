"""What a strict backend would find wrong with a request. Pure.

Anthropic refuses requests for these; a lenient stand-in would let a router pass that spoils conversations.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

#: A header that is the router's own, or speaks of the client's connection to it.
_NEVER = frozenset({b"x-ccrouter-token", b"proxy-authorization", b"te", b"upgrade", b"expect", b"cookie"})

_ONCE = frozenset(
    {b"host", b"content-length", b"content-type", b"authorization", b"x-api-key", b"anthropic-version"}
)

_MOST_MARKS = 4

_ID = re.compile(r"[a-zA-Z0-9_-]+")
_SERVER_ID = re.compile(r"(srv|mcp)toolu_[a-zA-Z0-9_]+")

#: What a router or another vendor puts where Anthropic's signature belongs.
_FORGED = re.compile(r"ccr1\..*|gAAAA.*|[0-9a-f]{32}|demo|", re.DOTALL)

#: The other types of blocks that there are; of their members only the ids are looked at.
_OTHERS = frozenset(
    [
        "search_result",
        "container_upload",
        "server_tool_use",
        "web_search_tool_result",
        "web_fetch_tool_result",
        "code_execution_tool_result",
        "bash_code_execution_tool_result",
        "text_editor_code_execution_tool_result",
        "tool_search_tool_result",
        "advisor_tool_result",
        "mcp_tool_use",
        "mcp_tool_result",
        "mcp_tool_listing",
        "compaction",
        "fallback",
        "tool_reference",
        "tool_addition",
        "tool_removal",
    ]
)

#: Type of a block -> the members that it may have besides.
_MEMBERS = {
    "text": {"text", "cache_control", "citations"},
    "thinking": {"thinking", "signature"},
    "redacted_thinking": {"data"},
    "image": {"source", "cache_control"},
    "document": {"source", "title", "context", "citations", "cache_control"},
    "tool_use": {"id", "name", "input", "caller", "toolset_name", "cache_control"},
    "tool_result": {"tool_use_id", "content", "is_error", "toolset_name", "cache_control"},
}


def judge(method: str, path: str, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> list[str]:
    """The complaints about a request; none for a good one."""
    where = f"{method} {path}"
    found = [f"{where}: {words}" for words in about_headers(headers)]
    if method == "POST" and path.endswith(("/v1/messages", "/v1/messages/count_tokens")):
        found += [f"{where}: {words}" for words in _about_post(path, headers, body)]
    return found


def about_headers(headers: Sequence[tuple[bytes, bytes]]) -> Iterator[str]:
    """What is wrong with the headers, whoever gets them."""
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
    yield from about_messages(value.get("messages"))


def _marks(value: Any) -> int:
    if isinstance(value, dict):
        return ("cache_control" in value) + sum(_marks(each) for key, each in value.items() if key != "input")
    return sum(map(_marks, value)) if isinstance(value, list) else 0


def about_messages(messages: Any) -> Iterator[str]:
    """What is wrong with a conversation."""
    if not isinstance(messages, list) or not messages:
        yield "no messages"
        return
    if messages[0].get("role") != "user":
        yield "the first message is not the user's"
    called: list[str] = []
    ever: set[str] = set()
    last: Any = None
    for message in messages:
        before, last = last, message.get("role")
        role, blocks = message.get("role"), _blocks(message)
        if role == "system":
            continue
        yield from _about_blocks(role, message, blocks)
        results = [str(block.get("tool_use_id")) for block in blocks if block.get("type") == "tool_result"]
        calls = [str(block.get("id")) for block in blocks if block.get("type") == "tool_use"]
        if role == "user":
            if sorted(results) != sorted(called):
                yield f"the results {sorted(results)} do not answer the calls {sorted(called)}"
            if any(block.get("type") != "tool_result" for block in blocks[: len(results)]):
                yield f"the results {sorted(results)} are not the first of their message"
            called = []
        elif role == "assistant":
            if called and before != "assistant":
                yield f"the calls {called} are followed by the assistant again"
            if ever & set(calls) or len(set(calls)) < len(calls):
                yield "an id of a call comes twice"
            called = [*called, *calls] if before == "assistant" else calls  # two of one role are one message
            ever |= set(calls)
            if blocks and blocks[-1].get("type") in {"thinking", "redacted_thinking"}:
                yield "thinking is the last of its message"
        else:
            yield f"the role {role!r} does not exist"
    if called:
        yield f"the calls {called} are never answered"


def _about_blocks(role: Any, message: dict[str, Any], blocks: Sequence[dict[str, Any]]) -> Iterator[str]:
    if not blocks and not (isinstance(message.get("content"), str) and message["content"].strip()):
        yield f"a message of the {role}'s is empty"
    for block in blocks:
        kind = block.get("type")
        if kind not in _MEMBERS and kind not in _OTHERS:
            yield f"Input tag {kind!r} found using 'type' does not match any of the expected tags"
        if role == "assistant" and kind in {"image", "document"}:
            yield f"{kind}: not in a message of the assistant's"
        if "ccrouter" in block:
            yield f"{kind}: ccrouter: Extra inputs are not permitted"
        strange = block.keys() - _MEMBERS.get(str(kind), block.keys()) - {"type"}
        if strange:
            yield f"{kind}: {sorted(strange)}: Extra inputs are not permitted"
        match kind:
            case "thinking":
                if not block.get("signature"):
                    yield "a thinking block has no signature"
                elif _FORGED.fullmatch(block["signature"]):
                    yield f"Invalid `signature` in `thinking` block: {block['signature'][:20]}"
            case "redacted_thinking":
                if not isinstance(block.get("data"), str) or _FORGED.fullmatch(block["data"]):
                    yield "Invalid `data` in `redacted_thinking` block"
            case "text":
                if not str(block.get("text", "")).strip():
                    yield "a text block is empty"
            case "tool_use":
                if not all(
                    isinstance(block.get(key), str) and _ID.fullmatch(block[key]) for key in ("id", "name")
                ):
                    yield f"tool_use.id: String should match pattern: {block.get('id')!r}, {block.get('name')!r}"
                if not isinstance(block.get("input"), dict):
                    yield "tool_use.input: Input should be a valid dictionary"
            case "tool_result":
                if not _ID.fullmatch(str(block.get("tool_use_id"))):
                    yield f"tool_result.tool_use_id: String should match pattern: {block.get('tool_use_id')!r}"
                yield from _about_blocks("tool", {"content": "."}, _blocks(block))
            case "server_tool_use" | "mcp_tool_use":
                if not _SERVER_ID.fullmatch(str(block.get("id"))):
                    yield f"{kind}.id: String should match pattern: {block.get('id')!r}"
            case str() if kind.endswith("_tool_result"):
                if not _SERVER_ID.fullmatch(str(block.get("tool_use_id"))):
                    yield f"{kind}.tool_use_id: String should match pattern: {block.get('tool_use_id')!r}"
                pages = block.get("content") if kind == "web_search_tool_result" else None
                if isinstance(pages, list) and not all(page.get("encrypted_content") for page in pages):
                    yield "web_search_tool_result: Invalid `encrypted_content`"


# Thinking that is bound to what precedes it


def bond(before: Sequence[dict[str, Any]], said: Sequence[dict[str, Any]] = ()) -> str:
    """The signature of thinking that follows ``before`` and, in its own message, ``said``.

    Cache marks are no part of what it is bound to, nor is it how texts are cut into messages of one role.
    """
    whole = _plain([*before, *([{"role": "assistant", "content": list(said)}] if said else [])])
    digest = hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).digest()
    return "EqQB" + base64.b64encode(digest * 3).decode()


def about_bonds(messages: Sequence[dict[str, Any]]) -> Iterator[str]:
    """What the newest models find wrong: thinking that was made behind something else."""
    for place, message in enumerate(messages):
        blocks = _blocks(message)
        for number, block in enumerate(blocks):
            if block.get("type") == "thinking" and block["signature"] != bond(messages[:place], blocks[:number]):
                yield f"messages.{place}.content.{number}: thinking is bound to a different conversation"


def _plain(messages: Sequence[dict[str, Any]]) -> list[Any]:
    found: list[Any] = []
    for message in messages:
        content = message["content"]
        listed = [{"type": "text", "text": content}] if isinstance(content, str) else _unmarked(content)
        if found and found[-1][0] == message["role"]:
            found[-1][1].extend(listed)
        else:
            found.append([message["role"], listed])
    return found


def _unmarked(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _unmarked(each) for key, each in value.items() if key != "cache_control"}
    return [_unmarked(each) for each in value] if isinstance(value, list) else value


def _blocks(message: dict[str, Any]) -> list[dict[str, Any]]:
    content = message.get("content")
    return [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []
