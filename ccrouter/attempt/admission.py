"""Whether a target can take a request, as far as one can know before it is sent."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

import trio

from ccrouter.attempt.inbound import Inbound
from ccrouter.providers.provider import Target
from ccrouter.translate import abilities, window
from ccrouter.upstream.facts import Facts
from ccrouter.wire.messages import MessagesRequest

_T = TypeVar("_T")
_For = TypeVar("_For", Target, Target | None)

#: Beyond this size, in characters, an estimate would hold all other streams up (40 ms for a megabyte); a thread
#: does it then.
LONG = 500_000


async def admit(inbound: Inbound, target: Target, facts: Facts, until: float = math.inf) -> Target:
    """The target, if nothing that is known of it speaks against the request. Raises ApiError where something does.

    Asked before there is a place at the backend: what can't be taken stands in no line. A window is not what it
    was a minute ago when somebody has loaded the model anew: no request is refused for one that was not asked for
    just now, unless the backend has not answered ``until`` then.
    """
    abilities.check(inbound.request, target)
    if await measured(window.wants_loading, inbound, target):
        return target  # `prepare` finds out
    if await measured(window.too_long, inbound, target) is not None:
        target = await facts.renew(target, inbound.credentials, until)
        await _refuse_too_long(inbound, target)
    return target


async def prepare(inbound: Inbound, target: Target, facts: Facts, until: float = math.inf) -> Target:
    """The target, with its model loaded as for the request where only that shows if it fits. Raises ApiError.

    Asked when there is a place at the backend: to load a model is work for it, and takes another one's room.
    """
    if not await measured(window.wants_loading, inbound, target):
        return target
    small = await measured(window.too_long, inbound, target) is not None
    target = await facts.load(target, inbound.credentials, until, anew=small)
    await _refuse_too_long(inbound, target)
    return target


async def _refuse_too_long(inbound: Inbound, target: Target) -> None:
    if (refusal := await measured(window.too_long, inbound, target)) is not None:
        raise refusal


async def measured(question: Callable[[MessagesRequest, _For], _T], inbound: Inbound, target: _For) -> _T:
    """What a question about the size of a request comes to."""
    if len(inbound.request.text) > LONG:
        return await trio.to_thread.run_sync(question, inbound.request, target)
    return question(inbound.request, target)
