"""What a dialect is: how a request is put to a backend, and how its reply becomes a Messages stream.

A dialect's own module has `render`, from a Messages request to the request that the backend understands, and a
`Reply`, from the frames of its stream to Messages events. `Bridge` joins a reply to the bytes on both sides and
lets every event pass the grammar on its way out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Generic, Literal, NamedTuple, Protocol, TypeVar

from attrs import field, frozen

from ccrouter.errors import ApiError, GrammarError, TruncatedStream, WireError
from ccrouter.providers.provider import Target
from ccrouter.wire import events
from ccrouter.wire.events import Event
from ccrouter.wire.grammar import ENDED, Grammar
from ccrouter.wire.headers import Headers
from ccrouter.wire.messages import MessagesRequest

Endpoint = Literal["messages", "count_tokens"]

_TELLS_USAGE = frozenset({"message_start", "message_delta"})

#: What the bytes of a stream are cut into: an event of SSE, a line of JSON.
FrameT = TypeVar("FrameT")
Frame_co = TypeVar("Frame_co", covariant=True)
Frame_contra = TypeVar("Frame_contra", contravariant=True)


@frozen(kw_only=True)
class Outbound:
    """A request ready to be sent, but for the credential. ``changes`` names what differs from what came."""

    url: str
    headers: Headers = field(repr=False)
    body: bytes = field(repr=False)
    changes: tuple[str, ...]


class Stream(Protocol):
    """A backend's stream on its way to the client: `feed` what came, pass on what it returns, `close` at the end.

    What is returned are whole frames. ``first`` is the type of the first event that says anything, ``ended``
    whether the last one was seen.
    """

    @property
    def first(self) -> str | None: ...

    @property
    def ended(self) -> bool: ...

    @property
    def notes(self) -> tuple[str, ...]:
        """See `Reply`."""
        ...

    @property
    def failure(self) -> ApiError | None:
        """What the stream told as its error, as it would be told before a stream; None where it is not known."""
        ...

    @property
    def usage(self) -> events.Usage:
        """The tokens that the stream told of so far."""
        ...

    def feed(self, chunk: bytes) -> bytes:
        """Raises WireError for what can't be a stream of this dialect."""
        ...

    def close(self) -> bytes:
        """Raises TruncatedStream unless the stream said itself that it is whole, or failed."""
        ...


class Kept(NamedTuple):
    """An event that goes to the client in the bytes in which it came. ``event`` is as much of it as is checked."""

    event: Event
    raw: bytes


class Decoder(Protocol[Frame_co]):
    """The framing of one stream. Pure; `feed` bytes as they come, then `close`."""

    def feed(self, chunk: bytes) -> Sequence[Frame_co]:
        """The frames that are whole now. Raises FrameError."""
        ...

    def close(self) -> Sequence[Frame_co]:
        """What only the end of the bytes completes. Raises TruncatedStream inside a frame."""
        ...


class Reply(Protocol[Frame_contra]):
    """The meaning of one stream. Pure; `feed` frames in their order, then `close`.

    ``failure`` is what an ``error`` event told, with the status and headers that it would have had before one.
    ``notes`` are for the log: what the client can't be told and its user may want to know, in words of ours.
    """

    failure: ApiError | None
    notes: tuple[str, ...]

    def feed(self, frame: Frame_contra) -> Sequence[Event | Kept]:
        """The Messages events that follow from a frame. An ``error`` event is the last. Raises WireError."""
        ...

    def close(self) -> Sequence[Event | Kept]:
        """What is left to say at the end of the bytes. Raises TruncatedStream if no end was seen."""
        ...


@frozen(kw_only=True)
class Dialect:
    """How one wire is spoken.

    ``stream`` makes the reader of one reply: (request, target, message id). ``media_type``: what a reply is called
    that is a stream of this wire. ``translates``: what comes back is not
    the backend's own reply. Then the backend is asked for a stream even when the client wants none, so that there
    is one way of reading it, and the events are folded; and none of its headers goes to the client.

    ``unroll`` makes of a whole reply the stream that was asked for: there are backends that know no streams. It
    raises FrameError for what is no reply of this wire. None: a whole reply passes as it is.
    """

    render: Callable[[MessagesRequest, Target, Headers, str, Endpoint], Outbound]
    stream: Callable[[MessagesRequest, Target, str], Stream]
    translates: bool
    media_type: bytes = b"text/event-stream"
    unroll: Callable[[bytes], bytes] | None = None


class Bridge(Generic[FrameT]):
    """A `Stream` over a `Reply`: the backend's bytes in, Messages frames out, each event checked."""

    def __init__(self, reply: Reply[FrameT], decoder: Decoder[FrameT]) -> None:
        self._reply = reply
        self._decoder = decoder
        self._grammar = Grammar()
        self._fault: WireError | None = None
        self.first: str | None = None
        self.ended = False
        self.usage: events.Usage = {}

    def feed(self, chunk: bytes) -> bytes:
        """See `Stream`. What stands before a fault is given first, and the fault is raised by the next call."""
        self._raise_fault()
        out = []
        try:
            for frame in self._decoder.feed(chunk):
                out.append(self._write(self._reply.feed(frame)))  # noqa: PERF401  keeps what came before a fault
        except WireError as error:
            self._fault = error
            if not any(out):
                raise
        return b"".join(out)

    def close(self) -> bytes:
        """See `Stream`."""
        self._raise_fault()
        if self.ended:
            return b""
        try:
            frames = self._decoder.close()
        except TruncatedStream:
            frames = []  # a reply whose end was seen can do without what was cut off
        rest = b"".join(self._write(self._reply.feed(frame)) for frame in frames)
        rest += self._write(self._reply.close())
        self._grammar.finish()
        return rest

    @property
    def failure(self) -> ApiError | None:
        """See `Stream`."""
        return self._reply.failure

    @property
    def notes(self) -> tuple[str, ...]:
        """Those of the reply, as far as it has come."""
        return self._reply.notes

    def _raise_fault(self) -> None:
        if self._fault is not None:
            raise self._fault

    def _write(self, found: Iterable[Event | Kept]) -> bytes:
        out = []
        for each in found:
            if self.ended:
                break  # what a backend says after its end is not heard
            event, raw = each if isinstance(each, Kept) else (each, None)
            self._check(event)
            out.append(events.encode(event) if raw is None else raw)
        return b"".join(out)

    def _check(self, event: Event) -> None:
        try:
            self._grammar.feed(event)
        except GrammarError as error:  # our own fault, told as such
            raise GrammarError(f"the translation of the reply went wrong: {error}") from None
        if self.first is None and event["type"] != "ping":
            self.first = event["type"]
        if event["type"] in _TELLS_USAGE:
            self.usage = self.usage | events.usage_of(event)  # who has the last one keeps it
        self.ended = self._grammar.state in ENDED
