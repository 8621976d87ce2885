"""What Claude Code reads besides its environment."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from ccrouter.cli import settings
from ccrouter.cli.settings import Own


def write(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value))


def test_nearer_settings_win_variable_by_variable(tmp_path: Path) -> None:
    home, work = tmp_path / "home", tmp_path / "work"
    write(home / ".claude/settings.json", {"env": {"A": "user", "B": "user", "N": 1}, "apiKeyHelper": "x"})
    write(work / ".claude/settings.json", {"env": {"B": "project", "C": "project", "D": "project"}})
    write(work / ".claude/settings.local.json", {"env": {"C": "local", "D": "local"}})
    found = settings.find({"HOME": str(home)}, work, {"env": {"D": "flag"}})
    assert found.env == {"A": "user", "B": "project", "C": "local", "D": "flag"}
    assert found.key_helper


def test_the_config_directory_variable_moves_the_users_settings(tmp_path: Path) -> None:
    write(tmp_path / "conf/settings.json", '\ufeff{"env": {"A": "moved"}}')
    environ = {"HOME": str(tmp_path), "CLAUDE_CONFIG_DIR": str(tmp_path / "conf")}
    assert settings.find(environ, tmp_path).env == {"A": "moved"}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"env": []}', '{"env": {"A": 1}}', "[" * 100_000])
def test_settings_that_are_none_count_as_none(tmp_path: Path, text: str) -> None:
    write(tmp_path / ".claude/settings.json", text)
    assert settings.find({"HOME": str(tmp_path)}, tmp_path) == settings.Found()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], None),
        (["-p", "hi"], None),
        (["--settings"], None),
        (["--", "--settings", "{}"], None),
        (["--settings", "--"], None),
        (["-p", "--settings", '{"a": 1}'], Own(2, glued=False, file=False, settings={"a": 1})),
        (["--settings={}", "x"], Own(0, glued=True, file=False, settings={})),
        (["--settings", "{}", "--settings", "f.json"], Own(3, glued=False, file=True, settings={"b": 2})),
        (["--settings", "{bad"], Own(1, glued=False, file=False, settings=None)),
        (["--settings=none.json"], Own(0, glued=True, file=True, settings=None)),
    ],
)
def test_the_last_settings_of_a_command_line_count(
    tmp_path: Path, arguments: list[str], expected: Own | None
) -> None:
    write(tmp_path / "f.json", {"b": 2})
    assert settings.own(arguments, tmp_path) == expected


@pytest.mark.parametrize("arguments", [["mcp", "list"], ["logs", "x"], ["setup-token"]])
def test_nothing_is_put_before_a_command_of_the_client(arguments: list[str]) -> None:
    assert not settings.takes_settings(arguments)


@pytest.mark.parametrize("arguments", [[], ["-p", "hi"], ["fix the bug"], [""], ["Hello"], ["--", "logs"]])
def test_options_can_be_put_before_anything_else(arguments: list[str]) -> None:
    assert settings.takes_settings(arguments)


def test_a_picker_of_the_users_own_stays_and_our_variables_win() -> None:
    own = {"modelPicker": "theirs", "env": {"A": "theirs", "B": "theirs"}, "hooks": {}}
    ours = {"modelPicker": "ours", "env": {"A": "ours"}, "apiKeyHelper": ""}
    assert settings.merged(own, ours) == {
        "modelPicker": "theirs",
        "env": {"A": "ours", "B": "theirs"},
        "hooks": {},
        "apiKeyHelper": "",
    }
    assert settings.merged({}, ours) == ours
    assert settings.merged({"env": "nonsense"}, ours)["env"] == {"A": "ours"}


def test_settings_take_the_place_of_the_users_own() -> None:
    assert settings.placed(["-p"], None, "V") == ["--settings", "V", "-p"]
    own = Own(1, glued=False, file=False, settings={})
    assert settings.placed(["--settings", "{}", "-p"], own, "V") == ["--settings", "V", "-p"]
    own = Own(1, glued=True, file=False, settings={})
    assert settings.placed(["-p", "--settings={}"], own, "V") == ["-p", "--settings=V"]


def test_plain_settings_are_said_on_the_command_line() -> None:
    with settings.given({"modelPicker": {}}, secret=False) as value:
        assert value == '{"modelPicker": {}}'
    with settings.given(None, secret=False) as value:
        assert value is None


@pytest.mark.parametrize(("content", "secret"), [({"env": {"A": "secret"}}, True), ({"x": "y" * 40_000}, False)])
def test_secret_and_long_settings_go_in_a_private_file_that_does_not_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: settings.Json, secret: bool
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with settings.given(content, secret=secret) as value:
        assert value is not None
        file = Path(value)
        assert json.loads(file.read_text()) == content
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert not (tmp_path / "ccrouter").exists()
