"""What is told of the last requests, and how many are kept."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.errors import ApiError, ConnectFailed, UpstreamTimeout
from ccrouter.observe.trail import LONGEST, Decision, Trail, Trails, brief, tried
from ccrouter.routing.caller import Caller
from ccrouter.routing.failure import Failure, Refusal
from ccrouter.routing.plan import Outcome, Try
from ccrouter.routing.rules import Considered
from tests.attempt.calls import CLAUDE

DECISION = Decision(caller=Caller(), model="m")


def trail(number: int = 0, decision: Decision = DECISION, **more) -> Trail:
    return Trail(at=1e9 + number, request_id=f"req_{number}", decision=decision, **more)


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 5)), max_size=30), st.integers(0, 40))
def test_the_newest_are_kept_and_no_more_than_there_may_be(kept: list[tuple[int, int]], asked: int) -> None:
    trails = Trails()
    expected: list[int] = []
    for number, most in kept:
        trails.keep(trail(number), most)
        expected = [*expected, number][-most:] if most else []
        assert len(trails) == len(expected)
    last = [round(each.at - 1e9) for each in trails.last(asked)]
    assert last == expected[::-1][:asked]


def attempt(failure: Failure | None = None, result: str = "failed") -> Try:
    outcome = Outcome(result=result, failure=failure)  # type: ignore[arg-type]
    return Try(target=CLAUDE, began=0.00049, ended=1.5, outcome=outcome)


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (None, {"result": "done"}),
        (ConnectFailed("refused"), {"kind": "connect", "status": None, "failure": "refused"}),
        (UpstreamTimeout("silent", "idle"), {"kind": "timeout", "failure": "silent"}),
        (ApiError(402, "billing_error", "no money"), {"kind": "quota", "status": 402, "failure": "no money"}),
        (Refusal(529, [(b"x", b"secret")], b"secret"), {"kind": "overloaded", "status": 529, "failure": None}),
        (
            Refusal(529, [], b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}'),
            {"kind": "overloaded", "status": 529, "failure": "Overloaded"},
        ),
        (Refusal(400, [], b"{}", "their\x1b[31m words"), {"kind": "request", "failure": "their?[31m words"}),
    ],
)
def test_a_try_is_told_with_the_kind_of_its_failure(failure: Failure | None, told: dict[str, object]) -> None:
    (said,) = trail(tries=(tried(attempt(failure, "failed" if failure else "done")),)).to_json()["tries"]
    assert said["target"] == "anthropic:claude-opus-5-5"
    assert (said["began"], said["seconds"]) == (0.0, 1.5)
    assert {name: said[name] for name in told} == told
    assert ("kind" in said) is (failure is not None)
    assert "secret" not in json.dumps(said)


def test_what_is_told_is_json_and_has_no_prompt_unless_it_was_asked_for() -> None:
    full = trail(
        decision=Decision(
            caller=Caller(),
            model="m",
            considered=(Considered(rule="a", objection=None), Considered(rule="b", objection="no")),
            names=("x\x1by",),
        ),
        passed=(("x:y", "rests"),),
        tries=(tried(attempt()),),
        usage={"input_tokens": 1},
        prompt="sesame",
    )
    told = json.loads(json.dumps(full.to_json()))
    assert told["rules"] == [{"rule": "a", "objection": None}, {"rule": "b", "objection": "no"}]
    assert told["passed_over"] == [{"target": "x:y", "why": "rests"}]
    assert told["names"] == ["x?y"]
    assert told["prompt"] == "sesame"
    assert "sesame" not in repr(full)
    assert "prompt" not in trail().to_json()


def test_what_is_kept_of_a_try_is_short_whatever_its_backend_said() -> None:
    long = "x" * 10_000_000
    for failure in (Refusal(500, [(b"x", long.encode())], long.encode(), long), ApiError(500, "api_error", long)):
        kept = tried(attempt(failure))
        assert kept.failure == "x" * LONGEST
        assert "xxxx" * 100 not in repr(kept)


def test_of_many_changes_some_are_kept() -> None:
    assert brief(["a" * 1000, "b"]) == ("a" * LONGEST, "b")
    assert len(brief([str(number) for number in range(10_000)])) == 50
