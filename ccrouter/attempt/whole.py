"""Replies that are no streams: read whole, folded from a stream, or unrolled into one."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

import trio
from attrs import evolve

from ccrouter.attempt.parts import Piece, Whole
from ccrouter.errors import ApiError, UpstreamBroken, UpstreamError, WireError
from ccrouter.translate.dialect import Stream
from ccrouter.translate.members import as_object
from ccrouter.translate.rewording import is_refusal
from ccrouter.upstream.credentials import Grant
from ccrouter.upstream.dial import Answer
from ccrouter.upstream.redaction import redact_bytes
from ccrouter.wire import envelope, json_text
from ccrouter.wire import headers as http
from ccrouter.wire.coding import Undo, can_undo, coding_of
from ccrouter.wire.events import usage_in
from ccrouter.wire.fold import fold
from ccrouter.wire.headers import Headers
from ccrouter.wire.sse import Decoder

#: The largest reply that is held whole, in bytes.
MAX_WHOLE = 64 * 1024 * 1024

#: Of a stream that the router writes itself.
STREAM_HEADERS: Headers = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
]

#: Headers that speak of a body and not of the reply.
OF_BODY = frozenset(
    {b"content-type", b"content-length", b"content-encoding", b"content-md5", b"content-digest", b"digest"}
)

#: After a stream's last event the backend has this long to end the body too, in seconds.
AFTER_END = 2.0


class Unrolled:
    """A whole reply as the stream that was asked for."""

    status = 200

    def __init__(self, stream: bytes, headers: Headers) -> None:
        self._left = stream
        self.headers = [*http.without(headers, OF_BODY), *STREAM_HEADERS]

    async def read(self) -> bytes:
        """See `Answer`."""
        found, self._left = self._left, b""
        return found


def unrolled(body: bytes, unroll: Callable[[bytes], bytes], grant: Grant) -> bytes:
    try:
        return unroll(body)
    except WireError:  # its words are the backend's
        return unroll(redact_bytes(body, grant.headers))


async def read(
    answer: Answer, stream: Stream, pass_on: Callable[[Piece], Awaitable[None]], *, verbatim: bool = False
) -> None:
    """Read a stream to its end, piece by piece. Raises WireError when it is not whole.

    A connection that fails behind the last event takes nothing from it: the stream has ended all the same.

    Raises ApiError for one that consists of an error: a status says more than an event. One that is to be passed
    on as it came (``verbatim``) is all the same.
    """
    coding = coding_of(answer.headers)
    if not can_undo(coding):
        raise UpstreamBroken(f"the reply came in the content coding {coding!r}, which was not asked for")
    undo = Undo(coding)
    while True:
        data = b""
        try:
            with trio.move_on_after(AFTER_END if stream.ended else float("inf")):
                data = await answer.read()
        except UpstreamError:
            if not stream.ended:
                raise
        if not data:
            break
        if frames := stream.feed(undo.feed(data)):
            _raise_failure(stream, verbatim)
            await pass_on(_piece(frames, stream))
    if rest := stream.close():
        _raise_failure(stream, verbatim)
        await pass_on(_piece(rest, stream))


def _piece(frames: bytes, stream: Stream) -> Piece:
    return Piece(frames, stream.first, stream.ended, stream.usage, stream.failure)


def _raise_failure(stream: Stream, verbatim: bool) -> None:
    if not verbatim and stream.first == "error" and stream.failure is not None:
        raise stream.failure


async def folded(answer: Answer, stream: Stream, headers: Headers) -> Whole:
    """A stream that the client didn't ask for, as the message that it means. Raises ApiError for its ``error``."""
    frames = bytearray()

    async def keep(piece: Piece) -> None:
        frames.extend(piece.data)
        if len(frames) > MAX_WHOLE:
            raise UpstreamBroken(f"the reply exceeds {MAX_WHOLE // (1024 * 1024)} MB")

    await read(answer, stream, keep)
    decoder = Decoder()
    found = [json.loads(frame.data) for frame in [*decoder.feed(bytes(frames)), *decoder.close()] if frame.data]
    if found and found[-1]["type"] == "error":
        if stream.failure is not None:
            raise stream.failure
        error = found[-1]["error"]
        raise ApiError(envelope.status_of(error["type"]), error["type"], error["message"])
    # Half a surrogate pair that came alone becomes JSON's escape for it; two in a row are a character again.
    body = json.dumps(fold(found), ensure_ascii=False).encode("utf-8", "backslashreplace")
    json_headers = [*headers, (b"content-type", b"application/json")]
    return Whole(200, json_headers, body, stream.notes, usage=stream.usage)


async def whole(answer: Answer) -> Whole:
    coding = coding_of(answer.headers)
    undone = can_undo(coding)
    undo = Undo(coding if undone else "identity")
    body = bytearray()
    while data := await answer.read():
        body += undo.feed(data)
        if len(body) > MAX_WHOLE:
            raise UpstreamBroken(f"the reply exceeds {MAX_WHOLE // (1024 * 1024)} MB")
    undo.close()
    headers = answer.headers
    if undone and coding != "identity":
        headers = http.without(headers, (b"content-encoding",))
    return Whole(answer.status, headers, bytes(body))


def redacted(whole: Whole, grant: Grant) -> Whole:
    """Backends echo keys in their complaints about them; a credential goes no further than its host."""
    if not is_refusal(whole.status, whole.headers, whole.body):
        return whole
    return evolve(whole, body=redact_bytes(whole.body, grant.headers))


def counted(whole: Whole) -> Whole:
    """With the usage that it tells."""
    value = as_object(json_text.loads_or_none(whole.body, nan="null"))
    return evolve(whole, usage=usage_in(value.get("usage")))
