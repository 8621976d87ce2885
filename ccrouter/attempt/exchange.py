"""One request by one wire, and its reply: a stream is sent on, a whole reply is handed back.

However a reply ends, by its own end, a failure or a cancellation: what it told of its cost by then is spent.
"""

from __future__ import annotations

import secrets

import trio
from attrs import evolve, frozen

from ccrouter.attempt.backends import Backends
from ccrouter.attempt.inbound import Inbound
from ccrouter.attempt.parts import End, Head, Part, Whole
from ccrouter.attempt.whole import (
    OF_BODY,
    STREAM_HEADERS,
    Unrolled,
    counted,
    folded,
    read,
    redacted,
    unrolled,
    whole,
)
from ccrouter.providers.provider import Target
from ccrouter.translate.dialect import Dialect, Outbound
from ccrouter.translate.headers import reply_headers, with_betas
from ccrouter.translate.rewording import is_refusal
from ccrouter.upstream.credentials import Grant
from ccrouter.upstream.dial import Answer, Call
from ccrouter.upstream.redaction import Discreet
from ccrouter.wire import headers as http
from ccrouter.wire.coding import coding_of
from ccrouter.wire.events import Usage
from ccrouter.wire.headers import Headers


@frozen
class Exchange:
    """What it takes. ``send``: where the parts of a stream go."""

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
        reply = await self._attempt(outbound, grant)
        if reply is not None and reply.status == 401:
            better = await credentials.renew(provider, inbound.credentials, grant)
            reply = reply if better is None else await self._attempt(outbound, better)
        return None if reply is None else evolve(reply, changes=outbound.changes)

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
            self.backends.quotas.hear(target.provider, answer.headers, self.backends.clock(), target.account)
            if not (200 <= answer.status < 300 and _is_stream(answer.headers, dialect)):
                reply = redacted(await whole(answer), grant)
                if not (dialect.unroll and inbound.endpoint == "messages" and 200 <= reply.status < 300):
                    return self._charged(counted(reply))
                if not dialect.translates and is_refusal(reply.status, reply.headers, reply.body):
                    return reply
                answer = Unrolled(unrolled(reply.body, dialect.unroll, grant), reply.headers)
            elif not inbound.streamed and dialect.unroll is None:
                return self._charged(counted(await whole(answer)))
            stream = Discreet(dialect.stream(inbound.request, target, _message_id()), grant.headers)
            try:
                if not inbound.streamed:
                    kept: Headers = [] if dialect.translates else http.without(answer.headers, OF_BODY)
                    return await folded(answer, stream, kept)
                headers = _stream_headers(answer.headers, target, dialect)
                await self.send.send(Head(answer.status, headers, outbound.changes))
                await read(answer, stream, self.send.send, verbatim=dialect.unroll is None)
            finally:
                self._spend(stream.usage)
            await self.send.send(End(stream.failure, stream.notes, stream.usage))
            return None

    def _charged(self, reply: Whole) -> Whole:
        if not is_refusal(reply.status, reply.headers, reply.body):
            self._spend(reply.usage)
        return reply

    def _spend(self, usage: Usage) -> None:
        if self.inbound.endpoint == "messages":
            self.backends.budgets.spend(self.target, usage)


def _granted(headers: Headers, grant: Grant) -> Headers:
    """With the grant's headers, in place of those of the same name, and the betas that it needs."""
    names = {name for name, _ in grant.headers}
    return with_betas([*http.without(headers, names), *grant.headers], grant.betas)


def _stream_headers(headers: Headers, target: Target, dialect: Dialect) -> Headers:
    if dialect.translates:
        return STREAM_HEADERS
    return reply_headers(headers, target.provider.preset, decoded=coding_of(headers) != "identity")


def _message_id() -> str:
    """Unique for each reply, or the client merges turns."""
    return f"msg_ccr_{secrets.token_hex(12)}"


def _is_stream(headers: Headers, dialect: Dialect) -> bool:
    return (http.get(headers, b"content-type") or b"").strip().lower().startswith(dialect.media_type)
