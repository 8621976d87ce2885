"""Anthropic's error envelope: ``{"type": "error", "error": {"type", "message"}, "request_id"}``.

Source: Anthropic's *Errors*. Claude Code recovers by the words of ``message``, so a well-formed envelope of
a backend is never rewritten.
"""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import Any

from ccrouter.errors import ApiError

#: HTTP status -> error type.
KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    408: "timeout_error",
    409: "conflict_error",
    413: "request_too_large",
    422: "invalid_request_error",
    429: "rate_limit_error",
    500: "api_error",
    502: "api_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}

_STATUSES = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "conflict_error": 409,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "timeout_error": 504,
    "overloaded_error": 529,
}

#: The longest message that is passed on from an envelope that is not Anthropic's, in characters.
MAX_MESSAGE = 2048


def kind_of(status: int) -> str:
    """The error type that goes with a status."""
    return KINDS.get(status, "invalid_request_error" if 400 <= status < 500 else "api_error")


def status_of(kind: str) -> int:
    """The status that goes with an error type; 500 for one that is not known."""
    return _STATUSES.get(kind, 500)


def write(error: ApiError, request_id: str) -> bytes:
    """The body that tells a client of ``error``."""
    return json.dumps(
        {
            "type": "error",
            "error": {"type": error.kind, "message": error.message},
            "request_id": request_id,
        },
        ensure_ascii=False,
    ).encode("utf-8", "replace")


def is_envelope(body: bytes) -> bool:
    """Whether ``body`` is a well-formed error envelope already."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return False
    if not isinstance(value, dict) or value.get("type") != "error":
        return False
    error = value.get("error")
    return isinstance(error, dict) and isinstance(error.get("type"), str) and isinstance(error.get("message"), str)


def message_in(body: bytes) -> str:
    """What another kind of error body says, in at most MAX_MESSAGE characters.

    Read: ``error`` as an object, a string or the first of an array, ``message``, ``detail``; else the text
    itself, an HTML page reduced to its words.
    """
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return _words(body.decode("utf-8", "replace"))
    return _message(value)[:MAX_MESSAGE]


def _message(value: Any) -> str:
    if isinstance(value, list) and value:
        value = value[0]
    if isinstance(value, dict):
        for key in ("error", "message", "detail"):
            inner = value.get(key)
            if isinstance(inner, str) and inner:
                return inner
            if isinstance(inner, dict | list) and inner:
                return _message(inner)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _words(text: str) -> str:
    """The words of an HTML page, or of plain text, with white space folded."""
    if text.lstrip().startswith("<"):
        page = _Page()
        page.feed(text)
        text = " ".join(page.words)
    return " ".join(text.split())[:MAX_MESSAGE]


class _Page(HTMLParser):
    """Collects what a page shows."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self._hidden = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        if not self._hidden and tag in {"style", "script", "title"}:
            self._hidden = tag

    def handle_endtag(self, tag: str) -> None:
        if tag == self._hidden:
            self._hidden = ""

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.words.append(data)
