"""Every scenario at every preset by each of its wires: each cell is measured, and is what the table says.

The picture is table.txt. Its columns come from the presets, its lines are the public coroutines of the modules beside
this one, each of which measures: it sends a request through the router and looks at what both ends got. A new preset,
wire or scenario has unset cells until ``pytest tests/matrix --update-cases`` has measured them; the diff is the review.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from types import ModuleType

import pytest
from attrs import evolve

from ccrouter.errors import WireError
from ccrouter.providers.presets import PRESETS
from ccrouter.providers.provider import Preset
from ccrouter.providers.quirks import Quirks
from ccrouter.routing.config import Config
from ccrouter.routing.directory import build
from ccrouter.routing.load import parse
from ccrouter.translate import refusal
from ccrouter.translate.chat import messages as chat_messages
from ccrouter.translate.stops import StopCutter
from tests.matrix import content, failures, reasoning, settings, table, tooling
from tests.matrix.lab import Column, Lab, Refused, columns
from tests.matrix.outcomes import (
    ANOTHERS,
    AS_TEXT,
    BY_ROUTER,
    SUPPORTED,
    UNSAID,
    UNTOUCHED,
    WRONG,
    of_refusal,
    sign,
    wrong,
)
from tests.matrix.table import Key, Table

TABLE = Path(__file__).with_name("table.txt")

Scenario = Callable[[Lab], Awaitable[str]]


def scenarios(module: ModuleType) -> dict[str, Scenario]:
    """Its public coroutines, by the names that the table has for them."""
    found = {name: value for name, value in vars(module).items() if inspect.iscoroutinefunction(value)}
    own = {name: value for name, value in found.items() if value.__module__ == module.__name__}
    return {name.replace("_", " "): value for name, value in own.items() if not name.startswith("_")}


PARTS = {
    "What is said": scenarios(content),
    "Tools": scenarios(tooling),
    "What is asked for": scenarios(settings),
    "Reasoning": scenarios(reasoning),
    "Failures": scenarios(failures),
}
SCENARIOS = {name: scenario for part in PARTS.values() for name, scenario in part.items()}
COLUMNS = columns()

#: (scenario, wire) -> why something may be left out there without a word.
SILENCES = {
    ("session as cache key", "chat"): "it only says which requests are alike; no answer depends on it",
    ("session as cache key", "responses"): "the same",
    ("cache marks", "chat"): "backends without marks find the prefix by themselves",
    ("cache marks", "responses"): "the same",
    ("session as cache key", "ollama"): "the server finds the prompt of before by itself",
    ("cache marks", "ollama"): "the same",
    ("web search alone", "demo"): "the demo model only ever calls the client's tools",
    ("web search beside tools", "demo"): "the same",
    ("code execution alone", "demo"): "the same",
}


async def measure(scenario: Scenario, column: Column) -> str:
    """The outcome of one cell."""
    lab = Lab(column)
    try:
        outcome = await scenario(lab)
    except Refused as refused:
        return of_refusal(str(refused))
    except (WireError, LookupError, ValueError) as error:  # the reply is not what any scenario expects
        return wrong(f"{type(error).__name__}: {error}; {lab.exchanges[-1:]}")
    if (
        outcome in {SUPPORTED, AS_TEXT}
        and lab.speaks_messages
        and all(each.is_untouched for each in lab.exchanges)
    ):
        return UNTOUCHED
    return outcome


def key(column: Column) -> Key:
    return column.wire, column.name


def picture(rows: Mapping[str, Mapping[Key, str]]) -> Table:
    return Table(tuple(map(key, COLUMNS)), rows, {heading: tuple(part) for heading, part in PARTS.items()})


def recorded() -> Table:
    return table.read(TABLE.read_text(encoding="utf-8")) if TABLE.exists() else Table((), {})


def unset(found: Table, wanted: Iterable[Column]) -> list[str]:
    """The cells that nobody has measured."""
    return [
        f"{name}: {each}" for name in SCENARIOS for each in wanted if key(each) not in found.rows.get(name, {})
    ]


def cells_with(outcome: str) -> set[tuple[str, str]]:
    """Scenario and wire of the cells in which that is recorded."""
    return {
        (name, wire)
        for name, row in recorded().rows.items()
        for (wire, _), found in row.items()
        if found == sign(outcome)
    }


@pytest.mark.parametrize("name", SCENARIOS)
async def test_a_scenario_turns_out_as_the_table_says(name, update_cases, autojump_clock):
    outcomes = {column: await measure(SCENARIOS[name], column) for column in COLUMNS}
    signs = {key(column): sign(outcome) for column, outcome in outcomes.items()}
    if update_cases:
        TABLE.write_text(picture({**recorded().rows, name: signs}).show(), encoding="utf-8")
    said = recorded().rows.get(name, {})
    differing = [
        f"{column}: recorded {said.get(key(column), 'nothing')!r}, measured {sign(outcome)!r} ({outcome})"
        for column, outcome in outcomes.items()
        if said.get(key(column)) != sign(outcome)
    ]
    assert not differing, "\n".join([name, *differing])


def test_no_cell_is_unset_and_none_is_left_over():
    found = recorded()
    assert not unset(found, COLUMNS)
    assert list(found.columns) == [key(column) for column in COLUMNS]
    assert list(found.rows) == list(SCENARIOS)


def test_the_table_is_written_as_it_would_be_again():
    assert TABLE.read_text(encoding="utf-8") == picture(recorded().rows).show()


def test_no_cell_is_wrong():
    assert not cells_with(WRONG)


def test_nothing_is_left_out_without_a_word_but_what_has_a_reason():
    assert cells_with(UNSAID) == SILENCES.keys()


def test_only_a_backend_of_the_clients_format_gets_what_another_made():
    assert {wire for _, wire in cells_with(ANOTHERS)} <= {"messages", "demo"}


# That the measurements can fail


def test_a_new_preset_has_unset_cells():
    newcomer = evolve(PRESETS["lmstudio"], name="newcomer")
    added = [column for column in columns([*PRESETS.values(), newcomer]) if column.preset is newcomer]
    assert [column.wire for column in added] == ["messages", "chat", "responses"]
    assert len(unset(recorded(), added)) == 3 * len(SCENARIOS)


def newcomer() -> Preset:
    """A vendor that nobody has heard of: ten lines of data, as a row of the presets."""
    return Preset(
        name="newcomer",
        title="Newcomer",
        base_url="https://api.newcomer.example",
        auth="bearer",
        key_env=("NEWCOMER_API_KEY",),
        key_required=True,
        refuse_fields=("safeguards",),
        chat_path="/v1/chat/completions",
        quirks=Quirks(max_tokens="max_completion_tokens", ask="reasoning_effort", replay="reasoning_content"),
        noted="2026-11, its documents",
    )


def test_a_vendor_is_ten_lines_of_data():
    lines = inspect.getsource(newcomer).splitlines()
    assert len(lines[lines.index("    return Preset(") + 1 : -1]) == 10
    row = newcomer()
    presets = {**PRESETS, row.name: row}
    parse('default = "newcomer:m"\n[providers.newcomer]\nmodels = ["m"]', where="x", presets=presets)
    found = build(Config(), presets, logins=(), environ={"NEWCOMER_API_KEY"}, running=())
    assert list(found.providers) == [row.name]


@pytest.mark.parametrize("column", columns([newcomer()]), ids=str)
async def test_a_vendor_that_is_only_data_turns_out_like_its_kind(column, autojump_clock):
    signs = {name: sign(await measure(scenario, column)) for name, scenario in SCENARIOS.items()}
    assert sign(WRONG) not in signs.values()
    unsaid = {(name, column.wire) for name, found in signs.items() if found == sign(UNSAID)}
    assert unsaid <= SILENCES.keys()
    assert signs["text streamed"] == signs["tool loop"] == "+"
    assert signs["safeguards"] == "F"


async def test_a_picture_that_gets_lost_is_seen(monkeypatch, autojump_clock):
    render = chat_messages.render

    def lossy(*args, **more):
        messages, left_out = render(*args, **more)
        return [{**each, "content": "what?"} if each["role"] == "user" else each for each in messages], left_out

    column = Column(PRESETS["openai"], "chat")
    assert await measure(SCENARIOS["image base64"], column) == SUPPORTED
    monkeypatch.setattr(chat_messages, "render", lossy)
    assert await measure(SCENARIOS["image base64"], column) == UNSAID


async def test_a_reply_that_is_not_cut_is_seen(monkeypatch, autojump_clock):
    column = Column(PRESETS["openai"], "responses")
    assert await measure(SCENARIOS["stop sequence"], column) == BY_ROUTER
    monkeypatch.setattr(StopCutter, "feed", lambda self, words: words)
    assert sign(await measure(SCENARIOS["stop sequence"], column)) == sign(WRONG)


async def test_an_error_in_the_wrong_words_is_seen(monkeypatch, autojump_clock):
    column = Column(PRESETS["vllm"], "chat")
    assert await measure(SCENARIOS["prompt too long"], column) == SUPPORTED
    monkeypatch.setattr(refusal, "overflow", lambda *args, **more: None)
    assert sign(await measure(SCENARIOS["prompt too long"], column)) == sign(WRONG)
