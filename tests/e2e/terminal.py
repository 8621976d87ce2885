"""A program at a terminal that a test types on and reads from."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import signal
import struct
import subprocess
import termios
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import trio
from attrs import Factory, define

_ROWS, _COLUMNS = 60, 160

#: Sequences that move the cursor, choose colours, set titles: all that is no text.
_CONTROL = re.compile(
    rb"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[P_^][^\x1b]*\x1b\\|\x1b[@-Z\\-_=>78c]"
)


@define
class Terminal:
    """The test's end of it."""

    _master: int
    process: trio.Process
    _columns: int = _COLUMNS
    _shown: bytearray = Factory(bytearray)
    _more: trio.Condition = Factory(trio.Condition)

    @property
    def text(self) -> str:
        """All that was ever shown, without blanks: where a program skips cells, no blank was written."""
        plain = _CONTROL.sub(b"", bytes(self._shown)).decode("utf-8", "replace")
        return "".join(plain.split())

    async def type(self, keys: str) -> None:
        """Type, not faster than a program can tell one key from a pasted text."""
        for key in keys:
            os.write(self._master, key.encode())
            await trio.sleep(0.03)

    async def ask(self, command: str, *answer: str) -> None:
        """Type a command of Claude Code's, and again unless all of ``answer`` is shown.

        While it is typed, a list of commands is offered, and Enter takes the one that stands first. On a busy machine
        the list lags behind: `/mcp` was taken for `/model` (2.1.197, 2026-11).
        """
        for patience in (5, 5, 20):
            self.forget()
            await self.type(command)
            await trio.sleep(0.5)
            await self.type("\r")
            with contextlib.suppress(AssertionError):
                for words in answer:
                    await self.shows(words, patience)
                return
            await self.type("\x1b")
        raise AssertionError(f"not shown: {answer!r}, but: {self.text[-3000:]}")

    def forget(self) -> None:
        """From here on only what is shown anew counts."""
        self._shown.clear()

    async def shows(self, words: str, within: float = 20) -> None:
        """Wait for these words to have been shown.

        Programs draw only the cells that change, which tears words apart; after a change of size they draw all.
        """
        wanted = "".join(words.split())
        with trio.move_on_after(within):
            while wanted not in self.text:
                with trio.move_on_after(1):
                    async with self._more:
                        while wanted not in self.text:
                            await self._more.wait()
                    break
                self._resize()
        assert wanted in self.text, f"not shown: {words!r}, but: {self.text[-3000:]}"

    def _resize(self) -> None:
        self._columns = _COLUMNS - 1 if self._columns == _COLUMNS else _COLUMNS
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, _size(self._columns))

    async def _read(self) -> None:
        while True:
            await trio.lowlevel.wait_readable(self._master)
            try:
                data = os.read(self._master, 65536)
            except OSError:  # Linux's word for: nobody has the other end open any more
                data = b""
            self._shown += data
            async with self._more:
                self._more.notify_all()
            if not data:
                return


def _size(columns: int) -> bytes:
    return struct.pack("HHHH", _ROWS, columns, 0, 0)


@asynccontextmanager
async def at_terminal(
    argv: Sequence[str | Path], environ: Mapping[str, str], folder: Path
) -> AsyncIterator[Terminal]:
    """A program with a terminal of its own, in a session of its own that is gone when the block is left."""
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, _size(_COLUMNS))

    def take_terminal() -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    process = await trio.lowlevel.open_process(
        [str(word) for word in argv],
        env={**environ, "TERM": "xterm-256color"},
        cwd=folder,
        stdin=slave,
        stdout=slave,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=take_terminal,
    )
    os.close(slave)
    terminal = Terminal(master, process)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(terminal._read)
            yield terminal
            nursery.cancel_scope.cancel()
    finally:
        with trio.CancelScope(shield=True):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
        os.close(master)
