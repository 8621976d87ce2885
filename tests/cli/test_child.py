"""A command in the foreground: its terminal, its signals, its exit code. On real processes and terminals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ccrouter.cli import child
from tests.cli.processes import CCROUTER, PATIENCE, Terminal, ccrouter, sandbox

# By the bytes that the interpreter writes for each signal: its functions are called once for several.
COUNTING = """
import os, signal, sys
count = 0
reader, writer = os.pipe()
os.set_blocking(writer, False)
signal.set_wakeup_fd(writer)
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda *_: None)
print("ready", flush=True)
while (number := os.read(reader, 1)[0]) == signal.SIGINT:
    count += 1
    print(f"interrupted {count}.", flush=True)
os.set_blocking(reader, False)
try:  # of two signals at once the kernel may have delivered the later one first
    count += os.read(reader, 99).count(signal.SIGINT)
except BlockingIOError:
    pass
print(f" {count} in all", flush=True)
sys.exit(5)
"""

WAITING = "print('ready', flush=True); input(); raise SystemExit(5)"


def at_terminal(code: str, folder: Path) -> Terminal:
    return Terminal([*CCROUTER, "run", "--", sys.executable, "-c", code], sandbox(folder))


def test_ctrl_c_reaches_the_command_and_not_the_router(tmp_path: Path) -> None:
    with at_terminal(COUNTING, tmp_path) as terminal:
        terminal.until("ready")
        for count in (1, 2, 3):
            terminal.type(b"\x03")
            terminal.until(f"interrupted {count}.")
        os.kill(terminal.job, signal.SIGTERM)
        terminal.until(" 3 in all")
        assert terminal.report() == "ended 5"


def test_an_interrupt_of_the_whole_group_reaches_the_command_once(tmp_path: Path) -> None:
    with at_terminal(COUNTING, tmp_path) as terminal:
        terminal.until("ready")
        os.kill(terminal.job, signal.SIGSTOP)  # so that what the router does comes after all else
        assert terminal.report() == "stopped"
        os.killpg(terminal.job, signal.SIGINT)
        terminal.until("interrupted 1.")
        terminal.resume()
        os.kill(terminal.job, signal.SIGTERM)  # taken after the interrupt
        terminal.until(" 1 in all")
        assert terminal.report() == "ended 5"


@pytest.mark.parametrize(("key", "number"), [(b"\x03", signal.SIGINT), (b"\x1c", signal.SIGQUIT)])
def test_a_command_that_a_key_ends_gives_its_signal(tmp_path: Path, key: bytes, number: int) -> None:
    code = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_DFL); print('ready', flush=True); time.sleep(99)"
    with at_terminal(code, tmp_path) as terminal:
        terminal.until("ready")
        terminal.type(key)
        assert terminal.report() == f"ended {128 + number}"


def test_ctrl_z_stops_both_and_both_go_on(tmp_path: Path) -> None:
    with at_terminal(WAITING, tmp_path) as terminal:
        terminal.until("ready")
        for _ in range(2):
            terminal.type(b"\x1a")
            assert terminal.report() == "stopped"
            terminal.resume()
        terminal.type(b"q\n")
        assert terminal.report() == "ended 5"


def test_a_command_that_stops_itself_gives_the_terminal_back_to_the_shell(tmp_path: Path) -> None:
    code = (
        "import os, signal; os.kill(os.getpid(), signal.SIGSTOP); print('back', flush=True); raise SystemExit(6)"
    )
    with at_terminal(code, tmp_path) as terminal:
        assert terminal.report() == "stopped"
        terminal.resume()
        terminal.until("back")
        assert terminal.report() == "ended 6"


def test_the_terminal_is_the_commands_and_its_modes_are_left_alone(tmp_path: Path) -> None:
    code = (
        "import os, sys; print([os.isatty(fd) for fd in (0, 1, 2)], os.tcgetpgrp(0) == os.getpgrp(), "
        "os.getpgrp() == os.getppid(), '.', flush=True)"
    )
    with at_terminal(code, tmp_path) as terminal:
        assert terminal.until(".") == "[True, True, True] True True "
        assert terminal.report() == "ended 0"
        assert terminal.modes_now() == terminal.modes


def test_nothing_of_ours_is_on_the_terminal(tmp_path: Path) -> None:
    with at_terminal("print('only this')", tmp_path) as terminal:
        assert terminal.report() == "ended 0"
        terminal.type(b"\n")  # echoed: the end of what can have come before
        assert terminal.until("only this") == ""
        assert terminal.until("\r\n\r\n") == ""


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*CCROUTER, "run", "--", *command],
        env=sandbox(folder),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=PATIENCE,
    )


@pytest.mark.parametrize(
    ("number", "caught"), [(signal.SIGTERM, True), (signal.SIGHUP, True), (signal.SIGTERM, False)]
)
def test_signals_to_the_router_alone_are_passed_on(tmp_path: Path, number: int, caught: bool) -> None:
    catch = f"signal.signal({int(number)}, lambda *_: sys.exit(9)); " if caught else ""
    code = f"import signal, sys; {catch}print('ready', flush=True); signal.pause()"
    with ccrouter("run", "--", sys.executable, "-c", code, env=sandbox(tmp_path)) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(number)
        assert process.wait(PATIENCE) == (9 if caught else 128 + number)


def test_the_command_inherits_no_disposition_of_ours(tmp_path: Path) -> None:
    names = ("SIGINT", "SIGQUIT", "SIGTERM", "SIGHUP", "SIGTSTP", "SIGCHLD", "SIGPIPE")
    code = f"import signal; print([name for name in {names} if signal.getsignal(getattr(signal, name)) is signal.SIG_IGN])"
    # Python itself ignores SIGPIPE when it starts.
    assert run(tmp_path, sys.executable, "-c", code).stdout == b"['SIGPIPE']\n"


def test_a_signal_ignored_from_the_start_stays_ignored_as_under_nohup(tmp_path: Path) -> None:
    code = "import signal; print(signal.getsignal(signal.SIGHUP) is signal.SIG_IGN)"
    done = subprocess.run(
        ["sh", "-c", 'trap "" HUP; exec "$@"', "sh", *CCROUTER, "run", "--", sys.executable, "-c", code],
        env=sandbox(tmp_path),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
        timeout=PATIENCE,
    )
    assert done.stdout == b"True\n"


@pytest.mark.parametrize(
    ("script", "code"), [("exit 0", 0), ("exit 7", 7), ("kill -KILL $$", 137), ("kill -TERM $$", 143)]
)
def test_the_exit_code_is_the_commands(tmp_path: Path, script: str, code: int) -> None:
    done = run(tmp_path, "sh", "-c", script)
    assert (done.returncode, done.stdout, done.stderr) == (code, b"", b"")


def test_a_command_that_cannot_be_found_or_executed_says_so(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("")
    odd = tmp_path / "odd"
    odd.write_text("#!/nowhere/sh\n")
    odd.chmod(0o755)
    binary = tmp_path / "binary"
    binary.write_bytes(b"\0\1\2\3")
    binary.chmod(0o755)
    for command, code in (("no-such-command", 127), (str(plain), 126), (str(odd), 127), (str(binary), 126)):
        done = run(tmp_path, command)
        assert done.returncode == code
        assert done.stdout == b""
        assert done.stderr.count(b"\n") == 1
        assert done.stderr.startswith(f"ccrouter: {command}".encode())


@pytest.mark.parametrize("name", ["tool", "claude"])
def test_a_script_that_names_no_interpreter_is_the_shells(tmp_path: Path, name: str) -> None:
    script = tmp_path / name
    script.write_text('printf "%s." "$@"\necho "$0 is not set up: run npm" >&2\nexit 7\n')
    script.chmod(0o755)
    done = run(tmp_path, str(script), "a b", "-c")
    assert done.returncode == 7
    assert done.stdout.endswith(b"a b.-c.")
    assert done.stderr == f"{script} is not set up: run npm\n".encode()


def test_a_missing_claude_code_is_told_how_to_install(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert child.find("claude", {"PATH": str(tmp_path)}) == child.NOT_FOUND
    assert "install Claude Code" in capfd.readouterr().err


def test_the_router_ends_with_its_command(tmp_path: Path) -> None:
    code = "import os; print(os.environ['ANTHROPIC_BASE_URL'], os.environ['ANTHROPIC_AUTH_TOKEN'])"
    url = run(tmp_path, sys.executable, "-c", code).stdout.decode().split()[0]
    port = int(url.rsplit(":", 1)[1])
    probe = f"import socket; raise SystemExit(socket.socket().connect_ex(('127.0.0.1', {port})) == 0)"
    assert subprocess.run([sys.executable, "-c", probe], check=False).returncode == 0
    assert not list(tmp_path.rglob("*.json"))
