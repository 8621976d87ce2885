"""``ccrouter serve``: the router in the foreground, for a person at a terminal or as another program's sidecar.

With ``--print-env`` the variables are the only thing that ever goes to standard output.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import ccrouter
from ccrouter.cli import env, interrupt, runtime, shells
from ccrouter.cli.terminal import emit, say
from ccrouter.errors import CcrouterError
from ccrouter.routing.config import DEFAULT_PORT

if TYPE_CHECKING:
    import trio

    from ccrouter.service import Options, Running

    Lifeline = Callable[[], Awaitable[None]]

#: SIGHUP: the terminal is gone. SIGBREAK: what Windows sends to a group of processes.
_STOPS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")


class Serve(Protocol):
    """`ccrouter.service.serve`."""

    async def __call__(self, options: Options, *, task_status: trio.TaskStatus[Running]) -> None:
        """Serve until stopped."""
        ...


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare ``serve``."""
    parser = subparsers.add_parser(
        "serve",
        description="Serve in the foreground until SIGTERM or Ctrl-C; the second one stops at once.",
        epilog="example, as a sidecar: ccrouter --port 0 --print-env=json",
    )
    parser.add_argument("--host", metavar="H", help="listen here (default: as configured, else 127.0.0.1)")
    parser.add_argument(
        "--port",
        metavar="N",
        type=_port,
        help=f"listen on this port, 0 for a free one (default: as configured, else {DEFAULT_PORT})",
    )
    parser.add_argument("--config", metavar="FILE", type=Path, help="use this configuration")
    parser.add_argument(
        "--print-env",
        nargs="?",
        const="sh",
        choices=shells.FORMATS,
        metavar="FORMAT",
        help=f"print the variables for a client once connections are accepted: {', '.join(shells.FORMATS)}",
    )
    parser.add_argument(
        "--exit-with-parent", action="store_true", help="stop when the process that started this one ends"
    )
    parser.add_argument("--exit-on-stdin-close", action="store_true", help="stop when standard input ends")


def _port(text: str) -> int:
    if not (re.fullmatch("0*[0-9]{1,5}", text) and int(text[-5:]) < 65536):
        raise argparse.ArgumentTypeError(f"{text!r} is no port: a number from 0 to 65535 is needed")
    return int(text[-5:])


def run(args: argparse.Namespace) -> int:
    """Serve."""
    # The modules that serve are slow to import, and no other command needs them. The parent is looked at first:
    # it may end meanwhile.
    from ccrouter.cli import lifeline

    lifelines: list[Lifeline] = []
    if args.exit_with_parent:
        lifelines.append(partial(lifeline.parent_gone, lifeline.parent()))
    if args.exit_on_stdin_close:
        lifelines.append(lifeline.stdin_closed)

    from ccrouter.service import Options, serve

    return interrupt.run(
        partial(
            serve_until_stopped,
            Options(config=args.config, host=args.host, port=args.port, log=say),
            print_env=args.print_env,
            lifelines=lifelines,
            environ=dict(os.environ),
            serve=serve,
        )
    )


async def serve_until_stopped(
    options: Options,
    *,
    print_env: shells.Format | None,
    lifelines: Sequence[Lifeline],
    environ: Mapping[str, str],
    serve: Serve,
) -> int:
    """Serve until a signal or the end of a lifeline, and give the exit code."""
    import trio  # see `run`

    numbers = [getattr(signal, name) for name in _STOPS if hasattr(signal, name)]
    wanted = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]  # nohup
    with trio.open_signal_receiver(*wanted) as arrivals:
        async with trio.open_nursery() as nursery:
            stop = _Stop(nursery.cancel_scope)
            nursery.start_soon(stop.on_signals, arrivals)
            running: Running = await nursery.start(partial(_served, serve, options, stop))
            stop.running = running
            for lifeline in lifelines:
                nursery.start_soon(stop.after, lifeline)
            with contextlib.ExitStack() as stack:
                if print_env is None:
                    _invite(running, stack, environ)
                else:
                    record = runtime.record(running.url, running.port, running.token, "sidecar")
                    stack.enter_context(runtime.findable(record, environ))
                    emit(env.variables(record, print_env, environ))
                await stop.ended.wait()
            nursery.cancel_scope.cancel()
    return stop.code


async def _served(serve: Serve, options: Options, stop: _Stop, *, task_status: trio.TaskStatus[Running]) -> None:
    try:
        await serve(options, task_status=task_status)
    finally:
        stop.ended.set()


def _invite(running: Running, stack: contextlib.ExitStack, environ: Mapping[str, str]) -> None:
    """Tell a person what to do next, and let ``ccrouter env`` find us until ``stack`` is closed."""
    record = runtime.record(running.url, running.port, running.token)
    say(f"ccrouter {ccrouter.__version__} serves on {running.url}; Ctrl-C stops it")
    try:
        stack.enter_context(runtime.announced(record, environ))
    except (CcrouterError, OSError) as error:
        say(f"ccrouter: `ccrouter env` will not find this router: {error}")
        return
    port = f" --port {running.port}" if running.port != DEFAULT_PORT else ""
    say(f"to point Claude Code at it, in another terminal: {env.joining(port, windows=sys.platform == 'win32')}")


class _Stop:
    """How the router stops: gently at the first signal or the end of a lifeline, at once at the second signal."""

    def __init__(self, starting: trio.CancelScope) -> None:
        import trio  # see `run`

        self._starting = starting
        self._signals = 0
        self._draining = False
        self.running: Running | None = None
        self.ended = trio.Event()
        self.code = 0

    async def on_signals(self, arrivals: AsyncIterator[int]) -> None:
        """Take signals until cancelled."""
        async for number in arrivals:
            self._signals += 1
            if self._signals == 1 and number == signal.SIGINT:
                self.code = interrupt.INTERRUPTED
            if self.running is None:
                self._starting.cancel()
            elif self._signals == 1:
                self._drain(self.running, "once more to stop at once")
            else:
                self.running.end()

    async def after(self, lifeline: Lifeline) -> None:
        """Stop when this lifeline is cut."""
        await lifeline()
        if self.running is not None:
            self._drain(self.running, "who started it is gone")

    def _drain(self, running: Running, remark: str) -> None:
        if self._draining:
            return
        self._draining = True
        running.drain()
        if count := running.busy:
            streams = "request" if count == 1 else "requests"
            say(f"ccrouter: stopping; {count} {streams} may finish ({remark})")
