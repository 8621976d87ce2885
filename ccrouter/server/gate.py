"""Who may pass the port. Pure.

The port is on the user's machine, and so are web pages that strangers wrote. A page can send requests to
loopback from the user's own browser (with an ``Origin``), and can rebind a name of its own to 127.0.0.1 (with
a foreign ``Host``). Both are refused before anything else is looked at. The token comes after, in `endpoints`:
it is among the credentials that a request carries.
"""

from __future__ import annotations

import ipaddress

from attrs import frozen

from ccrouter.errors import ApiError
from ccrouter.wire import headers as http
from ccrouter.wire.headers import Headers

_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


@frozen(kw_only=True)
class Gate:
    """What the port asks of a request before it looks at it.

    ``host`` is the bound address, ``hosts`` are further names that it goes by.
    """

    host: str
    hosts: tuple[str, ...] = ()

    def check_origin(self, headers: Headers) -> None:
        """Raise ApiError 403 for a request from a web page or under a foreign name."""
        if http.get(headers, b"origin") is not None:
            raise ApiError(403, "permission_error", "requests from web pages (with an Origin header) are refused")
        name = host_name(http.get_text(headers, b"host") or "")
        if not self._is_ours(name):
            raise ApiError(
                403,
                "permission_error",
                f"the Host {name[:100]!r} is not a name of this router; "
                "use 127.0.0.1, or add the name to server.hosts in the configuration",
            )

    def _is_ours(self, name: str) -> bool:
        known = {self.host.lower(), *(host.lower() for host in self.hosts)}
        if name in _LOOPBACK_NAMES or name in known:
            return True
        # Bound to every address, the router can't know by which one it was reached. A rebound name is never
        # an address, so an address is let through.
        return is_wildcard(self.host) and _is_address(name)


def host_name(value: str) -> str:
    """The host of a ``Host`` header, without port and brackets, in lower case."""
    value = value.strip().lower()
    if value.startswith("["):
        name, _, rest = value[1:].partition("]")
        return name if not rest or rest.startswith(":") else value
    return value.partition(":")[0].rstrip(".")


def is_wildcard(host: str) -> bool:
    """Whether ``host`` stands for every address of the machine."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
