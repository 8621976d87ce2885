"""Short programs of this machine: read within bounds, and ended with whoever waits for them."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence

import trio
from attrs import field, frozen


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
