"""Claude Code holds whole conversations on OpenAI's wires: what goes out, turn by turn.

Each scenario is seen on both wires and in both versions of the client, but not in each of one with each of the
other. Of the backends each has its own strictness (`tests.e2e.openai_strictness`), always in force.
"""

from __future__ import annotations

import uuid

import pytest
import trio

from tests.e2e.bridge_stage import Asked, assert_cached, bridged, on
from tests.e2e.claude_code import NEW, OLD
from tests.e2e.documents import pdf
from tests.e2e.images import png
from tests.e2e.openai_wires import CODEX, DEEPSEEK, OPENAI, OPENROUTER, Wire
from tests.e2e.replies import Reply, Text, Thinking, Use
from tests.e2e.sandbox import Sandbox
from tests.e2e.stage import Client

pytestmark = pytest.mark.e2e


@on((NEW, DEEPSEEK), (OLD, OPENROUTER), (OLD, OPENAI), (NEW, CODEX))
async def test_a_loop_of_tools_gives_each_turn_s_reasoning_back_and_keeps_the_prompt_cached(
    client: Client, sandbox: Sandbox, wire: Wire
) -> None:
    notes = sandbox.folder / "notes.txt"
    notes.write_text("one\ntwo\n")
    # Many servers number their calls anew in each reply.
    calls = [
        Use("call_0", "Read", {"file_path": str(notes)}),
        Use("call_0", "Edit", {"file_path": str(notes), "old_string": "two", "new_string": "three"}),
        Use("call_0", "Bash", {"command": "tail -n 1 notes.txt", "description": "Look"}),
    ]
    thoughts = [Thinking(f"Step {number}.", f"gAAAA-{number}") for number in range(4)]

    def script(asked: Asked) -> Reply:
        turn = len(bridge.asked) - 1
        if turn == len(calls):
            return asked.say(thoughts[turn], Text(f"It says {asked.results[0]}."))
        said = [Text("Now the change.")] if turn == 1 else []
        return asked.say(thoughts[turn], *said, calls[turn])

    async with bridged(client, sandbox, wire, script) as bridge:
        ran = await bridge.ask("change it")
    assert ran.answer == "It says three."
    assert notes.read_text() == "one\nthree\n"
    assert len(bridge.asked) == 4
    assert_cached(bridge.asked)
    for turn, asked in enumerate(bridge.asked):
        assert wire.reasoning(asked.body) == [wire.given_back(thought) for thought in thoughts[:turn]]
    assert "one" in wire.results(bridge.asked[1].body)[0]


@on((NEW, DEEPSEEK), (OLD, OPENAI), (NEW, CODEX))
async def test_a_conversation_that_is_taken_up_again_has_its_reasoning_and_its_cache(
    client: Client, sandbox: Sandbox, wire: Wire
) -> None:
    thoughts = [Thinking(f"Thought {number}.", f"gAAAA-{number}") for number in range(3)]

    def script(asked: Asked) -> Reply:
        turn = len(bridge.asked) - 1
        return asked.say(thoughts[turn], Text(f"Turn {turn}."))

    async with bridged(client, sandbox, wire, script) as bridge:
        first = await bridge.ask("one")
        # Another router each time: nothing that it needs is kept in its memory.
        second = await bridge.ask("two", "--continue")
        third = await bridge.ask("three", "--resume", first.json["session_id"])
    assert [ran.answer for ran in (first, second, third)] == ["Turn 0.", "Turn 1.", "Turn 2."]
    assert_cached(bridge.asked)
    assert wire.reasoning(bridge.asked[-1].body) == [wire.given_back(thought) for thought in thoughts[:2]]


@on((NEW, OPENROUTER), (NEW, OPENAI), (OLD, CODEX))
async def test_an_image_that_is_read_reaches_the_backend(client: Client, sandbox: Sandbox, wire: Wire) -> None:
    picture = png(8, 8, (200, 30, 30))
    (sandbox.folder / "dot.png").write_bytes(picture)

    def script(asked: Asked) -> Reply:
        if not asked.results:
            return asked.say(Use("call_1", "Read", {"file_path": str(sandbox.folder / "dot.png")}))
        [(media_type, data)] = wire.attached(asked.body)
        assert media_type == "image/png"
        assert data.startswith(b"\x89PNG")
        return asked.say(Text("It is red."))

    async with bridged(client, sandbox, wire, script) as bridge:
        assert (await bridge.ask("what colour is dot.png")).answer == "It is red."
    assert_cached(bridge.asked)


@on((NEW, DEEPSEEK))
async def test_a_model_that_sees_nothing_is_told_that_there_was_an_image(
    client: Client, sandbox: Sandbox, wire: Wire
) -> None:
    (sandbox.folder / "dot.png").write_bytes(png(8, 8, (200, 30, 30)))

    def script(asked: Asked) -> Reply:
        if not asked.results:
            return asked.say(Use("call_1", "Read", {"file_path": str(sandbox.folder / "dot.png")}))
        return asked.say(Text(asked.results[0]))

    async with bridged(client, sandbox, wire, script) as bridge:
        ran = await bridge.ask("what colour is dot.png")
    assert ran.answer == "[image omitted: current model is text-only]"


@on((OLD, OPENROUTER), (NEW, OPENAI), (NEW, CODEX))
async def test_a_pdf_that_is_read_reaches_the_backend(client: Client, sandbox: Sandbox, wire: Wire) -> None:
    (sandbox.folder / "page.pdf").write_bytes(pdf())

    def script(asked: Asked) -> Reply:
        if len(bridge.asked) == 1:
            return asked.say(Use("call_1", "Read", {"file_path": str(sandbox.folder / "page.pdf")}))
        assert wire.attached(asked.body) == [("application/pdf", pdf())]
        return asked.say(Text("It is empty."))

    async with bridged(client, sandbox, wire, script) as bridge:
        assert (await bridge.ask("what is in page.pdf")).answer == "It is empty."
    assert len(bridge.asked) == 2
    assert_cached(bridge.asked)


@on((OLD, OPENROUTER), (NEW, OPENAI), (NEW, CODEX))
async def test_a_subagent_works_beside_the_main_conversation(client: Client, sandbox: Sandbox, wire: Wire) -> None:
    beside, back = trio.Event(), trio.Event()
    mains: list[Asked] = []
    subagents: list[Asked] = []

    def script(asked: Asked) -> Reply:
        if "send an agent" not in str(asked.history):
            subagents.append(asked)
            back.set()
            reply = asked.say(Thinking("Alone.", "gAAAA-sub"), Text("The subagent found 17."))
            # 2.1.329 lets its agents run in the background: neither of the two is answered before both have come.
            return reply.after(beside) if client.is_new else reply
        mains.append(asked)
        if len(mains) == 1:
            tool = "Agent" if "Agent" in asked.tools else "Task"
            task = {"description": "Look", "prompt": "look for it", "subagent_type": "general-purpose"}
            return asked.say(Thinking("Send one.", "gAAAA-main"), Use("call_1", tool, task))
        beside.set()
        found = "The subagent found 17." in str(asked.history)
        return asked.say(Text("It is 17." if found else "Waiting.")).after(back)

    async with bridged(client, sandbox, wire, script) as bridge:
        ran = await bridge.ask("send an agent")
    assert ran.answer == "It is 17."
    assert_cached(mains)
    [subagent] = subagents
    assert "look for it" in subagent.latest
    assert wire.reasoning(subagent.body) == []
    keys = [asked.body.get("prompt_cache_key") for asked in (*mains, subagent)]
    if wire.history_key == "input":
        # Two conversations, two caches.
        assert None not in keys
        assert keys[-1] not in keys[:-1]
    if wire is CODEX:
        for name in ("session-id", "thread-id", "x-client-request-id"):
            ids = [str(uuid.UUID(asked.received.header(name))) for asked in (*mains, subagent)]
            assert [each.replace("-", "") for each in ids] == [str(key)[:32] for key in keys]


@on((NEW, DEEPSEEK), (NEW, OPENAI), (OLD, CODEX))
async def test_an_overflow_in_a_long_conversation_makes_the_client_compact_it(
    client: Client, sandbox: Sandbox, wire: Wire
) -> None:
    refused: list[Asked] = []

    def script(asked: Asked) -> Reply:
        number = asked.received.number
        if "CRITICAL: Respond with TEXT ONLY" in asked.latest:
            return asked.say(Text("<summary>The user counts: one, two.</summary>"))
        if "The user counts" in str(asked.history):
            return asked.say(Text("Going on after the summary."))
        if "and three" in asked.latest:
            refused.append(asked)
            return wire.overflow()
        return asked.say(Thinking(f"Thought {number}.", f"gAAAA-{number}"), Text("Yes."))

    session = str(uuid.uuid4())
    async with bridged(client, sandbox, wire, script) as bridge:
        for number, prompt in enumerate(("one", "two")):
            ran = await bridge.ask(prompt, "--resume" if number else "--session-id", session)
            assert ran.answer == "Yes."
        ran = await bridge.ask("and three", "--resume", session)
    assert ran.answer == "Going on after the summary."
    assert len(refused) == 1
    assert_cached(bridge.asked[:3])
