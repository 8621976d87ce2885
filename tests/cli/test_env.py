"""``ccrouter env``."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from pathlib import Path

import pytest
import trio

from ccrouter.cli import runtime
from ccrouter.cli.env import chosen, joining
from ccrouter.cli.main import main
from ccrouter.cli.shells import FORMATS, Format, failing
from ccrouter.errors import CcrouterError
from tests.backend import Reply, Seen, backend
from tests.cli.processes import CCROUTER, PATIENCE, sandbox
from tests.cli.test_runtime import record


def test_the_router_on_the_default_port_is_preferred() -> None:
    assert chosen([record(9), record(11436)], None).port == 11436
    assert chosen([record(9), record(11436)], 9).port == 9
    assert chosen([record(9)], None).port == 9


def test_several_others_are_a_question() -> None:
    with pytest.raises(CcrouterError, match="ports 8, 9; choose with --port"):
        chosen([record(8), record(9)], None)


def test_a_port_where_none_runs_is_an_error_that_says_where_one_does() -> None:
    with pytest.raises(CcrouterError, match="port 7; there is one on 8, 9"):
        chosen([record(8), record(9)], 7)


def test_it_prints_the_variables_of_the_running_router(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(runtime, "answers", lambda _: True)
    with runtime.announced(record(9), {"XDG_RUNTIME_DIR": str(tmp_path)}):
        assert main(["env", "--format", "json"]) == 0
    line = json.loads(capfdbinary.readouterr().out)
    assert (line["port"], line["version"]) == (9, record(9).version)
    assert line["env"]["ANTHROPIC_AUTH_TOKEN"] == "ccr-secret"


@pytest.mark.parametrize("fmt", FORMATS)
def test_without_a_router_a_shell_is_given_what_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes], fmt: Format
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert main(["env", "--format", fmt]) == 1
    out, err = capfdbinary.readouterr()
    assert out == failing(fmt).encode()
    assert b"no router of yours is running" in err
    assert bool(out) is (fmt in {"sh", "fish", "powershell"})


@pytest.mark.parametrize(
    ("argv", "fmt"),
    [
        (["env", "--typo"], None),
        (["env", "--port", "x"], None),
        (["env", "--format"], None),
        (["env", "--format", "csh"], None),
        (["env", "--format=fish", "--format=csh"], None),
        (["env", "--fromat", "powershell"], None),
        (["env", "--format", "sh", "--typo"], "sh"),
        (["env", "--typo", "--format=powershell"], "powershell"),
        (["env", "--format", "json", "--typo"], "json"),
        (["evn"], None),
        (["--port", "9", "env", "--format", "fish"], "fish"),
    ],
)
def test_with_a_mistake_in_its_arguments_a_shell_is_given_what_fails(
    capfd: pytest.CaptureFixture[str], argv: list[str], fmt: Format | None
) -> None:
    assert main(argv) == 2
    out, err = capfd.readouterr()
    assert out == failing(fmt)
    assert err.startswith("ccrouter: ")
    assert err.count("\n") == 1


def test_a_mistake_of_ours_gives_a_shell_what_fails_too(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(runtime, "answering", lambda _: 1 // 0)
    assert main(["env"]) == 1
    assert capfd.readouterr().out == failing("sh")


#: Each shell with the line of the help or of the router that is for it.
LINES = {shell: joining(" --port {port}", windows=False) for shell in ("sh", "dash", "bash", "zsh", "fish")}
LINES |= {
    "fish, in its own format": "ccrouter env --port {port} --format fish | source && claude",
    "pwsh": joining(" --port {port}", windows=True),
}


@pytest.mark.only_on("linux", "darwin")
@pytest.mark.parametrize("name", [name for name in LINES if shutil.which(name.split(",")[0])])
@pytest.mark.parametrize(
    ("runs", "mistake"),
    [(True, ""), (False, ""), (True, " --typo")],
    ids=["a router", "no router", "a mistake in the line"],
)
async def test_the_line_that_joins_a_router_starts_claude_behind_it_or_not_at_all(
    tmp_path: Path, name: str, runs: bool, mistake: str
) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool, does in (
        ("ccrouter", f'exec {shlex.join(CCROUTER)} "$@"'),
        ("claude", "echo at $ANTHROPIC_BASE_URL"),
    ):
        (tools / tool).write_text(f"#!/bin/sh\n{does}\n")
        (tools / tool).chmod(0o755)
    env = sandbox(tmp_path)
    env["PATH"] = f"{tools}{os.pathsep}{env['PATH']}"

    async def healthy(_: Seen, reply: Reply) -> None:
        await reply.whole(200, [], b'{"status": "ok"}')

    async with backend(healthy) as it:
        line = LINES[name].format(port=it.port).replace("ccrouter env", f"ccrouter env{mistake}")
        command = [name.split(",", maxsplit=1)[0], "-c", line]
        with runtime.announced(record(it.port if runs else 9), env), trio.fail_after(PATIENCE):
            done = await trio.run_process(command, env=env, capture_stdout=True, capture_stderr=True, check=False)
    starts = runs and not mistake
    assert done.stdout == (f"at {it.url}\n".encode() if starts else b""), done.stderr
    assert (done.returncode == 0) is starts
