"""Content blocks of a Messages stream that ccrouter writes itself, for all dialects.

A dialect's reader says what it found (text, thinking, a whole tool call, the end); `Blocks` opens, numbers and
closes the blocks, so that they never interleave, and every stream of every dialect has the same shape. Each
method gives the events that follow from it.

Tool calls come in whole: upstreams interleave, repeat and break their fragments in many ways, and a fragment that
was sent can't be taken back. The reader gathers a call (`ccrouter.translate.calls`) and hands it over when its
input is known to be a JSON object.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ccrouter.wire import events
from ccrouter.wire.events import Event


class Blocks:
    """The writer of one message. ``begun`` says whether message_start was given."""

    def __init__(self, message_id: str, model: str) -> None:
        self._message_id = message_id
        self._model = model
        self._index = 0
        self._open: str | None = None
        self.begun = False
        self.called = False
        """Whether a tool call was among the blocks."""

    def begin(self, usage: Mapping[str, Any] | None = None) -> list[Event]:
        """message_start, once; ``usage`` as far as it is known."""
        if self.begun:
            return []
        self.begun = True
        return [
            events.message_start(
                self._message_id, self._model, {"input_tokens": 0, "output_tokens": 0, **(usage or {})}
            )
        ]

    def text(self, text: str) -> list[Event]:
        """More text. Empty text opens nothing."""
        return (
            self._more("text", {"type": "text", "text": ""}, {"type": "text_delta", "text": text}) if text else []
        )

    def thinking(self, text: str) -> list[Event]:
        """More thinking, in the open thinking block or a new one."""
        if not text:
            return []
        block = {"type": "thinking", "thinking": "", "signature": ""}
        return self._more("thinking", block, {"type": "thinking_delta", "thinking": text})

    def sign(self, signature: str) -> list[Event]:
        """Sign the open thinking block and close it; without one, a block of nothing but the signature."""
        found = self.begin()
        if self._open != "thinking":
            found += self.close()
            found += self._start("thinking", {"type": "thinking", "thinking": "", "signature": ""})
        found.append(events.block_delta(self._index, {"type": "signature_delta", "signature": signature}))
        return found + self.close()

    def tool(self, call_id: str, name: str, arguments: Mapping[str, Any]) -> list[Event]:
        """A whole tool call. Its input travels in a delta: the client reads none from the block's start."""
        self.called = True
        return self._call("tool_use", call_id, name, arguments)

    def server_tool(self, call_id: str, name: str, arguments: Mapping[str, Any]) -> list[Event]:
        """A call that the backend itself has served."""
        return self._call("server_tool_use", call_id, name, arguments)

    def whole(self, block: dict[str, Any]) -> list[Event]:
        """A block that has no deltas, such as the result of a search."""
        found = self.begin() + self.close()
        found += self._start(str(block["type"]), block)
        return found + self.close()

    def close(self) -> list[Event]:
        """Close the open block, if any."""
        if self._open is None:
            return []
        self._open = None
        self._index += 1
        return [events.block_stop(self._index - 1)]

    def finish(self, stop_reason: str, usage: Mapping[str, Any], stop_sequence: str | None = None) -> list[Event]:
        """The end of a whole message."""
        found = self.begin() + self.close()
        found.append(events.message_delta(stop_reason, {"output_tokens": 0, **usage}, stop_sequence))
        found.append(events.message_stop())
        return found

    def _call(self, kind: str, call_id: str, name: str, arguments: Mapping[str, Any]) -> list[Event]:
        found = self.begin() + self.close()
        found += self._start(kind, {"type": kind, "id": call_id, "name": name, "input": {}})
        text = json.dumps(arguments, ensure_ascii=False, separators=(",", ":"))
        found.append(events.block_delta(self._index, {"type": "input_json_delta", "partial_json": text}))
        return found + self.close()

    def _more(self, kind: str, block: dict[str, Any], delta: dict[str, Any]) -> list[Event]:
        found = self.begin()
        if self._open != kind:
            found += self.close()
            found += self._start(kind, block)
        found.append(events.block_delta(self._index, delta))
        return found

    def _start(self, kind: str, block: dict[str, Any]) -> list[Event]:
        self._open = kind
        return [events.block_start(self._index, block)]
