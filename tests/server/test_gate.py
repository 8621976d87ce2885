from __future__ import annotations

import pytest

from ccrouter.errors import ApiError
from ccrouter.server.gate import Gate, host_name


def check(gate: Gate, *headers: tuple[bytes, bytes]) -> None:
    gate.check_origin(list(headers))


@pytest.mark.parametrize(
    "host",
    [b"127.0.0.1:11436", b"127.0.0.1", b"localhost:1", b"LOCALHOST", b"[::1]:5", b"localhost.:80"],
)
def test_loopback_names_are_let_through(host: bytes) -> None:
    check(Gate(host="127.0.0.1"), (b"host", host))


@pytest.mark.parametrize(
    "host",
    [
        b"evil.example",
        b"evil.example:11436",
        b"127.0.0.1.evil.example",
        b"localhost.evil.example",
        b"",
        b"10.0.0.1",
        b"127.0.0.1@evil.example",
        b"[::1].evil.example:1",
    ],
)
def test_a_foreign_host_is_refused(host: bytes) -> None:
    with pytest.raises(ApiError) as caught:
        check(Gate(host="127.0.0.1"), (b"host", host))
    assert caught.value.status == 403


def test_a_request_without_a_host_is_refused() -> None:
    with pytest.raises(ApiError):
        check(Gate(host="127.0.0.1"))


@pytest.mark.parametrize("origin", [b"https://evil.example", b"http://127.0.0.1:11436", b"null", b""])
def test_any_origin_is_refused(origin: bytes) -> None:
    with pytest.raises(ApiError) as caught:
        check(Gate(host="127.0.0.1"), (b"host", b"127.0.0.1"), (b"origin", origin))
    assert caught.value.status == 403


def test_names_of_the_configuration_and_the_bound_address_are_let_through() -> None:
    gate = Gate(host="192.168.1.5", hosts=("Router.lan",))
    check(gate, (b"host", b"router.lan:80"))
    check(gate, (b"host", b"192.168.1.5:80"))
    with pytest.raises(ApiError):
        check(gate, (b"host", b"192.168.1.6:80"))


def test_bound_to_every_address_addresses_are_let_through_and_names_are_not() -> None:
    gate = Gate(host="0.0.0.0")
    check(gate, (b"host", b"192.168.1.6:80"))
    check(gate, (b"host", b"[fe80::1]:80"))
    with pytest.raises(ApiError):
        check(gate, (b"host", b"evil.example:80"))


def test_host_names_are_read_without_port_and_brackets() -> None:
    assert host_name("[::1]:80") == "::1"
    assert host_name("Name:80") == "name"
    assert host_name("name.") == "name"
