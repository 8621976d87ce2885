"""The route to a URL: its origin, and the proxy that the environment wants in between. Pure.

The variables are those of curl: ``https_proxy`` or ``http_proxy`` by the URL's scheme, then ``all_proxy``,
each in lower case before upper case; ``no_proxy`` lists exceptions. A loopback target is never sent to a
proxy: the proxy's loopback is another machine's.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Literal
from urllib.parse import SplitResult, quote, unquote, urlsplit

from attrs import field, frozen

from ccrouter.errors import ConnectFailed
from ccrouter.wire.headers import Headers

Scheme = Literal["http", "https"]

_PORTS: dict[str, int] = {"http": 80, "https": 443}

#: Every character that may stand in a request target as it is: the visible ones of ASCII, ``%`` included.
_VISIBLE = "".join(map(chr, range(0x21, 0x7F)))


@frozen
class Origin:
    """Scheme, host and port. The host is lower-case ASCII, an IPv6 address without its brackets."""

    scheme: Scheme
    host: str
    port: int

    @property
    def secure(self) -> bool:
        """Whether TLS is spoken."""
        return self.scheme == "https"

    @property
    def literal(self) -> IPv4Address | IPv6Address | None:
        """The host's IP address, if it is one and no name."""
        try:
            return ip_address(self.host)
        except ValueError:
            return None

    @property
    def loopback(self) -> bool:
        """Whether the host is this machine."""
        if (address := self.literal) is not None:
            return address.is_loopback or address.is_unspecified
        return self.host == "localhost" or self.host.endswith(".localhost")

    @property
    def address(self) -> str:
        """``host:port``, as CONNECT wants it."""
        return f"{self._bracketed}:{self.port}"

    @property
    def authority(self) -> str:
        """``host``, with ``:port`` when it is not the scheme's own, as the Host header wants it."""
        return self._bracketed if self.port == _PORTS[self.scheme] else self.address

    @property
    def _bracketed(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}"


@frozen
class Proxy:
    """A proxy and the variable that names it. ``str()`` never shows its credential."""

    origin: Origin
    variable: str
    authorization: bytes | None = field(default=None, repr=False)

    def refusal(self, status: int, reason: str) -> str:
        """Says in a line what it means that the proxy answered ``status`` to a request of ours."""
        if status == 407:
            said = "does not accept the user and password" if self.authorization else "wants a login"
            return f"the proxy {self} {said} (407): put user:password@ before the host in {self.variable}"
        answer = f"{status} {reason}".strip()
        return f"the proxy {self} answered {answer} (it is set by {self.variable})"

    def __str__(self) -> str:
        return str(self.origin)


@frozen
class Route:
    """Where connections for an origin lead. Equal routes can share connections."""

    origin: Origin
    proxy: Proxy | None = None

    @property
    def tunnelled(self) -> bool:
        """Whether the proxy only passes bytes on (CONNECT), so that it never sees a request."""
        return self.proxy is not None and self.origin.secure

    @property
    def forwarder(self) -> Proxy | None:
        """The proxy that reads our requests and forwards them, if there is one."""
        return None if self.tunnelled else self.proxy

    def request_target(self, target: str) -> str:
        """What stands in the request line for ``target`` (path and query)."""
        return target if self.forwarder is None else f"{self.origin}{target}"

    @property
    def headers(self) -> Headers:
        """What each request needs besides its own headers."""
        if self.forwarder is None or self.forwarder.authorization is None:
            return []
        return [(b"proxy-authorization", self.forwarder.authorization)]

    def __str__(self) -> str:
        return str(self.origin) if self.proxy is None else f"{self.origin} (through the proxy {self.proxy})"


def split_url(url: str) -> tuple[Origin, str]:
    """The origin of an absolute URL, and its request target: path and query in visible ASCII."""
    parts = _split(url)
    if parts is None:
        raise ConnectFailed("a backend's URL cannot be read; expected one such as http://127.0.0.1:11434")
    # Neither message shows more of the URL than its host: what surrounds it may be a credential.
    if "@" in parts.netloc:
        raise ConnectFailed(
            f"the URL of the backend {parts.hostname} carries a user or password: take it out of base_url, "
            "give the key as api_key or in headers"
        )
    if (origin := _origin(parts)) is None:
        raise ConnectFailed("a backend's URL must begin with http:// or https://")
    target = quote(parts.path or "/", safe=_VISIBLE)
    if parts.query:
        target += "?" + quote(parts.query, safe=_VISIBLE)
    return origin, target


def find_route(origin: Origin, environ: Mapping[str, str]) -> Route:
    """The route that ``environ`` wants. Raises ConnectFailed when it names a proxy that cannot be used."""
    exceptions = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    if origin.loopback or _excepted(origin, exceptions):
        return Route(origin)
    for name in (f"{origin.scheme}_proxy", "all_proxy"):
        for variable in (name, name.upper()):
            if value := environ.get(variable, "").strip():
                return Route(origin, _read_proxy(value, variable, origin))
    return Route(origin)


def _split(url: str) -> SplitResult | None:
    """The parts of a URL that has a host and a legal port, else None."""
    try:
        parts = urlsplit(url)
        _host(parts)
        legal = parts.port is None or parts.port > 0
    except ValueError:
        return None
    return parts if parts.hostname and legal else None


def _host(parts: SplitResult) -> str:
    host = parts.hostname or ""
    return host if host.isascii() else host.encode("idna").decode("ascii")


def _origin(parts: SplitResult) -> Origin | None:
    scheme: Scheme
    match parts.scheme:
        case "http" | "https" as scheme:
            return Origin(scheme, _host(parts), parts.port or _PORTS[scheme])
        case _:
            return None


def _read_proxy(value: str, variable: str, origin: Origin) -> Proxy:
    parts = _split(value if "://" in value else f"http://{value}")
    if parts is not None and parts.scheme.startswith("socks"):
        raise ConnectFailed(
            f"cannot reach {origin}: {variable} names a SOCKS proxy, which is not supported; set "
            f"{origin.scheme.upper()}_PROXY to an http:// or https:// proxy, or add {origin.host} to NO_PROXY"
        )
    if parts is None or (place := _origin(parts)) is None:
        raise ConnectFailed(
            f"cannot reach {origin}: {variable} is not a proxy's URL; expected one such as http://proxy:3128"
        )
    authorization = None
    if parts.username is not None:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = b"Basic " + base64.b64encode(login.encode())
    return Proxy(place, variable, authorization)


def _excepted(origin: Origin, exceptions: str) -> bool:
    return any(_matches(entry.lower(), origin) for entry in re.split(r"[\s,]+", exceptions) if entry)


def _matches(entry: str, origin: Origin) -> bool:
    """Whether an entry of NO_PROXY covers ``origin``: ``*``, a domain, address or network; maybe a port."""
    if entry == "*":
        return True
    if split := re.fullmatch(r"\[(.+)\](?::(\d+))?|([^:]+):(\d+)", entry):
        host = split[1] or split[3]
        port = split[2] or split[4]
        if port is not None and int(port) != origin.port:
            return False
    else:
        host = entry
    if (address := origin.literal) is not None:
        try:
            return address in ip_network(host, strict=False)
        except ValueError:
            return False
    # A leading dot or "*." says no more than the bare domain: itself and all below it, as in curl.
    domain = host.removeprefix("*").strip(".")
    return bool(domain) and (origin.host == domain or origin.host.endswith(f".{domain}"))
