"""``ccrouter serve``: what it prints, and how it stops."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from ccrouter.cli import joined, runtime
from ccrouter.cli.main import main
from ccrouter.cli.serve import serve_until_stopped
from ccrouter.errors import StartError, UsageError
from ccrouter.service import Options
from tests.cli.processes import CCROUTER, PATIENCE, ccrouter, sandbox
from tests.cli.routers import FakeRouter


async def serve(router: FakeRouter, folder: Path, **changes: Any) -> int:
    options: dict[str, Any] = {
        "print_env": None,
        "lifelines": [],
        "environ": {"XDG_RUNTIME_DIR": str(folder)},
        "serve": router.serve,
    }
    with trio.fail_after(PATIENCE):
        return await serve_until_stopped(Options(), **(options | changes))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGHUP, 0), (signal.SIGINT, 130)])
async def test_the_first_signal_drains_and_the_second_ends(tmp_path: Path, number: int, code: int) -> None:
    router = FakeRouter()
    router.running.patient = True
    codes = []
    async with trio.open_nursery() as nursery:

        async def run() -> None:
            codes.append(await serve(router, tmp_path))

        nursery.start_soon(run)
        await trio.testing.wait_all_tasks_blocked()
        os.kill(os.getpid(), number)
        while router.running.asked != ["drain"]:
            await trio.sleep(0.001)
        os.kill(os.getpid(), signal.SIGTERM)
    assert router.running.asked == ["drain", "end"]
    assert codes == [code]


async def test_a_cut_lifeline_drains_and_is_no_second_signal(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    router = FakeRouter()
    router.running.busy = 2
    cut = trio.Event()
    codes = []
    async with trio.open_nursery() as nursery:

        async def run() -> None:
            codes.append(await serve(router, tmp_path, lifelines=[cut.wait, cut.wait]))

        nursery.start_soon(run)
        await trio.testing.wait_all_tasks_blocked()
        assert router.running.asked == []
        cut.set()
    assert router.running.asked == ["drain"]
    assert codes == [0]
    assert "stopping; 2 requests may finish" in capfd.readouterr().err


async def test_a_router_that_cannot_start_says_why(tmp_path: Path) -> None:
    router = FakeRouter(failure=StartError("port taken"), fails_at_start=True)
    with pytest.RaisesGroup(pytest.RaisesExc(StartError, match="port taken")):
        await serve(router, tmp_path)


async def test_variables_that_cannot_be_said_stop_the_router(tmp_path: Path) -> None:
    router = FakeRouter()
    router.running.token = "100%"
    with pytest.RaisesGroup(UsageError):
        await serve(router, tmp_path, print_env="cmd")


async def test_a_router_can_be_found_and_a_sidecar_by_explain_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    environ = {"XDG_RUNTIME_DIR": str(tmp_path)}
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(runtime, "answers", lambda _: True)
    for print_env, purpose in ((None, "serve"), ("json", "sidecar")):
        router = FakeRouter()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: serve(router, tmp_path, print_env=print_env))  # noqa: B023
            await trio.testing.wait_all_tasks_blocked()
            (record,) = runtime.running(environ)
            assert (record.port, record.purpose) == (43117, purpose)
            assert joined.chosen([record], None) == record
            out, err = capfd.readouterr()
            if purpose == "serve":
                assert main(["env"]) == 0
            else:
                assert main(["env"]) == 1
            capfd.readouterr()
            router.running.stop.set()
        assert runtime.running(environ) == []
        assert bool(out) == (print_env is not None)
        assert ("serves on http://127.0.0.1:43117" in err) == (print_env is None)
        assert "ccr-secret" not in err


async def test_a_folder_that_cannot_be_had_does_not_stop_the_router(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "ccrouter").mkdir()
    (tmp_path / "ccrouter").chmod(0o755)
    router = FakeRouter()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve, router, tmp_path)
        await trio.testing.wait_all_tasks_blocked()
        router.running.stop.set()
    assert "will not find this router" in capfd.readouterr().err


def reached(line: dict[str, Any], token: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", line["port"], timeout=PATIENCE)
    try:
        connection.request("GET", "/v1/models", headers={"authorization": f"Bearer {token}"})
        return connection.getresponse().status
    finally:
        connection.close()


def test_a_sidecar_prints_one_line_serves_and_stops(tmp_path: Path) -> None:
    with ccrouter("--port", "0", "--print-env=json", env=sandbox(tmp_path)) as process:
        assert process.stdout is not None
        line = json.loads(process.stdout.readline())
        assert line["pid"] == process.pid
        assert line["url"] == line["env"]["ANTHROPIC_BASE_URL"] == f"http://127.0.0.1:{line['port']}"
        assert reached(line, line["env"]["ANTHROPIC_AUTH_TOKEN"]) == 200
        assert reached(line, "wrong") == 401
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
        assert process.stdout.read() == b"", "nothing else, ever"


def test_a_closed_standard_input_stops_it(tmp_path: Path) -> None:
    with ccrouter("--port", "0", "--print-env", "--exit-on-stdin-close", env=sandbox(tmp_path)) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"export ANTHROPIC_BASE_URL=http://127.0.0.1:")
        process.stdin.write(b"ignored\n")
        process.stdin.flush()
        assert process.poll() is None
        process.stdin.close()
        assert process.wait(PATIENCE) == 0


def test_it_stops_when_its_parent_is_killed(tmp_path: Path) -> None:
    command = [*CCROUTER, "--port", "0", "--print-env", "--exit-with-parent"]
    parent = subprocess.Popen(
        [sys.executable, "-c", f"import subprocess; subprocess.Popen({command!r}).wait()"],
        env=sandbox(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    with parent:
        assert parent.stdout is not None
        assert parent.stdout.readline().startswith(b"export ANTHROPIC_BASE_URL=")
        parent.kill()
        parent.stdout.read()  # ends when the last one who holds it has: the router


def test_a_reader_that_left_is_no_traceback(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [*CCROUTER, "--port", "0", "--print-env"],
        env=sandbox(tmp_path),
        stdin=subprocess.DEVNULL,
        stdout=writer,
        stderr=subprocess.PIPE,
        check=False,
        timeout=PATIENCE,
    )
    os.close(writer)
    assert done.returncode == 1
    assert b"Traceback" not in done.stderr
    assert b"BrokenPipe" not in done.stderr


def test_a_port_that_is_none_is_wrong_use(capfd: pytest.CaptureFixture[str]) -> None:
    for text in ("x", "-1", "65536", "²", "9" * 5000):
        assert main(["serve", f"--port={text}"]) == 2
        assert "is no port" in capfd.readouterr().err
