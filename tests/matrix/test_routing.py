"""Every condition of a rule and every kind of failure, measured: each cell is what the picture says.

The picture is routing.txt. A new condition or kind of failure has no row until there is one in `tests.matrix.routing`,
and unset cells until ``pytest tests/matrix --update-cases`` has measured them; the diff is the review.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import get_args

import pytest
from attrs import fields

import ccrouter.routing.rules
from ccrouter.routing import plan
from ccrouter.routing.failure import TREATMENTS, Kind, Treatment
from ccrouter.routing.rules import When
from ccrouter.routing.values import PARTS
from tests.matrix.routing import CONDITIONS, FAILURES, WAYS, becomes, goes_to, refused

PICTURE = Path(__file__).with_name("routing.txt")

_HEAD = """\
What a rule's conditions and a backend's failures lead to.
Measured by tests/matrix, never edited by hand: `pytest tests/matrix --update-cases` writes it, the diff is the review.
"""

#: Heading -> its columns.
COLUMNS = {
    "Conditions": ("holds", "does not", "a value that is none"),
    "Failures": WAYS,
}
ROWS = {"Conditions": tuple(CONDITIONS), "Failures": tuple(FAILURES)}

Cells = Mapping[tuple[str, str], tuple[str, ...]]


def show(cells: Cells) -> str:
    """The picture of cells by heading and row."""
    lines = [_HEAD]
    for heading, columns in COLUMNS.items():
        rows = [(heading, *columns), *((f"  {name}", *cells.get((heading, name), ())) for name in ROWS[heading])]
        widths = [max((len(row[place]) for row in rows if place < len(row)), default=0) for place in range(3)]
        lines += [
            " | ".join(cell.ljust(width) for cell, width in zip(row, [*widths, 0], strict=False)).rstrip()
            for row in rows
        ]
        lines.append("")
    return "\n".join(lines)


def recorded() -> dict[tuple[str, str], tuple[str, ...]]:
    found, heading = {}, ""
    text = PICTURE.read_text(encoding="utf-8") if PICTURE.exists() else ""
    for line in text.removeprefix(_HEAD).splitlines():
        name, *cells = (cell.strip() for cell in line.split(" | "))
        if not line.startswith("  "):
            heading = name or heading
        else:
            found[heading, name] = tuple(cells)
    return found


def compare(heading: str, name: str, measured: tuple[str, ...], *, update: bool) -> None:
    if update:
        PICTURE.write_text(show({**recorded(), (heading, name): measured}), encoding="utf-8")
    assert recorded().get((heading, name)) == measured


async def condition(name: str) -> tuple[str, ...]:
    return await goes_to(name, holds=True), await goes_to(name, holds=False), refused(name)


async def failure(name: str) -> tuple[str, ...]:
    return tuple([await becomes(name, way) for way in WAYS])


@pytest.mark.parametrize("name", CONDITIONS)
async def test_a_condition_leads_where_the_picture_says(name, update_cases, autojump_clock):
    compare("Conditions", name, await condition(name), update=update_cases)


@pytest.mark.parametrize("name", FAILURES)
async def test_a_failure_becomes_what_the_picture_says(name, update_cases, autojump_clock):
    compare("Failures", name, await failure(name), update=update_cases)


def test_each_condition_and_each_kind_of_failure_has_a_row():
    keys = {each.name for each in fields(When)} - {"classes"} | {"class", "nothing"}
    assert {name.split(",")[0].split()[0] for name in CONDITIONS} == keys
    assert {f"has {part}" for part in PARTS} <= {*CONDITIONS}
    assert tuple(FAILURES) == get_args(Kind)


def test_no_cell_is_unset_and_none_is_left_over():
    found = recorded()
    assert list(found) == [(heading, name) for heading, names in ROWS.items() for name in names]
    assert all(len(cells) == 3 and all(cells) for cells in found.values())
    assert PICTURE.read_text(encoding="utf-8") == show(found)


def test_a_condition_decides_between_two_targets_and_what_is_none_is_refused():
    for (heading, name), (holds, fails, none) in recorded().items():
        if heading == "Conditions":
            assert (name, holds, fails) == (name, "one", "claude")
            assert none != "taken"


def test_nobody_else_is_tried_past_the_commit():
    rows = [cells for (heading, _), cells in recorded().items() if heading == "Failures"]
    assert not [cells for cells in rows if "two" in cells[2] and "event" in cells[2]]


# That the measurements can fail


async def test_a_condition_that_is_not_asked_is_seen(monkeypatch, autojump_clock):
    stages = ccrouter.routing.rules._STAGES
    stages = tuple(tuple(each for each in stage if each.key != "effort") for stage in stages)
    monkeypatch.setattr(ccrouter.routing.rules, "_STAGES", stages)
    assert (await condition("effort"))[1] == "one"


async def test_a_failure_that_is_treated_otherwise_is_seen(monkeypatch, autojump_clock):
    others = {**TREATMENTS, "overloaded": Treatment(elsewhere=False)}
    monkeypatch.setattr(plan, "TREATMENTS", others)
    assert await failure("overloaded") != recorded()["Failures", "overloaded"]
