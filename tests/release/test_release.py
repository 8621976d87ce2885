"""dist-scripts/release: what a directory of archives is completed by."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RELEASES = "https://host.example/owner/repository/releases"
SYSTEMS = ("linux-x64", "linux-arm64", "macos-arm64", "macos-x64")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    for suffix in (*SYSTEMS, "linux-x64-folder"):
        (tmp_path / f"ccrouter-1.2.3-{suffix}.tar.gz").write_bytes(suffix.encode())
    (tmp_path / "ccrouter-1.2.3-windows-x64.zip").write_bytes(b"windows")
    (tmp_path / "ccrouter-1.2.3-linux-x64.cdx.json").write_text("{}")
    return tmp_path


def release(directory: Path, releases: str = RELEASES) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "dist-scripts/release", directory, "--releases", releases, "--glibc", "2.34"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_every_file_of_a_release_but_its_notes_has_a_checksum(directory: Path) -> None:
    done = release(directory)
    assert done.returncode == 0, done.stderr
    lines = (directory / "SHA256SUMS").read_text().splitlines()
    listed = {name: sha256 for sha256, name in (line.split("  ") for line in lines)}
    there = {path.name for path in directory.iterdir()} - {"SHA256SUMS", "RELEASE_NOTES.md"}
    assert set(listed) == there
    assert {"install.sh", "install.ps1", "ccrouter.rb", "ccrouter.json"} < there
    for name, sha256 in listed.items():
        assert hashlib.sha256((directory / name).read_bytes()).hexdigest() == sha256


def test_the_install_scripts_know_where_they_come_from(directory: Path) -> None:
    release(directory)
    for name in ("install.sh", "install.ps1"):
        text = (directory / name).read_text()
        assert RELEASES in text
        assert "@RELEASES@" not in text
        assert "@GLIBC@" not in text


def test_the_formula_has_each_system_with_its_checksum(directory: Path) -> None:
    release(directory)
    formula = (directory / "ccrouter.rb").read_text()
    for suffix in SYSTEMS:
        assert f'url "{RELEASES}/download/v1.2.3/ccrouter-1.2.3-{suffix}.tar.gz"' in formula
        assert f'sha256 "{hashlib.sha256(suffix.encode()).hexdigest()}"' in formula
    assert "folder" not in formula
    opened = sum(line.endswith(" do") or line.strip() == "def install" for line in formula.splitlines())
    assert opened == formula.count("  end\n"), "what is opened is closed"


def test_the_manifest_follows_later_versions_by_their_list_of_checksums(directory: Path) -> None:
    release(directory)
    manifest = json.loads((directory / "ccrouter.json").read_text())
    assert manifest["architecture"]["64bit"] == {
        "url": f"{RELEASES}/download/v1.2.3/ccrouter-1.2.3-windows-x64.zip",
        "hash": hashlib.sha256(b"windows").hexdigest(),
        "extract_dir": "ccrouter-1.2.3-windows-x64",
    }
    following = manifest["autoupdate"]
    assert following["architecture"]["64bit"]["url"].endswith("/v$version/ccrouter-$version-windows-x64.zip")
    assert following["hash"] == {"url": "$baseurl/SHA256SUMS"}


def test_the_same_archives_make_the_same_release(directory: Path) -> None:
    release(directory)
    first = {path.name: path.read_bytes() for path in directory.iterdir()}
    release(directory)
    assert first == {path.name: path.read_bytes() for path in directory.iterdir()}


@pytest.mark.parametrize(
    "name", ["ccrouter-9.9.9-linux-x64.tar.gz", "ccrouter-linux.tar.gz", "other-1.2.3-linux-x64.zip"]
)
def test_archives_that_do_not_belong_together_are_an_error(directory: Path, name: str) -> None:
    (directory / name).write_bytes(b"")
    done = release(directory)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert not (directory / "SHA256SUMS").exists()


@pytest.mark.parametrize(
    "releases", ["http://host.example/o/r/releases", 'https://h/o/r"; rm/releases', "https://h/o"]
)
def test_an_address_that_is_none_of_releases_is_wrong_use(directory: Path, releases: str) -> None:
    assert release(directory, releases).returncode == 2


def test_the_notes_say_what_came_since_the_last_tag(tmp_path: Path) -> None:
    def git(*arguments: str) -> None:
        identity = ["-c", "user.name=n", "-c", "user.email=e@example.com", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True, capture_output=True)

    git("init", "-q")
    git("commit", "-q", "--allow-empty", "-m", "First step")
    git("tag", "v1.0.0")
    git("commit", "-q", "--allow-empty", "-m", "Second step")
    git("commit", "-q", "--allow-empty", "-m", "Third step")
    git("tag", "v1.1.0")
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import pathlib, _release;"
        "print(_release.notes(pathlib.Path(sys.argv[2]), '1.1.0', sys.argv[3]))"
    )
    arguments = [sys.executable, "-c", code, str(ROOT / "dist-scripts"), str(tmp_path), RELEASES]
    told = subprocess.run(arguments, capture_output=True, text=True, check=True, timeout=60).stdout
    assert "## What is new since 1.0.0\n\n- Second step\n- Third step\n" in told
    assert "First step" not in told
    assert f"{RELEASES}/download/v1.1.0/install.sh | sh" in told
    assert f"(irm {RELEASES}/download/v1.1.0/install.ps1))) -Version 1.1.0" in told
