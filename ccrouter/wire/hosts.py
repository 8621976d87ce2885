"""Names and addresses of hosts, as they stand in URLs and in configurations."""

from __future__ import annotations

import ipaddress


def is_loopback(host: str) -> bool:
    """Whether a host, without a port or brackets, is this machine and can be nothing else.

    ``localhost``, 127.0.0.0/8 and ::1. Not an IPv4 address within an IPv6 one: Pythons differ in what they think
    of ``::ffff:127.0.0.1``, and systems in where that leads.
    """
    if host.lower() == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback if address.version == 4 else address == ipaddress.IPv6Address("::1")
