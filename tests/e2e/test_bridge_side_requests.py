"""What Claude Code asks besides its conversation, on OpenAI's wires: searches, titles, checks of safety."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import trio

from tests.e2e import router
from tests.e2e.bridge_stage import Asked, BridgeStage, bridged, messages, on, tapped
from tests.e2e.claude_code import NEW, OLD
from tests.e2e.openai_wires import CODEX, DEEPSEEK, MODEL, OPENAI, OPENROUTER, PAGE, Search, Wire
from tests.e2e.replies import Reply, Text, Thinking, Use
from tests.e2e.sandbox import Ran, Sandbox
from tests.e2e.stage import Client
from tests.e2e.terminal import at_terminal

pytestmark = pytest.mark.e2e

#: The client looks for itself whether such a command is harmless, and doesn't know.
COMMAND = "curl -s http://127.0.0.1:9/; echo ran >ran.txt; cat ran.txt"


@on((NEW, OPENAI), (OLD, OPENAI), (NEW, CODEX))
async def test_a_search_is_the_backend_s_own_and_its_pages_reach_the_model(
    client: Client, sandbox: Sandbox, wire: Wire
) -> None:
    searched: list[Asked] = []

    def script(asked: Asked) -> Reply:
        if asked.tools == ["web_search"]:
            searched.append(asked)
            return asked.say(Thinking("Look.", "gAAAA-1"), Search("wires"), Text("They are described."))
        if results := wire.results(asked.body):
            return asked.say(Text("found" if PAGE["url"] in results[0] else results[0]))
        return asked.say(Use("call_1", "WebSearch", {"query": "wires"}))

    async with bridged(client, sandbox, wire, script) as bridge:
        ran = await bridge.ask("search the web for wires")
    assert ran.answer == "found"
    [search] = searched
    assert "wires" in search.latest
    assert ("web_search_call.action.sources" in search.body["include"]) is (wire is OPENAI)
    assert "They are described." in wire.results(bridge.asked[-1].body)[0]


@on((NEW, DEEPSEEK), (OLD, OPENROUTER))
async def test_a_search_that_the_backend_can_t_run_is_refused_in_words_and_the_client_goes_on(
    client: Client, sandbox: Sandbox, wire: Wire
) -> None:
    def script(asked: Asked) -> Reply:
        if results := wire.results(asked.body):
            return asked.say(Text(results[0]))
        return asked.say(Use("call_1", "WebSearch", {"query": "wires"}))

    async with bridged(client, sandbox, wire, script) as bridge:
        ran = await bridge.ask("search the web for wires")
    assert "work can't run the tool web_search" in ran.answer  # what the model was told
    assert len(bridge.asked) == 2, "the search itself reached the backend"


@on((NEW, OPENROUTER), (OLD, CODEX))
async def test_a_title_is_asked_for_in_a_form_and_answered(client: Client, sandbox: Sandbox, wire: Wire) -> None:
    titled = trio.Event()
    wanted = []

    def script(asked: Asked) -> Reply:
        if (form := wire.form(asked.body)) is not None:
            wanted.append(form)
            titled.set()
            return asked.say(Text('{"title": "A scripted title"}'))
        return asked.say(Text("Hello from the script."))

    sandbox.skip_first_questions(client.version)
    async with bridged(client, sandbox, wire, script) as bridge:
        config = router.write_config(sandbox, bridge.stage.config)
        argv: list[str | Path] = [*router.command(), "run", "--config", config, "--model", MODEL]
        argv += ["--", client.program]
        environ = router.environ(sandbox)
        del environ["CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC"]  # 2.1.329 asks for no titles with it
        async with at_terminal(argv, environ, sandbox.folder) as terminal:
            await terminal.shows("? for shortcuts")
            await terminal.type("tell me about wires\r")
            await terminal.shows("Hello from the script.")
            with trio.fail_after(10):
                await titled.wait()
    assert [form["required"] for form in wanted] == [["title"]]


async def in_auto_mode(bridge: BridgeStage, **environ: str) -> Ran:
    """One run in the mode in which a model judges each command. Only Claude's names have it."""
    arguments = ("-p", "go", "--model", "claude-opus-5-5", "--permission-mode", "auto", "--output-format", "json")
    return await bridge.stage.call(*arguments, **environ)


@on((NEW, OPENROUTER), (NEW, OPENAI))
async def test_no_verdict_is_made_up_where_the_backend_gives_none(
    client: Client, sandbox: Sandbox, wire: Wire
) -> None:
    def script(asked: Asked) -> Reply:
        if wire.results(asked.body):
            return asked.say(Text("It did not run."))
        return asked.say(Use("call_1", "Bash", {"command": COMMAND, "description": "d"}))

    async with tapped(client, sandbox, wire, script) as (bridge, tap):
        ran = await in_auto_mode(bridge)
        told = messages(tap)
    # 2026-11: refused the field, 2.1.329 asks without it, but has no check of its own in its place.
    assert [each.status for each in told] == [400, 200, 200]
    assert ["safeguards" in json.loads(each.request) for each in told] == [True, False, False]
    assert b"safeguards" in told[0].reply
    assert not (sandbox.folder / "ran.txt").exists()
    assert len(ran.json["permission_denials"]) == 1
    assert ran.json["result"] == "It did not run."
    assert [wire.tools(asked.body)[0] for asked in bridge.asked] == ["Agent", "Agent"]


@on((NEW, DEEPSEEK), (NEW, CODEX), (OLD, OPENAI))
@pytest.mark.parametrize("harmful", [False, True])
async def test_the_client_s_own_check_of_a_command_is_asked_of_the_backend(
    client: Client, sandbox: Sandbox, wire: Wire, *, harmful: bool
) -> None:
    checks: list[Asked] = []

    def script(asked: Asked) -> Reply:
        if not asked.tools:
            checks.append(asked)
            if "<severity>" in json.dumps(asked.body):
                return asked.say(Text(f"<severity>{90 if harmful else 2}</severity>"))
            return asked.say(Text(f"<block>{'yes' if harmful else 'no'}</block>"))
        if wire.results(asked.body):
            return asked.say(Text("Done."))
        return asked.say(Use("call_1", "Bash", {"command": COMMAND, "description": "d"}))

    async with bridged(client, sandbox, wire, script) as bridge:
        ran = await in_auto_mode(bridge, CLAUDE_CODE_AUTO_MODE_SERVER="0")
    assert ran.json["result"] == "Done."
    assert (sandbox.folder / "ran.txt").exists() is not harmful
    assert "echo ran" in checks[0].latest
    assert "</block>" not in ran.stdout
