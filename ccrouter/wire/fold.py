"""What a stream means: its events folded into the whole message.

This is the reply that the same request would have got without streaming, and the measure of two streams
being the same: fold equality. Source: Anthropic's *Streaming messages*; the SDK's accumulation as measured
with anthropic 2.11.0 (a signature replaces, usage overwrites field by field).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ccrouter.errors import FrameError, WireError
from ccrouter.wire import json_text
from ccrouter.wire.events import Event
from ccrouter.wire.grammar import Grammar

#: Delta type -> (field of the delta, field of the block) whose texts are joined.
_JOINED = {
    "text_delta": ("text", "text"),
    "thinking_delta": ("thinking", "thinking"),
}

#: Fields of a message_delta event that are not the message's.
_OF_DELTA = frozenset({"type", "delta", "usage"})


def fold(events: Iterable[Event]) -> dict[str, Any]:
    """The message of a whole stream. Raises WireError for one that is not whole, carries an error, or lies."""
    grammar = Grammar()
    folder = Fold()
    for event in events:
        grammar.feed(event)
        folder.feed(event)
    grammar.finish()
    return folder.message()


class Fold:
    """Folds events of a stream that follows the grammar; `message` gives the snapshot so far."""

    def __init__(self) -> None:
        self._message: dict[str, Any] | None = None
        self._input: list[str] = []

    def message(self) -> dict[str, Any]:
        """The message as far as it has come. Raises WireError before message_start."""
        if self._message is None:
            raise WireError("no message_start yet")
        return self._message

    def feed(self, event: Event) -> None:
        """Take in one event. Raises WireError: an ``error`` event with its words, FrameError for a wrong shape."""
        try:
            self._take(event)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise FrameError(f"a {event.get('type')} event of the wrong shape: {error}") from None

    def _take(self, event: Event) -> None:
        match event["type"]:
            case "message_start":
                start = event["message"]
                self._message = {**start, "content": list(start["content"]), "usage": dict(start["usage"])}
            case "content_block_start":
                block = dict(event["content_block"])
                self.message()["content"].append(block)
                if block["type"] == "fallback":  # it names the model that went on with the message
                    self.message()["model"] = block["to"]["model"]
            case "content_block_delta":
                self._delta(self.message()["content"][-1], event["delta"])
            case "content_block_stop":
                if self._input:
                    self._close_input(self.message()["content"][-1])
            case "message_delta":
                message = self.message()
                _overwrite(message["usage"], event.get("usage") or {})
                _overwrite(message, event["delta"])
                # What stands beside the delta is the message's too, such as context_management.
                _overwrite(message, {key: value for key, value in event.items() if key not in _OF_DELTA})
            case "error":
                raise WireError(f"{event['error'].get('type')}: {event['error'].get('message')}")
            case _:
                pass

    def _delta(self, block: dict[str, Any], delta: dict[str, Any]) -> None:
        kind = delta["type"]
        if kind in _JOINED:
            source, into = _JOINED[kind]
            block[into] = block.get(into, "") + delta[source]
        elif kind == "input_json_delta":
            self._input.append(delta["partial_json"])
        elif kind == "citations_delta":
            block["citations"] = [*(block.get("citations") or []), delta["citation"]]
        else:
            # signature_delta, compaction_delta and what may come: their fields are the block's.
            block.update({key: value for key, value in delta.items() if key != "type"})

    def _close_input(self, block: dict[str, Any]) -> None:
        text = "".join(self._input)
        self._input = []
        if not text:
            return  # "" says {}: the input that the block opened with stands
        try:
            block["input"] = json_text.loads(text, nan="null")  # the message is written anew
        except FrameError as error:
            raise FrameError(f"the input of tool {block.get('name')!r} {error}") from None


def _overwrite(old: dict[str, Any], new: dict[str, Any]) -> None:
    """Totals and reasons replace what was said before; None says nothing, but that the field exists."""
    for key, value in new.items():
        if value is not None or key not in old:
            old[key] = value
