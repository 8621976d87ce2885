"""Takes credentials out of what a backend says of its failure. Pure.

Backends repeat a key when they refuse it, and not always letter for letter: inside a JSON string (or one inside
another), in a URL, on a web page. `redact` knows a credential in each of these spellings, so that it may look at
bytes that nobody has decoded yet, and before anything is cut.
"""

from __future__ import annotations

import re
from itertools import groupby

from ccrouter.errors import ApiError
from ccrouter.translate.dialect import Stream
from ccrouter.wire import envelope, events
from ccrouter.wire.headers import Headers

REDACTED = "[redacted]"

#: Shorter values are not searched for: no service gives out such keys, and the text would be shredded.
_SHORTEST = 8

_NAMED = {"&": ("amp",), "<": ("lt",), ">": ("gt",), '"': ("quot",), "'": ("apos",)}


def redact(text: str, granted: Headers) -> str:
    """``text`` without the values of the headers ``granted``."""
    values = {value for value in map(_credential, granted) if len(value) >= _SHORTEST}
    if not values:
        return text
    longest_first = sorted(values, key=len, reverse=True)  # one may be the beginning of another
    # Starting only where a run of backslashes does keeps the search linear; hence several in a row are one.
    return re.sub(rf"(?<!\\)(?:{'|'.join(map(_pattern, longest_first))})++", REDACTED, text)


def redact_bytes(said: bytes, granted: Headers) -> bytes:
    """The same for text of whatever encoding."""
    return redact(said.decode("utf-8", "surrogateescape"), granted).encode("utf-8", "surrogateescape")


def _credential(header: tuple[bytes, bytes]) -> str:
    """What of a header is secret: not the scheme in front of it."""
    name, raw = header
    value = raw.decode("utf-8", "replace").strip()
    if name in {b"authorization", b"proxy-authorization"}:
        scheme, _, rest = value.partition(" ")
        value = rest.strip() or scheme
    return value


def _pattern(value: str) -> str:
    """Fits ``value`` however its characters are escaped."""
    found = "" if value.startswith("\\") else r"\\*+"
    for character, run in groupby(value):
        count = len(list(run))
        if character == "\\":  # each level of JSON doubles them: however many there are, they are one run
            found += rf"(?:\\{{{count},}}+|(?:\\*+{_escaped(character)}){{{count}}})"
        else:
            forms = (re.escape(character), _escaped(character))
            # Of a per cent sign the escape begins with itself: what is left of it would stay behind.
            found += rf"(?:\\*+(?:{'|'.join(forms[::-1] if character == '%' else forms)})){{{count}}}"
    return found


def _escaped(character: str) -> str:
    """Its escapes in JSON but for the backslashes, in URLs and in HTML, as often escaped again as can be."""
    utf16 = character.encode("utf-16-be", "surrogatepass")
    in_json = r"\\*+".join(f"u{utf16[place : place + 2].hex()}" for place in range(0, len(utf16), 2))
    # A per cent sign is `%25`, and again `%2525`: where the key goes on with 25, not all of those are its own.
    in_url = "".join(
        "%(?:25)+" if byte == 0x25 else f"%(?:25)*+{byte:02x}"
        for byte in character.encode("utf-8", "surrogatepass")
    )
    names = [f"#0*+{ord(character)}", f"#x0*+{ord(character):x}", *_NAMED.get(character, ())]
    return f"(?i:{in_json}|{in_url}|&(?:amp;)*(?:{'|'.join(names)});)"


class Discreet:
    """A `Stream` whose error tells no credential, and is cut. What stands before it is the answer, left alone."""

    def __init__(self, stream: Stream, granted: Headers) -> None:
        self._stream = stream
        self._granted = granted

    @property
    def first(self) -> str | None:
        """See `Stream`."""
        return self._stream.first

    @property
    def ended(self) -> bool:
        """See `Stream`."""
        return self._stream.ended

    @property
    def failure(self) -> ApiError | None:
        """See `Stream`."""
        told = self._stream.failure
        if told is None:
            return None
        message = redact(told.message, self._granted)[: envelope.MAX_MESSAGE]
        return ApiError(told.status, told.kind, message, told.headers)

    @property
    def notes(self) -> tuple[str, ...]:
        """See `Stream`."""
        return self._stream.notes

    @property
    def usage(self) -> events.Usage:
        """See `Stream`."""
        return self._stream.usage

    def feed(self, chunk: bytes) -> bytes:
        """See `Stream`."""
        return self._clean(self._stream.feed(chunk))

    def close(self) -> bytes:
        """See `Stream`."""
        return self._clean(self._stream.close())

    def _clean(self, frames: bytes) -> bytes:
        told, failure = self._stream.failure, self.failure
        if failure is None and self._stream.first != "error":
            return frames
        answer, event, error = frames.rpartition(b"event: error\ndata:")
        if event and told and failure and len(told.message) > envelope.MAX_MESSAGE:
            return answer + events.encode(events.error(failure.kind, failure.message))
        return answer + event + redact_bytes(error, self._granted)
