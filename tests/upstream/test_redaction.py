from __future__ import annotations

import html
import json
import time
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.errors import ApiError
from ccrouter.upstream.redaction import Discreet, redact, redact_bytes
from ccrouter.wire import envelope

KEY = 'sk-pa/s"s\\wé😀<&>rd-1'


def in_json(text: str) -> str:
    return json.dumps(text)[1:-1]


def utf16(text: str) -> str:
    units = text.encode("utf-16-be").hex()
    return "".join(f"\\u{units[place : place + 4]}" for place in range(0, len(units), 4))


def percent(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode())


SPELLINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "in JSON": in_json,
    "in JSON in JSON": lambda text: in_json(in_json(text)),
    "in JSON in JSON in JSON": lambda text: in_json(in_json(in_json(text))),
    "in JSON as UTF-8": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    "in JSON with escaped slashes": lambda text: in_json(text).replace("/", "\\/"),
    "in JSON, all escaped": utf16,
    "in JSON, all escaped, in JSON": lambda text: in_json(utf16(text)),
    "in a URL": lambda text: quote(text, safe=""),
    "in a URL as a path": quote,
    "in a URL, all escaped": percent,
    "in a URL in a URL": lambda text: quote(quote(text, safe=""), safe=""),
    "in a URL, lower case": lambda text: percent(text).lower(),
    "on a page": html.escape,
    "on a page, by numbers": lambda text: "".join(f"&#{ord(each)};" for each in text),
    "on a page, by other numbers": lambda text: "".join(f"&#x{ord(each):04X};" for each in text),
    "on a page, escaped twice": lambda text: html.escape(html.escape(text)),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_credential_is_known_however_it_is_spelled(spelling: str) -> None:
    said = SPELLINGS[spelling](KEY)
    assert redact(f"bad key {said}, sorry", [(b"x-api-key", KEY.encode())]) == "bad key [redacted], sorry"


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("key", ["000000%0", "%2525%25%0", "sk%%25%%%", "%25252525", "abc%3D%3D25"])
def test_a_credential_with_signs_that_escapes_are_made_of_is_known(key: str, spelling: str) -> None:
    said = SPELLINGS[spelling](key)
    assert redact(f"bad key {said}, sorry", [(b"x-api-key", key.encode())]) == "bad key [redacted], sorry"


@given(
    st.text(max_size=8),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=8, max_size=16),
    st.sampled_from(sorted(SPELLINGS)),
    st.text(max_size=8),
)
def test_no_credential_is_left_whatever_it_is_made_of(before: str, key: str, spelling: str, after: str) -> None:
    key = key.strip()
    if len(key) < 8:
        return
    said = before + SPELLINGS[spelling](key) + after
    left = redact(said, [(b"authorization", b"Bearer " + key.encode())])
    assert SPELLINGS[spelling](key) not in left
    assert "[redacted]" in left


def test_of_an_authorization_the_scheme_is_no_secret() -> None:
    granted = [(b"authorization", b"Bearer sk-12345678")]
    assert redact("authorization: Bearer sk-12345678", granted) == "authorization: Bearer [redacted]"
    assert redact("token sk-12345678", [(b"authorization", b"sk-12345678")]) == "token [redacted]"


def test_a_credential_that_begins_like_another_is_taken_out_whole() -> None:
    granted = [(b"x-api-key", b"sk-12345678"), (b"x-other", b"sk-12345678-longer")]
    assert redact("sk-12345678-longer sk-12345678", granted) == "[redacted] [redacted]"


def test_each_header_that_was_granted_is_searched_for() -> None:
    granted = [
        (b"authorization", b"Bearer sk-ant-oat01-client"),
        (b"x-api-key", b"sk-ant-oat01-client-longer"),
        (b"x-quoted", b'pass"word/1'),
        (b"x-team", b"core"),
    ]
    said = (
        'Incorrect API key: sk-ant-oat01-client, sk-ant-oat01-client-longer, "pass\\"word/1", pass"word/1; '
        "authorization was Bearer sk-ant-oat01-client (core)"
    )
    assert redact(said, granted) == (
        'Incorrect API key: [redacted], [redacted], "[redacted]", [redacted]; '
        "authorization was Bearer [redacted] (core)"
    )


@given(st.text(), st.lists(st.text('abc"\\é', min_size=8, max_size=12), max_size=3))
def test_of_several_credentials_none_is_left(text: str, values: list[str]) -> None:
    granted = [(b"x-api-key", value.encode()) for value in values]
    left = redact(text.join(["", *values, ""]), granted)
    assert not any(value in left for value in values)


@given(st.binary(max_size=20), st.binary(max_size=20))
def test_bytes_that_are_no_text_stay_as_they_are(before: bytes, after: bytes) -> None:
    granted = [(b"x-api-key", "sk-clé-45678".encode())]
    said = redact_bytes(before + "sk-clé-45678".encode() + after, granted)
    assert said == before.rstrip(b"\\") + b"[redacted]" + after


class Told:
    """A stream that tells what it is given, and fails at the end."""

    def __init__(self, failure: ApiError | None, first: str = "message_start") -> None:
        self.first: str | None = first
        self.ended = False
        self.failure: ApiError | None = None
        self.notes: tuple[str, ...] = ()
        self._failure = failure

    @property
    def usage(self) -> dict[str, int]:
        return {}

    def feed(self, chunk: bytes) -> bytes:
        self.ended = b"event: error" in chunk
        self.failure = self._failure if self.ended else None
        return chunk

    def close(self) -> bytes:
        return b"the rest"


ERROR = b'event: error\ndata: {"type":"error","error":{"type":"api_error","message":"%s"}}\n\n'


def test_the_error_of_a_stream_tells_no_credential_and_its_answer_stays() -> None:
    granted = [(b"x-api-key", b"sk-12345678")]
    stream = Discreet(Told(ApiError(401, "api_error", "no sk-12345678", (("retry-after", "1"),))), granted)
    assert stream.feed(b"data: your key is sk-12345678\n\n") == b"data: your key is sk-12345678\n\n"
    came = b"data: sk-12345678\n\n" + ERROR
    assert stream.feed(came % b"sk-12345678") == came % b"[redacted]"
    told = stream.failure
    assert told is not None
    assert (told.message, told.headers) == ("no [redacted]", (("retry-after", "1"),))
    assert (stream.first, stream.ended, stream.close()) == ("message_start", True, b"the rest")


def test_a_long_error_is_cut_where_the_client_hears_it() -> None:
    words = "x" * (envelope.MAX_MESSAGE + 1)
    stream = Discreet(Told(ApiError(500, "api_error", words)), [(b"x-api-key", b"sk-12345678")])
    answer, _, error = stream.feed(b"data: 1\n\n" + ERROR % words.encode()).partition(b"event: error\ndata: ")
    assert answer == b"data: 1\n\n"
    assert json.loads(error)["error"] == {"type": "api_error", "message": words[:-1]}


def test_an_error_that_nobody_read_is_searched_where_the_stream_begins_with_it() -> None:
    stream = Discreet(Told(None, first="error"), [(b"x-api-key", b"sk-12345678")])
    assert stream.feed(b"data: sk-12345678\n\n") == b"data: [redacted]\n\n"
    assert stream.failure is None


def test_words_too_short_to_be_a_credential_stay() -> None:
    assert redact("no such model", [(b"x-api-key", b"no such")]) == "no such model"
    assert redact("fine", []) == "fine"


@pytest.mark.parametrize("said", ["\\", "a", "%25", "&amp;", "&", "\\\\a", "\\u0061", "sk-123456"])
@pytest.mark.parametrize("key", [b"a" * 20, b"\\" * 10 + b"a" * 10, b"sk-12345678", b"&&&&&&&&", b"%%%%%%%%"])
def test_a_long_complaint_is_searched_in_linear_time(said: str, key: bytes) -> None:
    started = time.process_time()
    redact(said * (300_000 // len(said)), [(b"x-api-key", key)])
    assert time.process_time() - started < 2
