"""Small files and short programs of this machine: read within bounds, and ended with whoever waits for them."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import trio
from attrs import field, frozen


def expand_home(path: str, environ: Mapping[str, str]) -> Path:
    """``path`` with a leading ``~`` replaced by the user's home directory."""
    if path != "~" and not path.startswith(("~/", "~\\")):
        return Path(path)
    home = environ.get("USERPROFILE" if sys.platform == "win32" else "HOME")
    return Path(home or os.path.expanduser("~"), path[2:])  # noqa: PTH111  Path.home() raises where there is none


def read_small(path: Path, limit: int) -> bytes:
    """The content of a regular file of at most ``limit`` bytes.

    It is read at once, on the event loop: what could block there (a pipe, a terminal) is refused. Raises
    OSError; its ``strerror`` is fit for a message.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise OSError(errno.EINVAL, "Not a regular file")
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except ValueError:  # a NUL in the path
        raise OSError(errno.EINVAL, "Not a file name") from None
    if len(content) > limit:
        raise OSError(errno.EFBIG, f"Larger than {limit // 1024} KiB")
    return content


@frozen
class Finished:
    """How a program ended. ``code`` is negative for a signal."""

    code: int
    output: bytes = field(repr=False)


async def run_program(argv: Sequence[str], environ: Mapping[str, str], limit: int) -> Finished:
    """Runs a program without a shell, with nothing to read, and gives what it printed.

    One byte more than ``limit`` ends it; the excess byte is in the output. Its error stream is thrown away:
    the terminal belongs to somebody else. If cancelled, it and what it started are killed before this
    returns. Raises OSError if it cannot be started.
    """
    try:
        process = await trio.lowlevel.open_process(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=dict(environ),
            # A group of its own: it can be killed with what it started, and a Ctrl-C meant for the client
            # spares it. It stays in the terminal's session, by which some helpers know their user.
            process_group=0,
        )
    except ValueError:  # a NUL in an argument
        raise OSError(errno.EINVAL, "Not a program name") from None
    output = bytearray()
    try:
        assert process.stdout is not None  # noqa: S101  it is a pipe
        async with process.stdout:
            while len(output) <= limit and (chunk := await process.stdout.receive_some(limit + 1 - len(output))):
                output += chunk
            if len(output) > limit:
                _kill(process)
            return Finished(await process.wait(), bytes(output))
    finally:
        if process.returncode is None:
            _kill(process)
            with trio.CancelScope(shield=True):  # no deadline: nothing outlives SIGKILL
                await process.wait()


def _kill(process: trio.Process) -> None:
    if sys.platform == "win32":
        process.kill()
    else:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except OSError:  # macOS refuses for a group in which somebody just ended
            process.kill()
