"""Whose a content block is, where it says more than every Messages backend understands.

Another server's block of a type that isn't plain, or with members that Anthropic doesn't document, is marked on
its way to the client: a member `MAKER` holds our signature of who made it (see `ccrouter.translate.provenance`).
The client carries unknown members along unread, as it does signatures (seen with 2.1.329, 2026-11). So its maker
gets the block back as it was, everybody else a plain one or words, and nothing has to be guessed by its looks:
what isn't marked may be Anthropic's own, of a kind that is yet to come, and is left alone. To leave the members
out at once would take from a gateway what it may need back, such as LiteLLM's ``provider_specific_fields``. A mark
that a block came with, from another router behind this one, travels in ours as a backend's signature does.

For conversations that were not led through here there are short lists of what certainly isn't Anthropic's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ccrouter.providers.provider import Target
from ccrouter.translate import provenance
from ccrouter.translate.provenance import Origin

Block = dict[str, Any]

#: The member that says who made a block.
MAKER = provenance.MAKER

#: Type of a block that everybody understands -> the members that Anthropic documents (SDK 2.11.0, 2026-11).
_PLAIN: Mapping[str, frozenset[str]] = {
    "text": frozenset({"type", "text", "citations", "cache_control"}),
    "tool_use": frozenset({"type", "id", "name", "input", "caller", "toolset_name", "cache_control"}),
}
#: Their signature or data says whose they are.
_SIGNED = frozenset({"thinking", "redacted_thinking"})

#: Members and types that gateways add to Anthropic's format, 2026-11: LiteLLM, and what is OpenAI's.
_FOREIGN_MEMBERS = frozenset({"provider_specific_fields", "annotations", "logprobs", "reasoning_content"})
_FOREIGN_TYPES = frozenset({"reasoning", "thought", "output_text", "input_text", "function_call"})

#: Type of a block -> the member that holds the id of the backend's own tool call, and how such ids look.
_SERVER_ID = re.compile(r"srvtoolu_[a-zA-Z0-9_]+")
_MCP_ID = re.compile(r"mcptoolu_[a-zA-Z0-9_-]+")
_IDS: Mapping[str, tuple[str, re.Pattern[str]]] = {
    "server_tool_use": ("id", _SERVER_ID),
    "web_search_tool_result": ("tool_use_id", _SERVER_ID),
    "web_fetch_tool_result": ("tool_use_id", _SERVER_ID),
    "code_execution_tool_result": ("tool_use_id", _SERVER_ID),
    "bash_code_execution_tool_result": ("tool_use_id", _SERVER_ID),
    "text_editor_code_execution_tool_result": ("tool_use_id", _SERVER_ID),
    "tool_search_tool_result": ("tool_use_id", _SERVER_ID),
    "advisor_tool_result": ("tool_use_id", _SERVER_ID),
    "mcp_tool_use": ("id", _MCP_ID),
    "mcp_tool_result": ("tool_use_id", _MCP_ID),
}


def signature(target: Target, **made: str) -> str:
    """Our signature of what ``target`` made over the Messages wire: ``s`` is its own signature, or its data."""
    return provenance.sign(Origin(target.provider.name, target.model, {"f": "messages", **made}))


def needs_mark(block: Mapping[str, Any]) -> bool:
    """Whether not every backend understands all of a block."""
    kind = str(block.get("type"))
    return kind not in _SIGNED and not block.keys() <= _PLAIN.get(kind, frozenset())


def is_marked(block: Mapping[str, Any]) -> bool:
    """Whether a block came from another server and says more than everybody understands."""
    return MAKER in block


def made_by(block: Mapping[str, Any], target: Target, *, strict: bool) -> bool:
    """Whether ``target`` is who made a marked block; a strict one takes none of its gateway's other models."""
    origin = provenance.read(block.get(MAKER))
    return (
        origin is not None
        and origin.provider == target.provider.name
        and (not strict or origin.model == target.model)
    )


def unmarked(block: Block) -> Block:
    """A block as its maker made it: with the mark that it had there, if that is a router, too."""
    origin = provenance.read(block.get(MAKER))
    match origin.payload if origin is not None else None:
        case {"s": str(inner)}:
            return {**block, MAKER: inner}
    return {key: value for key, value in block.items() if key != MAKER}


def plain(block: Block) -> Block | None:
    """A block with nothing but documented members; None for one of a type that isn't plain."""
    members = _PLAIN.get(str(block.get("type")))
    return None if members is None else {key: value for key, value in block.items() if key in members}


def cleaned(block: Block) -> Block:
    """An unmarked block without members that certainly aren't Anthropic's; itself where it has none."""
    if block.keys().isdisjoint(_FOREIGN_MEMBERS):
        return block
    return {key: value for key, value in block.items() if key not in _FOREIGN_MEMBERS}


def is_foreign(block: Mapping[str, Any]) -> bool:
    """Whether an unmarked block certainly isn't Anthropic's, by its type or by its id."""
    kind = block.get("type")
    if not isinstance(kind, str) or kind in _FOREIGN_TYPES:
        return isinstance(kind, str)
    if kind not in _IDS:
        return False
    key, look = _IDS[kind]
    found = block.get(key)
    return not isinstance(found, str) or look.fullmatch(found) is None
