"""One call to a backend, seen from the channel: the parts in their order, and one whole reply."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio
from attrs import evolve

from ccrouter.attempt.parts import End, Failed, Head, Part, Piece, Whole
from ccrouter.attempt.pump import ask, pump
from ccrouter.errors import ApiError, BudgetSpent, ConnectFailed, UpstreamBroken, UpstreamTimeout
from ccrouter.providers.provider import Budget, Model, Target, Timeouts
from ccrouter.translate.responses import request
from tests.attempt.calls import (
    CLAUDE,
    RESPONSE,
    RESPONSES,
    chat_stream,
    inbound,
    parts,
)
from tests.rig import JSON, SSE, Script, Sleep, message, provider, rig


async def test_a_stream_comes_as_head_pieces_and_end() -> None:
    frames = message()
    first, rest = b"".join(frames[:2]), b"".join(frames[2:])
    found = await parts(rig(Script(body=[first, rest[:9], rest[9:]])), CLAUDE, inbound())
    assert isinstance(found[0], Head)
    assert isinstance(found[-1], End)
    pieces = [part for part in found if isinstance(part, Piece)]
    assert [part.data for part in pieces] == [first, rest]
    assert [part.ended for part in pieces] == [False, True]
    assert {part.first for part in pieces} == {"message_start"}


async def test_a_reply_that_is_no_stream_comes_whole() -> None:
    found = await parts(rig(Script(status=404, headers=JSON, body=[b"{", b"}"])), CLAUDE, inbound())
    assert found == [Whole(404, JSON, b"{}")]


async def test_a_failure_comes_down_the_channel_and_is_the_last() -> None:
    error = ConnectFailed("refused")
    assert await parts(rig(Script(before=[error])), CLAUDE, inbound()) == [Failed(error)]
    found = await parts(rig(Script(body=[message()[0]])), CLAUDE, inbound())
    assert [type(part) for part in found] == [Head, Piece, Failed]


async def test_a_missing_credential_is_a_failure_before_any_call() -> None:
    it = rig(Script(), environ={"HOME": "/nonexistent"})
    (found,) = await parts(it, CLAUDE, inbound())
    assert isinstance(found, Failed)
    assert isinstance(found.error, ApiError)
    assert found.error.status == 401
    assert not it.dial.calls


async def test_the_whole_call_has_a_deadline(autojump_clock: trio.testing.MockClock) -> None:
    slow = Target(provider("anthropic", timeouts=Timeouts(total=30)), "m")
    (found,) = await parts(rig(Script(before=[Sleep(1e6)])), slow, inbound())
    assert isinstance(found, Failed)
    assert isinstance(found.error, UpstreamTimeout)
    assert found.error.phase == "total"
    assert trio.current_time() == pytest.approx(30)


async def test_asking_for_a_whole_reply_refuses_a_stream() -> None:
    it = rig(Script(headers=SSE, body=message()))
    with pytest.raises(UpstreamBroken, match="not asked for"):
        await ask(inbound(), CLAUDE, it.backends)
    assert it.dial.closed == 1


async def test_a_missing_responses_endpoint_is_remembered_and_chat_is_spoken() -> None:
    it = rig(
        Script(where="/responses", status=404, headers=JSON, body=[b'{"detail":"Not Found"}']),
        Script(where="/chat/completions", body=chat_stream("hello")),
    )
    for _ in range(2):
        found = await parts(it, RESPONSES, inbound())
        assert isinstance(found[-1], End)
    paths = [call.url.rpartition("example")[2] for call in it.dial.calls]
    assert paths == ["/responses", "/chat/completions", "/chat/completions"]
    assert it.backends.wire(RESPONSES) == "chat"


@pytest.mark.parametrize(("chat", "told"), [(404, 404), (405, 404), (503, 503)])
async def test_a_chat_endpoint_that_is_no_better_is_not_remembered(chat: int, told: int) -> None:
    it = rig(
        Script(where="/responses", status=404, headers=JSON, body=[b'{"detail":"Not Found"}']),
        Script(where="/chat/completions", status=chat, headers=JSON, body=[b'{"detail":"Nothing here"}']),
    )
    (found,) = await parts(it, RESPONSES, inbound())
    assert isinstance(found, Whole)
    assert found.status == told
    assert it.backends.wire(RESPONSES) == "responses"


async def test_a_model_that_chat_does_not_have_proves_that_chat_is_there() -> None:
    words = b'{"error":{"message":"The model m does not exist"}}'
    it = rig(
        Script(where="/responses", status=404, headers=JSON, body=[b'{"detail":"Not Found"}']),
        Script(where="/chat/completions", status=404, headers=JSON, body=[words]),
    )
    (found,) = await parts(it, RESPONSES, inbound())
    assert isinstance(found, Whole)
    assert found.body == words
    assert it.backends.wire(RESPONSES) == "chat"


@pytest.mark.parametrize("insists", [True, False])
async def test_a_missing_model_or_a_user_who_insists_is_no_reason_to_fall_back(insists: bool) -> None:
    words = (
        b'{"error":{"message":"Not Found"}}' if insists else b'{"error":{"message":"The model m does not exist"}}'
    )
    target = Target(provider("work", "responses", wire="responses" if insists else None), "m")
    it = rig(Script(status=404, headers=JSON, body=[words]))
    (found,) = await parts(it, target, inbound())
    assert isinstance(found, Whole)
    assert found.status == 404
    assert len(it.dial.calls) == 1


REFUSALS: list[dict[str, Any]] = [
    {
        "message": "Your organization must be verified to generate …",
        "param": "reasoning.summary",
        "code": "unsupported_value",
    },
    {
        "message": "Unsupported parameter: 'reasoning.summary' is not …",
        "param": "reasoning.summary",
        "code": "unsupported_parameter",
    },
    {
        "message": 'BadRequestError: {\n  "error": {\n    "param": "reasoning.summary"\n  }\n}',
        "param": None,
        "code": "400",  # LiteLLM, as in OpenHands/software-agent-sdk#987
    },
]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: str(refusal["code"]))
async def test_a_summary_of_the_reasoning_that_is_refused_is_done_without(
    refusal: dict[str, Any], stream: bool
) -> None:
    words = {"error": {**refusal, "type": "invalid_request_error"}}
    ended = {"type": "response.completed", "response": RESPONSE}
    it = rig(
        Script(status=400, headers=JSON, body=[json.dumps(words).encode()]),
        Script(body=[b"data: " + json.dumps(ended).encode() + b"\n\n"]),
    )
    asked = inbound(thinking={"type": "adaptive"}, output_config={"effort": "high"}, stream=stream)
    for _ in range(2):
        found = await parts(it, RESPONSES, asked)
        (told,) = [part for part in found if isinstance(part, Head | Whole)]
        assert told.status == 200
        assert request.UNSUMMARIZED in told.changes
    sent = [json.loads(call.body)["reasoning"] for call in it.dial.calls]
    assert sent == [{"effort": "high", "summary": "auto"}, {"effort": "high"}, {"effort": "high"}]
    assert it.backends.asked(evolve(RESPONSES, model="another")).summarized
    elsewhere = evolve(RESPONSES.provider, base_url="https://elsewhere.example")
    assert it.backends.asked(evolve(RESPONSES, provider=elsewhere)).summarized


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, {"param": "reasoning.effort", "code": "unsupported_value", "message": "no"}),
        (400, {"message": "a question about reasoning.summary"}),
        (403, {"param": "reasoning.summary", "message": "no"}),
        (400, "reasoning.summary"),
    ],
)
async def test_another_refusal_says_nothing_of_summaries(status: int, error: object) -> None:
    it = rig(Script(status=status, headers=JSON, body=[json.dumps({"error": error}).encode()]))
    (found,) = await parts(it, RESPONSES, inbound(thinking={"type": "adaptive"}))
    assert isinstance(found, Whole)
    assert found.status == status
    assert len(it.dial.calls) == 1
    assert it.backends.asked(RESPONSES).summarized


async def test_who_refuses_a_summary_that_is_not_asked_for_is_asked_once_more() -> None:
    words = b'{"error":{"param":"reasoning.summary","message":"no"}}'
    it = rig(Script(status=400, headers=JSON, body=[words]))
    (found,) = await parts(it, RESPONSES, inbound())
    assert isinstance(found, Whole)
    assert found.status == 400
    assert len(it.dial.calls) == 2


async def test_each_piece_knows_what_was_told_up_to_it() -> None:
    found = await parts(rig(Script(body=message())), CLAUDE, inbound())
    pieces = [part.usage for part in found if isinstance(part, Piece)]
    early, whole = {"input_tokens": 3, "output_tokens": 1}, {"input_tokens": 3, "output_tokens": 5}
    assert pieces == [early, early, early, early, whole, whole]
    assert isinstance(found[-1], End)
    assert found[-1].usage == whole


# Places

LIMITED = Target(provider("anthropic", max_concurrent=1), "claude-opus-5-5")


async def test_a_reply_has_its_place_until_its_end_was_taken(autojump_clock: trio.testing.MockClock) -> None:
    it = rig(Script(body=message()))
    send, receive = trio.open_memory_channel[Part](0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pump, inbound(), LIMITED, it.backends, send)
        async for part in receive:
            await trio.testing.wait_all_tasks_blocked()
            if not isinstance(part, End):
                assert it.backends.limiter.waiting(LIMITED.provider) == (1, 0)
    assert it.backends.limiter.waiting(LIMITED.provider) == (0, 0)


@pytest.mark.parametrize(
    "script",
    [
        Script(before=[ConnectFailed("refused")]),
        Script(status=529, headers=JSON, body=[b"{}"]),
        Script(body=[message()[0], UpstreamBroken("cut")]),
        Script(body=[b"\xff" * 10]),
        Script(before=[Sleep(1e6)]),
    ],
)
async def test_a_failure_gives_its_place_back(script: Script, autojump_clock: trio.testing.MockClock) -> None:
    it = rig(script, Script(body=message()))
    target = evolve(LIMITED, provider=evolve(LIMITED.provider, timeouts=Timeouts(total=30)))
    await parts(it, target, inbound())
    assert it.backends.limiter.waiting(LIMITED.provider) == (0, 0)
    assert isinstance((await parts(it, target, inbound()))[-1], End)


async def test_who_only_counts_needs_no_place(autojump_clock: trio.testing.MockClock) -> None:
    it = rig(Script(headers=JSON, body=[b'{"input_tokens": 1}']))
    async with it.backends.limiter.slot(LIMITED.provider, "somebody"):
        (found,) = await parts(it, LIMITED, evolve(inbound(), endpoint="count_tokens"))
    assert isinstance(found, Whole)


async def test_what_can_not_be_taken_stands_in_no_line() -> None:
    it = rig(Script())
    target = Target(provider("ollama", max_concurrent=1), "m", Model("m", tools=False))
    async with it.backends.limiter.slot(target.provider, "somebody"):
        found = await parts(it, target, inbound(tools=[{"name": "t", "input_schema": {"type": "object"}}]))
    assert [type(part) for part in found] == [Failed]


async def test_a_budget_that_was_used_up_in_the_line_is_no_longer_asked_for_anything(
    autojump_clock: trio.testing.MockClock,
) -> None:
    it = rig(Script(body=message()))
    target = Target(evolve(LIMITED.provider, budget=Budget(tokens_per_day=8)), LIMITED.model)
    send, receive = trio.open_memory_channel[Part](0)
    async with trio.open_nursery() as nursery:
        async with it.backends.limiter.slot(target.provider, "somebody"):
            nursery.start_soon(pump, inbound(), target, it.backends, send)
            await trio.testing.wait_all_tasks_blocked()
            it.backends.budgets.spend(target, {"input_tokens": 8})
        (part,) = [part async for part in receive]
    assert isinstance(part, Failed)
    assert isinstance(part.error, BudgetSpent)
    assert it.dial.calls == []
    assert it.backends.limiter.waiting(target.provider) == (0, 0)


async def test_what_a_call_cost_is_counted_before_the_next_one_has_its_place(
    autojump_clock: trio.testing.MockClock,
) -> None:
    it = rig(Script(body=message()))
    target = Target(evolve(LIMITED.provider, budget=Budget(tokens_per_day=8)), LIMITED.model)
    found: list[list[Part]] = []

    async def ask_once() -> None:
        found.append(await parts(it, target, inbound()))

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(ask_once)
    assert [type(each[-1]) for each in found] == [End, Failed, Failed, Failed, Failed]
    assert len(it.dial.calls) == 1
