from __future__ import annotations

import pytest

from ccrouter.wire.hosts import is_loopback


@pytest.mark.parametrize("host", ["localhost", "LocalHost", "127.0.0.1", "127.255.0.3", "::1", "0:0:0:0:0:0:0:1"])
def test_this_machine_and_nothing_else(host):
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    [
        "",
        "localhost.example.com",
        "example.com",
        "0.0.0.0",
        "::",
        "10.0.0.1",
        "::ffff:127.0.0.1",
        "[::1]",
        "127.1",
        "127.0.0.1:80",
    ],
)
def test_what_may_be_another_machine(host):
    assert not is_loopback(host)
