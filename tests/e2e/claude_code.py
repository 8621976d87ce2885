"""The real Claude Code, pinned: fetched once into the checkout's cache, and where its program is.

``clients/VERSION/`` holds the pins: a lock file with the hash of every platform's package and without the address
of any registry, so that npm asks whichever one it is set up for. The program is the platform package's own file;
npm's install scripts, which would only link to it, are not run.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

NEW = "2.1.329"
OLD = "2.1.197"
"""The last version that knows no models in its settings and no request hints."""

PINS = Path(__file__).with_name("clients")
CACHE = Path(__file__).parents[2] / ".cache" / "claude-code"

#: Seconds for npm to fetch about 120 MB and unpack 360 MB; on a good line it takes 6.
FETCH_DEADLINE = 300.0

_PACKAGES = "node_modules/@anthropic-ai"


class Missing(Exception):
    """This version cannot be had here; the message says why."""


def program(version: str) -> Path:
    """The program of this version, fetched if it isn't here yet. Raises Missing.

    Safe to call from several processes at once: each fetches into a folder of its own, and the first one to be
    done gives its folder the final name.
    """
    final = CACHE / version
    if (found := _program_in(final)) is None:
        npm = shutil.which("npm")
        if npm is None:
            raise Missing("npm, which fetches Claude Code, is not on the PATH")
        CACHE.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{version}-", dir=CACHE))
        try:
            _fetch(npm, version, draft)
            try:
                draft.rename(final)
            except OSError:  # another process was faster
                if _program_in(final) is None:
                    raise
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        found = _program_in(final)
    if found is None:
        raise Missing(f"npm fetched no Claude Code {version} for this platform")
    _verify(found, version)
    return found


def _fetch(npm: str, version: str, folder: Path) -> None:
    for name in ("package.json", "package-lock.json"):
        shutil.copy(PINS / version / name, folder)
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"]
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=FETCH_DEADLINE, check=False
        )
    except subprocess.TimeoutExpired:
        raise Missing(f"npm did not fetch Claude Code {version} within {FETCH_DEADLINE:g} s") from None
    if done.returncode != 0:
        last = (done.stderr.strip() or done.stdout.strip() or "no words").splitlines()
        reason = next((line for line in last if "error" in line.lower()), last[-1])
        raise Missing(f"npm could not fetch Claude Code {version}: {reason}")


def _program_in(folder: Path) -> Path | None:
    name = "claude.exe" if os.name == "nt" else "claude"
    found = sorted((folder / _PACKAGES).glob(f"claude-code-*/{name}"))
    return found[0] if found else None


def _verify(found: Path, version: str) -> None:
    try:
        done = subprocess.run([found, "--version"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Missing(f"{found} does not run: {error}") from None
    if not done.stdout.startswith(version):
        raise Missing(
            f"{found} says it is {done.stdout.strip()[:60]!r}, not {version}; remove it to fetch it anew"
        )
