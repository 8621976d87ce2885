"""``ccrouter upgrade``: how this ccrouter was installed, and the command that brings a newer one.

It changes nothing and asks nobody: who runs the command decides when.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import ccrouter
from ccrouter.cli.here import here
from ccrouter.cli.installed import Facts, installed
from ccrouter.cli.terminal import emit

#: Set in the container image.
CONTAINER = "CCROUTER_CONTAINER"


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare ``upgrade``."""
    subparsers.add_parser(
        "upgrade",
        description="Say how this ccrouter was installed, and print the command that brings a newer one. Nothing "
        "is changed or downloaded.",
        epilog='example: eval "$(ccrouter upgrade)"',
    )


def run(args: argparse.Namespace) -> int:
    """Say it: the command on standard output, the rest on standard error."""
    del args
    found = installed(facts())
    print(f"ccrouter {ccrouter.__version__} is {found.how}.", file=sys.stderr)
    if found.command is None:
        return 0
    print("A newer one comes with:", file=sys.stderr, flush=True)
    emit(found.command + "\n")
    return 0


def facts() -> Facts:
    """What is known of the program that runs."""
    compiled = globals().get("__compiled__")  # Nuitka's, in modules that it compiled
    form = None
    program = Path(sys.argv[0])
    if compiled is not None:
        form = "onefile" if compiled.onefile else "folder"
        called = compiled.original_argv0 or sys.argv[0]
        program = Path(shutil.which(called) or called)
    home, local = os.environ.get("HOME"), os.environ.get("LOCALAPPDATA")
    root = Path(ccrouter.__file__).resolve().parents[1]
    return Facts(
        form=form,
        program=Path(os.path.realpath(program)) if program.is_absolute() or here() else program,
        prefix=Path(sys.prefix),
        home=Path(home) if home else None,
        local=Path(local) if local else None,
        checkout=root if (root / ".git").exists() else None,
        record=_record,
        releases=ccrouter.__releases__ or None,
        container=bool(os.environ.get(CONTAINER)),
    )


def _record(name: str) -> str | None:
    """A file of the metadata of the package that runs; not that of another copy which is installed besides."""
    try:
        found = distribution("ccrouter")
    except PackageNotFoundError:
        return None
    if found.read_text("direct_url.json") is None:  # in place, the code is elsewhere
        place = Path(str(found.locate_file("ccrouter"))).resolve()
        if place != Path(ccrouter.__file__).resolve().parent:
            return None
    return found.read_text(name)
