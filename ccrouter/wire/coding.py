"""Content codings of HTTP bodies that the standard library can undo: gzip and deflate (RFC 9110, 8.4.1)."""

from __future__ import annotations

import zlib

from ccrouter.errors import FrameError, TruncatedStream
from ccrouter.wire import headers as http
from ccrouter.wire.headers import Headers

#: How much one `Undo.feed` may grow a chunk: a reply that unpacks to gigabytes is an attack or a fault.
MAX_OUTPUT = 64 * 1024 * 1024


def coding_of(headers: Headers) -> str:
    """The coding of a body; ``identity`` when there is none."""
    value = (http.get_text(headers, b"content-encoding") or "").strip().lower()
    return value or "identity"


def can_undo(coding: str) -> bool:
    """Whether `Undo` knows the coding."""
    return coding in {"identity", "gzip", "x-gzip", "deflate"}


class Undo:
    """Decodes a body piece by piece. Identity passes through."""

    def __init__(self, coding: str) -> None:
        self._plain = coding == "identity"
        self._deflate = coding == "deflate"
        self._inflater = zlib.decompressobj(zlib.MAX_WBITS | 16 if not self._deflate else zlib.MAX_WBITS)
        self._first = True
        self._seen = False

    def feed(self, chunk: bytes) -> bytes:
        """What ``chunk`` holds. Raises FrameError when it does not follow the coding."""
        if self._plain or not chunk:
            return chunk
        self._seen = True
        try:
            out = self._inflate(chunk)
        except zlib.error as error:
            raise FrameError(f"the body does not follow its content coding: {error}") from None
        if self._inflater.unconsumed_tail:
            raise FrameError(f"a compressed body unpacks to over {MAX_OUTPUT} bytes")
        return out

    def _inflate(self, chunk: bytes) -> bytes:
        first, self._first = self._first, False
        try:
            return self._inflater.decompress(chunk, MAX_OUTPUT)
        except zlib.error:
            if not (first and self._deflate):
                raise
            # "deflate" means zlib's format; some senders give the raw stream inside it.
            self._inflater = zlib.decompressobj(-zlib.MAX_WBITS)
            return self._inflater.decompress(chunk, MAX_OUTPUT)

    def close(self) -> None:
        """Raise TruncatedStream when the compressed body is not whole."""
        if self._seen and not self._inflater.eof:
            raise TruncatedStream("a compressed body ended before it was whole")
