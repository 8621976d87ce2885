"""An ``/api/chat`` stream as a Messages stream.

Theory of operation
-------------------
Each line is one object with a piece of the message: ``thinking``, ``content``, ``tool_calls``. Text and thinking
are written as they come, through `Blocks`. Calls come whole, each in one line; they are kept and written at the
end, as in this wire they stand beside the text without an order, and the client takes a text behind them for its
answer. Nothing is written before something was said, so that a backend that fails at once can still be replaced by
another.

A reply is whole when a line said ``done``. Its counts come with that. An ``error`` may stand in any line, and is
the last of them: the server writes it with a status of 200 once it has begun.

**A full window.** ``length`` means that the limit or the end of the window was reached. The client deals with the
two in different ways; by the server's own counts they can be told apart.

Source: ollama's api/types.go and server/routes.go, 0.14 to fb30760 (2026-11).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from ccrouter.errors import ApiError, FrameError, TruncatedStream
from ccrouter.providers.provider import Target
from ccrouter.translate import provenance, stops, usage
from ccrouter.translate.blocks import Blocks, LeadingSpace, wants_thinking
from ccrouter.translate.calls import arguments_of
from ccrouter.translate.conversation import read
from ccrouter.translate.members import as_object, frame_object, objects
from ccrouter.translate.provenance import Origin
from ccrouter.translate.refusal import Rejection, classify, own_failure
from ccrouter.translate.stops import StopCutter
from ccrouter.translate.think_tags import Piece, ThinkTags, lone_closing_tag
from ccrouter.translate.tools import Names, client_id
from ccrouter.wire import envelope, events
from ccrouter.wire.events import Event
from ccrouter.wire.messages import MessagesRequest

#: Words as the same server's Messages wire has them: a model may change wires in mid-conversation.
_PAYLOAD = {"f": "messages"}

_TOO_DEEP = "the backend sent a line that is nested too deep"

_LONE_TAG = "the answer has a </think> that nothing opened: does the model's template know its thinking?"

#: A window counts as full when no more than this is left of it, in tokens.
_LEFT = 1


class OllamaReply:
    """A `ccrouter.translate.dialect.Reply` of Ollama's own wire; its frames are lines."""

    def __init__(self, request: MessagesRequest, target: Target, message_id: str) -> None:
        self._request = request
        self._target = target
        self._message_id = message_id
        self.failure: ApiError | None = None
        self.notes: tuple[str, ...] = ()
        self._counting = usage.Counting(request, target)
        self._blocks = Blocks(
            message_id,
            request.model,
            counts=self._counting.at_start,
            thinking=wants_thinking(request.fields),
            signature=provenance.sign(Origin(target.provider.name, target.model, _PAYLOAD)),
        )
        self._tags = ThinkTags()
        self._cutter = StopCutter(stops.stop_sequences(request.fields))
        self._calls: list[Mapping[str, Any]] = []
        self._in_text = False
        """Whether the latest words were text."""
        self._space = LeadingSpace()
        self._said: list[str] = []
        self._ended = False

    def feed(self, frame: bytes) -> list[Event]:
        """See `Reply`."""
        if self._ended:
            return []
        try:
            return self._line(frame_object(frame, "a line"))
        except RecursionError:
            raise FrameError(_TOO_DEEP) from None

    def close(self) -> list[Event]:
        """See `Reply`."""
        if not self._ended:
            raise TruncatedStream("the backend ended the stream before the message was whole")
        return []

    def _line(self, line: dict[str, Any]) -> list[Event]:
        if envelope.is_error(line):
            return self._fail(line)
        message = as_object(line.get("message"))
        found: list[Event] = []
        thought, content = message.get("thinking"), message.get("content")
        if isinstance(thought, str) and thought:
            found += self._settle() + self._think(thought)
        if isinstance(content, str) and content:
            found += self._tagged(self._tags.feed(content))
        calls = message.get("tool_calls")
        self._calls += [as_object(each.get("function")) | {"id": each.get("id")} for each in objects(calls)]
        if self._cutter.found is not None:  # the backend need not write on only to count its tokens
            return found + self._finished("stop_sequence", self._cutter.found)
        if line.get("done") is True:
            found += self._done(line)
        return found

    # What is written

    def _tagged(self, pieces: Iterable[Piece]) -> list[Event]:
        found: list[Event] = []
        for kind, text in pieces:
            found += self._think(text) if kind == "thinking" else self._text(self._cutter.feed(text))
        return found

    def _settle(self) -> list[Event]:
        """Write what was held back: something else comes now, so that it is text."""
        return self._tagged(self._tags.close()) + self._text(self._cutter.close())

    def _think(self, text: str) -> list[Event]:
        if not text:
            return []
        self._in_text = False
        self._counting.hear(text)
        return self._blocks.thinking(text)

    def _text(self, text: str) -> list[Event]:
        text = self._space.feed(text, begun=self._in_text)
        if not text:
            return []
        self._in_text = True
        self._counting.hear(text)
        self._said.append(text)
        return self._blocks.text(text)

    # Ends

    def _done(self, line: Mapping[str, Any]) -> list[Event]:
        self._counting.tell(line)
        reason = line.get("done_reason")
        finish = reason if isinstance(reason, str) else "stop"
        if failure := stops.failure(finish):
            return self._fail_by(*failure)
        found = self._settle()
        if self._cutter.found is not None:
            return found + self._finished("stop_sequence", self._cutter.found)
        ended = stops.stop_reason(finish)
        if ended == "max_tokens" and self._is_full():
            ended = "model_context_window_exceeded"
        return found + self._finished(ended, None)

    def _is_full(self) -> bool:
        """Whether the backend's own counts fill the window."""
        room, told = self._target.known.room, self._counting.told
        if room is None or "input_tokens" not in told or "output_tokens" not in told:
            return False
        return int(told["input_tokens"]) + int(told["output_tokens"]) >= room - _LEFT

    def _finished(self, reason: str, stop: str | None) -> list[Event]:
        """The calls, and the end."""
        calls: list[tuple[str, str, dict[str, Any]]] = []
        for index, call in enumerate(self._calls):
            name, call_id = call.get("name"), call.get("id")
            if not isinstance(name, str) or not name:
                return self._fail_by("api_error", "the backend called a tool without naming it")
            arguments = _arguments(call.get("arguments"))
            if arguments is None:
                return self._fail_by("api_error", f"the arguments of the call of {name!r} are no JSON object")
            known = call_id if isinstance(call_id, str) else None
            calls.append((client_id(known, self._message_id, index), name, arguments))
        found: list[Event] = []
        names = Names(read(self._request.fields)) if calls else None
        for call_id, name, arguments in calls:
            self._counting.hear(json.dumps(arguments, ensure_ascii=False))
            found += self._blocks.tool(call_id, names.back(name) if names else name, arguments)
        if reason == stops.ENDED and calls:
            reason = "tool_use"
        if lone_closing_tag("".join(self._said)):
            self.notes += (_LONE_TAG,)
        self._ended = True
        return found + self._blocks.finish(reason, self._counting.at_end(), stop)

    # Failures

    def _fail(self, line: Mapping[str, Any]) -> list[Event]:
        """The error event for what the backend says inside its stream."""
        self._ended = True
        words = envelope.message_in(json.dumps(line).encode()) or "an error without a word"
        rejection = Rejection(status=200, message=words, body=line)
        self.failure = classify(self._request, self._target, rejection)
        return [events.error(self.failure.kind, self.failure.message)]

    def _fail_by(self, kind: str, words: str) -> list[Event]:
        self._ended = True
        self.failure = own_failure(self._target, kind, words)
        return [events.error(self.failure.kind, self.failure.message)]


def _arguments(value: Any) -> dict[str, Any] | None:
    """The arguments of a call: an object, by the book. None for what can't be meant as one."""
    if value is None:
        return {}
    return arguments_of(value if isinstance(value, str) else json.dumps(value))
