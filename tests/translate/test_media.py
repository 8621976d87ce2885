"""What pictures and PDFs cost."""

import base64
import struct
from typing import Any

import pytest

from ccrouter.translate import media


def source(raw: bytes) -> dict[str, Any]:
    return {"type": "base64", "data": base64.b64encode(raw).decode()}


def png(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height) + bytes(200)


def gif(width: int, height: int) -> bytes:
    return b"GIF89a" + struct.pack("<HH", width, height) + bytes(200)


def jpeg(width: int, height: int) -> bytes:
    metadata = b"\xff\xe1" + struct.pack(">H", 40_000) + bytes(39_998)
    frame = b"\xff\xff\xc2" + struct.pack(">HBHH", 17, 8, height, width)  # one byte of filling before the marker
    return b"\xff\xd8" + metadata + frame + bytes(200)


def webp(width: int, height: int, flavour: bytes) -> bytes:
    if flavour == b"VP8X":
        chunk = bytes(4) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    elif flavour == b"VP8L":
        chunk = b"\x2f" + struct.pack("<I", (width - 1) | (height - 1) << 14)
    else:
        chunk = bytes(3) + b"\x9d\x01\x2a" + struct.pack("<HH", width, height)
    return b"RIFF" + bytes(4) + b"WEBP" + flavour + bytes(4) + chunk + bytes(200)


def image(raw: bytes) -> dict[str, Any]:
    """A block of a message."""
    return {"type": "image", "source": source(raw)}


@pytest.mark.parametrize("make", [png, gif, jpeg, *(
    (lambda width, height, flavour=flavour: webp(width, height, flavour)) for flavour in (b"VP8 ", b"VP8L", b"VP8X")
)], ids=["png", "gif", "jpeg", "webp", "webp lossless", "webp extended"])  # fmt: skip
@pytest.mark.parametrize(
    ("size", "tokens"),
    [
        ((750, 100), 100),
        ((100, 750), 100),
        ((1, 1), 1),
        ((1500, 800), 1600),  # as many as an image can cost
        ((3136, 300), 314),  # scaled to 1568 x 150
    ],
)
def test_an_image_costs_its_pixels(make: Any, size: tuple[int, int], tokens: int) -> None:
    assert media.of_image(source(make(*size))) == tokens


@pytest.mark.parametrize(
    "where",
    [
        source(b"no image at all"),
        source(b""),
        source(png(0, 10)),
        source(png(10, 10)[:20]),
        source(jpeg(10, 10)[:100]),
        source(b"\xff\xd8" + bytes(50)),
        source(b"RIFF1234WEBPVP8L"),
        {"type": "base64", "data": "not base64: é"},
        {"type": "base64", "data": "====="},
        {"type": "base64", "data": None},
        {"type": "url", "url": "https://example.org/picture.png"},
        None,
    ],
)
def test_an_image_of_unknown_size_costs_1600(where: Any) -> None:
    assert media.of_image(where) == 1600


def test_a_pdf_costs_3000_tokens_for_each_page_that_it_shows() -> None:
    pages = b"".join(b"<</Type /Page /Parent 1 0 R>> endobj\n" for _ in range(3))
    raw = b"%PDF-1.4\n1 0 obj <</Type /Pages /Count 3>> endobj\n" + pages
    assert media.of_pdf(source(raw)) == 9000


def test_a_pdf_that_shows_no_pages_costs_3000_tokens_for_each_40_kb() -> None:
    assert media.of_pdf(source(b"%PDF-1.7\n" + bytes(90_000))) == 9000
    assert media.of_pdf({"type": "url", "url": "https://example.org/a.pdf"}) == 3000


def test_the_pages_of_a_very_long_pdf_are_projected_from_its_beginning() -> None:
    page = b"<</Type/Page>>".ljust(3000)
    assert media.of_pdf(source(page * 2000)) == pytest.approx(6_000_000, rel=0.01)
