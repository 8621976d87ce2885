"""Packages of npm, fetched once into the checkout's cache.

What is fetched stands in a folder with a lock: it has the hash of every package and the address of no registry, so
that npm asks whichever one it is set up for. Install scripts are not run.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.e2e.child import Missing

#: Seconds for npm to fetch about 120 MB and unpack 360 MB; on a good line it takes 6.
_DEADLINE = 300.0


def install(pins: Path, folder: Path) -> None:
    """Make ``folder`` with what ``pins`` has locked. Raises Missing.

    Safe to call from several processes at once: each fetches into a folder of its own, and the first one to be
    done gives its folder the final name.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise Missing("npm, which fetches what this test needs, is not on the PATH")
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        _fetch(npm, pins, draft)
        try:
            draft.rename(folder)
        except OSError:  # another process was faster
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _fetch(npm: str, pins: Path, folder: Path) -> None:
    for name in ("package.json", "package-lock.json"):
        shutil.copy(pins / name, folder)
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_DEADLINE, check=False)
    except subprocess.TimeoutExpired:
        raise Missing(f"npm did not fetch {pins.name} within {_DEADLINE:g} s") from None
    if done.returncode != 0:
        last = (done.stderr.strip() or done.stdout.strip() or "no words").splitlines()
        reason = next((line for line in last if "error" in line.lower()), last[-1])
        raise Missing(f"npm could not fetch {pins.name}: {reason}")
