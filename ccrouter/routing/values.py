"""What a single value of the configuration may be: how it is read, what an editor is told of it.

A `Kind` is both in one row, so that the two cannot drift apart. No message repeats the value that it refuses: it
may be a secret in the wrong place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NewType, get_args
from urllib.parse import urlsplit

from attrs import frozen

from ccrouter.providers.provider import Wire
from ccrouter.routing.spelling import DURATION_PATTERN, FOREVER, duration
from ccrouter.wire.claude_code import RequestClass
from ccrouter.wire.headers import CREDENTIALS, HOP_BY_HOP, TOKEN

Name = NewType("Name", str)
ProviderName = NewType("ProviderName", str)
HeaderName = NewType("HeaderName", str)
HostName = NewType("HostName", str)
BaseUrl = NewType("BaseUrl", str)
EnvName = NewType("EnvName", str)
WireName = NewType("WireName", str)
Argument = NewType("Argument", str)
ClassName = NewType("ClassName", str)
EffortName = NewType("EffortName", str)
Part = NewType("Part", str)
DayName = NewType("DayName", str)
HintName = NewType("HintName", str)
SlotsName = NewType("SlotsName", str)
Hours = NewType("Hours", tuple[int, int])
Deadline = NewType("Deadline", float)
Pause = NewType("Pause", float)
#: A duration that may have no end, which is infinite then.
Stay = NewType("Stay", float)
Port = NewType("Port", int)
Count = NewType("Count", int)
Percent = NewType("Percent", int)
Dollars = NewType("Dollars", float)

WIRES: tuple[str, ...] = get_args(Wire)

#: A year; more is a slip of the pen, and what is beyond float must not come near a clock.
_LONGEST = 365 * 24 * 3600.0
_LARGEST = 2**31 - 1

#: The classes of requests: the client's own words, and two that the router tells apart among the auxiliary ones.
CLASSES: tuple[str, ...] = (*get_args(RequestClass), "classifier", "title")
#: The words for effort, weakest first.
EFFORTS = ("low", "medium", "high", "xhigh", "max")
#: What a request can have.
PARTS = ("images", "documents", "tools", "thinking")
#: In the order of `datetime.date.weekday`.
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
#: Which of the client's own names are given to other models, where its list can't be added to.
SLOTS = ("none", "conservative", "aggressive")

#: Headers that belong to the connection or to the router itself.
_OWN_HEADERS = {"host", "content-length", TOKEN.decode()} | {name.decode() for name in HOP_BY_HOP}

#: Headers that carry credentials: no rule looks at them, nor tells of them.
_GUARDED_HEADERS = {each.decode() for each in CREDENTIALS}

_ONE_LINE = r"[^\s\x00-\x1f\x7f](?:[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f])?"
#: What a header's value can carry, so also what a credential can be.
HEADER_TEXT = r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?"


@frozen
class Kind:
    """What a value may be: ``read`` gives it or raises ValueError with the words; ``schema`` is JSON Schema.

    ``tables`` are the tables that ``schema`` refers to.
    """

    read: Callable[[Any], Any]
    schema: Mapping[str, Any]
    tables: tuple[type, ...] = ()


def text(pattern: str, words: str, normal: Callable[[str], str] = str) -> Kind:
    """A string that matches ``pattern`` as a whole; ``normal`` gives the form that is kept."""
    shape = re.compile(pattern)

    def read(value: object) -> str:
        if isinstance(value, str) and shape.fullmatch(value):
            return normal(value)
        raise ValueError(words)

    return Kind(read, {"type": "string", "pattern": f"^(?:{pattern})$"})


def _whole(least: int, most: int) -> Kind:
    def read(value: object) -> int:
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
            return value
        raise ValueError(f"must be a whole number from {least} to {most}, without quotes")

    return Kind(read, {"type": "integer", "minimum": least, "maximum": most})


def _seconds(*, zero: bool) -> Kind:
    least, lowest = ("0 or more", {"minimum": 0}) if zero else ("more than 0", {"exclusiveMinimum": 0})

    def read(value: object) -> float:
        found = duration(value) if isinstance(value, str) else value
        if isinstance(found, int | float) and not isinstance(found, bool):  # noqa: SIM102  # reads better
            if 0 <= found <= _LONGEST and (zero or found > 0):  # not-a-number fails here too
                return float(found)
        raise ValueError(
            'must be a duration such as "10s", "1.5m", "1h" or "250ms", or a number of seconds;'
            f" {least}, a year at most"
        )

    number = {"type": "number", **lowest, "maximum": _LONGEST}
    return Kind(read, {"anyOf": [{"type": "string", "pattern": DURATION_PATTERN}, number]})


def _stay() -> Kind:
    pause = _seconds(zero=True)

    def read(value: object) -> float:
        if value == FOREVER or (type(value) in {int, float} and value == -1):
            return float("inf")
        try:
            found: float = pause.read(value)
        except ValueError:
            words = (
                'must be a duration such as "30m", or a number of seconds; 0 for none, "forever" or -1 for no end'
            )
            raise ValueError(words) from None
        return found

    return Kind(read, {"anyOf": [*pause.schema["anyOf"], {"enum": [FOREVER, -1]}]})


def _flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise ValueError("must be true or false, without quotes")


def _word(words: tuple[str, ...], what: str) -> Kind:
    """One of a few words."""
    return Kind(text("|".join(words), f"is no {what}; there are: {', '.join(words)}").read, {"enum": list(words)})


def _dollars(value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _LARGEST:
        return float(value)
    raise ValueError("must be an amount of US dollars, 0 or more, without quotes")


def _hours(value: object) -> tuple[int, int]:
    """Minutes of the day, the second exclusive; it may be before the first: then the night is meant."""
    found = _HOURS.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError('must be a span of the day such as "09:00-17:30" or "22:00-06:00"')
    first, second, third, fourth = (int(each) for each in found.groups())
    begin, end = first * 60 + second, third * 60 + fourth
    if begin == end:
        raise ValueError("begins when it ends; leave it out to mean the whole day")
    return begin, end


_HOURS = re.compile("([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-3]|24(?=:00)):([0-5][0-9])")


def _hint_name() -> Kind:
    plain = text(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", "is no name for a header", str.lower)

    def read(value: object) -> str:
        name: str = plain.read(value)
        if name in _GUARDED_HEADERS:
            raise ValueError("carries a credential, at which no rule may look; leave it out")
        return name

    return Kind(read, plain.schema)


def _header_name() -> Kind:
    plain = text(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", "is no name for a header")

    def read(value: object) -> str:
        name: str = plain.read(value)
        if name.lower() in _OWN_HEADERS:
            raise ValueError("is a header that only the router itself may send; leave it out")
        return name

    return Kind(read, plain.schema)


def _base_url(value: object) -> str:
    words = "must be an absolute URL such as https://llm.example.com/v1"
    # URL parsers disagree about backslashes, white space and what is not ASCII.
    if not isinstance(value, str) or re.fullmatch(r"[\x21-\x5b\x5d-\x7e]+", value) is None:
        raise ValueError(words)
    try:
        parts = urlsplit(value)
        port, host = parts.port, parts.hostname
    except ValueError:
        raise ValueError(words) from None
    if parts.scheme not in {"http", "https"} or not host or port == 0:
        raise ValueError(words)
    if "@" in parts.netloc:
        raise ValueError("must not hold a user or password; put the credential into `api_key` or `headers`")
    if "?" in value or "#" in value:
        raise ValueError("must not have a query or a fragment; leave out what follows `?` or `#`")
    return f"{parts.scheme}://{parts.netloc.lower()}{parts.path}".rstrip("/")


KINDS: dict[Any, Kind] = {
    Name: text(_ONE_LINE, "must be a string: one line, not empty, no white space around it"),
    ProviderName: text(
        r"[A-Za-z0-9._-]+", "is no name for a provider; use letters, digits, `-`, `_` and `.` only"
    ),
    HeaderName: _header_name(),
    HostName: text(
        r"[A-Za-z0-9._-]+|[0-9A-Fa-f]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*",
        'must be an address or a name such as "127.0.0.1" or "router.lan", without scheme, port or brackets',
        str.lower,
    ),
    BaseUrl: Kind(_base_url, {"type": "string", "pattern": "^[Hh][Tt][Tt][Pp][Ss]?://[^?#@]+$"}),
    WireName: text("|".join(WIRES), f"is no wire that ccrouter speaks; there are: {', '.join(WIRES)}"),
    EnvName: text("[A-Za-z_][A-Za-z0-9_]*", "must be the name of an environment variable, not its value"),
    Argument: text(r"[^\x00]+", "must be a string, not empty"),
    Deadline: _seconds(zero=False),
    Pause: _seconds(zero=True),
    Stay: _stay(),
    Port: _whole(0, 65535),
    Count: _whole(1, _LARGEST),
    Percent: _whole(1, 100),
    Dollars: Kind(_dollars, {"type": "number", "minimum": 0, "maximum": _LARGEST}),
    ClassName: _word(CLASSES, "class of requests"),
    EffortName: _word(EFFORTS, "effort"),
    Part: _word(PARTS, "part of a request"),
    DayName: _word(DAYS, "day"),
    SlotsName: _word(SLOTS, "choice of slots"),
    HintName: _hint_name(),
    Hours: Kind(_hours, {"type": "string", "pattern": f"^{_HOURS.pattern}$"}),
    bool: Kind(_flag, {"type": "boolean"}),
}
