"""Reads a Messages request as a `Conversation`; what is settled on the way stands in `ccrouter.translate.turns`.

Anything that JSON can say is read: what has the wrong type is left out and named in ``changes``. What a backend
can't be shown (a file that lies at Anthropic) leaves its place in words, so that the model does not wonder.

A system message that asks to be seen only until the next user message (``clear_at``) stays: taking it out again
would change the middle of a prompt that a backend has in its cache.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from attrs import evolve

from ccrouter.translate import block_text, provenance
from ccrouter.translate.changes import ATTRIBUTION_DROPPED, Changes
from ccrouter.translate.turns import (
    Call,
    Conversation,
    Part,
    Result,
    ServerTool,
    Shown,
    Text,
    Thinking,
    Tool,
    Turn,
)
from ccrouter.wire.claude_code import PLACEHOLDER
from ccrouter.wire.messages import attribution

_ANY_OBJECT: Mapping[str, Any] = {"type": "object", "properties": {}}


def read(fields: Mapping[str, Any]) -> Conversation:
    """The conversation in the members of a request. Never raises for what JSON can hold; linear in its size."""
    return _Reader().read(fields)


def is_placeholder(tool: object) -> bool:
    """Whether a tool only stands in for others that the client has not loaded yet."""
    return isinstance(tool, Mapping) and tool.get("name") == PLACEHOLDER and tool.get("defer_loading") is True


def server_tool(tool: object) -> ServerTool | None:
    """A tool that the backend is to run itself; None for one that the client runs."""
    kind = tool.get("type") if isinstance(tool, dict) else None
    if not isinstance(tool, dict) or not isinstance(kind, str) or kind == "custom":
        return None
    if isinstance(tool.get("input_schema"), dict):
        return None
    name = tool.get("name")
    return ServerTool(kind, name if isinstance(name, str) and name else kind, tool)


class _Reader:
    """One reading: counts what it leaves out, and knows which ids of calls are taken."""

    def __init__(self) -> None:
        self._changes = Changes()
        self._note = self._changes.note
        self._ids: set[str] = set()
        self._seen: dict[str, int] = {}
        self._inline: list[Any] = []

    def read(self, fields: Mapping[str, Any]) -> Conversation:
        system = self._system(fields.get("system"))
        turns = tuple(self._settle(self._turns(fields.get("messages"))))
        tools, server_tools = self._tools(fields.get("tools"))
        return Conversation(
            system=system,
            turns=turns,
            tools=tools,
            server_tools=server_tools,
            changes=self._changes.listed(),
        )

    # What stands outside the messages

    def _system(self, system: object) -> tuple[Text, ...]:
        if isinstance(system, str):
            return tuple(block_text.words(system))
        found: list[Text] = []
        blocks = self._list(system, "system")
        if attribution(blocks) is not None:
            blocks = blocks[1:]
            self._note(ATTRIBUTION_DROPPED)
        for block in blocks:
            text = block.get("text") if isinstance(block, Mapping) else None
            if not isinstance(text, str):
                self._note("system: a block without text left out")
            else:
                found += [evolve(each, mark=block_text.mark(block)) for each in block_text.words(text)]
        return tuple(found)

    def _tools(self, tools: object) -> tuple[tuple[Tool, ...], tuple[ServerTool, ...]]:
        found: dict[str, Tool | ServerTool] = {}
        for tool in [*self._list(tools, "tools"), *self._inline]:
            name = tool.get("name") if isinstance(tool, Mapping) else None
            kind = tool.get("type") if isinstance(tool, Mapping) else None
            if (kind is None or kind == "custom") and isinstance(name, str) and name:
                if not is_placeholder(tool):
                    found.setdefault(name, self._tool(name, tool))
            elif isinstance(kind, str):
                label = name if isinstance(name, str) and name else kind
                found.setdefault(label, server_tool(tool) or self._tool(label, tool))
            else:
                self._note("tools: a tool without a name left out")
        every = found.values()
        return (
            tuple(each for each in every if isinstance(each, Tool)),
            tuple(each for each in every if isinstance(each, ServerTool)),
        )

    def _tool(self, name: str, tool: Mapping[str, Any]) -> Tool:
        schema, description = tool.get("input_schema"), tool.get("description")
        if not isinstance(schema, Mapping):
            self._note("tools: a tool without a schema takes any object")
            schema = _ANY_OBJECT
        return Tool(
            name, description if isinstance(description, str) else "", schema, strict=tool.get("strict") is True
        )

    # Messages

    def _turns(self, messages: object) -> Iterator[Turn]:
        for message in self._list(messages, "messages"):
            if not isinstance(message, Mapping):
                self._note("messages: an entry that is not an object left out")
                continue
            said = message.get("role")
            role: Literal["system", "user", "assistant"] = "user"
            if said == "assistant" or said == "system":  # noqa: PLR1714 - mypy narrows only so
                role = said
            elif said != "user":
                self._note("messages: an unknown role taken for the user's")
            output = message.get("output_config")
            effort = output.get("effort") if isinstance(output, Mapping) else None
            parts = tuple(self._parts(message.get("content"), role))
            if parts or isinstance(effort, str) or role == "assistant":
                yield Turn(role, parts, effort if isinstance(effort, str) else None)

    def _parts(self, content: object, role: str) -> Iterator[Part]:
        if isinstance(content, str):
            yield from block_text.words(content)
            return
        for block in self._list(content, "content"):
            kind = block.get("type") if isinstance(block, Mapping) else None
            match kind, role:
                case "thinking", "assistant":
                    yield from self._thinking(block)
                case "tool_use", "assistant":
                    yield from self._call(block)
                case "tool_result", "user" | "system":
                    yield from self._result(block)
                case _:
                    yield from self._shown(block)

    def _thinking(self, block: Mapping[str, Any]) -> Iterator[Thinking]:
        text, signature = block.get("thinking"), block.get("signature")
        origin = provenance.read(signature)
        if origin is None and provenance.is_ours(signature):
            self._note("thinking: a signature of ccrouter's that is not whole")
        yield Thinking(text if isinstance(text, str) else "", origin)

    def _call(self, block: Mapping[str, Any]) -> Iterator[Call]:
        call_id, name, given = block.get("id"), block.get("name"), block.get("input")
        if not isinstance(call_id, str) or not isinstance(name, str) or not name:
            self._note("tool_use: a call without id or name left out")
            return
        if not isinstance(given, Mapping):
            self._note("tool_use: an input that is not an object left out")
            given = {}
        yield Call(call_id, name, given)

    def _result(self, block: Mapping[str, Any]) -> Iterator[Result]:
        call_id, content = block.get("tool_use_id"), block.get("content")
        parts: list[Shown] = []
        if isinstance(content, str):
            parts += block_text.words(content)
        else:
            for each in self._list(content, "tool_result"):
                parts += self._shown(each)
        yield Result(
            call_id if isinstance(call_id, str) else "",
            tuple(block_text.marked(parts or [Text(block_text.SILENT)], block)),
            block.get("is_error") is True,
        )

    def _shown(self, block: object) -> list[Shown]:
        return block_text.shown(block, self._note, self._inline)

    def _list(self, value: object, where: str) -> list[Any]:
        return block_text.listed(value, where, self._note)

    # Calls and results

    def _settle(self, turns: Iterator[Turn]) -> Iterator[Turn]:
        """Results behind their calls. What follows a turn of the model up to its next one answers its calls."""
        asked: list[Turn] = []  # one after the other, which is one turn
        between: list[Turn] = []
        for turn in turns:
            if turn.role != "assistant":
                between.append(turn)
            elif between:
                yield from self._answered(asked, between)
                asked, between = [turn], []
            else:
                asked.append(turn)
        yield from self._answered(asked, between)

    def _answered(self, asked: Sequence[Turn], between: Sequence[Turn]) -> Iterator[Turn]:
        waiting: dict[str, list[str]] = {}
        ids: list[str] = []
        parts: list[Part] = []
        effort: str | None = None
        for turn in asked:
            effort = turn.effort or effort
            for part in turn.parts:
                if isinstance(part, Call):
                    ids.append(self._own_id(part.id))
                    waiting.setdefault(part.id, []).append(ids[-1])
                    parts.append(evolve(part, id=ids[-1]))
                else:
                    parts.append(part)
        if asked:
            yield Turn("assistant", tuple(parts), effort)
        for each in waiting.values():
            each.reverse()  # so that the first is popped first
        results: dict[str, Result] = {}
        rest: list[Turn] = []
        places = {own: place for place, own in enumerate(ids)}
        reached = 0
        for turn in between:
            parts = []
            for part in turn.parts:
                if not isinstance(part, Result):
                    parts.append(part)
                elif waiting.get(part.call_id):
                    own = waiting[part.call_id].pop()
                    results[own] = evolve(part, call_id=own)
                    if rest or parts or places[own] < reached:
                        self._note("tool_result: not in its place behind the calls, moved")
                    reached = max(reached, places[own])
                else:
                    self._note("tool_result: a result without its call told as text")
                    parts += [Text(block_text.ORPHANED), *part.parts]
            if parts or turn.effort is not None:
                rest.append(evolve(turn, parts=tuple(parts)))
        if len(results) < len(ids):
            self._note("tool_use: a call without its result was given one")
        answers = tuple(
            results.get(each) or Result(each, (Text(block_text.UNFINISHED),), is_error=True) for each in ids
        )
        if answers and rest and rest[0].role == "user":
            yield evolve(rest[0], parts=answers + rest[0].parts)
            yield from rest[1:]
            return
        if answers:
            yield Turn("user", answers)
        yield from rest

    def _own_id(self, call_id: str) -> str:
        """``call_id``, or a form of it that no earlier call has: some models number their calls anew each turn."""
        own, number = call_id, 1
        if call_id in self._ids:
            number = self._seen.get(call_id, 1)
            while own in self._ids:
                number += 1
                own = f"{call_id}~{number}"
            self._seen[call_id] = number
        self._ids.add(own)
        return own
