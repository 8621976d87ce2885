"""A command in the foreground, as if the shell had started it itself.

Theory of operation. The child shares our standard streams, our terminal and our process group, so the kernel
sends both of us what the terminal sends. Each signal has one owner:

SIGINT, SIGQUIT
    The child's: it has them already. We take notice and do nothing.
SIGTERM, SIGHUP
    Sent to us alone by whoever manages us; passed on.
SIGTSTP, SIGCONT, SIGWINCH
    Left to their default: the kernel stops, continues and tells both of us.
SIGCHLD
    The child changed. If it stopped itself alone, we stop as well: the shell waits for us, and would not
    learn that its terminal is free.

We *catch* what we do not act on rather than ignore it: the disposition "ignored" survives exec, and the child
would be deaf to Ctrl-C. For the same reason a signal that was ignored when we were started (``nohup``)
is left ignored, for the child to inherit.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

import trio

from ccrouter.cli.terminal import say

#: What a shell gives for a command that it cannot find, or not execute.
NOT_FOUND = 127
NOT_EXECUTABLE = 126

#: Seconds to see whether a child that stopped stays so. Ctrl-Z stops us with it; when we are continued, its
#: own continuation may be a moment away.
_SETTLE = 0.05

#: So many bytes of a file tell whether it is a script.
_LOOKED_AT = 128

_THEIRS = ("SIGINT", "SIGQUIT", "SIGBREAK")
_PASSED_ON = ("SIGTERM", "SIGHUP")


def find(command: str, environ: Mapping[str, str]) -> str | int:
    """The path of a command's program; or, once the reason was said, an exit code."""
    if program := shutil.which(command, path=environ.get("PATH")):
        return program
    if os.path.dirname(command) and os.path.exists(command):  # noqa: PTH110, PTH120  as in execvp, on text
        say(f"ccrouter: {command} cannot be executed; is it a program, and is its x bit set?")
        return NOT_EXECUTABLE
    if command == "claude":
        say(
            "ccrouter: claude is not on your PATH; install Claude Code (npm install -g "
            "@anthropic-ai/claude-code), or name another command: ccrouter run -- COMMAND"
        )
    else:
        say(f"ccrouter: {command}: no such command; run takes a program and its arguments")
    return NOT_FOUND


async def run_child(
    program: str,
    argv: Sequence[str],
    environ: Mapping[str, str],
    farewell: Callable[[], Awaitable[None]],
) -> int:
    """Run a command to its end and give its exit code, 128 + N for a child that signal N ended.

    ``farewell`` is awaited when it has ended; until that is done no signal ends us.
    """
    with trio.open_signal_receiver(*_received()) as arrivals:
        try:
            process = await _open(program, argv, environ)
        except OSError as error:
            return _cannot_start(argv[0], error)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_attend, process, arrivals)
            code = await process.wait()
            # The Ctrl-C that ended the child may still be on its way to us. `_attend` goes on taking signals
            # meanwhile, for what nobody takes is delivered again when the receiver closes.
            await farewell()
            nursery.cancel_scope.cancel()
    return 128 - code if code < 0 else code


async def _open(program: str, argv: Sequence[str], environ: Mapping[str, str]) -> trio.Process:
    if sys.platform == "win32":  # there `executable` is not what it is elsewhere: no .cmd files
        return await trio.lowlevel.open_process([program, *argv[1:]], env=dict(environ))
    try:
        return await trio.lowlevel.open_process(list(argv), executable=program, env=dict(environ))
    except OSError as error:
        if error.errno != errno.ENOEXEC or _is_binary(program):
            raise
    # As execvp and shells do. What npm leaves in Claude Code's place when it may run no scripts is such a file.
    return await trio.lowlevel.open_process(["/bin/sh", program, *argv[1:]], env=dict(environ))


def _is_binary(program: str) -> bool:
    """Whether its first bytes are no text, by which bash tells programs for another system from scripts."""
    try:
        with open(program, "rb") as file:  # noqa: PTH123  as in execvp, on text
            return b"\0" in file.read(_LOOKED_AT)
    except OSError:  # executable, and not readable: the shell could do no better
        return True


def _received() -> list[signal.Signals]:
    names = (*_THEIRS, *_PASSED_ON)
    numbers = [signal.Signals[name] for name in names if hasattr(signal, name)]
    wanted = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
    if sys.platform != "win32":
        wanted.append(signal.SIGCHLD)
    return wanted


async def _attend(process: trio.Process, arrivals: AsyncIterator[int]) -> None:
    async for number in arrivals:
        if process.returncode is not None:
            continue
        if signal.Signals(number).name in _PASSED_ON:
            process.send_signal(number)
        elif sys.platform != "win32" and number == signal.SIGCHLD and _stopped(process.pid):
            await trio.sleep(_SETTLE)
            if _stopped(process.pid):
                os.kill(os.getpid(), signal.SIGSTOP)


def _stopped(pid: int) -> bool:
    """Whether the child is stopped at this moment. Looks only: its end is for `trio.Process` to reap."""
    if sys.platform == "win32":
        return False
    try:
        state = os.waitid(os.P_PID, pid, os.WSTOPPED | os.WNOHANG | os.WNOWAIT)
    except (ChildProcessError, AttributeError):  # reaped; before 3.13 macOS has no waitid
        return False
    return state is not None


def _cannot_start(command: str, error: OSError) -> int:
    if isinstance(error, FileNotFoundError):  # found a moment ago, so it is what its first line names
        say(f"ccrouter: {command} cannot be started: the interpreter that it names does not exist")
        return NOT_FOUND
    say(f"ccrouter: {command} cannot be started: {error.strerror}")
    return NOT_EXECUTABLE
