"""What can be wrong with the shape of a file, and how it is told: file, line, key, and how to mend it. Pure.

No message repeats the value of a key that could hold a secret.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator
from typing import TypeVar

from attrs import evolve, frozen
from cattrs import ClassValidationError, ForbiddenExtraKeysError
from cattrs.errors import AttributeValidationNote, BaseValidationError, IterableValidationNote

from ccrouter.routing.schema import key, keys, structure
from ccrouter.routing.spelling import KeyPath, line_of, lines, nearest, shown, spell_path
from ccrouter.routing.tables import FileTable, ProjectTable, ServerTable

_NO_SECRETS = "a project may name models, but not say where they are, by which key, or who checks for safety"

#: A key of so many parts; no file of ours has one of more than five. What reads TOML takes a time that grows with
#: the square of that number: 40 s for 64 KiB (Python 3.11, 2026-11), and a repository may hold such a file.
_DEEP = re.compile(r"""(?<![\w"'-])(?:(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){32}""")

#: How text begins that TOML wants in quotes; and what goes on behind a number and makes text of it.
_TEXT = re.compile(r"[^\W\d]|[$%~/*.]")
_UNIT = re.compile(r"[^\W\d]|[.:]")

T = TypeVar("T", FileTable, ProjectTable)


@frozen
class Mistake:
    """One thing that is wrong: where, as far as that is known, and in which words."""

    words: str
    path: KeyPath = ()
    line: int | None = None
    column: int | None = None

    def told(self, where: str) -> str:
        """``FILE:LINE: key.path: what is wrong; how to mend it``, without the parts that are not known."""
        place = ":".join(str(part) for part in (where, self.line, self.column) if part is not None)
        return ": ".join(part for part in (place, spell_path(self.path), self.words) if part)


def tables(text: str, shape: type[T]) -> T | tuple[Mistake, ...]:
    """The tables of a file's text, or what is wrong with its shape, in the order of the lines."""
    if (deep := _DEEP.search(text)) is not None:
        line = text.count("\n", 0, deep.start()) + 1
        return (Mistake("holds a key of more than 32 parts, which is none of ours", line=line),)
    try:
        found = tomllib.loads(text)
    except RecursionError:
        return (Mistake("is nested too deeply to be read"),)
    except ValueError as error:  # TOMLDecodeError, and int's own for numbers of thousands of digits
        return (syntax(error, text),)
    try:
        return structure(found, shape)
    except ClassValidationError as error:
        return placed((each for path, leaf in _leaves(error, ()) for each in _told(path, leaf)), text)


def placed(wrong: Iterable[Mistake], text: str) -> tuple[Mistake, ...]:
    """Mistakes with their lines, in the order of those."""
    places = lines(text)
    found = [evolve(mistake, line=line_of(mistake.path, places)) for mistake in wrong]
    return tuple(sorted(found, key=lambda mistake: mistake.line or 0))


def syntax(error: ValueError, text: str) -> Mistake:
    words = str(error)
    if (place := re.fullmatch(r"(.*) \(at line (\d+), column (\d+)\)", words, re.DOTALL)) is not None:
        line, column = int(place[2]), int(place[3])
        return Mistake(shown(place[1]) + _without_quotes(text, line, column), line=line, column=column)
    if (end := re.fullmatch(r"(.*) \(at end of document\)", words, re.DOTALL)) is not None:
        return Mistake(f"{shown(end[1])}, at the end of the file", line=text.count("\n") + 1)
    if isinstance(error, tomllib.TOMLDecodeError):
        return Mistake(shown(words))
    return Mistake("holds a number that is too long to be read")


def _without_quotes(text: str, line: int, column: int) -> str:
    """The cure, where TOML stumbled over text: at its first character, or behind what could be a number."""
    row = text.split("\n")[line - 1]
    before, rest = row[: column - 1], row[column - 1 :]
    if before.rstrip().endswith(("=", "[", ",")) and _TEXT.match(rest):
        return '; text stands in quotes, as in default = "anthropic"'
    if before[-1:].isdigit() and _UNIT.match(rest):
        return '; text stands in quotes, as in drain = "10s"'
    return ""


def _leaves(error: Exception, path: KeyPath) -> Iterator[tuple[KeyPath, Exception]]:
    """The mistakes within cattrs' nested groups; its notes say on which key or element each happened."""
    for note in getattr(error, "__notes__", ()):
        if isinstance(note, AttributeValidationNote):
            path = (*path, key(note.name))
        elif isinstance(note, IterableValidationNote):
            path = (*path, note.index)
    if isinstance(error, BaseValidationError):
        for inner in error.exceptions:
            yield from _leaves(inner, path)
    else:
        yield path, error


def _told(path: KeyPath, leaf: Exception) -> Iterator[Mistake]:
    match leaf:
        case ForbiddenExtraKeysError():
            for word in leaf.extra_fields:
                yield Mistake(_unknown(word, leaf.cl), (*path, word))
        case ValueError():
            yield Mistake(str(leaf), path)
        case _:  # a bug of ours, which must not pass for a mistake of the user's
            raise leaf


def _unknown(word: str, table: type) -> str:
    if table is FileTable and word in keys(ServerTable):
        return f"unknown key `{word}` here; it belongs into [server]"
    if table is ProjectTable and word in keys(FileTable):
        return f"`{word}` has no place in a project's file, only in your own configuration; {_NO_SECRETS}"
    if (meant := nearest(word, keys(table))) is not None:
        return f"unknown key `{shown(word)}`; did you mean `{meant}`?"
    return f"unknown key `{shown(word)}`; known here: {', '.join(keys(table))}"
