from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.errors import ApiError
from ccrouter.wire import envelope
from tests.strategies import json_values, mutated


def test_a_refusal_is_written_as_anthropic_writes_it():
    body = envelope.write(ApiError(404, "not_found_error", 'no model "é"'), "req_1")
    assert json.loads(body) == {
        "type": "error",
        "error": {"type": "not_found_error", "message": 'no model "é"'},
        "request_id": "req_1",
    }
    assert envelope.is_envelope(body)


@given(st.text(st.characters()))
def test_any_words_can_be_written_and_read_by_everybody(message):
    body = envelope.write(ApiError(400, "invalid_request_error", message), "req_1")
    assert json.loads(body.decode())["error"]["message"] == message


def test_half_a_character_is_written_as_its_escape():
    body = envelope.write(ApiError(400, "invalid_request_error", "\ud800"), "req_1")
    assert json.loads(body.decode())["error"]["message"] == "\ud800"


@pytest.mark.parametrize("kind", sorted(set(envelope.KINDS.values())))
def test_an_error_type_has_a_status_that_leads_back_to_it(kind):
    assert envelope.kind_of(envelope.status_of(kind)) == kind


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"),
        (418, "invalid_request_error"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (529, "overloaded_error"),
        (599, "api_error"),
        (999, "api_error"),
    ],
)
def test_every_status_has_an_error_type(status, kind):
    assert envelope.kind_of(status) == kind


def test_an_unknown_error_type_is_a_fault_of_the_backend():
    assert envelope.status_of("weather_error") == 500


@pytest.mark.parametrize(
    "body",
    [
        b'{"type":"error","error":{"type":"api_error","message":""}}',
        b' {"request_id":null,"error":{"message":"m","type":"t","more":1},"type":"error","x":[]} ',
    ],
)
def test_a_well_formed_envelope_is_known_whatever_else_it_holds(body):
    assert envelope.is_envelope(body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"error"',
        b'{"error":{"type":"api_error","message":"m"}}',
        b'{"type":"message","error":{"type":"api_error","message":"m"}}',
        b'{"type":"error","error":"m"}',
        b'{"type":"error","error":{"type":"api_error","message":null}}',
        b'{"type":"error","error":{"type":5,"message":"m"}}',
        b'{"type":"error","error":{"message":"m"}}',
        b'{"type":"error","error":{"type":"api_error","message":"m"}',
        b'{"type":"error","error":{"type":"api_error","message":"m","cost":NaN}}',  # which no client can read
        b"[" * 100_000,
        b"\xff\xfe\x00",
    ],
)
def test_anything_else_is_no_envelope(body):
    assert not envelope.is_envelope(body)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"error":{"message":"m","type":"t","code":null}}', "m"),
        (b'{"error":{"code":500,"message":"m","type":"server_error"}}', "m"),
        (b'{"error":"m"}', "m"),
        (b'[{"error":{"code":400,"message":"m","status":"INVALID_ARGUMENT"}}]', "m"),
        (b'{"object":"error","message":"m","code":40001}', "m"),
        (b'{"detail":"m"}', "m"),
        (
            b'{"detail":[{"loc":["body","model"],"msg":"field required"}]}',
            '{"loc": ["body", "model"], "msg": "field required"}',
        ),
        (b'{"error":{"message":{"detail":"m"}}}', "m"),
        (b'{"error":"","message":"m"}', "m"),
        (b'{"error":null,"detail":"m"}', "m"),
        (b'{"error":{"code":7}}', '{"code": 7}'),
        (b'"m"', "m"),
        (b"5", "5"),
        (b"[]", "[]"),
        (b'""', ""),
        (b"", ""),
        (b" \r\n ", ""),
        (b"  not \n\t found ", "not found"),
        (b"\xff", "\ufffd"),
        (
            b"<!DOCTYPE html><html><head><title>502</title><style>p > a {x:1}</style></head>\n<body><h1>Bad&nbsp;Gateway</h1>",
            "Bad Gateway",
        ),
        (
            b"<script>if (a < b) { document.write('<p>no</p>') }</script><p>a &lt; b</p><!-- pad -->",
            "a < b",
        ),
        (b"<html><![\n", "<!["),
        (b"<!x[", "<!x["),
        (b"<title>only hidden</title>", ""),
    ],
)
def test_the_words_of_other_envelopes_are_found(body, words):
    assert envelope.message_in(body) == words


@pytest.mark.parametrize(
    "body",
    [
        b"x" * 100_000,
        b'{"error":"' + b"x" * 100_000 + b'"}',
        b"<" * 1_000_000,
        b"<script>" * 1_000_000,
        b"<p" * 1_000_000,
        b"<!--" * 1_000_000,
    ],
)
def test_long_words_are_cut_in_reasonable_time(body):
    assert len(envelope.message_in(body)) <= envelope.MAX_READ


@pytest.mark.parametrize(("opening", "closing"), [(b'{"error":', b"}"), (b'[{"message":', b"}]")])
def test_envelopes_inside_each_other_are_opened(opening, closing):
    assert envelope.message_in(opening * 300 + b'"m"' + closing * 300) == "m"


@pytest.mark.parametrize(
    ("value", "is_one"),
    [
        ({"error": {"message": "m"}}, True),
        ([{"error": {"message": "m"}}], True),
        ({"error": "m"}, True),
        ({"detail": "m"}, True),
        ({"type": "error"}, True),
        ({"object": "error", "message": "m"}, True),
        ({"base_resp": {"status_code": 1002, "status_msg": "m"}}, True),
        ({"base_resp": {"status_code": 0, "status_msg": ""}}, False),
        ({"error": None, "choices": []}, False),
        ({"message": "m"}, False),
        ({}, False),
        ([], False),
        ("error", False),
        (None, False),
    ],
)
def test_an_error_in_an_answers_place_is_known_by_its_envelope(value, is_one):
    assert envelope.is_error(value) is is_one


@pytest.mark.parametrize("depth", [100, 500, 900, 950, 980, 990, 100_000])
@pytest.mark.parametrize(("opening", "closing"), [(b'{"error":', b"}"), (b"[", b"]"), (b'[{"message":', b"}]")])
def test_envelopes_without_end_inside_each_other_cost_no_more_than_words(opening, closing, depth):
    words = envelope.message_in(opening * depth + b'"m"' + closing * depth)
    assert len(words) <= envelope.MAX_READ


@given(
    json_values.map(str.encode)
    | json_values.flatmap(lambda text: mutated(text.encode()))
    | st.binary(max_size=50)
    | st.text("<>!-[]ab/&; ").map(str.encode)
)
def test_any_body_gives_words(body):
    words = envelope.message_in(body)
    assert isinstance(words, str)
    assert words == words.strip()
    envelope.is_envelope(body)
