"""Which event may follow which in a Messages stream.

Theory of operation
-------------------
A stream is one message: it opens, its content blocks open and close one after the other, it says why it
ends, and it stops. All of that is the table `TRANSITIONS`; an event that has no entry for the present state
is an error. What does not fit a table stands right below it, in `Grammar.feed`: blocks are numbered from 0
without gaps, a delta names the open block and is of a kind that this block takes (`DELTAS`).

Events and blocks of unknown types are allowed wherever the stream lives: the wire grows with each release
of the API, and its clients skip what they do not know.

Source: Anthropic's *Streaming messages*; what Claude Code does with each breach was measured 2026-11-20.
"""

from __future__ import annotations

from enum import Enum

from ccrouter.errors import GrammarError, TruncatedStream
from ccrouter.wire.events import Event


class State(Enum):
    """Where in the message a stream stands."""

    START = "before message_start"
    BETWEEN = "between blocks"
    BLOCK = "inside a block"
    CLOSING = "after message_delta"
    STOPPED = "after message_stop"
    FAILED = "after error"


TRANSITIONS: dict[State, dict[str, State]] = {
    State.START: {
        "message_start": State.BETWEEN,
        "ping": State.START,
        "error": State.FAILED,
    },
    State.BETWEEN: {
        "content_block_start": State.BLOCK,
        "message_delta": State.CLOSING,
        "ping": State.BETWEEN,
        "error": State.FAILED,
    },
    State.BLOCK: {
        "content_block_delta": State.BLOCK,
        "content_block_stop": State.BETWEEN,
        "ping": State.BLOCK,
        "error": State.FAILED,
    },
    State.CLOSING: {
        "message_delta": State.CLOSING,
        "message_stop": State.STOPPED,
        "ping": State.CLOSING,
        "error": State.FAILED,
    },
    State.STOPPED: {},
    State.FAILED: {},
}

#: Event types that the table speaks of; all others are passed over.
KNOWN = frozenset(kind for row in TRANSITIONS.values() for kind in row)

#: The last states: nothing may follow.
ENDED = frozenset({State.STOPPED, State.FAILED})

#: Block type -> the types of the deltas that it takes. A block type that is not here takes any.
DELTAS: dict[str, frozenset[str]] = {
    "text": frozenset({"text_delta", "citations_delta"}),
    "thinking": frozenset({"thinking_delta", "signature_delta"}),
    "redacted_thinking": frozenset(),
    "tool_use": frozenset({"input_json_delta"}),
    "server_tool_use": frozenset({"input_json_delta"}),
    "mcp_tool_use": frozenset({"input_json_delta"}),
    "compaction": frozenset({"compaction_delta"}),
}


class Grammar:
    """Follows one stream. `feed` each event in turn, `finish` at the end; both raise when it is not right."""

    def __init__(self) -> None:
        self.state = State.START
        self._next_index = 0
        self._block_type = ""

    def feed(self, event: Event) -> None:
        """Advance by one event; raise GrammarError where it may not stand."""
        kind = event.get("type")
        if not isinstance(kind, str):
            raise GrammarError("an event without a type")
        if kind not in KNOWN:
            if self.state in ENDED:
                raise GrammarError(f"{kind!r} {self.state.value}")
            return
        following = TRANSITIONS[self.state].get(kind)
        if following is None:
            raise GrammarError(f"{kind} {self.state.value}")
        if kind.startswith("content_block_"):
            self._check_block(kind, event)
        self.state = following

    def _check_block(self, kind: str, event: Event) -> None:
        index = event.get("index")
        if index != self._next_index or isinstance(index, bool):
            raise GrammarError(f"{kind} has index {index!r}, expected {self._next_index}")
        match kind:
            case "content_block_start":
                block = event.get("content_block")
                block_type = block.get("type") if isinstance(block, dict) else None
                if not isinstance(block_type, str):
                    raise GrammarError("content_block_start without a typed content_block")
                self._block_type = block_type
            case "content_block_delta":
                delta = event.get("delta")
                delta_type = delta.get("type") if isinstance(delta, dict) else None
                if not isinstance(delta_type, str):
                    raise GrammarError("content_block_delta without a typed delta")
                allowed = DELTAS.get(self._block_type)
                if allowed is not None and delta_type not in allowed:
                    raise GrammarError(f"{delta_type} in a {self._block_type} block")
            case _:
                self._next_index += 1

    def finish(self) -> None:
        """Raise TruncatedStream unless the stream came to one of its ends."""
        if self.state not in ENDED:
            raise TruncatedStream(f"the stream ended {self.state.value}")
