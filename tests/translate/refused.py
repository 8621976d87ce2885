"""A backend's refusals, and what the client is told of them."""

from __future__ import annotations

import json

from ccrouter.errors import ApiError
from ccrouter.providers.presets import PRESETS
from ccrouter.providers.provider import Provider, Target
from ccrouter.translate import tokens
from ccrouter.translate.rewording import reword
from ccrouter.wire.messages import MessagesRequest, read_request
from tests.rig import request

JSON = [(b"content-type", b"application/json")]


def to(preset="messages", **more):
    row = PRESETS[preset]
    base_url = row.base_url or "https://gateway.example.com"
    return Target(Provider(name="work", preset=row, base_url=base_url, **more), "m-1")


def enveloped(kind, message):
    return json.dumps({"type": "error", "error": {"type": kind, "message": message}}).encode()


def asked(count: int | None = None, **fields) -> MessagesRequest:
    """A request that was refused; its prompt has ``count`` tokens by the estimate, where that is told."""
    found = read_request(request(**fields))
    if count is None:
        return found
    words = " a" * (count - tokens.of(found))
    found = read_request(request(**{**fields, "messages": [{"role": "user", "content": f"hi{words}"}]}))
    assert tokens.of(found) == count
    return read_request(found.text.encode())


def error(status, headers, body, target=None, of=None):
    found = reword(of or asked(), target or to(), status, headers, body)
    assert isinstance(found, ApiError)
    return found
