"""A private file of JSON: whatever stands in its place, reading gives something, and writing does not tear."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ccrouter.remembered import json_file

WRITTEN = {"a": [1, 2.5, None, "é\ud800"], "b": {"c": True}}


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "state" / "file.json"
    json_file.write(path, WRITTEN)
    assert json_file.read(path) == WRITTEN
    json_file.write(path, {})
    assert json_file.read(path) == {}


@pytest.mark.only_on("linux", "darwin")
def test_only_its_owner_can_read_it(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        json_file.write(tmp_path / "state" / "file.json", {})
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "state" / "file.json").stat().st_mode) == 0o600


def test_a_reader_in_the_middle_has_the_old_version_whole(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    json_file.write(path, {"version": 1})
    with path.open() as open_before:
        json_file.write(path, {"version": 2})
        assert "1" in open_before.read()
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_in_its_place_is_replaced_and_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "file.json").symlink_to(victim)
    json_file.write(tmp_path / "file.json", {"a": 1})
    assert victim.read_text() == "precious"
    assert json_file.read(tmp_path / "file.json") == {"a": 1}


DEEP = 200_000


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"\x00" * 100,
        b'{"a": 1} trailing',
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": 1e999}',
        b'{"a": -1e999}',
        b'{"a": 1%s}' % (b"0" * 400),
        b'{"a": 1%s}' % (b"0" * 10_000),
        b'{"a": ' + b"[" * DEEP + b"]" * DEEP + b"}",
        b'{"a": "' + b"x" * json_file._LARGEST + b'"}',
    ],
    ids=lambda content: repr(content[:16]),
)
def test_what_is_no_object_of_json_counts_as_nothing(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file.json"
    path.write_bytes(content)
    assert json_file.read(path) == {}
    json_file.write(path, {"a": 1})
    assert json_file.read(path) == {"a": 1}


plain = st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.text()
values = st.recursive(
    plain | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.text(), values))
def test_any_object_is_read_as_it_was(tmp_path: Path, value: dict[str, Any]) -> None:
    json_file.write(tmp_path / "file.json", value)
    assert json_file.read(tmp_path / "file.json") == value


@pytest.mark.only_on("linux", "darwin")
def test_a_pipe_or_a_folder_in_its_place_holds_nobody_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for name in ("pipe", "folder", "loop", "missing", "nul\0"):
        assert json_file.read(tmp_path / name) == {}


def test_what_cannot_be_written_is_an_oserror_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError):
        json_file.write(tmp_path / "file" / "below.json", {})
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(OSError):
        json_file.write(tmp_path / "folder.json", {})
    deep: Any = []
    for _ in range(DEEP):
        deep = [deep]
    with pytest.raises(OSError):
        json_file.write(tmp_path / "deep.json", {"a": deep})
    assert sorted(each.name for each in tmp_path.iterdir()) == ["file", "folder.json"]


@pytest.mark.only_on("linux", "darwin")
def test_who_has_no_home_gets_no_folder() -> None:
    nowhere = Path("/no-home-of-anybody/.local/state/ccrouter")
    with pytest.raises(FileNotFoundError):
        json_file.write(nowhere / "file.json", {})
    assert not Path("/no-home-of-anybody").exists()
