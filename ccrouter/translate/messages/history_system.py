"""What the system says in mid-conversation, for targets whose models are told of it only at the beginning.

The client tells the model of its agents and tools so since 2.1.154, from the first turn on. Only Claude is sure to
take that. Chat templates refuse it (Qwen's since 3.5: "System message must be at the beginning") or leave it out,
and some vendors know no such role: ggml-org/llama.cpp#27107, ollama/ollama#17774, deepseek-ai/DeepSeek-V3#1370,
lmstudio-ai/lmstudio-bug-tracker#1999 (2026-05 to 2026-08). So the user tells it as a reminder, which is how the
client itself tells it where it knows that the model takes no such message.

It joins the user's messages on both of its sides, since templates want the roles in turns. Results come first.

Behind an endpoint of which nothing is known there may be Claude under another name, too, which loses nothing by a
reminder. It would lose a tool of which it is only told in words: what is more than words stays the system's there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ccrouter.translate import block_text
from ccrouter.translate.block_text import Note
from ccrouter.translate.shown import TOLD_BY_USER, reminder
from ccrouter.translate.turns import Text

Block = dict[str, Any]

#: What is the same in a message of the user's; the rest of what a system may say is told in words.
_KEPT = ("image", "tool_result")


def joined(messages: list[Any], note: Note, *, words_only: bool = False) -> list[Any]:
    """``messages`` without those of the system's. Each change is told to ``note``.

    ``words_only``: those stay that are more than words.
    """

    def is_told(message: Any) -> bool:
        return _role(message) == "system" and not (words_only and _is_more_than_words(message))

    if not any(map(is_told, messages)):
        return messages
    found: list[Any] = []
    between: list[Block] = []
    for message in messages:
        if _role(message) == "user" or is_told(message):
            between.append(message)
        else:
            found += [*_told(between, note), message]
            between = []
    return [*found, *_told(between, note)]


def _told(between: list[Block], note: Note) -> list[Block]:
    """Messages that follow each other, as one of the user's if the system has a part in them."""
    if all(message["role"] == "user" for message in between):
        return between
    blocks: list[Any] = []
    for message in between:
        said = [*_blocks(message)] if message["role"] == "user" else [*_reminders(message)]
        if message["role"] == "system":
            note(TOLD_BY_USER if said else "system: an empty later message left out")
        blocks += said
    own = [message for message in between if message["role"] == "user"]
    if len(own) == 1 and len(blocks) == len(_blocks(own[0])):
        return own  # the system said nothing
    results = [block for block in blocks if _kind(block) == "tool_result"]
    rest = [block for block in blocks if _kind(block) != "tool_result"]
    # Even one that says nothing kept two of the model's apart.
    content = [*results, *rest] or [{"type": "text", "text": block_text.NOTHING}]
    return [{**(own[0] if own else {"role": "user"}), "content": content}]


def _reminders(message: Block) -> Iterator[Any]:
    for block in _blocks(message):
        kind = _kind(block)
        if kind in _KEPT:
            yield block
        elif kind == "text":
            if isinstance(text := block.get("text"), str) and text.strip():
                yield reminder(block)
        else:
            for part in block_text.shown(block, block_text.unheard):
                if isinstance(part, Text):
                    yield reminder({"type": "text", "text": part.text})


def _blocks(message: Block) -> list[Any]:
    content = message.get("content")
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content.strip() else []
    return content if isinstance(content, list) else []


def _kind(block: Any) -> object:
    return block.get("type") if isinstance(block, dict) else None


def _is_more_than_words(message: Block) -> bool:
    return any(_kind(block) != "text" for block in _blocks(message))


def _role(message: Any) -> object:
    return message.get("role") if isinstance(message, dict) else None
