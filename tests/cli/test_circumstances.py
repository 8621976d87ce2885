"""Ccrouter in circumstances that are its user's: each is told in words, and none is a mistake of ours."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.cli.processes import CCROUTER, PATIENCE, sandbox

pytestmark = pytest.mark.only_on("linux")

ANSWER = "ask", "-m", "demo:free", "hi"


def under(folder: Path, shell: str, *arguments: str | bytes, **environ: str) -> subprocess.CompletedProcess[str]:
    """``"$@"`` of this line of the shell is ccrouter with its arguments; ``$gone`` a directory that is to go."""
    gone = folder / "gone"
    gone.mkdir(exist_ok=True)
    return subprocess.run(
        ["sh", "-c", shell, "sh", *CCROUTER, *arguments],
        cwd=folder,
        env=sandbox(folder) | {"gone": str(gone), **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("config", "show"),
        ("config", "schema"),
        ("config", "check"),
        ("config", "path"),
        ("serve", "--port", "0", "--print-env"),
        ("upgrade",),
        ("--version",),
        ("--help",),
        ("run", "--help"),
        ANSWER,
    ],
)
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_behind_standard_output_is_told(
    tmp_path: Path, arguments: tuple[str, ...], unbuffered: str
) -> None:
    done = under(tmp_path, 'exec "$@" >/dev/full', *arguments, PYTHONUNBUFFERED=unbuffered)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "ccrouter: standard output: No space left on device"
    assert "Exception ignored" not in done.stderr


@pytest.mark.parametrize("arguments", [("config", "show"), ("serve", "--port", "0", "--print-env"), ANSWER])
def test_a_standard_output_that_is_closed_is_told(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = under(tmp_path, 'exec "$@" >&-', *arguments)
    assert (done.returncode, done.stderr) == (1, "ccrouter: standard output: is closed\n")


@pytest.mark.parametrize("output", [">&-", ">/dev/full"])
def test_a_failure_that_no_shell_can_be_told_is_told_as_what_it_is(tmp_path: Path, output: str) -> None:
    done = under(tmp_path, f'exec "$@" {output}', "env")
    assert done.returncode == 1
    assert done.stderr.startswith("ccrouter: no router of yours is running; ")
    assert done.stderr.count("\n") == 1


def test_a_standard_error_that_is_closed_is_not_replaced_by_standard_output(tmp_path: Path) -> None:
    done = under(tmp_path, 'exec "$@" 2>&-', "nonsense")
    assert (done.returncode, done.stdout) == (2, "")
    assert "is run from" not in under(tmp_path, 'exec "$@" 2>&-', "upgrade").stdout


@pytest.mark.parametrize("none", ["<&-", "0>/dev/null"], ids=["closed", "only to be written, as by nohup"])
def test_a_question_needs_no_standard_input(tmp_path: Path, none: str) -> None:
    done = under(tmp_path, f'exec "$@" {none}', *ANSWER)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("You said: hi\n")


def test_a_saved_request_on_a_closed_standard_input_is_wrong_use(tmp_path: Path) -> None:
    done = under(tmp_path, 'exec "$@" <&-', "explain", "-")
    assert (done.returncode, done.stderr) == (2, "ccrouter: -: standard input is closed\n")


def test_a_question_in_another_encoding_is_asked_as_far_as_it_can_be_read(tmp_path: Path) -> None:
    done = under(tmp_path, 'exec "$@"', "ask", "-m", os.fsencode("demo:free"), b"caf\xe9", "ol\u00e9")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("You said: caf\ufffd ol\u00e9\n")


def test_a_command_runs_in_a_directory_that_is_gone(tmp_path: Path) -> None:
    done = under(tmp_path, 'cd "$gone" && rmdir "$gone" && exec "$@"', "run", "--", "echo", "hi")
    assert (done.returncode, done.stdout, done.stderr) == (0, "hi\n", "")


def test_claude_in_a_directory_that_is_gone_is_wrong_use(tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "claude").write_text("#!/bin/sh\necho 2.1.300\n")
    (tools / "claude").chmod(0o755)
    path = f"{tools}:{os.environ['PATH']}"
    done = under(tmp_path, 'cd "$gone" && rmdir "$gone" && exec "$@"', "run", PATH=path)
    assert done.returncode == 2
    assert "the current directory does not exist any more" in done.stderr
