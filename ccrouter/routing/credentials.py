"""Whose credentials are whose: what a client carries of its own, and which provider may be given it.

A client of the router shows two kinds of things in the same few headers: the router's token, which lets it
in and must never travel on, and a login or key of its own, which belongs to Anthropic and to nobody else.
`of_client` tells them apart; `may_forward` says where the second kind may go.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from attrs import field, frozen

from ccrouter.providers.provider import Provider
from ccrouter.wire import headers as http
from ccrouter.wire.hosts import is_loopback

#: URL parsers disagree about these (some end the host at a backslash, some skip the rest), so a host read
#: by one of them proves nothing about where another one connects to.
_AMBIGUOUS = re.compile(r"[\\\x00-\x20\x7f]")


@frozen
class ClientCredentials:
    """What a client carries of its own, as it came, without the router's token."""

    authorization: bytes | None = field(default=None, repr=False)
    api_key: bytes | None = field(default=None, repr=False)

    def __bool__(self) -> bool:
        return self.authorization is not None or self.api_key is not None


def of_client(headers: Iterable[tuple[bytes, bytes]], router_token: str) -> tuple[ClientCredentials, bool]:
    """The client's own credentials, and whether it showed the router's token.

    The token may stand in ``Authorization: Bearer``, ``x-api-key`` or ``x-ccrouter-token``, in any line of
    several. A value that holds it is never a credential of the client's. Who does not show it is a stranger,
    and of a stranger nothing is kept.
    """
    token = router_token.encode()
    shown = False
    own: dict[bytes, list[bytes]] = {b"authorization": [], b"x-api-key": []}
    for name, raw in headers:
        value = raw.strip()
        if name == b"authorization":
            scheme, _, rest = value.partition(b" ")
            is_token = scheme.lower() == b"bearer" and _same(rest.strip(), token)
        elif name in {b"x-api-key", http.TOKEN}:
            is_token = _same(value, token)
        else:
            continue
        shown |= is_token
        if name in own and value:
            own[name].append(raw)
    if not shown:
        return ClientCredentials(), False
    # A plain search takes no constant time, and need not: only who knows the token comes this far. It leaves
    # out the token itself, and whatever it is wrapped in.
    first = {name: next((v for v in values if token not in v), None) for name, values in own.items()}
    return ClientCredentials(first[b"authorization"], first[b"x-api-key"]), True


def _same(value: bytes, token: bytes) -> bool:
    return bool(token) and hmac.compare_digest(value, token)


def may_forward(provider: Provider) -> bool:
    """Whether ``provider`` may be given a Claude login: Anthropic's kind, by https or within this machine."""
    return provider.preset.auth == "client" and is_guarded(provider.base_url)


def is_guarded(address: str) -> bool:
    """Whether a login that is sent to this URL is seen by nobody else: by https, or within this machine."""
    if _AMBIGUOUS.search(address):
        return False
    try:
        url = urlsplit(address)
        host = url.hostname
    except ValueError:  # such as half an IPv6 address
        return False
    if not host:
        return False
    return url.scheme == "https" or (url.scheme == "http" and is_loopback(host))
