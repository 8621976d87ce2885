"""The libraries in C that an executable can hold, and which of them a build holds.

One table for two purposes: the list of parts (`_sbom.py`) and the notices (`_build_notices.py`). What the one
lists, the other has the terms of.
"""

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from _environment import ROOT
from _package import Member

#: The terms of each library of the table.
LICENCES = ROOT / "build" / "licences"


class Library(NamedTuple):
    """A library in C that a Python brings or links. ``cpe``: its vendor and product in lists of weaknesses.

    A file is, or holds, the library when its version is found in it, and its name is ``named`` or the version
    stands in words that are nobody else's (``anywhere``); a shared library is it by its name alone.
    """

    name: str
    licence: str
    cpe: str
    named: str
    version: bytes = b"(?!)"
    anywhere: bool = False

    @property
    def terms(self) -> Path:
        """The text under which it may be passed on."""
        return LICENCES / f"{self.name.replace(' ', '-')}.txt"


LIBRARIES = (
    Library(
        "OpenSSL",
        "Apache-2.0",
        "openssl:openssl",
        r"lib(ssl|crypto)\b",
        rb"OpenSSL (\d+\.\d+\.\d+)[a-z]* \d{1,2} [A-Z][a-z]{2} \d{4}",
        anywhere=True,
    ),
    Library("zlib", "Zlib", "zlib:zlib", r"(lib)?z(lib1)?\b", rb"flate (\d+(?:\.\d+)+) Copyright", anywhere=True),
    Library("Expat", "MIT", "libexpat_project:libexpat", r"libexpat", rb"expat_(\d+\.\d+\.\d+)", anywhere=True),
    Library("bzip2", "bzip2-1.0.6", "bzip:bzip2", r"libbz2", rb"(1\.\d\.\d), \d{1,2}-\w{3}-\d{4}", anywhere=True),
    # In the public domain before 5.6, which SPDX has no word for, and under 0BSD since.
    Library("XZ Utils", "", "tukaani:xz", r"(lib|_)lzma", rb"\0(5\.\d+\.\d+)\0"),
    Library("libffi", "MIT", "libffi_project:libffi", r"libffi"),
    Library("libmpdec", "BSD-2-Clause", "", r"_decimal|libmpdec", rb"\0(\d\.\d\.\d)\0"),
    Library("SQLite", "blessing", "sqlite:sqlite", r"(lib|_)?sqlite3", rb"\0(3\.\d{2}\.\d+)\0"),
)  # fmt: skip

#: A shared library that is Python itself.
PYTHON_LIBRARY = re.compile(r"(lib)?python\d|Python$")


class Held(NamedTuple):
    """A library that a build holds, in these files; the version is empty where none of them says it."""

    library: Library
    version: str
    files: list[str]


def shared_libraries(report: ET.Element) -> dict[str, Path]:
    """Where each shared library was that was copied in, by its place in the folder. Not Python's own."""
    return {
        each.attrib["dest_path"].replace("\\", "/"): Path(each.attrib["source_path"])
        for each in report.iter("included_dll")
        if not PYTHON_LIBRARY.match(each.attrib["name"])
    }


def held(files: Iterable[Member], shared: Mapping[str, Path]) -> Iterator[Held]:
    """The libraries in a folder of these files. A shared one that nobody knows is one by the name of its file."""
    members = sorted(files)
    unknown = set(shared)
    for library in LIBRARIES:
        holding, version = _holding(library, members, shared)
        unknown -= set(holding)
        if holding:
            yield Held(library, version, holding)
    for file in sorted(unknown):
        yield Held(Library(Path(file).name, "", "", ""), "", [file])


def _holding(library: Library, files: list[Member], shared: Mapping[str, Path]) -> tuple[list[str], str]:
    """The files that are or hold a library, and its version, empty where none of them says it."""
    named = re.compile(library.named)
    holding, versions = [], []
    for member in files:
        called = named.match(member.path.name) is not None
        if not called and not library.anywhere:
            continue
        found = re.search(library.version, member.path.read_bytes())
        if found:
            versions.append(found[1].decode("ascii"))
        if found or (called and member.name in shared):
            holding.append(member.name)
    return holding, max(versions, default="")
