"""What a release has beside its archives, made from these: checksums, install scripts, formula, manifest, notes.

An archive is ``ccrouter-VERSION-SYSTEM-ARCH[-folder].tar.gz`` or ``.zip`` and holds one directory of that name.
"""

import hashlib
import json
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

DESCRIPTION = "Claude Code through one port to every model its user has"

_ARCHIVE = re.compile(
    r"ccrouter-(?P<version>\d[0-9A-Za-z.+]*)-(?P<system>linux|macos|windows)-(?P<arch>x64|arm64)"
    r"(?P<folder>-folder)?\.(tar\.gz|zip)"
)

#: What a formula says for each system and architecture.
_FORMULA = {
    ("macos", "arm64"): ("on_macos", "on_arm"),
    ("macos", "x64"): ("on_macos", "on_intel"),
    ("linux", "arm64"): ("on_linux", "on_arm"),
    ("linux", "x64"): ("on_linux", "on_intel"),
}


class Archive(NamedTuple):
    """One archive of a release. ``sha256`` in hex."""

    name: str
    version: str
    system: str
    arch: str
    folder: bool
    sha256: str

    @property
    def stem(self) -> str:
        """The directory that it holds."""
        return self.name.removesuffix(".tar.gz").removesuffix(".zip")


def archives(directory: Path) -> list[Archive]:
    """Those in a directory. Raises ValueError where a name is none, or they are not all of one version."""
    found = []
    for path in sorted(directory.iterdir()):
        if not path.name.endswith((".tar.gz", ".zip")):
            continue
        match = _ARCHIVE.fullmatch(path.name)
        if match is None:
            raise ValueError(f"{path.name}: is no name of an archive of a release")
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        found.append(
            Archive(path.name, match["version"], match["system"], match["arch"], bool(match["folder"]), sha256)
        )
    versions = sorted({each.version for each in found})
    if len(versions) != 1:
        raise ValueError(f"{directory}: holds archives of {len(versions)} versions: {', '.join(versions)}")
    return found


def checksums(files: Iterable[Path]) -> str:
    """As ``sha256sum --check`` reads it."""
    return "".join(
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
        for path in sorted(files, key=lambda each: each.name)
    )


def baked(script: str, releases: str, glibc: str) -> str:
    """An install script that knows where it comes from, and on what its programs run."""
    marks = {"@RELEASES@": releases, "@GLIBC@": glibc}
    for mark, value in marks.items():
        # It stands between quotes of a shell.
        if not re.fullmatch(r"[0-9A-Za-z:/._-]+", value):
            raise ValueError(f"{value!r} is not fit for an install script")
        script = script.replace(mark, value)
    return script


def formula(found: Iterable[Archive], releases: str) -> str:
    """A Homebrew formula for the archives that there are."""
    plain = {(each.system, each.arch): each for each in found if not each.folder}
    lines = [
        "class Ccrouter < Formula",
        f'  desc "{DESCRIPTION}"',
        f'  homepage "{releases.removesuffix("/releases")}"',
        f'  version "{next(iter(plain.values())).version}"',
    ]
    for system in ("macos", "linux"):
        blocks = []
        for (of_system, arch), (_, on_arch) in _FORMULA.items():
            each = plain.get((of_system, arch))
            if of_system == system and each is not None:
                url = f"{releases}/download/v{each.version}/{each.name}"
                blocks += [f"    {on_arch} do", f'      url "{url}"', f'      sha256 "{each.sha256}"', "    end"]
        if blocks:
            lines += ["", f"  on_{system} do", *blocks, "  end"]
    lines += [
        "",
        "  def install",
        '    bin.install "ccrouter"',
        "  end",
        "",
        "  test do",
        '    assert_match version.to_s, shell_output("#{bin}/ccrouter --version")',
        "  end",
        "end",
    ]
    return "\n".join(lines) + "\n"


def manifest(found: Iterable[Archive], releases: str) -> str:
    """A Scoop manifest for the Windows archive; nothing where there is none."""
    windows = next((each for each in found if (each.system, each.arch) == ("windows", "x64")), None)
    if windows is None:
        return ""
    address = f"{releases}/download/v{{version}}/{windows.name.replace(windows.version, '{version}')}"
    folder = windows.stem.replace(windows.version, "{version}")
    pinned, followed = {"version": windows.version}, {"version": "$version"}
    content = {
        "version": windows.version,
        "description": DESCRIPTION,
        "homepage": releases.removesuffix("/releases"),
        "license": "Unknown",
        "architecture": {
            "64bit": {
                "url": address.format_map(pinned),
                "hash": windows.sha256,
                "extract_dir": folder.format_map(pinned),
            }
        },
        "bin": "ccrouter.exe",
        "checkver": {"github": releases.removesuffix("/releases")},
        "autoupdate": {
            "architecture": {
                "64bit": {"url": address.format_map(followed), "extract_dir": folder.format_map(followed)}
            },
            "hash": {"url": "$baseurl/SHA256SUMS"},
        },
    }
    return json.dumps(content, indent=4) + "\n"


def notes(root: Path, version: str, releases: str) -> str:
    """What changed since the last release, from the subjects of the commits; newest last."""
    previous = _git(root, "describe", "--tags", "--abbrev=0", "--match=v[0-9]*", f"--exclude=v{version}", "HEAD")
    reach = f"{previous}..HEAD" if previous else "HEAD"
    subjects = _git(root, "log", "--no-merges", "--reverse", "--format=%s", reach).splitlines()
    here = f"{releases}/download/v{version}"
    since = f"since {previous.removeprefix('v')}" if previous else "in the first release"
    return "\n".join(
        [
            f"# ccrouter {version}",
            "",
            f"    curl -fsSL {here}/install.sh | sh -s -- --version {version}",
            "",
            "or, in PowerShell on Windows:",
            "",
            f"    & ([scriptblock]::Create((irm {here}/install.ps1))) -Version {version}",
            "",
            "`SHA256SUMS` lists every file. Each archive has a list of its parts (`.cdx.json`) and an attestation",
            "of where it was built (`gh attestation verify`).",
            "",
            f"## What is new {since}",
            "",
            *(f"- {subject}" for subject in subjects),
            "",
        ]
    )


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""
