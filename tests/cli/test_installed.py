"""How an installation is told from another, and the command for each."""

from __future__ import annotations

import json
from pathlib import PurePath, PurePosixPath, PureWindowsPath
from typing import Any

import pytest

from ccrouter.cli.installed import Facts, installed

RELEASES = "https://host.example/o/r/releases"
GIT = "https://host.example/o/r.git"
HOME = PurePosixPath("/home/u")


def executable(program: str | PurePath, *, form: str = "onefile", **more: Any) -> Facts:
    path = PurePosixPath(program) if isinstance(program, str) else program
    facts: dict[str, Any] = {"home": HOME, "releases": RELEASES, "prefix": path.parent} | more
    return Facts(form=form, program=path, **facts)


def package(prefix: str | PurePath = "/usr/local", **records: object) -> Facts:
    files = {"METADATA": "Name: ccrouter", "INSTALLER": "pip\n"}
    files |= {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in ((name.replace("_json", ".json"), value) for name, value in records.items())
    }
    path = PurePosixPath(prefix) if isinstance(prefix, str) else prefix
    return Facts(form=None, program=path / "bin/ccrouter", prefix=path, home=HOME, record=files.get)


@pytest.mark.parametrize(
    ("facts", "command"),
    [
        (executable("/home/u/.local/bin/ccrouter"), "curl -fsSL {at}/install.sh | sh"),
        (
            executable("/opt/my tools/ccrouter"),
            "curl -fsSL {at}/install.sh | sh -s -- --to '/opt/my tools'",
        ),
        (
            executable("/home/u/.local/lib/ccrouter/ccrouter", form="folder"),
            "curl -fsSL {at}/install.sh | sh -s -- --folder",
        ),
        (
            executable("/opt/lib/ccrouter/ccrouter", form="folder"),
            "curl -fsSL {at}/install.sh | sh -s -- --folder --to /opt/bin",
        ),
        (
            executable("/home/u/.local/bin/ccrouter", home=None),
            "curl -fsSL {at}/install.sh | sh -s -- --to /home/u/.local/bin",
        ),
        (executable("/opt/homebrew/Cellar/ccrouter/1.0/bin/ccrouter"), "brew upgrade ccrouter"),
        (
            executable(
                PureWindowsPath(r"C:\users\u\AppData\Local\Programs\ccrouter\ccrouter.exe"),
                form="folder",
                local=PureWindowsPath(r"C:\Users\u\AppData\Local"),
            ),
            "irm {at}/install.ps1 | iex",
        ),
        (
            executable(
                PureWindowsPath(r"D:\Programs\ccrouter\ccrouter.exe"),
                form="folder",
                local=PureWindowsPath(r"C:\Users\u\AppData\Local"),
            ),
            r"& ([scriptblock]::Create((irm {at}/install.ps1))) -To 'D:\Programs\ccrouter'",
        ),
        (
            executable(PureWindowsPath(r"D:\it's\ccrouter.exe"), form="folder"),
            r"& ([scriptblock]::Create((irm {at}/install.ps1))) -To 'D:\it''s'",
        ),
        (
            executable(PureWindowsPath(r"C:\Users\u\scoop\apps\ccrouter\current\ccrouter.exe"), form="folder"),
            "scoop update ccrouter",
        ),
        (package("/home/u/.local/share/pipx/venvs/ccrouter"), "pipx upgrade ccrouter"),
        (package("/home/u/.local/share/uv/tools/ccrouter", INSTALLER="uv"), "uv tool upgrade ccrouter"),
        (package(PureWindowsPath(r"C:\Users\u\pipx\venvs\ccrouter")), "pipx upgrade ccrouter"),
        (package("/venv"), "/venv/bin/python -m pip install --upgrade ccrouter"),
        (package("/venv", INSTALLER="uv"), "uv pip install --python /venv/bin/python --upgrade ccrouter"),
        (
            package("/venv", direct_url_json={"url": "file:///src/cc%20r", "dir_info": {}}),
            "git -C '/src/cc r' pull && /venv/bin/python -m pip install '/src/cc r'",
        ),
        (
            package("/venv", direct_url_json={"url": "file:///src", "dir_info": {"editable": True}}),
            "git -C /src pull",
        ),
        (
            package("/p/pipx/venvs/ccrouter", direct_url_json={"url": "file:///src", "dir_info": {}}),
            "git -C /src pull && pipx install --force /src",
        ),
        (
            package(
                "/u/uv/tools/ccrouter", INSTALLER="uv", direct_url_json={"url": "file:///src", "dir_info": {}}
            ),
            "git -C /src pull && uv tool install --force /src",
        ),
        (
            package(
                PureWindowsPath(r"C:\venv"),
                direct_url_json={"url": "file:///C:/src", "dir_info": {"editable": True}},
            ),
            r'git -C "C:\src" pull',
        ),
        (
            package("/venv", direct_url_json={"url": GIT, "vcs_info": {"vcs": "git", "commit_id": "0123"}}),
            "/venv/bin/python -m pip install --upgrade --force-reinstall git+{git}",
        ),
        (
            package(
                "/venv",
                INSTALLER="uv",
                direct_url_json={
                    "url": GIT,
                    "vcs_info": {"vcs": "git", "requested_revision": "a branch"},
                    "subdirectory": "sub",
                },
            ),
            "uv pip install --python /venv/bin/python --upgrade 'git+{git}@a branch#subdirectory=sub'",
        ),
        (
            package("/p/pipx/venvs/ccrouter", direct_url_json={"url": GIT, "vcs_info": {"vcs": "git"}}),
            "pipx install --force git+{git}",
        ),
        (
            package("/p/pipx/venvs/tools", direct_url_json={"url": GIT, "vcs_info": {"vcs": "git"}}),
            "pipx runpip tools install --upgrade --force-reinstall git+{git}",
        ),
        (
            package("/u/uv/tools/ccrouter", direct_url_json={"url": GIT, "vcs_info": {"vcs": "git"}}),
            "uv tool install --force git+{git}",
        ),
        (package("/venv", direct_url_json="not json"), "/venv/bin/python -m pip install --upgrade ccrouter"),
    ],
)
def test_each_way_of_installing_has_its_command(facts: Facts, command: str) -> None:
    assert installed(facts).command == command.replace("{at}", f"{RELEASES}/latest/download").replace("{git}", GIT)


def test_a_checkout_is_pulled_from_wherever_the_command_is_run() -> None:
    facts = Facts(
        form=None, program=PurePosixPath("/x"), prefix=PurePosixPath("/usr"), checkout=PurePosixPath("/my src")
    )
    found = installed(facts)
    assert found.how == "run from a checkout of its sources in /my src"
    assert found.command == "git -C '/my src' pull"


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (Facts(form=None, program=HOME, prefix=HOME), "a copy of its sources"),
        (
            executable("/opt/ccrouter-1.2.3-linux-x64-folder/ccrouter", form="folder"),
            f"unpacked in /opt/ccrouter-1.2.3-linux-x64-folder; unpack a newer one from {RELEASES}",
        ),
        (
            package("/venv", direct_url_json={"url": "https://x.example/c-1.whl", "archive_info": {}}),
            "from https://x.example/c-1.whl",
        ),
        (
            package("/p/pipx/venvs/ccrouter", direct_url_json={"url": "file:///c-1.whl", "archive_info": {}}),
            "from file:///c-1.whl",
        ),
    ],
)
def test_where_no_command_brings_a_newer_one_it_is_said_in_words(facts: Facts, words: str) -> None:
    found = installed(facts)
    assert found.command is None
    assert words in found.how


def test_a_container_and_a_build_of_ones_own_are_told_in_words_only() -> None:
    assert installed(executable("/ccrouter/ccrouter", container=True)).command is None
    found = installed(executable("/home/u/ccrouter", releases=None))
    assert found.command is None
    assert "built from the sources" in found.how
