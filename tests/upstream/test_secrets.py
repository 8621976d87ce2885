from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio
import trio.testing

from ccrouter.errors import SecretError
from ccrouter.providers.secret import FromCommand, FromEnv, FromFile, Literal, Secret
from ccrouter.upstream.secrets import DOUBT_AGAIN, LIMIT, Secrets

ENVIRON = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}


def python(code: str, *arguments: str, ttl: float | None = None) -> FromCommand:
    return FromCommand((sys.executable, "-I", "-S", "-c", code, *arguments), ttl)


def counting(counter: Path, rest: str, ttl: float | None = None) -> FromCommand:
    """A command that leaves a mark for each of its runs."""
    return python(f"open(__import__('sys').argv[1], 'a').write('|'); {rest}", str(counter), ttl=ttl)


class Puppets:
    """Commands that report to the test, wait, print what they are told and end."""

    def __init__(self, listener: trio.SocketListener) -> None:
        self.listener = listener
        port = listener.socket.getsockname()[1]
        self.code = (
            f"import socket; s = socket.create_connection(('127.0.0.1', {port}));"
            " print(s.makefile().readline()); raise SystemExit(0)"
        )
        self.command = python(self.code)
        self.lines: list[trio.SocketStream] = []

    async def next(self) -> trio.SocketStream:
        """The line to the next command that was started."""
        line = await self.listener.accept()
        self.lines.append(line)
        return line


@pytest.fixture
async def puppets() -> AsyncIterator[Puppets]:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener:
        puppets = Puppets(listener)
        yield puppets
        for line in puppets.lines:
            await line.aclose()


async def refusal(secret: Secret, environ: dict[str, str] = ENVIRON) -> str:
    with pytest.raises(SecretError) as caught:
        await Secrets(environ).get(secret)
    message = str(caught.value)
    assert "\n" not in message
    return message


# What a value may be


async def test_white_space_around_a_secret_is_not_part_of_it(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"\xef\xbb\xbf sk-file\r\n")
    secrets = Secrets({**ENVIRON, "KEY": " sk-env\n"})
    assert await secrets.get(Literal(" sk-literal ")) == "sk-literal"
    assert await secrets.get(FromEnv("KEY")) == "sk-env"
    assert await secrets.get(FromFile(str(path))) == "sk-file"
    assert await secrets.get(python("print('sk-command')")) == "sk-command"


@pytest.mark.parametrize("unfit", ["sk\r\nx-evil: 1", "sk\nx", "sk\x00", "sk\x7fx", "sk\x85x", "sk\udcff"])
async def test_a_value_that_could_end_its_header_is_refused_without_showing_it(unfit: str) -> None:
    for secret in (Literal(unfit), FromEnv("KEY")):
        message = await refusal(secret, {"KEY": unfit})
        assert "control characters" in message
        assert "sk" not in message


@pytest.mark.parametrize("empty", ["", "  ", "\n"])
async def test_an_empty_secret_is_refused(empty: str, tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(empty)
    assert "empty" in await refusal(Literal(empty))
    assert str(path) in await refusal(FromFile(str(path)))
    assert "KEY" in await refusal(FromEnv("KEY"), {"KEY": empty})


# Variables and files


async def test_a_variable_that_is_not_set_is_named() -> None:
    assert "the environment variable MY_KEY is not set" in await refusal(FromEnv("MY_KEY"))


async def test_a_file_is_read_anew_each_time_and_home_is_the_users(tmp_path: Path) -> None:
    secrets = Secrets({"HOME": str(tmp_path), "USERPROFILE": str(tmp_path)})
    for key in ("first", "second"):
        (tmp_path / "key").write_text(key)
        assert await secrets.get(FromFile("~/key")) == key


async def test_what_cannot_be_read_as_a_secret_is_told_with_its_path(tmp_path: Path) -> None:
    path = tmp_path / "key"
    assert f"the file {path} cannot be read: No such file" in await refusal(FromFile(str(path)))
    assert "Not a regular file" in await refusal(FromFile(str(tmp_path)))
    path.write_bytes(b"\xff\xfe\x00k")
    assert "not text in UTF-8" in await refusal(FromFile(str(path)))
    assert f"{path}/key cannot be read" in await refusal(FromFile(f"{path}/key"))
    assert "Not a file name" in await refusal(FromFile("a\0b"))


async def test_a_file_may_have_64_kib_and_not_a_byte_more(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"k" * LIMIT)
    assert await Secrets(ENVIRON).get(FromFile(str(path))) == "k" * LIMIT
    path.write_bytes(b"k" * (LIMIT + 1))
    assert "Larger than 64 KiB" in await refusal(FromFile(str(path)))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no FIFOs in its file system")
async def test_a_pipe_is_refused_instead_of_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "Not a regular file" in await refusal(FromFile(str(tmp_path / "pipe")))


# Commands


async def test_a_command_gets_its_arguments_as_they_are_its_environment_and_nothing_to_read() -> None:
    secrets = Secrets({**ENVIRON, "WHO": "me"})
    code = "import os, sys; print(repr(sys.argv[1:]), os.environ['WHO'], repr(sys.stdin.read()))"
    assert await secrets.get(python(code, "$HOME; echo x", "*")) == "['$HOME; echo x', '*'] me ''"


async def test_a_command_that_fails_is_told_by_name_and_exit_code_never_by_what_it_printed() -> None:
    code = "import sys; print('sk-out'); print('sk-err', file=sys.stderr); sys.exit(7)"
    message = await refusal(python(code))
    assert f"the command {sys.executable} failed with exit code 7" in message
    assert "sk-" not in message


async def test_a_command_that_a_signal_ended_is_told_so() -> None:
    assert "died of signal 9" in await refusal(python("import os; os.kill(os.getpid(), 9)"))


async def test_a_command_that_does_not_exist_is_named(tmp_path: Path) -> None:
    assert "the command no-such-program cannot be started" in await refusal(FromCommand(("no-such-program", "x")))
    assert "cannot be started" in await refusal(FromCommand((str(tmp_path),)))
    assert "cannot be started" in await refusal(FromCommand(("a\0b",)))


async def test_a_command_that_prints_without_end_is_ended() -> None:
    assert "more than 64 KiB" in await refusal(python("while True: print('k' * 4096)"))


async def test_the_output_of_a_command_must_be_one_line_of_text() -> None:
    assert "line breaks" in await refusal(python("print('one'); print('two')"))
    assert "not text" in await refusal(python(r"__import__('sys').stdout.buffer.write(b'\xff')"))
    assert "empty" in await refusal(python("pass"))


async def test_requests_at_the_same_time_run_a_command_once(puppets: Puppets) -> None:
    secrets = Secrets(ENVIRON)
    got: list[str] = []

    async def ask() -> None:
        got.append(await secrets.get(puppets.command))

    async with trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(ask)
        line = await puppets.next()
        await trio.testing.wait_all_tasks_blocked()
        await line.send_all(b"sk-once\n")  # a second run would never be answered
    assert got == ["sk-once"] * 10


async def test_a_cancelled_request_leaves_the_others_their_command(puppets: Puppets) -> None:
    secrets = Secrets(ENVIRON)
    got: list[str] = []

    async def ask(scope: trio.CancelScope) -> None:
        with scope:
            got.append(await secrets.get(puppets.command))

    scopes = [trio.CancelScope() for _ in range(3)]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask, scopes[0])
        first = await puppets.next()
        nursery.start_soon(ask, scopes[1])
        nursery.start_soon(ask, scopes[2])
        await trio.testing.wait_all_tasks_blocked()
        scopes[1].cancel()  # waits only: the command goes on
        await trio.testing.wait_all_tasks_blocked()
        scopes[0].cancel()  # runs it: the command dies with it, and the one who is left runs it anew
        assert await first.receive_some() == b""
        second = await puppets.next()
        await second.send_all(b"sk-again\n")
    assert got == ["sk-again"]


async def test_a_failure_reaches_all_who_wait_and_is_forgotten(puppets: Puppets) -> None:
    secrets = Secrets(ENVIRON)
    failures: list[str] = []

    async def ask() -> None:
        try:
            await secrets.get(puppets.command)
        except SecretError as error:
            failures.append(str(error))

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(ask)
        line = await puppets.next()
        await trio.testing.wait_all_tasks_blocked()
        await line.send_all(b"\n")
    assert len(failures) == 3
    assert len(set(failures)) == 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        line = await puppets.next()
        await line.send_all(b"sk-now\n")
    assert len(failures) == 3


async def test_what_a_command_printed_is_kept_for_its_ttl(tmp_path: Path) -> None:
    time = 100.0
    secrets = Secrets(ENVIRON, clock=lambda: time)
    counter = tmp_path / "runs"
    command = counting(counter, "print('sk')", ttl=60.0)
    for time, runs in ((100.0, 1), (159.9, 1), (160.0, 2), (219.9, 2), (500.0, 3)):
        assert await secrets.get(command) == "sk"
        assert len(counter.read_text()) == runs, time


async def test_without_a_ttl_a_command_is_run_once(tmp_path: Path) -> None:
    time = 0.0
    secrets = Secrets(ENVIRON, clock=lambda: time)
    command = counting(tmp_path / "runs", "print('sk')")
    assert await secrets.get(command) == "sk"
    time = 1e9
    assert await secrets.get(command) == "sk"
    assert (tmp_path / "runs").read_text() == "|"


async def test_a_failed_command_is_run_again_with_the_next_request(tmp_path: Path) -> None:
    secrets = Secrets(ENVIRON)
    command = counting(tmp_path / "runs", "raise SystemExit(1)")
    for _ in range(2):
        with pytest.raises(SecretError):
            await secrets.get(command)
    assert (tmp_path / "runs").read_text() == "||"


async def test_a_command_that_does_not_end_is_killed_with_what_it_started(
    puppets: Puppets, mock_clock: trio.testing.MockClock
) -> None:
    messages: list[str] = []
    # The puppet is a child of the command, and keeps its output open.
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-I', '-S', '-c', {puppets.code!r}])"

    async def ask() -> None:
        messages.append(await refusal(python(code)))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        line = await puppets.next()
        mock_clock.jump(29.9)
        await trio.testing.wait_all_tasks_blocked()
        assert not messages
        mock_clock.jump(0.2)
        assert await line.receive_some() == b""
    assert "took longer than 30 s and was ended" in messages[0]


# A value that was refused


async def test_a_command_whose_output_was_refused_is_run_anew_once_for_all(tmp_path: Path) -> None:
    counter = tmp_path / "counter"
    secrets = Secrets(ENVIRON)
    command = counting(counter, "print(open(__import__('sys').argv[1]).read())")
    assert await secrets.get(command) == "|"
    found = []

    async def doubt() -> None:
        secrets.doubt(command, "|")
        found.append(await secrets.get(command))

    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(doubt)
    await doubt()  # too late: the refused value is not the last one any more
    assert found == ["||"] * 21
    secrets.doubt(command, "of somebody else")
    assert await secrets.get(command) == "||"


async def test_a_command_that_prints_the_refused_again_is_left_alone_for_a_while(tmp_path: Path) -> None:
    counter = tmp_path / "counter"
    now = 0.0
    secrets = Secrets(ENVIRON, clock=lambda: now)
    command = counting(counter, "print('same')")
    runs = []
    for now in (0.0, 1.0, 2.0, 1.0 + DOUBT_AGAIN):  # noqa: B007 - the clock reads it
        assert await secrets.get(command) == "same"
        secrets.doubt(command, "same")
        await secrets.get(command)
        runs.append(len(counter.read_text()))
    assert runs == [2, 2, 2, 3]


async def test_other_secrets_are_read_anew_without_being_doubted() -> None:
    environ = {"KEY": "one"}
    secrets = Secrets(environ)
    secrets.doubt(FromEnv("KEY"), await secrets.get(FromEnv("KEY")))
    environ["KEY"] = "two"
    assert await secrets.get(FromEnv("KEY")) == "two"
