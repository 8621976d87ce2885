"""Ctrl-C at any moment: the process ends, and nobody reads a traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import trio

from ccrouter.__main__ import start
from ccrouter.cli import interrupt
from tests.cli.processes import PATIENCE, ROOT, sandbox

pytestmark = pytest.mark.only_on("linux", "darwin")

#: In the place of trio: takes its time, and whatever is raised meanwhile is lost, as it can be in any import.
SLOW = """
import os, sys, time
print("importing", file=sys.stderr, flush=True)
try:
    time.sleep(float(os.environ["SECONDS"]))
except BaseException:
    pass
print("imported", file=sys.stderr, flush=True)
sys.exit(3)
"""


def interrupted(folder: Path, shell: str, *arguments: str, seconds: float) -> tuple[int, str]:
    """Exit code and words of a command that ``shell`` starts and that gets a SIGINT while it imports."""
    (folder / "trio.py").write_text(SLOW)
    env = sandbox(folder) | {"SECONDS": str(seconds)}
    env["PYTHONPATH"] = f"{folder}{os.pathsep}{env['PYTHONPATH']}"
    with subprocess.Popen(
        ["sh", "-c", shell, "sh", sys.executable, "-m", "ccrouter", *arguments],
        env=env,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        try:
            assert process.stderr.readline() == "importing\n"
            process.send_signal(signal.SIGINT)
            rest = process.stderr.read()
            return process.wait(PATIENCE), rest
        finally:
            process.kill()


@pytest.mark.parametrize(
    "arguments",
    [("--port", "0"), ("run", "--", "true"), ("ask", "hi"), ("explain",), ("subagent",)],
    ids=lambda arguments: arguments[0],
)
def test_it_ends_a_command_that_is_still_importing(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = interrupted(tmp_path, 'exec "$@"', *arguments, seconds=PATIENCE)
    assert done == (-signal.SIGINT, "")


def test_where_it_is_ignored_as_by_nohup_it_stays_ignored(tmp_path: Path) -> None:
    assert interrupted(tmp_path, "trap '' INT; exec \"$@\"", "ask", "hi", seconds=0.5) == (3, "imported\n")


@pytest.mark.parametrize("before", [signal.SIG_DFL, signal.default_int_handler])
def test_while_tasks_run_it_comes_where_one_waits(before: signal.Handlers) -> None:
    reached = []

    async def main() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        reached.append("the next statement")
        await trio.sleep(PATIENCE)

    ours = signal.signal(signal.SIGINT, before)
    try:
        with pytest.raises(KeyboardInterrupt):
            interrupt.run(main)
        assert signal.getsignal(signal.SIGINT) == before
    finally:
        signal.signal(signal.SIGINT, ours)
    assert reached == ["the next statement"]


def test_the_program_that_an_installer_makes_begins_there_too() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["scripts"]
    assert EntryPoint("ccrouter", scripts["ccrouter"], "console_scripts").load() is start
