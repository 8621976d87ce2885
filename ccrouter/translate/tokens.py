"""How many input tokens a Messages request has, without a tokenizer.

For ``/v1/messages/count_tokens`` where the backend has no such endpoint. Which tokenizer its model has is
unknown, so the estimate aims between two that are known and far apart in age and size: OpenAI's
``o200k_base`` and the one that Anthropic has published. Promised: within 15 % of both on what Claude Code
sends (``tests/e2e/test_tokens_against_real_tokenizers.py`` holds it to that), never negative, never an error
whatever was decoded from JSON, and time linear in the text.

**What is counted.** ``texts_of`` lists the texts as a model sees them: system prompt (without the client's
attribution block, which no model sees), tool names, descriptions and schemas, roles, text, thinking, calls
and their results, and the schema of the answer; each JSON value as compact JSON. Identifiers, signatures,
cache marks, citations, encrypted and redacted parts do not count. Tools with ``defer_loading`` do: a backend
without this endpoint knows nothing of deferring either.

**Text.** Both tokenizers first cut a text where the class of its characters changes, then cut long or rare
pieces further. So the changes are counted, and a few things that make pieces break: ``_COSTS`` has one row
for each, with its price in tokens. The prices were fitted on 2026-11-20 by non-negative least squares on the
relative error over 4.3 million characters in 46 kinds of text: programs in seven languages, diffs, listings,
logs, JSON, manuals, prose in English and 16 other languages, encoded bytes; what coding agents read most
weighed twice, and no request of Claude Code was among them. The aim for each text was the harmonic mean of
the two counts, where both relative errors are equal, but at most 1.2 times the count of ``o200k_base``:
outside Latin script the older tokenizer needs up to four times as many tokens, more than those of today.
Such text is the limit of the promise, as no number is within 15 % of both there.

**Around the text** stand a chat template's marks: ``_PER_MESSAGE`` and the three below it.

**Images and PDFs** are counted by `ccrouter.translate.media`.

**For a target** what it isn't shown costs nothing but its place in words (see `ccrouter.translate.sight`). Without
one, for rules and for counts that nobody's limits depend on, all is counted. Either way a request is read once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Literal

from attrs import frozen

from ccrouter.providers.provider import Target
from ccrouter.translate import media, sight
from ccrouter.translate.members import objects
from ccrouter.translate.provenance import MAKER
from ccrouter.wire.messages import MessagesRequest, attribution

#: Marks of a chat template around a message, a tool's definition, a call and a result, as ChatML with tools
#: in JSON has them: counted with ``o200k_base``, without the role, names and values, which are texts.
_PER_MESSAGE = 4
_PER_TOOL = 16
_PER_CALL = 18
_PER_RESULT = 9
#: What stands in place of a picture or a file that a target isn't shown, but for its address (`block_text`).
_IN_WORDS = 20

#: Fields whose strings no model reads.
_OPAQUE = frozenset(
    {
        "cache_control",
        "caller",
        "citations",
        "data",
        "encrypted_content",
        "encrypted_index",
        "encrypted_stdout",
        "file_id",
        "id",
        MAKER,
        "signature",
        "tool_use_id",
        "type",
    }
)

# Classes of UTF-8 bytes. ASCII: lower "a", upper "A", digit "0", space, line end, tab, anything else ".".
# Beyond: the first byte of a character says roughly which script it is of; the bytes after it are one class.
_SCRIPTS = {
    "l": bytes(range(0xC2, 0xCE)),  # Latin with accents, and what shares its bytes
    "g": b"\xce\xcf",  # Greek
    "c": bytes(range(0xD0, 0xD4)),  # Cyrillic
    "s": bytes(range(0xD4, 0xE0)),  # Armenian, Hebrew, Arabic
    "i": b"\xe0\xe1",  # Indic scripts, Thai, Vietnamese, and others
    "y": b"\xe2",  # dashes, quotation marks, arrows, boxes
    "j": b"\xe3",  # Kana
    "h": bytes([*range(0xE4, 0xEA), 0xEF]),  # Han, full-width forms
    "k": bytes(range(0xEA, 0xEF)),  # Hangul
    "e": bytes(range(0xF0, 0xF5)),  # emoji and rare Han
}


def _classes() -> bytes:
    table = bytearray(b"." * 256)
    table[0x80:] = b"+" * 128
    for chars, name in (
        (b"abcdefghijklmnopqrstuvwxyz", b"a"),
        (b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", b"A"),
        (b"0123456789", b"0"),
        (b" ", b" "),
        (b"\r\n", b"\n"),
        (b"\t", b"\t"),
        *((leads, name.encode()) for name, leads in _SCRIPTS.items()),
    ):
        for char in chars:
            table[char] = name[0]
    return bytes(table)


CLASSES = _classes()
FOLD = bytes.maketrans(b"A", b"a")

#: Prices in tokens of patterns over the classes, letters of one case: fitted, see above.
_COSTS: tuple[tuple[bytes, float], ...] = (
    (b" a", 1.0),  # a word after a space or an indentation
    (b"\na", 1.35),  # at the start of a line
    (b".a", 1.59),  # after punctuation
    (b"0a", 1.73),  # after a digit
    (b"aaaaaaaa", 0.4),  # eight letters more
    (b"0", 0.09),  # a digit
    (b" 0", 2.15),  # a number after a space
    (b".0", 1.92),  # after punctuation
    (b"a0", 0.76),  # after a letter
    (b".", 0.17),  # a mark of punctuation
    (b" .", 0.5),  # after a space
    (b". ", 0.6),  # before a space
    (b"\n", 0.82),  # a line
    (b"\t", 0.5),  # a tab
    (b"0\t", 1.1),  # a tab after a digit, as numbered lines have it
    (b"\ta", 0.99),  # before a word
    (b"  ", 0.09),  # two spaces more
)
#: The same, where the case of letters matters.
_CASE_COSTS: tuple[tuple[bytes, float], ...] = (
    (b"aA", 1.16),  # a hump, as in camelCase
    (b"AA", 0.2),  # two capitals
)
#: The same, of scripts beyond ASCII: per character.
_SCRIPT_COSTS: tuple[tuple[bytes, float], ...] = (
    (b"l", 1.67),
    (b"g", 0.53),
    (b"c", 0.4),
    (b"s", 0.53),
    (b"i", 0.53),
    (b"y", 1.13),
    (b"j", 0.72),
    (b"h", 1.15),
    (b"k", 0.92),
    (b"e", 2.93),
)


def of(request: MessagesRequest, target: Target | None = None) -> int:
    """The estimate for a request, or for what ``target`` is shown of it, made once."""
    sizes = request.sizes
    if sizes.tokens is None:
        sizes.tokens = Count(request.fields, estimate_text)
    return sizes.tokens.of(target)


def estimate(fields: Mapping[str, Any]) -> int:
    """The input tokens of a decoded Messages request, all of it shown."""
    return Count(fields, estimate_text).of()


class Count:
    """The tokens of a decoded Messages request, by what a text is estimated at."""

    def __init__(self, fields: Mapping[str, Any], of_text: Callable[[str], int]) -> None:
        reading = _Reading(fields)
        self._of_text = of_text
        self._media, self._thoughts = reading.media, reading.thoughts
        texts = of_text(" ".join(reading.texts))
        self._whole = texts + reading.marks + sum(each.tokens for each in reading.media)
        self._shown: dict[sight.Sight, int] = {}

    def of(self, target: Target | None = None) -> int:
        """The tokens of what a target is shown; of all that there is, where no target is named."""
        if target is None or not (self._media or self._thoughts):
            return self._whole
        seeing = sight.of(target)
        if seeing not in self._shown:
            self._shown[seeing] = self._whole - self._unshown(seeing)
        return self._shown[seeing]

    def _unshown(self, seeing: sight.Sight) -> int:
        media = sum(each.tokens - each.shown_to(seeing) for each in self._media)
        thoughts = [text for signature, text in self._thoughts if not seeing.shows_thinking(signature)]
        return media + self._of_text(" ".join(thoughts))


@frozen
class _Medium:
    """A picture or a file that is no text; ``url``: its address, if that is where it is."""

    kind: Literal["image", "file"]
    place: object
    url: str
    tokens: int

    def shown_to(self, seeing: sight.Sight) -> int:
        """The tokens that are left of it: all, or those of the words that stand in its place."""
        shows = seeing.shows_image if self.kind == "image" else seeing.shows_file
        if shows(self.place):
            return self.tokens
        told = self.kind == "file" or shows("base64")  # who sees nothing is not told where it would be
        return _IN_WORDS + len(self.url) * told


def estimate_text(text: str) -> int:
    """The tokens of ``text`` alone."""
    if not text:
        return 0
    # A first word costs as one after a space.
    encoded = b" " + text.encode("utf-8", "surrogatepass")
    cased = encoded.translate(CLASSES)
    folded = cased.translate(FOLD)
    tokens = sum(cost * folded.count(pattern) for pattern, cost in _COSTS)
    tokens += sum(cost * cased.count(pattern) for pattern, cost in _CASE_COSTS)
    if not text.isascii():
        tokens += sum(cost * cased.count(lead) for lead, cost in _SCRIPT_COSTS)
    return max(1, round(tokens))


def texts_of(fields: Mapping[str, Any]) -> list[str]:
    """The texts of a decoded Messages request as the model sees them: what a real tokenizer would count."""
    return _Reading(fields).texts


class _Reading:
    """A request taken apart: its texts, and the tokens of what is no text."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self.texts: list[str] = []
        self.marks = 0
        self.media: list[_Medium] = []
        self.thoughts: list[tuple[object, str]] = []
        """Signatures, and the texts that they stand for, which are among the others, too."""
        self._system(fields.get("system"))
        for tool in objects(fields.get("tools")):
            self.marks += _PER_TOOL
            self._read([tool.get("name"), tool.get("description")])
            self._read([_json(tool[key]) for key in ("input_schema", "input_examples") if tool.get(key)])
        for message in objects(fields.get("messages")):
            self.marks += _PER_MESSAGE
            self._read([message.get("role"), message.get("content")])
        self._answer_schema(fields.get("output_config"))

    def _system(self, system: Any) -> None:
        blocks = system if isinstance(system, list) else [system]
        seen = [block for block in (blocks if attribution(system) is None else blocks[1:]) if block]
        if seen:
            self.marks += _PER_MESSAGE
            self._read(seen)

    def _answer_schema(self, output_config: Any) -> None:
        shape = output_config.get("format") if isinstance(output_config, dict) else None
        if isinstance(shape, dict) and shape.get("schema"):
            self._read(_json(shape["schema"]))

    def _read(self, content: Any) -> None:
        """All of ``content``, in order. A stack and no recursion: the client decides the depth."""
        pending = [content]
        while pending:
            value = pending.pop()
            if isinstance(value, str):
                if value:
                    self.texts.append(value)
            elif isinstance(value, list):
                pending.extend(reversed(value))
            elif isinstance(value, dict):
                pending.extend(reversed(self._block(value)))

    def _block(self, block: dict[str, Any]) -> list[Any]:
        """Notes what ``block`` costs by itself; returns what within it is to be read."""
        kind = block.get("type")
        source = block.get("source")
        if not isinstance(kind, str):
            kind = ""
        if kind in ("tool_use", "server_tool_use", "mcp_tool_use"):
            self.marks += _PER_CALL
            return [block.get("name"), _json(block.get("input"))]
        if kind == "image":
            self.media.append(_Medium("image", *_place(source), media.of_image(source)))
            return []
        if kind == "document":
            about = [block.get("title"), block.get("context")]
            form = source.get("type") if isinstance(source, dict) else None
            if isinstance(source, dict) and form in ("text", "content"):
                return [*about, source.get("data" if form == "text" else "content")]
            self.media.append(_Medium("file", *_place(source), media.of_pdf(source)))
            return about
        if kind == "thinking" and isinstance(thought := block.get("thinking"), str) and thought:
            self.thoughts.append((block.get("signature"), thought))
        if kind.endswith("tool_result"):
            self.marks += _PER_RESULT
        return [value for key, value in block.items() if key not in _OPAQUE]


def _place(source: Any) -> tuple[object, str]:
    """Where an image or a document is, in the source's words, and its address."""
    if not isinstance(source, dict):
        return None, ""
    url = source.get("url")
    return source.get("type"), url if isinstance(url, str) else ""


def _json(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    except RecursionError:
        # Deeper than the encoder goes: without brackets, it is the same words.
        words: list[str] = []
        pending = [value]
        while pending:
            item = pending.pop()
            if isinstance(item, dict):
                pending.extend(part for pair in item.items() for part in pair)
            elif isinstance(item, list):
                pending.extend(item)
            else:
                words.append(str(item))
        return " ".join(words)
