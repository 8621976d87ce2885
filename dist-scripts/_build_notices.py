"""NOTICES.txt: the licence texts of everything of others' that is in the executable.

A part whose text is not found fails the build, since it may not be given away without.
"""

import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from _build_result import Report
from _environment import Environment, stop
from _libraries import LIBRARIES, held
from _package import Member

#: What Microsoft's compiler links with each program. Python's text for Windows names it by another name.
_MICROSOFTS = re.compile(r"vcruntime|msvcp|ucrtbase|concrt|api-ms-win-", re.IGNORECASE)

_HEAD = """\
ccrouter contains the work of others, listed here with the terms under which it may be passed on.
"""


def notices(environment: Environment, report: Report) -> str:
    """The whole text. Stops when a part's is missing."""
    parts = [("Python " + sys.version.split()[0], _of_python())]
    parts += [
        (f"{name} {version}", _of_distribution(environment, name, version))
        for name, version in report.distributions
    ]
    compiler = environment.packages / "nuitka"
    metadata = next(environment.packages.glob("nuitka-*.dist-info"))
    # Nuitka itself is not in there; what it links with a program it allows to be passed on under any terms.
    parts.append(("the run-time library of Nuitka", sorted(metadata.rglob("LICENSE-RUNTIME.txt"))))
    parts.append(("Zstandard", [compiler / "build" / "inline_copy" / "zstd" / "LICENSE.txt"]))
    inside = [Member(path.relative_to(report.folder).as_posix(), path) for path in report.folder.rglob("*")]
    for each in held([member for member in inside if member.path.is_file()], report.libraries):
        title = f"{each.library.name} {each.version}".strip()
        known = each.library in LIBRARIES
        parts.append((title, [each.library.terms] if known else of_library(report.libraries[each.files[0]])))

    texts = [_HEAD]
    seen: dict[str, str] = {}
    for title, paths in parts:
        found = "\n\n".join(path.read_text("utf-8", "replace").strip() for path in paths if path.is_file())
        if not found:
            stop(f"the executable holds {title}, whose licence text dist-scripts/_build_notices.py does not find")
        # Two libraries of one package have one text.
        said = f"(as for {seen[found]})" if found in seen else found
        seen.setdefault(found, title)
        texts.append(f"{'=' * 79}\n{title}\n{'=' * 79}\n\n{said}\n")
    return "\n".join(texts)


def _of_python() -> list[Path]:
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    places = (
        Path(sysconfig.get_path("stdlib")) / "LICENSE.txt",
        Path(sys.base_prefix) / "LICENSE.txt",  # Windows
        Path("/usr/share/doc") / version / "copyright",  # Debian
    )
    return [next((path for path in places if path.is_file()), places[0])]


def _of_distribution(environment: Environment, name: str, version: str) -> list[Path]:
    folder = environment.packages / f"{name.replace('-', '_')}-{version}.dist-info"
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and path.name.upper().startswith(("LICEN", "COPYING", "NOTICE"))
    )


def of_library(library: Path) -> list[Path]:
    """What this machine says of a library of its own, or of one that came with Python, if that is named there."""
    found = list(_of_debian(library)) or list(_of_rpm(library))
    if not found and Path(sys.base_prefix) in library.parents:
        found = [path for path in _of_python() if path.is_file() and _names(path, library)]
    return found


def _names(terms: Path, library: Path) -> bool:
    text = terms.read_text("utf-8", "replace")
    if _MICROSOFTS.match(library.name):
        return "Microsoft Distributable Code" in text
    stem = re.sub(r"^lib|[-._\d].*$", "", library.name.lower())
    return len(stem) > 2 and stem in text.lower()


def _of_debian(library: Path) -> Iterator[Path]:
    # /lib is a link to /usr/lib, and the package knows the file by the one or the other.
    for path in (library, library.resolve(), Path("/usr", *library.parts[1:])):
        for line in _said("dpkg-query", "--search", str(path)):
            package = line.split(":")[0]
            yield Path("/usr/share/doc") / package / "copyright"
            return


def _of_rpm(library: Path) -> Iterator[Path]:
    yield from (Path(line) for line in _said("rpm", "--query", "--licensefiles", "--file", str(library)))


def _said(program: str, *arguments: str) -> list[str]:
    if shutil.which(program) is None:
        return []
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    return done.stdout.splitlines() if done.returncode == 0 else []
