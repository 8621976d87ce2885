"""The real Claude Code is moved between backends of every kind inside one conversation.

What each backend is strict about stands in `tests.e2e.seats`: it is in force with every request. All orders of four
are in tests/e2e/test_every_order.py, without the client.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import pytest
import trio

from tests.e2e import llama, wiretap
from tests.e2e.llama import Llama
from tests.e2e.openai_wires import DEEPSEEK, OPENAI, OPENROUTER
from tests.e2e.sandbox import Sandbox
from tests.e2e.seats import DEMO, Anthropic, Loose, OllamaWire, OpenAiWire, Told, blocks
from tests.e2e.stage import Client
from tests.e2e.switchboard import Switchboard, connected
from tests.e2e.terminal import Terminal, at_terminal

pytestmark = pytest.mark.e2e

#: Keep the conversation small enough for a tiny model, whose tokens are bytes.
SMALL = ("--system-prompt", "Be brief.", "--strict-mcp-config", "--disable-slash-commands")


def through_all_pairs(targets: Sequence[str]) -> Iterator[str]:
    """A way on which each of ``targets`` follows each other one once, back to the first."""
    for number, one in enumerate(targets):
        for other in targets[number + 1 :]:
            yield one
            yield other
    yield targets[0]


async def follow(board: Switchboard, way: Sequence[str], *arguments: str) -> None:
    """A turn with each, which must be the one that answers."""
    for target in way:
        answer = await board.turn(target, *arguments)
        seat = board.seats.get(target)
        assert ("demo model" in answer) if seat is None else (answer == seat.sentence(len(seat.asked)))


async def test_from_each_backend_to_each_other_in_one_conversation(new_client: Client, sandbox: Sandbox) -> None:
    told = Told(sandbox.folder)
    seats = [
        Anthropic(told),
        Loose(told),
        OpenAiWire(told, "chat", "some-model", wire=OPENROUTER),
        OpenAiWire(told, "responses", "gpt-5.5", wire=OPENAI),
    ]
    targets = [*(seat.target for seat in seats), DEMO]
    way = [*through_all_pairs(targets)]
    assert len({*pairwise(way)}) == len(targets) * (len(targets) - 1) == len(way) - 1
    async with connected(new_client, sandbox, told, *seats) as board:
        await follow(board, way)
    for seat in seats:
        lines = [line for line in board.router.log if f" -> {seat.name}:{seat.model} done " in line]
        assert len(lines) >= len(seat.asked)
        changed = [line for line in lines if " changed: " in line]
        if seat is not seats[0]:
            assert changed == lines
        # This client leaves others' thinking out by itself. What else Anthropic can't take are odd members.
        for each in ", ".join(line.partition(" changed: ")[2] for line in changed if seat is seats[0]).split(", "):
            assert re.fullmatch(r"|(text|tool_use): members that only their maker can use left out.*", each)


async def test_a_model_whose_requests_say_how_it_is_loaded_takes_part(
    new_client: Client, sandbox: Sandbox
) -> None:
    told = Told(sandbox.folder)
    anthropic, ollama = seats = Anthropic(told), OllamaWire(told)
    async with connected(new_client, sandbox, told, *seats) as board:
        await follow(board, [*through_all_pairs([anthropic.target, ollama.target, DEMO])])
    asked = [received.json for received in board.upstreams["ollama"].received if received.path == "/api/chat"]
    assert asked
    assert {(each["options"]["num_ctx"], each["keep_alive"]) for each in asked} == {(65_536, 1800)}


async def test_the_older_client_goes_around_as_well(old_client: Client, sandbox: Sandbox) -> None:
    told = Told(sandbox.folder)
    seats = [
        OpenAiWire(told, "responses", "gpt-5.5", wire=OPENAI),
        Anthropic(told),
        OpenAiWire(told, "chat", "some-model", wire=DEEPSEEK, sees=False),
        Loose(told),
    ]
    async with connected(old_client, sandbox, told, *seats) as board:
        await follow(board, [seat.target for seat in (*seats, *seats[:2])])


async def test_a_real_server_takes_its_turn(server: Llama, new_client: Client, sandbox: Sandbox) -> None:
    told = Told(sandbox.folder)
    seats = [Anthropic(told), OpenAiWire(told, "responses", "gpt-5.5", wire=OPENAI)]
    more = f'[providers.llamacpp]\nbase_url = "{server.url}"\n'
    async with connected(new_client, sandbox, told, *seats, more=more) as board:
        for seat in (*seats, *seats):
            await follow(board, [seat.target], *SMALL, "--tools", "Read,Bash")
            answer = (await board.ask("hello", f"llamacpp:{llama.MODEL}", *SMALL, "--tools", "")).answer
            assert answer == llama.SENTENCE
            told.sentences.append(answer)


async def test_a_running_client_is_moved_by_its_model_command(client: Client, sandbox: Sandbox) -> None:
    told = Told(sandbox.folder)
    anthropic, chat = Anthropic(told), OpenAiWire(told, "chat", "some-model", wire=OPENROUTER)

    async def prompt(terminal: Terminal, seat: Anthropic | OpenAiWire) -> None:
        sentence = seat.sentence(len(seat.asked) + 2)
        await terminal.type(f"look at it, {len(told.sentences)}\r")
        await terminal.shows(sentence)
        told.sentences.append(sentence)

    async def move(terminal: Terminal, seat: Anthropic | OpenAiWire) -> None:
        # On a busy machine the client at times takes the Enter for a no, or does not hear it: it draws its question
        # before it listens (2.1.197, 2026-11). What it says to that can't be told from what it said to earlier ones,
        # which it draws again with everything else: its settings are asked, in which a yes is saved.
        for _ in range(4):
            await terminal.ask(f"/model {seat.target}", "No, go back")
            for _ in range(4):
                await terminal.type("\r")
                with trio.move_on_after(3):
                    while sandbox.chosen_model != seat.target:
                        await trio.sleep(0.05)
                    return
        raise AssertionError(f"the client stays where it is: {terminal.text}")

    sandbox.skip_first_questions(client.version)
    async with connected(client, sandbox, told, anthropic, chat) as board:
        environ = sandbox.environ(**board.router.env)
        # Auto mode, the usual one today, has each command judged by another request.
        argv: list[str | Path] = [client.program, "--model", anthropic.target, "--permission-mode", "default"]
        async with at_terminal(argv, environ, sandbox.folder) as terminal:
            await terminal.shows("/effort")  # the line below its prompt, which it draws last
            await prompt(terminal, anthropic)
            for seat in (chat, anthropic, chat):
                await move(terminal, seat)
                await prompt(terminal, seat)
    assert (len(anthropic.asked), len(chat.asked)) == (4, 4)


async def test_a_conversation_that_stays_where_it_is_goes_there_in_its_own_bytes(
    new_client: Client, sandbox: Sandbox
) -> None:
    told = Told(sandbox.folder)
    seat = Anthropic(told)
    async with connected(new_client, sandbox, told, seat) as board, wiretap.tap(board.router.port) as tap:
        board.router.env["ANTHROPIC_BASE_URL"] = tap.url
        await follow(board, [seat.target] * 3)
    sent = [each.request for each in tap.exchanges() if each.target.startswith("/v1/messages?")]
    assert len(seat.asked) == 6
    assert {received.body for received in seat.asked} <= {*sent}


async def test_a_third_party_gets_the_same_bytes_but_for_names_signatures_and_who_says_them(
    new_client: Client, sandbox: Sandbox
) -> None:
    told = Told(sandbox.folder)
    seat = Loose(told)
    async with connected(new_client, sandbox, told, seat) as board, wiretap.tap(board.router.port) as tap:
        board.router.env["ANTHROPIC_BASE_URL"] = tap.url
        await follow(board, [seat.target] * 3)
    sent = [each.request.decode() for each in tap.exchanges() if each.target.startswith("/v1/messages?")]
    assert len(seat.asked) == 6
    assert {received.body.decode() for received in seat.asked} <= {
        as_it_is_known_there(each, seat) for each in sent
    }


def compact(value: object) -> str:
    """As the client writes JSON."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def as_it_is_known_there(text: str, seat: Loose) -> str:
    """A request with the backend's name for the model, without the attribution, with the backend's signatures.

    And what the system says behind the user's first words, the user says with them.
    """
    body = json.loads(text)
    text = text.replace(f'"model":"{seat.target}"', f'"model":"{seat.model}"', 1)
    text = text.replace(f"{compact(body['system'][0])},", "", 1)
    first, second = body["messages"][:2]
    assert (first["role"], second["role"]) == ("user", "system")
    said = second["content"]
    parts = [{"type": "text", "text": said}] if isinstance(said, str) else said
    told = [{**part, "text": f"<system-reminder>\n{part['text']}\n</system-reminder>"} for part in parts]
    apart, together = compact(first), json.dumps(told, separators=(",", ":"))[1:-1]
    assert apart.endswith("]}")
    assert f"{apart},{compact(second)}" in text
    text = text.replace(f"{apart},{compact(second)}", f"{apart[:-2]},{together}]}}", 1)
    wrapped = [block["signature"] for block in blocks(body) if block["type"] == "thinking"]
    for signature, thought in zip(wrapped, seat.made, strict=False):
        assert signature.startswith("ccr1.")
        text = text.replace(signature, thought.signature, 1)
    return re.sub(r',"ccrouter":"ccr1[^"]*"', "", text)
