"""A backend's refusals, and what the client is told of them."""

from __future__ import annotations

import json

from ccrouter.errors import ApiError
from ccrouter.providers.presets import PRESETS
from ccrouter.providers.provider import Provider, Target
from ccrouter.translate.rewording import reword

JSON = [(b"content-type", b"application/json")]


def to(preset="messages", **more):
    row = PRESETS[preset]
    base_url = row.base_url or "https://gateway.example.com"
    return Target(Provider(name="work", preset=row, base_url=base_url, **more), "m-1")


def enveloped(kind, message):
    return json.dumps({"type": "error", "error": {"type": kind, "message": message}}).encode()


def error(status, headers, body, target=None, **more):
    found = reword(target or to(), status, headers, body, **more)
    assert isinstance(found, ApiError)
    return found
