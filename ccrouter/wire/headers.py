"""HTTP header lists as h11 gives and takes them: pairs of bytes, names in lower case, order kept."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

Headers = list[tuple[bytes, bytes]]

#: RFC 9110 section 7.6.1 and what older software sends beside it: they speak of one connection only.
HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)

#: The router's token, from a client that has a login or a key of its own in the usual header.
TOKEN = b"x-ccrouter-token"

#: The directory of a client that we started. Said to the router and to nobody else, as the token is.
PROJECT = b"x-ccrouter-project"

#: On a reply of ours: its count of tokens is an estimate.
ESTIMATE = b"x-ccrouter-estimate"

#: They open doors. None is ever copied from one request to another: who is to have one is given it.
CREDENTIALS = frozenset(
    {
        b"authorization",
        b"x-api-key",
        b"api-key",
        TOKEN,
        b"proxy-authorization",
        b"cookie",
    }
)

#: How the names of all other credentials give them away: gateways call theirs as they like (``x-litellm-api-key``,
#: ``cf-access-client-secret``). Rather one too many: what stays behind is told, what got out can't be called back.
_SECRET = re.compile("auth|key|token|secret|passw|cookie|credential|jwt|assertion")
_SCHEME = re.compile(r"(?:bearer|basic)\s", re.IGNORECASE)


def is_credential(name: str, value: str = "") -> bool:
    """Whether a header (its name in lower case) opens a door, by its name or by the scheme before its value."""
    return _SECRET.search(name) is not None or _SCHEME.match(value) is not None


def get(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> bytes | None:
    """The first value of ``name`` (lower case), or None."""
    for key, value in headers:
        if key == name:
            return value
    return None


def get_text(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> str | None:
    """Like `get`, decoded; header bytes are Latin-1 by tradition and never fail to decode."""
    value = get(headers, name)
    return None if value is None else value.decode("latin-1")


def without(headers: Iterable[tuple[bytes, bytes]], names: Collection[bytes]) -> Headers:
    """All but the named headers."""
    return [(key, value) for key, value in headers if key not in names]


def end_to_end(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """What a relay passes on: no hop-by-hop headers, nor those that ``Connection`` names."""
    named = {
        token.strip().lower() for key, value in headers if key == b"connection" for token in value.split(b",")
    }
    return [(key, value) for key, value in headers if key not in HOP_BY_HOP and key not in named]
