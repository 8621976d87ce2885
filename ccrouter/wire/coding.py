"""Content codings of HTTP bodies that the standard library can undo: gzip and deflate (RFC 9110, 8.4.1)."""

from __future__ import annotations

import zlib

from ccrouter.errors import FrameError, TruncatedStream
from ccrouter.wire import headers as http
from ccrouter.wire.headers import Headers

_GZIP = zlib.MAX_WBITS | 16

#: What one `Undo.feed` may give, in bytes: a reply that unpacks to gigabytes is an attack or a fault.
MAX_OUTPUT = 64 * 1024 * 1024


def coding_of(headers: Headers) -> str:
    """The coding of a body; ``identity`` when there is none."""
    value = (http.get_text(headers, b"content-encoding") or "").strip().lower()
    return value or "identity"


def can_undo(coding: str) -> bool:
    """Whether `Undo` knows the coding."""
    return coding in {"identity", "gzip", "x-gzip", "deflate"}


class Undo:
    """Decodes a body piece by piece. Identity passes through.

    A gzip body may be several members, one after the other (RFC 1952, 2.2). ``deflate`` means zlib's format, and
    some senders give the raw stream inside it: the first two bytes tell which.
    """

    def __init__(self, coding: str) -> None:
        self._coding = coding
        self._inflater = None if coding == "deflate" else zlib.decompressobj(_GZIP)
        self._head = b""
        self._seen = False

    def feed(self, chunk: bytes) -> bytes:
        """What ``chunk`` holds. Raises FrameError when it does not follow the coding, or grows beyond measure."""
        if self._coding == "identity" or not chunk:
            return chunk
        self._seen = True
        if self._inflater is None:
            self._head += chunk
            if len(self._head) < 2:
                return b""
            chunk = self._head
            self._inflater = zlib.decompressobj(zlib.MAX_WBITS if _is_zlib(chunk) else -zlib.MAX_WBITS)
        try:
            return self._inflate(self._inflater, chunk)
        except zlib.error as error:
            raise FrameError(f"the body does not follow its content coding: {error}") from None

    def _inflate(self, inflater: zlib._Decompress, chunk: bytes) -> bytes:
        out = bytearray()
        while chunk:
            if inflater.eof:
                if self._coding == "deflate":
                    raise FrameError("the body does not follow its content coding: bytes after its end")
                self._inflater = inflater = zlib.decompressobj(_GZIP)
            out += inflater.decompress(chunk, MAX_OUTPUT + 1 - len(out))
            if len(out) > MAX_OUTPUT:
                raise FrameError(f"a compressed body unpacks to over {MAX_OUTPUT} bytes")
            chunk = inflater.unused_data
        return bytes(out)

    def close(self) -> None:
        """Raise TruncatedStream when the compressed body is not whole."""
        if self._seen and (self._inflater is None or not self._inflater.eof):
            raise TruncatedStream("a compressed body ended before it was whole")


def _is_zlib(head: bytes) -> bool:
    """Whether it begins with the header of RFC 1950: method 8, and a multiple of 31 as a number."""
    return head[0] & 0x0F == 8 and int.from_bytes(head[:2], "big") % 31 == 0
