from __future__ import annotations

import pytest

from ccrouter.wire import headers as http
from ccrouter.wire.headers import HOP_BY_HOP, Headers


def test_the_first_of_several_values_is_found():
    headers: Headers = [(b"x", b"1"), (b"accept", b"a"), (b"accept", b"b")]
    assert http.get(headers, b"accept") == b"a"
    assert http.get(headers, b"cookie") is None


def test_any_bytes_can_be_read_as_text():
    every_byte = bytes(range(256))
    text = http.get_text([(b"x", every_byte)], b"x")
    assert text is not None
    assert text.encode("latin-1") == every_byte
    assert http.get_text([], b"x") is None


def test_without_keeps_the_order_and_repeats_of_the_others():
    headers: Headers = [(b"b", b"1"), (b"a", b"2"), (b"c", b"3"), (b"b", b"4")]
    assert http.without(headers, {b"a", b"c"}) == [(b"b", b"1"), (b"b", b"4")]


@pytest.mark.parametrize("name", sorted(HOP_BY_HOP))
def test_headers_of_one_connection_are_not_passed_on(name):
    assert http.end_to_end([(b"x", b"1"), (name, b"whatever"), (b"y", b"2")]) == [(b"x", b"1"), (b"y", b"2")]


def test_headers_that_connection_names_are_not_passed_on():
    headers: Headers = [
        (b"x-secret-of-this-hop", b"1"),
        (b"connection", b"close, X-Secret-Of-This-Hop ,,"),
        (b"x-other", b"2"),
        (b"x-kept", b"3"),
        (b"connection", b"x-other"),
    ]
    assert http.end_to_end(headers) == [(b"x-kept", b"3")]


def test_end_to_end_headers_keep_their_order_and_repeats():
    headers: Headers = [(b"set-cookie", b"a"), (b"content-type", b"text/plain"), (b"set-cookie", b"b")]
    assert http.end_to_end(headers) == headers
