"""Calls a target, and sends what comes of it down a channel.

The channel has no buffer, so a reader that stops reading stops the backend. An exception that gets out of here is
a bug, but for Cancelled.
"""

from __future__ import annotations

import math

import trio

from ccrouter.attempt.admission import admit, prepare
from ccrouter.attempt.backends import Backends
from ccrouter.attempt.exchange import Exchange
from ccrouter.attempt.inbound import Inbound
from ccrouter.attempt.parts import Failed, Part, Whole
from ccrouter.errors import ApiError, UpstreamBroken, UpstreamError, UpstreamTimeout, WireError
from ccrouter.providers.provider import Provider, Target
from ccrouter.translate.dialects import spoken
from ccrouter.translate.responses.request import refuses_summary
from ccrouter.wire import envelope


async def pump(
    inbound: Inbound,
    target: Target,
    backends: Backends,
    send: trio.MemorySendChannel[Part],
    until: float = math.inf,
) -> None:
    """Call ``target`` and send the parts of its reply; closes ``send``.

    ``until`` then the backend has time to say what its model can take; a wait in our own line is not part of it.
    """
    async with send:
        try:
            await _call(inbound, target, backends, send, until)
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


async def _call(
    inbound: Inbound,
    target: Target,
    backends: Backends,
    send: trio.MemorySendChannel[Part],
    until: float,
) -> None:
    if inbound.endpoint == "count_tokens":
        await _answered(inbound, target, backends, send)
        return
    target = await admit(inbound, target, backends.facts, until)
    entered = trio.current_time()
    async with backends.limiter.slot(target.provider, inbound.session):
        # Others may have used it up meanwhile.
        if (refusal := backends.budgets.refusal(target)) is not None:
            raise refusal
        waited = trio.current_time() - entered
        target = await prepare(inbound, target, backends.facts, until + waited)
        await _answered(inbound, target, backends, send)


async def _answered(
    inbound: Inbound, target: Target, backends: Backends, send: trio.MemorySendChannel[Part]
) -> None:
    """The whole deadline begins here: what somebody waits in our own line is no fault of the backend's."""
    total = target.provider.timeouts.total
    with trio.move_on_after(total) as limit:
        whole = await _exchanged(inbound, target, backends, send)
        if whole is not None:
            await send.send(whole)
    if limit.cancelled_caught:
        raise UpstreamTimeout(f"the request took over {total:g} s", "total")


async def _exchanged(
    inbound: Inbound, target: Target, backends: Backends, send: trio.MemorySendChannel[Part]
) -> Whole | None:
    wire = backends.wire(target, inbound.endpoint)
    target = backends.asked(target)
    whole = await Exchange(inbound, target, backends, spoken(wire, target), send).run()
    if whole is not None and wire == "responses" and _sums_nothing_up(whole, target):
        target = backends.unsummarize(target)
        whole = await Exchange(inbound, target, backends, spoken(wire, target), send).run()
    if whole is not None and wire == "responses" and _has_no_responses(whole, inbound, target.provider):
        fallen = await Exchange(inbound, target, backends, spoken("chat", target), send).run()
        if fallen is not None and _is_missing(fallen):
            return whole  # a proxy whose server is away answers so on every path
        if fallen is None or fallen.status < 500:
            backends.fall(target.provider, "chat")
        return fallen
    return whole


def _sums_nothing_up(whole: Whole, target: Target) -> bool:
    """Whether a refusal is a reason to ask once more, without a summary of the reasoning."""
    return target.summarized and refuses_summary(whole.status, whole.body)


def _has_no_responses(whole: Whole, inbound: Inbound, provider: Provider) -> bool:
    """Whether a refusal is a reason to try the other wire."""
    return (
        _is_missing(whole)
        and inbound.endpoint == "messages"
        and provider.wire is None
        and provider.preset.falls_back
    )


def _is_missing(whole: Whole) -> bool:
    """Whether a refusal says that the endpoint is missing, and not that the model is."""
    return whole.status in {404, 405} and "model" not in envelope.message_in(whole.body).lower()
