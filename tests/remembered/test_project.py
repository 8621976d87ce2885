"""A project's own file: found upward, read again when it changes, and counted for nothing unless it is right."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ccrouter.remembered import project as module
from ccrouter.remembered.project import NAME, Found, ProjectFiles

UNIX = pytest.mark.only_on("linux", "darwin")


def write(folder: Path, text: str | bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / NAME
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def default(files: ProjectFiles, folder: Path | str) -> str | None:
    found = files.of(str(folder))
    return None if found is None or found.project is None else found.project.default


def problem(folder: Path) -> str:
    """What is wrong with the file that counts for a folder."""
    found = ProjectFiles().of(str(folder))
    assert found is not None
    assert found.project is None
    assert found.problem is not None
    assert str(folder) in found.problem
    return found.problem


def test_the_nearest_file_at_or_above_a_directory_counts(tmp_path: Path) -> None:
    files = ProjectFiles()
    (tmp_path / "a" / "b" / "c").mkdir(parents=True)
    assert default(files, tmp_path / "a") is None
    write(tmp_path, 'default = "outer"')
    write(tmp_path / "a" / "b", 'default = "inner"')
    for folder, expected in (
        ("", "outer"),
        ("a", "outer"),
        ("a/b", "inner"),
        ("a/b/c", "inner"),
        ("a/x", "outer"),
    ):
        assert default(files, tmp_path / folder) == expected, folder
    # Wherever the client's directory was removed or made up, what is above it counts.
    assert default(files, tmp_path / "a" / "b" / "gone" / "further") == "inner"


@pytest.mark.parametrize(
    "folder", ["", ".", "relative/path", "~", "C:", "nul\0byte", "/nul\0byte", "/" + "x" * 5000]
)
def test_no_directory_of_a_client_makes_it_fail(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, 'default = "here"')
    assert ProjectFiles().of(folder) is None


def test_it_is_not_looked_for_without_end(tmp_path: Path) -> None:
    write(tmp_path, 'default = "far"')
    deep = tmp_path.joinpath(*["d"] * (module._DEEPEST - 1))
    assert default(ProjectFiles(), deep) == "far"
    assert default(ProjectFiles(), deep / "d") is None


def test_an_edit_holds_from_the_next_look_on(tmp_path: Path) -> None:
    files = ProjectFiles()
    path = write(tmp_path, 'default = "a"')
    assert default(files, tmp_path) == "a"
    write(tmp_path, 'default = "longer"')
    assert default(files, tmp_path) == "longer"
    write(tmp_path, "default = ")
    found = files.of(str(tmp_path))
    assert found is not None
    assert found.problem is not None
    assert (found.path, found.project) == (path, None)
    write(tmp_path, 'default = "b"')
    assert default(files, tmp_path) == "b"
    path.unlink()
    assert files.of(str(tmp_path)) is None


def test_a_file_that_did_not_change_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = ProjectFiles()
    write(tmp_path, 'default = "a"')
    assert default(files, tmp_path) == "a"
    monkeypatch.setattr(module, "_read", None)
    assert default(files, tmp_path / "below") == "a"


def test_not_more_projects_are_kept_than_there_may_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST", 3)
    files = ProjectFiles()
    for number in range(10):
        write(tmp_path / str(number), f'default = "{number}"')
        assert default(files, tmp_path / str(number)) == str(number)
    assert len(files._found) == 3
    assert default(files, tmp_path / "0") == "0"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("default = ", f"{NAME}:1: "),
        ('default = "a"\ndefault = "b"', f"{NAME}:2: "),
        ('defalt = "a"', "did you mean `default`?"),
        ('[providers.x]\nbase_url = "https://evil.example"', "providers"),
        ("[server]\nport = 1", "server"),
        ('classifier = "x:y"', "classifier"),
        ('[aliases]\na = { command = ["sh"] }', "aliases"),
        (b'default = "\xff"', "is not UTF-8 text"),
        (b"#" * (64 * 1024 + 1), "is larger than it can be (64 KiB)"),
        ("default = " + "[" * 20_000, "is nested too deeply to be read"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_one_with_a_mistake_counts_for_nothing_and_says_so(tmp_path: Path, text: str | bytes, words: str) -> None:
    write(tmp_path, 'default = "outer"')
    write(tmp_path / "project", text)
    assert words in problem(tmp_path / "project")


def test_a_mark_of_byte_order_is_no_mistake(tmp_path: Path) -> None:
    write(tmp_path, b'\xef\xbb\xbfdefault = "a"')
    assert default(ProjectFiles(), tmp_path) == "a"


@UNIX
def test_what_is_no_file_is_told_and_holds_nobody_up(tmp_path: Path) -> None:
    for name in ("pipe", "folder", "loop", "nowhere", "device"):
        (tmp_path / name).mkdir()
    os.mkfifo(tmp_path / "pipe" / NAME)
    (tmp_path / "folder" / NAME).mkdir()
    (tmp_path / "loop" / NAME).symlink_to(tmp_path / "loop" / NAME)
    (tmp_path / "nowhere" / NAME).symlink_to(tmp_path / "missing")
    (tmp_path / "device" / NAME).symlink_to("/dev/zero")
    for name in ("pipe", "folder", "device"):
        assert "is not a file" in problem(tmp_path / name)
    for name in ("loop", "nowhere"):
        assert "a link that leads nowhere" in problem(tmp_path / name)


@UNIX
def test_a_look_at_what_is_no_file_leaves_nothing_open(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()
    before = os.open(tmp_path, os.O_RDONLY)
    os.close(before)
    for _ in range(20):
        problem(tmp_path)
    after = os.open(tmp_path, os.O_RDONLY)  # the lowest that is free
    os.close(after)
    assert after == before


@UNIX
def test_a_link_to_a_file_of_ones_own_is_followed(tmp_path: Path) -> None:
    real = tmp_path / "real.toml"
    real.write_text('default = "a"')
    (tmp_path / NAME).symlink_to(real)
    files = ProjectFiles()
    assert default(files, tmp_path) == "a"
    real.write_text('default = "longer"')
    assert default(files, tmp_path) == "longer"


@UNIX
def test_a_file_of_another_user_is_not_read_until_it_is_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, 'default = "a"')
    if os.getuid() == 0:
        os.chown(path, 65_534, 65_534)
    else:
        own = os.getuid()
        monkeypatch.setattr(os, "getuid", lambda: own + 1)
    files = ProjectFiles()
    found = files.of(str(tmp_path))
    assert found is not None
    assert found.project is None
    assert "belongs to another user" in (found.problem or "")
    if os.getuid() == 0:
        os.chown(path, 0, 0)
    else:
        monkeypatch.undo()
        path.chmod(0o600)
    assert default(files, tmp_path) == "a"


def test_one_that_cannot_be_opened_is_told_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, 'default = "a"')

    def refuse(*_args: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)  # root may open any file
    assert problem(tmp_path) == f"{tmp_path / NAME}: cannot be read: Permission denied"


def test_what_was_found_says_where(tmp_path: Path) -> None:
    path = write(tmp_path, "")
    found = ProjectFiles().of(str(tmp_path / "below"))
    assert isinstance(found, Found)
    assert (found.path, found.problem) == (path, None)


def test_of_thousands_of_mistakes_a_few_are_told(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text("[[routes]]\n" * 5_000)
    found = ProjectFiles().of(str(tmp_path))
    assert found is not None
    assert found.problem is not None
    assert found.problem.startswith(f"{tmp_path / NAME}:1: ")
    assert found.problem.endswith("; and 4997 more")
    assert len(found.problem) < 1_100
