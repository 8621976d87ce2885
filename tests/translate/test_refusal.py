from __future__ import annotations

import json

import pytest

from ccrouter.providers.provider import Model
from ccrouter.providers.secret import FromFile
from ccrouter.translate import tokens
from ccrouter.translate.refusal import Rejection, classify, scrub
from ccrouter.translate.rewording import original
from ccrouter.wire import envelope
from tests.translate.refused import JSON, asked, enveloped, error, to

KNOWN = to(models=(Model("m-1", window=200), Model("m-2")))


@pytest.mark.parametrize("status", [401, 402, 403, 404, 429])
def test_words_about_length_do_not_outweigh_a_status_that_says_something_else(status):
    words = "This model's maximum context length is 8192 tokens; your messages resulted in 9000 tokens"
    found = error(status, JSON, json.dumps({"error": {"message": words}}).encode())
    assert "prompt is too long" not in found.message
    assert words in found.message


def test_a_slip_of_the_model_is_no_fault_of_the_request():
    body = {
        "error": {"message": "Failed to call a function.", "code": "tool_use_failed", "failed_generation": "<f"}
    }
    assert error(400, JSON, json.dumps(body).encode(), to("groq")).status == 502
    assert error(400, JSON, json.dumps(body).encode(), to("cerebras")).status == 400


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
    found = error(status, JSON, body, KNOWN, asked(300))
    assert (found.status, found.kind) == (400, "invalid_request_error")
    assert found.message == "prompt is too long: 300 tokens > 200 maximum"
    assert error(status, JSON, body).message == "prompt is too long"


def test_an_overflow_of_the_output_is_told_as_that():
    body = b'{"error":{"message":"max_tokens=500 cannot be greater than max_model_len=200"}}'
    assert error(400, JSON, body, KNOWN, asked(50)).message == (
        "input length and `max_tokens` exceed context limit: 50 + 500 > 200, "
        "decrease input length or `max_tokens` and try again"
    )
    assert error(400, JSON, body, KNOWN, asked(250)).message == "prompt is too long: 250 tokens > 200 maximum"


@pytest.mark.parametrize(
    ("most", "told"),
    [
        # 41000 + 8012 by their count; 12000 by ours, which is what they have where they count the larger of both
        (8012, "prompt is too long: 41000 tokens > 30000 maximum"),
        (32000, "input length and `max_tokens` exceed context limit: 17012 + 32000 > 30000, "),
        (49012, "input length and `max_tokens` exceed context limit: 12000 + 37012 > 30000, "),
    ],
)
def test_a_request_beyond_a_rate_limit_has_the_larger_of_two_counts(most, told):
    words = "Request too large for m on tokens per min (TPM): Limit 30000, Requested 49012."
    found = error(429, JSON, json.dumps({"error": words}).encode(), of=asked(12_000, max_tokens=most))
    assert (found.status, found.headers) == (400, ())
    assert found.message.startswith(told)


def test_the_prompt_is_counted_only_for_an_overflow(monkeypatch):
    monkeypatch.setattr(tokens, "Count", lambda *_: pytest.fail("it was"))
    assert error(400, JSON, b'{"error":"no"}').message == "work: no"


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
    found = classify(asked(), to(), Rejection(status=status, message=words, body=body, headers=date))
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
    found = classify(asked(), to(), Rejection(status=429, message="Limit", body=body))
    assert found.message == f"work: Limit (it resets in {words})"


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
@pytest.mark.parametrize("place", range(2020, 2050, 3))
def test_a_cut_leaves_no_half_of_a_credential(place):
    body = json.dumps({"error": f"{'x' * place} sk-proj-abcdefghijklmnop"}).encode()
    for text in (error(400, JSON, body).message, original(body)):
        assert "sk-" not in text


@pytest.mark.parametrize("text", ["use skip-connections-everywhere", "a bearer of news", "sk-short", "max_tokens"])
def test_ordinary_words_are_no_credentials(text):
    assert scrub(text) == text
