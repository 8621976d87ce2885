"""One call to a backend, as parts down a channel. The half of a relay that looks at the backend.

`pump` calls the backend and sends what it gets: a `Whole` reply, or the `Head` of a stream, `Piece` after
`Piece`, and `End`. What can go wrong with a backend is foreseen and comes down the same channel as a `Failed`;
an exception is a bug, but for Cancelled. The channel has no buffer, so a reader that stops reading stops the
backend.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

import trio
from attrs import evolve, field, frozen

from ccrouter.errors import ApiError, UpstreamBroken, UpstreamError, UpstreamTimeout, WireError
from ccrouter.providers.provider import Provider, Target, Wire
from ccrouter.routing.credentials import ClientCredentials
from ccrouter.translate import abilities, window
from ccrouter.translate.dialect import Dialect, Endpoint, Outbound, Stream
from ccrouter.translate.dialects import spoken
from ccrouter.translate.messages import lane
from ccrouter.translate.refusal import is_refusal
from ccrouter.upstream.credentials import Credentials, Grant
from ccrouter.upstream.dial import Answer, Call, Dial
from ccrouter.upstream.facts import Facts
from ccrouter.upstream.models import ModelLists
from ccrouter.upstream.redaction import Discreet, redact_bytes
from ccrouter.wire import envelope
from ccrouter.wire import headers as http
from ccrouter.wire.coding import Undo, can_undo, coding_of
from ccrouter.wire.fold import fold
from ccrouter.wire.headers import Headers
from ccrouter.wire.messages import MessagesRequest
from ccrouter.wire.sse import Decoder

#: The largest reply that is held whole, in bytes.
MAX_WHOLE = 64 * 1024 * 1024

#: Beyond this size, in characters, an estimate would hold all other streams up (36 ms for a megabyte); a thread
#: does it then.
LONG = 500_000

#: Of a stream that the router writes itself.
STREAM_HEADERS: Headers = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
]

#: Headers that speak of a body and not of the reply.
_OF_BODY = frozenset(
    {b"content-type", b"content-length", b"content-encoding", b"content-md5", b"content-digest", b"digest"}
)

#: After a stream's last event the backend has this long to end the body too, in seconds.
AFTER_END = 2.0


@frozen(kw_only=True)
class Inbound:
    """What the client asked for."""

    request: MessagesRequest
    headers: Headers = field(repr=False)
    query: str
    endpoint: Endpoint
    credentials: ClientCredentials = field(repr=False)
    request_id: str

    @property
    def streamed(self) -> bool:
        """Whether the client waits for a stream."""
        return self.request.stream and self.endpoint == "messages"


@frozen(kw_only=True)
class Backends:
    """The ways to the backends. ``dials`` by the transport of a preset.

    ``fallen`` remembers backends that turned out not to have their preset's wire, and the one that they have.
    ``facts`` knows what their models can do.
    """

    dials: Mapping[str, Dial]
    credentials: Credentials
    fallen: dict[str, Wire] = field(factory=dict)
    facts: Facts = field(repr=False)

    @facts.default
    def _facts(self) -> Facts:
        return Facts(ModelLists(self.dials, self.credentials))

    def wire(self, provider: Provider, endpoint: Endpoint = "messages") -> Wire:
        """The wire that is spoken to a provider now. Who can count a Messages request is asked in that form."""
        if endpoint == "count_tokens" and provider.preset.count_path is not None:
            return "messages"
        return self.fallen.get(_place(provider), provider.spoken)


@frozen
class Head:
    """A stream begins. ``changes`` were made to the request, see `Outbound`."""

    status: int
    headers: Headers = field(repr=False)
    changes: tuple[str, ...] = ()


@frozen
class Piece:
    """Whole frames of a stream. ``first`` is the type of its first event, ``ended`` whether its last is in it."""

    data: bytes = field(repr=False)
    first: str | None
    ended: bool


@frozen
class Whole:
    """A reply that is no stream, complete, its content coding undone where that can be."""

    status: int
    headers: Headers = field(repr=False)
    body: bytes = field(repr=False)
    notes: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()


@frozen
class Failed:
    """The attempt is over without a whole reply."""

    error: ApiError | UpstreamError


@frozen
class End:
    """The stream is whole, or told itself that it failed. ``notes`` are for the log, see `Reply`."""

    failure: ApiError | None = None
    notes: tuple[str, ...] = ()


Part: TypeAlias = Head | Piece | Whole | Failed | End


async def pump(inbound: Inbound, target: Target, backends: Backends, send: trio.MemorySendChannel[Part]) -> None:
    """Call ``target`` and send the parts of its reply; closes ``send``."""
    async with send:
        try:
            await _call(inbound, target, backends, send)
        except WireError as error:
            await send.send(Failed(UpstreamBroken(str(error))))
        except (ApiError, UpstreamError) as error:
            await send.send(Failed(error))


async def ask(inbound: Inbound, target: Target, backends: Backends) -> Whole:
    """One call whose whole reply is wanted. Raises ApiError and UpstreamError."""
    send, receive = trio.open_memory_channel[Part](0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pump, inbound, target, backends, send)
        part = await receive.receive()
        nursery.cancel_scope.cancel()
    match part:
        case Whole():
            return part
        case Failed(error):
            raise error
        case _:
            raise UpstreamBroken("the reply is a stream, which was not asked for")


async def _call(inbound: Inbound, target: Target, backends: Backends, send: trio.MemorySendChannel[Part]) -> None:
    total = target.provider.timeouts.total
    with trio.move_on_after(total) as limit:
        if inbound.endpoint == "messages":
            target = await _checked(inbound, target, backends.facts)
        wire = backends.wire(target.provider, inbound.endpoint)
        whole = await _Exchange(inbound, target, backends, spoken(wire, target), send).run()
        if whole is not None and wire == "responses" and _has_no_responses(whole, inbound, target.provider):
            backends.fallen[_place(target.provider)] = "chat"
            whole = await _Exchange(inbound, target, backends, spoken("chat", target), send).run()
        if whole is not None:
            await send.send(whole)
    if limit.cancelled_caught:
        raise UpstreamTimeout(f"the request took over {total:g} s", "total")


async def _checked(inbound: Inbound, target: Target, facts: Facts) -> Target:
    """The target, which can take the request as far as one can know. Raises ApiError where it can't.

    A window is not what it was a minute ago when somebody has loaded the model anew: no request is refused for one
    that was not asked for just now.
    """
    request = inbound.request
    abilities.check(request, target)
    refusal = await _measured(inbound, target)
    if refusal is None and window.wants_loading(request, target):
        target = await facts.load(target, inbound.credentials)
        refusal = await _measured(inbound, target)
    elif refusal is not None:
        target = await facts.renew(target, inbound.credentials)
        refusal = await _measured(inbound, target)
    if refusal is not None:
        raise refusal
    return target


async def _measured(inbound: Inbound, target: Target) -> ApiError | None:
    if len(inbound.request.text) > LONG:
        return await trio.to_thread.run_sync(window.too_long, inbound.request, target)
    return window.too_long(inbound.request, target)


@frozen
class _Exchange:
    """One request by one wire, and its reply: a stream is sent on, a whole reply is handed back."""

    inbound: Inbound
    target: Target
    backends: Backends
    dialect: Dialect
    send: trio.MemorySendChannel[Part]

    async def run(self) -> Whole | None:
        """A credential that the backend refuses is replaced once, where there is another one to try."""
        inbound, provider, credentials = self.inbound, self.target.provider, self.backends.credentials
        outbound = self.dialect.render(
            inbound.request, self.target, inbound.headers, inbound.query, inbound.endpoint
        )
        grant = await credentials.grant(provider, inbound.credentials)
        whole = await self._attempt(outbound, grant)
        if whole is not None and whole.status == 401:
            better = await credentials.renew(provider, inbound.credentials, grant)
            whole = whole if better is None else await self._attempt(outbound, better)
        return None if whole is None else evolve(whole, changes=outbound.changes)

    async def _attempt(self, outbound: Outbound, grant: Grant) -> Whole | None:
        inbound, target, dialect = self.inbound, self.target, self.dialect
        call = Call(
            method="POST",
            url=outbound.url,
            headers=_granted(outbound.headers, grant),
            body=outbound.body,
            timeouts=target.provider.timeouts,
        )
        async with self.backends.dials[target.provider.preset.transport](call) as came:
            answer: Answer = came
            if not (200 <= answer.status < 300 and _is_stream(answer.headers, dialect)):
                whole = _redacted(await _whole(answer), grant)
                if not (dialect.unroll and inbound.endpoint == "messages" and 200 <= whole.status < 300):
                    return whole
                if not dialect.translates and is_refusal(whole.status, whole.headers, whole.body):
                    return whole
                answer = _Unrolled(_unrolled(whole.body, dialect.unroll, grant), whole.headers)
            elif not inbound.streamed and dialect.unroll is None:
                return await _whole(answer)
            stream = Discreet(dialect.stream(inbound.request, target, _message_id()), grant.headers)
            if not inbound.streamed:
                kept: Headers = [] if dialect.translates else http.without(answer.headers, _OF_BODY)
                return await _folded(answer, stream, kept)
            headers = _stream_headers(answer.headers, target, dialect)
            await self.send.send(Head(answer.status, headers, outbound.changes))
            await _read(answer, stream, self.send.send)
            await self.send.send(End(stream.failure, stream.notes))
            return None


class _Unrolled:
    """A whole reply as the stream that was asked for."""

    status = 200

    def __init__(self, stream: bytes, headers: Headers) -> None:
        self._left = stream
        self.headers = [*http.without(headers, _OF_BODY), *STREAM_HEADERS]

    async def read(self) -> bytes:
        """See `Answer`."""
        found, self._left = self._left, b""
        return found


def _unrolled(body: bytes, unroll: Callable[[bytes], bytes], grant: Grant) -> bytes:
    try:
        return unroll(body)
    except WireError:  # its words are the backend's
        return unroll(redact_bytes(body, grant.headers))


def _has_no_responses(whole: Whole, inbound: Inbound, provider: Provider) -> bool:
    """Whether a refusal says that the endpoint is missing, and not that the model is."""
    return (
        whole.status in {404, 405}
        and inbound.endpoint == "messages"
        and provider.wire is None
        and provider.preset.falls_back
        and "model" not in envelope.message_in(whole.body).lower()
    )


def _place(provider: Provider) -> str:
    return f"{provider.name} {provider.base_url}"


async def _read(answer: Answer, stream: Stream, pass_on: Callable[[Piece], Awaitable[None]]) -> None:
    """Read a stream to its end, piece by piece. Raises WireError when it is not whole."""
    coding = coding_of(answer.headers)
    if not can_undo(coding):
        raise UpstreamBroken(f"the reply came in the content coding {coding!r}, which was not asked for")
    undo = Undo(coding)
    while True:
        with trio.move_on_after(AFTER_END if stream.ended else float("inf")) as grace:
            data = await answer.read()
        if grace.cancelled_caught or not data:
            break
        if frames := stream.feed(undo.feed(data)):
            _raise_failure(stream)
            await pass_on(Piece(frames, stream.first, stream.ended))
    if rest := stream.close():
        _raise_failure(stream)
        await pass_on(Piece(rest, stream.first, stream.ended))


def _raise_failure(stream: Stream) -> None:
    """A translated stream that consists of an error had better not begin: a status says more than an event."""
    if stream.first == "error" and stream.failure is not None:
        raise stream.failure


async def _folded(answer: Answer, stream: Stream, headers: Headers) -> Whole:
    """A stream that the client didn't ask for, as the message that it means. Raises ApiError for its ``error``."""
    frames = bytearray()

    async def keep(piece: Piece) -> None:
        frames.extend(piece.data)
        if len(frames) > MAX_WHOLE:
            raise UpstreamBroken(f"the reply exceeds {MAX_WHOLE // (1024 * 1024)} MB")

    await _read(answer, stream, keep)
    decoder = Decoder()
    found = [json.loads(frame.data) for frame in [*decoder.feed(bytes(frames)), *decoder.close()] if frame.data]
    if found and found[-1]["type"] == "error":
        if stream.failure is not None:
            raise stream.failure
        error = found[-1]["error"]
        raise ApiError(envelope.status_of(error["type"]), error["type"], error["message"])
    # Half a surrogate pair that came alone becomes JSON's escape for it; two in a row are a character again.
    body = json.dumps(fold(found), ensure_ascii=False).encode("utf-8", "backslashreplace")
    return Whole(200, [*headers, (b"content-type", b"application/json")], body, stream.notes)


def _granted(headers: Headers, grant: Grant) -> Headers:
    """With the grant's headers, in place of those of the same name, and the betas that it needs."""
    names = {name for name, _ in grant.headers}
    return lane.with_betas([*http.without(headers, names), *grant.headers], grant.betas)


def _stream_headers(headers: Headers, target: Target, dialect: Dialect) -> Headers:
    if dialect.translates:
        return STREAM_HEADERS
    return lane.reply_headers(headers, target.provider.preset, decoded=coding_of(headers) != "identity")


def _message_id() -> str:
    """Unique for each reply, or the client merges turns."""
    return f"msg_ccr_{secrets.token_hex(12)}"


async def _whole(answer: Answer) -> Whole:
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


def _redacted(whole: Whole, grant: Grant) -> Whole:
    """Backends echo keys in their complaints about them; a credential goes no further than its host."""
    if not is_refusal(whole.status, whole.headers, whole.body):
        return whole
    return evolve(whole, body=redact_bytes(whole.body, grant.headers))


def _is_stream(headers: Headers, dialect: Dialect) -> bool:
    return (http.get(headers, b"content-type") or b"").strip().lower().startswith(dialect.media_type)
