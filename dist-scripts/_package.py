"""The archives of a build: which files each holds, and how they become the same bytes every time.

An archive holds one directory of its own name. On Linux and macOS there are two: the one file, and the folder
with the program at its top under the name that users call. On Windows there is the folder alone, since programs
that unpack themselves are taken for malware there.
"""

import gzip
import io
import platform
import subprocess
import sys
import tarfile
import time
import xml.etree.ElementTree as ET
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

#: The systems and machines of a release, by what Python calls them.
_SYSTEMS = {"linux": "linux", "darwin": "macos", "win32": "windows"}
_ARCHES = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}

#: Zip files know no earlier time.
_FIRST_OF_ZIP = 315_532_800


class Member(NamedTuple):
    """A file of an archive, by its name in there: a program, or something that is not run."""

    name: str
    path: Path
    program: bool = False

    @property
    def mode(self) -> int:
        """Nothing of the umask of whoever built it."""
        return 0o755 if self.program else 0o644


class Contents(NamedTuple):
    """What a build gives away: as the one file (not on Windows), and as a folder."""

    plain: list[Member]
    folder: list[Member]


def version(root: Path) -> str:
    """As ccrouter says it. Raises ValueError."""
    text = (root / "ccrouter" / "__init__.py").read_text("utf-8")
    found = text.partition('\n__version__ = "')[2].partition('"')[0]
    if not found:
        raise ValueError("ccrouter/__init__.py has no __version__")
    return found


def system() -> str:
    """This one as names of archives have it, such as linux-x64. Raises ValueError."""
    found, arch = _SYSTEMS.get(sys.platform), _ARCHES.get(platform.machine().lower())
    if found is None or arch is None:
        raise ValueError(f"no release is made for {sys.platform} on {platform.machine()}")
    return f"{found}-{arch}"


def moment(root: Path, environ: Mapping[str, str]) -> int:
    """When it was made, as far as its files say: SOURCE_DATE_EPOCH, or the commit's time. Raises ValueError."""
    given = environ.get("SOURCE_DATE_EPOCH")
    if given is None:
        command = ["git", "-C", str(root), "log", "-1", "--format=%ct"]
        try:
            given = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
        except (OSError, subprocess.CalledProcessError):
            raise ValueError("there is no git here to tell the commit's time: set SOURCE_DATE_EPOCH") from None
    if not given.isascii() or not given.isdecimal():
        raise ValueError(f"SOURCE_DATE_EPOCH is {given!r}, which is no number of seconds")
    return int(given)


def contents(built: Path, readme: Path, platform_: str) -> Contents:
    """What ``dist-scripts/build`` has left in ``built``. Raises ValueError when that is no whole build."""
    windows = platform_.startswith("windows")
    name = "ccrouter.exe" if windows else "ccrouter"
    folder = built / "ccrouter-folder"
    called = _program_of(built / "report.xml")
    inside = [path for path in sorted(folder.rglob("*")) if path.is_symlink() or path.is_file()]
    members = [Member("README.md", readme)]
    for path in inside:
        relative = path.relative_to(folder).as_posix()
        members.append(Member(name, path, program=True) if relative == called else Member(relative, path))
    notices = built / "NOTICES.txt"
    for path in (folder / called, folder / "NOTICES.txt", notices, built / name):
        if not path.is_file():
            raise ValueError(f"{path} is missing: run dist-scripts/build first")
    plain = [Member(name, built / name, program=True), Member("NOTICES.txt", notices), Member("README.md", readme)]
    return Contents([] if windows else sorted(plain), sorted(members))


def _program_of(report: Path) -> str:
    """The name of the program in the folder, as the compiler chose it."""
    try:
        found = ET.parse(report).getroot().find("python_binary")
    except OSError:
        raise ValueError(f"{report} is missing: run dist-scripts/build first") from None
    if found is None:
        raise ValueError(f"{report}: names no program")
    return found.attrib["filename"]


def write(directory: Path, stem: str, members: Iterable[Member], when: int, *, as_zip: bool) -> Path:
    """Write ``stem``'s archive into ``directory``: the same members and time give the same bytes."""
    path = directory / f"{stem}.{'zip' if as_zip else 'tar.gz'}"
    path.write_bytes((_zip if as_zip else _tar_gz)(stem, sorted(members), when))
    return path


def _tar_gz(stem: str, members: Iterable[Member], when: int) -> bytes:
    tar_file = io.BytesIO()
    with tarfile.open(fileobj=tar_file, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for member in members:
            info = tarfile.TarInfo(f"{stem}/{member.name}")  # the owner is 0, without a name
            info.mtime, info.mode = when, member.mode
            if member.path.is_symlink():
                info.type, info.linkname = tarfile.SYMTYPE, str(member.path.readlink())
                tar.addfile(info)
            else:
                content = member.path.read_bytes()
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    # gzip.compress would do, but for the time that some versions of Python write into its head.
    packed = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=packed, mtime=0) as file:
        file.write(tar_file.getvalue())
    return packed.getvalue()


def _zip(stem: str, members: Iterable[Member], when: int) -> bytes:
    packed = io.BytesIO()
    date = time.gmtime(max(when, _FIRST_OF_ZIP))
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as file:
        for member in members:
            info = zipfile.ZipInfo(f"{stem}/{member.name}", date[:6])
            info.compress_type = zipfile.ZIP_DEFLATED
            info.create_system = 3  # Unix, whatever this runs on: then the mode counts
            info.external_attr = (0o100000 | member.mode) << 16
            file.writestr(info, member.path.read_bytes())
    return packed.getvalue()
