"""A small PDF, made on the spot."""

from __future__ import annotations

_OBJECTS = (
    b"<</Type/Catalog/Pages 2 0 R>>",
    b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
    b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]/Resources<<>>>>",
)


def pdf() -> bytes:
    """A document of one empty page."""
    out = b"%PDF-1.4\n"
    rows = [b"0000000000 65535 f \n"]
    for number, content in enumerate(_OBJECTS, 1):
        rows.append(b"%010d 00000 n \n" % len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"xref\n0 %d\n%s" % (len(rows), b"".join(rows))
    trailer = b"trailer\n<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (len(rows), len(out))
    return out + table + trailer
