"""Anthropic's error envelope: ``{"type": "error", "error": {"type", "message"}, "request_id"}``.

Source: Anthropic's *Errors*. Claude Code recovers by the words of ``message``, so a well-formed envelope of
a backend is never rewritten.
"""

from __future__ import annotations

import html
import json
import re
from typing import Any

from ccrouter.errors import ApiError, FrameError
from ccrouter.wire import claude_code, json_text

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

#: How much of a refusal is read, in bytes and in characters. More than is passed on: what must not be told is
#: taken out before the cut, since half a credential looks like none.
MAX_READ = 64 * 1024

_LOGIN_MISSING = re.compile(claude_code.LOGIN_MISSING, re.IGNORECASE)

#: A tag or a comment, or the text up to the next one. Linear: a ``<`` that opens nothing is text.
_PIECE = re.compile(r"<([^<>]*)>|[^<]+|<")
_HIDDEN = ("style", "script", "title")


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
    ).encode("utf-8", "backslashreplace")  # a lone surrogate becomes JSON's escape for it


def shown(words: str) -> str:
    """``words`` so that the client shows them, and does not ask for a login in their place."""
    return _LOGIN_MISSING.sub("API key", words)


def is_envelope(body: bytes) -> bool:
    """Whether ``body`` is a well-formed error envelope already, which may pass as it is."""
    value = json_text.loads_or_none(body, nan="refuse")
    if not isinstance(value, dict) or value.get("type") != "error":
        return False
    error = value.get("error")
    return isinstance(error, dict) and isinstance(error.get("type"), str) and isinstance(error.get("message"), str)


def is_error(value: Any) -> bool:
    """Whether JSON that came in the place of an answer or an event is an error, in whatever envelope."""
    first = value[0] if isinstance(value, list) and value else value
    if not isinstance(first, dict):
        return False
    status = first.get("base_resp")
    return (
        bool(first.get("error") or first.get("detail"))
        or "error" in (first.get("type"), first.get("object"))
        or (isinstance(status, dict) and bool(status.get("status_code")))
    )


def message_in(body: bytes) -> str:
    """What another kind of error body says, in at most MAX_READ characters; "" when it says nothing.

    Read: ``error`` as an object, a string or the first of an array, ``message``, ``detail``, and ``status_msg`` in
    ``base_resp``; else the text itself, an HTML page reduced to its words.
    """
    try:
        value = json_text.loads(body, nan="null")
    except FrameError:
        return _words(body[:MAX_READ].decode("utf-8", "replace"))[:MAX_READ]
    return _message(value)[:MAX_READ].strip()


def _message(value: Any) -> str:
    inner = value
    while inner is not None:  # a loop, since envelopes can be inside each other deeper than calls can
        value = inner
        inner = _inside(value)
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False)
    except RecursionError:
        return ""


def _inside(value: Any) -> Any:
    """What an envelope holds; None for what is none."""
    if isinstance(value, list) and value:
        return value[0]
    if isinstance(value, dict):
        held = (value.get(key) for key in ("error", "message", "detail", "base_resp", "status_msg"))
        return next((each for each in held if isinstance(each, str | dict | list) and each), None)
    return None


def _words(text: str) -> str:
    """The words that an HTML page shows, or those of plain text, with white space folded."""
    if text.lstrip().startswith("<"):
        shown = []
        hidden = ""
        for piece in _PIECE.finditer(text):
            tag = piece[1]
            if tag is None:
                shown.append("" if hidden else piece[0])
                continue
            name = tag.split()[0].lower() if tag.split() else ""
            if hidden:
                hidden = "" if name == f"/{hidden}" else hidden
            elif name in _HIDDEN:
                hidden = name
            shown.append(" ")
        text = html.unescape("".join(shown))
    return " ".join(text.split())
