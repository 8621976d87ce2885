"""Claude Code as a program on this machine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import trio
import trio.testing
from attrs import frozen

from ccrouter.cli import claude


@frozen(kw_only=True)
class Listed:
    name: str
    label: str = "label"
    description: str = "about"
    provider: str = "p"
    anthropic: bool = False


def program(path: Path, text: str = "#!/bin/sh\nexit 1\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def package(folder: Path, version: str, name: str = claude.PACKAGE) -> Path:
    program(folder / "bin/claude.exe")
    (folder / "package.json").write_text(json.dumps({"name": name, "version": version}))
    return folder / "bin/claude.exe"


def link(path: Path, target: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)
    return path


@pytest.mark.parametrize("command", ["claude", "/opt/claude", "claude.exe", r"./CLAUDE.EXE", "claude.cmd"])
def test_claude_code_is_known_by_its_name(command: str) -> None:
    assert claude.is_claude(command, {})


def test_claude_code_is_known_by_its_package_under_another_name(tmp_path: Path) -> None:
    real = package(tmp_path / "node_modules" / claude.PACKAGE, "2.1.329")
    link(tmp_path / "bin/cc", real)
    program(tmp_path / "bin/other")
    environ = {"PATH": str(tmp_path / "bin")}
    assert claude.is_claude("cc", environ)
    assert not claude.is_claude("other", environ)
    assert not claude.is_claude("missing", environ)


def test_the_native_install_says_its_version_by_its_place(tmp_path: Path) -> None:
    real = program(tmp_path / "share/claude/versions/2.1.329")
    assert claude.installed_version(link(tmp_path / "bin/claude", real)) == (2, 1, 329)


def test_the_npm_install_says_its_version_in_its_package(tmp_path: Path) -> None:
    real = package(tmp_path / "node_modules" / claude.PACKAGE, "2.1.197")
    assert claude.installed_version(link(tmp_path / "bin/claude", real)) == (2, 1, 197)


def test_a_platform_package_counts_as_well(tmp_path: Path) -> None:
    real = package(tmp_path / "x", "2.1.300-beta.1", f"{claude.PACKAGE}-linux-x64")
    assert claude.installed_version(real) == (2, 1, 300)


def test_a_launcher_beside_its_package_is_understood(tmp_path: Path) -> None:
    package(tmp_path / "node_modules" / claude.PACKAGE, "2.1.329")
    assert claude.installed_version(program(tmp_path / "claude.cmd")) == (2, 1, 329)


def test_another_packages_version_is_not_taken_for_it(tmp_path: Path) -> None:
    real = package(tmp_path / "wrapper", "9.9.9", "my-wrapper")
    assert claude.installed_version(real) is None
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    assert claude.installed_version(loop) is None


async def test_a_program_of_unknown_place_is_asked(tmp_path: Path) -> None:
    asked = program(tmp_path / "claude", '#!/bin/sh\n[ "$1" = --version ] && echo "2.1.250 (Claude Code)"\n')
    assert await claude.version(str(asked), {}) == (2, 1, 250)


@pytest.mark.parametrize("text", ["#!/bin/sh\necho hello\n", "#!/nowhere\n", "not a program"])
async def test_a_program_that_does_not_answer_has_no_version(tmp_path: Path, text: str) -> None:
    assert await claude.version(str(program(tmp_path / "claude", text)), {}) is None


async def test_a_program_that_hangs_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claude, "VERSION_DEADLINE", 0.1)
    hanging = program(tmp_path / "claude", "#!/bin/sh\nexec sleep 60\n")
    with trio.fail_after(10):
        assert await claude.version(str(hanging), {"PATH": "/usr/bin:/bin"}) is None


def test_an_unknown_version_counts_as_old() -> None:
    assert not claude.has_picker(None)
    assert not claude.has_picker((2, 1, 241))
    assert claude.has_picker((2, 1, 242))


def test_the_picker_has_a_row_for_each_model_that_the_client_does_not_list_itself() -> None:
    models = [Listed(name="anthropic:claude-opus-5-5", anthropic=True), Listed(name="ollama:q")]
    row = {"model": "ollama:q", "label": "label", "description": "about"}
    assert claude.picker(models, (2, 1, 259)) == {"options": [row], "replaceBuiltInOptions": False}  # type: ignore[arg-type]
    row["behavesAs"] = "claude-sonnet-4-5"
    assert claude.picker(models, (2, 1, 260)) == {"options": [row], "replaceBuiltInOptions": False}  # type: ignore[arg-type]
    assert claude.picker(models[:1], (2, 1, 329)) is None  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("how", "bound"),
    [
        ("none", {}),
        ("conservative", {"ANTHROPIC_CUSTOM_MODEL_OPTION": "o:1"}),
        (
            "aggressive",
            {
                "ANTHROPIC_CUSTOM_MODEL_OPTION": "o:1",
                "ANTHROPIC_DEFAULT_SONNET_MODEL": "o:2",
                "ANTHROPIC_DEFAULT_OPUS_MODEL": "o:3",
            },
        ),
    ],
)
def test_slots_are_filled_in_the_order_of_the_list_and_haiku_never_is(how, bound) -> None:
    models = [Listed(name="anthropic:claude", anthropic=True), *(Listed(name=f"o:{n}") for n in range(1, 5))]
    given = claude.slots(models, how)  # type: ignore[arg-type]  # as above
    assert {name: model for name, model in given.items() if name.endswith(("_MODEL", "_OPTION"))} == bound
    assert all(given[f"{name}_NAME"] == "label" and given[f"{name}_DESCRIPTION"] == "about" for name in bound)
    assert not any("HAIKU" in name for name in given)


def test_with_one_model_there_is_one_slot() -> None:
    given = claude.slots([Listed(name="o:1")], "aggressive")  # type: ignore[list-item]  # as above
    assert {*given} == {f"ANTHROPIC_CUSTOM_MODEL_OPTION{each}" for each in ("", "_NAME", "_DESCRIPTION")}
    assert claude.slots([], "aggressive") == {}
