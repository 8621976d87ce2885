from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.errors import ApiError, UpstreamTimeout
from ccrouter.observe.log import Done, printable, words
from ccrouter.providers.presets import PRESETS
from ccrouter.providers.provider import Provider, Target
from ccrouter.providers.secret import Literal
from ccrouter.routing.failure import Refusal
from ccrouter.routing.plan import Outcome
from ccrouter.wire import envelope

ANTHROPIC = Provider(
    name="anthropic",
    preset=PRESETS["anthropic"],
    base_url="https://api.anthropic.com",
    api_key=Literal("sk-secret"),
)


OVERLOADED = envelope.write(ApiError(529, "overloaded_error", "Over\nloaded"), "req_up")


def line(outcome, *, model="opus", target=Target(ANTHROPIC, "claude-opus-5-5")):  # noqa: B008  # frozen
    done = Done(
        request_id="req_1",
        what="messages",
        model=model,
        target=target,
        outcome=outcome,
        seconds=1.2366,
    )
    return done.line()


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        (Outcome(result="done"), "done 1.24 s"),
        (Outcome(result="hung_up"), "hung_up 1.24 s"),
        (Outcome(result="failed", failure=Refusal(429, [(b"x", b"secret")], b"secret")), "failed [429] 1.24 s"),
        (Outcome(result="failed", failure=Refusal(529, [], OVERLOADED)), "failed [529 Over?loaded] 1.24 s"),
        (Outcome(result="failed", failure=Refusal(529, [], OVERLOADED, "its own")), "failed [529 its own] 1.24 s"),
        (
            Outcome(result="failed", failure=ApiError(404, "not_found_error", "no such\nmodel")),
            "failed [no such?model] 1.24 s",
        ),
        (
            Outcome(result="broken", failure=UpstreamTimeout("silent for 300 s", "idle")),
            "broken [silent for 300 s] 1.24 s",
        ),
    ],
)
def test_a_line_says_from_what_to_where_and_how_it_went(outcome, said):
    assert line(outcome) == f"messages opus -> anthropic:claude-opus-5-5 {said} (req_1)"


def test_what_else_there_is_to_know_stands_at_the_end():
    said = line(Outcome(result="done", notes=("one thing", "an\nother")))
    assert said.endswith("done 1.24 s (req_1); one thing; an?other")


def test_what_was_changed_in_the_request_is_counted_and_named():
    said = line(Outcome(result="done", changes=("model: a -> b", "temperature: dropped")))
    assert said.endswith("(req_1); 2 changed: model: a -> b, temperature: dropped")


def test_a_request_that_had_no_target_went_nowhere():
    assert " -> nowhere failed " in line(Outcome(result="failed"), target=None)


@given(st.text(st.characters(exclude_categories=())))
def test_whatever_comes_from_outside_stays_on_one_line_and_moves_no_cursor(text):
    failure = ApiError(400, "invalid_request_error", text)
    said = line(Outcome(result="failed", failure=failure), model=text, target=Target(ANTHROPIC, text))
    assert said.isprintable()
    assert len(said) < 800
    said.encode()


def test_a_credential_in_a_backends_own_words_is_not_repeated():
    said = envelope.write(ApiError(401, "authentication_error", "bad key sk-ant-0123456789abcdef"), "req_up")
    assert words(Refusal(401, [], said)) == "bad key [redacted]"


def test_what_can_be_printed_is_printed():
    assert printable("Grüße 😀 a b") == "Grüße 😀 a b"
    assert printable("\x1b[31m\u2028\u202e\ud800") == "?[31m???"
    assert printable("x" * 500) == "x" * 200
