"""Calls and their results as Anthropic wants them, in the messages of a request.

Each call has an id of its own, of plain characters, and one result, at the head of the user's message that
follows it. What fits is the very same object again. A result that is missing is said to be; one without its call
is told as text. And results as llama.cpp wants them: in messages of their own.

What follows the assistant up to its next message answers its calls. Messages of the system's may stand between,
and messages of one role that follow each other are one message to Anthropic.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Any

from ccrouter.translate import block_text
from ccrouter.translate.block_text import Note
from ccrouter.translate.tools import is_plain, plain
from ccrouter.translate.turns import Text

Block = dict[str, Any]

#: Blocks of a result that a user's message takes as well.
_SHOWN = ("text", "image", "document", "search_result")


def answered(messages: list[Any], note: Note) -> list[Any]:
    """``messages`` with each call answered. Each change is told to ``note``."""
    if _fit(messages):
        return messages
    calls = _Calls(note)
    found: list[Any] = []
    asked: list[Block] = []
    between: list[Any] = []
    for message in messages:
        if not _is_of(message, "assistant"):
            between.append(message)
        elif between:
            found += calls.settled(asked, between)
            asked, between = [message], []
        else:
            asked.append(message)
    found += calls.settled(asked, between)
    return messages if _are_same(found, messages) else found


def apart(messages: list[Any], note: Note) -> list[Any]:
    """``messages`` with results in messages of their own, for who would put them behind the rest of theirs."""
    found: list[Any] | None = None
    for place, message in enumerate(messages):
        content = _content(message) if _is_of(message, "user") else []
        results = [block for block in content if _is_a(block, "tool_result")]
        if results and len(results) < len(content):
            note("tool_result: in a message of its own, in front of what is said beside it")
            rest = [block for block in content if not _is_a(block, "tool_result")]
            found = messages[:place] if found is None else found
            found += [{**message, "content": results}, {**message, "content": rest}]
        elif found is not None:
            found.append(message)
    return messages if found is None else found


def _fit(messages: list[Any]) -> bool:
    """Whether nothing is to be done, for certain; at a third of the cost of doing nothing.

    What comes later must not change the answer for what was there before: a message that is a string, or nothing
    at all, ends the wait for results as any other of its role does.
    """
    ids: list[str] = []
    open_ones: set[str] = set()
    for message in messages:
        if message.__class__ is not dict:
            continue
        role, content = message.get("role"), message.get("content")
        if open_ones and (role == "assistant" or (role == "user" and content.__class__ is str)):
            return False
        if content.__class__ is not list:
            continue
        if role == "assistant":
            for block in content:
                if block.__class__ is dict and block.get("type") == "tool_use":
                    call_id, name = block.get("id"), block.get("name")
                    if not (isinstance(call_id, str) and isinstance(name, str) and call_id and name):
                        return False
                    if block.get("input").__class__ is not dict or not is_plain(name):
                        return False
                    ids.append(call_id)
                    open_ones.add(call_id)
        elif role == "user":
            head = True
            for block in content:
                if block.__class__ is dict and block.get("type") == "tool_result":
                    call_id = block.get("tool_use_id")
                    if not head or not isinstance(call_id, str) or call_id not in open_ones:
                        return False
                    open_ones.remove(call_id)
                else:
                    head = False
            if open_ones:
                return False
    return not open_ones and len({*ids}) == len(ids) and is_plain("".join(ids) or "none")


class _Calls:
    """All calls so far. ``ids`` are theirs; ``waiting`` those of the last turn that have no result yet."""

    def __init__(self, note: Note) -> None:
        self._note = note
        self._ids: set[str] = set()
        self._seen: dict[str, int] = {}
        self._waiting: dict[str, list[str]] = {}

    def settled(self, asked: list[Block], between: list[Any]) -> Iterator[Any]:
        """Messages of the assistant, and those up to its next."""
        self._waiting = {}
        for message in asked:
            yield _with_content(message, [self._call(block) for block in _content(message)])
        answers: list[Any] = []
        rest: list[tuple[Any, list[Any] | None]] = []
        late = False
        for message in between:
            kept = self._rest(message, answers, late=late)
            rest.append((message, kept))
            late = late or kept is not None
        for own in [own for each in self._waiting.values() for own in each]:
            self._note("tool_use: a call without its result was given one")
            answers.append(
                {"type": "tool_result", "tool_use_id": own, "content": block_text.UNFINISHED, "is_error": True}
            )
        if answers and all(kept is None for _, kept in rest):
            yield {"role": "user", "content": answers}
            answers = []
        for message, kept in rest:
            if kept is None or (isinstance(message["content"], str) and not answers):
                yield message
            elif answers or kept or not message["content"]:
                yield _with_content(message, [*answers, *kept])
                answers = []

    def _rest(self, message: Any, answers: list[Any], *, late: bool) -> list[Any] | None:
        """What there is in a user's message besides results of calls, which are added to ``answers``.

        ``late``: it is not the first message behind the calls.
        """
        content = message.get("content") if _is_of(message, "user") else None
        if isinstance(content, str):
            return [{"type": "text", "text": content}] if content.strip() else []
        if not isinstance(content, list):
            return None
        kept: list[Any] = []
        for block in content:
            if not _is_a(block, "tool_result"):
                kept.append(block)
            elif waiting := self._waiting.get(_id(block, "tool_use_id")):
                own = waiting.pop(0)
                if late or kept:
                    self._note("tool_result: not where Anthropic looks for it, moved")
                answers.append(block if block.get("tool_use_id") == own else {**block, "tool_use_id": own})
            else:
                self._note("tool_result: a result without its call told as text")
                kept += _orphan(block)
        return kept

    def _call(self, block: Any) -> Any:
        """A block of the assistant's; a call with what Anthropic wants of one, waiting for its result then."""
        if not _is_a(block, "tool_use"):
            return block
        name, given = block.get("name"), block.get("input")
        call_id = _id(block, "id")
        own = self._own_id(call_id)
        self._waiting.setdefault(call_id, []).append(own)
        changed: Block = {}
        if own != block.get("id"):
            self._note("tool_use: an id that was taken or not plain replaced")
            changed["id"] = own
        if name != (called := plain(name if isinstance(name, str) else "", "tool")):
            self._note("tool_use: a name that was not plain replaced")
            changed["name"] = called
        if not isinstance(given, dict):
            self._note("tool_use: an input that is not an object left out")
            changed["input"] = {}
        return {**block, **changed} if changed else block

    def _own_id(self, call_id: str) -> str:
        """``call_id`` in plain characters, and unlike those of all calls before."""
        own, number = plain(call_id, "call"), self._seen.get(call_id, 1)
        while own in self._ids:
            number += 1
            own = plain(f"{call_id}~{number}", "call")
        self._seen[call_id] = number
        self._ids.add(own)
        return own


def _orphan(result: Block) -> Iterator[Block]:
    """What a result says, as a user's message can say it."""
    yield _text(block_text.ORPHANED)
    content = result.get("content")
    if isinstance(content, str) and content.strip():
        yield _text(content)
    for block in content if isinstance(content, list) else ():
        if isinstance(block, dict) and block.get("type") in _SHOWN:
            yield block
        else:
            parts = block_text.shown(block, block_text.unheard)
            yield from (_text(part.text) for part in parts if isinstance(part, Text))


def _text(text: str) -> Block:
    return {"type": "text", "text": text}


def _id(block: Block, key: str) -> str:
    found = block.get(key)
    return found if isinstance(found, str) else ""


def _is_of(message: Any, role: str) -> bool:
    return isinstance(message, dict) and message.get("role") == role


def _is_a(block: Any, kind: str) -> bool:
    return isinstance(block, dict) and block.get("type") == kind


def _content(message: Block) -> list[Any]:
    content = message.get("content")
    return content if isinstance(content, list) else []


def _with_content(message: Block, content: list[Any]) -> Block:
    """``message`` with these blocks; itself where they are its own, or it has none and gets none."""
    own = message.get("content")
    same = _are_same(own, content) if isinstance(own, list) else not content
    return message if same else {**message, "content": content}


def _are_same(one: list[Any], other: list[Any]) -> bool:
    return len(one) == len(other) and all(map(operator.is_, one, other))
