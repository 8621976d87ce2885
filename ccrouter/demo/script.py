"""What an answer of the demo model is made of: events, each with the pause before it.

The model's token is what it streams in one delta: a word of at most ten letters with the space before it.
So its token counts are exact, and ``max_tokens`` cuts where it says.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from attrs import frozen

from ccrouter.translate.provenance import Origin, sign
from ccrouter.wire import events
from ccrouter.wire.events import Event

_TOKEN = re.compile(r"\s{0,10}\S{1,10}|\s{1,10}")

#: Pauses in paces: before the first event, and before the first delta of a block.
_FIRST = 10.0
_OPENING = 5.0

#: Of ccrouter's own kind, so that nobody else is shown what the demo model thought when the user goes on with a
#: real one.
_SIGNATURE = sign(Origin("demo", "demo", {"f": "messages", "s": "demo"}))


#: What comes after the last piece: the body is whole, the connection is cut, or nothing comes any more.
End = Literal["whole", "cut", "silent"]


@frozen
class Piece:
    """An event, and how many paces to wait before it."""

    event: Event
    weight: float


@frozen(kw_only=True)
class Script:
    """A streamed answer.

    ``delay`` is seconds before the first byte, whatever the pace; infinite where none ever comes.
    """

    pieces: tuple[Piece, ...]
    delay: float = 0.0
    end: End = "whole"

    @property
    def paces(self) -> float:
        """How long all of it takes."""
        return sum(piece.weight for piece in self.pieces)


@frozen(kw_only=True)
class Refusal:
    """An HTTP error in Anthropic's envelope."""

    status: int
    kind: str
    message: str
    headers: tuple[tuple[str, str], ...] = ()


Reply = Script | Refusal


@frozen
class Thinking:
    """A thinking block. Not ``shown``: it is signed, but its text stays out of the stream."""

    text: str
    shown: bool = True


@frozen
class Text:
    """A text block."""

    text: str


@frozen
class Call:
    """A tool_use block; ``arguments`` is a JSON object as text."""

    id: str
    tool: str
    arguments: str


Block = Thinking | Text | Call


@frozen(kw_only=True)
class Terms:
    """What of a request shapes every answer. ``max_tokens`` None: no limit."""

    message_id: str
    model: str
    input_tokens: int
    max_tokens: int | None = None
    stop_sequences: tuple[str, ...] = ()


def compose(blocks: Iterable[Block], terms: Terms) -> Script:
    """The blocks as a stream, cut where ``max_tokens`` or a stop sequence says so."""
    kept, reason, sequence = _cut(blocks, terms)
    opening = {"input_tokens": terms.input_tokens, "output_tokens": 0}
    pieces = [Piece(events.message_start(terms.message_id, terms.model, opening), _FIRST)]
    for index, (block, tokens) in enumerate(kept):
        pieces += _pieces(index, block, tokens)
    usage = {"input_tokens": terms.input_tokens, "output_tokens": sum(len(tokens) for _, tokens in kept)}
    pieces.append(Piece(events.message_delta(reason, usage, sequence), 0))
    pieces.append(Piece(events.message_stop(), 0))
    return Script(pieces=tuple(pieces))


def split(text: str) -> list[str]:
    """The tokens of a text; joined they are the text."""
    return _TOKEN.findall(text)


def _cut(blocks: Iterable[Block], terms: Terms) -> tuple[list[tuple[Block, list[str]]], str, str | None]:
    """The blocks that fit with their tokens, the stop reason, and the stop sequence that was met."""
    kept: list[tuple[Block, list[str]]] = []
    left = terms.max_tokens
    for block in blocks:
        text, sequence = _content(block), None
        if isinstance(block, Text):
            text, sequence = _before(text, terms.stop_sequences)
        tokens = split(text)
        if left is not None and len(tokens) > left:
            # Half a call is no call: its JSON would not parse.
            if left and not isinstance(block, Call):
                kept.append((block, tokens[:left]))
            return kept, "max_tokens", None
        if tokens:
            kept.append((block, tokens))
        if sequence is not None:
            return kept, "stop_sequence", sequence
        left = None if left is None else left - len(tokens)
    return kept, "tool_use" if any(isinstance(block, Call) for block, _ in kept) else "end_turn", None


def _content(block: Block) -> str:
    return block.arguments if isinstance(block, Call) else block.text


def _before(text: str, sequences: Sequence[str]) -> tuple[str, str | None]:
    met = [(at, sequence) for sequence in sequences if (at := text.find(sequence)) >= 0]
    if not met:
        return text, None
    at, sequence = min(met)
    return text[:at], sequence


def _pieces(index: int, block: Block, tokens: list[str]) -> list[Piece]:
    start: dict[str, Any]
    match block:
        case Thinking(_, shown):
            start = {"type": "thinking", "thinking": "", "signature": ""}
            deltas = [{"type": "thinking_delta", "thinking": token} for token in tokens if shown]
            deltas.append({"type": "signature_delta", "signature": _SIGNATURE})
        case Text():
            start = {"type": "text", "text": ""}
            deltas = [{"type": "text_delta", "text": token} for token in tokens]
        case Call(call_id, tool):
            start = {"type": "tool_use", "id": call_id, "name": tool, "input": {}}
            deltas = [{"type": "input_json_delta", "partial_json": token} for token in tokens]
    return [
        Piece(events.block_start(index, start), _OPENING),
        *(Piece(events.block_delta(index, delta), 1) for delta in deltas),
        Piece(events.block_stop(index), 0),
    ]
