"""What a target of the Messages lane gets of the tools that a request offers.

A function of the tools and the target alone, so that the same tools are the same bytes on every turn: they are the
beginning of every prompt. A tool that its target can take keeps the characters that it came in.

A loose server takes any tool for one that the client runs: it makes a function without parameters of a search that
only Anthropic can make, the model calls that, and the client takes the call for a search that found nothing. So of
servers of which it is known what they run (``Preset.server_tools``) all others are kept away, as on the bridges.
"""

from __future__ import annotations

from typing import Any

from ccrouter.providers.provider import Target
from ccrouter.translate import foreign, plain_schemas
from ccrouter.translate.block_text import Note
from ccrouter.translate.changes import Changes
from ccrouter.translate.conversation import is_placeholder, server_tool
from ccrouter.translate.turns import ServerTool
from ccrouter.wire import spans
from ccrouter.wire.messages import MessagesRequest


def edits(request: MessagesRequest, tools: spans.Item, target: Target) -> tuple[list[spans.Edit], list[str]]:
    """The edits that give ``target`` the tools as it can take them, and what they change.

    Raises ApiError when there is nothing to do without a tool that the target can't run.
    """
    preset = target.provider.preset
    if not isinstance(tools.value, list):
        return [], []
    gone, told = ([], []) if preset.server_tools is None else _not_run(request, tools.value, target)
    changed, changes = [], Changes()
    if preset.quirks.schema == "plain":
        doomed = {*gone}
        changed = [
            place
            for place, tool in enumerate(tools.value)
            if place not in doomed and _plain(tool, changes.note) is not tool
        ]
    if not gone and not changed:
        return [], []
    items = spans.elements(request.text, tools.start)
    found = spans.remove(items, gone)
    found += [spans.rewrite(request.text, items[place], _plain(items[place].value)) for place in changed]
    return found, [*told, *changes.listed()]


def _not_run(request: MessagesRequest, tools: list[Any], target: Target) -> tuple[list[int], list[str]]:
    """The places of what the target would take for tools that the client runs; what is told of that."""
    runs = target.provider.preset.server_tools or ()
    own: dict[int, ServerTool] = {}
    placeholders = []
    for place, tool in enumerate(tools):
        if is_placeholder(tool):
            placeholders.append(place)
        elif (found := server_tool(tool)) is not None and not found.type.startswith(runs):
            own[place] = found
    others = len(tools) > len(own) + len(placeholders)
    told = foreign.server_tools(own.values(), request.fields, target, others=others)
    told += ["tools: the placeholder for deferred ones left out" for _ in placeholders]
    return [*own, *placeholders], told


def _plain(tool: Any, note: Note = lambda _: None) -> Any:
    said = tool.get("input_schema") if isinstance(tool, dict) else None
    found = plain_schemas.plain(said, "tools", note) if isinstance(said, dict) else said
    return tool if found is said else {**tool, "input_schema": found}
