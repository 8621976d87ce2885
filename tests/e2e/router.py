"""The router as its users start it: a process of its own, told by its command line and nothing else."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import trio
from attrs import Factory, define

from tests.e2e.sandbox import Sandbox, session
from tests.executable import command, share_unpacked

__all__ = ["Router", "command", "environ", "serve", "write_config"]

CHECKOUT = Path(__file__).parents[2]

#: Seconds from the start of the process to the line that says that it serves.
START_DEADLINE = 20.0
STOP_DEADLINE = 15.0


def environ(sandbox: Sandbox, **more: str) -> dict[str, str]:
    """The environment in which it is called."""
    share_unpacked(sandbox.home)
    return sandbox.environ(PYTHONPATH=str(CHECKOUT), PYTHONWARNINGS="error", **more)


@define
class Router:
    """A router that serves."""

    url: str
    port: int
    env: dict[str, str]
    """The variables that it printed."""
    process: trio.Process
    log: list[str] = Factory(list)

    @property
    def token(self) -> str:
        """Its token."""
        return self.env["ANTHROPIC_AUTH_TOKEN"]

    def client(self, **options: Any) -> httpx.AsyncClient:
        """An HTTP client that shows the token."""
        headers = {"authorization": f"Bearer {self.token}", "anthropic-version": "2023-06-01"}
        return httpx.AsyncClient(base_url=self.url, headers=headers, timeout=30, trust_env=False, **options)


@asynccontextmanager
async def serve(
    sandbox: Sandbox,
    config: str = "",
    *,
    program: Sequence[str] = (),
    environ_more: Mapping[str, str] | None = None,
    foreground: bool = False,
) -> AsyncIterator[Router]:
    """A router for the block, as a sidecar. ``config`` is the text of its configuration file, empty for none.

    ``program`` is how it is called, if not as `command` says. ``foreground``: as at a terminal, where other
    commands of its user find it.

    When the block is left its standard input is closed, and it must end by itself, cleanly, with nothing more
    said on standard output and no traceback on standard error.
    """
    argv = [*(program or command()), "serve", "--port", "0", "--exit-on-stdin-close"]
    if not foreground:
        argv.append("--print-env=json")
    if config:
        argv += ["--config", str(write_config(sandbox, config))]
    log: list[str] = []
    async with session(argv, environ(sandbox, **(environ_more or {})), sandbox.folder) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_keep_lines, process.stderr, log)
            router = await (_joined(sandbox, process, log) if foreground else _first_line(process, log))
            try:
                yield router
            finally:
                rest = b""
                with trio.move_on_after(STOP_DEADLINE, shield=True) as limit:
                    await process.stdin.aclose()
                    async for data in process.stdout:
                        rest += data
                    await process.wait()
                nursery.cancel_scope.cancel()
    assert not limit.cancelled_caught, ("the router did not end when its standard input did", log)
    assert (process.returncode, rest) == (0, b""), log
    assert not any("Traceback" in line for line in log), "\n".join(log)


def write_config(sandbox: Sandbox, text: str) -> Path:
    """The configuration as a file."""
    path = sandbox.root / "config.toml"
    path.write_text(text)
    path.chmod(0o600)
    return path


async def _first_line(process: trio.Process, log: list[str]) -> Router:
    assert process.stdout is not None
    line = b""
    with trio.move_on_after(START_DEADLINE):
        while not line.endswith(b"\n") and (data := await process.stdout.receive_some()):
            line += data
    if not line.endswith(b"\n"):
        with trio.move_on_after(1):
            await process.wait()
        raise AssertionError(f"the router did not start: {log}")
    said = json.loads(line)
    return Router(said["url"], said["port"], said["env"], process, log)


async def _joined(sandbox: Sandbox, process: trio.Process, log: list[str]) -> Router:
    with trio.move_on_after(START_DEADLINE):
        while not any("ccrouter env" in line for line in log) and process.poll() is None:
            await trio.sleep(0.02)
    ran = await sandbox.run([*command(), "env", "--format", "json"], environ(sandbox))
    assert ran.code == 0, (ran, log)
    said = ran.json
    return Router(said["url"], said["port"], said["env"], process, log)


async def _keep_lines(stream: trio.abc.ReceiveStream, log: list[str]) -> None:
    unfinished = b""
    async for data in stream:
        *lines, unfinished = (unfinished + data).split(b"\n")
        log += [line.decode("utf-8", "replace") for line in lines]
