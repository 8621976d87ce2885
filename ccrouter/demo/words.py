"""The words that drive the demo model, parsed. The list is in the docstring of `ccrouter.demo`.

Only the start of a prompt is looked at, and a command must be marked as one: ``run the tests`` is a wish,
not the command ``the tests``. Such a near miss becomes `Unclear`, whose hint tells the right form.
"""

from __future__ import annotations

import json
import re
from typing import Any, Literal

from attrs import frozen

#: Calls in one answer, words or numbers in one text.
MOST_CALLS = 8
MOST_WORDS = 20_000


@frozen
class Help:
    """Tell what the words are."""


@frozen
class Errand:
    """Run commands or read files with whatever tool can, once for each of ``items``."""

    kind: Literal["run", "read"]
    items: tuple[str, ...]


@frozen
class Use:
    """Call the tool named ``tool`` with the object ``input``, or with ``text`` as its main argument."""

    tool: str
    input: dict[str, Any] | None = None
    text: str | None = None


@frozen
class Long:
    """A long text: ``count`` words, or the numbers up to it."""

    kind: Literal["words", "numbers"]
    count: int


@frozen
class Fail:
    """Fail in the way named ``what``; what ``amount`` means depends on it."""

    what: str
    amount: float | None = None


@frozen
class Unclear:
    """Nearly one of the above."""

    hint: str


Directive = Help | Errand | Use | Long | Fail | Unclear

_POLITE = re.compile(r"(?:(?:please|now|then|ok|okay|can you|could you|would you)\b[\s,:]*)*", re.IGNORECASE)
_HELP = re.compile(r"(?:/?help|what can you do)\W*$", re.IGNORECASE)
_FAIL = re.compile(r"fail(?:\s+([a-z0-9_]{1,40})(?:\s+(\d{1,6}(?:\.\d{1,6})?))?)?\W*$", re.IGNORECASE)
_WORDS = re.compile(r"write\s+(\d{1,9})\s+words?\b", re.IGNORECASE)
_NUMBERS = re.compile(r"count\s+(?:up\s+)?to\s+(\d{1,9})\b", re.IGNORECASE)
_RUN = re.compile(r"(?:run|execute)(?=[\s:])\s*(?:(?:the\s+)?commands?\s*)?(:?)\s*", re.IGNORECASE)
_READ = re.compile(r"read(?=[\s:])\s*:?\s*(?:(?:the\s+)?files?\b\s*)?", re.IGNORECASE)
_USE = re.compile(
    r"use\s+(?:the\s+)?(?:tool\s+)?`?([\w.-]{1,128})`?(?:\s+tool)?(?:\s*$|\s*(:)\s*|\s+(?=\{))", re.IGNORECASE
)
_TICKED = re.compile(r"`([^`\n]+)`")
#: A bare name must look like one: it holds a dot, a slash, a backslash or a tilde.
_NAME = re.compile(r"""`([^`\n]+)`|"([^"\n]+)"|'([^'\n]+)'|([^\s,;`"']*[./\\~][^\s,;`"']*)""")
_AND = re.compile(r"\s*(?:,\s*and\b|,|and\b|then\b)\s*", re.IGNORECASE)

_RUN_HINT = "To have a command run, put it between backticks: run `ls -la`"
_READ_HINT = "To have a file read, name it: read README.md (with quotes around a name that has spaces)"


def parse(prompt: str) -> Directive | None:
    """What the prompt asks of the demo model; None for everything else."""
    polite = _POLITE.match(prompt)
    wish = prompt[polite.end() if polite else 0 :].strip()
    if _HELP.match(wish):
        return Help()
    if found := _FAIL.match(wish):
        what, amount = found.groups()
        return Fail((what or "").lower(), None if amount is None else float(amount))
    if found := _WORDS.match(wish):
        return Long("words", min(int(found[1]), MOST_WORDS))
    if found := _NUMBERS.match(wish):
        return Long("numbers", min(int(found[1]), MOST_WORDS))
    if found := _RUN.match(wish):
        return _run(wish[found.end() :], marked=bool(found[1]))
    if found := _READ.match(wish):
        return _read(wish[found.end() :])
    if found := _USE.match(wish):
        return _use(found[1], wish[found.end() :].strip())
    return None


def _run(rest: str, *, marked: bool) -> Directive:
    commands = _listed(rest, _TICKED)
    line = rest.partition("\n")[0].strip()
    if not commands and marked and line:
        commands = (line,)
    return Errand("run", commands) if commands else Unclear(_RUN_HINT)


def _read(rest: str) -> Directive:
    line = rest.partition("\n")[0].strip()
    names = _listed(line, _NAME)
    if not names and len(line.split()) == 1:
        names = (line.rstrip(":!?"),)
    return Errand("read", names) if names else Unclear(_READ_HINT)


def _listed(text: str, item: re.Pattern[str]) -> tuple[str, ...]:
    """The items at the start of a text, joined by commas or ``and``; prose after them is left alone."""
    items: list[str] = []
    at = 0
    while len(items) < MOST_CALLS and (found := item.match(text, at)):
        value = next(group for group in found.groups() if group is not None)
        bare = value == found[0]
        items.append(value.rstrip(".:!?") or value if bare else value)
        joint = _AND.match(text, found.end())
        if joint is None:
            break
        at = joint.end()
    return tuple(items)


def _use(tool: str, rest: str) -> Directive:
    if not rest:
        return Use(tool)
    if not rest.startswith("{"):
        return Use(tool, text=rest)
    try:
        value, _ = json.JSONDecoder().raw_decode(rest)
        json.dumps(value, allow_nan=False)
    except (ValueError, RecursionError) as error:
        return Unclear(f"What follows the name of the tool is not a JSON object: {error}")
    return Use(tool, input=value)
