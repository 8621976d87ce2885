"""The root file system of the container image: the folder build, and what that needs of the system around it.

Which libraries those are, and where the image must have them, the system's own loader says: it resolves every
program and library of the folder by its built-in search path alone, which is all that it has in the image too.
The same folder on the same system gives the same tree, bytes, modes and times included.
"""

import os
import re
import shutil
import struct
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from _build_notices import of_library

#: Where the folder build stands in the image.
PLACE = Path("usr/lib/ccrouter")

#: Links in the image, to what is in the folder build. A file that is mounted over one takes the other's place.
LINKS = {
    "usr/bin/ccrouter": "../lib/ccrouter/{program}",
    "etc/ssl/certs/ca-certificates.crt": "../../../usr/lib/ccrouter/certifi/cacert.pem",
}

#: Where runtimes mount what the kernel provides. The program needs /proc to find its own folder.
MOUNT_POINTS = ("dev", "proc", "sys")

#: What no file names, since the C library loads it by itself when it comes to it: to end a thread, and, before
#: glibc 2.34, to look up a name.
LOADED_LATE = ("libgcc_s.so.1", "libnss_dns.so.2", "libnss_files.so.2")

#: Where Debian's copyright files send the reader for whole licences.
_COMMON_LICENCE = re.compile(r"/usr/share/common-licenses/[\w.-]*\w")


class Needs(NamedTuple):
    """What a folder build needs beside itself, as absolute paths of this system."""

    program: Path
    """The one program in the folder; relative to it."""
    loader: Path
    libraries: list[Path]


def assemble(folder: Path, recipe: Path, root: Path) -> Needs:
    """Make ``root`` anew, with the files in ``recipe``. Raises ValueError where that can't become an image."""
    needs = needs_of(folder)
    if root.exists():
        if any(root.iterdir()) and not (root / PLACE / needs.program).is_file():
            raise ValueError(f"{root}: holds something else than an image's files, and it would be removed")
        shutil.rmtree(root)
    shutil.copytree(folder, root / PLACE, symlinks=True)
    shutil.copytree(recipe, root, dirs_exist_ok=True)
    for library in (needs.loader, *needs.libraries):
        _take(library, root)
        terms = [path for path in of_library(library) if path.is_file()]
        if not terms:
            raise ValueError(f"the image would hold {library}, whose licence text is not on this system")
        for text in terms:
            _take(text, root)
            for licence in _COMMON_LICENCE.findall(text.read_text("utf-8", "replace")):
                _take(Path(licence), root)
    for name, target in LINKS.items():
        link = root / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(target.format(program=needs.program))
        if not link.resolve().is_file():
            raise ValueError(f"{folder}: holds nothing for the image's /{name}")
    for name in MOUNT_POINTS:
        (root / name).mkdir()
    _settle(root)
    return needs


def needs_of(folder: Path) -> Needs:
    """Ask the loader. Raises ValueError when the folder is no build for this system, or something is missing."""
    elves = [path for path in sorted(folder.rglob("*")) if path.is_file() and is_elf(path)]
    programs = {path: loader for path in elves if (loader := interpreter(path.read_bytes())) is not None}
    if len(programs) != 1:
        raise ValueError(f"{folder}: holds {len(programs)} programs, and a folder build has one")
    (program, loader), *_ = programs.items()
    found = resolved(loader, elves)
    libc = next((path for path in found if path.name.startswith("libc.so.")), None)
    if libc is None:
        raise ValueError(f"{program}: needs no libc.so; an image can be made of a build for glibc only")
    late = [libc.parent / name for name in LOADED_LATE]
    found |= {*late, *resolved(loader, late)}
    outside = sorted(path for path in found if folder not in path.parents and path != loader)
    return Needs(program.relative_to(folder), loader, outside)


def resolved(loader: Path, elves: Iterable[Path]) -> set[Path]:
    """The libraries that files need, and those that these need. Raises ValueError for what is not found."""
    found = set()
    for path in elves:
        # The cache knows folders that the image's loader will not look into.
        command = [str(loader), "--inhibit-cache", "--list", str(path)]
        try:
            done = subprocess.run(command, env={}, capture_output=True, text=True, check=False)
        except OSError as error:
            raise ValueError(f"{path}: its loader {loader} does not run here: {error.strerror}") from None
        if done.returncode != 0:
            raise ValueError(f"{path}: {' '.join((done.stderr or done.stdout).split())}")
        for line in done.stdout.splitlines():
            name, arrow, where = line.strip().partition(" => ")
            if where.startswith("not found"):
                raise ValueError(f"{path}: needs {name}, which is not in the loader's own search path")
            if arrow:
                found.add(Path(os.path.normpath(where.rpartition(" (")[0])))
    return found


def is_elf(path: Path) -> bool:
    """Whether it is a program or a library."""
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


def interpreter(elf: bytes) -> Path | None:
    """The loader that a program asks for (PT_INTERP); None for a library.

    Raises ValueError for what is not a 64-bit little-endian ELF file.
    """
    if elf[:6] != b"\x7fELF\x02\x01":
        raise ValueError("not a 64-bit little-endian ELF file")
    (start,) = struct.unpack_from("<Q", elf, 0x20)
    size, count = struct.unpack_from("<HH", elf, 0x36)
    for index in range(count):
        kind, _, offset, _, _, length = struct.unpack_from("<IIQQQQ", elf, start + index * size)
        if kind == 3:
            return Path(elf[offset : offset + length].rstrip(b"\0").decode("ascii"))
    return None


def _take(path: Path, root: Path) -> None:
    """A file of the system, to its own place in the image; where it is a link, what that leads to."""
    target = root / path.relative_to("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, target)
    shutil.copymode(path, target)


def _settle(root: Path) -> None:
    """Modes and times that depend on nobody's umask or clock; nothing that anybody but root may change."""
    for path in (root, *root.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
    for path in (root, *root.rglob("*")):
        os.utime(path, (0, 0), follow_symlinks=False)
