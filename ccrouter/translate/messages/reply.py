"""Another server's Messages stream as a strict client must see it. Anthropic's own never comes here.

Many servers speak Anthropic's format, few by the book: starts and stops are missing, indexes skipped or used
twice, blocks interleave, input stands where no client reads it, ids repeat, counts are zero, an error has another
envelope or none at all. What has one meaning only is put right; everything else is an error in clear words, and
no end is ever made up. An event that needs no change keeps its bytes, unknown fields and types included: of a
correct stream only the message's id, its model's name and the signatures are others, and a block that not
everybody understands says whose it is. The id is always replaced: the client merges turns whose ids are equal, and
nothing tells whether a server will use one twice. The name is the one that the client asked for, or it leaves the
message's thinking out of its next requests.

`ccrouter.translate.messages.blocks` puts the blocks in order, `ccrouter.translate.messages.end` the counts and the
reason. Here is the order of the whole: what comes in front of the message waits, since an error may follow; and
from the first ``message_delta`` on everything waits for the end, as only then it is known if that was the last
word. A message is whole when the backend said why it ends, or that it does with no block open.

Source: Anthropic's *Streaming messages*; servers' own ways as noted in tests/cases/messages_reply.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ccrouter.errors import ApiError, FrameError, TruncatedStream
from ccrouter.providers.provider import Target
from ccrouter.translate import stops, tokens
from ccrouter.translate.dialect import Kept
from ccrouter.translate.messages.block import Written
from ccrouter.translate.messages.blocks import MessagesBlocks
from ccrouter.translate.messages.end import End, message
from ccrouter.translate.refusal import own_failure
from ccrouter.translate.rewording import reword_event
from ccrouter.wire import envelope, events, json_text
from ccrouter.wire.events import Event
from ccrouter.wire.grammar import KNOWN
from ccrouter.wire.messages import MessagesRequest
from ccrouter.wire.sse import Frame


class MessagesReply:
    """A `ccrouter.translate.dialect.Reply` of the client's own wire."""

    def __init__(self, request: MessagesRequest, target: Target, message_id: str) -> None:
        self._request = request
        self._target = target
        self._message_id = message_id
        self.failure: ApiError | None = None
        self._blocks = MessagesBlocks(request, target, message_id)
        self._start: dict[str, Any] | None = None
        self._content: list[Any] = []
        """What stood in the start, where no client reads it."""
        self._held: list[Kept] = []
        """What came in front of the message."""
        self._end = End()
        self._last: list[Kept] = []
        """Everything since the first ``message_delta``; an empty ``raw`` is to be written anew."""
        self._ended = False

    @property
    def notes(self) -> tuple[str, ...]:
        """See `Reply`."""
        return self._blocks.notes

    @notes.setter
    def notes(self, notes: tuple[str, ...]) -> None:
        self._blocks.notes = notes

    def feed(self, frame: Frame) -> Sequence[Written]:
        """See `Reply`."""
        if self._ended:
            return []
        if self._start is not None and (plain := self._blocks.plain(frame.raw)) is not None:
            return plain
        data = (frame.data or b"").strip()
        name = frame.event
        value = json_text.loads_or_none(data, nan="refuse")
        told = value.get("type") if isinstance(value, dict) else None
        kind = told if isinstance(told, str) else name
        if name == "error" or kind == "error" or (kind not in KNOWN and envelope.is_error(value)):
            return self._fail(frame, data, value)
        if kind is None or kind == "ping" or kind not in KNOWN:
            return self._aside(frame, kind, is_read=isinstance(told, str))
        if value is None and not data:
            value = {}
        if not isinstance(value, dict):
            raise FrameError(f"the backend sent a {kind} event that is no JSON object")
        try:
            return self._take({**value, "type": kind}, frame.raw if kind == name == told else None)
        except RecursionError:
            raise FrameError(f"the backend sent a {kind} event that is nested too deep") from None

    def close(self) -> Sequence[Written]:
        """See `Reply`."""
        if self._ended:
            return []
        if self._end.reason is None:
            raise TruncatedStream("the backend ended the stream before the message was whole")
        return self._finish(events.message_stop())

    def _take(self, event: Event, raw: bytes | None) -> list[Written]:
        if event["type"] == "message_start":
            return self._begin(event)
        found = self._begin({})
        match event["type"]:
            case "content_block_start":
                found += self._blocks.start(event, raw)
            case "content_block_delta":
                found += self._blocks.delta(event, raw)
            case "content_block_stop":
                found += self._blocks.stop(event, raw)
            case "message_delta":
                self._end.tell(event)
                self._last.append(Kept(event, raw or b""))
            case _:
                if not self._end.told and (self._blocks.is_open or not self._blocks.begun):
                    raise TruncatedStream("the backend ended the message without a reason, before it was whole")
                found += self._finish(event if raw is None else Kept(event, raw))
        return found

    def _aside(self, frame: Frame, kind: str | None, *, is_read: bool) -> list[Written]:
        """A ping, a comment, or an event of a type that is not known. ``is_read``: it says its type itself."""
        if is_read or (frame.data is None and kind is None):
            event = Kept({"type": kind or "ping"}, frame.raw)
        elif kind == "ping":
            event = Kept(events.ping(), events.encode(events.ping()))
        else:
            return []
        if self._start is None:
            self._held.append(event)
        elif self._last:
            self._last.append(event)
        else:
            return self._blocks.aside(event)
        return []

    def _begin(self, event: Event) -> list[Written]:
        """The message's start, once, however often it is told."""
        if self._start is not None:
            return []
        given = event.get("message")
        self._start = message(given, self._message_id, self._request.model, self._prompt)
        content = given.get("content") if isinstance(given, dict) else None
        self._content = content if isinstance(content, list) else []
        start = {**event, "type": "message_start", "message": self._start}
        # A client that doesn't know an event takes it for a message that begins wrong.
        pings = [each for each in self._held if each.event["type"] == "ping"]
        return [*pings, start, *(each for each in self._held if each.event["type"] != "ping")]

    def _finish(self, stop: Written) -> list[Written]:
        if (failure := stops.failure(self._end.reason or "")) is not None:
            self._ended = True
            self.failure = own_failure(self._target, *failure)
            return [events.error(self.failure.kind, self.failure.message)]
        found: list[Written] = []
        if not self._blocks.begun:
            for index, block in enumerate(self._content):
                found += self._blocks.start(events.block_start(index, block), None)
        found += self._blocks.finish(broken_off=self._end.broken_off)
        right = self._end.settle(
            start=self._start or {},
            called=self._blocks.called,
            asked=stops.stop_sequences(self._request.fields),
            text=self._blocks.last_text(),
            output=lambda: tokens.estimate_text(self._blocks.words()),
        )
        if right is None:
            found += [each if each.raw else each.event for each in self._last]
        else:
            found += [right, *(each for each in self._last if each.event["type"] != "message_delta")]
        self._ended = True
        return [*found, stop]

    def _fail(self, frame: Frame, data: bytes, value: Any) -> list[Written]:
        self._ended = True
        self.failure, as_it_is = reword_event(self._request, self._target, data)
        if not as_it_is:
            return [events.error(self.failure.kind, self.failure.message)]
        return [Kept(value, frame.raw) if frame.event == "error" else value]

    def _prompt(self) -> int:
        return tokens.of(self._request, self._target)
