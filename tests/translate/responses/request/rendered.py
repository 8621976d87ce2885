"""What is rendered of a request, and what it is made of."""

from __future__ import annotations

import json

import pytest
from attrs import evolve

from ccrouter.errors import ApiError
from ccrouter.translate.responses import request as responses_request
from tests.translate.responses_wire import request, target


def render(preset="there", model="m", headers=(), models=(), quirks=None, **fields):
    to = target(preset, model, models=models)
    if quirks:
        row = evolve(to.provider.preset, quirks=evolve(to.provider.preset.quirks, **quirks))
        to = evolve(to, provider=evolve(to.provider, preset=row))
    out = responses_request.render(request(**fields), to, list(headers), "beta=true", "messages")
    return json.loads(out.body), out.changes


def items(*messages, **how):
    return render(messages=list(messages), **how)[0]["input"]


def user(*content):
    return {"role": "user", "content": list(content)}


def assistant(*content):
    return {"role": "assistant", "content": list(content)}


def text(words):
    return {"type": "text", "text": words}


def refused(**how):
    with pytest.raises(ApiError) as caught:
        render(**how)
    assert (caught.value.status, caught.value.kind) == (400, "invalid_request_error")
    return caught.value.message


BASH = {
    "name": "Bash",
    "description": "Runs",
    "input_schema": {"type": "object", "properties": {"c": {"type": "string"}}},
}
SEARCH = {"type": "web_search_20250305", "name": "web_search", "max_uses": 8}
