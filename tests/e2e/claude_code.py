"""The real Claude Code, pinned: fetched once into the checkout's cache, and where its program is.

``clients/VERSION/`` holds the pins, with the hash of every platform's package. The program is the platform package's
own file; npm's install scripts, which would only link to it, are not run.

What a newer version may spell otherwise stands in `ccrouter.wire.claude_code`.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.e2e import npm
from tests.e2e.child import Missing

NEW = "2.1.329"
OLD = "2.1.197"
"""The last version that knows no models in its settings and no request hints."""

PINS = Path(__file__).with_name("clients")
CACHE = Path(__file__).parents[2] / ".cache" / "claude-code"

_PACKAGES = "node_modules/@anthropic-ai"


def program(version: str) -> Path:
    """The program of this version, fetched if it isn't here yet. Raises Missing."""
    folder = CACHE / version
    if (found := _program_in(folder)) is None:
        npm.install(PINS / version, folder)
        found = _program_in(folder)
    if found is None:
        raise Missing(f"npm fetched no Claude Code {version} for this platform")
    _verify(found, version)
    return found


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
