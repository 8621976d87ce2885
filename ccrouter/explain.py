"""What would happen to a request, without sending it: ``ccrouter explain FILE``."""

from __future__ import annotations

from typing import Any

import trio

from ccrouter.attempt.backends import Backends
from ccrouter.attempt.inbound import Inbound
from ccrouter.dispatch import Chosen, Dispatcher
from ccrouter.errors import ApiError, WireError
from ccrouter.observe.log import printable
from ccrouter.providers.provider import Target
from ccrouter.translate import abilities, tokens, window
from ccrouter.translate.dialects import spoken


async def explain(inbound: Inbound, dispatch: Dispatcher, backends: Backends) -> dict[str, Any]:
    """The route of a request, its candidates with all that is known of them, and what each would get of it.

    The backends are asked what their models can do, as for a request; nothing of the request reaches them. Where
    its model leads nowhere, ``failure`` says why.
    """
    chosen = await dispatch.choose(inbound)
    made = chosen.route
    targets = await backends.facts.inform(chosen.plan.targets, inbound.credentials)
    count = await trio.to_thread.run_sync(tokens.of, made.request)
    return {
        **chosen.decision().to_json(),
        "tokens_estimated": count,
        "changes": list(made.changes),
        "failure": None if made.refused is None else printable(str(made.refused)),
        "candidates": [_candidate(inbound, chosen, target, dispatch, backends) for target in targets],
    }


def _candidate(
    inbound: Inbound, chosen: Chosen, target: Target, dispatch: Dispatcher, backends: Backends
) -> dict[str, Any]:
    spent = backends.budgets.refusal(target)
    known = target.known
    told: dict[str, Any] = {
        **dispatch.candidate(target, trio.current_time()).to_json(),
        "wire": backends.wire(target),
        "window": known.room if known.room is not None else known.window,
        "vision": known.vision,
        "tools": known.tools,
        "budget": None if spent is None else spent.message,
        "refused": None,
        "changes": [],
    }
    request = chosen.route.request
    try:
        abilities.check(request, target)
        if (too_long := window.too_long(request, target)) is not None:
            raise too_long
        dialect = spoken(backends.wire(target), target)
        outbound = dialect.render(request, backends.asked(target), inbound.headers, inbound.query, "messages")
    except (ApiError, WireError) as error:
        return told | {"refused": str(error)}
    return told | {"changes": list(outbound.changes), "bytes": len(outbound.body)}
