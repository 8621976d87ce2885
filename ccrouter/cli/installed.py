"""How this program came to be on this machine, and the command that brings a newer one. Pure.

Every way of installing has its own way of upgrading; ccrouter never replaces itself. What is known: whether it
is the executable, where it lies, and, for a Python package, what its installer wrote down beside it
(``INSTALLER`` and ``direct_url.json``, packaging.python.org's *Recording installed projects*).
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping
from pathlib import PurePath, PurePosixPath, PureWindowsPath
from typing import Any

from attrs import frozen


@frozen(kw_only=True)
class Facts:
    """What an installation shows of itself. Paths are as this system writes them.

    ``form``: ``onefile`` or ``folder`` for an executable, None for a Python package. ``program``: the executable
    as it was called, with links followed; ``prefix``: Python's. ``record``: a file of the package's metadata by
    its name, None where there is none, or no metadata at all. ``releases``: where this build was published.
    ``local``: what Windows calls a user's local folder of application data. ``checkout``: the root of the sources
    that run, where git has them.
    """

    form: str | None
    program: PurePath
    prefix: PurePath
    home: PurePath | None = None
    local: PurePath | None = None
    checkout: PurePath | None = None
    record: Callable[[str], str | None] = lambda _: None
    releases: str | None = None
    container: bool = False


@frozen
class Installed:
    """``how`` in words, and the ``command`` for a shell; None where no command does it."""

    how: str
    command: str | None


def installed(facts: Facts) -> Installed:
    """How ``facts`` came about."""
    if facts.container:
        return Installed("part of a container image; pull a newer image and start that", None)
    return _package(facts) if facts.form is None else _executable(facts)


def _executable(facts: Facts) -> Installed:
    parts = facts.program.parts
    if "Cellar" in parts:
        return Installed("installed by Homebrew", "brew upgrade ccrouter")
    if "scoop" in parts and "apps" in parts:
        return Installed("installed by Scoop", "scoop update ccrouter")
    how = (
        "an executable from a release" if facts.form == "onefile" else "an executable in a folder, from a release"
    )
    if facts.releases is None:
        return Installed("an executable that was built from the sources; build a newer one", None)
    if isinstance(facts.program, PureWindowsPath):
        return Installed(how, _powershell(facts))
    directory = facts.program.parent
    if facts.form == "onefile":
        return Installed(how, _shell(facts, directory))
    if directory.parts[-2:] == ("lib", "ccrouter"):  # as install.sh has it: DIR/../lib/ccrouter
        return Installed(how, _shell(facts, directory.parent.parent / "bin", "--folder"))
    return Installed(f"{how}, unpacked in {directory}; unpack a newer one from {facts.releases}", None)


def _shell(facts: Facts, directory: PurePath, *options: str) -> str:
    """install.sh, told to install where this one is."""
    words = list(options)
    if facts.home is None or directory != facts.home / ".local" / "bin":
        words += ["--to", str(directory)]
    told = f" -s -- {shlex.join(words)}" if words else ""
    return f"curl -fsSL {facts.releases}/latest/download/install.sh | sh{told}"


def _powershell(facts: Facts) -> str:
    address = f"{facts.releases}/latest/download/install.ps1"
    directory = facts.program.parent
    if facts.local is not None and directory == facts.local / "Programs" / "ccrouter":
        return f"irm {address} | iex"
    quoted = str(directory).replace("'", "''")
    return f"& ([scriptblock]::Create((irm {address}))) -To '{quoted}'"


def _package(facts: Facts) -> Installed:
    origin = _origin(facts.record("direct_url.json"))
    source = origin.get("url", "")
    directory = origin.get("dir_info")
    if facts.record("METADATA") is None:
        return _sources(facts)
    if isinstance(directory, dict) and isinstance(source, str):
        place = _place(source, facts.prefix)
        if directory.get("editable"):
            return Installed(f"installed in place from the sources in {place}", f"git -C {_quoted(place)} pull")
        again = f"{_install(facts)} {_quoted(place)}"
        return Installed(f"installed from the sources in {place}", f"git -C {_quoted(place)} pull && {again}")
    if isinstance(source, str) and isinstance(origin.get("vcs_info"), dict):
        return _repository(facts, source, origin)
    if source:  # an archive
        return Installed(f"installed from {source}; install a newer one from where that came from", None)
    name = _venv_of("uv", "tools", facts.prefix)
    if name:
        return Installed("installed by uv", f"uv tool upgrade {name}")
    name = _venv_of("pipx", "venvs", facts.prefix)
    if name:
        return Installed("installed by pipx", f"pipx upgrade {name}")
    by = (facts.record("INSTALLER") or "").strip() or "pip"
    return Installed(f"installed by {by}", f"{_install(facts)} --upgrade ccrouter")


def _sources(facts: Facts) -> Installed:
    if facts.checkout is None:
        return Installed("run from a copy of its sources; take a newer one from where that came from", None)
    root = str(facts.checkout)
    return Installed(f"run from a checkout of its sources in {root}", f"git -C {_quoted(root)} pull")


def _repository(facts: Facts, source: str, origin: Mapping[str, Any]) -> Installed:
    """Installed from a repository: again from there, from the revision that was asked for, if one was."""
    told = origin["vcs_info"]
    revision, below = told.get("requested_revision"), origin.get("subdirectory")
    place = f"{told.get('vcs', 'git')}+{source}"
    place += f"@{revision}" if revision else ""
    place += f"#subdirectory={below}" if below else ""
    install = _install(facts)
    # Of a repository pip takes no newer revision of the same version (23.2 to 26.3).
    again = " --force-reinstall" if install.endswith(" install") and "uv " not in install else ""
    upgrade = "" if install.endswith("--force") else f" --upgrade{again}"
    return Installed(f"installed from {place}", f"{install}{upgrade} {_quoted(place)}")


def _install(facts: Facts) -> str:
    """The command that installs into this environment, without what."""
    python = facts.prefix / ("Scripts/python.exe" if isinstance(facts.prefix, PureWindowsPath) else "bin/python")
    if _venv_of("uv", "tools", facts.prefix):
        return "uv tool install --force"
    if (facts.record("INSTALLER") or "").strip() == "uv":
        return f"uv pip install --python {_quoted(str(python))}"
    if name := _venv_of("pipx", "venvs", facts.prefix):
        return "pipx install --force" if name == "ccrouter" else f"pipx runpip {name} install"
    return f"{_quoted(str(python))} -m pip install"


def _venv_of(tool: str, below: str, prefix: PurePath) -> str:
    """The name of the environment that ``tool`` made, for a prefix such as ``…/pipx/venvs/NAME``; else nothing."""
    parts = [part.lower() for part in prefix.parts]
    made = len(parts) >= 3 and parts[-3:-1] == [tool, below]
    return prefix.name if made else ""


def _origin(text: str | None) -> dict[str, Any]:
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _place(url: str, prefix: PurePath) -> str:
    """The directory of a ``file://`` URL as this system writes it."""
    from urllib.parse import unquote, urlsplit  # for those who ask only

    path = unquote(urlsplit(url).path)
    if isinstance(prefix, PureWindowsPath):
        return str(PureWindowsPath(path.lstrip("/")))
    return str(PurePosixPath(path))


def _quoted(text: str) -> str:
    return shlex.quote(text) if "\\" not in text else f'"{text}"'
