"""A home of its own for a client: nothing of this machine's user is read, nothing outside of it is written.

Every program runs in a session of its own, with a deadline; whatever is left of that session is killed.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio
from attrs import frozen

#: Seconds for a whole run of a client; a good one takes one to three.
RUN_DEADLINE = 60.0

#: Nothing listens there: what tries to leave this machine fails at once.
_DEAD_PROXY = "http://127.0.0.1:9"


@frozen
class Ran:
    """How a program ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> dict[str, Any]:
        """What ``--output-format json`` prints."""
        try:
            value = json.loads(self.stdout)
        except ValueError:
            raise AssertionError(f"no JSON from the client: {self}") from None
        assert isinstance(value, dict), self
        return value

    @property
    def answer(self) -> str:
        """The client's last word, of a run that went well."""
        assert self.code == 0, self
        assert self.json.get("is_error") is False, self
        return str(self.json["result"])


@frozen
class Sandbox:
    """A home and a working folder below ``root``, which exists and is empty."""

    root: Path
    work: str = "work"
    """The name of the working folder."""

    @property
    def home(self) -> Path:
        """``$HOME``."""
        return self.root / "home"

    @property
    def folder(self) -> Path:
        """The working folder."""
        return self.root / self.work

    def make(self) -> Sandbox:
        """Makes the folders."""
        for path in (self.home, self.folder, self.root / "run", self.root / "tmp"):
            path.mkdir(mode=0o700)
        return self

    def environ(self, **more: str) -> dict[str, str]:
        """The whole environment of a program in here, without an address or a credential."""
        return {
            "HOME": str(self.home),
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "TMPDIR": str(self.root / "tmp"),
            "XDG_RUNTIME_DIR": str(self.root / "run"),
            "IS_SANDBOX": "1",  # lets it skip permissions as root
            "DISABLE_AUTOUPDATER": "1",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "CLAUDE_CODE_MAX_RETRIES": "1",
            "HTTPS_PROXY": _DEAD_PROXY,
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
            **more,
        }

    def log_in(self, token: str) -> None:
        """Pretends that the user is logged in to a subscription."""
        login = {
            "accessToken": token,
            "refreshToken": "refresh-" + token,
            "expiresAt": 4102444800000,  # 2100
            "scopes": ["user:inference", "user:profile"],
            "subscriptionType": "max",
        }
        folder = self.home / ".claude"
        folder.mkdir(mode=0o700, exist_ok=True)
        path = folder / ".credentials.json"
        path.write_text(json.dumps({"claudeAiOauth": login}))
        path.chmod(0o600)

    @property
    def chosen_model(self) -> str | None:
        """The model that a client at a terminal has saved as the one to begin with."""
        try:
            settings = json.loads((self.home / ".claude" / "settings.json").read_text())
        except (FileNotFoundError, ValueError):  # not yet, or just being written
            return None
        model = settings.get("model")
        return model if isinstance(model, str) else None

    def skip_first_questions(self, version: str) -> None:
        """Pretends that a client of this version has been used here before, so that it asks nothing at a terminal."""
        project = {"hasTrustDialogAccepted": True, "hasCompletedProjectOnboarding": True}
        state = {
            "hasCompletedOnboarding": True,
            "theme": "dark",
            "lastOnboardingVersion": version,
            "projects": {str(self.folder): project},
        }
        (self.home / ".claude.json").write_text(json.dumps(state))

    async def run(
        self, argv: Sequence[str | Path], environ: Mapping[str, str], *, deadline: float = RUN_DEADLINE
    ) -> Ran:
        """Run a program in the working folder, with an empty standard input."""
        out: dict[str, bytes] = {}

        async def collect(name: str, stream: trio.abc.ReceiveStream) -> None:
            kept = bytearray()
            async for data in stream:
                kept += data
                out[name] = bytes(kept)

        with trio.move_on_after(deadline) as limit:
            async with session(argv, environ, self.folder, stdin=subprocess.DEVNULL) as process:
                assert process.stdout is not None
                assert process.stderr is not None
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(collect, "stdout", process.stdout)
                    nursery.start_soon(collect, "stderr", process.stderr)
                    await process.wait()
                    # What it left running may hold the pipes open.
                    nursery.cancel_scope.deadline = trio.current_time() + 2
        stdout, stderr = (out.get(name, b"").decode("utf-8", "replace") for name in ("stdout", "stderr"))
        assert not limit.cancelled_caught, f"{argv} took over {deadline:g} s: {stdout!r} {stderr!r}"
        assert process.returncode is not None
        return Ran(process.returncode, stdout, stderr)


@asynccontextmanager
async def session(
    argv: Sequence[str | Path], environ: Mapping[str, str], folder: Path, *, stdin: int = subprocess.PIPE
) -> AsyncIterator[trio.Process]:
    """A process that leads a session of its own; all of that session is gone when the block is left."""
    process = await trio.lowlevel.open_process(
        [str(word) for word in argv],
        env=dict(environ),
        cwd=folder,
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with trio.CancelScope(shield=True):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream is not None:
                    await trio.aclose_forcefully(stream)
