"""What a target of the Messages lane gets of the tools that a request offers.

A function of the tools and the target alone, so that the same tools are the same bytes on every turn: they are the
beginning of every prompt. A tool that its target can take keeps the characters that it came in.
"""

from __future__ import annotations

from typing import Any

from ccrouter.providers.provider import Target
from ccrouter.translate import schema
from ccrouter.translate.changes import Changes
from ccrouter.translate.tools import SPELLED_OUT
from ccrouter.wire import spans


def edits(text: str, tools: spans.Item, target: Target) -> tuple[list[spans.Edit], list[str]]:
    """The edits that give ``target`` the tools as it can take them, and what they change."""
    if not isinstance(tools.value, list) or target.provider.preset.quirks.schema != "objects":
        return [], []
    changed = [place for place, tool in enumerate(tools.value) if _spelled_out(tool) is not tool]
    if not changed:
        return [], []
    changes = Changes()
    found = []
    items = spans.elements(text, tools.start)
    for place in changed:
        changes.note(SPELLED_OUT)
        found.append(spans.rewrite(text, items[place], _spelled_out(items[place].value)))
    return found, list(changes.told())


def _spelled_out(tool: Any) -> Any:
    said = tool.get("input_schema") if isinstance(tool, dict) else None
    found = schema.spelled_out(said) if isinstance(said, dict) else said
    return tool if found is said else {**tool, "input_schema": found}
