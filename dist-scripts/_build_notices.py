"""NOTICES.txt: the licence texts of everything of others' that is in the executable.

A part whose text is not found fails the build, since it may not be given away without.
"""

import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from _build_result import Report
from _environment import Environment, stop

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
    parts += [(library.name, of_library(library)) for library in report.libraries]

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
    if Path(sys.base_prefix) in library.parents:
        return _of_python()  # it came with Python, whose text names it
    return list(_of_debian(library)) or list(_of_rpm(library))


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
