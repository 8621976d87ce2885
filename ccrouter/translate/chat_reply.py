"""A Chat Completions stream as a Messages stream.

Theory of operation
-------------------
Text and reasoning are written as they come, through `Blocks`. Tool calls are gathered and written at the end: in
this wire ``content`` and ``tool_calls`` stand beside each other without an order, fragments of calls come in every
way (see `ccrouter.translate.calls`), and what was written can't be taken back. Nothing is written before something
was said, so that a backend that fails at once can still be replaced by another.

A reply is whole when it gave a finish reason and then ended, by ``[DONE]``, by a chunk of usage alone, or with the
bytes. ``[DONE]`` by itself proves nothing: proxies write it after a backend that broke, too.

Reasoning is always shown, asked for or not: what a backend needs back of it travels in the signature, which is put
at the end of each thinking block. The payload is

* ``{"f": "reasoning_content"}`` or ``{"f": "reasoning"}``: the block's text goes back in that field;
* ``{"f": "reasoning_details", "d": […]}``: the details that came since the last signature, fragments joined, ids
  of calls as the client has them. All of a message's lists in a row are what OpenRouter wants back;
* ``{"f": "content", "d": […]}``: Mistral's thinking parts, joined;
* ``{"f": "google", "c": {id of the client's: signature}}``: signatures of Gemini's calls, in front of these;
* null where nothing goes back.

Stop sequences are cut by the router whether the wire took them or not: a backend that stops at one never lets it
through. A reply that was cut ends at once; the backend need not write on only to count its tokens.

Source: OpenAI's *Chat completions streaming*; vendors' own ways as noted in tests/cases/chat_reply.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from ccrouter.errors import ApiError, FrameError, TruncatedStream
from ccrouter.providers.provider import Target
from ccrouter.translate import provenance, stops, tokens, usage
from ccrouter.translate.blocks import Blocks
from ccrouter.translate.calls import Call, Calls, arguments_of
from ccrouter.translate.conversation import read
from ccrouter.translate.overflow import facts
from ccrouter.translate.provenance import Origin
from ccrouter.translate.refusal import classify
from ccrouter.translate.stops import StopCutter
from ccrouter.translate.think_tags import Piece, ThinkTags
from ccrouter.translate.tools import Names, client_id
from ccrouter.wire import envelope, events
from ccrouter.wire.events import Event
from ccrouter.wire.messages import MessagesRequest
from ccrouter.wire.sse import Frame

#: Fields of a delta that hold reasoning as a text; some servers send the same in both.
_FIELDS = ("reasoning_content", "reasoning")

#: Where vLLM and SGLang name the stop sequence that ended the text.
_STOPPED_BY = ("stop_reason", "matched_stop")

#: Type of a part of reasoning -> its field that comes in fragments.
_FRAGMENTED = {"reasoning.text": "text", "reasoning.summary": "summary", "thinking": "thinking", "text": "text"}

#: Servers that write the logarithm of nothing do not mean to break the stream.
_JSON = json.JSONDecoder(parse_constant=lambda _: None)

_DONE = b"[DONE]"

_NONE: Mapping[str, str] = {}

_TOO_DEEP = "the backend sent a chunk that is nested too deep"


class ChatReply:
    """A `ccrouter.translate.dialect.Reply` of the Chat Completions wire."""

    def __init__(self, request: MessagesRequest, target: Target, message_id: str) -> None:
        self._request = request
        self._target = target
        self._message_id = message_id
        self._quirks = target.provider.preset.quirks
        self.failure: ApiError | None = None
        self._blocks = Blocks(message_id, request.model)
        self._tags = ThinkTags()
        self._stops = stops.stop_sequences(request.fields)
        self._cutter = StopCutter(self._stops)
        self._calls = Calls()
        self._details: list[dict[str, Any]] = []
        self._field: str | None = None
        """Where the reasoning since the last signature stood."""
        self._open: str | None = None
        """The kind of the block that is being written."""
        self._space = ""
        """White space that is text once more follows: a block of nothing else is refused on its way back."""
        self._said: list[str] = []
        self._usage: dict[str, Any] | None = None
        self._input: int | None = None
        self._finish: str | None = None
        self._stopped_by: str | None = None
        self._refused = False
        self._ended = False

    def feed(self, frame: Frame) -> list[Event]:
        """See `Reply`."""
        data = (frame.data or b"").strip()
        if not data or self._ended:
            return []
        if data == _DONE:
            return self.close() if self._finish else []
        try:
            return self._chunk(_decode(data), frame)
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
        choices = [each for each in _objects(chunk.get("choices")) if each.get("index") in (0, None)][:1]
        if self._is_error(chunk, frame) or any(choice.get("error") for choice in choices):
            return self._fail(choices[0] if choices and choices[0].get("error") else chunk)
        counts = usage.in_chunk(chunk)
        self._usage = counts or self._usage
        found: list[Event] = []
        for choice in choices:
            found += self._delta(_object(choice.get("delta")))
            if self._cutter.found is not None:
                return found + self._finished("stop_sequence", self._cutter.found, broken_off=True)
            finish = choice.get("finish_reason")
            if isinstance(finish, str) and finish:
                if finish.lower() in stops.FAILURES:
                    return found + self._fail_by(*stops.FAILURES[finish.lower()])
                self._finish = finish
            for key in _STOPPED_BY:
                if choice.get(key) in self._stops:
                    self._stopped_by = choice[key]
        if self._finish and counts and not chunk.get("choices"):
            found += self._end()
        return found

    def _delta(self, delta: Mapping[str, Any]) -> list[Event]:
        found: list[Event] = []
        details = _objects(delta.get("reasoning_details"))
        words = [(name, delta[name]) for name in _FIELDS if isinstance(delta.get(name), str) and delta[name]]
        if details and not words:
            words = [("reasoning_details", "".join(_words_of(detail) for detail in details))]
        if words:
            name, text = words[0]
            found += self._settle() + self._think(text, name)
        if details:
            self._field = "reasoning_details"
            self._details += details
        found += self._content(delta.get("content"))
        refusal = delta.get("refusal")
        if isinstance(refusal, str) and refusal:
            self._refused = True
            found += self._settle() + self._text(refusal)
        for fragment in _objects(delta.get("tool_calls")):
            self._calls.feed(fragment)
        if isinstance(delta.get("function_call"), dict):  # before there were tools
            self._calls.feed({"index": 0, "function": delta["function_call"]})
        return found

    def _content(self, content: Any) -> list[Event]:
        if isinstance(content, str):
            return self._tagged(self._tags.feed(content))
        found: list[Event] = []
        for part in content if isinstance(content, list) else []:  # Mistral
            if isinstance(part, dict) and part.get("type") == "thinking":
                found += self._settle() + self._think(_words_of(part), "content")
                self._field = "content"
                self._details.append(part)
            else:
                text = part.get("text") if isinstance(part, dict) else part
                found += self._tagged(self._tags.feed(text)) if isinstance(text, str) else []
        return found

    # What is written

    def _tagged(self, pieces: Iterable[Piece]) -> list[Event]:
        found: list[Event] = []
        for kind, text in pieces:
            if kind == "thinking":
                found += self._think(text, self._quirks.replay if self._quirks.replay in _FIELDS else None)
            else:
                found += self._text(self._cutter.feed(text))
        return found

    def _settle(self) -> list[Event]:
        """Write what was held back: something else comes now, so that it is text."""
        return self._tagged(self._tags.close()) + self._text(self._cutter.close())

    def _think(self, text: str, name: str | None) -> list[Event]:
        if not text:
            return []
        self._open = "thinking"
        self._field = self._field or name
        self._said.append(text)
        return self._begin() + self._blocks.thinking(text)

    def _text(self, text: str) -> list[Event]:
        if self._open != "text":
            text = self._space + text
            self._space = "" if text.strip() else text
            if not text.strip():
                return []
        found = self._sign() if self._open != "text" else []
        self._open = "text"
        self._said.append(text)
        return found + self._begin() + self._blocks.text(text)

    def _sign(self, signatures: Mapping[str, str] = _NONE) -> list[Event]:
        """End the reasoning since the last signature; nothing where there was none."""
        payload: dict[str, Any] | None = None
        if signatures:
            payload = {"f": "google", "c": dict(signatures)}
        elif self._details:
            payload = {"f": self._field, "d": _joined(self._details)}
        elif self._field:
            payload = {"f": self._field}
        if self._quirks.replay == "none":
            payload = None
        was_open = self._open == "thinking"
        self._field, self._details = None, []
        if not was_open and payload is None:
            return []
        self._open = None
        origin = Origin(self._target.provider.name, self._target.model, payload)
        return self._begin() + self._blocks.sign(provenance.sign(origin))

    def _begin(self) -> list[Event]:
        """message_start, with the prompt's size as far as it is known: it is all that a broken-off turn tells."""
        return [] if self._blocks.begun else self._blocks.begin(self._counts())

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
            arguments = arguments_of(call.text)
            if broken_off and not (call.name and arguments):
                continue  # with no arguments, too: they may not have come yet
            if not call.name:
                return self._fail_by("api_error", "the backend called a tool without naming it")
            if arguments is None:
                return self._fail_by("api_error", f"the arguments of the call of {call.name!r} are no JSON object")
            whole.append((call, arguments))
        found = self._write(whole)
        if reason == stops.ENDED and self._refused:
            reason = "refusal"
        elif reason == stops.ENDED and whole:
            reason = "tool_use"
        elif reason == stops.ENDED and self._stopped_by:
            reason, stop = "stop_sequence", self._stopped_by
        self._ended = True
        return found + self._begin() + self._blocks.finish(reason, self._counts(at_end=True), stop)

    def _write(self, calls: list[tuple[Call, dict[str, Any]]]) -> list[Event]:
        ids = [client_id(call.id, self._message_id, index) for index, (call, _) in enumerate(calls)]
        signatures = {call_id: _signature(call) for call_id, (call, _) in zip(ids, calls, strict=True)}
        signatures = {call_id: signature for call_id, signature in signatures.items() if signature}
        # OpenRouter has the id of a call in the details that belong to it, and looks for that when they come back.
        renamed = {call.id: call_id for call_id, (call, _) in zip(ids, calls, strict=True) if call.id}
        for detail in self._details:
            if isinstance(detail.get("id"), str) and detail["id"] in renamed:
                detail["id"] = renamed[detail["id"]]
        found = self._sign(signatures if self._quirks.replay == "google" else {})
        if not calls:
            return found
        names = Names(read(self._request.fields))
        for call_id, (call, arguments) in zip(ids, calls, strict=True):
            self._said.append(call.text)
            found += self._begin() + self._blocks.tool(call_id, names.back(call.name), arguments)
        return found

    def _counts(self, *, at_end: bool = False) -> dict[str, Any]:
        """The tokens as far as they are known, estimated where they are not."""
        told = usage.read(self._usage or {}, reasoning_apart=self._quirks.reasoning_apart)
        if "input_tokens" not in told:
            if self._input is None:
                self._input = tokens.estimate(self._request.fields)
            told["input_tokens"] = self._input
        if "output_tokens" not in told:
            told["output_tokens"] = tokens.estimate_text("".join(self._said)) if at_end else 0
        return told

    # Failures

    @staticmethod
    def _is_error(chunk: Mapping[str, Any], frame: Frame) -> bool:
        if chunk.get("error"):
            return True
        if chunk.get("choices"):
            return False
        named = (frame.event, chunk.get("object"), chunk.get("type"))
        return "error" in named or bool(chunk.get("detail"))  # FastAPI

    def _fail(self, body: Mapping[str, Any]) -> list[Event]:
        """The error event for what a backend says inside its stream."""
        self._ended = True
        told = classify(
            self._target, 200, _complaint(body), body, count=lambda: tokens.estimate(self._request.fields)
        )
        self.failure = told
        return [events.error(told.kind, told.message)]

    def _fail_by(self, kind: str, words: str) -> list[Event]:
        self._ended = True
        return [events.error(kind, f"{self._target.provider.name}: {words}"[: envelope.MAX_MESSAGE])]


def _decode(data: bytes) -> dict[str, Any]:
    try:
        chunk = _JSON.decode(data.decode())
    except ValueError:
        raise FrameError("the backend sent a chunk that is not JSON") from None
    if not isinstance(chunk, dict):
        raise FrameError("the backend sent a chunk that is no object")
    return chunk


def _complaint(body: Mapping[str, Any]) -> str:
    """What an error says, with what OpenRouter was told by the backend behind it."""
    words = [envelope.message_in(json.dumps(body).encode()) or "an error without a word"]
    for each in facts(body):
        raw = _object(each.get("metadata")).get("raw")
        if isinstance(raw, str) and raw:
            words.append(envelope.message_in(raw.encode("utf-8", "replace")))
    return ": ".join(words)


def _words_of(part: Mapping[str, Any]) -> str:
    """The readable text of a part of reasoning: OpenRouter's ``text`` or ``summary``, Mistral's list of texts."""
    held = part.get(_fragmented(part))
    if isinstance(held, list):
        return "".join(_words_of(each) for each in _objects(held))
    return held if isinstance(held, str) else ""


def _joined(parts: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Parts of reasoning as they were before they were cut: neighbours of one type and index are one."""
    found: list[dict[str, Any]] = []
    texts: list[list[Any]] = []
    for part in parts:
        name = _fragmented(part)
        last = found[-1] if found else {}
        if name and [last.get(key) for key in ("type", "index")] == [part.get(key) for key in ("type", "index")]:
            last.update({key: value for key, value in part.items() if value is not None})
        else:
            found.append(dict(part))
            texts.append([])
        if name and part.get(name):
            texts[-1].append(part[name])
    for part, pieces in zip(found, texts, strict=True):
        if pieces:
            part[_fragmented(part)] = _joined_texts(pieces)
    return found


def _joined_texts(pieces: list[Any]) -> Any:
    lists = [each for each in pieces if isinstance(each, list)]
    if lists:
        return _joined(part for each in lists for part in _objects(each))
    return "".join(each for each in pieces if isinstance(each, str))


def _fragmented(part: Mapping[str, Any]) -> str:
    kind = part.get("type")
    return _FRAGMENTED.get(kind, "") if isinstance(kind, str) else ""


def _signature(call: Call) -> str:
    signature = _object(call.extra.get("google")).get("thought_signature")
    return signature if isinstance(signature, str) else ""


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _objects(value: Any) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
