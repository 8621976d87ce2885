"""When the one who started us is gone, so are we: the two ways in which a sidecar notices.

Each function returns when its lifeline is cut, and can be cancelled at any time.
"""

from __future__ import annotations

import os
import sys

import trio

from ccrouter.cli.terminal import say
from ccrouter.errors import UsageError

#: Seconds between two looks at the parent where the kernel has no better way to tell.
_LOOK = 0.5

#: So much of what is written to our standard input is thrown away at a time.
_DISCARD = 65536


def parent() -> int:
    """The process id of our parent, for `parent_gone`; the earlier it is asked for the better.

    Raises UsageError where a parent cannot be watched.
    """
    if sys.platform == "win32":  # a parent's id says nothing there: it may be another process by now
        raise UsageError("--exit-with-parent is not available on Windows; use --exit-on-stdin-close")
    return os.getppid()


async def parent_gone(parent: int) -> None:
    """Returns when ``parent`` has ended. Notices one that ended before we could look."""
    if sys.platform == "win32":
        return
    if adopted(parent):
        return
    if sys.platform == "linux":
        try:
            watched = os.pidfd_open(parent)
        except (OSError, AttributeError):  # too many files, an old kernel, a sandbox that forbids it
            pass
        else:
            try:
                # The id was the parent's when we looked; if it still is, the descriptor is the parent's.
                if os.getppid() == parent:
                    await trio.lowlevel.wait_readable(watched)
                return
            finally:
                trio.lowlevel.notify_closing(watched)
                os.close(watched)
    while os.getppid() == parent:  # noqa: ASYNC110  nobody but the kernel knows, and it does not say
        await trio.sleep(_LOOK)


def adopted(parent: int) -> bool:
    """Whether this parent is not the one that started us, but who takes in orphans.

    It cannot be asked directly; init may well be the real parent, in a container or as a service. But a session
    is handed down: unless we lead our own, a real parent is in ours.
    """
    if sys.platform == "win32" or parent == 0:  # 0: the parent is outside of our container
        return False
    if os.getsid(0) == os.getpid():
        return False
    try:
        return os.getsid(parent) != os.getsid(0)
    except ProcessLookupError:
        return True
    except PermissionError:  # some systems tell only of one's own session
        return True


async def stdin_closed() -> None:
    """Returns when standard input ends; what comes before is thrown away."""
    if sys.stdin is None:  # closed when we started; its number may be something else's by now
        say("ccrouter: standard input is closed, so --exit-on-stdin-close ends the router at once")
        return
    fd = sys.stdin.fileno()
    if sys.platform == "win32":
        # There is no waiting for a pipe. The thread that is left behind ends with the program.
        while await trio.to_thread.run_sync(os.read, fd, _DISCARD, abandon_on_cancel=True):
            pass
        return
    while True:
        try:
            # Not by a non-blocking stream: that mode belongs to the open file, which we share with whoever
            # gave it to us, and a terminal in that mode breaks the shell.
            await trio.lowlevel.wait_readable(fd)
        except OSError:
            # A file or /dev/null: always readable, so never awaited; nobody can close it to tell us anything.
            say(
                "ccrouter: standard input is a file, which counts as closed: --exit-on-stdin-close ends the "
                "router at once; give it a pipe"
            )
            return
        try:
            if not os.read(fd, _DISCARD):
                return
        except BlockingIOError:
            continue
        except OSError:  # a terminal that was hung up
            return
