"""What a build has made, and whether it may be given away."""

import struct
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from _libraries import shared_libraries

#: Nuitka's word for something that is wanted and missing: the program would fail when it gets there.
MISSING = "Not including"


class Report(NamedTuple):
    """The two results, and what of others' is in them."""

    folder: Path
    program: Path
    """The one file."""
    distributions: list[tuple[str, str]]
    """Name and version of each Python package but ours."""
    libraries: dict[str, Path]
    """The machine's shared libraries that were copied in, by their place in the folder: where they were found."""

    @classmethod
    def read(cls, report: Path, folder: Path, program: Path) -> "Report":
        """From Nuitka's own report. Raises ValueError when it tells of no whole build."""
        root = ET.parse(report).getroot()
        if root.get("completion") != "yes":
            raise ValueError(f"{report}: completion is {root.get('completion')!r}")
        distributions = [(each.attrib["name"], each.attrib["version"]) for each in root.iter("distribution")]
        return cls(folder, program, sorted(distributions), shared_libraries(root))

    def size_of_folder(self) -> int:
        """In bytes."""
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())


def problems(log: str, report: Report, glibc: tuple[int, ...], limit: int) -> list[str]:
    """Why the result is not fit for others, one line each."""
    found = [f"nuitka: {line}" for line in log.splitlines() if MISSING in line]
    size = report.program.stat().st_size
    if size > limit:
        found.append(f"{report.program.name}: is {size:,} bytes, more than {limit:,}: what came in anew?")
    for path in sorted([report.program, *report.folder.rglob("*")]):
        if path.is_file() and path.read_bytes()[:4] == b"\x7fELF":
            found += [
                f"{path.name}: needs {library} {'.'.join(map(str, version))}, more than the ceiling of "
                f"{'.'.join(map(str, glibc))}: build on an older system, or raise the ceiling"
                for library, version in glibc_needs(path.read_bytes())
                if version > glibc
            ]
    return found


def glibc_needs(elf: bytes) -> Iterator[tuple[str, tuple[int, ...]]]:
    """The newest glibc that a program or library needs from each of its libraries: ``libm.so.6``, ``(2, 35)``.

    The dynamic linker refuses a file by the names in this section (SHT_GNU_verneed), so they are what counts.
    Raises ValueError for what is not a 64-bit little-endian ELF file.
    """
    if elf[:6] != b"\x7fELF\x02\x01":
        raise ValueError("not a 64-bit little-endian ELF file")
    start, size, count = struct.unpack_from("<Q10xHH", elf, 0x28)
    sections = [struct.unpack_from("<IIQQQQII", elf, start + index * size) for index in range(count)]
    for _, kind, _, _, entry, _, link, entries in sections:
        if kind != 0x6FFFFFFE:
            continue
        names = sections[link][4]
        at = entry
        for _ in range(entries):
            _, versions, library, first, following = struct.unpack_from("<HHIII", elf, at)
            found = [
                tuple(map(int, name.removeprefix("GLIBC_").split(".")))
                for name in _versions(elf, at + first, versions, names)
                if name.startswith("GLIBC_2")  # not GLIBC_PRIVATE, nor another library's
            ]
            if found:
                yield _text(elf, names + library), max(found)
            at += following


def _versions(elf: bytes, at: int, count: int, names: int) -> Iterator[str]:
    for _ in range(count):
        name, following = struct.unpack_from("<8xII", elf, at)
        yield _text(elf, names + name)
        at += following


def _text(elf: bytes, at: int) -> str:
    return elf[at : elf.index(b"\0", at)].decode("ascii", "replace")
