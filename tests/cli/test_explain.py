"""``ccrouter explain``: what a person in a hurry reads, and what a program does."""

from __future__ import annotations

import io
import json
import os
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from ccrouter.cli import explain as module
from ccrouter.cli.explain import happened, would_happen
from ccrouter.cli.main import main
from ccrouter.errors import CcrouterError, ConnectFailed
from ccrouter.providers.provider import Budget, Model, Price
from ccrouter.routing.budget import Amount
from ccrouter.routing.config import Config, Explain
from ccrouter.routing.rules import Rule, When
from ccrouter.routing.values import WIRES
from tests.rig import SSE, Script, Sleep, message, provider, request, rig, talk

RULES = (
    Rule(name="explore", when=When(classes=("subagent",), agent=("Explore",)), use=("big",)),
    Rule(name="rest", when=When(classes=("subagent",)), use=("ollama:q",)),
)
EXPLORE = [
    (b"x-claude-code-request-class", b"subagent"),
    (b"x-claude-code-agent-type", b"Explore"),
    (b"x-claude-code-session-id", b"s1"),
    (b"x-ccrouter-project", b"/home/user/shop"),
]
PRICED = provider("ollama", models=(Model("q", window=32768, vision=False, price=Price(input=100.0, output=1.0)),))


def of_the_past(told: dict[str, Any]) -> list[str]:
    lines = list(happened(told | {"at": 0, "request_id": "req_1"}))
    at = time.strftime("%H:%M:%S", time.localtime(0))
    assert lines[0].startswith(f"{at}  ")
    return [lines[0].removeprefix(f"{at}  "), *lines[1:]]


async def test_a_request_of_the_past_reads_from_top_to_bottom(autojump_clock: MockClock) -> None:
    it = rig(
        Script(where="anthropic.com", before=[Sleep(2), ConnectFailed("cannot reach it")]),
        Script(where=":11434", body=message()),
        providers=[provider("anthropic"), PRICED],
        aliases={"big": ("anthropic:claude-x", "ollama:q")},
        config=Config(routes=RULES, explain=Explain(prompts=True)),
    )
    texts = []
    async with talk(it) as client:
        for _ in range(2):
            await client.send(request(), EXPLORE)
            await client.reply()
            await trio.testing.wait_all_tasks_blocked()
            await client.send(b"", method="GET", target="/explain")
            (told,) = json.loads(await client.reply())["requests"]
            texts.append(of_the_past(told))
    first, second = texts
    assert first == [
        "claude-opus-5-5 -> ollama:q  done in 2.00 s",
        "  request    req_1",
        "  class      subagent, agent Explore (the client says so (x-claude-code-request-class))",
        "  project    /home/user/shop",
        "  rule       explore: fits",
        "  chosen by  the rule explore: big",
        "  candidates anthropic:claude-x, ollama:q",
        "  try 1      anthropic:claude-x: failed after 2.00 s (connect): cannot reach it",
        "  try 2      ollama:q: done after 0.00 s",
        "  changed    model: claude-opus-5-5 -> q",
        "  tokens     3 in, 5 out, $0.0003",
        "  prompt     hi",
    ]
    assert "  session    stays with ollama:q" in second
    rests = "left alone for 2.0 s more after failures: connect"
    assert f"  candidates ollama:q, anthropic:claude-x ({rests})" in second


async def test_how_full_a_plan_was_is_said_of_each_candidate() -> None:
    plan = [
        (b"anthropic-ratelimit-unified-5h-utilization", b"0.79"),
        (b"anthropic-ratelimit-unified-5h-reset", b"9e9"),
    ]
    it = rig(Script(headers=[*SSE, *plan], body=message()))
    async with talk(it) as client:
        for _ in range(2):
            await client.send(request())
            await client.reply()
            await trio.testing.wait_all_tasks_blocked()
        await client.send(b"", method="GET", target="/explain?last=1")
        (told,) = json.loads(await client.reply())["requests"]
    assert told["candidates"] == [{"target": "anthropic:claude-opus-5-5", "rests": None, "plan_used": 79}]
    assert "  candidates anthropic:claude-opus-5-5 (79 % of its plan used up)" in of_the_past(told)


async def test_what_was_skipped_and_what_failed_is_said_with_the_reason(autojump_clock: MockClock) -> None:
    limited = provider("ollama", budget=Budget(tokens_per_day=1))
    it = rig(Script(body=message()), providers=[limited])
    it.dispatch.notebook.spend("ollama", date.today().isoformat(), Amount(1, 0.0))
    async with talk(it) as client:
        for model in ("ollama:q", "ollama:"):
            await client.send(request(model=model))
            await client.reply()
        await client.send(b"", method="GET", target="/explain?last=2")
        nowhere, broke = json.loads(await client.reply())["requests"]
    assert of_the_past(nowhere) == [
        "ollama: -> nowhere  failed in 0.00 s",
        "  request    req_1",
        "  class      main (nothing says otherwise)",
        "  chosen by  the model's name: ollama:",
        "  failure    'ollama:' names a provider but no model",
    ]
    lines = of_the_past(broke)
    assert lines[0] == "ollama:q -> nowhere  failed in 0.00 s"
    assert any(line.startswith("  skipped    ollama:q: ccrouter: the budget of ollama") for line in lines)


def test_the_share_of_the_cache_is_told_where_there_is_one() -> None:
    cached = {
        "input_tokens": 1,
        "cache_read_input_tokens": 7,
        "cache_creation_input_tokens": 2,
        "output_tokens": 4,
    }
    assert module._usage(cached) == "10 in (70 % from the cache), 4 out"
    assert module._usage({"input_tokens": 5}) == "5 in, 0 out"
    assert module._usage({"output_tokens": 5}) == "0 in, 5 out"


async def test_what_would_lead_nowhere_is_said_with_who_decided() -> None:
    it = rig(Script(), config=Config(routes=(Rule(name="r", use=("anthropic:",)),)))
    async with talk(it) as client:
        await client.send(request(), target="/explain")
        told = json.loads(await client.reply())
    assert list(would_happen(told))[1:] == [
        "  class      main (nothing says otherwise)",
        "  rule       r: fits",
        "  chosen by  the rule r: anthropic:",
        "  failure    'anthropic:' names a provider but no model",
    ]


async def test_what_would_happen_reads_from_who_asks_to_each_candidate(autojump_clock: MockClock) -> None:
    it = rig(
        Script(),
        providers=[
            provider("anthropic"),
            PRICED,
            provider("chat"),
            provider("openai", budget=Budget(tokens_per_day=1)),
        ],
        aliases={"big": ("anthropic:claude-x", "ollama:q", "chat:m", "openai:gpt")},
        config=Config(routes=RULES),
    )
    it.dispatch.notebook.spend("openai", date.today().isoformat(), Amount(1, 0.0))
    it.backends.quotas.hear(
        it.providers["anthropic"], [(b"anthropic-ratelimit-unified-5h-utilization", b"0.5")], it.backends.clock()
    )
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}
    async with talk(it) as client:
        await client.send(request(), EXPLORE, target="/explain")
        plain = list(would_happen(json.loads(await client.reply())))
        await client.send(
            request(model="ollama:q", messages=[{"role": "user", "content": [image]}], safeguards=1),
            target="/explain",
        )
        refused = list(would_happen(json.loads(await client.reply())))
    assert plain[1:-1] == [
        "  class      subagent, agent Explore (the client says so (x-claude-code-request-class))",
        "  project    /home/user/shop",
        "  rule       explore: fits",
        "  chosen by  the rule explore: big",
        "  candidates in this order:",
        "  1. anthropic:claude-x: in Anthropic's format",
        "       50 % of its plan is used up",
        "       changed: model: claude-opus-5-5 -> claude-x",
        "  2. ollama:q: in Anthropic's format, window of 32768 tokens, sees no images",
        "       changed: model: claude-opus-5-5 -> q",
        "  3. chat:m: by Chat Completions",
        "       changed: model: claude-opus-5-5 -> m",
        *plain[13:-1],
    ]
    assert plain[0].startswith("claude-opus-5-5, about ")
    assert "  4. openai:gpt: by Responses" in plain
    assert any(line.startswith("       no budget left: ccrouter: the budget of openai") for line in plain)
    assert any(line.startswith("       would be refused: ") and "safeguards" in line for line in refused)


# The command

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """What the router is asked, and what it answers."""
    it = SimpleNamespace(path=None, more={}, answer={"requests": []}, failure=None)

    async def ask(path: str, **more: Any) -> Any:
        it.path, it.more = path, more
        await trio.lowlevel.checkpoint()
        if it.failure is not None:
            raise it.failure
        return it.answer

    monkeypatch.setattr("ccrouter.cli.joined.ask", ask)
    return it


@pytest.fixture
def explain(asked: SimpleNamespace, capfd: pytest.CaptureFixture[str]) -> Command:
    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(["explain", *arguments])
        out, err = capfd.readouterr()
        return code, out, err

    return run


async def past(**more: Any) -> dict[str, Any]:
    it = rig(Script(body=message()), **more)
    async with talk(it) as client:
        await client.send(request())
        await client.reply()
        await trio.testing.wait_all_tasks_blocked()
    told: dict[str, Any] = it.dispatch.trails.last(1)[0].to_json()
    return told


def test_the_last_request_is_asked_for_or_as_many_as_are_wanted(explain: Command, asked: SimpleNamespace) -> None:
    for arguments, path in (([], "/explain?last=1"), (["--last", "5"], "/explain?last=5")):
        assert explain(*arguments) == (0, "", "The router has had no request yet.\n")
        assert asked.path == path
    explain("--last", "99999999999")
    assert len(asked.path.partition("=")[2]) <= 6, "more than a router takes"
    explain("--port", "9")
    assert asked.more["port"] == 9


def test_several_requests_stand_apart_and_end_in_one_line_end(explain: Command, asked: SimpleNamespace) -> None:
    asked.answer = {"requests": [trio.run(past), trio.run(past)]}
    code, out, err = explain("--last", "2")
    assert (code, err) == (0, "")
    assert out.count("\n\n") == 1
    assert out.endswith("out\n")
    assert json.loads(explain("--json")[1]) == asked.answer["requests"]


def test_no_character_reaches_the_terminal_that_it_would_act_on(explain: Command, asked: SimpleNamespace) -> None:
    evil = "a\x1b]0;b\x07\x9b31m\r\n\u202e\ud800"
    told = trio.run(past)
    keys = ("agent", "task", "project", "profile", "because", "pinned", "failure")
    told |= dict.fromkeys(keys, evil) | {"changes": [evil], "notes": [evil], "names": [evil], "prompt": evil * 900}
    asked.answer = {"requests": [told]}
    code, out, _ = explain()
    assert code == 0
    assert all(char.isprintable() or char == "\n" for char in out)
    assert max(map(len, out.splitlines())) <= 2_000
    assert json.loads(explain("--json")[1])[0]["agent"] == evil
    assert explain("--json")[1].isascii()


def save(tmp_path: Path, value: object) -> str:
    path = tmp_path / "request.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return str(path)


BODY = {"model": "m", "messages": []}


def test_a_saved_request_is_sent_as_it_is(explain: Command, asked: SimpleNamespace, tmp_path: Path) -> None:
    asked.failure = CcrouterError("enough")
    text = '{ "model": "m",\n "messages": [1.0] }'
    assert explain(save(tmp_path, text)) == (1, "", "ccrouter: enough\n")
    assert asked.path == "/explain"
    assert asked.more == {"port": None, "body": text.encode(), "headers": {}, "config": None, "own": True}


def test_its_headers_go_along_but_for_those_that_open_doors(
    explain: Command, asked: SimpleNamespace, tmp_path: Path
) -> None:
    asked.failure = CcrouterError("enough")
    kept = {
        "x-claude-code-request-class": "subagent",
        "anthropic-beta": "a",
        "x-team": "core",
        "user-agent": "cli",
    }
    left = {"Authorization": "Bearer x", "X-Api-Key": "k", "Cookie": "c", "X-CCRouter-Token": "t", "Host": "h"}
    left |= {"Content-Length": "5", "Content-Encoding": "gzip", "Origin": "o", "Connection": "close"}
    project = {"X-CCRouter-Project": "/home/user/shop"}
    explain(save(tmp_path, {"headers": kept | left | project, "body": BODY}))
    assert asked.more["headers"] == kept | {"x-ccrouter-project": "/home/user/shop"}
    assert json.loads(asked.more["body"]) == BODY


def test_it_may_come_from_standard_input(
    explain: Command, asked: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked.failure = CcrouterError("enough")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(json.dumps(BODY).encode())))
    explain("-")
    assert json.loads(asked.more["body"]) == BODY


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("{", "is no saved request: it must be one JSON object"),
        ("[]", "is no saved request: it must be one JSON object"),
        ("[" * 100_000, "is no saved request: it must be one JSON object"),
        ({"messages": []}, "is no saved request: it names no `model`"),
        ({"body": {"model": 5}}, "is no saved request: it names no `model`"),
        ({"headers": [], "body": BODY}, None),
        ({"headers": ["a"], "body": BODY}, "`headers` must be an object of strings, as in {"),
        ({"headers": {"a": 1}, "body": BODY}, "`headers` must be an object of strings, as in {"),
        ({"headers": {"a\n": "b"}, "body": BODY}, "`headers` must be an object of strings, as in {"),
        ({"headers": {"ä": "b"}, "body": BODY}, "`headers` must be an object of strings, as in {"),
        ({"headers": {"a": "b\r\nx: y"}, "body": BODY}, "`headers` must be an object of strings, as in {"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_what_is_no_saved_request_is_wrong_use(
    explain: Command, asked: SimpleNamespace, tmp_path: Path, value: object, words: str | None
) -> None:
    asked.failure = CcrouterError("enough")
    path = save(tmp_path, value)
    code, out, err = explain(path)
    if words is None:
        assert code == 1
        return
    assert (code, out) == (2, "")
    assert err.startswith(f"ccrouter: {path}: ")
    assert words in err
    assert err.count("\n") == 1
    assert asked.path is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["f.json", "--last", "2"], "either FILE or --last, not both"),
        (["--last", "0"], "--last wants a number of requests, 1 or more"),
        (["--last", "x"], "invalid int value"),
        (["--config", "c.toml"], "--config goes with FILE"),
        (["f.json", "--config", "c.toml", "--port", "5"], "either --config or --port"),
        (["missing.json"], "missing.json: cannot be read: "),
    ],
)
def test_wrong_use_is_one_line(explain: Command, asked: SimpleNamespace, arguments: list[str], words: str) -> None:
    code, out, err = explain(*arguments)
    assert (code, out) == (2, "")
    assert words in err
    assert err.count("\n") == 1
    assert asked.path is None


def test_a_folder_is_no_saved_request(explain: Command, tmp_path: Path) -> None:
    code, _, err = explain(str(tmp_path))
    assert code == 2
    assert os.strerror(21) in err


def test_each_wire_is_told_in_words() -> None:
    assert set(module.WIRES_IN_WORDS) == set(WIRES)
