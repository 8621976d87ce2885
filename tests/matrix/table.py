"""The recorded matrix: a picture for people, which `Table` reads and writes.

Names of presets stand on their heads above their columns, the wires above them. A line for each scenario, a sign
for each cell, the legend at the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import groupby

from attrs import field, frozen

from tests.matrix.outcomes import LEGEND

#: (wire, preset)
Key = tuple[str, str]

_HEAD = """\
What becomes of everything that Claude Code sends and that backends send, by preset and wire.
Measured by tests/matrix, never edited by hand: `pytest tests/matrix --update-cases` writes it, the diff is the review.
"""

_LABEL = 35
_GAP = "| "


@frozen
class Table:
    """Signs by scenario and column."""

    columns: tuple[Key, ...]
    rows: Mapping[str, Mapping[Key, str]]
    parts: Mapping[str, tuple[str, ...]] = field(factory=dict)
    """Heading -> its scenarios, for `show`."""

    def show(self) -> str:
        """The picture."""
        lines = [_HEAD, self._line("", {key: key[0] for key, *_ in self._wires()}, wide=True)]
        names = [name for _, name in self.columns]
        tall = max(map(len, names), default=0)
        for letters in zip(*(name.rjust(tall) for name in names), strict=True):
            lines.append(self._line("", dict(zip(self.columns, letters, strict=True))))
        for heading, scenarios in self.parts.items():
            lines += ["", heading]
            lines += [self._line(f"  {name}", self.rows.get(name, {})) for name in scenarios]
        lines += ["", *(f"{sign}  {meaning}" for sign, meaning in LEGEND.values())]
        return "\n".join(line.rstrip(" ") for line in lines) + "\n"

    def _wires(self) -> Iterable[list[Key]]:
        return (list(keys) for _, keys in groupby(self.columns, key=lambda key: key[0]))

    def _line(self, label: str, signs: Mapping[Key, str], *, wide: bool = False) -> str:
        groups = []
        for keys in self._wires():
            cells = [f"{signs.get(key, ' '):2}" for key in keys]
            said = cells[0].strip() if wide else "".join(cells)
            # The word above a group of columns may be wider than they are.
            groups.append(said.ljust(max(2 * len(keys), len(keys[0][0]) + 1)))
        return f"{label:{_LABEL}}" + _GAP.join(groups)


def read(text: str) -> Table:
    """The table of a picture. Blank cells are missing."""
    lines = text.removeprefix(_HEAD).split("\n")[1:]
    wires, body = lines[0], lines[1:]
    height = next((place for place, line in enumerate(body) if not line.strip()), len(body))
    names, body = body[:height], body[height:]
    width = max(map(len, [wires, *names]))
    columns: dict[int, Key] = {}
    wire = ""
    for place in range(_LABEL, width):
        if wires[place : place + 1].strip() and not wires[place - 1 : place].strip():
            wire = wires[place:].split()[0].rstrip("|")
        name = "".join(line[place : place + 1] for line in names).strip()
        if name and name.strip("|"):
            columns[place] = (wire, name)
    rows = {}
    for line in body:
        if line.startswith("  "):
            signs = {key: line[place : place + 1].strip() for place, key in columns.items()}
            rows[line[:_LABEL].strip()] = {key: sign for key, sign in signs.items() if sign}
    return Table(tuple(columns.values()), rows)
