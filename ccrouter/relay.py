"""One request, from its plan to the last byte of its reply. The only module with both ends in hand.

Theory of operation
-------------------
`relay` does what the plan says next: it tries a target, or waits for a moment. An attempt is one nursery: `pump`
sends the backend's reply down a channel without a buffer, so that the backend is read no faster than the client is
written; the attempt itself writes. Between the client and the first bytes stands the commit point: before it a
failure has a status of its own or goes to the next target, after it it is an ``error`` event in the stream. While
the backend is quiet, the client gets pings. A mistake of ours goes the same way, and is raised then: a stream that
was just cut would be asked for again and again.

Two more tasks end an attempt: one waits for the client to hang up and cancels it, which closes the backend's
connection; one waits for the router to be stopped and sends that down the channel as a failure.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Literal

import trio
from attrs import evolve, frozen

from ccrouter.attempt.backends import Backends
from ccrouter.attempt.inbound import Inbound
from ccrouter.attempt.parts import End, Failed, Head, Mistaken, Part, Piece, Whole
from ccrouter.attempt.pump import pump
from ccrouter.attempt.whole import STREAM_HEADERS
from ccrouter.errors import ApiError, ClientGone, Stopping, UpstreamBroken, UpstreamError
from ccrouter.observe import internal_error
from ccrouter.providers.provider import Target
from ccrouter.routing.config import Server
from ccrouter.routing.failure import Refusal
from ccrouter.routing.plan import Outcome, Plan, Try, Wait, api_error
from ccrouter.server.connection import Client
from ccrouter.server.stop import cancel_when
from ccrouter.translate.headers import reply_headers
from ccrouter.translate.messages.watch import error_in
from ccrouter.translate.rewording import is_refusal, original, reword
from ccrouter.upstream.facts import WITHIN
from ccrouter.wire import envelope, events
from ccrouter.wire import headers as http
from ccrouter.wire.headers import Headers

_JSON = (b"content-type", b"application/json")

_PING = events.encode(events.ping())


@frozen(kw_only=True)
class Pacing:
    """Seconds; see `routing.config.Server`."""

    ping: float
    commit_after: float

    @classmethod
    def of(cls, server: Server) -> Pacing:
        """As a configuration has it."""
        return cls(ping=server.ping, commit_after=server.commit_after)


@frozen(kw_only=True)
class Relayed:
    """How a request ended. ``by``: the try whose words the client got, or after which it went; None: nobody's.

    ``unsaid``: what the client has still to be told, to whom nothing was sent.
    """

    outcome: Outcome
    by: Try | None = None
    unsaid: ApiError | None = None

    @classmethod
    def refused(cls, error: ApiError, by: Try | None = None) -> Relayed:
        """Nobody answered; what is known of the try stays with it."""
        outcome = Outcome(result="failed") if by is None else by.outcome
        return cls(outcome=evolve(outcome, failure=error), by=by, unsaid=error)


async def relay(
    inbound: Inbound, client: Client, plan: Plan, backends: Backends, pacing: Pacing, ending: trio.Event
) -> Relayed:
    """Answer ``client`` by the first of the plan's targets that can."""
    while (following := plan.next_target(trio.current_time())) is not None:
        if isinstance(following, Wait):
            await _pause(following.seconds, client, ending)
            if ending.is_set():
                return Relayed.refused(_stopping())
            if client.hung_up:
                return Relayed(outcome=Outcome(result="hung_up"), by=plan.tries[-1])
            continue
        attempt = _Attempt(
            inbound, client, following, pacing, alone=not plan.more and not plan.tries, begun=plan.begun
        )
        try:
            await attempt.run(backends, ending)
        finally:  # a mistake of ours and a cancellation are ends too
            plan.record(attempt.outcome, trio.current_time())
    if plan.tries and plan.tries[-1].outcome.result != "failed":
        return Relayed(outcome=plan.tries[-1].outcome, by=plan.tries[-1])
    verdict = plan.verdict()
    match verdict.reply, verdict.of:
        case Refusal(status, headers, body), Try() as one:
            await client.respond(status, identified(headers, inbound), body)
            return Relayed(outcome=one.outcome, by=one)
        case ApiError() as error, one:
            return Relayed.refused(error, one)
    raise AssertionError(verdict)


async def _pause(seconds: float, client: Client, ending: trio.Event) -> None:
    """Sit out a pause before the next try, or less if the request ends meanwhile."""
    with trio.move_on_after(seconds):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(cancel_when, client.wait_hung_up, nursery.cancel_scope)
            nursery.start_soon(cancel_when, ending.wait, nursery.cancel_scope)


def identified(headers: Headers, inbound: Inbound) -> Headers:
    """With a ``request-id``: the backend's own where it gave one."""
    if http.get(headers, b"request-id") is not None:
        return headers
    return [*headers, (b"request-id", inbound.request_id.encode())]


class _Attempt:
    """One call to one target, and the writing of its reply."""

    def __init__(
        self,
        inbound: Inbound,
        client: Client,
        target: Target,
        pacing: Pacing,
        *,
        alone: bool,
        begun: Callable[[float], None],
    ) -> None:
        self._inbound = inbound
        self._client = client
        self._target = target
        """With what is known of its model, once the attempt has begun."""
        self._pacing = pacing
        self._alone = alone
        """Whether this is the plan's only try: what it says is then what the client hears, as it came."""
        self._begun: Callable[[float], None] | None = begun
        self._changes: tuple[str, ...] = ()
        self._usage: events.Usage = {}
        self._sent: Piece | None = None
        """The last piece that the client has."""
        self._ended: Outcome | None = None

    @property
    def outcome(self) -> Outcome:
        """How it went, once `run` has ended, in whatever way."""
        ended = self._ended or Outcome(result="broken" if self._client.started else "failed")
        # Of what is cut short, by whomever, the backend has told so much.
        return evolve(ended, changes=self._changes, usage=ended.usage or dict(self._usage))

    async def run(self, backends: Backends, ending: trio.Event) -> None:
        """However it ends, the backend's connection is closed or returned by then. Raises mistakes of ours."""
        send, receive = trio.open_memory_channel[Part](0)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._await_hang_up, nursery.cancel_scope)
            nursery.start_soon(_await_stop, ending, send.clone())
            nursery.start_soon(self._ask, backends, send)
            try:
                self._ended = await self._write(receive)
            except ClientGone:
                self._ended = self._gone()
            nursery.cancel_scope.cancel()

    async def _ask(self, backends: Backends, send: trio.MemorySendChannel[Part]) -> None:
        async with send:
            try:
                until = trio.current_time() + WITHIN
                [self._target] = await backends.facts.inform([self._target], self._inbound.credentials)
                await pump(self._inbound, self._target, backends, send.clone(), until)
            except Exception as error:  # noqa: BLE001  whatever it is, `_write` raises it again
                await send.send(Mistaken(error))

    async def _await_hang_up(self, scope: trio.CancelScope) -> None:
        await self._client.wait_hung_up()
        self._ended = self._gone()
        scope.cancel()

    def _gone(self) -> Outcome:
        """The client went. Who has heard the end of the answer doesn't wait for that of the connection."""
        if self._sent is None or not self._sent.ended:
            return Outcome(result="hung_up")
        failure = self._sent.failure
        return Outcome(result="done" if failure is None else "broken", failure=failure, usage=self._sent.usage)

    async def _write(self, receive: trio.MemoryReceiveChannel[Part]) -> Outcome:
        """Up to the commit point."""
        head: Head | None = None
        part: Part | None = None
        patience = self._pacing.commit_after if self._inbound.streamed else float("inf")
        with trio.move_on_after(patience):
            part = await receive.receive()
            if isinstance(part, Head):
                head, part = part, None
                self._changes = head.changes
                part = await receive.receive()
        match part:
            case None:
                # The client must not wait longer without a sign of life.
                await self._client.start(200, self._stream_head(head), _PING)
                return await self._write_on(receive)
            case Whole():
                self._changes = part.changes
                return await self._write_whole(part)
            case Failed(error):
                return Outcome(result="failed", failure=error)
            case Mistaken(mistake):
                raise mistake
            case Piece(data, first, _, usage):
                self._usage = usage
                if first == "error" and not self._alone:
                    status, body = error_in(data)
                    return Outcome(result="failed", failure=Refusal(status, [_JSON], body))
                self._hear(first)
                await self._client.start(200, self._stream_head(head), data)
                self._sent = part
                return await self._write_on(receive)
            case End() | Head():
                raise AssertionError(part)

    async def _write_on(self, receive: trio.MemoryReceiveChannel[Part]) -> Outcome:
        """Past the commit point: whatever comes, the stream comes to a proper end."""
        while True:
            sent = self._sent
            ended = sent is not None and sent.ended
            part: Part | None = None
            with trio.move_on_after(self._pacing.ping):
                part = await receive.receive()
            match part:
                case None:
                    if not ended:
                        await self._client.send(_PING)
                case Piece(data, first, _, usage):
                    self._usage = usage
                    self._hear(first)
                    await self._client.send(data)
                    self._sent = part
                case Head():
                    self._changes = part.changes
                case End(failure, notes, usage):
                    return await self._finish(failure, notes, usage)
                case Failed() | Whole() if sent is not None and sent.ended:
                    # The client has heard the end: what comes behind it is no part of the answer.
                    return await self._finish(sent.failure, (), sent.usage)
                case Failed(error):
                    return await self._break(error)
                case Mistaken(mistake):
                    if not ended:
                        await self._client.send(
                            events.encode(events.error("api_error", internal_error.message(mistake)))
                        )
                    await self._client.finish()
                    raise mistake
                case Whole() if is_refusal(part.status, part.headers, part.body):
                    return await self._break(self._refusal(part))
                case Whole():
                    return await self._break(
                        UpstreamBroken("the backend answered without a stream, after a long wait")
                    )

    def _hear(self, first: str | None) -> None:
        """Say, once, that the backend has begun to answer."""
        if self._begun is not None and first not in (None, "error"):
            self._begun(trio.current_time())
            self._begun = None

    async def _finish(self, failure: ApiError | None, notes: tuple[str, ...], usage: events.Usage) -> Outcome:
        """End the stream behind its own last event. ``failure`` is what that told."""
        await self._client.finish()
        result: Literal["done", "broken"] = "done" if failure is None else "broken"
        return Outcome(result=result, failure=failure, notes=notes, usage=usage)

    async def _break(self, failure: ApiError | UpstreamError | Refusal) -> Outcome:
        """End the stream with an ``error`` event that says why."""
        match failure:
            case Refusal(_, _, body):
                event = {"type": "error", "error": json.loads(body)["error"]}
            case ApiError():
                event = events.error(failure.kind, failure.message)
            case _:
                told = api_error(failure, self._target)
                event = events.error(told.kind, told.message)
        await self._client.send(events.encode(event))
        await self._client.finish()
        return Outcome(result="ended" if isinstance(failure, Stopping) else "broken", failure=failure)

    async def _write_whole(self, whole: Whole) -> Outcome:
        if is_refusal(whole.status, whole.headers, whole.body):
            return Outcome(result="failed", failure=self._refusal(whole))
        headers = reply_headers(whole.headers, self._target.provider.preset, decoded=False)
        await self._client.respond(whole.status, identified(headers, self._inbound), whole.body)
        return Outcome(result="done", notes=whole.notes, usage=whole.usage)

    def _refusal(self, whole: Whole) -> Refusal:
        provider = self._target.provider
        error = reword(self._inbound.request, self._target, whole.status, whole.headers, whole.body)
        if error is None:
            headers = reply_headers(whole.headers, provider.preset, decoded=False)
            return Refusal(whole.status, headers, whole.body)
        advice = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in error.headers]
        body = envelope.write(error, self._inbound.request_id)
        said = original(whole.body)
        return Refusal(error.status, [_JSON, *advice], body, said)

    def _stream_head(self, head: Head | None) -> Headers:
        return identified(STREAM_HEADERS if head is None else head.headers, self._inbound)


async def _await_stop(ending: trio.Event, send: trio.MemorySendChannel[Part]) -> None:
    async with send:
        await ending.wait()
        await send.send(Failed(_stopping()))


def _stopping() -> Stopping:
    return Stopping(529, "overloaded_error", "ccrouter is being stopped", (("retry-after", "5"),))
