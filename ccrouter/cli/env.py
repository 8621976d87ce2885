"""``ccrouter env``: the variables that point a client at the router that runs already."""

from __future__ import annotations

import argparse
import os

from ccrouter.cli import runtime, shells
from ccrouter.cli.serve import variables
from ccrouter.cli.terminal import emit
from ccrouter.errors import CcrouterError
from ccrouter.routing.config import DEFAULT_PORT


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare ``env``."""
    parser = subparsers.add_parser(
        "env",
        description="Print the variables that point Claude Code at the running router.",
        epilog='example: eval "$(ccrouter env)"      fish: ccrouter env --format fish | source',
    )
    parser.add_argument(
        "--format",
        choices=shells.FORMATS,
        default="sh",
        metavar="F",
        help=f"one of {', '.join(shells.FORMATS)} (default: sh)",
    )
    parser.add_argument("--port", type=int, metavar="N", help="of the router on this port")


def run(args: argparse.Namespace) -> int:
    """Print them."""
    serving = [each for each in runtime.running(os.environ) if each.purpose == "serve"]
    found = chosen(serving, args.port)
    emit(variables(found.url, found.port, found.pid, found.token, args.format, os.environ))
    return 0


def chosen(records: list[runtime.Record], port: int | None) -> runtime.Record:
    """The router that is meant: the one on ``port``, the one on the default port, or the only one."""
    ports = ", ".join(str(record.port) for record in records)
    if port is not None:
        for record in records:
            if record.port == port:
                return record
        raise CcrouterError(
            f"no router of yours serves on port {port}" + (f"; there is one on {ports}" if ports else "")
        )
    if not records:
        raise CcrouterError("no router of yours is running; start one with `ccrouter` in another terminal")
    for record in records:
        if record.port == DEFAULT_PORT:
            return record
    if len(records) > 1:
        raise CcrouterError(f"routers run on ports {ports}; choose with --port")
    return records[0]
