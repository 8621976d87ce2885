"""dist-scripts/try-install on a release whose program is a shell script."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.release.test_install_sh import Release

pytestmark = pytest.mark.only_on("linux")

SCRIPTS = Path(__file__).parents[2] / "dist-scripts"
PROGRAM = "#!/bin/sh\ncase $1 in --version) echo ccrouter {version} ;; upgrade) echo an executable ;; esac\n"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A release as it is published."""
    made = Release(tmp_path / "made", "")
    made.publish("1.2.3", PROGRAM, latest=False)
    there = made.place / "releases/download/v1.2.3"
    shutil.copy(SCRIPTS / "install.sh", there)
    return there


def try_install(directory: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPTS / "try-install"), str(directory)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_a_release_that_installs_starts_and_goes_is_fine(directory: Path) -> None:
    done = try_install(directory)
    assert (done.returncode, done.stdout) == (0, "installed, started, uninstalled\n"), done.stderr


@pytest.mark.parametrize(
    ("line", "instead", "words"),
    [
        ('mv -f "$unpacked/ccrouter" "$to/ccrouter"', ":", "no such file|No such file|not found"),
        ('rm -f "$1"', ":", "left behind after uninstalling: .local"),
        ('[ "$actual" = "$expected" ]', "false", "is not what the release says it is"),
    ],
)
def test_an_install_script_that_does_not_do_its_work_is_found_out(
    directory: Path, line: str, instead: str, words: str
) -> None:
    script = directory / "install.sh"
    text = script.read_text()
    assert text.count(line) == 1
    script.write_text(text.replace(line, instead))
    done = try_install(directory)
    assert done.returncode == 1
    assert any(word in done.stderr for word in words.split("|")), done.stderr


def test_a_directory_that_is_no_release_is_wrong_use(tmp_path: Path) -> None:
    done = try_install(tmp_path)
    assert done.returncode == 2
    assert "SHA256SUMS" in done.stderr
