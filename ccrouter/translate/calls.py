"""Tool calls out of their fragments, and their arguments out of what models write for JSON.

A Chat Completions stream brings a call in fragments, by the book with an ``index`` each and with id and name in
the first. What comes instead: id and name apart, names repeated or empty, no index, no id, one index for several
whole calls, other calls' fragments in between, arguments as an object. `Calls` gathers them by one rule: a
fragment belongs to the call with its index, else to the one with its id, else to the latest one, unless that is
whole already and the fragment says that it begins another.

`arguments_of` gives the object that a call was meant to carry, or None. It mends what can have one meaning only;
where it would have to guess, an error is better than a tool that runs with the guess.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping
from typing import Any, NoReturn

from attrs import field, frozen

#: How deep arguments may nest. No tool's do; a writer of JSON gives up somewhere beyond.
_DEEPEST = 200

_FENCE = re.compile(r"```[a-zA-Z]*[ \t]*\r?\n(.*?)\r?\n?```", re.DOTALL)
#: A string, kept, or a comma that nothing follows. A string that is cut off reaches to the end: were it no match,
#: it would be searched again from each quote inside, and 60 KB of quoted code took 21 s (2026-11).
_TRAILING_COMMA = re.compile(r'("[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z))|,(?=\s*[}\]])', re.DOTALL)

#: What a search for the end of an object goes by, and the runs of everything else.
_MARKS = re.compile(r'[\[\]{}"\\]|[^\[\]{}"\\]+')

#: How the texts that can mean an object begin and end: an object, one in a string, one in a fence.
_ENDS = {"{": "}", '"': '"', "`": "`"}


@frozen
class Call:
    """A call as far as it has come. ``extra`` is its ``extra_content``, a vendor's own."""

    id: str
    name: str
    text: str = field(repr=False)
    """Its arguments as they came."""
    extra: Mapping[str, Any] = field(factory=dict, repr=False)


class Calls:
    """Gathers the calls of one reply: `feed` fragments; `found` are the calls in the order in which they began."""

    def __init__(self) -> None:
        self._all: list[_Gathered] = []
        self._latest: dict[int | None, _Gathered] = {}
        """Index -> the latest call with it; None -> the latest of all."""
        self._named: dict[tuple[int | None, str], _Gathered] = {}
        """The same with an id."""

    def feed(self, fragment: Mapping[str, Any]) -> int:
        """One entry of a delta's ``tool_calls``. Returns how many characters of arguments it brought."""
        function = fragment.get("function")
        if not isinstance(function, Mapping):
            function = {}
        index = fragment.get("index")
        index = index if type(index) is int else None
        call_id = _text(fragment.get("id"))
        name = _text(function.get("name"))
        written = _written(function.get("arguments"))
        extra = fragment.get("extra_content")
        call = self._owner(index, call_id)
        if call_id or name or written:
            if call is None or call.is_followed_by(call_id, name, written):
                call = self._new(index)
        elif call is None:
            return 0
        if call_id and not call.id:
            self._name(call, call_id)
        call.name = call.name or name
        if written:
            call.hear(written)
        if isinstance(extra, Mapping):
            call.extra.update(extra)
        return len(written)

    @property
    def found(self) -> list[Call]:
        """The calls so far, whole or not."""
        return [Call(each.id, each.name, each.text, each.extra) for each in self._all]

    def _owner(self, index: int | None, call_id: str) -> _Gathered | None:
        """Whose fragment it is. Of several calls with one index it is the one with its id, else the latest."""
        return self._named.get((index, call_id)) or self._latest.get(index)

    def _new(self, index: int | None) -> _Gathered:
        call = _Gathered(index, len(self._all))
        self._all.append(call)
        self._latest[index] = self._latest[None] = call
        return call

    def _name(self, call: _Gathered, call_id: str) -> None:
        call.id = call_id
        for index in {call.index, None}:
            known = self._named.get((index, call_id))
            if known is None or known.place < call.place:
                self._named[index, call_id] = call


class _Gathered:
    """A call in the making."""

    def __init__(self, index: int | None, place: int) -> None:
        """``place``: how many calls began before it."""
        self.index = index
        self.place = place
        self.id = ""
        self.name = ""
        self.extra: dict[str, Any] = {}
        self._pieces: list[str] = []
        self._blank = True
        self._end = _ObjectEnd()
        self._looked = 0
        """How many pieces were looked through for the end."""
        self._whole: bool | None = None
        """Whether the arguments are an object, once they have an end."""

    @property
    def text(self) -> str:
        return "".join(self._pieces)

    def hear(self, written: str) -> None:
        self._pieces.append(written)
        self._blank = self._blank and not written.strip()

    def is_followed_by(self, call_id: str, name: str, written: str) -> bool:
        """Whether a fragment begins another call instead of going on with this one.

        Only a fragment with a name can. Another id alone says nothing: there are servers that draw one for each
        fragment.
        """
        if not name or not self.name or (call_id and call_id == self.id):
            return False
        if self.index is None and call_id and self.id:
            return True  # where there are no indexes, ids are all that tells calls apart
        if self._blank:
            return name != self.name  # the same name is the same beginning, told again with another id
        if not self._is_whole():
            return False
        return bool(call_id and self.id) or name != self.name or bool(written.strip())

    def _is_whole(self) -> bool:
        """Whether the arguments are an object already.

        Asked with each piece where a server repeats names, so each piece is looked through once, and all of them
        are decoded once: to decode them each time took 66 s for 300 KB (2026-11).
        """
        for piece in self._pieces[self._looked :]:
            self._end.feed(piece)
        self._looked = len(self._pieces)
        if not self._end.reached:
            return False
        if self._whole is None:
            try:
                self._whole = isinstance(_json(self.text), dict)
            except (ValueError, RecursionError):
                self._whole = False
        return self._whole


class _ObjectEnd:
    """Looks for the end of a JSON object that comes in pieces, by its brackets and quotes alone.

    ``reached``: it was there, and nothing but white space behind it so far.
    """

    def __init__(self) -> None:
        self.reached = False
        self._depth = 0
        self._quoted = False
        self._escaped = False
        self._spoiled = False

    def feed(self, piece: str) -> None:
        if self._spoiled:
            return
        for mark in _MARKS.findall(piece):
            if self._quoted:
                self._quoted = self._escaped or mark != '"'
                self._escaped = mark == "\\" and not self._escaped
            elif self._depth == 0 and (self.reached or mark != "{") and mark.strip():
                self._spoiled, self.reached = True, False
                return
            elif mark == '"':
                self._quoted = True
            elif mark in {"{", "["}:
                self._depth += 1
            elif mark in {"}", "]"}:
                self._depth -= 1
                self.reached = self._depth == 0


def arguments_of(text: str) -> dict[str, Any] | None:
    """The object that ``text`` stands for; None where it is none, or none for certain.

    Mended are: nothing at all, JSON inside a JSON string, line ends and tabs inside strings, trailing commas, a
    code fence around it, an empty object in front of it, and the same written as Python.
    """
    text = text.strip()
    if text[-1:] != _ENDS.get(text[:1], text[-1:]):
        return None  # cut off, as most that are none: nothing could mend it
    if fenced := _FENCE.fullmatch(text):
        text = fenced[1].strip()
    for _ in range(3):
        value = _value(text)
        if not isinstance(value, str):
            break
        text = value.strip()  # encoded twice
    if value is None and text in {"", "null"}:
        return {}
    return value if isinstance(value, dict) and _is_shallow(value) else None


def _value(text: str) -> Any:
    """What is written there; None for what can't be read."""
    for reading in (_json, _without_trailing_commas, _after_empty_object, _python):
        try:
            return reading(text)
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            continue
    return None


def _json(text: str) -> Any:
    return json.loads(text, strict=False, parse_constant=_no_number, parse_float=_float)


def _without_trailing_commas(text: str) -> Any:
    return _json(_TRAILING_COMMA.sub(lambda match: match[1] or "", text))


def _after_empty_object(text: str) -> Any:
    """Some servers open every call with ``{}`` and then send the arguments."""
    if not text.startswith("{}"):
        raise ValueError(text)
    return _json(text[2:])


def _python(text: str) -> Any:
    """A dictionary as Python shows it. One with backslashes can be read in two ways: it may be meant as JSON."""
    if "\\" in text or not text.startswith("{"):
        raise ValueError(text)
    value = ast.literal_eval(text)
    json.dumps(value, allow_nan=False)
    if json.loads(json.dumps(value)) != value:
        raise ValueError(text)  # JSON has no tuples and no keys but strings
    return value


def _no_number(word: str) -> NoReturn:
    raise ValueError(word)


def _float(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError(text)  # has no JSON to be written in
    return number


def _is_shallow(value: Any) -> bool:
    level = [value]
    for _ in range(_DEEPEST):
        level = [
            inner
            for each in level
            for inner in (each.values() if isinstance(each, dict) else each)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return True
    return False


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _written(value: Any) -> str:
    """Arguments as text. An empty object says no more than an empty text; fragments may follow it."""
    if isinstance(value, str):
        return value
    if value is None or value == {}:
        return ""
    return json.dumps(value, ensure_ascii=False)
