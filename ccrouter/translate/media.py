"""How many tokens a picture or a PDF has, by its first bytes.

**Images** cost width x height / 750 after scaling to 1568 pixels at most on the long side, and at most 1600
(Anthropic, *Vision*); where the size cannot be read from the first bytes, 1600.

**PDFs** cost 3000 tokens a page: its text, 1500 to 3000, and its picture (Anthropic, *PDF support*). Pages
are counted where the file shows its page objects uncompressed, else taken as 40 kB each.
"""

from __future__ import annotations

import binascii
import re
import struct
from typing import Any

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


def _base64(source: Any) -> str:
    """The encoded bytes of an image or document, ``""`` for one that lies elsewhere."""
    encoded = source.get("data") if isinstance(source, dict) else None
    return encoded if isinstance(encoded, str) else ""


def _decode(encoded: str) -> bytes:
    try:
        return binascii.a2b_base64(encoded[: len(encoded) // 4 * 4])
    except ValueError:
        return b""


def of_pdf(source: Any) -> int:
    """The tokens of a PDF, by its ``source``."""
    encoded = _base64(source)
    searched = encoded[:_PDF_SEARCHED]
    pages = len(_PDF_PAGE_OBJECT.findall(_decode(searched)))
    if not pages:
        return (len(encoded) * 3 // 4 // _PDF_BYTES_PER_PAGE + 1) * _PDF_PAGE
    return pages * len(encoded) // len(searched) * _PDF_PAGE


def of_image(source: Any) -> int:
    """The tokens of an image, by its ``source``."""
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
