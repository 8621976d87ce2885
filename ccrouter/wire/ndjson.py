"""Newline-delimited JSON: bytes to lines, each of which is one JSON value.

Lines end at LF and nowhere else: inside of JSON a line end is escaped, and U+2028, U+0085 and their like may stand
in its strings. A CR in front of the LF is white space to JSON and goes with it; so do lines of nothing else, which
say nothing. What a line says is its reader's affair.
"""

from __future__ import annotations

from ccrouter.errors import FrameError, TruncatedStream
from ccrouter.wire import json_text
from ccrouter.wire.sse import MAX_FRAME


class Decoder:
    """Cuts a byte stream into lines without their ends. `feed` what came, `close` at the end."""

    def __init__(self, max_line: int = MAX_FRAME) -> None:
        self._buffer = bytearray()
        self._scanned = 0
        self._max_line = max_line

    @property
    def pending(self) -> int:
        """How many bytes of an unfinished line are held."""
        return len(self._buffer)

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that ``chunk`` completes. Raises FrameError when one grows beyond the limit."""
        self._buffer += chunk
        end = self._buffer.rfind(b"\n", self._scanned)
        lines: list[bytes] = []
        if end >= 0:
            lines = bytes(self._buffer[:end]).split(b"\n")
            del self._buffer[: end + 1]
        self._scanned = len(self._buffer)
        if self._scanned > self._max_line:
            raise FrameError(f"a line of more than {self._max_line} bytes")
        return [line for each in lines if (line := each.strip(b" \t\r"))]

    def close(self) -> list[bytes]:
        """The line that only the end of the bytes completes, if any: some senders spare themselves the last LF.

        Raises TruncatedStream when the bytes ended inside a line.
        """
        rest = bytes(self._buffer).strip(b" \t\r")
        if not rest:
            return []
        if not _is_closed(rest):
            raise TruncatedStream("the stream ended inside a line")
        self._buffer.clear()
        return [rest]


def _is_closed(line: bytes) -> bool:
    """Whether a line is a whole object, whose end can't be mistaken."""
    return isinstance(json_text.loads_or_none(line, nan="null"), dict)
