"""How a configuration is spelled: the line on which each key stands, durations, the nearest right spelling.

``tomllib`` says nothing about lines once a text is valid, and a message without its line is half a message.
So `lines` walks over a text that ``tomllib`` has accepted and notes where every key stands. It knows only as
much of TOML as it takes to find where keys and values end; a text that surprises it costs line numbers,
nothing else.
"""

from __future__ import annotations

import json
import re
import tomllib
from bisect import bisect_left
from collections.abc import Iterable
from contextlib import suppress
from decimal import Decimal
from difflib import get_close_matches
from itertools import islice

#: Names of tables and keys, and the places of elements in arrays: ``("providers", "x", "models", 0, "id")``.
KeyPath = tuple[str | int, ...]

#: No key that we know lies deeper, and a dotted key of ten thousand parts must not cost their square.
_DEEPEST = 8

_BARE = r"[A-Za-z0-9_-]+"
_BASIC = r'"(?:[^"\\\n]|\\.)*"'
_LITERAL = r"'[^'\n]*'"
_PART = re.compile(f"(?:{_BARE}|{_BASIC}|{_LITERAL})")

_BARE_KEY = re.compile(_BARE)
_KEY = re.compile(rf"{_PART.pattern}(?:[ \t]*\.[ \t]*{_PART.pattern})*")
_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
# A multi-line string may end with up to two quotation marks of its own before the closing three.
_STRING = re.compile(
    rf'"""(?:[^\\]|\\.)*?"{{3,5}}(?!")|\'\'\'.*?\'{{3,5}}(?!\')|{_BASIC}|{_LITERAL}',
    re.DOTALL,
)
_SCALAR = re.compile(r"[^\[\]{},#\n]+")

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)")
_UNITS = {"s": 1, "m": 60, "h": 3600}

#: The JSON Schema pattern of a duration.
DURATION_PATTERN = f"^{_DURATION.pattern}$"


def duration(text: str) -> float | None:
    """Seconds of ``"10s"``, ``"1.5m"``, ``"1h"`` or ``"250ms"``; None when it is spelled otherwise."""
    found = _DURATION.fullmatch(text)
    if found is None:
        return None
    number, unit = float(found[1]), found[2]
    return number / 1000 if unit == "ms" else number * _UNITS[unit]


def spell_duration(seconds: float) -> str:
    """The shortest spelling that `duration` reads back as exactly ``seconds``."""
    spellings = [f"{Decimal(repr(seconds)):f}s"]
    spellings += [f"{round(seconds / size)}{unit}" for unit, size in _UNITS.items()]
    spellings += [f"{round(seconds * 1000)}ms"]
    return min((each for each in spellings if duration(each) == seconds), key=len)


#: A duration without an end.
FOREVER = "forever"


def spell_stay(seconds: float) -> str:
    """A duration that may have no end."""
    return FOREVER if seconds == float("inf") else spell_duration(seconds)


def nearest(wrong: str, right: Iterable[str]) -> str | None:
    """What of ``right`` was probably meant."""
    folded = {word.casefold(): word for word in right}
    wrong = wrong.casefold().replace("-", "_")
    return next((folded[word] for word in get_close_matches(wrong, folded, n=1, cutoff=0.5)), None)


def shown(name: str) -> str:
    """A name as a message may carry it: on one line, not too long, nothing that moves a terminal's cursor."""
    return clipped(name if name.isprintable() else json.dumps(name)[1:-1])


def clipped(text: str, most: int = 60) -> str:
    """At most ``most`` characters."""
    return text if len(text) <= most else text[: most - 1] + "…"


def spell_path(path: KeyPath) -> str:
    """The way TOML spells it: ``providers."my host".models[0].id``."""
    spelled = ""
    for part in path:
        if isinstance(part, int):
            spelled += f"[{part}]"
        else:
            spelled += ("." if spelled else "") + spell_key(part)
    return spelled


def spell_key(key: str) -> str:
    """One key, quoted where TOML wants it quoted, cut when it is long."""
    if _BARE_KEY.fullmatch(key):
        return clipped(key)
    return json.dumps(clipped(key), ensure_ascii=not key.isprintable())


def lines(text: str) -> dict[KeyPath, int]:
    """Where the keys of a valid TOML text stand: path -> line, counted from 1.

    A table stands where it is first named, an element of an array where it begins.
    """
    walk = _Walk(text)
    with suppress(_Lost, RecursionError):  # what was found by then is right, and better than nothing
        walk.document()
    return walk.found


def line_of(path: KeyPath, found: dict[KeyPath, int]) -> int | None:
    """The line of a key, or of the innermost table around it that has one: a missing key has no line."""
    return next((found[path[:end]] for end in range(len(path), 0, -1) if path[:end] in found), None)


class _Lost(Exception):
    """The text is not what the walk expects."""


def _unquoted(part: str) -> str:
    """The name that one part of a key spells; tomllib reads the quotes and escapes."""
    if part[0] not in "\"'":
        return part
    try:
        (name,) = tomllib.loads(f"{part} = 0")
    except tomllib.TOMLDecodeError:
        raise _Lost from None
    return name


class _Walk:
    """One pass over the text. Every step moves ``at`` forward or raises `_Lost`, so it ends."""

    def __init__(self, text: str) -> None:
        self.found: dict[KeyPath, int] = {}
        self._text = text
        self._at = 0
        self._breaks = [each.start() for each in re.finditer("\n", text)]
        self._elements: dict[KeyPath, int] = {}  # of [[arrays]]: how many so far

    def document(self) -> None:
        table: KeyPath = ()
        while self._skip_blank():
            start = self._at
            if self._take("[["):
                table = self._element(self._key())
                self._expect("]]")
            elif self._take("["):
                table = self._resolve(self._key())
                self._expect("]")
            else:
                self._assignment(table)
                continue
            self._note((), table, start)

    def _assignment(self, table: KeyPath) -> None:
        start = self._at
        path = table + self._key()
        self._note(table, path, start)
        self._expect("=")
        self._value(path)

    def _value(self, path: KeyPath) -> None:
        self._skip_blank()
        if self._take("["):
            self._array(path)
        elif self._take("{"):
            while not self._closes("}"):
                self._assignment(path)
        elif self._match(_STRING) is None:
            self._need(_SCALAR)

    def _array(self, path: KeyPath) -> None:
        index = 0
        while not self._closes("]"):
            self._note(path, (*path, index), self._at)
            self._value((*path, index))
            index += 1

    def _closes(self, bracket: str) -> bool:
        """True after the closing bracket; else ``at`` is where the next element begins."""
        self._skip_blank()
        if self._take(","):
            self._skip_blank()
        return self._take(bracket)

    def _key(self) -> KeyPath:
        self._skip_blank()
        parts = islice(_PART.finditer(self._need(_KEY)), _DEEPEST)
        return tuple(_unquoted(part[0]) for part in parts)

    def _resolve(self, key: KeyPath) -> KeyPath:
        """Where a header points: into the last element of each array on its way."""
        path: KeyPath = ()
        for part in key:
            path = (*path, part)
            if path in self._elements:
                path = (*path, self._elements[path] - 1)
        return path

    def _element(self, key: KeyPath) -> KeyPath:
        array = (*self._resolve(key[:-1]), key[-1])
        self._elements[array] = self._elements.get(array, 0) + 1
        return (*array, self._elements[array] - 1)

    def _note(self, known: KeyPath, path: KeyPath, place: int) -> None:
        line = bisect_left(self._breaks, place) + 1
        for end in range(len(known) + 1, min(len(path), _DEEPEST) + 1):
            self.found.setdefault(path[:end], line)

    def _skip_blank(self) -> bool:
        """Past white space, line ends and comments; false at the end of the text."""
        self._match(_BLANK)
        return self._at < len(self._text)

    def _take(self, mark: str) -> bool:
        if not self._text.startswith(mark, self._at):
            return False
        self._at += len(mark)
        return True

    def _expect(self, mark: str) -> None:
        self._skip_blank()
        if not self._take(mark):
            raise _Lost

    def _match(self, pattern: re.Pattern[str]) -> str | None:
        found = pattern.match(self._text, self._at)
        if found is None:
            return None
        self._at = found.end()
        return found[0]

    def _need(self, pattern: re.Pattern[str]) -> str:
        found = self._match(pattern)
        if not found:
            raise _Lost
        return found
