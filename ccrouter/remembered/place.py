"""Where the files are that ccrouter remembers things in.

``$CCROUTER_STATE``, else ``$XDG_STATE_HOME/ccrouter``, ``~/.local/state/ccrouter``, on Windows ``ccrouter`` in
``%LOCALAPPDATA%``. The folder is made when the first thing is to be remembered, for its owner's eyes only.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ccrouter.files import expand_home, home


def find(environ: Mapping[str, str], platform: str) -> Path:
    """The folder, whether it exists or not; ``platform`` is ``sys.platform``."""
    if named := environ.get("CCROUTER_STATE"):
        return expand_home(named, environ, platform)
    if platform == "win32":
        local = environ.get("LOCALAPPDATA")
        return (Path(local) if local else home(environ, platform) / "AppData" / "Local") / "ccrouter"
    # The XDG specification: a path that is not absolute is to be ignored.
    if (xdg := environ.get("XDG_STATE_HOME", "")).startswith("/"):
        return Path(xdg) / "ccrouter"
    return home(environ, platform) / ".local" / "state" / "ccrouter"
