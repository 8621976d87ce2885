"""``ccrouter env``: the variables that point a client at the router that runs already."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Mapping, Sequence

from ccrouter.cli import environment, runtime, shells
from ccrouter.cli.terminal import emit
from ccrouter.errors import CcrouterError

_EXAMPLE = """\
examples:
  bash, zsh, sh   eval "$(ccrouter env)" && claude
  fish            ccrouter env --format fish | source && claude
  PowerShell      ccrouter env --format powershell | Invoke-Expression; claude
  cmd             for /f "delims=" %i in ('ccrouter env --format cmd') do @%i
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare ``env``."""
    parser = subparsers.add_parser(
        "env",
        description="Print the variables that point Claude Code at the running router.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--format",
        choices=shells.FORMATS,
        default="sh",
        metavar="F",
        help=f"one of {', '.join(shells.FORMATS)} (default: sh)",
    )
    parser.add_argument("--port", type=int, metavar="N", help="of the router on this port, where several run")


def run(args: argparse.Namespace) -> int:
    """Print them; or, for the shell that reads them, that there are none."""
    try:
        emit(_found(args))
    except Exception:  # a mistake of ours is no reason either to go on without a router
        fail(args.format)
        raise
    return 0


def fail(fmt: shells.Format | None) -> None:
    """Have the shell that reads us fail. A terminal is not told: there it would be one more line to wonder at."""
    if sys.stdout is not None and not sys.stdout.isatty():
        with contextlib.suppress(CcrouterError, OSError):  # who can't be told that either
            emit(shells.failing(fmt))


def asked_format(arguments: Sequence[str]) -> shells.Format | None:
    """The format that is asked for by arguments with a mistake in them; None where that can't be told."""
    found = ""
    for word, following in zip(arguments, (*arguments[1:], ""), strict=True):
        flag, equals, value = word.partition("=")
        if flag == "--format":
            found = value if equals else following
    return next((fmt for fmt in shells.FORMATS if fmt == found), None)


def _found(args: argparse.Namespace) -> str:
    serving = [each for each in runtime.answering(os.environ) if each.purpose == "serve"]
    found = chosen(serving, args.port)
    return variables(found, args.format, os.environ)


def variables(router: runtime.Record, fmt: shells.Format, environ: Mapping[str, str]) -> str:
    """What points a client at ``router``, in the words of ``fmt``; ``serve --print-env`` prints the same."""
    env = environment.printed(router.url, router.token, environ, windows=sys.platform == "win32")
    extras: dict[str, str | int] = {
        "url": router.url,
        "port": router.port,
        "pid": router.pid,
        "version": router.version,
    }
    return shells.render(env, fmt, extras)


def joining(options: str, *, windows: bool) -> str:
    """The line for a shell that starts Claude Code behind the running router, and not at all without one."""
    if windows:
        return f"ccrouter env{options} --format powershell | Invoke-Expression; claude"
    return f'eval "$(ccrouter env{options})" && claude'


def chosen(records: list[runtime.Record], port: int | None) -> runtime.Record:
    """The router that is meant: by its port, else the only one."""
    if found := runtime.on_port(records, port):
        return found
    if not records:
        raise CcrouterError("no router of yours is running; start one with `ccrouter` in another terminal")
    if len(records) > 1:
        raise CcrouterError(f"routers run on ports {runtime.ports(records)}; choose with --port")
    return records[0]
