"""One conversation led through four backends in every order, twice around, without a program in it."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from tests.e2e.openai_wires import DEEPSEEK, OPENAI, OPENROUTER
from tests.e2e.replaying import conversation
from tests.e2e.seats import DEMO, Anthropic, Loose, OllamaWire, OpenAiWire, Seat, Told

PLACES = ("anthropic", "loose", "chat", "responses")


ORDERS = [*itertools.permutations(PLACES)]


def seats(told: Told, *, sees: bool) -> dict[str, Seat]:
    """A backend of each kind. ``sees``: whether the one with the chat wire takes images."""
    wire = OPENROUTER if sees else DEEPSEEK
    found: list[Seat] = [
        Anthropic(told),
        Loose(told),
        OpenAiWire(told, "chat", "some-model", wire=wire, sees=sees),
        OpenAiWire(told, "responses", "gpt-5.5", wire=OPENAI),
    ]
    return {seat.name: seat for seat in found}


@pytest.mark.parametrize("number", range(len(ORDERS)), ids=["-".join(order) for order in ORDERS])
async def test_each_backend_takes_all_of_it_and_has_its_own_thoughts_again(number: int, tmp_path: Path) -> None:
    told = Told(tmp_path)
    around = seats(told, sees=number % 2 == 0)
    async with conversation(*around.values()) as talking:
        for turn, name in enumerate(ORDERS[number] * 2):
            seat = around[name]
            answer = await talking.turn(seat.target, f"Turn {turn}: look at it.")
            assert answer == seat.sentence(len(seat.asked))
            told.sentences.append(answer)
    assert [len(seat.made) for seat in around.values()] == [4] * 4
    assert told.images == 8


@pytest.mark.parametrize("place", range(len(PLACES) + 1))
async def test_ollamas_own_wire_takes_part_wherever_it_stands(place: int, tmp_path: Path) -> None:
    told = Told(tmp_path)
    around = {**seats(told, sees=True), "ollama": OllamaWire(told)}
    order = [*PLACES[:place], "ollama", *PLACES[place:]]
    async with conversation(*around.values()) as talking:
        for turn, name in enumerate(order * 2):
            seat = around[name]
            answer = await talking.turn(seat.target, f"Turn {turn}: look at it.")
            assert answer == seat.sentence(len(seat.asked))
            told.sentences.append(answer)
    assert [len(seat.made) for seat in around.values()] == [4] * 5


@pytest.mark.parametrize("name", PLACES)
async def test_the_demo_model_may_have_been_there_before(name: str, tmp_path: Path) -> None:
    told = Told(tmp_path)
    seat = seats(told, sees=True)[name]
    async with conversation(seat) as talking:
        for target in (DEMO, seat.target, DEMO, seat.target):
            prompt = "look at it"
            if target == DEMO:
                image, notes = told.lay_out()
                prompt = f"read {image} and {notes}"
            told.sentences.append(await talking.turn(target, prompt))


async def test_what_a_switch_changes_is_counted_and_named_in_the_log(tmp_path: Path) -> None:
    told = Told(tmp_path)
    around = seats(told, sees=False)
    async with conversation(*around.values()) as talking:
        for name in ("loose", "chat", "anthropic"):
            told.sentences.append(await talking.turn(around[name].target, "Look at it."))
    *_, chat, _, anthropic = [line.partition("; ")[2] for line in talking.lines if line.startswith("messages ")]
    assert "image: left out, the model takes only text" in chat
    assert anthropic == (
        "3 changed: thinking: of another model, left out (4 times), "
        "text: members that only their maker can use left out (2 times), "
        "tool_use: members that only their maker can use left out (2 times)"
    )
