"""The real Claude Code behind a router with rules: each kind of its requests has an upstream of its own.

The newer client says in headers what a request is for; the older one shows it by signs.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import trio

from tests.e2e import replies, router, upstream
from tests.e2e.junction import NOWHERE, Junction, asked, joined, says
from tests.e2e.replies import Reply, Text, Use
from tests.e2e.sandbox import Sandbox
from tests.e2e.stage import ARGUMENTS, Client
from tests.e2e.terminal import at_terminal
from tests.e2e.upstream import Received, Script

pytestmark = pytest.mark.e2e

KINDS = f"""
[providers.gone]
preset = "messages"
base_url = "{NOWHERE}"

[[routes]]
name = "explorers"
when = {{ class = "subagent", agent = "Explore" }}
use = ["gone:m", "scout:scout-1"]

[[routes]]
name = "summaries"
when = {{ class = "compaction" }}
use = ["gone:m", "scribe:scribe-1"]

[[routes]]
name = "all"
use = ["sick:sick-1", "house:house-1"]
"""


def launching(client: Client, *agents: str, then: str) -> Script:
    """A main conversation that launches agents, each when the one before it has reported, and says ``then`` at the end.

    2.1.329 lets its agents run in the background: what they found comes with a later turn. Of two that report in the
    same moment it tells one only (seen in 9 of 190 runs), so that no two of them run at once.
    """

    def script(received: Received) -> Reply:
        if reply := upstream.usual(received):
            return reply
        history = json.dumps(received.turns)
        reported = [f"This is {agent}." in history for agent in agents]
        if all(reported):
            return received.say(Text(then))
        number = reported.index(False)
        if f"toolu_agent_{number}" in history:
            return received.say(Text("Waiting."))
        tool = "Agent" if "Agent" in (each["name"] for each in received.json["tools"]) else "Task"
        launched = {"description": "d", "prompt": "look", "subagent_type": agents[number]}
        return received.say(Use(f"toolu_agent_{number}", tool, launched))

    return script


def failing(received: Received) -> Reply:
    return upstream.usual(received) or replies.error(503, "overloaded_error", "Out of order")


async def test_each_kind_of_request_goes_where_its_rule_says(client: Client, sandbox: Sandbox) -> None:
    scripts = {
        "anthropic": says("Nobody asks me."),
        "house": launching(client, "Explore", then="It was found."),
        "scout": says("This is Explore."),
        "scribe": says("<summary>Something was found.</summary>"),
        "sick": failing,
    }
    async with joined(client, sandbox, scripts, KINDS) as junction:
        async with junction.serving() as running:
            ran = await junction.ask(running, "find it")
            assert ran.answer == "It was found."
            turns = len(asked(junction["house"]))
            # It failed once, and was left alone from then on.
            assert junction.tries == {"anthropic": 0, "house": turns, "scout": 1, "scribe": 0, "sick": 1}
            assert turns >= 2
            await the_story_is_told(junction, turns)
            words = await junction.command("explain", "--last", "1")
            assert "rule       all: fits" in words
            assert "session    stays with house:house-1" in words

            compacted = await junction.ask(running, "/compact", "--resume", ran.json["session_id"])
            assert compacted.code == 0, compacted
            assert [each.json["model"] for each in asked(junction["scribe"])] == ["scribe-1"]
            assert "CRITICAL: Respond with TEXT ONLY" in json.dumps(asked(junction["scribe"])[0].turns[-1])
        junction["sick"].script = says("I am well again.")
        async with junction.serving() as running:
            junction["house"].script = says("As I said.")
            later = await junction.ask(running, "go on", "--resume", ran.json["session_id"])
            assert later.answer == "As I said.", "the session left the target that it had"
            [last] = await junction.explained(1)
            assert last["pinned"] == "house:house-1"
            assert [each["target"] for each in last["candidates"]] == ["house:house-1", "sick:sick-1"]
            other = await junction.ask(running, "hello")
            assert other.answer == "I am well again.", "the pin is not the session's alone"
        assert b"Something was found." in asked(junction["house"])[-1].body


async def the_story_is_told(junction: Junction, turns: int) -> None:
    """Of the first conversation: a subagent's request among the main ones."""
    told = await junction.explained(turns + 1)
    first, *_ = told
    assert first["class"] == "main"
    assert [(each["rule"], each["objection"] is None) for each in first["rules"]] == [
        ("explorers", False),
        ("summaries", False),
        ("all", True),
    ]
    assert [(each["target"], each["result"], each.get("kind")) for each in first["tries"]] == [
        ("sick:sick-1", "failed", "overloaded"),
        ("house:house-1", "done", None),
    ]
    [scouted] = [each for each in told if each["class"] == "subagent"]
    assert scouted["agent"] == "Explore"
    assert scouted["because"] == "the rule explorers"
    assert [each.get("kind") for each in scouted["tries"]] == ["connect", None]
    by_hint = "x-claude-code-request-class" in scouted["class_because"]
    assert by_hint is junction.client.is_new


BACKGROUND = """
[[routes]]
name = "all"
use = "house:house-1"
"""

#: The client looks for itself whether such a command is harmless, and doesn't know.
COMMAND = "curl -s http://127.0.0.1:9/; echo ran >ran.txt; cat ran.txt"


async def test_safety_checks_stay_where_they_are_in_spite_of_a_rule_for_all(
    client: Client, sandbox: Sandbox
) -> None:
    def main(received: Received) -> Reply:
        if reply := upstream.usual(received):
            return reply
        if received.results:
            return received.say(Text("Done."))
        return received.say(Use("toolu_1", "Bash", {"command": COMMAND, "description": "d"}))

    stages: list[int] = []

    def check(received: Received) -> Reply:
        """The first stage is in doubt, so that there is a second."""
        if reply := upstream.usual(received):
            return reply
        stages.append(received.json["max_tokens"])
        if "<severity>" in json.dumps(received.json):
            return received.say(Text(f"<severity>{90 if len(stages) == 1 else 2}</severity>"))
        return received.say(Text(f"<block>{'yes' if len(stages) == 1 else 'no'}</block>"))

    scripts = {"anthropic": check, "house": main}
    async with joined(client, sandbox, scripts, BACKGROUND) as junction, junction.serving() as running:
        arguments = ("-p", "go", "--permission-mode", "auto", "--output-format", "json")
        environ = sandbox.environ(**running.env, CLAUDE_CODE_AUTO_MODE_SERVER="0")
        ran = await sandbox.run([client.program, *arguments], environ)
        assert ran.json["result"] == "Done."
        assert len(stages) >= 2, "one stage of the check went elsewhere, or there was none"
        told = await junction.explained(len(stages) + 2)
    assert (sandbox.folder / "ran.txt").exists()
    assert {each.json["model"] for each in asked(junction["house"])} == {"house-1"}
    checks = [each for each in told if each["task"] == "classifier"]
    assert len(checks) == len(stages)
    assert {each["because"] for each in checks} == {"the model's name"}
    assert {each["rules"][0]["objection"] for each in checks} == {
        "background requests are moved only by a rule that names their class"
    }


async def test_a_title_stays_where_it_is_in_spite_of_a_rule_for_all(client: Client, sandbox: Sandbox) -> None:
    titled = trio.Event()

    def name_it(received: Received) -> Reply:
        if received.kind == "title":
            titled.set()
        return upstream.usual(received) or received.say(Text("I was not to be asked."))

    sandbox.skip_first_questions(client.version)
    scripts = {"anthropic": name_it, "house": says("Hello from the house.")}
    async with joined(client, sandbox, scripts, BACKGROUND) as junction, junction.serving() as running:
        environ = sandbox.environ(**running.env)
        del environ["CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC"]  # no titles with it
        async with at_terminal([client.program], environ, sandbox.folder) as terminal:
            await terminal.shows("/effort")  # the line below its prompt, which it draws last
            await terminal.type("tell me about wires\r")
            await terminal.shows("Hello from the house.")
            with trio.fail_after(10):
                await titled.wait()
    assert {each.kind for each in asked(junction["anthropic"])} == {"title"}
    assert not junction["house"].of("title")


#: What each agent asks for, and how. Which of them begins with it shows that both places are looked at.
AGENTS = {
    "quick": "<ccrouter-model>scout:scout-1</ccrouter-model>\nYou are quick, says the file.",
    "deep": "You are deep, says the file.\n<CCR-SUBAGENT-MODEL>scribe,scribe-1</CCR-SUBAGENT-MODEL>",
}


async def test_a_project_says_which_models_it_wants(client: Client, tmp_path: Path) -> None:
    """By its own file, and in the definitions of its agents; below ``ccrouter run``, in a folder with an odd name."""
    sandbox = Sandbox(tmp_path, work="wörk dir").make()
    definitions = sandbox.folder / ".claude" / "agents"
    definitions.mkdir(parents=True)
    for name, prompt in AGENTS.items():
        (definitions / f"{name}.md").write_text(f"---\nname: {name}\ndescription: d\n---\n{prompt}\n")
    (sandbox.folder / ".ccrouter.toml").write_text('[[routes]]\nuse = "house:house-1"\n')
    scripts = {
        "anthropic": says("Nobody asks me."),
        "house": launching(client, "quick", "deep", then="All is done."),
        "scout": says("This is quick."),
        "scribe": says("This is deep."),
    }
    rules = '[[routes]]\nname = "of the file"\nuse = "anthropic:{model}"\n'
    async with joined(client, sandbox, scripts, rules) as junction:
        argv: list[str | Path] = [*router.command(), "run", "--config", junction.config, "--", client.program]
        ran = await sandbox.run([*argv, "-p", "find it", *ARGUMENTS], router.environ(sandbox))
    assert ran.answer == "All is done."
    turns = len(asked(junction["house"]))
    assert junction.tries == {"anthropic": 0, "house": turns, "scout": 1, "scribe": 1}
    for name, words in (("scout", "You are quick, says the file."), ("scribe", "You are deep, says the file.")):
        [request] = asked(junction[name])
        assert request.json["model"] == f"{name}-1"
        [prompt] = [block["text"] for block in request.json["system"] if words in block["text"]]
        assert prompt.startswith(words)
    for each in junction.upstreams.values():
        assert not any(word in each.everything for word in (b"ccrouter-model", b"CCR-SUBAGENT-MODEL"))
        assert b"x-ccrouter-project" not in each.everything


PROFILES = """
default = "cloud"

[[routes]]
name = "all"
use = "cloud:big"

[profiles.local]
routes = [{ name = "at home", use = "local:small" }]
"""


async def test_another_profile_holds_from_the_next_turn_on_and_a_budget_ends_the_conversation(
    client: Client, sandbox: Sandbox
) -> None:
    scripts = {"cloud": says("The cloud answers."), "local": says("Home answers.")}
    # The client's first prompt alone is longer, as the scripts say.
    rules = PROFILES + "[providers.local.budget]\ntokens_per_day = 1200\n"
    async with joined(client, sandbox, scripts, rules) as junction, junction.serving() as running:
        first = await junction.ask(running, "one")
        session = ("--resume", first.json["session_id"])
        await junction.command("use", "local", "--config", junction.config)
        second = await junction.ask(running, "two", *session)
        assert (first.answer, second.answer) == ("The cloud answers.", "Home answers.")
        assert "The cloud answers." in json.dumps(asked(junction["local"])[0].turns)
        third = await junction.ask(running, "three", *session, CLAUDE_CODE_MAX_RETRIES="10")
        assert (third.code, third.json["is_error"], third.json["api_error_status"]) == (1, True, 429)
        words = "the budget of local for this day is used up (1251 of 1200 tokens); it begins anew in "
        assert words in third.json["result"]
        told = await junction.explained(10)
    assert junction.tries == {"cloud": 1, "local": 1}
    assert [(each["result"], each["profile"]) for each in told] == [
        ("done", None),
        ("done", "local"),
        ("failed", "local"),
    ]
    assert [each["target"] for each in told[2]["passed_over"]] == ["local:small"]
    assert words in told[2]["passed_over"][0]["why"]
