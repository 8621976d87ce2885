"""Counts of tokens: who is asked, in which form, and the estimate when nobody answers."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio
from attrs import evolve
from trio.testing import MockClock

from ccrouter.attempt.inbound import Inbound
from ccrouter.count import COUNT_WITHIN, count, estimated
from ccrouter.errors import ConnectFailed
from ccrouter.providers.provider import Target
from ccrouter.routing.credentials import ClientCredentials
from ccrouter.translate.tokens import estimate
from ccrouter.wire.messages import read_request
from tests.rig import JSON, SSE, Rig, Script, Sleep, provider, rig

FIELDS: dict[str, Any] = {"model": "x", "messages": [{"role": "user", "content": "hello there, how are you?"}]}
ENVIRON = {"HOME": "/nonexistent", "OPENAI_API_KEY": "sk-openai-key", "LITELLM_API_KEY": "k"}
COUNTED = Script(headers=[*JSON, (b"x-own", b"1")], body=[b'{"object":"response.input_tokens","input_tokens":42}'])


def inbound(**fields: Any) -> Inbound:
    return Inbound(
        request=read_request(json.dumps(FIELDS | fields).encode()),
        headers=[],
        query="",
        endpoint="count_tokens",
        credentials=ClientCredentials(),
        request_id="req_1",
    )


async def counted(it: Rig, **fields: Any) -> tuple[dict[str, Any], dict[bytes, bytes]]:
    (to,) = it.providers.values()
    headers, body = await count(inbound(**fields), Target(to, "m"), it.backends)
    return json.loads(body), dict(headers)


def asked(name: str, *scripts: Script, wire: Any = None) -> Rig:
    return rig(*scripts, providers=[provider(name, wire=wire)], environ=ENVIRON)


async def test_openai_counts_a_responses_request_and_only_its_number_goes_back() -> None:
    it = asked("openai", COUNTED)
    assert await counted(it) == ({"input_tokens": 42}, {b"content-type": b"application/json"})
    (call,) = it.dial.calls
    assert call.url == "https://api.openai.com/v1/responses/input_tokens"
    assert json.loads(call.body)["model"] == "m"
    assert "stream" not in json.loads(call.body)
    assert (b"authorization", b"Bearer sk-openai-key") in call.headers


@pytest.mark.parametrize("wire", ["messages", "chat", "responses"])
@pytest.mark.parametrize("name", ["llamacpp", "litellm"])
async def test_who_counts_messages_is_asked_in_that_form_whichever_wire_answers(name: str, wire: str) -> None:
    it = asked(name, Script(headers=JSON, body=[b'{"input_tokens": 7}']), wire=wire)
    told, headers = await counted(it)
    assert told == {"input_tokens": 7}
    assert b"x-ccrouter-estimate" not in headers
    (call,) = it.dial.calls
    assert call.url.endswith("/v1/messages/count_tokens")
    assert json.loads(call.body)["messages"] == FIELDS["messages"]


@pytest.mark.parametrize(
    ("name", "wire"),
    [
        ("openai", "chat"),
        ("codex", None),
        ("responses", None),
        ("chat", None),
        ("ollama", None),
        ("ollama", "ollama"),
        ("demo", None),
    ],
)
async def test_who_can_not_count_is_not_asked(name: str, wire: str | None) -> None:
    it = asked(name, wire=wire)
    told, headers = await counted(it)
    assert told == {"input_tokens": estimate(FIELDS)}
    assert headers[b"x-ccrouter-estimate"] == b"1"
    assert not it.dial.calls


@pytest.mark.parametrize("name", ["openai", "anthropic"])
@pytest.mark.parametrize(
    "script",
    [
        Script(before=[ConnectFailed("refused")]),
        Script(before=[Sleep(1e6)]),
        Script(headers=JSON, body=[b'{"input_tokens"', Sleep(1e6)]),
        Script(status=404, headers=JSON, body=[b'{"input_tokens": 5}']),
        Script(status=401, headers=JSON, body=[b"{}"]),
        Script(status=429, headers=JSON, body=[b"{}"]),
        Script(headers=JSON, body=[b"<html>"]),
        Script(headers=JSON, body=[b"[" * 100_000]),
        Script(headers=JSON, body=[b'{"input_tokens": true}']),
        Script(headers=JSON, body=[b'{"input_tokens": -1}']),
        Script(headers=JSON, body=[b'{"input_tokens": "5"}']),
        Script(headers=JSON, body=[b"[5]"]),
        Script(headers=SSE, body=[b'data: {"input_tokens": 5}\n\n']),
    ],
)
async def test_anything_but_a_good_answer_falls_back_on_the_estimate(
    name: str, script: Script, autojump_clock: MockClock
) -> None:
    environ = {**ENVIRON, "ANTHROPIC_API_KEY": "sk-a"}
    it = rig(script, providers=[provider(name)], environ=environ)
    told, headers = await counted(it)
    assert told == {"input_tokens": estimate(FIELDS)}
    assert headers[b"x-ccrouter-estimate"] == b"1"
    assert trio.current_time() < COUNT_WITHIN + 1
    assert it.dial.opened == it.dial.closed


async def test_a_count_has_the_deadlines_of_its_provider_where_those_are_shorter(
    autojump_clock: MockClock,
) -> None:
    openai = provider("openai")
    openai = evolve(openai, timeouts=evolve(openai.timeouts, total=COUNT_WITHIN / 2))
    it = rig(Script(before=[Sleep(1e6)]), providers=[openai], environ=ENVIRON)
    assert (await counted(it))[1][b"x-ccrouter-estimate"] == b"1"
    assert trio.current_time() < COUNT_WITHIN / 2 + 1
    (call,) = it.dial.calls
    assert call.timeouts == openai.timeouts


async def test_a_request_that_the_backend_could_not_be_asked_is_estimated() -> None:
    it = asked("openai", COUNTED)
    told, _ = await counted(it, tools=[{"type": "code_execution_20250825", "name": "code_execution"}])
    assert told["input_tokens"] > 0
    assert not it.dial.calls


IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
SEEN = [{"role": "user", "content": [IMAGE]}]


async def test_who_counts_is_asked_for_what_the_model_would_be_shown() -> None:
    it = asked("llamacpp", Script(headers=JSON, body=[b'{"input_tokens": 7}']))
    it.questions.scripts = [Script(where="/props", headers=JSON, body=[b'{"modalities":{"vision":false}}'])]
    assert (await counted(it, messages=SEEN))[0] == {"input_tokens": 7}
    (call,) = it.dial.calls
    assert "text-only" in call.body.decode()
    assert "AAAA" not in call.body.decode()


async def test_so_is_the_estimate() -> None:
    it = asked("ollama")
    shown = {"capabilities": ["completion"], "model_info": {}}
    it.questions.scripts = [
        Script(where="/api/show", headers=JSON, body=[json.dumps(shown).encode()]),
        Script(status=404),
    ]
    (told, _), whole = await counted(it, messages=SEEN), estimate(FIELDS | {"messages": SEEN})
    assert told["input_tokens"] < whole - 1_000


async def test_a_missing_count_is_no_reason_to_speak_another_wire() -> None:
    openai = provider("openai")
    openai = evolve(openai, preset=evolve(openai.preset, falls_back=True))
    it = rig(Script(status=404, headers=JSON, body=[b"{}"]), providers=[openai], environ=ENVIRON)
    await counted(it)
    assert it.backends.fallen == {}
    assert len(it.dial.calls) == 1


async def test_a_long_request_is_estimated_the_same_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    short = await estimated(inbound())
    monkeypatch.setattr("ccrouter.attempt.admission.LONG", 10)
    assert await estimated(inbound()) == short
