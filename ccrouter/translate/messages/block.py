"""One content block of another server's Messages stream: what it has said, and how it is written.

Whatever needs no change keeps its bytes. Words and tool input that stand in a block's start become deltas: the
client reads nothing there. A block knows whether its input is that of a call that may be run.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, TypeAlias

from attrs import define, field

from ccrouter.translate.calls import arguments_of
from ccrouter.translate.dialect import Kept
from ccrouter.wire import events, json_text
from ccrouter.wire.events import Event
from ccrouter.wire.grammar import DELTAS

Written: TypeAlias = Event | Kept

#: Delta type -> its words.
FIELDS = {
    "text_delta": "text",
    "thinking_delta": "thinking",
    "input_json_delta": "partial_json",
    "signature_delta": "signature",
}

#: How often a call that is not whole is read on average, at most, before somebody says that it is: starts can
#: come between any two pieces, and reading it at each of them took minutes for a megabyte (2026-11).
_READINGS = 16

_CALLS = frozenset({"tool_use", "server_tool_use", "mcp_tool_use"})
_THOUGHTS = frozenset({"thinking", "redacted_thinking"})


@define(eq=False)
class Block:
    """A block in the making."""

    start: dict[str, Any]
    """Its ``content_block``, empty."""
    opening: Written = field(factory=dict)
    """Its start as it came."""
    told: Any = None
    """Its ``content_block`` as it came."""
    given: Any = None
    """The input that stood in the start."""
    signature: str | None = None
    """The one that stood in the start."""
    signed: bool = False
    said: list[bytes] = field(factory=list)
    """Its words, as the insides of JSON strings."""
    size: int = 0
    """How long they are, in characters; those that were passed on unread as they were spelled."""
    waiting: list[Written] = field(factory=list)
    """What follows the start when that is written."""
    behind: list[Written] = field(factory=list)
    """What follows its stop, if that has to wait too."""
    number: int | None = None
    """Its index at the client, once it is written."""
    witness: Event = field(factory=dict)
    """Stands for its plain deltas before the grammar."""
    closed: bool = False
    stopped: bool = False
    """Closed in words, not by what followed."""
    stop: Kept | None = None
    _read: int = 0
    """How many characters were read to see whether a call is whole."""
    _found: tuple[int, tuple[dict[str, Any] | None, bool]] | None = None
    """How many pieces there were when a call's arguments were looked for, and what they were."""

    @property
    def kind(self) -> str:
        """The block's type."""
        return str(self.start["type"])

    @property
    def is_call(self) -> bool:
        """Whether it has an input that comes in pieces."""
        return self.kind in _CALLS

    @property
    def is_thought(self) -> bool:
        """Whether it is reasoning, readable or not."""
        return self.kind in _THOUGHTS

    @property
    def is_named(self) -> bool:
        """Whether a call says of which tool."""
        name = self.start.get("name")
        return isinstance(name, str) and name != ""

    @property
    def is_empty(self) -> bool:
        """Whether a call has no input yet. It may be one that needs none."""
        return not self.given and not unquoted(self.said).strip()

    @property
    def is_whole(self) -> bool:
        """Whether a call has all of its input, by the look of it. After many looks in vain, none is taken."""
        if self._read > _READINGS * self.size:
            return False
        self._read += self.size
        return self.arguments()[0] is not None and not self.is_empty

    def takes(self, delta: str) -> bool:
        """Whether a delta of this type may stand in it."""
        allowed = DELTAS.get(self.kind)
        return allowed is None or delta in allowed

    def hear(self, words: str) -> None:
        """Note the words of a delta."""
        self.said.append(_quoted(words))
        self.size += len(words)

    def say(self, kind: str, words: str) -> None:
        """Give it words in front of all deltas."""
        self.hear(words)
        self.waiting.append(events.block_delta(-1, {"type": kind, FIELDS[kind]: words}))

    def arguments(self) -> tuple[dict[str, Any] | None, bool]:
        """The input of a call, None where it is no object; and whether its deltas say just that."""
        if self._found is None or self._found[0] != len(self.said):
            self._found = len(self.said), self._arguments()
        return self._found[1]

    def _arguments(self) -> tuple[dict[str, Any] | None, bool]:
        text = unquoted(self.said)
        if not text.strip():
            given = {} if self.given is None else self.given
            found = arguments_of(given) if isinstance(given, str) else given
            return _writable(found), given == {}
        value = json_text.loads_or_none(text, nan="refuse")
        return (value, True) if isinstance(value, dict) else (arguments_of(text), False)

    def open(self, number: int) -> list[Written]:
        """Its start, and what waited for it."""
        self.number = number
        self.witness = events.block_delta(number, {"type": f"{self.kind}_delta"})
        if self.is_call:
            self.witness["delta"]["type"] = "input_json_delta"
            if self.closed:
                value, exact = self.arguments()
                if not exact:
                    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
                    self.waiting = [events.block_delta(-1, {"type": "input_json_delta", "partial_json": text})]
        opening = self.opening
        if not isinstance(opening, Kept):
            opening = {**opening, **events.block_start(number, self.start)}
        waiting, self.waiting = self.waiting, []
        return [self.numbered(each) for each in (opening, *waiting)]

    def numbered(self, written: Written) -> Written:
        """An event of the block under its number, in its own bytes if that is what they say."""
        event = written.event if isinstance(written, Kept) else written
        told = event.get("index")
        if not str(event["type"]).startswith("content_block_") or (type(told) is int and told == self.number):
            return written
        return {**event, "index": self.number}


def unquoted(said: Iterable[bytes]) -> str:
    """The text that the insides of JSON strings say, one behind the other."""
    return str(json.loads(b'"' + b"".join(said) + b'"'))


def _writable(value: object) -> dict[str, Any] | None:
    """``value`` if it is an object that JSON can say: a number may have been larger than any that is (1e999)."""
    try:
        json.dumps(value, allow_nan=False)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _quoted(text: str) -> bytes:
    return json.dumps(text).encode()[1:-1]
