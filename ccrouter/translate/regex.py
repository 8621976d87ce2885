"""Which regular expressions Python's `re` can compile, found out quickly and without a word.

`re` is asked, but of a pattern whose sets of characters are put otherwise: it warns of punctuation in them that
may mean more one day, and takes milliseconds for each range of thousands of characters.
"""

from __future__ import annotations

import re
from functools import lru_cache

_CHARACTER = r"\\u[\da-fA-F]{4}|\\U[\da-fA-F]{8}|\\.|[^\\]"

#: An escape, or a set of characters: its beginning, what it lists (a bracket only if that comes first), its end.
#: It need not have one: to look for it would take as long as the pattern, at each bracket anew.
_SET = re.compile(r"\\.|(\[\^?)(\]?(?:\\.|[^\\\]])*)(\]?)", re.DOTALL)
_LISTED = re.compile(rf"({_CHARACTER})(?:-({_CHARACTER}))?", re.DOTALL)

#: What warnings are about, in a set.
_MARKS = frozenset("[-&~|")

#: How many characters a range may have to be left as it is.
_WIDE = 256


@lru_cache(maxsize=1024)
def compiles(pattern: str) -> bool:
    """Whether `re` takes ``pattern``."""
    try:
        re.compile(_SET.sub(_plain, pattern))
    except (re.error, RecursionError, OverflowError):
        return False
    return True


def _plain(found: re.Match[str]) -> str:
    """A set that lists as many characters as are needed to tell whether it is one."""
    if found[1] is None:
        return found[0]
    return found[1] + _LISTED.sub(_entry, found[2]) + found[3]


def _entry(found: re.Match[str]) -> str:
    first, last = found[1], found[2]
    if last is None:
        return _marked(first)
    least, most = _code(first), _code(last)
    if least is not None and most is not None and least + _WIDE <= most:
        return _marked(first)
    return f"{_marked(first)}-{_marked(last)}"


def _marked(character: str) -> str:
    return f"\\{character}" if character in _MARKS else character


def _code(character: str) -> int | None:
    """The code point; None for another escape than that of one."""
    if len(character) == 1:
        return ord(character)
    return int(character.lstrip("\\uU"), 16) if len(character) > 2 else None
