"""How long a backend wants to be left alone, in whole seconds: what ``retry-after`` tells the client.

Servers say it as seconds or a date in ``retry-after``, as milliseconds, in fields of their envelope, or in words.
A date is measured from the reply's own ``date``: a reset is on the server's clock, not on ours. Rounded up, so
that the client never comes too early.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import Any

from ccrouter.translate.overflow import envelope_objects
from ccrouter.wire import headers as http
from ccrouter.wire.headers import Headers

#: Longer waits are told as this one, in seconds: no limit that a client can wait for is reset later.
LONGEST = 31 * 24 * 3600

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DATE = re.compile(r"\w{3}, (\d{2}) (\w{3}) (\d{4}) (\d{2}):(\d{2}):(\d{2}) GMT")

_SPAN = r"(?:\d{1,6}(?:\.\d{1,9})?\s?(?:ms|milliseconds?|s|sec|seconds?|m|min|minutes?|h|hours?)(?![a-z])\s?)+"
_WORDS = re.compile(rf"(?:try again|retry|available again|resets?) in ({_SPAN})", re.IGNORECASE)
_AT = re.compile(
    r"(?:try again|retry|available again|resets?) at (\d{4}-\d\d-\d\dT[\d:.]{5,15}(?:Z|[+-]\d\d:\d\d))"
)
_COMPACT = re.compile(r"(\d{1,6}(?:\.\d{1,9})?)\s?([a-z]+)")
_UNITS = {"ms": 0.001, "mi": 60, "se": 1, "s": 1, "m": 60, "h": 3600, "ho": 3600}


def retry_after(headers: Headers, body: Any, message: str) -> int | None:
    """Seconds, None where nobody says; the first of headers, fields and words that does."""
    now = _date(http.get_text(headers, b"date") or "")
    found = _of_headers(headers, now)
    if found is None:
        found = _of_fields(body, now)
    if found is None:
        found = _of_words(message, now)
    if found is None and (at := _number(http.get_text(headers, b"x-codex-primary-reset-at"))) and now:
        found = at - now
    if found is None or not math.isfinite(found):
        return None
    return max(0, min(math.ceil(round(found, 3)), LONGEST))


def span(seconds: int) -> str:
    """A time to wait, for people; rounded up."""
    if seconds < 120:
        return f"{seconds} s"
    minutes = -(-seconds // 60)
    if minutes < 120:
        return f"{minutes} min"
    hours = -(-minutes // 60)
    return f"{hours} h" if hours < 48 else f"{-(-hours // 24)} days"


def _of_headers(headers: Headers, now: float | None) -> float | None:
    milliseconds = _number(http.get_text(headers, b"retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    text = http.get_text(headers, b"retry-after")
    seconds = _number(text)
    if seconds is not None:
        return seconds
    at = _date(text or "")
    return None if at is None or now is None else at - now


def _of_fields(body: Any, now: float | None) -> float | None:
    for held in envelope_objects(body):
        for name in ("resets_in_seconds", "retry_after", "retry_after_seconds"):
            if (seconds := _number(held.get(name))) is not None:
                return seconds
        at = _moment(held.get("resets_at"))
        if at is not None and now is not None:
            return at - now
        details = held.get("details")  # Google: [{"@type": "…RetryInfo", "retryDelay": "17s"}]
        for detail in details if isinstance(details, list) else ():
            delay = detail.get("retryDelay") if isinstance(detail, dict) else None
            if isinstance(delay, str) and (seconds := _span(delay)) is not None:
                return seconds
    return None


def _of_words(message: str, now: float | None) -> float | None:
    if found := _WORDS.search(message[:4096]):
        return _span(found[1])
    found = _AT.search(message[:4096])
    at = None if found is None else _moment(found[1])
    return None if at is None or now is None else at - now


def _span(text: str) -> float | None:
    """Seconds of ``6m0s``, ``1.5s``, ``350ms``, ``20 seconds``."""
    total = None
    for amount, unit in _COMPACT.findall(text.lower()[:64]):
        name = unit if unit in _UNITS else unit[:2]
        if name not in _UNITS:
            return None
        total = (total or 0.0) + float(amount) * _UNITS[name]
    return total


def _number(value: Any) -> float | None:
    if isinstance(value, str):
        try:
            value = float(value) if len(value) <= 20 else None
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value < 1e15 else None


def _moment(value: Any) -> float | None:
    """Seconds since 1970 of a number (in seconds, or milliseconds) or of an RFC 3339 date."""
    if isinstance(value, str) and not value.isdigit():
        try:
            at = datetime.fromisoformat(value)
            return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            return None
    number = _number(value)
    if number is None:
        return None
    return number / 1000 if number > 1e11 else number


def _date(text: str) -> float | None:
    """Seconds since 1970 of an HTTP date (RFC 9110, section 5.6.7)."""
    found = _DATE.fullmatch(text.strip())
    if found is None or found[2] not in _MONTHS:
        return None
    day, year, hour, minute, second = (int(found[place]) for place in (1, 3, 4, 5, 6))
    try:
        return datetime(year, _MONTHS.index(found[2]) + 1, day, hour, minute, second, tzinfo=UTC).timestamp()
    except ValueError:
        return None
