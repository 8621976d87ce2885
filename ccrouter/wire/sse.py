"""Server-sent events: bytes to frames (WHATWG HTML, section 9.2.6 *Interpreting an event stream*).

A frame keeps the bytes that it came in, so that a relay can pass them on untouched. Lines end at LF, CR or
CRLF and nowhere else: U+2028, U+0085 and their like are legal inside a JSON string, and splitting there
would break it. Nothing is decoded but what is asked for.
"""

from __future__ import annotations

import re

from attrs import field, frozen

from ccrouter.errors import FrameError, TruncatedStream

#: The largest frame that is waited for, in bytes. The whole reply of a request is one message, whose size the
#: wire limits to 32 MB in the other direction; a frame beyond that is no event.
MAX_FRAME = 32 * 1024 * 1024

_BOM = b"\xef\xbb\xbf"

_LINE_END = re.compile(rb"\r\n|\n|\r")
_CR = 0x0D
# A blank line: an end of line, then another at once. Atomic, or one CRLF would be taken for two line ends.
_BLANK = re.compile(rb"(?>\r\n|\n|\r)(?:\r\n|\n|\r)")

# What every sender writes: one event line, in front. Anything else takes the longer way.
_EVENT_FIRST = re.compile(rb"event: ?([^\r\n]*)(?:\r\n|\n|\r)data:[^\r\n]*(?:\r\n|\n|\r){2}\Z")


@frozen
class Frame:
    """One dispatched block of lines, with the blank line that ends it. ``raw`` may hold comments only.

    A byte order mark in front is passed over, in every frame: no field begins with one.
    """

    raw: bytes = field(repr=False)

    def field(self, name: bytes) -> bytes | None:
        """The values of field ``name``, joined by LF when there are several; None when there is none."""
        values = self._values(name)
        return b"\n".join(values) if values else None

    def _values(self, name: bytes) -> list[bytes]:
        raw = self.raw.removeprefix(_BOM)
        return [
            line[len(name) + 1 :].removeprefix(b" ")
            for line in _LINE_END.split(raw)
            if line.startswith(name) and line[len(name) : len(name) + 1] in (b":", b"")
        ]

    @property
    def event(self) -> str | None:
        """The event type of the ``event:`` line (the last one, as the specification has it), or None."""
        if match := _EVENT_FIRST.match(self.raw):
            return match[1].decode("utf-8", "replace")
        values = self._values(b"event")
        return values[-1].decode("utf-8", "replace") if values else None

    @property
    def data(self) -> bytes | None:
        """The payload of the ``data:`` lines, or None for a frame of comments only."""
        return self.field(b"data")


class Decoder:
    """Cuts a byte stream into frames. `feed` what came, `close` at the end.

    The concatenated ``raw`` of all frames, followed by `rest`, is what was fed.
    """

    def __init__(self, max_frame: int = MAX_FRAME) -> None:
        self._buffer = bytearray()
        self._scanned = 0
        self._max_frame = max_frame

    @property
    def pending(self) -> int:
        """How many bytes of an unfinished frame are held."""
        return len(self._buffer)

    def feed(self, chunk: bytes) -> list[Frame]:
        """The frames that ``chunk`` completes. Raises FrameError when one grows beyond the limit."""
        self._buffer += chunk
        buffer = self._buffer
        frames = []
        start = 0
        # A blank line may straddle chunks: look again at the last three bytes of what was scanned before.
        position = max(0, self._scanned - 3)
        while match := _BLANK.search(buffer, position):
            end = match.end()
            if end == len(buffer) and buffer[-1] == _CR:
                # Its LF may be on the way. The frame is whole already, but to dispatch it now would leave that
                # LF as a stray line in front of the next one.
                position = match.start()
                break
            frames.append(Frame(bytes(buffer[start:end])))
            start = position = end
        if start:
            del buffer[:start]
        self._scanned = len(buffer)
        if len(buffer) > self._max_frame:
            raise FrameError(f"an event of more than {self._max_frame} bytes")
        return frames

    def close(self) -> list[Frame]:
        """The frame that only the end of the bytes completes, if any.

        Raises TruncatedStream when the bytes ended inside a frame; `rest` holds what there was of it.
        """
        rest = bytes(self._buffer)
        if not rest:
            return []
        if rest.endswith(b"\r") and _BLANK.search(rest, max(0, len(rest) - 3)):
            self._buffer.clear()
            return [Frame(rest)]
        if not rest.strip(b"\r\n"):
            self._buffer.clear()
            return [Frame(rest)]
        raise TruncatedStream("the stream ended inside an event")

    @property
    def rest(self) -> bytes:
        """The bytes of the unfinished frame."""
        return bytes(self._buffer)
