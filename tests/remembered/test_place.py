"""Where the files are that ccrouter remembers things in."""

from __future__ import annotations

from pathlib import Path

import pytest

from ccrouter.remembered.place import find

HOME = {"HOME": "/home/user"}


@pytest.mark.parametrize(
    ("environ", "platform", "found"),
    [
        (HOME, "linux", "/home/user/.local/state/ccrouter"),
        (HOME, "darwin", "/home/user/.local/state/ccrouter"),
        (HOME | {"XDG_STATE_HOME": "/state"}, "linux", "/state/ccrouter"),
        (HOME | {"XDG_STATE_HOME": ""}, "linux", "/home/user/.local/state/ccrouter"),
        (HOME | {"XDG_STATE_HOME": "relative"}, "linux", "/home/user/.local/state/ccrouter"),
        (HOME | {"CCROUTER_STATE": "/mine", "XDG_STATE_HOME": "/state"}, "linux", "/mine"),
        (HOME | {"CCROUTER_STATE": "", "XDG_STATE_HOME": "/state"}, "linux", "/state/ccrouter"),
        (HOME | {"LOCALAPPDATA": "/local", "XDG_STATE_HOME": "/state"}, "win32", "/local/ccrouter"),
        ({"USERPROFILE": "/users/me", "HOME": "/c/Users/me"}, "win32", "/users/me/AppData/Local/ccrouter"),
        (HOME | {"CCROUTER_STATE": "~/mine"}, "linux", "/home/user/mine"),
        ({"CCROUTER_STATE": "/mine", "LOCALAPPDATA": "/local"}, "win32", "/mine"),
    ],
)
def test_the_nearest_word_decides(environ: dict[str, str], platform: str, found: str) -> None:
    assert find(environ, platform) == Path(found)


def test_to_look_for_the_folder_makes_none(tmp_path: Path) -> None:
    find({"CCROUTER_STATE": str(tmp_path / "state")}, "linux")
    assert list(tmp_path.iterdir()) == []
