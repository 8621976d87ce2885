"""A Responses request as the question for the number of its tokens.

The question is the request itself, rendered as for an answer, without the members that only an answer needs: what
is counted is what would be sent.

Source: ``responses.input_tokens.count`` of the openai SDK 3.52.0 (2026-11).
"""

from __future__ import annotations

import json

from ccrouter.errors import ApiError
from ccrouter.providers.address import url
from ccrouter.providers.provider import Target
from ccrouter.translate.dialect import Outbound
from ccrouter.translate.foreign import written

#: The members that are taken, of those that are ever rendered.
_TAKEN = frozenset(
    {"model", "instructions", "input", "tools", "tool_choice", "parallel_tool_calls", "reasoning", "text"}
)


def address(target: Target) -> str:
    """Where ``target`` counts. Raises ApiError if it doesn't."""
    path = target.provider.preset.responses_count_path
    if path is None:
        raise ApiError(404, "not_found_error", f"{target.provider.name} does not count tokens")
    return url(target.provider, path)


def question(whole: Outbound, where: str) -> Outbound:
    """Asks how many tokens the request ``whole`` has."""
    asked = {name: value for name, value in json.loads(whole.body).items() if name in _TAKEN}
    return Outbound(
        url=where,
        headers=[(name, b"application/json" if name == b"accept" else value) for name, value in whole.headers],
        body=written(asked),
        changes=whole.changes,
    )
