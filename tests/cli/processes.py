"""Real processes for the tests: ccrouter in a sandbox of its own, in pipes or at a terminal."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from tests.executable import command, sparing

ROOT = Path(__file__).parents[2]

CCROUTER = command()

#: Seconds for anything to happen. Only a failing test waits so long.
PATIENCE = 30


def sandbox(folder: Path) -> dict[str, str]:
    """An environment with nothing of this machine's user in it."""
    return {
        "HOME": str(folder),
        "XDG_RUNTIME_DIR": str(folder),
        "XDG_CONFIG_HOME": str(folder),
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "LC_ALL": "C.UTF-8",
        **sparing(),
    }


@contextlib.contextmanager
def ccrouter(
    *arguments: str, env: dict[str, str], stdin: int = subprocess.PIPE
) -> Iterator[subprocess.Popen[bytes]]:
    """Ccrouter with pipes for its streams; killed at the end if it is still there."""
    with subprocess.Popen(
        [*CCROUTER, *arguments], env=env, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            yield process
        finally:
            process.kill()


class Terminal:
    """A command in the foreground of a terminal of its own, under the smallest shell."""

    def __init__(self, argv: list[str], env: dict[str, str]) -> None:
        self._master, self._slave = pty.openpty()
        self._output = b""
        self._reports, report = os.pipe()
        orders, self._orders = os.pipe()
        self._said = b""
        self.modes = termios.tcgetattr(self._slave)
        launch = "import os, sys; a, b = map(int, sys.argv[1:3]); os.dup2(a, 13); os.dup2(b, 14)\n"
        launch += "os.dup2(13, 3); os.dup2(14, 4); os.execv(sys.executable, [sys.executable, *sys.argv[3:]])"
        shell = str(Path(__file__).with_name("job_control.py"))
        self._leader = subprocess.Popen(
            [sys.executable, "-c", launch, str(report), str(orders), shell, *argv],
            stdin=self._slave,
            stdout=self._slave,
            stderr=self._slave,
            pass_fds=(report, orders),
            start_new_session=True,
            env=env,
            cwd=ROOT,
        )
        os.close(report)
        os.close(orders)
        self.job = int(self.report().removeprefix("started "))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.job, 9)
        with contextlib.suppress(ProcessLookupError):
            self._leader.kill()
        self._leader.wait()
        for fd in (self._master, self._slave, self._reports, self._orders):
            os.close(fd)

    def type(self, keys: bytes) -> None:
        """Type at the terminal."""
        os.write(self._master, keys)

    def resume(self) -> None:
        """Let the stopped job go on in the foreground."""
        os.write(self._orders, b"\n")
        assert self.report() == "continued"

    def report(self) -> str:
        """What the shell says next of the job."""
        deadline = time.monotonic() + PATIENCE
        while b"\n" not in self._said:
            self._said += self._read(self._reports, deadline)
        line, _, self._said = self._said.partition(b"\n")
        return line.decode()

    def until(self, text: str) -> str:
        """Everything on the screen since the last call, up to ``text``."""
        deadline = time.monotonic() + PATIENCE
        while text.encode() not in self._output:
            self._output += self._read(self._master, deadline)
        before, _, self._output = self._output.partition(text.encode())
        return before.decode()

    def modes_now(self) -> list[Any]:
        """How the terminal is set."""
        return termios.tcgetattr(self._slave)

    def _read(self, fd: int, deadline: float) -> bytes:
        ready, _, _ = select.select([fd], [], [], max(0, deadline - time.monotonic()))
        if not ready:
            raise TimeoutError(f"nothing more came; on the screen: {self._output!r}")
        return os.read(fd, 4096)
