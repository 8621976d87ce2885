"""Files of this machine: one home for one user, no wait for what is no file, no file that is half new."""

from __future__ import annotations

import errno
import os
import socket
import stat
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from ccrouter.files import (
    NotRegular,
    Replacement,
    TooLarge,
    expand_home,
    home,
    open_regular,
    read_regular,
    stamp,
)

UNIX = pytest.mark.only_on("linux", "darwin")

# Where they are


@pytest.mark.parametrize(
    ("environ", "platform", "expected"),
    [
        ({"HOME": "/home/me"}, "linux", "/home/me"),
        ({"HOME": "/home/me", "USERPROFILE": "C:/Users/me"}, "linux", "/home/me"),  # of the Windows around it
        ({"USERPROFILE": "C:/Users/me"}, "win32", "C:/Users/me"),
        ({"USERPROFILE": "C:/Users/me", "HOME": "/c/Users/me"}, "win32", "C:/Users/me"),
        ({"HOME": "C:/Users/me"}, "win32", "C:/Users/me"),
        ({"HOME": ""}, "darwin", "/of/the/system"),
        ({}, "linux", "/of/the/system"),
        ({}, "win32", "/of/the/system"),
    ],
)
def test_a_user_has_one_home(
    environ: dict[str, str], platform: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "home", lambda: Path("/of/the/system"))
    assert home(environ, platform) == Path(expected)
    assert expand_home("~/key", environ, platform) == Path(expected, "key")


def test_who_has_no_home_has_nothing_there(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", unknown)
    assert home({}) == Path("/nonexistent")
    assert expand_home("~/key", {}) == Path("/nonexistent/key")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("~", "/home/me"),
        ("~/key", "/home/me/key"),
        ("~other/key", "~other/key"),
        ("/etc/key", "/etc/key"),
        ("key~", "key~"),
    ],
)
def test_only_the_users_own_home_is_put_in(path: str, expected: str) -> None:
    variable = "USERPROFILE" if sys.platform == "win32" else "HOME"
    assert expand_home(path, {variable: "/home/me"}) == Path(expected)


# Which version of a file is there


def test_a_stamp_tells_versions_apart(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert stamp(path) is None
    assert stamp(tmp_path / "nul\0") is None
    path.write_text("one")
    first = stamp(path)
    assert first == stamp(path)
    with Replacement(path) as replacement:
        replacement.put(b"two")
    assert stamp(path) not in (first, None)


@UNIX
def test_a_change_of_who_may_read_it_is_another_version(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("one")
    first = stamp(path)
    path.chmod(0o400)
    assert stamp(path) != first


# What stands in it


def test_a_file_is_read_up_to_its_limit(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 2048)
    assert read_regular(path, 2048) == b"x" * 2048
    with pytest.raises(TooLarge, match="Larger than 1 KiB") as caught:
        read_regular(path, 2047)
    assert caught.value.errno == errno.EFBIG


def test_what_is_not_there_or_no_name_is_an_oserror(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_regular(tmp_path / "missing", 1)
    with pytest.raises(OSError, match="Not a file name"):
        read_regular(tmp_path / "nul\0", 1)


@UNIX
@pytest.mark.parametrize("kind", ["pipe", "folder", "socket", "device", "link to a pipe"])
def test_what_is_no_file_holds_nobody_up(tmp_path: Path, kind: str) -> None:
    path = tmp_path / kind[:6]
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "socket":
            with socket.socket(socket.AF_UNIX) as bound:
                bound.bind(str(path))
        case "device":
            path = Path("/dev/zero")
        case _:
            os.mkfifo(tmp_path / "pipe")
            path.symlink_to(tmp_path / "pipe")
    with pytest.raises(NotRegular, match="Not a regular file"):
        read_regular(path, 1024)


@UNIX
def test_nor_does_what_takes_a_files_place_before_it_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_text("")
    seen = path.stat()
    path.unlink()
    os.mkfifo(path)
    monkeypatch.setattr(Path, "stat", lambda *_, **__: seen)
    with pytest.raises(NotRegular):
        open_regular(path)


# Its next version


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def replace(path: Path, content: bytes, **how: bool) -> None:
    with Replacement(path, **how) as replacement:
        written = replacement.put(content)
    assert os.path.samestat(written, path.stat())


def test_a_new_version_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "file"
    replace(path, b"one")
    with path.open("rb") as before:
        if sys.platform != "win32":  # a file that somebody reads can't be replaced there
            replace(path, b"two")
            assert before.read() == b"one"
            assert path.read_bytes() == b"two"
    assert [*tmp_path.iterdir()] == [path]


@UNIX
def test_its_owner_alone_may_read_it_or_who_could_before(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(0o644)
    replace(path, b"new", as_before=True)
    assert mode(path) == 0o644
    replace(path, b"new")
    assert mode(path) == 0o600
    path.unlink()
    with pytest.raises(FileNotFoundError):
        replace(path, b"new", as_before=True)
    assert [*tmp_path.iterdir()] == []


@UNIX
def test_a_link_in_its_place_is_replaced_and_not_followed(tmp_path: Path) -> None:
    victim, path = tmp_path / "victim", tmp_path / "file"
    victim.write_text("precious")
    path.symlink_to(victim)
    replace(path, b"new")
    assert (victim.read_text(), path.read_text(), path.is_symlink()) == ("precious", "new", False)


@UNIX
def test_what_was_left_of_a_killed_writer_is_no_obstacle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    victim, path = tmp_path / "victim", tmp_path / "file"
    victim.write_text("precious")
    (tmp_path / ".file.left").symlink_to(victim)
    monkeypatch.setattr(tempfile, "_get_candidate_names", lambda: iter(["left", "other"]))
    replace(path, b"new")
    assert (victim.read_text(), path.read_text()) == ("precious", "new")


@UNIX
@pytest.mark.parametrize("step", ["write", "fchmod", "fsync", "replace"])
def test_a_failure_between_the_steps_leaves_the_old_file_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def fail(*_: Any, **__: Any) -> Any:
        raise OSError(5, "Input/output error")

    match step:
        case "write":
            monkeypatch.setattr(os, "fdopen", fail)
        case "replace":
            monkeypatch.setattr(Path, "replace", fail)
        case _:
            monkeypatch.setattr(os, step, fail)
    with pytest.raises(OSError, match="Input"):
        replace(path, b"new", as_before=True)
    assert path.read_text() == "old"
    assert [*tmp_path.iterdir()] == [path]


@UNIX
def test_a_folder_that_cannot_be_synced_is_no_failure_of_what_has_happened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    genuine = os.fsync

    def fsync(file: int) -> None:
        if stat.S_ISDIR(os.fstat(file).st_mode):  # as some file systems over a network do
            raise OSError(errno.EINVAL, "Invalid argument")
        genuine(file)

    monkeypatch.setattr(os, "fsync", fsync)
    replace(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_text() == "new"


def test_room_that_is_not_used_is_given_back(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with Replacement(path):
        assert len([*tmp_path.iterdir()]) == 2
    assert path.read_text() == "old"
    assert [*tmp_path.iterdir()] == [path]
