"""``ccrouter run``: its command line, and a command from its start to its end."""

from __future__ import annotations

import json
import os
import stat
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import trio
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ccrouter.cli import joined, runtime
from ccrouter.cli import run as run_module
from ccrouter.cli.main import main
from ccrouter.cli.run import run_command, split
from ccrouter.errors import StartError, UsageError
from ccrouter.menu import Listed
from tests.cli.processes import sandbox
from tests.cli.routers import FakeRouter
from tests.programs import write_program

words = st.lists(
    st.sampled_from(["-c", "-p", "--", "", "--model", "--model=x", "--help", "-h", "--no-picker", "a b", "*", "'"])
    | st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=8),
    max_size=6,
)
OURS = [[], ["--model", "m"], ["--no-picker"], ["--model=m", "--config", "--"]]


@given(ours=st.sampled_from(OURS), command=st.text(min_size=1).filter(lambda word: word[0] != "-"), rest=words)
def test_everything_behind_the_command_is_the_commands(ours: list[str], command: str, rest: list[str]) -> None:
    assert split([*ours, command, *rest])[1] == [command, *rest]
    assert split([*ours, "--", command, *rest])[1] == [command, *rest]


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        ([], ["claude"]),
        (["--"], ["claude"]),
        (["-p", "hi"], ["claude", "-p", "hi"]),
        (["-c"], ["claude", "-c"]),
        (["--verbose", "--model", "x"], ["claude", "--verbose", "--model", "x"]),
        (["--", "-p", "x"], ["claude", "-p", "x"]),
        (["--", "--", "x"], ["claude", "--", "x"]),
        (["--", "--help"], ["claude", "--help"]),
        (["--", "--model", "x"], ["claude", "--model", "x"]),
        (["--model", "m", "-p"], ["claude", "-p"]),
        (["--", "claude", "--", "-c", ""], ["claude", "--", "-c", ""]),
        (["", "x"], ["", "x"]),
    ],
)
def test_options_that_are_not_ours_are_claudes(arguments: list[str], command: list[str]) -> None:
    assert split(arguments)[1] == command


def test_our_options_are_ours_up_to_the_first_that_is_not() -> None:
    arguments = ["--model", "-x", "--no-picker", "--config=c", "-p", "--model", "theirs"]
    assert split(arguments) == (["--model=-x", "--no-picker", "--config=c"], ["claude", "-p", "--model", "theirs"])


@pytest.mark.parametrize("flag", ["--model", "--config"])
def test_an_option_without_its_value_is_wrong_use(flag: str) -> None:
    with pytest.raises(UsageError, match=f"{flag} needs a value"):
        split([flag])


DUMP = "import json, os, sys; json.dump([sys.argv[1:], dict(os.environ)], open(os.environ['DUMP'], 'w'))"


async def started(
    folder: Path, /, *argv: str, router: FakeRouter | None = None, login: bool = False, **changes: Any
) -> int:
    options: dict[str, Any] = {
        "model": None,
        "picker": True,
        "config": None,
        "environ": sandbox(folder) | {"DUMP": str(folder / "dump.json")} | changes.pop("environ", {}),
        "folder": folder,
        "serve": (router or FakeRouter()).serve,
        "has_login": lambda _environ: login,
    }
    with trio.fail_after(30):
        return await run_command(argv, **(options | changes))


def dumped(folder: Path) -> tuple[list[str], dict[str, str]]:
    argv, environ = json.loads((folder / "dump.json").read_text())
    return argv, environ


@given(arguments=words)
@example(arguments=["-c", "--", "", "--", "a b", "\n", "$HOME", '"'])
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_arguments_reach_the_command_untouched(tmp_path: Path, arguments: list[str]) -> None:
    assert await started(tmp_path, sys.executable, "-Sc", DUMP, *arguments) == 0
    assert dumped(tmp_path)[0] == arguments


async def test_the_command_gets_the_address_and_a_token_of_its_own(tmp_path: Path) -> None:
    router = FakeRouter()
    await started(tmp_path, sys.executable, "-c", DUMP, router=router)
    assert router.options is not None
    assert (router.options.host, router.options.port) == ("127.0.0.1", 0)
    environ = dumped(tmp_path)[1]
    assert environ["ANTHROPIC_BASE_URL"] == router.running.url
    assert environ["ANTHROPIC_AUTH_TOKEN"] == router.options.token
    assert len(environ["ANTHROPIC_AUTH_TOKEN"]) >= 32
    assert router.running.asked == ["drain"]


def claude(folder: Path, version: str) -> str:
    """A Claude Code that writes down how it was started."""
    real = folder / "versions" / version
    real.parent.mkdir()
    write_program(real, DUMP)
    (folder / "claude").symlink_to(real)
    return str(folder / "claude")


ROWS = (
    Listed(name="anthropic:claude-opus-5-5", label="O", description="", provider="anthropic", anthropic=True),
    Listed(name="ollama:q", label="Q", description="d", provider="ollama", anthropic=False),
)


async def test_claude_code_keeps_its_login_and_gets_the_models(tmp_path: Path) -> None:
    router = FakeRouter()
    router.running.listed = ROWS
    code = await started(
        tmp_path, claude(tmp_path, "2.1.329"), "-p", "hi", router=router, login=True, model="ollama:q"
    )
    assert code == 0
    argv, environ = dumped(tmp_path)
    assert argv[0] == "--settings"
    row = {"model": "ollama:q", "label": "Q", "description": "d", "behavesAs": "claude-sonnet-4-5"}
    assert json.loads(argv[1]) == {"modelPicker": {"options": [row], "replaceBuiltInOptions": False}}
    assert argv[2:] == ["--model", "ollama:q", "-p", "hi"]
    assert environ["ANTHROPIC_CUSTOM_HEADERS"].split("\n") == [
        f"x-ccrouter-project: {quote(str(tmp_path))}",
        f"x-ccrouter-token: {router.running.token}",
    ]
    assert "ANTHROPIC_AUTH_TOKEN" not in environ


@pytest.mark.parametrize(
    ("model", "doubtful"), [("olama:q", True), ("ollama", True), ("ollama:q", False), (None, False)]
)
async def test_a_model_that_is_probably_another_is_told_before_the_command_has_the_terminal(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], model: str | None, doubtful: bool
) -> None:
    saying = "import sys; print('the command', file=sys.stderr)"
    assert await started(tmp_path, sys.executable, "-c", saying, model=model) == 0
    *before, last = capfd.readouterr().err.splitlines()
    assert last == "the command"
    assert [line.startswith(f"warning: `{model}` names ") for line in before] == [True] * doubtful


async def test_an_older_claude_code_asks_for_the_models_itself(tmp_path: Path) -> None:
    router = FakeRouter()
    router.running.listed = ROWS
    await started(tmp_path, claude(tmp_path, "2.1.197"), "-p", router=router, login=True)
    argv, environ = dumped(tmp_path)
    assert argv == ["-p"]
    assert environ["ANTHROPIC_AUTH_TOKEN"] == router.running.token
    assert environ["CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY"] == "1"
    assert router.running.asked == ["drain"], "nobody waits for models that nobody lists"


async def test_contradicting_settings_are_overruled_without_a_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / ".claude").mkdir()
    (tmp_path / ".claude/settings.json").write_text('{"env": {"ANTHROPIC_BASE_URL": "https://gw.example.com"}}')
    copying = f"import sys, shutil; shutil.copy(sys.argv[2], {str(tmp_path / 'copy')!r}); {DUMP}"
    program = Path(claude(tmp_path, "2.1.329"))
    write_program(program.resolve(), copying)
    router = FakeRouter()
    assert await started(tmp_path, str(program), "-p", router=router, login=True) == 0
    argv = dumped(tmp_path)[0]
    assert json.loads((tmp_path / "copy").read_text()) == {"env": {"ANTHROPIC_BASE_URL": router.running.url}}
    assert router.running.token not in str(argv)
    assert not Path(argv[1]).exists()


async def test_a_router_that_cannot_start_starts_no_command(tmp_path: Path) -> None:
    router = FakeRouter(failure=StartError("port taken"), fails_at_start=True)
    with pytest.RaisesGroup(pytest.RaisesExc(StartError, match="port taken")):
        await started(tmp_path, sys.executable, "-c", DUMP, router=router)
    assert not (tmp_path / "dump.json").exists()


async def test_a_router_that_fails_later_leaves_the_command_its_terminal(tmp_path: Path) -> None:
    router = FakeRouter(failure=RuntimeError("a mistake"))
    with pytest.raises(RuntimeError, match="a mistake"):
        await started(tmp_path, sys.executable, "-c", DUMP, router=router)
    assert (tmp_path / "dump.json").exists(), "it ran to its end"


async def test_streams_that_outlive_the_command_do_not_hold_it_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module, "FAREWELL", 0.01)
    router = FakeRouter()
    router.running.patient = True
    assert await started(tmp_path, sys.executable, "-c", "raise SystemExit(3)", router=router) == 3
    assert router.running.asked == ["drain"]


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("azure:x", "there is no [providers.azure]"),
        ("olama:x", "did you mean `ollama:x`?"),
        ("ollama:x", ""),
        ("opus", ""),
    ],
)
async def test_a_model_that_leads_elsewhere_than_its_name_says_is_doubted_before_the_command_starts(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], model: str, words: str
) -> None:
    await started(tmp_path, sys.executable, "-c", "", model=model)
    out, err = capfd.readouterr()
    assert out == ""
    assert bool(err) is bool(words)
    assert err.startswith("warning: " if words else "")
    assert words in err


async def test_the_log_goes_to_the_file_that_was_asked_for(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    router = FakeRouter()
    log = tmp_path / "log"
    code = f"import time\nfor _ in range(3000):\n if open({str(log)!r}).read(): break\n time.sleep(.01)\nelse: raise SystemExit(1)"
    async with trio.open_nursery() as nursery:

        async def tell() -> None:
            while router.options is None:
                await trio.sleep(0.01)
            router.options.log("a line")

        nursery.start_soon(tell)
        assert (
            await started(tmp_path, sys.executable, "-c", code, router=router, environ={"CCROUTER_LOG": str(log)})
            == 0
        )
    assert log.read_text() == "a line\n"
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    assert capfd.readouterr() == ("", "")


async def test_a_log_that_cannot_be_written_is_said_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(Exception, match=r"CCROUTER_LOG names .*missing/log, which cannot be written"):
        await started(
            tmp_path, sys.executable, "-c", DUMP, environ={"CCROUTER_LOG": str(tmp_path / "missing/log")}
        )
    assert not (tmp_path / "dump.json").exists()


async def test_without_a_log_file_lines_go_nowhere(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    router = FakeRouter()
    await started(tmp_path, sys.executable, "-c", "", router=router)
    assert router.options is not None
    router.options.log("unheard")
    assert capfd.readouterr() == ("", "")
    assert [*tmp_path.rglob("*")] == []


async def test_while_it_runs_explain_finds_it_and_env_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    router, environ = FakeRouter(), sandbox(tmp_path)
    ready, go_on = tmp_path / "ready", tmp_path / "go_on"
    code = f"open({str(ready)!r}, 'w')\nimport os, time\nwhile not os.path.exists({str(go_on)!r}): time.sleep(.01)"
    before = time.time()
    async with trio.open_nursery() as nursery:

        async def look() -> None:
            with trio.fail_after(30):
                while not ready.exists():
                    await trio.sleep(0.01)
            (found,) = runtime.running(environ)
            assert (found.purpose, found.url, found.token) == ("run", router.running.url, router.running.token)
            assert before <= found.started <= time.time()
            assert joined.chosen([found], None) == found
            monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
            assert main(["env"]) == 1, "it is there for its own command"
            assert "no router of yours is running" in capfd.readouterr().err
            go_on.touch()

        nursery.start_soon(look)
        assert await started(tmp_path, sys.executable, "-c", code, router=router) == 0
    assert runtime.running(environ) == []


async def test_a_folder_that_cannot_be_had_stops_no_command(tmp_path: Path) -> None:
    (tmp_path / "ccrouter").mkdir(mode=0o755)
    (tmp_path / "ccrouter").chmod(0o755)
    assert await started(tmp_path, sys.executable, "-c", DUMP) == 0
    assert list((tmp_path / "ccrouter").iterdir()) == []


@pytest.mark.only_on("linux")
async def test_a_directory_whose_name_is_no_utf8_stops_no_command(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    assert await started(tmp_path, sys.executable, "-c", DUMP, folder=folder) == 0
    assert dumped(tmp_path)[1]["ANTHROPIC_CUSTOM_HEADERS"].endswith("/caf%E9")
