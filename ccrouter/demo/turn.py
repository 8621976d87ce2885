"""What of a request the demo model looks at: the user's last words, results of tools, tools that it may call.

A request is an open format that grows with each release of the client, so nothing here raises: what has not
the expected shape is passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from attrs import frozen

from ccrouter.wire import claude_code

#: The marks of the client's own notes in the user's text. The closing one may carry the opening one's id too. The
#: bound keeps the search linear on hostile texts.
_REMINDER = re.compile(rf"<{claude_code.REMINDER}\b[^<>]{{0,100}}>")
_REMINDER_END = re.compile(rf"</{claude_code.REMINDER}\b[^<>]{{0,100}}>")


@frozen
class Tool:
    """A tool that may be called: one that the client runs, and whose definition is loaded."""

    name: str
    schema: Mapping[str, Any]

    @property
    def properties(self) -> Mapping[str, Any]:
        """The arguments that it knows, in the schema's order."""
        return mapping(self.schema.get("properties"))

    @property
    def required(self) -> tuple[str, ...]:
        """The arguments that it must have."""
        return tuple(strings(self.schema.get("required")))


@frozen
class Result:
    """What a tool gave back, or a task in the background. ``tool`` names it, where the conversation does."""

    tool: str
    text: str
    failed: bool


@frozen(kw_only=True)
class Turn:
    """The user's turn that waits for an answer.

    ``prompt`` is the last text that is the user's own, without reminders; ``texts`` are all of the turn.
    ``settled`` says that the results came after the prompt: the prompt has been acted upon. ``forced`` is
    ``tool_choice``: some tool must be called (``any``), or the only one in ``tools`` (``tool``).
    """

    prompt: str
    texts: tuple[str, ...]
    results: tuple[Result, ...]
    settled: bool
    tools: tuple[Tool, ...]
    forced: bool
    parallel: bool


def read(fields: Mapping[str, Any]) -> Turn:
    """The last turn of a decoded Messages request."""
    messages = mappings(fields.get("messages"))
    names = _names(messages)
    texts: list[str] = []
    results: list[Result] = []
    prompt, settled = "", False
    for block in _last_blocks(messages):
        if block.get("type") == "tool_result":
            results.append(_result(block, names))
            settled = True
        elif (report := _report(block)) is not None:
            results.append(report)
            settled = True
        elif text := own_text(block):
            # After results this can be a note of the client (`Tool loaded.`, the size of an image) or new words
            # of the user. Which it is, `mind` sees by whether they are words that drive it.
            texts.append(text)
            prompt, settled = text, False
    choice = mapping(fields.get("tool_choice"))
    return Turn(
        prompt=prompt,
        texts=tuple(texts),
        results=tuple(results),
        settled=settled,
        tools=_tools(fields, choice),
        forced=choice.get("type") in ("any", "tool"),
        parallel=choice.get("disable_parallel_tool_use") is not True,
    )


def prompts(fields: Mapping[str, Any]) -> list[str]:
    """What the user wrote in each message of the conversation, first to last."""
    found = []
    for message in mappings(fields.get("messages")):
        if message.get("role") == "user":
            texts = [text for block in blocks(message.get("content")) if (text := own_text(block))]
            found.extend(texts[-1:])
    return found


def own_text(block: Mapping[str, Any]) -> str:
    """The text of a text block without the client's reminders; empty for any other block."""
    text = block.get("text") if block.get("type") == "text" else None
    return _without_reminders(clean(text)).strip() if isinstance(text, str) else ""


def blocks(content: object) -> list[Mapping[str, Any]]:
    """Content as a list of blocks: a string is one text block."""
    return [{"type": "text", "text": content}] if isinstance(content, str) else mappings(content)


def clean(text: str) -> str:
    """Without lone surrogates, which JSON can carry and UTF-8 cannot."""
    return text.encode("utf-8", "replace").decode("utf-8")


def mapping(value: object) -> Mapping[str, Any]:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def mappings(value: object) -> list[Mapping[str, Any]]:
    """The objects in a list; nothing if it is no list."""
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def strings(value: object) -> list[str]:
    """The strings in a list; nothing if it is no list."""
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _last_blocks(messages: list[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """The blocks of the user's messages since the assistant's last; system messages may stand between."""
    turn: list[Mapping[str, Any]] = []
    for message in reversed(messages):
        role = message.get("role")
        if role == "user":
            turn.append(message)
        elif role == "assistant" and turn:
            break
    for message in reversed(turn):
        yield from blocks(message.get("content"))


def _names(messages: list[Mapping[str, Any]]) -> dict[str, str]:
    """Id of a call -> name of the tool."""
    return {
        call_id: clean(name)
        for message in messages
        for block in blocks(message.get("content"))
        if block.get("type") == "tool_use"
        and isinstance(call_id := block.get("id"), str)
        and isinstance(name := block.get("name"), str)
    }


def _result(block: Mapping[str, Any], names: Mapping[str, str]) -> Result:
    called = block.get("tool_use_id")
    parts = [_shown(part) for part in blocks(block.get("content"))]
    return Result(
        tool=names.get(called, "The tool") if isinstance(called, str) else "The tool",
        text="\n".join(part for part in parts if part),
        failed=block.get("is_error") is True,
    )


def _report(block: Mapping[str, Any]) -> Result | None:
    """What Claude Code says of a background task that ended, with or without a reminder's marks around it."""
    text = block.get("text") if block.get("type") == "text" else None
    if not isinstance(text, str):
        return None
    opens, closes = claude_code.TASK_RESULT
    start = text.find(opens, text.find(claude_code.TASK_ENDED) + 1)
    end = text.rfind(closes)
    if claude_code.TASK_ENDED not in text or not 0 <= start < end:
        return None
    failed = claude_code.TASK_FAILED in text[:start]
    return Result("The background task", clean(text[start + len(opens) : end]), failed)


def _shown(part: Mapping[str, Any]) -> str:
    match part:
        case {"type": "text"}:
            return own_text(part)
        case {"type": "tool_reference", "tool_name": str(name)}:
            return f"[the tool {clean(name)}]"
        case {"type": "image", "source": {"media_type": str(media)}}:
            return f"[an image, {clean(media)}]"
        case {"type": str(kind)}:
            return f"[{clean(kind)}]"
    return ""


def _tools(fields: Mapping[str, Any], choice: Mapping[str, Any]) -> tuple[Tool, ...]:
    if choice.get("type") == "none":
        return ()
    offered = [
        Tool(name, mapping(tool.get("input_schema")))
        for tool in mappings(fields.get("tools"))
        if isinstance(name := tool.get("name"), str)
        and name == clean(name) != ""
        and tool.get("type") in (None, "custom")  # others are run by Anthropic's servers, not by the client
        and tool.get("defer_loading") is not True
    ]
    if choice.get("type") == "tool":
        offered = [tool for tool in offered if tool.name == choice.get("name")]
    return tuple(offered)


def _without_reminders(text: str) -> str:
    kept, start = [], 0
    while opening := _REMINDER.search(text, start):
        closing = _REMINDER_END.search(text, opening.end())
        if closing is None:
            break
        kept.append(text[start : opening.start()])
        start = closing.end()
    return "".join(kept) + text[start:]
