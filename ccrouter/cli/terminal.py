"""What a command says: results to standard output, everything else to standard error.

Neither ever harms a running router. `say` drops a line rather than wait for somebody to read it: a tool that
started us with a pipe for standard error and never reads it would otherwise stop every stream once that pipe
is full, and a terminal that is gone must not end a stop half way.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
from collections.abc import Iterator
from typing import TextIO

from ccrouter.errors import CcrouterError

#: So many bytes a pipe that polls as writable takes without waiting. Windows names no limit.
_LINE_LIMIT = getattr(select, "PIPE_BUF", 4096)


def say(line: str) -> None:
    """One line to standard error; lost when nobody can take it now. Never raises."""
    stderr = sys.stderr
    if stderr is None:  # pythonw and detached processes have none
        return
    written = line.encode("utf-8", "backslashreplace")[: _LINE_LIMIT - 1] + b"\n"
    with contextlib.suppress(OSError, ValueError):
        stderr.flush()
        fd = stderr.fileno()
        if _writable(fd):
            os.write(fd, written)


def _writable(fd: int) -> bool:
    if sys.platform == "win32":  # no poll for pipes and consoles there
        return True
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    return any(event & select.POLLOUT for _fd, event in poll.poll(0))


def emit(text: str) -> None:
    """Results to standard output as they are, at once.

    As bytes: the text layer would turn line ends into CRLF on Windows and refuse what the code page lacks.
    A value of the environment that is not UTF-8 goes out as the bytes that it came as. Raises what `writing` does.
    """
    with writing() as stdout:
        stdout.flush()
        stdout.buffer.write(text.encode("utf-8", "surrogateescape"))
        stdout.buffer.flush()


@contextlib.contextmanager
def writing() -> Iterator[TextIO]:
    """Standard output, for as long as something is written to it.

    Raises BrokenPipeError when the reader has left, and CcrouterError in words when it takes no more: a full disk,
    a descriptor that was closed.
    """
    stdout = sys.stdout
    if stdout is None:
        raise CcrouterError("standard output: is closed")
    try:
        yield stdout
    except BrokenPipeError:
        raise
    except OSError as error:
        raise CcrouterError(f"standard output: {error.strerror or error}") from None


def abandon() -> None:
    """Standard output is not to be written to any more: what is still buffered is lost without a word.

    Left to the interpreter, it is tried once more at the end, and complained of.
    """
    with contextlib.suppress(OSError, ValueError, AttributeError):  # there is none, or it is none of the system's
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
