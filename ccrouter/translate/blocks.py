"""Content blocks of a Messages stream that ccrouter writes itself, for all dialects.

A dialect's reader says what it found (text, thinking, a whole tool call, the end); `Blocks` opens, numbers and
closes the blocks, so that they never interleave, and every stream of every dialect has the same shape. Each
method gives the events that follow from it.

Tool calls come in whole: upstreams interleave, repeat and break their fragments in many ways, and a fragment that
was sent can't be taken back. The reader gathers a call (`ccrouter.translate.calls`) and hands it over when its
input is known to be a JSON object. Meanwhile the client must see more than pings: after ten minutes of nothing
else it gives up and asks again, but empty deltas count (Claude Code 2.1.329, tried 2026-11-20). `wait` sends them.

**Signatures.** A signature without thinking to sign becomes a block of nothing else, in front of the block that
follows it. One that nothing follows is left out: behind a text it would be the last block, and then the client
takes that for its answer (Claude Code 2.1.329 with ``-p`` prints nothing, tried 2026-11-20).

**Who wants no thinking** (``thinking: {type: disabled}``, as in the client's own small questions, which expect an
answer of text only) gets none, from any dialect, wherever the reasoning stood: Anthropic sends none either. The
one exception is what a backend refuses the next turn without: such a signature goes in front of the next tool
call, and nowhere else. Reasoning that would have to go back as readable text is lost then; a backend that insists
on its field gets it empty (`Quirks.replay_always`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from ccrouter.wire import events
from ccrouter.wire.events import Event


def wants_thinking(fields: Mapping[str, Any]) -> bool:
    """Whether the request with these members leaves it to the model to think."""
    thinking = fields.get("thinking")
    return not (isinstance(thinking, Mapping) and thinking.get("type") == "disabled")


#: How many characters of a call are gathered between two signs of life. A slow model writes ten in a second.
_PULSE = 2_000


class LeadingSpace:
    """Holds back the white space that a text begins with: a block of nothing else is refused on its way back."""

    def __init__(self) -> None:
        self._held: list[str] = []

    def feed(self, text: str, *, begun: bool) -> str:
        """What is to be written now. ``begun``: some of this text was written before."""
        if begun:
            return text
        self._held.append(text)
        if not text.strip():
            return ""
        text = "".join(self._held)
        self._held.clear()
        return text


class Blocks:
    """The writer of one message. ``counts`` is asked once, for the usage that is known when the message begins."""

    def __init__(
        self,
        message_id: str,
        model: str,
        *,
        counts: Callable[[], Mapping[str, Any]] = dict,
        thinking: bool = True,
        signature: str = "",
    ) -> None:
        """``thinking``: it is wanted. ``signature``: of thinking that is not signed otherwise."""
        self._message_id = message_id
        self._model = model
        self._counts = counts
        self._thinking = thinking
        self._default = signature
        self._index = 0
        self._open: str | None = None
        self._begun = False
        self._waiting: list[str] = []
        """Signatures for the front of the block that follows."""
        self._gathered = 0
        self.called = False
        """Whether a tool call was among the blocks."""

    def text(self, text: str) -> list[Event]:
        """More text. Empty text opens nothing."""
        return (
            self._more("text", {"type": "text", "text": ""}, {"type": "text_delta", "text": text}) if text else []
        )

    def thinking(self, text: str) -> list[Event]:
        """More thinking, in the open thinking block or a new one."""
        if not text:
            return []
        if not self._thinking:
            return self.close()
        block = {"type": "thinking", "thinking": "", "signature": ""}
        return self._more("thinking", block, {"type": "thinking_delta", "thinking": text})

    def sign(self, signature: str, *, needed: bool = False) -> list[Event]:
        """Sign the open thinking block and close it; without one, sign what follows.

        ``needed``: the backend refuses its own calls without this.
        """
        if self._open == "thinking":
            return self._close(signature)
        if self._thinking or needed:
            self._waiting.append(signature)
        return self.close()

    def wait(self, characters: int) -> list[Event]:
        """A sign of life, now and then, while so many more characters of calls were gathered."""
        self._gathered += characters
        if self._gathered < _PULSE:
            return []
        self._gathered = 0
        if self._open == "text":
            return [events.block_delta(self._index, {"type": "text_delta", "text": ""})]
        if not self._thinking:
            return []
        block = {"type": "thinking", "thinking": "", "signature": ""}
        return self._more("thinking", block, {"type": "thinking_delta", "thinking": ""})

    def tool(self, call_id: str, name: str, arguments: Mapping[str, Any]) -> list[Event]:
        """A whole tool call. Its input travels in a delta: the client reads none from the block's start."""
        self.called = True
        return self._call("tool_use", call_id, name, arguments)

    def server_tool(self, call_id: str, name: str, arguments: Mapping[str, Any]) -> list[Event]:
        """A call that the backend itself has served."""
        return self._call("server_tool_use", call_id, name, arguments)

    def whole(self, block: dict[str, Any]) -> list[Event]:
        """A block that has no deltas, such as the result of a search."""
        return self._start(str(block["type"]), block) + self.close()

    def close(self) -> list[Event]:
        """Close the open block, if any."""
        return self._close(self._default)

    def finish(
        self, reason: str, usage: Mapping[str, Any], stop: str | None = None, explanation: str | None = None
    ) -> list[Event]:
        """The end of a whole message. ``explanation``: a refusal's own words."""
        found = self._begin() + self.close()
        if self._thinking and self._index == 0:
            found += self._sign_what_follows()
        details = {"type": "refusal", "category": None, "explanation": explanation or None}
        found.append(
            events.message_delta(
                reason, {"output_tokens": 0, **usage}, stop, details if reason == "refusal" else None
            )
        )
        found.append(events.message_stop())
        return found

    def _call(self, kind: str, call_id: str, name: str, arguments: Mapping[str, Any]) -> list[Event]:
        found = self._start(kind, {"type": kind, "id": call_id, "name": name, "input": {}})
        text = json.dumps(arguments, ensure_ascii=False, separators=(",", ":"))
        found.append(events.block_delta(self._index, {"type": "input_json_delta", "partial_json": text}))
        return found + self.close()

    def _more(self, kind: str, block: dict[str, Any], delta: dict[str, Any]) -> list[Event]:
        found = self._start(kind, block) if self._open != kind else []
        found.append(events.block_delta(self._index, delta))
        return found

    def _start(self, kind: str, block: dict[str, Any]) -> list[Event]:
        found = self._begin() + self.close()
        if self._thinking or kind == "tool_use":
            found += self._sign_what_follows()
        return found + self._opened(kind, block)

    def _opened(self, kind: str, block: dict[str, Any]) -> list[Event]:
        self._open = kind
        return [events.block_start(self._index, block)]

    def _sign_what_follows(self) -> list[Event]:
        waiting, self._waiting = self._waiting, []
        found: list[Event] = []
        for signature in waiting:
            found += self._opened("thinking", {"type": "thinking", "thinking": "", "signature": ""})
            found += self._close(signature)
        return found

    def _close(self, signature: str) -> list[Event]:
        if self._open is None:
            return []
        delta = {"type": "signature_delta", "signature": signature}
        found = [events.block_delta(self._index, delta)] if self._open == "thinking" and signature else []
        self._open = None
        self._index += 1
        return [*found, events.block_stop(self._index - 1)]

    def _begin(self) -> list[Event]:
        if self._begun:
            return []
        self._begun = True
        usage = {"input_tokens": 0, "output_tokens": 0, **self._counts()}
        return [events.message_start(self._message_id, self._model, usage)]
