from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.errors import ApiError
from ccrouter.providers.presets import PRESETS
from ccrouter.providers.provider import Model, Provider, Target
from ccrouter.providers.secret import FromFile
from ccrouter.translate.refusal import classify, is_refusal, original, reword, reword_event, scrub
from ccrouter.wire import envelope
from tests.strategies import json_values, mutated

PAGE = [(b"content-type", b" Text/HTML; charset=utf-8")]
JSON = [(b"content-type", b"application/json")]
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


def to(preset="messages", **more):
    row = PRESETS[preset]
    base_url = row.base_url or "https://gateway.example.com"
    return Target(Provider(name="work", preset=row, base_url=base_url, **more), "m-1")


KNOWN = to(models=(Model("m-1", window=200), Model("m-2")))


@pytest.mark.parametrize("status", [400, 401, 402, 413, 429, 500, 529])
@pytest.mark.parametrize("preset", ["anthropic", "foundry", "demo"])
def test_anthropics_own_envelope_passes_as_it_is(status, preset):
    assert reword(to(preset), status, JSON, OWN) is None


def enveloped(kind, message):
    return json.dumps({"type": "error", "error": {"type": kind, "message": message}}).encode()


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
    assert reword(to("vllm"), status, JSON, enveloped(kind, message)) is None


def error(status, headers, body, target=None, **more):
    found = reword(target or to(), status, headers, body, **more)
    assert isinstance(found, ApiError)
    return found


def test_an_overflow_in_anthropics_envelope_is_told_in_the_clients_words():
    body = enveloped(
        "BadRequestError",
        "This model's maximum context length is 4096 tokens. However, your prompt contains at least 5000 input tokens",
    )
    found = error(400, JSON, body, to("vllm"))
    assert (found.status, found.kind) == (400, "invalid_request_error")
    assert found.message == "prompt is too long: 5000 tokens > 4096 maximum"


@pytest.mark.parametrize("status", [400, 413, 422, 500])
def test_an_overflow_is_a_400_whatever_its_status_and_takes_missing_numbers_from_the_caller(status):
    body = b'{"error":"The number of tokens to keep from the initial prompt is greater than the context length."}'
    found = error(status, JSON, body, KNOWN, count=lambda: 300)
    assert (found.status, found.kind) == (400, "invalid_request_error")
    assert found.message == "prompt is too long: 300 tokens > 200 maximum"
    assert error(status, JSON, body).message == "prompt is too long"


def test_an_overflow_of_the_output_is_told_as_that():
    body = b'{"error":{"message":"max_tokens=500 cannot be greater than max_model_len=200"}}'
    assert error(400, JSON, body, KNOWN, count=lambda: 50).message == (
        "input length and `max_tokens` exceed context limit: 50 + 500 > 200, "
        "decrease input length or `max_tokens` and try again"
    )
    assert (
        error(400, JSON, body, KNOWN, count=lambda: 250).message == "prompt is too long: 250 tokens > 200 maximum"
    )


def test_the_prompt_is_counted_only_for_an_overflow():
    def never():
        raise AssertionError

    assert error(400, JSON, b'{"error":"no"}', count=never).message == "work: no"


#: status, envelope -> status, kind, x-should-retry, retry-after
TABLE = [
    (400, {"error": "no"}, 400, "invalid_request_error", None, None),
    (422, {"detail": [{"msg": "no"}]}, 400, "invalid_request_error", None, None),
    (401, {"error": {"message": "no"}}, 401, "authentication_error", "false", None),
    (402, {"error": {"message": "Insufficient credits"}}, 429, "rate_limit_error", "false", None),
    (429, {"error": {"code": "insufficient_quota"}}, 429, "rate_limit_error", "false", None),
    (
        429,
        {"error": {"type": "usage_limit_reached", "resets_in_seconds": 4000}},
        429,
        "rate_limit_error",
        "false",
        "4000",
    ),
    (
        429,
        {"error": {"type": "usage_limit_reached", "resets_at": 1795172400}},
        429,
        "rate_limit_error",
        "false",
        "3600",
    ),
    (403, {"error": {"code": "usage_not_included"}}, 429, "rate_limit_error", "false", None),
    (403, {"error": "no"}, 403, "permission_error", None, None),
    (404, {"error": "no"}, 404, "not_found_error", None, None),
    (400, {"error": {"code": "model_not_found"}}, 404, "not_found_error", None, None),
    (400, {"error": {"message": "Model Not Exist"}}, 404, "not_found_error", None, None),
    (500, {"error": "model 'x' not found"}, 404, "not_found_error", None, None),
    (500, {"error": "Model is not loaded"}, 404, "not_found_error", None, None),
    (400, {"error": {"message": "No models loaded. Please load one"}}, 404, "not_found_error", None, None),
    (405, {"error": "no"}, 405, "invalid_request_error", None, None),
    (408, {"error": "no"}, 504, "timeout_error", None, None),
    (504, {"error": "no"}, 504, "timeout_error", None, None),
    (409, {"error": "no"}, 409, "conflict_error", None, None),
    (413, {"error": "body too big"}, 413, "request_too_large", None, None),
    (429, {"error": {"message": "Please try again in 1.2s."}}, 429, "rate_limit_error", None, "2"),
    (
        429,
        {"error": {"code": "rate_limit_exceeded", "message": "Too many tokens per min, try again in 350ms"}},
        429,
        "rate_limit_error",
        None,
        "1",
    ),
    (
        429,
        [{"error": {"status": "RESOURCE_EXHAUSTED", "details": [{"retryDelay": "17s"}], "message": "quota"}}],
        429,
        "rate_limit_error",
        None,
        "17",
    ),
    (429, {"error": {"type": "engine_overloaded_error"}}, 529, "overloaded_error", None, None),
    (503, {"error": {"code": "server_is_overloaded"}}, 529, "overloaded_error", None, None),
    (503, {"error": {"code": "slow_down"}}, 529, "overloaded_error", None, None),
    (503, {"error": {"message": "Loading model"}}, 529, "overloaded_error", None, None),
    (500, {"error": "the selected model is at capacity"}, 529, "overloaded_error", None, None),
    (529, {"error": "no"}, 529, "overloaded_error", None, None),
    (503, {"error": "no"}, 502, "api_error", None, None),
    (500, {"error": "no"}, 502, "api_error", None, None),
    (599, {"error": "no"}, 502, "api_error", None, None),
    # Inside a stream, where the status was 200
    (200, {"error": {"code": 429, "message": "no"}}, 429, "rate_limit_error", None, None),
    (200, {"error": {"code": "502", "message": "no"}}, 502, "api_error", None, None),
    (200, {"response": {"error": {"code": "server_is_overloaded"}}}, 529, "overloaded_error", None, None),
    (200, {"response": {"error": {"code": "rate_limit_exceeded"}}}, 429, "rate_limit_error", None, None),
    (200, {"response": {"error": {"code": "insufficient_quota"}}}, 429, "rate_limit_error", "false", None),
    (200, {"code": "invalid_prompt"}, 400, "invalid_request_error", None, None),
    (200, {"error": "something broke"}, 502, "api_error", None, None),
]


@pytest.mark.parametrize(("status", "body", "becomes", "kind", "again", "after"), TABLE)
def test_each_refusal_becomes_what_the_client_acts_on(status, body, becomes, kind, again, after):
    date = [(b"date", b"Fri, 20 Nov 2026 10:00:00 GMT")]
    words = envelope.message_in(json.dumps(body).encode())
    found = classify(to(), status, words, body, headers=date)
    assert (found.status, found.kind) == (becomes, kind)
    told = dict(found.headers)
    assert (told.get("x-should-retry"), told.get("retry-after")) == (again, after)
    assert found.message.startswith(f"work: {words}")


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (to("openrouter"), "the environment variable OPENROUTER_API_KEY"),
        (to("messages", api_key=FromFile("~/key")), "the file ~/key"),
        (to("messages", headers=(("authorization", FromFile("x")),)), "the headers of [providers.work]"),
        (to("anthropic"), "claude /login"),
        (to("lmstudio"), "set api_key in [providers.work]"),
    ],
)
def test_a_refused_credential_is_told_with_its_source(target, words):
    assert words in error(401, JSON, b'{"error":"bad key"}', target).message


def test_a_refused_codex_login_says_how_to_log_in():
    assert "run `codex login`" in error(401, JSON, b'{"detail":"Unauthorized"}', to("codex")).message


def test_an_unknown_model_is_told_with_those_that_there_are():
    body = b'{"error":{"code":"model_not_found","message":"The model `x` does not exist"}}'
    assert error(404, JSON, body, KNOWN).message == "work: The model `x` does not exist (there are: m-1, m-2)"
    many = to(models=tuple(Model(f"m{n}") for n in range(30)))
    assert "m7 and 22 more" in error(404, JSON, body, many).message
    assert error(404, JSON, b'{"detail":"Not Found"}', KNOWN).message == "work: Not Found"


@pytest.mark.parametrize(
    ("seconds", "words"), [(90, "90 s"), (4000, "67 min"), (30_000, "9 h"), (600_000, "7 days")]
)
def test_a_limit_that_is_used_up_tells_people_when_it_resets(seconds, words):
    body = {"error": {"type": "usage_limit_reached", "resets_in_seconds": seconds}}
    assert classify(to(), 429, "Limit", body).message == f"work: Limit (it resets in {words})"


def test_a_message_is_cut_and_carries_no_credentials():
    secrets = [
        "sk-proj-abcdefghijklmnop",
        "Bearer abcdefgh12345",
        "AIza" + "b" * 35,
        "eyJhbGciOiJI.eyJleHAiOjE3.c2ln",
    ]
    body = json.dumps({"error": f"bad key {' '.join(secrets)} {'x' * 5000}"}).encode()
    found = error(400, JSON, body)
    assert len(found.message) <= envelope.MAX_MESSAGE
    for text in (found.message, original(body)):
        assert "bad key [redacted] Bearer [redacted] [redacted] [redacted]" in text
    echoed = enveloped("invalid_request_error", "bad key sk-proj-abcdefghijklmnop")
    assert error(400, JSON, echoed).message == "work: bad key [redacted]"


#: What the client shows other words for, in a message; see `envelope.shown`.
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
        found, passes = reword_event(to(), body)
        assert not passes
    else:
        found = error(status, headers, body)
    assert "invalid API key: no `API key`" in found.message
    assert word in original(body)


@pytest.mark.parametrize("place", range(2020, 2050, 3))
def test_a_cut_leaves_no_half_of_a_credential(place):
    body = json.dumps({"error": f"{'x' * place} sk-proj-abcdefghijklmnop"}).encode()
    for text in (error(400, JSON, body).message, original(body)):
        assert "sk-" not in text


@pytest.mark.parametrize("text", ["use skip-connections-everywhere", "a bearer of news", "sk-short", "max_tokens"])
def test_ordinary_words_are_no_credentials(text):
    assert scrub(text) == text


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
    found = reword(to(), status, headers, body)
    if found is None:
        assert envelope.is_envelope(body)
        return
    assert found.status >= 400
    assert "\n" not in found.message or envelope.message_in(body) in found.message
    assert json.loads(envelope.write(found, "req_1"))["error"]["message"] == found.message
