"""Whether a target can take a request, as far as one can know before it is sent."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

import trio

from ccrouter.attempt.backends import Inbound
from ccrouter.providers.provider import Target
from ccrouter.translate import abilities, window
from ccrouter.upstream.facts import Facts
from ccrouter.wire.messages import MessagesRequest

_T = TypeVar("_T")

#: Beyond this size, in characters, an estimate would hold all other streams up (40 ms for a megabyte); a thread
#: does it then.
LONG = 500_000


async def checked(inbound: Inbound, target: Target, facts: Facts, until: float = math.inf) -> Target:
    """The target, which can take the request as far as one can know. Raises ApiError where it can't.

    A window is not what it was a minute ago when somebody has loaded the model anew: no request is refused for one
    that was not asked for just now, unless the backend has not answered ``until`` then. Nor is it what the request
    gets, where that has the model loaded anew: it is loaded for it first.
    """
    request = inbound.request
    abilities.check(request, target)
    refusal = await measured(window.too_long, inbound, target)
    if await measured(window.wants_loading, inbound, target):
        target = await facts.load(target, inbound.credentials, until, anew=refusal is not None)
        refusal = await measured(window.too_long, inbound, target)
    elif refusal is not None:
        target = await facts.renew(target, inbound.credentials, until)
        refusal = await measured(window.too_long, inbound, target)
    if refusal is not None:
        raise refusal
    return target


async def measured(question: Callable[[MessagesRequest, Target], _T], inbound: Inbound, target: Target) -> _T:
    """What a question about the size of a request comes to."""
    if len(inbound.request.text) > LONG:
        return await trio.to_thread.run_sync(question, inbound.request, target)
    return question(inbound.request, target)
