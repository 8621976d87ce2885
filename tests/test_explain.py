"""What would happen to a request, told without sending it; and what no explanation ever tells."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from typing import Any

import pytest
import trio
import trio.testing
from attrs import evolve
from trio.testing import MockClock

from ccrouter.errors import ConnectFailed
from ccrouter.explain import explain
from ccrouter.providers.provider import Budget, Model, Target
from ccrouter.routing.budget import Amount
from ccrouter.routing.config import Config, Explain
from ccrouter.routing.plan import Outcome
from ccrouter.routing.rules import Rule, When
from ccrouter.translate.responses.request import UNSUMMARIZED
from ccrouter.upstream.dial import Answer, Call
from ccrouter.wire.headers import CREDENTIALS, Headers
from tests.attempt.calls import inbound
from tests.rig import JSON, Rig, Script, ScriptedAnswer, ScriptedDial, Talk, message, provider, request, rig, talk

TWO = [provider("anthropic"), provider("ollama")]
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}


async def explained(it: Rig, headers: Headers | None = None, **fields: Any) -> dict[str, Any]:
    wanted = evolve(inbound(**fields), headers=headers or [])
    told = await explain(wanted, it.dispatch, it.backends)
    assert it.dial.calls == [], "nothing is sent"
    json.dumps(told)
    return told


async def test_the_way_of_a_request_is_told_from_who_asks_to_its_targets() -> None:
    rules = (
        Rule(name="big", when=When(tokens_over=100_000), use=("anthropic:claude-x",)),
        Rule(
            name="explore", when=When(classes=("subagent",), agent=("Explore",)), use=("ollama:q", "anthropic:y")
        ),
        Rule(name="never", use=("ollama:z",)),
    )
    it = rig(Script(), providers=TWO, config=Config(routes=rules))
    headers = [
        (b"x-claude-code-request-class", b"subagent"),
        (b"x-claude-code-agent-type", b"Explore"),
        (b"x-claude-code-session-id", b"s1"),
        (b"x-ccrouter-project", b"/home/user/a%20b"),
    ]
    told = await explained(it, headers)
    assert (told["class"], told["agent"], told["session"], told["project"]) == (
        "subagent",
        "Explore",
        "s1",
        "/home/user/a b",
    )
    assert told["rules"] == [
        {"rule": "big", "objection": "it has no more than 100000 tokens"},
        {"rule": "explore", "objection": None},
    ]
    assert (told["because"], told["names"]) == ("the rule explore", ["ollama:q", "anthropic:y"])
    assert [each["target"] for each in told["candidates"]] == ["ollama:q", "anthropic:y"]
    assert "model: claude-opus-5-5 -> q" in told["candidates"][0]["changes"]
    assert told["tokens_estimated"] > 0


async def test_what_is_known_of_a_candidate_is_told(autojump_clock: MockClock) -> None:
    it = rig(
        Script(),
        providers=[
            provider("anthropic", budget=Budget(tokens_per_day=5)),
            provider("lmstudio", models=(Model("small", window=50, vision=False, tools=False),)),
            provider("chat"),
        ],
        aliases={"big": ("anthropic:claude-x", "lmstudio:small", "chat:m")},
    )
    it.backends.quotas.hear(
        it.providers["anthropic"], [(b"anthropic-ratelimit-unified-5h-utilization", b"0.5")], it.backends.clock()
    )
    chosen = await it.dispatch.choose(inbound(model="big"))
    it.dispatch.health.failed(chosen.route.targets[2], ConnectFailed("refused"), trio.current_time())
    it.dispatch.notebook.spend("anthropic", date.today().isoformat(), Amount(5, 0.0))
    told = await explained(it, model="big", messages=[{"role": "user", "content": "word " * 1000}])
    full, small, down = told["candidates"]
    assert (full["plan_used"], full["rests"], full["refused"]) == (50, None, None)
    assert "is used up (5 of 5 tokens)" in full["budget"]
    assert (small["window"], small["vision"], small["tools"]) == (50, False, False)
    assert "tokens > 50 maximum" in small["refused"]
    assert (down["wire"], down["rests"]) == ("chat", {"seconds": 2.0, "why": "connect"})
    assert down["bytes"] > 0
    images = await explained(it, model="lmstudio:small", messages=[{"role": "user", "content": [IMAGE]}])
    assert images["candidates"][0]["changes"] or images["candidates"][0]["refused"]


async def test_a_summary_that_was_refused_is_not_said_to_be_asked_for() -> None:
    it = rig(Script(), providers=[provider("openai")], aliases={"big": ("openai:gpt-x",)})
    before = await explained(it, model="big", thinking={"type": "adaptive"})
    it.backends.unsummarize(Target(it.providers["openai"], "gpt-x"))
    after = await explained(it, model="big", thinking={"type": "adaptive"})
    first, then = (told["candidates"][0]["changes"] for told in (before, after))
    assert {*then} - {*first} == {UNSUMMARIZED}


async def test_explaining_changes_nothing_of_what_it_tells(autojump_clock: MockClock) -> None:
    it = rig(Script(), providers=TWO, aliases={"big": ("anthropic:claude-x", "ollama:q")})
    headers = [(b"x-claude-code-session-id", b"s1")]
    told = [await explained(it, headers, model="big") for _ in range(3)]
    assert told[0] == told[1] == told[2]
    assert len(it.dispatch.trails) == 0
    assert len(it.dispatch.notebook.pins) == 0


async def test_what_would_decide_is_told_as_what_has_decided() -> None:
    many = tuple(f"ollama:{'q' * 1_000}{number}" for number in range(60))
    it = rig(Script(), providers=TWO, config=Config(routes=(Rule(name="many", use=many),)))
    headers = [(b"x-ccrouter-project", b"/" + b"p" * 1_000)]
    wanted = evolve(inbound(model="m" * 1_000), headers=headers)
    told = await explained(it, headers, model="m" * 1_000)
    it.dispatch.settle(wanted, await it.dispatch.choose(wanted), Outcome(result="failed"), None)
    (trail,) = it.dispatch.trails.last(1)
    decided = trail.decision.to_json()
    assert len(decided["names"]) < len(many)
    assert {key: told[key] for key in decided} == decided


async def test_of_a_name_that_leads_nowhere_it_is_told_who_decided_and_why_it_fails() -> None:
    rule = Rule(name="r", use=("anthropic:",))
    told = await explained(rig(Script(), config=Config(routes=(rule,))))
    assert (told["because"], told["names"], told["candidates"]) == ("the rule r", ["anthropic:"], [])
    assert told["failure"] == "'anthropic:' names a provider but no model"


# What is never told

PROMPT, HEADER, CREDENTIAL = "marker-of-a-prompt", "marker-of-a-header", "marker-of-a-credential"


def rich(model: str, *, stream: bool) -> bytes:
    """A request with a marker wherever it has words of its user, or of what the user's tools found."""
    schema = {"type": "object", "description": PROMPT, "properties": {"path": {"const": PROMPT}}}
    return request(
        model=model,
        stream=stream,
        system=[
            {"type": "text", "text": f"x-anthropic-billing-header: {PROMPT}"},
            {"type": "text", "text": PROMPT},
        ],
        messages=[
            {"role": "user", "content": f"{PROMPT} {'word ' * 50}"},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": PROMPT, "signature": "bWFya2Vy" + PROMPT},
                    {"type": "text", "text": PROMPT},
                    {"type": "tool_use", "id": "toolu_1", "name": "Read", "input": {"path": PROMPT}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": "toolu_1",
                        "content": [{"type": "text", "text": PROMPT}],
                    },
                    IMAGE,
                    {"type": "document", "title": PROMPT, "source": {"type": "text", "data": PROMPT}},
                    {"type": "text", "text": PROMPT},
                ],
            },
        ],
        tools=[{"name": "Read", "description": PROMPT, "input_schema": schema}],
        metadata={"user_id": PROMPT},
        stop_sequences=[PROMPT],
        unheard_of={"text": PROMPT},
    )


HEADERS = [
    (b"authorization", f"Bearer {CREDENTIAL}-1".encode()),
    (b"x-api-key", f"{CREDENTIAL}-2".encode()),
    (b"cookie", f"{CREDENTIAL}-3".encode()),
    (b"user-agent", HEADER.encode()),
    (b"anthropic-beta", HEADER.encode()),
    (b"x-team", HEADER.encode()),
    (b"x-claude-code-session-id", b"session-1"),
]
PROVIDERS = ["anthropic", "ollama", "openrouter", "chat", "responses"]
RULES = (
    Rule(name="by header", when=When(headers=(("x-team", "other"),)), use=("ollama:q",)),
    Rule(name="by agent", when=When(headers=(("user-agent", "curl*"),), model=("claude-*",)), use=("ollama:q",)),
)
SCRIPTS = {
    "a stream": Script(body=message(PROMPT)),
    "a whole reply": Script(headers=JSON, body=[b'{"type":"message","content":[{"type":"text","text":"hi"}]}']),
    "a broken stream": Script(body=message(PROMPT)[:3]),
    "no connection": Script(before=[ConnectFailed("refused")]),
    "a refusal": Script(
        status=400, headers=JSON, body=[b'{"error":{"type":"invalid_request_error","message":"no"}}']
    ),
    "garbage": Script(headers=JSON, body=[b"\xff\xfe"]),
}


class Echo(ScriptedDial):
    """A backend that refuses every credential and repeats it."""

    @asynccontextmanager
    async def __call__(self, call: Call) -> AsyncIterator[Answer]:
        self.calls.append(call)
        shown = b" ".join(value for name, value in call.headers if name in CREDENTIALS)
        await trio.lowlevel.checkpoint()
        yield ScriptedAnswer(401, JSON, [json.dumps({"error": {"message": f"wrong: {shown!r}"}}).encode()])


def secretive(script: Script, *, prompts: bool = False) -> Rig:
    keys = {
        each.preset.key_env[0]: f"{CREDENTIAL}-4" for each in map(provider, PROVIDERS[:3]) if each.preset.key_env
    }
    return rig(
        script,
        providers=[provider(each) for each in PROVIDERS],
        environ={"HOME": "/nonexistent", **keys},
        config=Config(routes=RULES, explain=Explain(prompts=prompts)),
        aliases={"all": tuple(f"{each}:m" for each in PROVIDERS)},
    )


async def outputs(client: Talk, it: Rig, model: str) -> str:
    """Everything that is told of a request, before and after it went its way."""
    told = []
    for method, target, body in (
        ("POST", "/explain?x=" + HEADER, rich(model, stream=True)),
        ("GET", "/explain?last=50", b""),
        ("GET", "/status", b""),
    ):
        await client.send(body, HEADERS, method=method, target=target)
        told.append((await client.reply()).decode())
        assert client.status == 200
    return "\n".join([*told, *it.lines])


@pytest.mark.parametrize("name", [*PROVIDERS, "all"])
@pytest.mark.parametrize("kind", SCRIPTS)
async def test_no_header_no_credential_and_nothing_of_a_prompt_is_ever_told(
    name: str, kind: str, autojump_clock: MockClock
) -> None:
    it = secretive(SCRIPTS[kind])
    model = name if name == "all" else f"{name}:m"
    async with talk(it) as client:
        for stream in (True, False):
            await client.send(rich(model, stream=stream), HEADERS, target=f"/v1/messages?x={HEADER}")
            await client.reply()
            await trio.testing.wait_all_tasks_blocked()
        told = await outputs(client, it, model)
    assert len(it.lines) == 2
    assert "session-1" in told
    for marker in (HEADER, CREDENTIAL, it.token):
        assert marker not in told, marker
    assert PROMPT not in told


@pytest.mark.parametrize("name", [*PROVIDERS, "all"])
async def test_no_credential_is_told_though_a_backend_repeats_it(name: str) -> None:
    it = evolve(secretive(SCRIPTS["garbage"]), dial=Echo([]))
    model = name if name == "all" else f"{name}:m"
    async with talk(it) as client:
        await client.send(rich(model, stream=True), HEADERS)
        await client.reply()
        assert client.status == 401
        await trio.testing.wait_all_tasks_blocked()
        (call,) = it.dial.calls
        told = await outputs(client, it, model)
    assert CREDENTIAL not in told
    assert ("[redacted]" in told) is (CREDENTIAL in str(call.headers))


async def test_a_prompt_is_told_to_who_asked_for_prompts_and_still_nothing_else() -> None:
    it = secretive(SCRIPTS["a whole reply"], prompts=True)
    async with talk(it) as client:
        await client.send(rich("ollama:m", stream=True), HEADERS)
        await client.reply()
        await trio.testing.wait_all_tasks_blocked()
        told = await outputs(client, it, "ollama:m")
    assert f'"prompt": "{PROMPT}"' in told
    assert PROMPT not in "\n".join(it.lines)
    for marker in (HEADER, CREDENTIAL, it.token):
        assert marker not in told, marker
