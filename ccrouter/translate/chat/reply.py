"""A Chat Completions stream as a Messages stream.

Theory of operation
-------------------
Text and reasoning (`ccrouter.translate.chat.reasoning`) are written as they come, through `Blocks`. Tool calls are
gathered and written at the end: in this wire ``content`` and ``tool_calls`` stand beside each other without an
order, fragments of calls come in every way (see `ccrouter.translate.calls`), and what was written can't be taken
back. That weighs most where a limit breaks a call off: it is left out now, but once begun it could be neither left
out nor made whole, as half of a command would be run and half of a file written. Nothing is written before
something was said, so that a backend that fails at once can still be replaced by another.

A reply is whole when it gave a finish reason and then ended, by ``[DONE]``, by a chunk of usage alone, or with the
bytes. ``[DONE]`` by itself proves nothing: proxies write it after a backend that broke, too.

Stop sequences are cut by the router whether the wire took them or not: a backend that stops at one never lets it
through. A reply that was cut ends at once; the backend need not write on only to count its tokens.

Source: OpenAI's *Chat completions streaming*; vendors' own ways as noted in tests/cases/chat_reply.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ccrouter.errors import ApiError, FrameError, TruncatedStream
from ccrouter.providers.provider import Target
from ccrouter.translate import provenance, stops, usage
from ccrouter.translate.blocks import Blocks, LeadingSpace, wants_thinking
from ccrouter.translate.calls import Call, Calls, arguments_of
from ccrouter.translate.chat.failure import failure_in, words_of
from ccrouter.translate.chat.reasoning import Payload, Reasoning, is_needed, is_thought, signature_of
from ccrouter.translate.conversation import read
from ccrouter.translate.members import as_object, frame_object, objects
from ccrouter.translate.provenance import Origin
from ccrouter.translate.refusal import Rejection, classify, own_failure
from ccrouter.translate.stops import StopCutter
from ccrouter.translate.think_tags import Piece, ThinkTags, lone_closing_tag
from ccrouter.translate.tools import Names, client_id
from ccrouter.wire import events
from ccrouter.wire.events import Event
from ccrouter.wire.messages import MessagesRequest
from ccrouter.wire.sse import Frame

#: Where vLLM and SGLang name the stop sequence that ended the text.
_STOPPED_BY = ("stop_reason", "matched_stop")

_DONE = b"[DONE]"

_TOO_DEEP = "the backend sent a chunk that is nested too deep"

_LONE_TAG = "the answer has a </think> that nothing opened: is the server's reasoning parser off?"


class ChatReply:
    """A `ccrouter.translate.dialect.Reply` of the Chat Completions wire."""

    def __init__(self, request: MessagesRequest, target: Target, message_id: str) -> None:
        self._request = request
        self._target = target
        self._message_id = message_id
        quirks = target.provider.preset.quirks
        self.failure: ApiError | None = None
        self.notes: tuple[str, ...] = ()
        self._counting = usage.Counting(request, target, reasoning_apart=quirks.reasoning_apart)
        self._blocks = Blocks(
            message_id,
            request.model,
            counts=self._counting.at_start,
            thinking=wants_thinking(request.fields),
            signature=provenance.sign(Origin(target.provider.name, target.model)),
        )
        self._tags = ThinkTags()
        self._stops = stops.stop_sequences(request.fields)
        self._cutter = StopCutter(self._stops)
        self._calls = Calls()
        self._reasoning = Reasoning(quirks.replay)
        self._writing: str | None = None
        """What the latest words were: text or thinking."""
        self._space = LeadingSpace()
        self._text_said: list[str] = []
        self._refusal: list[str] = []
        self._finish: str | None = None
        self._stopped_by: str | None = None
        self._ended = False

    def feed(self, frame: Frame) -> list[Event]:
        """See `Reply`."""
        data = (frame.data or b"").strip()
        if not data or self._ended:
            return []
        if data == _DONE:
            return self.close() if self._finish else []
        try:
            return self._chunk(frame_object(data, "a chunk"), frame)
        except RecursionError:
            raise FrameError(_TOO_DEEP) from None

    def close(self) -> list[Event]:
        """See `Reply`."""
        try:
            return [] if self._ended else self._end()
        except RecursionError:
            raise FrameError(_TOO_DEEP) from None

    # Chunks

    def _chunk(self, chunk: dict[str, Any], frame: Frame) -> list[Event]:
        if (error := failure_in(chunk, frame.event)) is not None:
            return self._fail(error)
        counts = usage.in_chunk(chunk)
        self._counting.tell(counts)
        found: list[Event] = []
        for choice in [each for each in objects(chunk.get("choices")) if each.get("index") in (0, None)][:1]:
            found += self._delta(as_object(choice.get("delta")))
            if self._cutter.found is not None:
                return found + self._finished("stop_sequence", self._cutter.found, broken_off=True)
            finish = choice.get("finish_reason")
            if isinstance(finish, str) and finish:
                if failure := stops.failure(finish):
                    return found + self._fail_by(*failure)
                self._finish = finish
            for key in _STOPPED_BY:
                if choice.get(key) in self._stops:
                    self._stopped_by = choice[key]
        if self._finish and counts and not chunk.get("choices"):
            found += self._end()
        return found

    def _delta(self, delta: Mapping[str, Any]) -> list[Event]:
        found: list[Event] = []
        if thought := self._reasoning.read(delta):
            found += self._settle() + self._think(thought)
        if is_thought(delta) and self._writing == "text":  # once more, behind a text
            found += self._settle()
            self._tags.restart()
        found += self._content(delta.get("content"))
        refusal = delta.get("refusal")
        if isinstance(refusal, str) and refusal:
            self._refusal.append(refusal)
            found += self._settle() + self._text(refusal)
        fragments = objects(delta.get("tool_calls"))
        if isinstance(delta.get("function_call"), dict):  # before there were tools
            fragments.append({"index": 0, "function": delta["function_call"]})
        if fragments:
            found += self._blocks.wait(sum(map(self._calls.feed, fragments)))
        return found

    def _content(self, content: Any) -> list[Event]:
        if isinstance(content, str):
            return self._tagged(self._tags.feed(content))
        found: list[Event] = []
        for part in content if isinstance(content, list) else []:  # Mistral
            if isinstance(part, dict) and part.get("type") == "thinking":
                found += self._settle() + self._think(self._reasoning.read_part(part))
            else:
                text = part.get("text") if isinstance(part, dict) else part
                found += self._tagged(self._tags.feed(text)) if isinstance(text, str) else []
        return found

    # What is written

    def _tagged(self, pieces: Iterable[Piece]) -> list[Event]:
        found: list[Event] = []
        for kind, text in pieces:
            if kind == "thinking":
                self._reasoning.read_tagged()
                found += self._think(text)
            else:
                found += self._text(self._cutter.feed(text))
        return found

    def _settle(self) -> list[Event]:
        """Write what was held back: something else comes now, so that it is text."""
        return self._tagged(self._tags.close()) + self._text(self._cutter.close())

    def _think(self, text: str) -> list[Event]:
        if not text:
            return []
        self._writing = "thinking"
        self._counting.hear(text)
        return self._blocks.thinking(text)

    def _text(self, text: str) -> list[Event]:
        text = self._space.feed(text, begun=self._writing == "text")
        if not text:
            return []
        found = self._sign(self._reasoning.take()) if self._writing != "text" else []
        self._writing = "text"
        self._counting.hear(text)
        self._text_said.append(text)
        return found + self._blocks.text(text)

    def _sign(self, payload: Payload | None) -> list[Event]:
        """End the reasoning since the last signature; nothing where there was none."""
        if self._writing != "thinking" and payload is None:
            return []
        self._writing = None
        origin = Origin(self._target.provider.name, self._target.model, payload)
        return self._blocks.sign(provenance.sign(origin), needed=is_needed(payload))

    # Ends

    def _end(self) -> list[Event]:
        if self._finish is None:
            raise TruncatedStream("the backend ended the stream before the message was whole")
        found = self._settle()
        if self._cutter.found is not None:
            return found + self._finished("stop_sequence", self._cutter.found, broken_off=True)
        reason = stops.stop_reason(self._finish)
        return found + self._finished(reason, None, broken_off=reason != stops.ENDED)

    def _finished(self, reason: str, stop: str | None, *, broken_off: bool) -> list[Event]:
        """The calls, and the end. ``broken_off``: a call that is not whole was cut, and is left out."""
        whole: list[tuple[Call, dict[str, Any]]] = []
        for call in self._calls.found:
            self._counting.hear(call.text)  # one that is left out was written, too
            arguments = arguments_of(call.text)
            if broken_off and not (call.name and arguments):
                continue  # with no arguments, too: they may not have come yet
            if not call.name:
                return self._fail_by("api_error", "the backend called a tool without naming it")
            if arguments is None:
                return self._fail_by("api_error", f"the arguments of the call of {call.name!r} are no JSON object")
            whole.append((call, arguments))
        found = self._write(whole)
        if reason == stops.ENDED and self._refusal:
            reason = "refusal"
        elif reason == stops.ENDED and whole:
            reason = "tool_use"
        elif reason == stops.ENDED and self._stopped_by:
            reason, stop = "stop_sequence", self._stopped_by
        if lone_closing_tag("".join(self._text_said)):
            self.notes += (_LONE_TAG,)
        self._ended = True
        return found + self._blocks.finish(reason, self._counting.at_end(), stop, "".join(self._refusal))

    def _write(self, calls: list[tuple[Call, dict[str, Any]]]) -> list[Event]:
        ids = [client_id(call.id, self._message_id, index) for index, (call, _) in enumerate(calls)]
        known = dict(zip(ids, (call for call, _ in calls), strict=True))
        signatures = {call_id: signature_of({"extra_content": call.extra}) for call_id, call in known.items()}
        signatures = {call_id: signature for call_id, signature in signatures.items() if signature}
        renamed = {call.id: call_id for call_id, call in known.items() if call.id}
        found = self._sign(self._reasoning.take(signatures, renamed))
        if not calls:
            return found
        names = Names(read(self._request.fields))
        for call_id, (call, arguments) in zip(ids, calls, strict=True):
            found += self._blocks.tool(call_id, names.back(call.name), arguments)
        return found

    # Failures

    def _fail(self, body: Mapping[str, Any]) -> list[Event]:
        """The error event for what a backend says inside its stream."""
        self._ended = True
        rejection = Rejection(status=200, message=words_of(body), body=body)
        self.failure = classify(self._request, self._target, rejection)
        return [events.error(self.failure.kind, self.failure.message)]

    def _fail_by(self, kind: str, words: str) -> list[Event]:
        self._ended = True
        self.failure = own_failure(self._target, kind, words)
        return [events.error(self.failure.kind, self.failure.message)]
