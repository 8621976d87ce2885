"""Files of this machine: where their user's are, what is read of them without waiting, how one is replaced.

All of it blocks, for as long as a local disk takes: some microseconds, with `Replacement` some milliseconds.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Self

from attrs import frozen

# Where they are


def home(environ: Mapping[str, str], platform: str = sys.platform) -> Path:
    """The user's directory; one that is not there for who has none, such as a mere number in a container.

    Where Windows has HOME at all, a shell brought it, and in a spelling of its own; the programs whose files are
    looked for go by USERPROFILE. ``platform`` is as in ``sys.platform``.
    """
    windows = platform == "win32"
    if named := (windows and environ.get("USERPROFILE")) or environ.get("HOME"):
        return Path(named)
    try:
        return Path.home()
    except RuntimeError:
        return Path("/nonexistent")


def expand_home(path: str, environ: Mapping[str, str], platform: str = sys.platform) -> Path:
    """``path`` with a leading ``~`` replaced by the user's directory.

    Shells do that before they call us; service files and editors' settings do not.
    """
    if path != "~" and not path.startswith(("~/", "~\\")):
        return Path(path)
    return home(environ, platform) / path[2:]


# Which version of a file is there


@frozen
class Stamp:
    """What tells one version of a file from another. Times are in nanoseconds since 1970."""

    inode: int
    size: int
    changed: int
    allowed: int
    """When its owner or mode changed: who may read it is a part of what can be read."""

    @classmethod
    def of(cls, seen: os.stat_result) -> Stamp:
        """That of a file that was looked at."""
        return cls(seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns)


def stamp(path: Path | str) -> Stamp | None:
    """The stamp of a file; None: there is none that can be read."""
    try:
        seen = os.stat(path)  # noqa: PTH116  half as long as Path.stat, many times for each request
    except (OSError, ValueError):  # ValueError: a NUL in a path that a client named
        return None
    return Stamp.of(seen)


# What stands in it


class NotRegular(OSError):
    """What would have been opened is no regular file: reading it could block, or never end."""


class TooLarge(OSError):
    """A file is larger than what is looked for can be."""


def open_regular(path: Path) -> BinaryIO:
    """A regular file, open. Raises OSError; its ``strerror`` is fit for a message.

    It is read at once, on the event loop: what could block there (a pipe, a terminal) is refused, `NotRegular`.
    """
    try:
        _must_be_regular(path.stat())  # some devices do something when they are opened
        file = open(path, "rb", opener=_open_at_once)  # noqa: SIM115  who called closes it
    except ValueError:  # a NUL in the path
        raise OSError(errno.EINVAL, "Not a file name") from None
    try:
        _must_be_regular(os.fstat(file.fileno()))  # it may have come between
    except BaseException:
        file.close()
        raise
    return file


def read_regular(path: Path, limit: int) -> bytes:
    """The content of a regular file of at most ``limit`` bytes. Raises as `open_regular` does, and `TooLarge`."""
    with open_regular(path) as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise TooLarge(errno.EFBIG, f"Larger than {limit // 1024} KiB")
    return content


def _must_be_regular(seen: os.stat_result) -> None:
    if not stat.S_ISREG(seen.st_mode):
        raise NotRegular(errno.EINVAL, "Not a regular file")


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


# Its next version


class Replacement:
    """A new version of a file, in two steps: the room for it when the context is entered, then `put`.

    Both raise OSError. Whenever it ends, the file is the old one or the new one; left without `put`, the old one.
    A link in the file's place is replaced, not followed. Nobody but its owner may read the new one, or with
    ``as_before`` who may read the old one, which must be there then.
    """

    def __init__(self, path: Path, *, as_before: bool = False) -> None:
        self._path = path
        self._as_before = as_before
        self._file = -1
        self._draft = ""

    def __enter__(self) -> Self:
        # Beside the file: a rename is atomic only within one file system. Nobody else may read it (0600).
        self._file, self._draft = tempfile.mkstemp(prefix=f".{self._path.name}.", dir=self._path.parent)
        return self

    def __exit__(self, *_: object) -> None:
        _give_back(*self._taken())

    def put(self, content: bytes, *, durable: bool = True) -> os.stat_result:
        """Replace the file by ``content``; what it is now. ``durable``: also after a power cut.

        The context may be left meanwhile, by who does not wait for the thread that this runs in.
        """
        file, draft = self._taken()
        try:
            before = self._path.stat() if self._as_before else None
            with os.fdopen(file, "wb", closefd=False) as written:
                written.write(content)
            if before is not None and hasattr(os, "fchmod"):
                if before.st_uid != os.getuid():
                    with suppress(PermissionError):
                        os.fchown(file, before.st_uid, before.st_gid)
                os.fchmod(file, stat.S_IMODE(before.st_mode))
            if durable:
                os.fsync(file)  # or the name could be left to an empty file
            found = os.fstat(file)
            os.close(file)
            file = -1
            Path(draft).replace(self._path)
            draft = ""
        finally:
            _give_back(file, draft)
        if durable:
            _sync_folder(self._path.parent)
        return found

    def _taken(self) -> tuple[int, str]:
        """The open draft and its path, now the caller's to give back."""
        file, draft, self._file, self._draft = self._file, self._draft, -1, ""
        return file, draft


def _give_back(file: int, draft: str) -> None:
    if file >= 0:
        os.close(file)
    if draft:
        with suppress(OSError):
            Path(draft).unlink()


def _sync_folder(path: Path) -> None:
    """Let the rename survive a power cut too. It has happened: where a folder can't be synced, so be it."""
    if hasattr(os, "O_DIRECTORY"):
        with suppress(OSError):
            folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
