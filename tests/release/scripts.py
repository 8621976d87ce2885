"""The modules beside the scripts in dist-scripts, which are on nobody's import path."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "dist-scripts"


def module(name: str) -> Any:
    """One of them, with those that it imports itself."""
    sys.path.insert(0, str(SCRIPTS))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(SCRIPTS))
