"""How a backend of the Responses wire is asked for the number of a request's tokens.

The question is the request itself, rendered as for an answer, without the members that only an answer needs: what
is counted is what would be sent.

Source: ``responses.input_tokens.count`` of the openai SDK 3.52.0 (2026-11).
"""

from __future__ import annotations

import json

from ccrouter.errors import ApiError
from ccrouter.providers.address import url
from ccrouter.providers.provider import Target
from ccrouter.translate.dialect import Endpoint, Outbound
from ccrouter.translate.foreign import written
from ccrouter.translate.responses import request as responses_request
from ccrouter.wire.headers import Headers
from ccrouter.wire.messages import MessagesRequest

#: The members that are taken, of those that are ever rendered.
_TAKEN = frozenset(
    {"model", "instructions", "input", "tools", "tool_choice", "parallel_tool_calls", "reasoning", "text"}
)


def render(request: MessagesRequest, target: Target, headers: Headers, query: str, endpoint: Endpoint) -> Outbound:
    """The request as ``target`` gets it, at either endpoint. Raises ApiError for what it can't take."""
    if endpoint == "messages":
        return responses_request.render(request, target, headers, query, endpoint)
    path = target.provider.preset.responses_count_path
    if path is None:
        raise ApiError(404, "not_found_error", f"{target.provider.name} does not count tokens")
    whole = responses_request.render(request, target, headers, query, "messages")
    asked = {name: value for name, value in json.loads(whole.body).items() if name in _TAKEN}
    return Outbound(
        url=url(target.provider, path),
        headers=[(name, b"application/json" if name == b"accept" else value) for name, value in whole.headers],
        body=written(asked),
        changes=whole.changes,
    )
