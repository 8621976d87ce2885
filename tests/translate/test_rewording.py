from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.translate.rewording import is_refusal, original, reword, reword_event
from ccrouter.wire import envelope
from tests.strategies import json_values, mutated
from tests.translate.refused import JSON, asked, enveloped, error, to

PAGE = [(b"content-type", b" Text/HTML; charset=utf-8")]
OWN = b'{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 2 tokens > 1 maximum"}}'


@pytest.mark.parametrize(
    ("status", "headers", "refused"),
    [
        (200, JSON, False),
        (201, [], False),
        (299, JSON, False),
        (200, PAGE, True),
        (301, JSON, True),
        (400, JSON, True),
        (529, PAGE, True),
        (100, [], True),
    ],
)
def test_what_is_no_success_or_a_page_is_a_refusal(status, headers, refused):
    assert is_refusal(status, headers) is refused


@pytest.mark.parametrize(
    ("body", "refused"),
    [
        (b'{"error":"no"}', True),
        (b'[{"error":{"message":"no"}}]', True),
        (b'{"base_resp":{"status_code":1008,"status_msg":"insufficient balance"}}', True),
        (b'{"type":"message","content":[],"error":"no"}', False),
        (b'{"content":[],"base_resp":{"status_code":1}}', False),
        (b'{"input_tokens":5}', False),
        (b'{"error":"' + b"x" * envelope.MAX_READ + b'"}', False),
        (b"error", False),
    ],
)
def test_a_success_that_says_that_it_is_none_is_a_refusal(body, refused):
    assert is_refusal(200, JSON, body) is refused


@pytest.mark.parametrize("status", [400, 401, 402, 413, 429, 500, 529])
@pytest.mark.parametrize("preset", ["anthropic", "foundry", "demo"])
def test_anthropics_own_envelope_passes_as_it_is(status, preset):
    assert reword(asked(), to(preset), status, JSON, OWN) is None


@pytest.mark.parametrize(
    ("status", "kind", "message"),
    [
        (400, "invalid_request_error", "prompt is too long: 2 tokens > 1 maximum"),
        (400, "BadRequestError", "thinking: Extra inputs are not permitted"),
        (403, "permission_error", "no"),
        (404, "not_found_error", "no"),
        (429, "rate_limit_error", "slow down please"),
        (500, "api_error", "Internal server error"),
        (503, "api_error", "busy"),
        (529, "overloaded_error", "Overloaded"),
    ],
)
def test_an_envelope_of_another_server_passes_where_the_client_understands_it(status, kind, message):
    assert reword(asked(), to("vllm"), status, JSON, enveloped(kind, message)) is None


@pytest.mark.parametrize("preset", ["anthropic", "vllm"])
def test_an_envelope_that_no_client_can_read_is_told_anew(preset):
    body = b'{"type":"error","error":{"type":"api_error","message":"no","cost":NaN}}'
    assert error(500, JSON, body, to(preset)).message == "work: no"


def test_what_the_client_acts_on_in_the_headers_stays():
    headers = [
        (b"retry-after", b"7"),
        (b"server", b"x"),
        (b"x-should-retry", b"false"),
        (b"request-id", b"r"),
        (b"set-cookie", b"c"),
    ]
    assert dict(error(429, headers, b"{}").headers) == {
        "retry-after": "7",
        "x-should-retry": "false",
        "request-id": "r",
    }


@pytest.mark.parametrize("body", [b"", b" \n", b'""', b"<title>502</title>", b'{"error":""}'])
def test_a_refusal_that_says_nothing_has_its_status_for_words(body):
    found = error(502, [], body)
    assert found.message == (
        "work: HTTP status 502 without a word" if body != b'{"error":""}' else 'work: {"error": ""}'
    )


@pytest.mark.parametrize(
    ("location", "where"),
    [
        (b"https://other.example.com/v1?x=secret", " to other.example.com"),
        (b"https://me:secret@other.example.com:8443/", " to other.example.com:8443"),
        (b"//other.example.com", " to other.example.com"),
        (b"/v2/messages?secret", ""),
        (b"http://[::1", ""),
        (b"\xff\xfe", ""),
        (None, ""),
    ],
)
def test_a_redirect_is_not_followed_but_named_without_secrets(location, where):
    found = error(307, [] if location is None else [(b"location", location)], OWN)
    assert (found.status, found.kind) == (502, "api_error")
    assert found.message.startswith(f"work: the backend redirects{where}, which is not followed; ")
    assert "base_url" in found.message
    assert "secret" not in found.message


def test_a_page_in_the_place_of_an_answer_is_told_as_that():
    found = error(200, PAGE, b"<h1>Log in</h1>")
    assert (found.status, found.kind, found.message) == (
        502,
        "api_error",
        "work: the backend answered with a web page: Log in",
    )


headers = st.lists(
    st.tuples(st.sampled_from([b"location", b"retry-after", b"content-type"]), st.binary(max_size=20))
)


@given(
    st.integers(100, 999),
    headers,
    json_values.map(str.encode)
    | json_values.flatmap(lambda text: mutated(text.encode()))
    | st.binary(max_size=40),
)
def test_any_refusal_can_be_told(status, headers, body):
    found = reword(asked(), to(), status, headers, body)
    if found is None:
        assert envelope.is_envelope(body)
        return
    assert found.status >= 400
    assert "\n" not in found.message or envelope.message_in(body) in found.message
    assert json.loads(envelope.write(found, "req_1"))["error"]["message"] == found.message


LOGIN_WORDS = st.sampled_from(["x-api-key", "X-API-Key", "X-Api-Key"])


@given(
    st.sampled_from([200, 400, 401, 403, 500]),
    LOGIN_WORDS,
    st.sampled_from([[], [(b"x-should-retry", b"false")], PAGE]),
    st.booleans(),
)
def test_no_words_of_another_server_make_the_client_ask_for_a_login(status, word, headers, told_by_event):
    body = enveloped("authentication_error", f"invalid {word}: no `{word}`")
    if told_by_event:
        found, passes = reword_event(asked(), to(), body)
        assert not passes
    else:
        found = error(status, headers, body)
    assert "invalid API key: no `API key`" in found.message
    assert word in original(body)
