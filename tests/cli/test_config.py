import argparse
import json
import os
import re
import tomllib

import pytest

from ccrouter.cli.config import STARTER, add_parser, run
from ccrouter.cli.config_dump import tables
from ccrouter.errors import ConfigError
from ccrouter.providers.presets import PRESETS
from ccrouter.providers.secret import FromEnv
from ccrouter.routing.config import Config
from ccrouter.routing.load import parse
from ccrouter.routing.schema import json_schema

SECRET = "SeKrIt-0123456789"

WHOLE = f"""
default = "big"
[server]
token = "{SECRET}"
[providers.work]
preset = "messages"
base_url = "https://llm.example.com"
api_key = {{ command = ["op", "--token={SECRET}", "read"], ttl = "1h" }}
models = ["a", {{ id = "b", window = 1 }}]
headers = {{ x-team = "{SECRET}", x-key = {{ env = "K" }}, x-file = {{ file = "~/k" }} }}
[providers.demo]
[aliases]
big = "work:a"
"""


@pytest.fixture
def path(tmp_path, monkeypatch):
    """Where the command finds its file when nothing names one."""
    monkeypatch.delenv("CCROUTER_CONFIG", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("APPDATA", str(tmp_path / "xdg"))
    return tmp_path / "xdg" / "ccrouter" / "config.toml"


def save(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)


def parsed(*argv):
    parser = argparse.ArgumentParser(prog="ccrouter")
    add_parser(parser.add_subparsers(dest="command"))
    return parser.parse_args(argv)


def config(*argv):
    return run(parsed("config", *argv))


# ------------------------------------------------------------------------------------------------------- check


def test_check_says_that_a_file_is_fine(path, capsys):
    save(path, WHOLE)
    assert config("check") == 0
    assert capsys.readouterr() == (f"{path}: fine\n", "")


def test_check_tells_every_mistake_and_fails(path, capsys):
    save(path, "[server]\nprot = 1\nping = 0\n")
    assert config("check") == 1
    out, err = capsys.readouterr()
    assert out.startswith(
        f"{path}:2: server.prot: unknown key `prot`; did you mean `port`?\n{path}:3: server.ping: "
    )
    assert err == ""


def test_check_is_content_without_a_file(path, capsys):
    assert config("check") == 0
    assert capsys.readouterr().out == f"{path}: not there, which is fine: none is needed\n"


def test_check_fails_for_a_named_file_that_is_missing(path, tmp_path, capsys):
    assert config("check", "--config", str(tmp_path / "no.toml")) == 1
    assert capsys.readouterr().out == f"{tmp_path / 'no.toml'}: cannot be read: No such file or directory\n"


def test_check_gives_the_same_as_json(path, capsys):
    save(path, "a = 1\n[server]\nport = 'x'\n")
    assert config("check", "--json") == 1
    report = json.loads(capsys.readouterr().out)
    assert (report["file"], report["fine"], report["warnings"]) == (str(path), False, [])
    assert [(each["line"], each["key"]) for each in report["mistakes"]] == [(1, "a"), (3, "server.port")]
    save(path, "a = [,\n")
    config("check", "--json")
    (mistake,) = json.loads(capsys.readouterr().out)["mistakes"]
    assert (mistake["line"], mistake["column"], mistake["key"], mistake["message"]) == (
        1,
        6,
        None,
        "Invalid value",
    )


@pytest.mark.skipif(os.name != "posix", reason="modes of POSIX")
def test_check_warns_on_standard_error_and_still_succeeds(path, capsys):
    save(path, WHOLE)
    path.chmod(0o644)
    assert config("check") == 0
    out, err = capsys.readouterr()
    assert out == f"{path}: fine\n"
    assert err.startswith(f"warning: {path}: other users of this machine may read it")
    assert SECRET not in err


@pytest.mark.only_on("linux", "darwin")
def test_a_file_that_nobody_can_look_at_is_not_said_to_be_missing(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("CCROUTER_CONFIG", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / ("long" * 100)))  # as where one has no permission
    assert config("path") == 0
    assert capsys.readouterr().err == ""
    assert config("check") == 1
    assert "config.toml: cannot be read: File name too long" in capsys.readouterr().out


# -------------------------------------------------------------------------------------------------- path, schema


def test_path_prints_where_the_file_is_or_would_be(path, capsys):
    assert config("path") == 0
    out, err = capsys.readouterr()
    assert (out, "config init" in err) == (f"{path}\n", True)
    save(path, "")
    config("path")
    assert capsys.readouterr() == (f"{path}\n", "")


def test_the_flag_counts_before_the_verb_and_after_it(path, tmp_path, capsys):
    named = str(tmp_path / "named.toml")
    for argv in (["config", "--config", named, "path"], ["config", "path", "--config", named]):
        run(parsed(*argv))
        assert capsys.readouterr().out == f"{named}\n"


def test_the_environment_names_the_file(path, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("CCROUTER_CONFIG", str(tmp_path / "env.toml"))
    config("path")
    assert capsys.readouterr().out == f"{tmp_path / 'env.toml'}\n"


def test_schema_prints_the_schema(path, capsys):
    assert config("schema") == 0
    assert json.loads(capsys.readouterr().out) == json_schema(PRESETS)


@pytest.mark.parametrize("argv", [["config"], ["config", "chekc"], ["config", "path", "--jsn"]])
def test_wrong_use_is_exit_code_two(argv):
    with pytest.raises(SystemExit) as caught:
        parsed(*argv)
    assert caught.value.code == 2


@pytest.mark.parametrize("verb", ["check", "path", "show", "schema", "init"])
def test_every_verb_has_help_with_an_example(verb, capsys):
    with pytest.raises(SystemExit) as caught:
        parsed("config", verb, "--help")
    assert caught.value.code == 0
    assert f"example: ccrouter config {verb}" in capsys.readouterr().out


# --------------------------------------------------------------------------------------------------------- show


def test_show_prints_what_is_in_force_with_the_sources_of_secrets_only(path, capsys):
    save(path, WHOLE)
    assert config("show") == 0
    out, err = capsys.readouterr()
    assert (SECRET in out, err) == (False, "")
    tree = tomllib.loads(out)
    assert tree["default"] == "big"
    assert (tree["server"]["port"], tree["server"]["drain"]) == (11436, "10s")
    assert tree["server"]["token"] == {"hidden": "written in the file"}
    work = tree["providers"]["work"]
    assert work["api_key"] == {"command": ["op"], "ttl": "1h", "hidden": "arguments: 2"}
    assert work["headers"] == {
        "x-team": {"hidden": "written in the file"},
        "x-key": {"env": "K"},
        "x-file": {"file": "~/k"},
    }
    assert work["models"] == ["a", {"id": "b", "window": 1}]
    assert tree["aliases"] == {"big": "work:a"}


def test_show_gives_the_same_as_json(path, capsys):
    save(path, WHOLE)
    config("show", "--json")
    tree = json.loads(capsys.readouterr().out)
    assert tree == tables(parse(WHOLE, where="f", presets=PRESETS))
    assert SECRET not in json.dumps(tree)


def test_show_without_a_file_prints_the_defaults(path, capsys):
    assert config("show") == 0
    assert parse(capsys.readouterr().out, where="f", presets=PRESETS) == Config()


def test_show_of_a_broken_file_says_what_is_wrong(path):
    save(path, "[server]\nport = 'x'\n")
    with pytest.raises(ConfigError, match=r":2: server\.port: "):
        config("show")


# --------------------------------------------------------------------------------------------------------- init


def test_init_writes_a_file_for_its_owner_only_and_says_where(path, capsys):
    assert config("init") == 0
    out, err = capsys.readouterr()
    assert (out, "config check" in err) == (f"{path}\n", True)
    assert path.read_text(encoding="utf-8") == STARTER
    if os.name == "posix":
        assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.only_on("linux", "darwin")
def test_what_is_to_be_done_next_is_about_the_same_file(path, tmp_path, capsys):
    named = tmp_path / "my own.toml"
    for verb, following in (("path", "init"), ("init", "check")):
        assert config(verb, "--config", str(named)) == 0
        assert f"`ccrouter config {following} --config '{named}'`" in capsys.readouterr().err


def test_init_never_overwrites(path, capsys):
    save(path, "mine")
    assert config("init") == 1
    assert path.read_text(encoding="utf-8") == "mine"
    assert capsys.readouterr() == ("", f"{path}: is there already and stays as it is\n")


def test_init_says_why_it_cannot_write(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert config("init", "--config", str(tmp_path / "file" / "config.toml")) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(r".*config\.toml: cannot be written: .+\n", err)


def test_the_starter_file_is_the_configuration_of_defaults():
    assert parse(STARTER, where="f", presets=PRESETS) == Config()


def test_the_starter_file_is_right_with_every_line_switched_on():
    text = re.sub(r"^#(?=\S)", "", STARTER, flags=re.MULTILINE)
    config = parse(text, where="f", presets=PRESETS)
    assert set(config.providers) == {"anthropic", "ollama", "work"}
    assert config.server.token == FromEnv("CCROUTER_TOKEN")
    assert config.aliases
