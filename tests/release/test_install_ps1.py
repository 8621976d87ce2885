"""dist-scripts/install.ps1, as far as it can be tried where there is no Windows. Its work is tried by try-install."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from tests.release.scripts import SCRIPTS

SCRIPT = SCRIPTS / "install.ps1"


def test_nothing_ends_the_shell_of_who_runs_it_without_a_file() -> None:
    """`irm ... | iex` runs in the user's own terminal, which ``exit`` closes."""
    lines = [line.strip() for line in SCRIPT.read_text("utf-8").splitlines() if not line.strip().startswith("#")]
    exits = [number for number, line in enumerate(lines) if re.search(r"\bexit\b", line)]
    assert len(exits) == 1
    assert lines[exits[0] - 2].startswith("if (-not $PSCommandPath) { throw ")


IN_A_SHELL = "try {{ & ([scriptblock]::Create((Get-Content -Raw '{}'))) -Purge }} catch {{ \"caught $_\" }}"


@pytest.mark.only_on("win32")
@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [(["-Command", IN_A_SHELL.format(SCRIPT)], 0, "caught "), (["-File", str(SCRIPT), "-Purge"], 1, "")],
)
def test_a_failure_is_an_error_in_a_shell_and_an_exit_code_of_a_file(
    arguments: list[str], code: int, said: str
) -> None:
    shell = shutil.which("pwsh") or shutil.which("powershell")
    assert shell is not None
    done = subprocess.run(
        [shell, "-NoProfile", "-ExecutionPolicy", "Bypass", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert f"{said}install.ps1: -Purge goes with -Uninstall" in done.stdout + done.stderr
