"""An edit of the file holds from the next look on; what can't hold, or deserves a word, is said once."""

from __future__ import annotations

from pathlib import Path

import pytest

from ccrouter.config_file import ConfigFile
from ccrouter.edits import Edits
from ccrouter.providers.presets import PRESETS

START = '[server]\nhost = "127.0.0.1"\nport = 1\ntoken = { env = "OLD" }\nhosts = ["a.lan"]\n'


def edits(tmp_path: Path, text: str = START, given: tuple[str, ...] = ()) -> tuple[Edits, Path, list[str]]:
    path, lines = tmp_path / "config.toml", list[str]()
    path.write_text(text)
    it = Edits(ConfigFile(path, required=True, presets=PRESETS), lines.append, given=given)
    it.config()
    return it, path, lines


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("a.lan", "b.lan", None),
        ("hosts", "max_connections = 3\nhosts", None),
        ("127.0.0.1", "127.0.0.2", "server.host does"),
        ("port = 1", "port = 2", "server.port does"),
        ("OLD", "NEW", "server.token does"),
        ('token = { env = "OLD" }', "", "server.token does"),
        ("port = 1", 'port = 2\ndefault = "x"', "no such key"),
    ],
)
def test_what_the_port_was_opened_with_holds_until_a_restart_and_that_is_told(
    tmp_path: Path, old: str, new: str, told: str | None
) -> None:
    it, path, lines = edits(tmp_path)
    path.write_text(START.replace(old, new))
    for _ in range(3):
        it.config()
    if told is None:
        assert (lines, it.problems) == ([], ())
    elif told == "no such key":  # the version before is in force, and it holds
        assert (len(lines), it.problems) == (1, ())
    else:
        (problem,) = it.problems
        assert lines == [f"warning: {problem}"]
        assert told.replace(" does", " does not hold before the router is started anew") in problem
        assert ("the old token opens the port until then" in problem) is ("token" in told)
    path.write_text(START)
    it.config()
    assert it.problems == ()


def test_what_the_command_line_said_is_not_the_files_to_change(tmp_path: Path) -> None:
    it, path, lines = edits(tmp_path, given=("host", "port", "token"))
    path.write_text(START.replace("127.0.0.1", "127.0.0.2").replace("port = 1", "port = 2").replace("OLD", "NEW"))
    it.config()
    assert (lines, it.problems) == ([], ())


CLEAR = '[providers.ollama]\nbase_url = "http://10.0.0.1"\napi_key = { env = "K" }\n'
CHECKS = 'classifier = "ollama:q"\n'


def test_a_warning_is_said_with_the_version_that_brings_it_and_no_other(tmp_path: Path) -> None:
    it, path, lines = edits(tmp_path, "")
    said = []
    for text in (CLEAR, CHECKS + CLEAR, CHECKS, CLEAR, CLEAR + "[demo]\n"):
        path.write_text(text)
        for _ in range(2):
            it.config()
        said.append(["travels unencrypted" in line for line in lines])
        lines.clear()
    assert said == [[True], [False], [], [True], []]


def test_the_first_version_is_warned_of_too(tmp_path: Path) -> None:
    _, _, lines = edits(tmp_path, CLEAR)
    assert [line.startswith("warning: ") for line in lines] == [True]


def test_a_broken_version_is_told_once_and_so_is_its_end(tmp_path: Path) -> None:
    it, path, lines = edits(tmp_path, CLEAR)
    lines.clear()
    for text in ("prot = 1", CLEAR):
        path.write_text(text)
        for _ in range(2):
            it.config()
    assert len(lines) == 2
    assert "prot" in lines[0]
    assert lines[1] == "the configuration is fine again"
