"""``ccrouter upgrade``."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from ccrouter.cli.main import main
from ccrouter.cli.upgrade import CONTAINER

ROOT = Path(__file__).parents[2]

#: In a copy without git there is no command.
PULL = f"git -C {shlex.quote(str(ROOT))} pull\n" if (ROOT / ".git").exists() else ""


def upgrade(python: str | Path, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [python, "-m", "ccrouter", "upgrade"],
        cwd=ROOT,
        env={"HOME": "/nonexistent", **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_it_says_how_it_was_installed_and_prints_nothing_but_the_command(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("ccrouter.cli.upgrade._record", lambda _: None)
    monkeypatch.delenv(CONTAINER, raising=False)
    assert main(["upgrade"]) == 0
    out, err = capfd.readouterr()
    assert out == PULL
    assert f"is run from a {'checkout' if PULL else 'copy'} of its sources" in err


def test_in_a_container_there_is_no_command(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(CONTAINER, "1")
    assert main(["upgrade"]) == 0
    out, err = capfd.readouterr()
    assert out == ""
    assert "container image" in err


def test_a_checkout_is_told_from_a_package_that_is_installed_besides(tmp_path: Path) -> None:
    """Its metadata are found by Python all the same, and are about other code."""
    other = tmp_path / "ccrouter-9.9.dist-info"
    other.mkdir()
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: ccrouter\nVersion: 9.9\n")
    done = upgrade(sys.executable, PYTHONPATH=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stdout == PULL, done.stderr
