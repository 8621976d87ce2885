"""How many tokens a request has: the backend's own count, else an estimate. Never an error.

A backend that counts Messages requests is asked in that form, whichever wire answers are had by: it is the same
server, and the request is what came. One that counts Responses requests is asked when that wire is spoken to it.
"""

from __future__ import annotations

import json
from contextlib import suppress

import trio

from ccrouter.attempt.admission import measured
from ccrouter.attempt.backends import Backends
from ccrouter.attempt.inbound import Inbound
from ccrouter.attempt.parts import Whole
from ccrouter.attempt.pump import ask
from ccrouter.errors import ApiError, UpstreamError
from ccrouter.providers.provider import Target
from ccrouter.translate.headers import reply_headers
from ccrouter.translate.members import as_object
from ccrouter.translate.tokens import of as estimate
from ccrouter.wire import headers as http
from ccrouter.wire import json_text
from ccrouter.wire.headers import Headers

#: A count that a backend has not given by then is estimated, in seconds.
COUNT_WITHIN = 10.0

_JSON: Headers = [(b"content-type", b"application/json")]


async def count(inbound: Inbound, target: Target, backends: Backends) -> tuple[Headers, bytes]:
    """Headers and body of the reply. What is counted is what the target would be shown."""
    (target,) = await backends.facts.inform([target], inbound.credentials)
    wire = backends.wire(target, "count_tokens")
    path = {
        "messages": target.provider.preset.count_path,
        "responses": target.provider.preset.responses_count_path,
    }.get(wire)
    if path is None:
        return await estimated(inbound, target)
    whole: Whole | None = None
    with trio.move_on_after(COUNT_WITHIN), suppress(ApiError, UpstreamError):
        whole = await ask(inbound, target, backends)
    told = _tokens(whole.body) if whole is not None and whole.status == 200 else None
    if whole is None or told is None:
        return await estimated(inbound, target)
    if wire != "messages":
        return _JSON, _body(told)
    kept = reply_headers(whole.headers, target.provider.preset, decoded=False)
    return http.without(kept, (b"request-id",)), whole.body


async def estimated(inbound: Inbound, target: Target | None = None) -> tuple[Headers, bytes]:
    """An estimate of what ``target`` would be shown, told as one in a header."""
    return [*_JSON, (http.ESTIMATE, b"1")], _body(await measured(estimate, inbound, target))


def _tokens(body: bytes) -> int | None:
    tokens = as_object(json_text.loads_or_none(body, nan="null")).get("input_tokens")
    return tokens if type(tokens) is int and tokens >= 0 else None


def _body(tokens: int) -> bytes:
    return json.dumps({"input_tokens": tokens}).encode()
