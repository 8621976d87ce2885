"""The command line: which command is meant, and what its end means for the exit code."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import ccrouter
from ccrouter.cli import main as main_module
from ccrouter.cli.main import COMMANDS, MEANT, main, parse
from ccrouter.errors import ConfigError, StartError, UsageError
from tests.cli.processes import CCROUTER, ROOT, sandbox


class Command:
    """A command that ends as it is told."""

    def __init__(self, outcome: Callable[[], int]) -> None:
        self.outcome = outcome
        self.args: argparse.Namespace | None = None

    def add_parser(self, subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
        for name in COMMANDS:
            subparsers.add_parser(name).add_argument("--flag")

    def run(self, args: argparse.Namespace) -> int:
        self.args = args
        return self.outcome()


def ending(monkeypatch: pytest.MonkeyPatch, outcome: BaseException | int) -> Command:
    def end() -> int:
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    command = Command(end)
    monkeypatch.setattr(main_module, "_module", lambda _name: command)
    return command


@pytest.mark.parametrize(
    ("outcome", "code", "said"),
    [
        (0, 0, ""),
        (7, 7, ""),
        (UsageError("no"), 2, "ccrouter: no\n"),
        (ConfigError("line 3"), 2, "ccrouter: line 3\n"),
        (StartError("taken"), 1, "ccrouter: taken\n"),
        (BaseExceptionGroup("", [BaseExceptionGroup("", [StartError("taken")])]), 1, "ccrouter: taken\n"),
        (ExceptionGroup("", [StartError("first"), StartError("second")]), 1, "ccrouter: first\n"),
        (KeyboardInterrupt(), 130, ""),
        (BaseExceptionGroup("", [KeyboardInterrupt(), ValueError()]), 130, ""),
        (SystemExit(3), 3, ""),
    ],
)
def test_every_end_has_its_exit_code_and_at_most_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    outcome: BaseException | int,
    code: int,
    said: str,
) -> None:
    ending(monkeypatch, outcome)
    assert main(["serve"]) == code
    assert capfd.readouterr() == ("", said)


@pytest.mark.parametrize("debug", [True, False])
@pytest.mark.parametrize("outcome", [ValueError("secret"), ExceptionGroup("", [ValueError(), KeyError()])])
def test_a_mistake_of_ours_shows_its_traceback_only_on_demand(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], outcome: Exception, debug: bool
) -> None:
    monkeypatch.setenv("CCROUTER_DEBUG", "1" if debug else "")
    ending(monkeypatch, outcome)
    assert main(["serve"]) == 1
    out, err = capfd.readouterr()
    assert out == ""
    assert ("Traceback" in err) == debug
    last = err.splitlines()[-1]
    assert f"a mistake in ccrouter itself, {type(outcome).__name__}" in last
    assert "CCROUTER_DEBUG=1" in last
    assert debug or "secret" not in err


@pytest.mark.parametrize("argv", [[], ["--flag", "x"], ["serve", "--flag=x"]])
def test_serve_is_the_default(monkeypatch: pytest.MonkeyPatch, argv: list[str]) -> None:
    command = ending(monkeypatch, 0)
    assert main(argv) == 0
    assert command.args is not None
    assert command.args.flag == ("x" if argv else None)


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["srve"], "there is no command 'srve'; did you mean `ccrouter serve`?"),
        (["confg"], "did you mean `ccrouter config`?"),
        (["claude", "-p", "hi"], "did you mean `ccrouter run`?"),
        (["subagent", "env", "--flag"], "subagent knows no argument '--flag'"),
        (["init"], "did you mean `ccrouter config init`?"),
        (["login"], "there is no command 'login'; the commands are serve, "),
        (["zzzzzz"], "the commands are serve, run, env, ask, explain, use, subagent, classifier, config"),
        (["serve", "--prot", "1"], "serve knows no argument '--prot'; see ccrouter serve --help"),
        (["--prt=1"], "serve knows no argument '--prt=1'"),
        (["serve", "--print-env=csh"], "invalid choice"),
        (["--port", "1", "run"], "serve knows no argument 'run'; the command comes first, as in: ccrouter run\n"),
        (["run", "--model"], "--model needs a value"),
        (["config"], "required: check|path|show|schema|init; see ccrouter config --help"),
        (["help", "confg"], "did you mean `ccrouter config`?"),
    ],
)
def test_wrong_use_is_one_line_that_helps(capfd: pytest.CaptureFixture[str], argv: list[str], said: str) -> None:
    assert main(argv) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("ccrouter: ")
    assert err.count("\n") == 1
    assert said in err


@pytest.mark.parametrize(
    "argv",
    [
        ["subagent", "{}"],
        ["classifier", "ollama:{}"],
        ["use", "{}"],
        ["use", "{}", "--for", "."],
        ["ask", "--model={}", "hi"],
        ["ask", "-m", "{}"],
        ["run", "--model", "{}", "--", "true"],
        ["serve", "--host", "{}"],
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("given", ["caf\udce9", "\udcff\udcfe"])
def test_a_name_that_is_no_text_is_told_and_goes_nowhere(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    argv: list[str],
    given: str,
) -> None:
    for name in ("HOME", "XDG_CONFIG_HOME", "CCROUTER_STATE"):
        monkeypatch.setenv(name, str(tmp_path))
    assert main([word.format(given) for word in argv]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    shown = given.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    assert re.fullmatch(rf"ccrouter: the argument '\S*{re.escape(shown)}' is not UTF-8 text; .*\n", err)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.only_on("linux")
def test_a_file_and_a_directory_may_have_any_name_that_the_system_allows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CCROUTER_STATE", str(tmp_path / "state"))
    folder = tmp_path / "caf\udce9"
    folder.mkdir()
    file = folder / "\udcff.toml"
    file.write_text("[profiles.local]\n")
    request = folder / "\udcff.json"
    request.write_text('{"model": "m", "messages": []}')
    for argv in (["config", "check"], ["use", "local", "--for", str(folder)], ["explain", str(request)]):
        assert main([*argv, "--config", str(file)]) == 0
    monkeypatch.chdir(folder)
    capfd.readouterr()
    assert main(["use", "--show", "--config", str(file)]) == 0
    assert capfd.readouterr().out == "local\n"


def test_what_is_meant_is_there() -> None:
    for meant in MEANT.values():
        parse(meant.split())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_with_an_example(capfd: pytest.CaptureFixture[str], name: str) -> None:
    assert main([name, "--help"]) == 0
    out, err = capfd.readouterr()
    assert main(["help", name]) == 0
    assert capfd.readouterr().out == out
    assert out.startswith(f"usage: ccrouter {name}")
    assert "example" in out
    assert err == ""


#: A command line of ours in a text: what stands before it, and itself up to its comment, pipe or end.
LINE = re.compile(
    r"(?:[`(]| {2,}|# |&& |example[^:\n]*: )ccrouter((?: (?![ #<|&])[^`)|;<\n]*?)?)(?=$|[`)|;<]| [ #<|&])",
    re.MULTILINE,
)


def helps(capfd: pytest.CaptureFixture[str]) -> str:
    """All that the commands say of themselves."""
    for argv in ([], *([name] for name in COMMANDS), ["config", "check"], ["config", "show"]):
        assert main([*argv, "--help"]) == 0
    return capfd.readouterr().out


def test_the_command_lines_of_the_readme_and_of_every_help_and_message_are_right(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "400")  # no line is cut
    readme = LINE.findall((ROOT / "README.md").read_text("utf-8"))
    helped = LINE.findall(helps(capfd))
    sources = "\n".join(path.read_text("utf-8") for path in (ROOT / "ccrouter").rglob("*.py"))
    messages = re.findall(r"(?<!`)`ccrouter( [^`{]*?)(?= \||`)", sources)
    assert {" run -- some-tool -c --flag", " env --format powershell", " use local"} <= {*readme}
    assert {" use --for ~/work --none", " --port 0 --print-env=json", " env --format fish"} <= {*helped}
    assert " config init" in messages
    for line in (*readme, *helped, *messages):
        try:
            parse(shlex.split(line))
        except UsageError as error:
            pytest.fail(f"ccrouter{line}: {error}")


def test_the_overview_names_every_command(capfd: pytest.CaptureFixture[str]) -> None:
    for argv in (["--help"], ["-h"], ["help"]):
        assert main(argv) == 0
        out = capfd.readouterr().out
        assert all(f"\n  {name}" in out for name in COMMANDS)


def test_the_overview_names_every_variable_of_ours_that_a_user_may_set(capfd: pytest.CaptureFixture[str]) -> None:
    main(["--help"])
    told = {*re.findall(r"CCROUTER_\w+", capfd.readouterr().out)}
    sources = [path.read_text("utf-8") for path in (ROOT / "ccrouter").rglob("*.py")]
    read = {name for text in sources for name in re.findall(r"[\"'](CCROUTER_\w+)[\"']", text)}
    # The image's own; and a name that the starter file gives as an example.
    assert told == read - {"CCROUTER_CONTAINER", "CCROUTER_TOKEN"}


def test_the_version_goes_to_standard_output(capfd: pytest.CaptureFixture[str]) -> None:
    for argv in (["--version"], ["-V"], ["version"]):
        assert main(argv) == 0
        assert capfd.readouterr() == (f"ccrouter {ccrouter.__version__}\n", "")


def test_the_overview_and_env_import_nothing_that_serves() -> None:
    code = (
        "import sys; from ccrouter.cli.main import main; main(['--help']); main(['env', '--help']);"
        "main(['run', '--help']); slow = {'trio', 'httpx', 'h11', 'ssl'} & set(sys.modules); sys.exit(str(slow) if slow else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, timeout=30)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("arguments", [("--help",), ("run", "--help"), ("config", "check", "--help")])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_output_that_nobody_reads_ends_quietly(
    tmp_path: Path, arguments: tuple[str, ...], unbuffered: str
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [*CCROUTER, *arguments],
        env=sandbox(tmp_path) | {"PYTHONUNBUFFERED": unbuffered},
        stdout=writer,
        stderr=subprocess.PIPE,
        check=False,
        timeout=30,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, b"")
