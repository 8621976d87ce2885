"""The list of what is inside of the executable: a CycloneDX 1.6 document from the compiler's report and the files.

The report names every module and where it came from; the version of a C library is read from its bytes, where it
has one, or is that of the package of the system that it came from. What is not found in there is not listed: zlib,
say, where the system's own is used. Written as plain JSON, because packing needs nothing but Python this way;
a test validates it by the official schema.
"""

import hashlib
import json
import platform
import re
import shutil
import subprocess
import uuid
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from _libraries import PYTHON_LIBRARY, Library, held, shared_libraries
from _package import Member

Json = dict[str, Any]

OURS, PYTHON, COMPILER = "ccrouter", "Python", "Nuitka's run-time library"

#: Licences that older metadata names as SPDX does.
_SPDX = {"MIT", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MPL-2.0", "PSF-2.0"}


def bom(
    report: Path,
    files: Iterable[Member],
    packages: Path,
    *,
    name: str,
    version: str,
    when: int,
    archives: Iterable[Path],
) -> Json:
    """The document for a build.

    ``files`` are those of the folder, ``packages`` where the build took its Python packages from, ``name`` that of
    the release's archives. Raises ValueError when something is inside whose origin is not clear.
    """
    found = _Inside(ET.parse(report).getroot(), sorted(files), packages, version)
    document: Json = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "lifecycles": [{"phase": "build"}],
            "component": found.ours(name, archives),
        },
        "components": [*found.parts(), *found.files()],
        "dependencies": found.uses(),
    }
    # One number for one content, and another for another: nothing here is of chance.
    content = json.dumps(document, sort_keys=True)
    return {**document, "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, content)}"}


class _Inside:
    """What the report and the files tell. A part is known by its name, as the report has it, or by the above."""

    def __init__(self, report: ET.Element, files: list[Member], packages: Path, version: str) -> None:
        if report.get("completion") != "yes":
            raise ValueError("the report is not that of a whole build")
        self._report = report
        self._files = files
        self._version = version
        self._installed = {_normal(each.name): each for each in distributions(path=[str(packages)])}
        self._packages = packages
        self._owners = {each.attrib["name"]: _owner(each) for each in report.iter("module")}
        self._used = self._usages()
        self._parts = {part["name"]: part for part in self._found()}

    def ours(self, name: str, archives: Iterable[Path]) -> Json:
        """The executable."""
        program = [member.name for member in self._files if member.program]
        return {
            **_part(
                OURS, self._version, f"pkg:generic/ccrouter@{self._version}", files=program, kind="application"
            ),
            "externalReferences": [
                {
                    "type": "distribution",
                    "url": path.name,
                    "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(path.read_bytes()).hexdigest()}],
                }
                for path in sorted(archives)
            ],
            "properties": [{"name": "ccrouter:archive", "value": name}],
        }

    def parts(self) -> list[Json]:
        """Everything of others'."""
        return sorted(self._parts.values(), key=lambda part: str(part["bom-ref"]))

    def files(self) -> list[Json]:
        """Each file of the folder."""
        return [
            {
                "type": "file",
                "bom-ref": f"file:{member.name}",
                "name": member.name,
                "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(member.path.read_bytes()).hexdigest()}],
            }
            for member in self._files
        ]

    def uses(self) -> list[Json]:
        """Which part needs which, as far as imports and links tell."""
        references = {name: str(part["bom-ref"]) for name, part in self._parts.items()}
        references[OURS] = f"pkg:generic/ccrouter@{self._version}"
        return [
            {"ref": reference, "dependsOn": sorted(references[used] for used in self._used.get(name, ()))}
            for name, reference in sorted(references.items(), key=lambda item: item[1])
        ]

    def _usages(self) -> dict[str, set[str]]:
        used: dict[str, set[str]] = {OURS: {COMPILER}}
        for module in self._report.iter("module"):
            owner = self._owners[module.attrib["name"]]
            names = {each.attrib["name"] for each in module.iter("distribution-usage")}
            if owner not in (PYTHON, COMPILER):
                used.setdefault(owner, set()).update(names - {owner} | {PYTHON})
        return used

    def _found(self) -> Iterator[Json]:
        python = self._report.find("python")
        if python is None:
            raise ValueError("the report does not name its Python")
        version = python.attrib["python_version"]
        files = self._files_of()
        yield _part(
            PYTHON,
            version,
            f"pkg:generic/python@{version}",
            licences=[{"license": {"id": "PSF-2.0"}}],
            cpe="python:python",
            files=files.get(PYTHON, []),
        )
        for each in self._report.iter("distribution"):
            yield self._distribution(
                each.attrib["name"], each.attrib["version"], files.get(each.attrib["name"], [])
            )
        yield from self._compiler()
        yield from self._libraries()

    def _files_of(self) -> dict[str, list[str]]:
        """The files of the folder that are somebody's own: extension modules, and data of packages."""
        files: dict[str, list[str]] = {}
        for each in self._report.iter("included_extension"):
            path = each.attrib["dest_path"].replace("\\", "/")
            module = path.removesuffix(Path(path).suffix).replace("/", ".")
            files.setdefault(self._owners.get(module, PYTHON), []).append(path)
        for each in self._report.iter("data_file"):
            path = each.attrib["name"].replace("\\", "/")
            owner = self._owners.get(path.split("/", maxsplit=1)[0])
            if owner is None:
                raise ValueError(f"{path}: the report does not tell whose it is")
            files.setdefault(owner, []).append(path)
        for each in self._report.iter("included_dll"):
            if PYTHON_LIBRARY.match(each.attrib["name"]):
                files.setdefault(PYTHON, []).append(each.attrib["dest_path"].replace("\\", "/"))
        return files

    def _distribution(self, name: str, version: str, files: list[str]) -> Json:
        installed = self._installed.get(_normal(name))
        if installed is None or installed.version != version:
            raise ValueError(
                f"{self._packages} has no {name} {version}, which is in the executable: run dist-scripts/build"
            )
        return _part(
            name, version, f"pkg:pypi/{_normal(name)}@{version}", licences=_licences(installed), files=files
        )

    def _compiler(self) -> Iterator[Json]:
        """What Nuitka itself adds to a program."""
        version = self._report.attrib["nuitka_version"]
        exception = [{"license": {"name": "Nuitka Runtime Library Exception"}}]
        yield _part(COMPILER, version, f"pkg:pypi/nuitka@{version}", licences=exception)
        if self._report.find("onefile_binary") is None:
            return
        # Its copy of the decompressor is in the one file.
        header = (self._packages / "nuitka" / "build" / "inline_copy" / "zstd" / "zstd.h").read_text("utf-8")
        numbers = re.findall(r"#define ZSTD_VERSION_(?:MAJOR|MINOR|RELEASE) +(\d+)", header)
        zstd = ".".join(numbers)
        bsd = [{"license": {"id": "BSD-3-Clause"}}]
        yield _part("Zstandard", zstd, f"pkg:generic/zstd@{zstd}", licences=bsd, cpe="facebook:zstandard")
        self._used[COMPILER] = {"Zstandard"}

    def _libraries(self) -> Iterator[Json]:
        shared = shared_libraries(self._report)
        for each in held(self._files, shared):
            yield self._library(*each, shared)

    def _library(self, library: Library, version: str, files: list[str], shared: dict[str, Path]) -> Json:
        self._used.setdefault(PYTHON, set()).add(library.name)
        package = next(filter(None, (_debian_package(shared[file]) for file in files if file in shared)), None)
        # The package's number tells which of its distribution's repairs are in.
        if package is not None:
            version = version or package.upstream
        at = f"@{version}" if version else ""
        return _part(
            library.name,
            version,
            package.purl if package else f"pkg:generic/{quote(library.name.lower())}{at}",
            licences=[{"license": {"id": library.licence}}] if library.licence else [],
            cpe=library.cpe,
            files=files,
        )


def _owner(module: ET.Element) -> str:
    """Whose a module is. Raises ValueError when that can't be told: nothing may go out without a word of it."""
    name, source = module.attrib["name"], module.get("source_path", "").replace("\\", "/")
    if name.endswith(("-preLoad", "-postLoad")):
        return COMPILER
    distribution = module.get("distribution")
    if distribution is not None:
        return distribution
    if name.split(".")[0] == OURS or (name == "__parents_main__" and f"/{OURS}/" in source):
        return OURS
    if source.startswith("${sys.real_prefix}") and "site-packages" not in source:
        return PYTHON
    raise ValueError(f"{name} ({source}): the report does not tell whose it is")


class _Package(NamedTuple):
    purl: str
    upstream: str


def _debian_package(library: Path) -> _Package | None:
    """The system's package that a shared library was taken from, if this is a system of that kind."""
    if shutil.which("dpkg-query") is None or not library.is_file():
        return None
    # /lib is a link to /usr/lib, and the package knows the file by the one or the other.
    for path in (library, library.resolve(), Path("/usr", *library.parts[1:])):
        owned = _said("dpkg-query", "--search", str(path))
        if owned:
            told = _said("dpkg-query", "--show", "-f=${Package} ${Version} ${Architecture}", owned.split(": ")[0])
            name, version, arch = told.split()
            release = platform.freedesktop_os_release()
            place = f"arch={arch}&distro={release['ID']}-{release['VERSION_ID']}"
            upstream = version.split(":")[-1].rpartition("-")[0] or version
            return _Package(f"pkg:deb/{release['ID']}/{name}@{quote(version, safe=':')}?{place}", upstream)
    return None


def _said(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def _licences(distribution: Distribution) -> list[Json]:
    """As its metadata says, in SPDX's words where those are used."""
    expression = "".join(distribution.metadata.get_all("License-Expression") or ())
    text = "".join(distribution.metadata.get_all("License") or ())
    if not expression and set(re.split(r" (?:OR|AND) ", text)) <= _SPDX:
        expression = text
    if expression:
        return [{"expression": expression}]
    return [{"license": {"name": text}}] if text and "\n" not in text else []


def _part(
    name: str,
    version: str,
    purl: str,
    *,
    licences: Iterable[Json] = (),
    cpe: str = "",
    files: Iterable[str] = (),
    kind: str = "library",
) -> Json:
    part: Json = {"type": kind, "bom-ref": purl, "name": name, "version": version, "purl": purl}
    part["licenses"] = list(licences)
    part["cpe"] = f"cpe:2.3:a:{cpe}:{version}:*:*:*:*:*:*:*" if cpe and version else ""
    if places := [{"location": file} for file in sorted(files)]:
        part["evidence"] = {"occurrences": places}
    return {key: value for key, value in part.items() if value}


def _normal(name: str) -> str:
    """A name as package indexes compare them."""
    return re.sub(r"[-_.]+", "-", name).lower()
