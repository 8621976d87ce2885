"""How many input tokens a Messages request has, without a tokenizer.

For ``/v1/messages/count_tokens`` where the backend has no such endpoint. Which tokenizer its model has is
unknown, so the estimate aims between two that are known and far apart in age and size: OpenAI's
``o200k_base`` and the one that Anthropic has published. Promised: within 15 % of both on what Claude Code
sends (``tests/e2e/test_tokens_against_real_tokenizers.py`` holds it to that), never negative, never an error
whatever was decoded from JSON, and time linear in the text.

**What is counted.** ``texts_of`` lists the texts as a model sees them: system prompt (without the client's
attribution line, which no model sees), tool names, descriptions and schemas, roles, text, thinking, calls
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

**Images** cost width x height / 750 after scaling to 1568 pixels at most on the long side, and at most 1600
(Anthropic, *Vision*); where the size cannot be read from the first bytes, 1600.

**PDFs** cost 3000 tokens a page: its text, 1500 to 3000, and its picture (Anthropic, *PDF support*). Pages
are counted where the file shows its page objects uncompressed, else taken as 40 kB each.
"""

from __future__ import annotations

import binascii
import json
import re
import struct
from collections.abc import Mapping
from typing import Any

from ccrouter.translate.members import objects
from ccrouter.translate.provenance import MAKER
from ccrouter.wire.messages import MessagesRequest

#: Marks of a chat template around a message, a tool's definition, a call and a result, as ChatML with tools
#: in JSON has them: counted with ``o200k_base``, without the role, names and values, which are texts.
_PER_MESSAGE = 4
_PER_TOOL = 16
_PER_CALL = 18
_PER_RESULT = 9

_IMAGE_MOST = 1600
_IMAGE_SIDE = 1568
_PIXELS_PER_TOKEN = 750
#: How much of an image's base64 is decoded in search of its size.
_IMAGE_HEAD = 64
_JPEG_HEAD = 128 * 1024  # comes after its metadata
_JPEG_START = "/9j/"

_PDF_PAGE = 3000
_PDF_BYTES_PER_PAGE = 40_000
#: How much of a PDF's base64 is searched for pages; the rest is taken to be like it.
_PDF_SEARCHED = 4 * 1024 * 1024
_PDF_PAGE_OBJECT = re.compile(rb"/Type\s*/Page(?![a-zA-Z])")

#: Opens the system block that says which client is asking. Anthropic strips it, others do not get it.
_ATTRIBUTION = "x-anthropic-billing-header"

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


def of(request: MessagesRequest) -> int:
    """The estimate for a request, made once."""
    if "tokens" not in request.computed:
        request.computed["tokens"] = estimate(request.fields)
    count: int = request.computed["tokens"]
    return count


def estimate(fields: Mapping[str, Any]) -> int:
    """The input tokens of a decoded Messages request."""
    texts, beside = parts(fields)
    return estimate_text(" ".join(texts)) + beside


def parts(fields: Mapping[str, Any]) -> tuple[list[str], int]:
    """The texts of a decoded Messages request, and the tokens of what stands around and beside them."""
    reading = _Reading(fields)
    return reading.texts, reading.marks + reading.media


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
        self.media = 0
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
        seen = [block for block in blocks if block and not _is_attribution(block)]
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
            self.media += _image_tokens(source)
            return []
        if kind == "document":
            about = [block.get("title"), block.get("context")]
            form = source.get("type") if isinstance(source, dict) else None
            if isinstance(source, dict) and form in ("text", "content"):
                return [*about, source.get("data" if form == "text" else "content")]
            self.media += _pdf_tokens(source)
            return about
        if kind.endswith("tool_result"):
            self.marks += _PER_RESULT
        return [value for key, value in block.items() if key not in _OPAQUE]


def _is_attribution(block: Any) -> bool:
    text = block.get("text") if isinstance(block, dict) else block
    return isinstance(text, str) and text.startswith(_ATTRIBUTION)


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


def _base64(source: Any) -> str:
    """The encoded bytes of an image or document, ``""`` for one that lies elsewhere."""
    encoded = source.get("data") if isinstance(source, dict) else None
    return encoded if isinstance(encoded, str) else ""


def _decode(encoded: str) -> bytes:
    try:
        return binascii.a2b_base64(encoded[: len(encoded) // 4 * 4])
    except ValueError:
        return b""


def _pdf_tokens(source: Any) -> int:
    encoded = _base64(source)
    searched = encoded[:_PDF_SEARCHED]
    pages = len(_PDF_PAGE_OBJECT.findall(_decode(searched)))
    if not pages:
        return (len(encoded) * 3 // 4 // _PDF_BYTES_PER_PAGE + 1) * _PDF_PAGE
    return pages * len(encoded) // len(searched) * _PDF_PAGE


def _image_tokens(source: Any) -> int:
    encoded = _base64(source)
    head = _decode(encoded[: _JPEG_HEAD if encoded.startswith(_JPEG_START) else _IMAGE_HEAD])
    try:
        width, height = _image_size(head)
    except (struct.error, IndexError):
        width = height = 0
    if not width or not height:
        return _IMAGE_MOST
    scale = min(1.0, _IMAGE_SIDE / max(width, height))
    return max(1, min(_IMAGE_MOST, round(width * scale * height * scale / _PIXELS_PER_TOKEN)))


def _image_size(head: bytes) -> tuple[int, int]:
    """Width and height as the first bytes of PNG, GIF, WebP or JPEG tell them; zeros where they do not."""
    size: tuple[int, int] = (0, 0)
    if head.startswith(b"\x89PNG"):
        size = struct.unpack_from(">II", head, 16)
    elif head.startswith(b"GIF8"):
        size = struct.unpack_from("<HH", head, 6)
    elif head.startswith(b"RIFF") and head[8:15] == b"WEBPVP8":
        size = _webp_size(head)
    elif head.startswith(b"\xff\xd8"):
        size = _jpeg_size(head)
    return size


def _webp_size(head: bytes) -> tuple[int, int]:
    flavour = head[15:16]
    if flavour == b"X":  # extended: both less one, in three bytes each
        return int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1
    if flavour == b"L":  # lossless: both less one, in 14 bits each
        bits = struct.unpack_from("<I", head, 21)[0]
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = struct.unpack_from("<HH", head, 26)
    return width & 0x3FFF, height & 0x3FFF


def _jpeg_size(head: bytes) -> tuple[int, int]:
    at = 2
    while head[at] == 0xFF:
        marker = head[at + 1]
        if marker == 0xFF:  # filling
            at += 1
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # start of frame
            height, width = struct.unpack_from(">HH", head, at + 5)
            return width, height
        else:
            at += 2 + struct.unpack_from(">H", head, at + 2)[0]
    return 0, 0
