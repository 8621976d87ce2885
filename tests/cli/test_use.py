"""``ccrouter use``: what is said is what holds, here and everywhere."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from attrs import evolve

from ccrouter.cli.main import main
from ccrouter.remembered.choice import NAME, ChoiceFile
from ccrouter.remembered.project import NAME as PROJECT
from ccrouter.routing.profiles import Choice

CONFIG = """
default = "ollama"
[providers.ollama]
[providers.anthropic]
[profiles.local]
default = "ollama"
subagent = ["ollama:q", "ollama:r"]
[[profiles.local.routes]]
use = "ollama:q"
[profiles.cloud]
default = "anthropic"
[profiles.cloud.providers]
ollama = false
"""

Use = Callable[..., tuple[int, str, str]]


@pytest.fixture
def use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Use:
    """The command, in a directory ``here`` of a user with two profiles: its code, output and words."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    (tmp_path / "config.toml").write_text(CONFIG)
    for name, value in (("CCROUTER_STATE", "state"), ("CCROUTER_CONFIG", "config.toml"), ("HOME", "home")):
        monkeypatch.setenv(name, str(tmp_path / value))

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(["use", *arguments])
        out, err = capfd.readouterr()
        return code, out, err

    return run


def chosen(tmp_path: Path) -> Choice:
    return ChoiceFile(tmp_path / "state").current()


def test_a_profile_is_chosen_shown_and_taken_back(use: Use, tmp_path: Path) -> None:
    assert use("--show") == (0, "", "")
    assert use("local") == (0, "", "local is in force from the next request on\n")
    assert chosen(tmp_path) == Choice(profile="local")
    assert use("--show") == (0, "local\n", "")
    assert use("--none") == (0, "", "no profile is in force from the next request on\n")
    assert use("--show") == (0, "", "")
    assert not (tmp_path / "state" / NAME).exists()


def test_the_profiles_are_listed_with_what_each_does(use: Use) -> None:
    use("cloud")
    assert use()[1].splitlines() == [
        "  local            default ollama; subagent ollama:q or ollama:r; 1 rule",
        "* cloud            default anthropic; without ollama",
    ]


def test_a_directory_has_its_own(use: Use, tmp_path: Path) -> None:
    here = tmp_path / "here"
    use("local")
    assert use("cloud", "--for", ".") == (0, "", f"cloud is in force in {here} from the next request on\n")
    assert use("--show")[1] == "cloud\n"
    assert use("--show", "--for", str(tmp_path))[1] == "local\n"
    assert use()[1].splitlines()[1:] == [
        "* cloud            default anthropic; without ollama",
        f"  in {here}: cloud",
    ]
    assert (
        use("--for", ".", "--none")[2] == f"local is in force in {here} from the next request on, as everywhere\n"
    )
    assert chosen(tmp_path) == Choice(profile="local")


@pytest.mark.parametrize("way", ["..", "../here/..", "link"])
def test_a_directory_is_kept_under_the_name_that_clients_give_it(use: Use, tmp_path: Path, way: str) -> None:
    (tmp_path / "here" / "link").symlink_to(tmp_path)
    assert use("local", "--for", way)[0] == 0
    assert chosen(tmp_path).projects == ((str(tmp_path.resolve()), "local"),)
    assert use("--show")[1] == "local\n"


def test_it_is_said_where_something_nearer_holds(use: Use, tmp_path: Path) -> None:
    here = tmp_path / "here"
    use("cloud", "--for", ".")
    assert use("local")[2].splitlines() == [
        "local is in force from the next request on",
        f"but cloud in {here}, by what was said for that directory",
    ]


def test_a_profile_of_the_file_is_not_said_to_be_gone(use: Use, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('profile = "local"\n' + CONFIG)
    assert use("--show")[1] == "local\n"
    assert use("cloud")[2] == "cloud is in force from the next request on\n"
    assert use("--none")[2] == "local is in force from the next request on, as a file says\n"
    assert use("--show")[1] == "local\n"


def test_a_projects_file_has_its_say_and_a_mistake_in_it_is_told(use: Use, tmp_path: Path) -> None:
    file = tmp_path / "here" / PROJECT
    file.write_text('profile = "cloud"')
    assert use("--show") == (0, "cloud\n", "")
    file.write_text('profile = "gone"')
    code, out, err = use("--show")
    assert (code, out) == (0, "")
    assert err.startswith("warning: there is no profile 'gone'")
    file.write_text("profile = ")
    code, out, err = use("--show")
    assert (code, out) == (0, "")
    assert err.startswith(f"warning: {file}:1: ")


def test_a_choice_whose_profile_or_directory_is_gone_is_told_and_can_be_taken_back(
    use: Use, tmp_path: Path
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    use("cloud", "--for", str(gone))
    gone.rmdir()
    ChoiceFile(tmp_path / "state").write(evolve(chosen(tmp_path), profile="former"))
    told = use()[2].splitlines()
    assert told[0].startswith("warning: there is no profile 'former'")
    commands = [shlex.split(line.split("`")[1])[1:] for line in told if "takes" in line]
    assert commands == [["use", "--none"], ["use", "--for", str(gone.resolve()), "--none"]]
    for _, *arguments in commands:
        assert use(*arguments)[0] == 0
    assert chosen(tmp_path) == Choice()
    assert use()[2] == ""
    assert use("--for", str(gone), "--none")[0] == 2, "a directory that nobody chose for is a mistake in its name"


def test_as_json_it_is_json(use: Use, tmp_path: Path) -> None:
    use("local")
    use("cloud", "--for", ".")
    assert json.loads(use("--json")[1]) == {
        "profile": "cloud",
        "profiles": ["local", "cloud"],
        "everywhere": "local",
        "projects": {str(tmp_path / "here"): "cloud"},
    }


def test_what_others_chose_beside_it_stays(use: Use, tmp_path: Path) -> None:
    ChoiceFile(tmp_path / "state").write(Choice(subagent="x:y", classifier="x:z"))
    use("local")
    use("--none")
    assert chosen(tmp_path) == Choice(subagent="x:y", classifier="x:z")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["nope"], 2, "there is no profile 'nope'; there are: local, cloud"),
        (["local", "--none"], 2, "either a PROFILE, or --none, or --show"),
        (["local", "--show"], 2, "either a PROFILE, or --none, or --show"),
        (["--show", "--none"], 2, "either a PROFILE, or --none, or --show"),
        (["local", "--for", "missing"], 2, "missing: is no directory"),
        (["--config", "missing.toml"], 2, "missing.toml: cannot be read"),
    ],
)
def test_wrong_use_is_one_line_and_changes_nothing(
    use: Use, tmp_path: Path, arguments: list[str], code: int, said: str
) -> None:
    ended, out, err = use(*arguments)
    assert (ended, out) == (code, "")
    assert err.startswith("ccrouter: ")
    assert err.count("\n") == 1
    assert said in err
    assert not (tmp_path / "state").exists()


def test_a_choice_that_cannot_be_kept_is_said_with_what_helps(use: Use, tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    for arguments in (["local"], ["--none"]):
        code, out, err = use(*arguments)
        assert (code, out) == (1, "")
        assert f"{tmp_path / 'state' / NAME}: cannot be written: " in err
        assert "CCROUTER_STATE" in err
        assert err.count("\n") == 1


def test_without_profiles_it_is_said_how_to_make_one(use: Use, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("")
    assert use() == (0, "", "The configuration has no profiles; a [profiles.NAME] table makes one.\n")
    code, _, err = use("local")
    assert code == 2
    assert f"{tmp_path / 'config.toml'} has none; add [profiles.local] to it" in err


def test_a_profile_without_claude_is_warned_of_when_it_is_chosen(use: Use, tmp_path: Path) -> None:
    more = CONFIG + "[profiles.bare]\ndefault = 'ollama:q'\nproviders = { anthropic = false }\n"
    (tmp_path / "config.toml").write_text(more)
    code, out, err = use("bare")
    assert (code, out) == (0, "")
    assert err.splitlines()[1].startswith(
        "warning: profiles.bare.providers: Claude Code's safety checks go to ollama:q"
    )
    assert "warning" not in use("cloud")[2]


def test_a_projects_file_that_says_something_else_is_named(use: Use, tmp_path: Path) -> None:
    (tmp_path / "here" / PROJECT).write_text('profile = "cloud"')
    assert use("local")[2].splitlines() == [
        "local is in force from the next request on",
        f"but cloud in {tmp_path / 'here'}, by {tmp_path / 'here' / PROJECT}",
    ]


@pytest.mark.only_on("linux", "darwin")
def test_a_directory_that_is_none_is_told(use: Use, tmp_path: Path) -> None:
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    unseen = "long" * 100  # as where one has no permission
    for folder in ("~nosuchuser/x", str(tmp_path / "circle"), str(tmp_path / "missing"), str(tmp_path / unseen)):
        code, out, err = use("local", "--for", folder)
        assert (code, out) == (2, "")
        assert "is no directory" in err
    assert chosen(tmp_path) == Choice()


@pytest.mark.only_on("linux", "darwin")
def test_in_a_directory_that_was_deleted_a_choice_can_be_made(use: Use, tmp_path: Path) -> None:
    (tmp_path / "here").rmdir()
    assert use("local") == (0, "", "local is in force from the next request on\n")
    assert use("--show") == (0, "local\n", "")
