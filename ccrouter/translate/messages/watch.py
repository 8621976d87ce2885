"""Watching a stream that is passed on frame by frame, in its own bytes: Anthropic's own.

An unfinished frame is held back, so that whatever the router has to add stands between frames; and it is known
whether the stream came to its end.
"""

from __future__ import annotations

from ccrouter.errors import ApiError, TruncatedStream
from ccrouter.wire import envelope, events, json_text
from ccrouter.wire.sse import Decoder, Frame


class StreamWatch:
    """Watches a stream that is passed on. `feed` what came; pass on what it returns; `close` at the end.

    Whatever is returned ends at a frame's end. ``first`` is the type of the first event that says anything
    (not a ping), ``ended`` whether the last one was seen, ``failure`` what the backend said went wrong.
    """

    def __init__(self) -> None:
        self._decoder = Decoder()
        self.first: str | None = None
        self.ended = False
        self.failure: ApiError | None = None
        self.notes: tuple[str, ...] = ()
        self.usage: events.Usage = {}

    def feed(self, chunk: bytes) -> bytes:
        """The bytes of all frames that are whole now. Raises FrameError for what can't be a stream."""
        frames = self._decoder.feed(chunk)
        return self._pass(frames[0]) if len(frames) == 1 else b"".join(map(self._pass, frames))

    def close(self) -> bytes:
        """The bytes that are left at the end.

        Raises TruncatedStream unless the stream said itself that it is whole (or failed): the end of the
        connection proves nothing.
        """
        try:
            frames = self._decoder.close()
        except TruncatedStream:
            if self.ended:
                return self._decoder.rest
            raise TruncatedStream("the backend ended the stream in the middle of an event") from None
        rest = b"".join(map(self._pass, frames))
        if not self.ended:
            raise TruncatedStream("the backend ended the stream before the message was whole")
        return rest

    def _pass(self, frame: Frame) -> bytes:
        kind = frame.event or _type_in(frame)
        if kind is None or kind == "ping":
            return frame.raw
        if self.first is None:
            self.first = kind
        if kind == "error" and not self.ended:
            self.failure = _error_told(frame.data or b"")
        if kind in {"message_stop", "error"}:
            self.ended = True
        elif kind in {"message_start", "message_delta"}:
            self.usage = self.usage | _usage_in(frame)  # who has the last one keeps it
        return frame.raw


def error_in(data: bytes) -> tuple[int, bytes]:
    """The error that a stream consists of: its status and envelope, as if it had come before the stream."""
    for frame in Decoder().feed(data):
        payload = frame.data or b""
        if envelope.is_envelope(payload):
            return envelope.status_of(json_text.loads(payload, nan="refuse")["error"]["type"]), payload
    error = ApiError(502, "api_error", "the backend's stream began with an error that cannot be read")
    return error.status, envelope.write(error, "")


def _error_told(payload: bytes) -> ApiError:
    """What an ``error`` event says, for whoever keeps count of failures; the client gets the event itself."""
    if envelope.is_envelope(payload):
        error = json_text.loads(payload, nan="refuse")["error"]
        words = error["message"][: envelope.MAX_MESSAGE]
        return ApiError(envelope.status_of(error["type"]), error["type"], words)
    words = envelope.message_in(payload)[: envelope.MAX_MESSAGE]
    return ApiError(502, "api_error", words or "the backend's stream ended in an error without words")


def _usage_in(frame: Frame) -> events.Usage:
    value = json_text.loads_or_none(frame.data or b"", nan="null")
    return events.usage_of(value) if isinstance(value, dict) and isinstance(value.get("type"), str) else {}


def _type_in(frame: Frame) -> str | None:
    """The type in the payload of a frame that has no ``event:`` line; an error need not say that it is one."""
    data = frame.data
    if not data:
        return None
    value = json_text.loads_or_none(data, nan="null")
    kind = value.get("type") if isinstance(value, dict) else None
    if isinstance(kind, str) and value.get("object") != "error":
        return kind
    return "error" if envelope.is_error(value) else None
