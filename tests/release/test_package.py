"""dist-scripts/package: archives that install.sh, brew and Scoop can use, the same bytes each time."""

from __future__ import annotations

import io
import os
import re
import stat
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.release import built
from tests.release.scripts import ROOT, SCRIPTS, module

package = module("_package")
VERSION = package.version(ROOT)

WHEN = 1_795_202_593


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return built.build(tmp_path / "out")


def contents(out: Path, system: str = "linux-x64") -> Any:
    return package.contents(out, ROOT / "README.md", system)


def write(out: Path, place: Path, *, as_zip: bool = False) -> Path:
    place.mkdir()
    path: Path = package.write(place, "ccrouter-1.2.3-x", contents(out).folder, WHEN, as_zip=as_zip)
    return path


def test_the_plain_archive_has_the_one_file_with_its_notices(out: Path) -> None:
    members = {member.name: member.program for member in contents(out).plain}
    assert members == {"ccrouter": True, "NOTICES.txt": False, "README.md": False}


def test_the_folder_has_the_program_on_top_by_the_name_that_users_call(out: Path) -> None:
    members = {member.name: member for member in contents(out).folder}
    assert members["ccrouter"].path.name == "ccrouter.bin"
    assert "ccrouter.bin" not in members
    assert [name for name, member in members.items() if member.program] == ["ccrouter"]
    assert {"NOTICES.txt", "README.md", "libssl.so.3", "certifi/cacert.pem"} < set(members)


def test_on_windows_there_is_the_folder_alone(out: Path) -> None:
    folder = out / "ccrouter-folder"
    (folder / "ccrouter.bin").rename(folder / "ccrouter.exe")
    (out / "ccrouter").rename(out / "ccrouter.exe")
    report = out / "report.xml"
    report.write_text(report.read_text().replace("ccrouter.bin", "ccrouter.exe"))
    found = contents(out, "windows-x64")
    assert found.plain == []
    assert "ccrouter.exe" in {member.name for member in found.folder}


def test_members_are_sorted_and_nobodys_with_plain_modes_and_one_time(out: Path, tmp_path: Path) -> None:
    with tarfile.open(write(out, tmp_path / "made")) as tar:
        members = tar.getmembers()
    assert [member.name for member in members] == sorted(member.name for member in members)
    assert all(member.name.startswith("ccrouter-1.2.3-x/") for member in members)
    assert {(member.uid, member.gid, member.uname, member.gname) for member in members} == {(0, 0, "", "")}
    assert {member.mtime for member in members} == {WHEN}
    modes = {member.name.partition("/")[2]: member.mode for member in members}
    assert modes.pop("ccrouter") == 0o755
    assert set(modes.values()) == {0o644}


@pytest.mark.parametrize("as_zip", [False, True])
def test_the_same_build_gives_the_same_bytes(out: Path, tmp_path: Path, as_zip: bool) -> None:
    first = write(out, tmp_path / "first", as_zip=as_zip).read_bytes()
    for number, path in enumerate(sorted(out.rglob("*"))):
        if path.is_file():
            path.chmod(0o600 if number % 2 else 0o775)
            os.utime(path, (number, number))
    assert write(out, tmp_path / "second", as_zip=as_zip).read_bytes() == first


def test_the_head_of_gzip_has_neither_name_nor_time(out: Path, tmp_path: Path) -> None:
    head = write(out, tmp_path / "made").read_bytes()[:10]
    assert head[:3] == b"\x1f\x8b\x08"
    assert head[3] == 0, "no flags, so no name"
    assert head[4:8] == bytes(4)


def test_links_stay_links(out: Path, tmp_path: Path) -> None:
    (out / "ccrouter-folder" / "libssl.so").symlink_to("libssl.so.3")
    with tarfile.open(write(out, tmp_path / "made")) as tar:
        link = tar.getmember("ccrouter-1.2.3-x/libssl.so")
    assert (link.issym(), link.linkname) == (True, "libssl.so.3")


def test_a_zip_knows_what_is_a_program(out: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(write(out, tmp_path / "made", as_zip=True).read_bytes())) as file:
        assert file.testzip() is None
        program = file.getinfo("ccrouter-1.2.3-x/ccrouter")
        other = file.getinfo("ccrouter-1.2.3-x/NOTICES.txt")
    assert stat.filemode(program.external_attr >> 16) == "-rwxr-xr-x"
    assert stat.filemode(other.external_attr >> 16) == "-rw-r--r--"
    assert program.date_time == other.date_time


@pytest.mark.parametrize("missing", ["ccrouter", "NOTICES.txt", "ccrouter-folder/ccrouter.bin", "report.xml"])
def test_half_a_build_is_refused_with_what_is_missing(out: Path, missing: str) -> None:
    (out / missing).unlink()
    with pytest.raises(ValueError, match=re.escape(missing)):
        contents(out)


def test_the_time_is_that_of_the_environment_or_of_the_commit(tmp_path: Path) -> None:
    assert package.moment(tmp_path, {"SOURCE_DATE_EPOCH": "17"}) == 17
    for wrong in ("-1", "soon", ""):
        with pytest.raises(ValueError, match="SOURCE_DATE_EPOCH"):
            package.moment(tmp_path, {"SOURCE_DATE_EPOCH": wrong})
    with pytest.raises(ValueError, match="set SOURCE_DATE_EPOCH"):
        package.moment(tmp_path, {})
    identity = ["-c", "user.name=n", "-c", "user.email=e@example.com", "-c", "commit.gpgsign=false"]
    environ = {**os.environ, "GIT_COMMITTER_DATE": "@1234567890 +0000"}
    for arguments in (["init", "-q"], [*identity, "commit", "-q", "--allow-empty", "-m", "First"]):
        subprocess.run(["git", *arguments], cwd=tmp_path, env=environ, check=True, capture_output=True)
    assert package.moment(tmp_path, {}) == 1234567890


@pytest.mark.parametrize(
    ("platform", "machine", "name"),
    [
        ("linux", "x86_64", "linux-x64"),
        ("linux", "aarch64", "linux-arm64"),
        ("darwin", "arm64", "macos-arm64"),
        ("darwin", "x86_64", "macos-x64"),
        ("win32", "AMD64", "windows-x64"),
    ],
)
def test_systems_have_their_usual_names(
    monkeypatch: pytest.MonkeyPatch, platform: str, machine: str, name: str
) -> None:
    monkeypatch.setattr(package.sys, "platform", platform)
    monkeypatch.setattr(package.platform, "machine", lambda: machine)
    assert package.system() == name
    monkeypatch.setattr(package.platform, "machine", lambda: "riscv64")
    with pytest.raises(ValueError, match="riscv64"):
        package.system()


def check_tag(tag: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, SCRIPTS / "package", "--check-tag", tag],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_tag_must_be_that_of_the_version() -> None:
    assert check_tag(f"v{VERSION}").returncode == 0
    for tag in (VERSION, f"v{VERSION}.1", "v0.0.0-other", f"v{VERSION}\n"):
        done = check_tag(tag)
        assert done.returncode == 1, tag
        assert f"it wants v{VERSION}" in done.stderr
        assert "Traceback" not in done.stderr
