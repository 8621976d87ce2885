"""Changes to a JSON text that leave every other byte as it came.

A relay that decodes and encodes again changes a request in ways that nobody asked for: number formats, key
order, escapes. Here the members of an object and the elements of an array are found with their places in the
text, and an edit replaces or removes one such place only.

The values are read by the standard library's scanner, which works at the speed of C and gives the place
where each value ends. RFC 8259 is what is read, with Python's leniency for NaN and Infinity.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from typing import Any

from attrs import field, frozen

from ccrouter.errors import FrameError

_DECODER = json.JSONDecoder()
_SPACE = re.compile(r"[ \t\n\r]*")


@frozen
class Item:
    """A member of an object or an element of an array.

    ``start`` and ``end`` are the places of the value in the text; ``outer`` is where the whole item begins
    (at its key, for a member). ``key`` is None for an element.
    """

    key: str | None
    value: Any = field(repr=False)
    outer: int
    start: int
    end: int


@frozen
class Edit:
    """Put ``text`` in the place from ``start`` to ``end``."""

    start: int
    end: int
    text: str


def members(text: str, start: int = 0) -> list[Item]:
    """The members of the object that begins at ``start``, in order, repeated keys included.

    Raises FrameError when there is no object or the JSON is broken.
    """
    return _items(text, start, "{", "}")


def elements(text: str, start: int = 0) -> list[Item]:
    """The elements of the array that begins at ``start``. Raises FrameError like `members`."""
    return _items(text, start, "[", "]")


def document(text: str) -> list[Item]:
    """The members of a text that is one JSON object and nothing more. Raises FrameError otherwise."""
    found = members(text)
    end = _skip(text, found[-1].end) if found else _skip(text, _expect(text, 0, "{"))
    end = _skip(text, end + 1)
    if end != len(text):
        raise FrameError(f"unexpected text after the JSON object, at character {end}")
    return found


def replace(item: Item, text: str) -> Edit:
    """Puts ``text`` in place of the item's value."""
    return Edit(item.start, item.end, text)


def remove(items: list[Item], doomed: Iterable[int]) -> list[Edit]:
    """Takes the items of these positions out of the ``items`` of one object or array, commas included."""
    gone = set(doomed)
    edits = []
    kept_before = False
    for position, item in enumerate(items):
        if position not in gone:
            kept_before = True
            continue
        if kept_before:
            # With the comma in front of it.
            edits.append(Edit(items[position - 1].end, item.end, ""))
        elif position + 1 < len(items):
            # Nothing stays in front: with the comma behind it.
            edits.append(Edit(item.outer, items[position + 1].outer, ""))
        else:
            edits.append(Edit(item.outer, item.end, ""))
    return edits


def rewrite(text: str, item: Item, value: Any) -> Edit:
    """Puts ``value`` in place of the item's value.

    What is new in it is written anew. Each object and array in it that is one of the old value's own, the very
    same, is written in the characters that it came in. What an array ends with as before stays in its place unread
    (and is written anew where it is used a second time): a conversation is long, and what changes in it is often
    its beginning.
    """
    kept = _kept_at_end(item.value, value)
    if kept:
        head = _items(text, item.start, "[", "]", most=len(item.value) - kept)
        front = value[: len(value) - kept]
        whole = Item(None, item.value[: len(head)], item.outer, head[0].start, head[-1].end)
        places = _places(text, whole, front, head)
        return Edit(whole.start, whole.end, ",".join(_written(text, each, places) for each in front))
    return Edit(item.start, item.end, _written(text, value, _places(text, item, value)))


def _kept_at_end(old: Any, new: Any) -> int:
    """How many elements two arrays have in common at their ends; in both of them something stands before that."""
    if not isinstance(old, list) or not isinstance(new, list):
        return 0
    most = min(len(old), len(new)) - 1
    pairs = zip(reversed(old), reversed(new), strict=False)
    return next((count for count, (one, other) in enumerate(pairs) if count == most or one is not other), 0)


def _places(text: str, item: Item, value: Any, head: list[Item] | None = None) -> dict[int, Item]:
    """Where the parts of ``value`` stand that are the item's own; ``head`` are its elements, if they are known."""
    reached: set[int] = set()
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict | list) and id(each) not in reached:
            reached.add(id(each))
            waiting += each.values() if isinstance(each, dict) else each
    places: dict[int, Item] = {}
    if id(item.value) in reached:
        places[id(item.value)] = item
    else:
        _locate(text, item, item.value, reached, places, head)
    return places


def apply(text: str, edits: Iterable[Edit]) -> str:
    """``text`` with all ``edits`` made; they must not overlap."""
    parts = []
    position = 0
    for edit in sorted(edits, key=lambda edit: (edit.start, edit.end)):
        if edit.start < position:
            raise ValueError("edits overlap")
        parts += [text[position : edit.start], edit.text]
        position = edit.end
    parts.append(text[position:])
    return "".join(parts)


def _locate(
    text: str,
    item: Item,
    value: Any,
    reached: set[int],
    places: dict[int, Item],
    head: list[Item] | None = None,
) -> None:
    """Adds to ``places`` where the parts of ``value``, which stands at ``item``, are that are ``reached``."""
    if isinstance(value, dict):
        # Of a key that is repeated, the last item is the one whose value was read.
        found = {part.key: part for part in members(text, item.start)}
        pairs = [(part, value[key]) for key, part in found.items()]
    else:
        pairs = list(zip(elements(text, item.start) if head is None else head, value, strict=True))
    for part, own in pairs:
        if isinstance(own, dict | list):
            if id(own) in reached:
                places[id(own)] = part
            else:
                _locate(text, part, own, reached, places)


def _written(text: str, value: Any, places: dict[int, Item]) -> str:
    if isinstance(value, dict | list) and id(value) in places:
        place = places[id(value)]
        return text[place.start : place.end]
    if isinstance(value, dict):
        return (
            "{"
            + ",".join(f"{json.dumps(key)}:{_written(text, each, places)}" for key, each in value.items())
            + "}"
        )
    if isinstance(value, list):
        return "[" + ",".join(_written(text, each, places) for each in value) + "]"
    if isinstance(value, float) and math.isinf(value):
        # It came as such a number, and JSON has no word for what was read.
        return "1e999" if value > 0 else "-1e999"
    return json.dumps(value)


def _items(text: str, start: int, opening: str, closing: str, most: int | None = None) -> list[Item]:
    """The first ``most`` of them; None: all."""
    position = _skip(text, _expect(text, start, opening))
    items: list[Item] = []
    if text[position : position + 1] == closing:
        return items
    while True:
        outer = position
        key = None
        if opening == "{":
            key, position = _scan(text, position)
            if not isinstance(key, str):
                raise FrameError(f"not JSON: a key that is no string, at character {outer}")
            position = _skip(text, _expect(text, _skip(text, position), ":"))
        value, end = _scan(text, position)
        items.append(Item(key, value, outer, position, end))
        if len(items) == most:
            return items
        position = _skip(text, end)
        if text[position : position + 1] == closing:
            return items
        position = _skip(text, _expect(text, position, ","))


def _scan(text: str, position: int) -> tuple[Any, int]:
    try:
        return _DECODER.raw_decode(text, position)
    except json.JSONDecodeError as error:
        raise FrameError(f"not JSON: {error.msg}, at character {error.pos}") from None
    except RecursionError:
        raise FrameError(f"not JSON that can be read: nested too deeply, from character {position}") from None
    except ValueError as error:  # an integer of more digits than Python reads
        raise FrameError(f"not JSON that can be read: {error}") from None


def _skip(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position


def _expect(text: str, position: int, character: str) -> int:
    position = _skip(text, position)
    if text[position : position + 1] != character:
        found = text[position : position + 1] or "the end"
        raise FrameError(f"not JSON: expected {character!r} but found {found!r}, at character {position}")
    return position + 1
