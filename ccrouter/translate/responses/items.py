"""The items of a Responses reply, gathered from its events.

A reply is a list of items: messages, reasoning, calls. Each is opened, told in fragments and closed with all of it
said once more; items can run side by side, and every step but one can be missing: a backend may send no fragments,
only fragments, only closed items, or nothing but the list at the end. `Gathering` takes all of them. `Item` holds
what is known so far; what was written to the client already is never contradicted.

Events name their item by ``output_index`` and ``item_id``. The index is trusted before the id: there are backends
that give one item another id in each event.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from attrs import define, field

from ccrouter.translate.calls import arguments_of

Sort = Literal["text", "refusal", "summary", "reasoning", "arguments"]

#: Items that are read. Others (other tools of the backend, compaction, what may come) are passed over.
KINDS = frozenset({"message", "reasoning", "function_call", "custom_tool_call", "web_search_call"})
CALLS = frozenset({"function_call", "custom_tool_call"})

#: Event type without ``.delta`` or ``.done`` -> kind of item, sort of part, where its number and its whole stand.
_FRAGMENTS: dict[str, tuple[str, Sort, str, str]] = {
    "response.output_text": ("message", "text", "content_index", "text"),
    "response.refusal": ("message", "refusal", "content_index", "refusal"),
    "response.reasoning_summary_text": ("reasoning", "summary", "summary_index", "text"),
    "response.reasoning_text": ("reasoning", "reasoning", "content_index", "text"),
    "response.function_call_arguments": ("function_call", "arguments", "", "arguments"),
    "response.custom_tool_call_input": ("custom_tool_call", "arguments", "", "input"),
}

#: Type of a part in an item's lists -> its sort, the field of its words.
_PARTS: dict[str, tuple[Sort, str]] = {
    "output_text": ("text", "text"),
    "refusal": ("refusal", "refusal"),
    "summary_text": ("summary", "text"),
    "reasoning_text": ("reasoning", "text"),
}


@define(eq=False)
class Part:
    """One run of words of an item. ``whole``: no more will come."""

    sort: Sort
    whole: bool = False
    begun: bool = False
    """Something of it was taken."""
    _pieces: list[str] = field(factory=list)
    _taken: int = 0

    @property
    def text(self) -> str:
        """All of it so far."""
        return "".join(self._pieces)

    def extend(self, text: str) -> None:
        """A fragment more. What comes after the whole is passed over."""
        if text and not self.whole:
            self._pieces.append(text)

    def complete(self, text: str) -> None:
        """The whole of it. It stands, unless something else was taken before."""
        taken = "".join(self._pieces[: self._taken])
        if text.startswith(taken):
            self._pieces[self._taken :] = [text[len(taken) :]]
        self._pieces[: self._taken] = [taken]  # it may be told again and again
        self._taken = 1
        self.whole = True

    def take(self) -> str:
        """What was not taken before."""
        fresh = "".join(self._pieces[self._taken :])
        self._taken = len(self._pieces)
        self.begun = self.begun or bool(fresh)
        return fresh


@define(eq=False)
class Item:
    """One item as far as it is known. ``fields`` are those of its last full statement."""

    kind: str
    done: bool = False
    begun: bool = False
    """Something of it was written."""
    fields: dict[str, Any] = field(factory=dict)
    parts: dict[tuple[Sort, int], Part] = field(factory=dict)
    """In the order in which they came up."""
    citations: list[Mapping[str, Any]] = field(factory=list)
    """The ``url_citation`` annotations of its text."""
    _cited: set[str] = field(factory=set)
    _line: deque[Part] = field(factory=deque)

    def part(self, sort: Sort, number: int = 0) -> Part:
        """One of its parts, which may be new."""
        known = self.parts.get((sort, number))
        if known is None:
            known = self.parts[sort, number] = Part(sort)
            self._line.append(known)
        return known

    def to_write(self) -> Iterator[Part]:
        """The parts that may have words to take: as far as the first of which more will come.

        Those in front of it were given before, but at the item's end, which may say more of any: all of them.
        """
        if self.done:
            yield from self.parts.values()
            return
        while self._line:
            yield self._line[0]
            if not self._line[0].whole:
                return
            self._line.popleft()

    def said(self, name: str) -> str:
        """A field that is a string; "" for any other."""
        return text_of(self.fields.get(name))

    def state(self, fields: Mapping[str, Any], *, done: bool) -> None:
        """Take in a statement of the item, the last one when ``done``."""
        stated = {name: value for name, value in fields.items() if value is not None}
        if not done:
            stated.pop("encrypted_content", None)  # not whole before the item is
        self.fields.update(stated)
        if not done or self.done:
            return
        self.done = True
        for name in ("summary", "content"):
            for number, part in enumerate(_objects(fields.get(name))):
                self.state_part(part, number)
        if self.kind in CALLS:
            whole = fields.get("arguments" if self.kind == "function_call" else "input")
            if isinstance(whole, dict):  # some send the object itself
                whole = json.dumps(whole, ensure_ascii=False)
            if isinstance(whole, str) and whole:
                self.part("arguments").complete(whole)

    def break_off(self) -> None:
        """The reply was, before an event said that this is done. A call may be half of one then, or not begun."""
        if self.kind not in CALLS or (self.done and self.said("status") == "completed"):
            return
        # Without a status all that tells is the input: one without any may need none, or not have it yet.
        whole = self.done and not self.said("status") and arguments_of(self.part("arguments").text)
        if not whole:
            self.fields["status"] = "incomplete"

    def state_part(self, fields: Mapping[str, Any], number: int) -> None:
        """Take in the last statement of a part."""
        known = _PARTS.get(text_of(fields.get("type")))
        if known is None:
            return
        sort, name = known
        if isinstance(fields.get(name), str):
            self.part(sort, number).complete(fields[name])
        for annotation in _objects(fields.get("annotations")):
            self.cite(annotation)

    def cite(self, annotation: Mapping[str, Any]) -> None:
        """Keep an annotation that names a page; each is told twice."""
        if annotation.get("type") != "url_citation":
            return
        key = json.dumps(annotation, sort_keys=True)
        if key not in self._cited:
            self._cited.add(key)
            self.citations.append(annotation)


class Gathering:
    """The items of one reply. `feed` its events; ``items`` are in the order in which they came up."""

    def __init__(self) -> None:
        self.items: list[Item] = []
        self._known: dict[int | str, Item] = {}
        self._latest: dict[str, Item] = {}
        """Kind -> the last item of it."""

    def feed(self, kind: str, event: Mapping[str, Any]) -> None:
        """Take in an event of type ``kind``; one that says nothing of an item changes nothing."""
        stem, _, step = kind.rpartition(".")
        if fragment := _FRAGMENTS.get(stem):
            wanted, sort, number, whole = fragment
            part = self._find(event, wanted).part(sort, _number(event.get(number)))
            if step == "delta":
                part.extend(text_of(event.get("delta")))
            elif step == "done" and isinstance(event.get(whole), str):
                part.complete(event[whole])
            return
        match kind:
            case "response.output_item.added" | "response.output_item.done":
                self._state(event, done=step == "done")
            case "response.content_part.done" | "response.reasoning_summary_part.done":
                stated = event.get("part")
                if isinstance(stated, dict) and (owner := _owner(stated)):
                    number = "content_index" if "content" in kind else "summary_index"
                    self._find(event, owner).state_part(stated, _number(event.get(number)))
            case "response.output_text.annotation.added":
                annotation = event.get("annotation")
                if isinstance(annotation, dict):
                    self._find(event, "message").cite(annotation)
            case _:
                pass

    def close(self, output: object) -> None:
        """Take in the list of all items from the end of the reply, which may be empty or not there."""
        before: dict[str, deque[Item]] = {}
        for item in self.items:
            before.setdefault(item.kind, deque()).append(item)
        for position, fields in enumerate(_objects(output)):
            kind = text_of(fields.get("type"))
            if kind not in KINDS:
                continue
            line = before.get(kind)
            alike = line.popleft() if line else None
            found = self._known.get(position) or self._known.get(text_of(fields.get("id")))
            if found is None or found.kind != kind:
                found = alike or self._new(kind, {"output_index": position})
            found.state(fields, done=True)

    def _state(self, event: Mapping[str, Any], *, done: bool) -> None:
        fields = event.get("item")
        if not isinstance(fields, dict) or text_of(fields.get("type")) not in KINDS:
            return
        kind = text_of(fields["type"])
        names = {"item_id": fields.get("id"), "output_index": event.get("output_index")}
        found = self._known_as(names, kind)
        # Some number every item 0: another one begins where the last is done.
        if found is None or (found.done and not (done and _same(found.fields, fields))):
            found = self._new(kind, names)
        found.state(fields, done=done)

    def _find(self, event: Mapping[str, Any], kind: str) -> Item:
        return self._known_as(event, kind) or self._new(kind, event)

    def _known_as(self, event: Mapping[str, Any], kind: str) -> Item | None:
        for name in _names(event):
            found = self._known.get(name)
            if found is not None and found.kind == kind:
                return found
        if not any(True for _ in _names(event)):  # nameless events speak of the last item of their kind
            return self._latest.get(kind)
        return None

    def _new(self, kind: str, event: Mapping[str, Any]) -> Item:
        item = Item(kind)
        self.items.append(item)
        self._latest[kind] = item
        for name in _names(event):
            self._known[name] = item
        return item


def text_of(value: object) -> str:
    """A string; "" for anything else."""
    return value if isinstance(value, str) else ""


def _names(event: Mapping[str, Any]) -> Iterator[int | str]:
    index = event.get("output_index")
    if isinstance(index, int):
        yield index
    name = event.get("item_id")
    if isinstance(name, str) and name:
        yield name


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    name = "call_id" if one.get("call_id") else "id"
    return one.get(name) == other.get(name)


def _owner(part: Mapping[str, Any]) -> str | None:
    sort, _ = _PARTS.get(text_of(part.get("type")), (None, ""))
    if sort is None:
        return None
    return "message" if sort in {"text", "refusal"} else "reasoning"


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def _objects(value: object) -> list[dict[str, Any]]:
    return [each if isinstance(each, dict) else {} for each in value] if isinstance(value, list) else []
