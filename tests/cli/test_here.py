"""The directory that a command runs in."""

from __future__ import annotations

from pathlib import Path

import pytest

from ccrouter.cli.here import here

pytestmark = pytest.mark.only_on("linux", "darwin")  # Windows removes no directory that somebody is in


def test_a_directory_that_was_removed_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    monkeypatch.chdir(folder)
    assert here() == folder
    folder.rmdir()
    assert here() is None
