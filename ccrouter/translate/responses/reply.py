"""A Responses stream as a Messages stream.

Theory of operation
-------------------
`Gathering` knows the items as far as they have come. They wait in a line, in the order in which they came up, and
only the first of it is written: its words as they come, or, for a call, all of it once it is done. Then the next
one steps up with what it has gathered meanwhile. So blocks never interleave, whatever the items do.

What becomes of an item:

* a message: a text block for each part, refusals among them; its ``phase``, which the backend wants back, goes in
  front of each in a thinking block of nothing but a signature, if it is told before the text;
* reasoning: one thinking block, its parts joined by blank lines, signed with what the backend needs back;
* a function call: a ``tool_use`` block, under the client's name for the tool;
* a web search: ``server_tool_use``, and its results where the text that cites them begins, or a call. Titles of
  pages stand only in the citations, so that this text is written when it is whole.

A reply ends with ``response.completed`` or ``response.incomplete``, or at a stop sequence, since this wire has
none. A call that an incomplete reply broke off is left out: half of a command must not be run. Nothing is written
before the first item says something, so that a backend that fails at once can still be replaced by another.

Source: OpenAI's *Responses streaming events*; openai 3.52.0 (2026-11).
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from ccrouter.errors import ApiError, TruncatedStream
from ccrouter.providers.provider import Target
from ccrouter.translate import provenance, usage
from ccrouter.translate.blocks import Blocks, LeadingSpace, wants_thinking
from ccrouter.translate.calls import arguments_of
from ccrouter.translate.conversation import read
from ccrouter.translate.members import frame_object
from ccrouter.translate.overflow import codes, envelope_objects
from ccrouter.translate.provenance import Origin
from ccrouter.translate.refusal import Rejection, classify, own_failure
from ccrouter.translate.responses.items import Gathering, Item, Part, text_of
from ccrouter.translate.stops import StopCutter, stop_sequences
from ccrouter.translate.tools import Names, client_id
from ccrouter.wire import events
from ccrouter.wire.events import Event
from ccrouter.wire.messages import MessagesRequest
from ccrouter.wire.sse import Frame

_ENDS = frozenset({"response.completed", "response.done", "response.incomplete"})
_FAILURES = frozenset({"response.failed", "error", "response.error"})
_WRITING_CALLS = frozenset({"response.function_call_arguments.delta", "response.custom_tool_call_input.delta"})

#: How many reasons for one thing are noted; there are five today (openai 3.52.0).
_MOST_NOTES = 5


class ResponsesReply:
    """A `ccrouter.translate.dialect.Reply` of the Responses wire."""

    def __init__(self, request: MessagesRequest, target: Target, message_id: str) -> None:
        self._request = request
        self._target = target
        self._message_id = message_id
        self.failure: ApiError | None = None
        self.notes: tuple[str, ...] = ()
        self._counting = usage.Counting(request, target)
        self._thinking = wants_thinking(request.fields)
        self._blocks = Blocks(
            message_id,
            request.model,
            counts=self._counting.at_start,
            thinking=self._thinking,
            signature=provenance.sign(Origin(target.provider.name, target.model)),
        )
        self._gathering = Gathering()
        self._seen = 0
        self._line: deque[Item] = deque()
        self._writing: Part | None = None
        self._begun = False
        """Something of that part was written."""
        self._space = LeadingSpace()
        self._stops = StopCutter(stop_sequences(request.fields))
        self._calls = 0
        self._searches = 0
        self._pending: list[tuple[str, Item]] = []
        self._refusal: list[str] = []
        self._ended = False

    def feed(self, frame: Frame) -> list[Event]:
        """See `ccrouter.translate.dialect.Reply`."""
        payload = frame.data
        if self._ended or payload is None or not payload.strip() or payload.strip() == b"[DONE]":
            return []
        event = frame_object(payload, "an event")
        kind = text_of(event.get("type")) or frame.event or ("error" if "error" in event else "")
        if kind in _FAILURES:
            return self._fail(event)
        if kind in _ENDS:
            return self._end(kind, event)
        self._gathering.feed(kind, event)
        found = self._advance()
        if kind in _WRITING_CALLS and not self._ended:
            found += self._blocks.wait(len(text_of(event.get("delta"))))
        return found

    def close(self) -> list[Event]:
        """See `ccrouter.translate.dialect.Reply`."""
        if not self._ended:
            raise TruncatedStream("the backend ended the stream before the response was completed")
        return []

    def _fail(self, event: Mapping[str, Any]) -> list[Event]:
        self._ended = True
        words = (
            held.get(name)
            for held in envelope_objects(event)
            for name in ("message", "detail", "error", "status_msg")
        )
        said = next((each.strip() for each in words if isinstance(each, str) and each.strip()), "")
        named = codes(event)
        # Of a request's pictures there are a dozen codes, such as ``invalid_image_format``; all are its fault.
        status = 400 if any("image" in code for code in named) else 200
        message = said or f"the backend failed without a word ({', '.join(sorted(named)) or 'not even a code'})"
        rejection = Rejection(status=status, message=message, body=event)
        told = self.failure = classify(self._request, self._target, rejection)
        return [events.error(told.kind, told.message)]

    def _end(self, kind: str, event: Mapping[str, Any]) -> list[Event]:
        said = event.get("response")
        response = said if isinstance(said, dict) else {}
        if text_of(response.get("status")) in {"failed", "cancelled"} or isinstance(response.get("error"), dict):
            return self._fail(event)
        incomplete = kind == "response.incomplete" or response.get("status") == "incomplete"
        done = {item for item in self._gathering.items if item.done}
        self._gathering.close(response.get("output"))
        for item in self._gathering.items:
            if incomplete and item not in done:
                item.break_off()
            item.done = True
        found = self._advance()
        if self._ended:
            return found
        details = response.get("incomplete_details")
        why = text_of(details.get("reason")) if isinstance(details, dict) else ""
        reason = "end_turn"
        if self._blocks.called:
            reason = "tool_use"
        elif self._refusal or (incomplete and why == "content_filter"):
            reason = "refusal"
        elif incomplete and why in {"max_output_tokens", "max_tokens", ""}:
            reason = "max_tokens"
        self._counting.tell(response.get("usage"))
        self._note(response.get("input_transformations"))
        return found + self._finish(reason)

    def _note(self, transformations: object) -> None:
        """Reasoning that the backend took out of the request without refusing it."""
        entries = transformations if isinstance(transformations, list) else []
        reasons = Counter(text_of(each.get("reason")) or "no reason" for each in entries if isinstance(each, dict))
        self.notes += tuple(
            f"the backend dropped reasoning of earlier turns ({reason}, {count} times)"
            for reason, count in reasons.most_common(_MOST_NOTES)
        )

    def _finish(self, reason: str) -> list[Event]:
        self._ended = True
        counts = self._counting.at_end()
        if self._searches:
            counts["server_tool_use"] = {"web_search_requests": self._searches, "web_fetch_requests": 0}
        explanation = "".join(self._refusal)
        return self._results(()) + self._blocks.finish(reason, counts, self._stops.found, explanation)

    # The line

    def _advance(self) -> list[Event]:
        self._line += self._gathering.items[self._seen :]
        self._seen = len(self._gathering.items)
        found: list[Event] = []
        while self._line and not self._ended:
            item = self._line[0]
            match item.kind:
                case "message":
                    found += self._message(item)
                case "reasoning":
                    found += self._reasoning(item)
                case "web_search_call" if item.done:
                    found += self._search(item)
                case _ if item.done:
                    found += self._call(item)
                case _:
                    pass
            if not item.done:
                break
            self._line.popleft()
        return found

    def _message(self, item: Item) -> list[Event]:
        found: list[Event] = []
        if self._pending and not item.done:
            return []
        if item.citations:
            found += self._results(item.citations)
        for part in item.to_write():
            if fresh := part.take():
                if self._writing is not part:
                    found += self._close_text(item)
                    self._writing, self._begun, self._space = part, False, LeadingSpace()
                if part.sort == "refusal":
                    self._refusal.append(fresh)
                found += self._text(item, self._stops.feed(fresh))
                if self._stops.found is not None:  # the backend need not write on only to count its tokens
                    return found + self._finish("stop_sequence")
        if item.done:
            found += self._close_text(item)
            self._writing = None
        return found

    def _close_text(self, item: Item) -> list[Event]:
        return [*self._text(item, self._stops.close()), *self._blocks.close()] if self._writing else []

    def _text(self, item: Item, text: str) -> list[Event]:
        """More of the part that is being written, the phase of its message in front of it."""
        text = self._space.feed(text, begun=self._begun)
        if not text:
            return []
        found = [] if self._begun else self._phase(item)
        self._begun = True
        self._counting.hear(text)
        return found + self._blocks.text(text)

    def _phase(self, item: Item) -> list[Event]:
        phase = item.said("phase")
        return self._sign({"f": "phase", "p": phase}) if phase else []

    def _reasoning(self, item: Item) -> list[Event]:
        found: list[Event] = []
        for part in item.to_write():
            goes_on = part.begun or not item.begun
            if fresh := part.take():
                item.begun = True
                found += self._blocks.thinking(fresh if goes_on else f"\n\n{fresh}")
        if not item.done:
            return found
        parts = [(part.sort, len(part.text)) for part in item.parts.values() if part.begun and self._thinking]
        encrypted = item.said("encrypted_content")
        payload: dict[str, Any] = {"f": "responses", "p": [[sort[0], length] for sort, length in parts]}
        if encrypted:
            payload["e"] = encrypted
        elif identity := item.said("id"):
            payload["i"] = identity
        return found + self._sign(payload, needed=bool(encrypted)) if parts or encrypted else found

    def _sign(self, payload: Mapping[str, Any], *, needed: bool = False) -> list[Event]:
        origin = Origin(self._target.provider.name, self._target.model, payload)
        return self._blocks.sign(provenance.sign(origin), needed=needed)

    def _call(self, item: Item) -> list[Event]:
        text = item.part("arguments").text
        self._counting.hear(text)  # one that is left out was written, too
        if item.said("status") == "incomplete":
            return []
        name = item.said("name")
        given = arguments_of(text)
        if given is None and item.kind == "custom_tool_call":  # its input is free text
            given = {"input": text}
        if not name or given is None:
            self._ended = True
            what = f"arguments of {name!r} that are no JSON object" if name else "a tool call without a name"
            self.failure = own_failure(self._target, "api_error", f"the model wrote {what}")
            return [events.error(self.failure.kind, self.failure.message)]
        self._calls += 1
        call_id = client_id(item.said("call_id") or item.said("id"), self._message_id, self._calls)
        return self._results(()) + self._blocks.tool(call_id, self._names.back(name), given)

    @cached_property
    def _names(self) -> Names:
        return Names(read(self._request.fields))

    # Searches

    def _search(self, item: Item) -> list[Event]:
        said = item.fields.get("action")
        action = said if isinstance(said, dict) else {}
        if action.get("type", "search") != "search":
            return []  # opening a page and looking through it are steps of the same search
        self._searches += 1
        told = client_id(item.said("id"), self._message_id, -self._searches)
        call_id = f"srvtoolu_{told.replace('-', '_')}"
        self._pending.append((call_id, item))
        queries = action.get("queries")
        query = text_of(action.get("query")) or (
            text_of(queries[0]) if isinstance(queries, list) and queries else ""
        )
        return self._blocks.server_tool(call_id, "web_search", {"query": query})

    def _results(self, citations: Sequence[Mapping[str, Any]]) -> list[Event]:
        """The results of the searches so far: the pages that a search names as its sources, and those cited.

        A page that is cited, but nobody's source, counts as found by the last search.
        """
        titles = {text_of(each.get("url")): text_of(each.get("title")) for each in citations}
        found: list[Event] = []
        sources = [_sources(item) for _, item in self._pending]
        if sources:
            named = {url for each in sources for url in each}
            sources[-1] += [url for url in titles if url and url not in named]
        for (call_id, item), urls in zip(self._pending, sources, strict=True):
            pages = [_page(url, titles.get(url)) for url in dict.fromkeys(urls)]
            failed = {"type": "web_search_tool_result_error", "error_code": "unavailable"}
            content = failed if item.said("status") == "failed" and not pages else pages
            block = {"type": "web_search_tool_result", "tool_use_id": call_id, "content": content}
            found += self._blocks.whole(block)
        self._pending = []
        return found


def _sources(item: Item) -> list[str]:
    action = item.fields.get("action")
    sources = action.get("sources") if isinstance(action, dict) else None
    pages = sources if isinstance(sources, list) else []
    return [text_of(each.get("url")) for each in pages if isinstance(each, dict) and text_of(each.get("url"))]


def _page(url: str, title: str | None) -> dict[str, Any]:
    return {
        "type": "web_search_result",
        "url": url,
        "title": title or url,
        "encrypted_content": "",
        "page_age": None,
    }
