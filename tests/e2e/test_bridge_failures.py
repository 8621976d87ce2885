"""Replies on OpenAI's wires that fail: the client gets its answer all the same, or learns why not.

A tap between client and router shows what the client was told, and how it asked again.
"""

from __future__ import annotations

import json
import re

import pytest
from attrs import evolve

from tests.e2e.bridge_stage import Asked, bridged, messages, on, tapped
from tests.e2e.claude_code import NEW, OLD
from tests.e2e.documents import pdf
from tests.e2e.images import png
from tests.e2e.openai_wires import CODEX, DEEPSEEK, OPENAI, OPENROUTER, Wire
from tests.e2e.replies import Reply, Text, Thinking, Use
from tests.e2e.sandbox import Sandbox
from tests.e2e.stage import Client
from tests.e2e.wiretap import Exchange

pytestmark = pytest.mark.e2e


def asked_for_a_stream(exchange: Exchange) -> bool:
    return bool(json.loads(exchange.request).get("stream"))


@on((OLD, DEEPSEEK), (NEW, OPENROUTER), (NEW, OPENAI), (OLD, CODEX))
@pytest.mark.parametrize("way", ["cut", "event"])
async def test_a_stream_that_fails_in_its_middle_is_recovered_by_a_request_without_a_stream(
    client: Client, sandbox: Sandbox, wire: Wire, way: str
) -> None:
    def script(asked: Asked) -> Reply:
        if len(bridge.asked) > 1:
            return asked.say(Text("This is the whole answer."))
        begun = wire.begun("This is only the first half of it, and th")
        if way == "cut":
            return evolve(wire.stream(begun), end="cut")
        return wire.stream([*begun, wire.failing("The server had an error.")])

    async with tapped(client, sandbox, wire, script) as (bridge, tap):
        ran = await bridge.ask("tell me")
        first, second = messages(tap)
    assert ran.answer == "This is the whole answer."
    assert len(bridge.asked) == 2
    assert [asked_for_a_stream(each) for each in (first, second)] == [True, False]
    said = b"".join(re.findall(rb'"text_delta","text":"([^"]*)"', first.reply))
    assert said.startswith(b"This is only the first half")
    assert b"event: error" in first.reply
    assert b"message_stop" not in first.reply
    assert json.loads(second.reply)["content"] == [{"type": "text", "text": "This is the whole answer."}]


@on((NEW, OPENROUTER), (OLD, OPENAI), (NEW, CODEX))
async def test_a_stream_that_fails_before_its_first_word_is_an_error_with_a_status_and_tried_again(
    client: Client, sandbox: Sandbox, wire: Wire
) -> None:
    def script(asked: Asked) -> Reply:
        if len(bridge.asked) > 1:
            return asked.say(Text("Here I am."))
        if wire is CODEX:
            error = {"code": "server_is_overloaded", "message": "Our servers are currently overloaded."}
            failed = {"type": "response.failed", "response": {"id": "r", "status": "failed", "error": error}}
            return wire.stream([*wire.events()[:1], failed])
        return wire.stream([*wire.begun(""), wire.failing("The server had an error.")])

    async with tapped(client, sandbox, wire, script) as (bridge, tap):
        ran = await bridge.ask("hello?")
        first, second = messages(tap)
    assert ran.answer == "Here I am."
    assert first.status == (529 if wire is CODEX else 502)
    assert second.status == 200
    assert asked_for_a_stream(second)


@on((NEW, DEEPSEEK), (OLD, OPENAI))
async def test_a_429_is_waited_out(client: Client, sandbox: Sandbox, wire: Wire) -> None:
    def script(asked: Asked) -> Reply:
        if len(bridge.asked) > 1:
            return asked.say(Text("Thank you for waiting."))
        return wire.refuse(429, "Slow down.", code="rate_limit_exceeded").with_headers(("retry-after", "1"))

    async with bridged(client, sandbox, wire, script) as bridge:
        ran = await bridge.ask("hurry")
    assert ran.answer == "Thank you for waiting."
    first, second = bridge.asked
    assert second.received.at - first.received.at >= 0.9, "the client did not get the retry-after"


@on((OLD, DEEPSEEK), (NEW, CODEX))
async def test_a_quota_that_is_used_up_is_told_and_not_asked_for_again(
    client: Client, sandbox: Sandbox, wire: Wire
) -> None:
    def script(_asked: Asked) -> Reply:
        if wire is CODEX:
            limit = {"type": "usage_limit_reached", "plan_type": "plus", "resets_in_seconds": 7200}
            return wire.refuse(429, "The usage limit has been reached", **limit)
        return wire.refuse(402, "Insufficient Balance", type="unknown_error", code="invalid_request_error")

    async with bridged(client, sandbox, wire, script) as bridge:
        ran = await bridge.ask("hello?")
    assert ran.json["is_error"] is True
    assert ("usage limit" if wire is CODEX else "Insufficient Balance") in ran.json["result"]
    assert len(bridge.asked) == 1


@on((NEW, OPENAI), (OLD, CODEX))
async def test_a_conversation_whose_reasoning_is_refused_goes_on_without_it(
    client: Client, sandbox: Sandbox, wire: Wire
) -> None:
    def script(asked: Asked) -> Reply:
        if wire.reasoning(asked.body):
            return wire.refuse(
                400, "The encrypted content gAAA...0A== could not be verified.", code="invalid_encrypted_content"
            )
        if not asked.results:
            return asked.say(Thinking("Let me look.", "gAAAA-0"), Use("call_0", "Bash", {"command": "echo one"}))
        return asked.say(Text(f"It says {asked.results[0]}."))

    async with bridged(client, sandbox, wire, script) as bridge:
        ran = await bridge.ask("look")
    assert ran.answer == "It says one."
    assert [bool(wire.reasoning(asked.body)) for asked in bridge.asked] == [False, True, False]


@on((OLD, OPENAI), (NEW, OPENROUTER))
@pytest.mark.parametrize(
    ("name", "content", "status", "words"),
    [
        ("dot.png", png(8, 8, (200, 30, 30)), 404, "No endpoints found that support image input"),
        ("report.pdf", pdf(), 400, "The document has no pages."),
    ],
)
async def test_a_conversation_whose_pictures_or_files_are_refused_goes_on_without_them(
    client: Client, sandbox: Sandbox, wire: Wire, name: str, content: bytes, status: int, words: str
) -> None:
    (sandbox.folder / name).write_bytes(content)

    def script(asked: Asked) -> Reply:
        if wire.attached(asked.body):
            return wire.refuse(status, words)
        if not asked.results:
            return asked.say(Use("call_0", "Read", {"file_path": str(sandbox.folder / name)}))
        return asked.say(Text("I can't see it."))

    async with bridged(client, sandbox, wire, script) as bridge:
        ran = await bridge.ask(f"what is in {name}")
    assert ran.answer == "I can't see it."
    assert [bool(wire.attached(asked.body)) for asked in bridge.asked] == [False, True, False]
