"""The program under test: ccrouter from the sources, or the executable that CCROUTER_TEST_COMMAND names."""

from __future__ import annotations

import atexit
import functools
import os
import shlex
import shutil
import sys
import tempfile
from pathlib import Path

VARIABLE = "CCROUTER_TEST_COMMAND"


def command() -> list[str]:
    """How ccrouter is called. A program named by a path is that of the folder in which the tests were started."""
    program, *arguments = shlex.split(os.environ.get(VARIABLE, "")) or [sys.executable, "-m", "ccrouter"]
    return [str(Path.cwd() / program) if "/" in program else program, *arguments]


def sparing() -> dict[str, str]:
    """What spares an executable unpacking its 40 MB for each test anew: variables that name a cache for all."""
    return {"XDG_CACHE_HOME": str(_cache())} if os.environ.get(VARIABLE) else {}


def share_unpacked(home: Path) -> None:
    """The same for a home whose other programs are to have a cache of their own: a link in it."""
    if os.environ.get(VARIABLE):
        link = home / ".cache" / "ccrouter"
        link.parent.mkdir(mode=0o700, exist_ok=True)
        if not link.is_symlink():
            link.symlink_to(_cache() / "ccrouter", target_is_directory=True)


@functools.cache
def _cache() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="ccrouter-tests-"))
    (folder / "ccrouter").mkdir(mode=0o700)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def one_file() -> Path:
    """The executable in one file. A failure where the variable names something else."""
    words = command()
    path = Path(words[0])
    assert len(words) == 1, f"{VARIABLE} is to name build/out/ccrouter: run dist-scripts/build first"
    assert path.is_file(), f"{path} is not there: run dist-scripts/build first"
    return path


def folder_build() -> Path:
    """The program of the folder build beside it."""
    path = one_file().with_name("ccrouter-folder") / "ccrouter.bin"
    assert path.is_file(), f"{path} is not there: run dist-scripts/build first"
    return path
