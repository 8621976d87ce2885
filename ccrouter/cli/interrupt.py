"""Ctrl-C, from the first moment to the last.

Python's own way, an exception wherever the program happens to be, is no good while modules are imported: it can be
swallowed in there, leaves them half made, and crashes an executable whose modules are compiled. Nothing is to be
tidied up then. So until tasks run, and after them, the system's own way is in force, which `ccrouter.__main__`
turns on first of all: the process ends.
"""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable
from typing import TypeVar

#: The exit code of what Ctrl-C ended: 128 and the number of its signal, as shells have it.
INTERRUPTED = 130

T = TypeVar("T")


def run(main: Callable[[], Awaitable[T]]) -> T:
    """`trio.run`. Ctrl-C arrives as KeyboardInterrupt, and only where a task waits: imports go on inside, too."""
    import trio  # slow to import, and not every command needs it

    at_once = signal.getsignal(signal.SIGINT) is signal.SIG_DFL
    if at_once:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return trio.run(main, restrict_keyboard_interrupt_to_checkpoints=True)
    finally:
        if at_once:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
