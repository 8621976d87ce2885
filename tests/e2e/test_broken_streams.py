"""Real streams that stall, and real clients that leave."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest
import trio

from tests.e2e import router, upstream
from tests.e2e.replies import Reply, Text
from tests.e2e.sandbox import Sandbox, session
from tests.e2e.stage import ARGUMENTS, Client, staged
from tests.e2e.upstream import Received

pytestmark = pytest.mark.e2e

IMPATIENT = """
[server]
ping = "0.2s"

[providers.anthropic]
base_url = "UPSTREAM"
api_key = "sk-scripted"
timeouts = { idle = "1s" }
"""


async def test_a_client_gets_its_answer_though_the_upstream_fell_silent_in_mid_stream(
    client: Client, sandbox: Sandbox
) -> None:
    async with staged(client, "printed", sandbox, config=IMPATIENT) as stage:

        def script(received: Received) -> Reply:
            if reply := upstream.usual(received):
                return reply
            if len(stage.upstream.of("main")) == 1:
                return received.message(Text("Then it said")).broken("silent", frames=5)
            return received.say(Text("All of it."))

        stage.upstream.script = script
        ran = await stage.ask("tell me")
        assert ran.answer == "All of it."
        first, _second = stage.upstream.of("main")
        assert first.hung_up.is_set(), "the silent stream was left open"


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
async def test_a_client_that_leaves_in_mid_stream_ends_the_upstream_s_work(
    client: Client, sandbox: Sandbox, sent: signal.Signals
) -> None:
    async with staged(client, "printed", sandbox) as stage:
        stage.upstream.script = lambda received: (
            upstream.usual(received) or received.message(Text("A long story begins")).broken("silent", frames=6)
        )
        assert stage.router is not None
        env = sandbox.environ(**stage.router.env)
        argv: list[str | Path] = [client.program, "-p", "tell me a long story", *ARGUMENTS]
        async with session(argv, env, sandbox.folder, stdin=subprocess.DEVNULL) as process:
            request = await stage.upstream.nth("main", 0)
            await trio.sleep(0.3)  # well into the stream
            assert not request.hung_up.is_set()
            os.kill(process.pid, sent)
            with trio.fail_after(10):
                await process.wait()
            with trio.fail_after(0.5):
                await request.hung_up.wait()


async def test_run_ends_with_its_command_and_leaves_nothing(client: Client, sandbox: Sandbox) -> None:
    async with staged(client, "run", sandbox) as stage:
        stage.upstream.script = lambda received: upstream.usual(received) or received.say(Text("Done."))
        ran = await stage.ask("say done")
        assert ran.answer == "Done."
        assert ran.stderr == "", "something of ours reached the terminal"
        left = [path for path in (sandbox.root / "run").rglob("*") if path.is_file()]
        assert left == []


async def test_run_gives_the_command_s_exit_code(sandbox: Sandbox) -> None:
    argv = [*router.command(), "run", "--", "sh", "-c", "exit 7"]
    ran = await sandbox.run(argv, router.environ(sandbox))
    assert (ran.code, ran.stdout, ran.stderr) == (7, "", "")
