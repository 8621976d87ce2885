"""The content blocks of another server's Messages stream, put in order: opened, numbered, filled and closed.

Theory of operation
-------------------
The blocks wait in a line. Only the first of it is written, and it leaves when it is closed: that alone keeps them
from interleaving, and gives them their numbers. A start closes the blocks before it, but for a call that isn't
whole yet, since servers write calls side by side. Which block a delta belongs to is asked in this order:

* the open block of its index, if it takes such a delta;
* if that index is unknown or used up, the one open block that does: there are servers that count in two ways;
* if its block was closed because another began, and is written to all the same, they are truly interleaved: the
  rest gets a block of its own, in line behind the open one;
* else a start is missing, and the delta itself says of what.

A call waits until its input is known to be a JSON object, so that one that is broken can still be mended, and one
that a limit broke off left out: where a server says ``{}`` for what it could not read, it would be run. A long one
can't wait, since the client gives up when it sees nothing for ten minutes; it is written as it comes. If that one
turns out broken, the stream fails, or ends with half of a call as Anthropic's own do at a limit.

A thinking block's signature always becomes one that says whose it is and holds what the backend said (see
`ccrouter.translate.provenance`), and so do the data of one that can't be read. Other blocks that not everybody
understands are marked with their maker (`ccrouter.translate.messages.makers`). Who wants no thinking gets none,
whether the server listens to that or not: it is the same rule as for the bridges (`ccrouter.translate.blocks`).
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Mapping
from itertools import islice
from typing import Any

from ccrouter.errors import FrameError
from ccrouter.providers.provider import Target
from ccrouter.translate.blocks import wants_thinking
from ccrouter.translate.dialect import Kept
from ccrouter.translate.messages import makers
from ccrouter.translate.messages.block import FIELDS, Block, Written, unquoted
from ccrouter.translate.tools import client_id, is_plain
from ccrouter.wire import events
from ccrouter.wire.events import Event
from ccrouter.wire.messages import MessagesRequest

#: Delta type -> the block that it opens where a start is missing. A call has a name and can't do without.
_OPENS: Mapping[str, dict[str, Any]] = {
    "text_delta": {"type": "text", "text": ""},
    "citations_delta": {"type": "text", "text": ""},
    "thinking_delta": {"type": "thinking", "thinking": "", "signature": ""},
    "signature_delta": {"type": "thinking", "thinking": "", "signature": ""},
}

#: How many characters of a call can wait. A slow model writes ten in a second.
_PATIENCE = 2_000

#: A delta as nearly all of them are: known for what it is without being decoded.
_PLAIN = re.compile(
    rb'event: ?content_block_delta\r?\ndata: ?\{"type": ?"content_block_delta", ?"index": ?(0|[1-9]\d{0,5}), ?'
    rb'"delta": ?\{"type": ?"([a-z_]+)", ?"([a-z_]+)": ?'
    rb'"([^"\\\x00-\x1f]*+(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*+)*+)"\}\}\r?\n\r?\n\Z'
)
_PLAIN_FIELDS = {kind.encode(): name.encode() for kind, name in FIELDS.items() if kind != "signature_delta"}


class MessagesBlocks:
    """The line of blocks. Methods give what can be written now; a call that never can be raises FrameError."""

    def __init__(self, request: MessagesRequest, target: Target, message_id: str) -> None:
        self._request = request
        self._target = target
        self._message_id = message_id
        self._thinking = wants_thinking(request.fields)
        self._line: deque[Block] = deque()
        self._all: list[Block] = []
        self._open: dict[Block, None] = {}
        """Those of them that are not closed."""
        self._at: dict[int | None, Block] = {}
        """Their index -> the block that it means now."""
        self._heard: dict[Block, None] = {}
        """Those of which anything came since the last start: the others are whole or not as they were then."""
        self._ids: set[str] | None = None
        self._next = 0
        self._ending = False
        self._broken_off = False
        self.called = False
        """Whether a tool call was written."""
        self.notes: tuple[str, ...] = ()

    @property
    def begun(self) -> bool:
        """Whether there was a block at all."""
        return bool(self._all)

    @property
    def is_open(self) -> bool:
        """Whether there is a block that was not closed in words."""
        return any(not block.stopped for block in self._line)

    def words(self) -> str:
        """All that was said, for an estimate of its tokens."""
        return unquoted(each for block in self._all for each in block.said)

    def last_text(self) -> str:
        """The text that the message ends with; "" when it ends with something else."""
        return unquoted(self._all[-1].said) if self._all and self._all[-1].kind == "text" else ""

    def plain(self, raw: bytes) -> list[Kept] | None:
        """A plain delta of the block that is being written; None for anything that must be looked at."""
        match = _PLAIN.match(raw)
        if match is None:
            return None
        index, kind, name, words = match.groups()
        block = self._at.get(int(index))
        if (
            block is None
            or block.closed
            or block.number != int(index)
            or block.witness["delta"]["type"] != kind.decode()
            or _PLAIN_FIELDS.get(kind) != name
            or not (raw.isascii() or _is_utf8(raw))
        ):
            return None
        block.said.append(words)
        block.size += len(words)
        self._heard[block] = None
        return [Kept(block.witness, raw)]

    def start(self, event: Event, raw: bytes | None) -> list[Written]:
        """A ``content_block_start``. One that doesn't say what it starts is passed over: its deltas will.

        So is one that is told twice: two calls would be made of it, one of them without its input.
        """
        given = event.get("content_block")
        if not isinstance(given, dict) or not isinstance(given.get("type"), str):
            return []
        known = self._at.get(_index(event))
        if known is not None and not known.closed and not known.said and known.told == given:
            return []
        block = self._read(event, given, raw)
        self._settle(known)
        return self._join(block, _index(event))

    def delta(self, event: Event, raw: bytes | None) -> list[Written]:
        """A ``content_block_delta``. One that says nothing that can be understood is passed over."""
        delta = event.get("delta")
        if not isinstance(delta, dict):
            return []
        kind = delta.get("type")
        if not isinstance(kind, str):
            kind = next((each for each, name in FIELDS.items() if isinstance(delta.get(name), str | dict)), "")
            delta, raw = {**delta, "type": kind}, None
        name = FIELDS.get(kind)
        words = "" if name is None else delta.get(name)
        if name is not None and isinstance(words, dict) and kind == "input_json_delta":
            words = json.dumps(words)
            delta, raw = {**delta, name: words}, None
        if not kind or not isinstance(words, str):
            return []
        idle = name is not None and not (words.strip() if kind == "input_json_delta" else words)
        block, found = self._owner(_index(event), kind, idle=idle)
        if block is None:
            return found
        if kind == "signature_delta":
            block.signed = True
            delta, raw = {**delta, "signature": self._sign(words)}, None
        elif name is not None:
            block.hear(words)
            self._heard[block] = None
        event = {**event, "delta": delta}
        return found + self._add(block, event if raw is None else Kept(event, raw))

    def stop(self, event: Event, raw: bytes | None) -> list[Written]:
        """A ``content_block_stop``. One for a block that isn't open is dropped."""
        block = self._at.get(_index(event))
        if block is None:
            still = [*islice(self._open, 2)]
            block = still[0] if len(still) == 1 and (not still[0].is_call or still[0].is_whole) else None
        if block is None or block.closed:
            if block is not None:
                block.stopped = True
            return []
        block.stopped = True
        self._shut(block)
        block.stop = None if raw is None else Kept(event, raw)
        return self._advance()

    def aside(self, event: Kept) -> list[Written]:
        """What stands between the events of blocks, such as a ping."""
        last = self._line[-1] if self._line else None
        if last is None or self._is_hidden(last) or (last.number is not None and not last.closed):
            return [event]
        (last.behind if last.closed else last.waiting).append(event)
        return []

    def finish(self, *, broken_off: bool) -> list[Written]:
        """Close what is open. ``broken_off``: by a limit or the like, and the last call may be half of one."""
        self._ending, self._broken_off = True, broken_off
        for block in [*self._open]:
            self._shut(block)
        return self._advance()

    # What a block is

    def _read(self, event: Event, given: dict[str, Any], raw: bytes | None) -> Block:
        start = dict(given)
        block = Block(start, event, told=given)
        for name in ("text", "thinking"):
            if block.kind == name:
                start[name] = ""
                if isinstance(words := given.get(name), str) and words:
                    block.say(f"{name}_delta", words)
        if block.kind == "thinking":
            start["signature"] = ""
            signature = given.get("signature")
            block.signature = signature if isinstance(signature, str) and signature else None
        if block.is_call:
            start["input"] = {}
            block.given = given.get("input")
        if block.kind == "tool_use":
            start["id"] = self._call_id(given.get("id"))
        if block.kind == "redacted_thinking":
            data = given.get("data")
            start["data"] = self._sign(data if isinstance(data, str) else None)
        if makers.needs_mark(given):
            mark = given.get(makers.MAKER)
            start[makers.MAKER] = self._sign(mark if isinstance(mark, str) else None)
        if raw is not None and start == given:
            block.opening = Kept(event, raw)
        return block

    def _call_id(self, told: object) -> str:
        """A call's own id where Anthropic would take it and no other call has it.

        The backend gets the one back that the client has: it looks for nothing but that call and result agree.
        """
        if self._ids is None:
            self._ids = _ids_in(self._request.fields)
        found = told if isinstance(told, str) else ""
        if not is_plain(found) or found in self._ids:
            found = client_id(found, self._message_id, len(self._all))
        self._ids.add(found)
        return found

    def _sign(self, signature: str | None) -> str:
        return makers.signature(self._target, **({} if signature is None else {"s": signature}))

    def _is_hidden(self, block: Block) -> bool:
        return block.is_thought and not self._thinking

    # Whose it is

    def _settle(self, replaced: Block | None = None) -> None:
        """Close what a start closes: the block ``replaced`` by it, and all that only wait for their stop."""
        for block in self._heard:
            if not block.is_call or block.is_whole:
                self._shut(block)
        self._heard.clear()
        if replaced is not None:
            self._shut(replaced)

    def _shut(self, block: Block) -> None:
        block.closed = True
        self._open.pop(block, None)

    def _owner(self, index: int | None, kind: str, *, idle: bool) -> tuple[Block | None, list[Written]]:
        """The block that a delta belongs to, and what is written to open it. ``idle``: it says nothing."""
        known = self._at.get(index)
        if known is not None and not known.closed and known.takes(kind):
            return known, []
        late = known is not None and known.closed and not known.stopped
        if not late or kind == "input_json_delta":
            fitting = [block for block in self._open if block.takes(kind)]
            if len(fitting) == 1:
                return fitting[0], []
        if idle:
            return None, []
        if kind == "input_json_delta":
            raise FrameError("the backend sent a tool's input without the call that it belongs to")
        if kind not in _OPENS or (kind == "signature_delta" and known is not None):
            self._note(f"a {kind[:40]} of the backend stood where none can, and was left out")
            return None, []
        if not late:
            self._settle()
        block = Block(dict(_OPENS[kind]))
        return block, self._join(block, index)

    def _note(self, note: str) -> None:
        if note not in self.notes:
            self.notes += (note,)

    # The line

    def _join(self, block: Block, index: int | None) -> list[Written]:
        self._line.append(block)
        self._all.append(block)
        self._open[block] = None
        self._heard[block] = None
        self._at[index] = block
        return self._advance()

    def _add(self, block: Block, written: Written) -> list[Written]:
        if self._is_hidden(block):
            return []
        if block.number is not None:
            return [block.numbered(written)]
        block.waiting.append(written)
        return self._advance()

    def _advance(self) -> list[Written]:
        """Write the first block as far as it goes, and those behind it once it is closed."""
        found: list[Written] = []
        while self._line:
            block = self._line[0]
            if not block.is_call or self._may_go(block):
                found += self._write(block)
            elif self._ending:
                self._note("a tool call that was broken off was left out")
            else:
                break
            if not block.closed:
                break
            self._line.popleft()
        return found

    def _may_go(self, call: Block) -> bool:
        """Whether a call may be written as far as it has come; if not, it waits, and at the end it is left out."""
        if not call.closed:
            return call.number is not None or (call.is_named and call.size > _PATIENCE)
        value, exact = call.arguments()
        if call.number is not None:
            if exact or self._broken_off:
                return True
        elif (
            call.is_named
            and value is not None
            # Without input it is either one that needs none, or one that was broken off.
            and (not call.is_empty or len(self._line) > 1 or (self._ending and not self._broken_off))
        ):
            return True
        if self._ending and not self._broken_off:
            if not call.is_named:
                raise FrameError("the backend called a tool without naming it")
            raise FrameError(f"the arguments of the call of {str(call.start['name'])[:64]!r} are no JSON object")
        return False

    def _write(self, block: Block) -> list[Written]:
        """What of a block can be written now that it is the first."""
        if self._is_hidden(block):
            return []
        found: list[Written] = []
        if block.number is None:
            self.called = self.called or block.kind == "tool_use"
            found += block.open(self._next)
            self._next += 1
        if block.closed:
            number = self._next - 1
            if block.kind == "thinking" and not block.signed:
                delta = {"type": "signature_delta", "signature": self._sign(block.signature)}
                found.append(events.block_delta(number, delta))
            found += [block.numbered(block.stop or events.block_stop(number)), *block.behind]
        return found


def _index(event: Event) -> int | None:
    """A server's index; None for what is none."""
    index = event.get("index")
    return index if type(index) is int else None


def _ids_in(fields: Mapping[str, Any]) -> set[str]:
    """The ids of the calls that the conversation has already."""
    messages = fields.get("messages")
    turns = (
        [each.get("content") for each in messages if isinstance(each, dict)] if isinstance(messages, list) else []
    )
    blocks = [block for turn in turns if isinstance(turn, list) for block in turn if isinstance(block, dict)]
    return {
        block["id"] for block in blocks if block.get("type") == "tool_use" and isinstance(block.get("id"), str)
    }


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True
