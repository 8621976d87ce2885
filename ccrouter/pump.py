"""One call to a backend, as parts down a channel. The half of a relay that looks at the backend.

`pump` calls the backend and sends what it gets: a `Whole` reply, or the `Head` of a stream, `Piece` after
`Piece`, and `End`. What can go wrong with a backend is foreseen and comes down the same channel as a `Failed`;
an exception is a bug, but for Cancelled. The channel has no buffer, so a reader that stops reading stops the
backend.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import trio
from attrs import field, frozen

from ccrouter.errors import ApiError, UpstreamBroken, UpstreamError, UpstreamTimeout, WireError
from ccrouter.providers.provider import Target
from ccrouter.routing.credentials import ClientCredentials
from ccrouter.translate import lane
from ccrouter.upstream.credentials import Credentials, Grant, redact
from ccrouter.upstream.dial import Answer, Call, Dial
from ccrouter.wire import headers as http
from ccrouter.wire.coding import Undo, can_undo, coding_of
from ccrouter.wire.headers import Headers
from ccrouter.wire.messages import MessagesRequest

#: The largest reply that is held whole, in bytes.
MAX_WHOLE = 64 * 1024 * 1024

#: After a stream's last event the backend has this long to end the body too, in seconds.
AFTER_END = 2.0


@frozen(kw_only=True)
class Inbound:
    """What the client asked for."""

    request: MessagesRequest
    headers: Headers = field(repr=False)
    query: str
    endpoint: lane.Endpoint
    credentials: ClientCredentials = field(repr=False)
    request_id: str

    @property
    def streamed(self) -> bool:
        """Whether the client waits for a stream."""
        return self.request.stream and self.endpoint == "messages"


@frozen(kw_only=True)
class Backends:
    """The ways to the backends. ``dials`` by the transport of a preset."""

    dials: Mapping[str, Dial]
    credentials: Credentials


@frozen
class Head:
    """A stream begins."""

    status: int
    headers: Headers = field(repr=False)


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


@frozen
class Failed:
    """The attempt is over without a whole reply."""

    error: ApiError | UpstreamError


@frozen
class End:
    """The stream is whole."""


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
        outbound = lane.render(inbound.request, target, inbound.headers, inbound.query, inbound.endpoint)
        grant = await backends.credentials.grant(target.provider, inbound.credentials)
        call = Call(
            method="POST",
            url=outbound.url,
            headers=lane.with_betas([*outbound.headers, *grant.headers], grant.betas),
            body=outbound.body,
            timeouts=target.provider.timeouts,
        )
        preset = target.provider.preset
        async with backends.dials[preset.transport](call) as answer:
            if inbound.streamed and 200 <= answer.status < 300 and _is_stream(answer.headers):
                await _stream(answer, target, send)
            else:
                await send.send(_redacted(await _whole(answer), grant))
    if limit.cancelled_caught:
        raise UpstreamTimeout(f"the request took over {total:g} s", "total")


async def _stream(answer: Answer, target: Target, send: trio.MemorySendChannel[Part]) -> None:
    coding = coding_of(answer.headers)
    if not can_undo(coding):
        raise UpstreamBroken(f"the reply came in the content coding {coding!r}, which was not asked for")
    undo = Undo(coding)
    watch = lane.StreamWatch()
    headers = lane.reply_headers(answer.headers, target.provider.preset, decoded=coding != "identity")
    await send.send(Head(answer.status, headers))
    while True:
        with trio.move_on_after(AFTER_END if watch.ended else float("inf")) as grace:
            data = await answer.read()
        if grace.cancelled_caught or not data:
            break
        if frames := watch.feed(undo.feed(data)):
            await send.send(Piece(frames, watch.first, watch.ended))
    if rest := watch.close():
        await send.send(Piece(rest, watch.first, watch.ended))
    await send.send(End())


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
    if whole.status < 400:
        return whole
    text = whole.body.decode("latin-1")
    cleaned = redact(text, grant)
    return whole if cleaned == text else Whole(whole.status, whole.headers, cleaned.encode("latin-1"))


def _is_stream(headers: Headers) -> bool:
    return (http.get(headers, b"content-type") or b"").strip().lower().startswith(b"text/event-stream")
