"""``ccrouter run``: a command behind a router of its own, which ends with it.

Nothing of ours reaches the terminal while the command has it; the log goes to the file that ``CCROUTER_LOG``
names, or nowhere.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import secrets
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ccrouter.cli import interrupt, runtime
from ccrouter.cli.claude import SLOTS
from ccrouter.cli.here import here
from ccrouter.cli.terminal import say
from ccrouter.errors import CcrouterError, UsageError

if TYPE_CHECKING:
    import trio

    from ccrouter.cli.serve import Serve
    from ccrouter.routing.config import Slots
    from ccrouter.service import Options, Running

#: Seconds for all providers to say which models they have. The command waits for it.
MODELS_WITHIN = 1.5

#: Seconds that streams get when the command has ended. What still runs then was started by it and left.
FAREWELL = 1.0


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare ``run``. Its command line is split before: see `split`."""
    parser = subparsers.add_parser(
        "run",
        usage=(
            "ccrouter run [--model M] [--no-picker] [--slots HOW] [--config FILE] [--] [COMMAND [ARGUMENT ...]]"
        ),
        description=(
            "Serve on a free port, start COMMAND (default: claude) so that it talks to the router, and stop "
            "with it. The first argument that is none of ours begins the command; if that is an option, the "
            "command is claude. Gives the command's exit code."
        ),
        epilog="example: ccrouter run --model ollama:qwen3:8b -p 'say hi'",
    )
    parser.add_argument("--model", metavar="M", help="start with this model, such as ollama:qwen3:8b")
    parser.add_argument("--no-picker", action="store_true", help="leave the /model list of Claude Code as it is")
    parser.add_argument(
        "--slots",
        choices=SLOTS,
        metavar="HOW",
        help="give rows that the /model list has anyway to other models: conservative: the one for a model of "
        "your choice; aggressive: Sonnet's and Opus's too; none (default, but for `slots` in the configuration)",
    )
    parser.add_argument("--config", metavar="FILE", type=Path, help="use this configuration")


def split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Our own options, and the command. From the first argument that is not ours all goes untouched."""
    rest = list(arguments)
    own: list[str] = []
    while rest:
        flag = rest[0]
        if flag == "--":
            rest.pop(0)
            break
        if flag in {"--help", "-h", "--no-picker"} or flag.startswith(("--model=", "--slots=", "--config=")):
            own.append(rest.pop(0))
        elif flag in _EXAMPLES:
            if len(rest) < 2:
                raise UsageError(f"{flag} needs a value, as in: ccrouter run {flag} {_EXAMPLES[flag]}")
            own.append(f"{flag}={rest[1]}")  # glued, so that no value is taken for an option
            del rest[:2]
        else:
            break
    if not rest or rest[0].startswith("-"):
        rest.insert(0, "claude")
    return own, rest


_EXAMPLES = {"--model": "ollama:qwen3:8b", "--slots": "conservative", "--config": "./ccrouter.toml"}


def run(args: argparse.Namespace) -> int:
    """Run the command. Its exit code is ours."""
    # The modules that serve are slow to import, and no other command needs them.
    from ccrouter.service import serve
    from ccrouter.upstream.subscription import has_login

    return interrupt.run(
        partial(
            run_command,
            args.words,
            model=args.model,
            picker=not args.no_picker,
            slots=args.slots,
            config=args.config,
            environ=dict(os.environ),
            folder=here(),
            serve=serve,
            has_login=partial(has_login, platform=sys.platform),
        )
    )


async def run_command(
    argv: Sequence[str],
    *,
    model: str | None,
    picker: bool,
    slots: Slots | None = None,
    config: Path | None,
    environ: Mapping[str, str],
    folder: Path | None,
    serve: Serve,
    has_login: Callable[[Mapping[str, str]], bool],
) -> int:
    """Serve, start the command, wait for it, stop. ``folder`` is None where there is no current directory."""
    import trio  # see `run`

    from ccrouter.cli import child, claude, launch, settings
    from ccrouter.providers.presets import PRESETS
    from ccrouter.routing.remarks import odd
    from ccrouter.service import Options

    program = child.find(argv[0], environ)
    if isinstance(program, int):
        return program
    is_claude = claude.is_claude(argv[0], environ)
    if is_claude and folder is None:
        raise UsageError("the current directory does not exist any more, and claude needs one: go to another one")
    own = settings.own(argv[1:], folder) if is_claude and folder is not None else None
    client = launch.Client(
        argv=tuple(argv),
        is_claude=is_claude,
        version=await claude.version(program, environ) if is_claude else None,
        environ=environ,
        found=settings.find(environ, folder, own.settings if own else None),
        own=own,
    )
    with _log(environ) as log, contextlib.ExitStack() as announcing:
        options = Options(
            config=config, host="127.0.0.1", port=0, token=f"ccr-{secrets.token_urlsafe(24)}", log=log
        )
        async with trio.open_nursery() as nursery:
            router = _Serving(serve, options)
            running = await router.start(nursery)
            # Claude Code says of a refused name no more than that there is an issue with it.
            if model is not None and (doubt := odd(model, running.config, PRESETS)) is not None:
                say(f"warning: {doubt}")
            record = runtime.record(running.url, running.port, running.token, "run")
            announcing.enter_context(runtime.findable(record, environ))
            chosen = launch.mode(client, running.url, picker=picker, has_login=has_login)
            how = slots or running.config.slots
            rows = None
            given: dict[str, str] = {}
            if chosen.picker or (how != "none" and is_claude):
                listed = await running.models(MODELS_WITHIN)
                given = claude.slots(listed, how)
                if chosen.picker and client.version is not None:
                    rows = claude.picker(listed, client.version)
            start = launch.launch(
                client,
                chosen,
                running.url,
                running.token,
                model=model,
                picker=rows,
                folder=None if folder is None else str(folder),
                slots=given,
                windows=sys.platform == "win32",
            )
            for note in start.notes:
                say(note)
            with settings.given(start.settings, secret=start.secret) as value:
                code = await child.run_child(program, start.argv(value), start.environ, router.stop)
            nursery.cancel_scope.cancel()
    if router.failure is not None:
        raise router.failure
    return code


class _Serving:
    """The serving half. Should it fail, the command goes on: the terminal is the command's to give back."""

    def __init__(self, serve: Serve, options: Options) -> None:
        import trio  # see `run`

        self._serve = serve
        self._options = options
        self._running: Running | None = None
        self._ended = trio.Event()
        self.failure: Exception | None = None

    async def start(self, nursery: trio.Nursery) -> Running:
        """Serve in ``nursery``; returns once the port accepts connections."""
        running: Running = await nursery.start(self._run)
        self._running = running
        return running

    async def _run(self, *, task_status: trio.TaskStatus[Running]) -> None:
        try:
            await self._serve(self._options, task_status=task_status)
        except Exception as error:
            if self._running is None:
                raise
            self.failure = error
        finally:
            self._ended.set()

    async def stop(self) -> None:
        """Let streams end, for a moment."""
        import trio  # see `run`

        if self._running is not None:
            self._running.drain()
        with trio.move_on_after(FAREWELL):
            await self._ended.wait()


@contextlib.contextmanager
def _log(environ: Mapping[str, str]) -> Iterator[Callable[[str], None]]:
    """Where log lines go while the terminal is the command's."""
    path = environ.get("CCROUTER_LOG")
    if not path:
        yield lambda _line: None
        return
    try:
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    except OSError as error:
        raise CcrouterError(f"CCROUTER_LOG names {path}, which cannot be written: {error.strerror}") from None
    with os.fdopen(fd, "a", encoding="utf-8", errors="backslashreplace", buffering=1) as file:

        def write(line: str) -> None:
            with contextlib.suppress(OSError):  # a full disk must not end the command
                file.write(line + "\n")

        yield write
