"""The command line: which command is meant, and what its end means for the exit code.

====  =======================================================================
0     done
1     failed
2     wrong use: a flag, an argument, the configuration
126   ``run``: the command cannot be executed
127   ``run``: there is no such command
130   interrupted
====  =======================================================================

A command is a module with ``add_parser(subparsers)`` and ``run(args) -> int``.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn, Protocol

import ccrouter
from ccrouter.cli.interrupt import INTERRUPTED
from ccrouter.cli.terminal import abandon, emit, writing
from ccrouter.errors import CcrouterError, ConfigError, UsageError

FAILED = 1
WRONG_USE = 2

#: The commands with what each does, in the order of the overview.
COMMANDS = {
    "serve": "serve in the foreground; the default",
    "run": "start a command (default: claude) behind a router of its own",
    "env": "print the variables that point a client at the running router",
    "ask": "send one prompt to one model and stream the answer",
    "explain": "tell why a request went where it went, and what was changed on the way",
    "use": "switch the active profile",
    "subagent": "show or set the model for subagents",
    "classifier": "show or set the model for safety checks",
    "config": "check, find, show, describe or begin the configuration file",
    "upgrade": "say how ccrouter was installed, and the command that brings a newer one",
}

#: What is none of them, with what does what its user wants.
MEANT = {
    "claude": "run",
    "exec": "run",
    "start": "serve",
    "chat": "ask",
    "profile": "use",
    "profiles": "use",
    "switch": "use",
    **{verb: f"config {verb}" for verb in ("init", "check", "show", "path", "schema")},
}

OVERVIEW = """\
usage: ccrouter [COMMAND] [OPTION ...]

Claude Code through one port to every model you have.

commands:
{commands}

ccrouter COMMAND --help explains a command; ccrouter --version prints the version.

environment:
  CCROUTER_CONFIG   the configuration file, where no --config names one
  CCROUTER_STATE    the folder for what ccrouter is to remember
  CCROUTER_LOG      the file that `ccrouter run` appends its log to; without it, there is none
  CCROUTER_DEBUG    not empty: a mistake in ccrouter shows its traceback

examples:
  ccrouter run                              Claude Code with all your models in /model
  ccrouter                                  serve on http://127.0.0.1:11436
  ccrouter --port 0 --print-env=json        serve as another program's sidecar
"""


class Command(Protocol):
    """What a command's module offers."""

    def add_parser(self, subparsers: argparse._SubParsersAction[argparse.ArgumentParser], /) -> None:
        """Declare the command and its options."""
        ...

    def run(self, args: argparse.Namespace, /) -> int:
        """Do it; the exit code."""
        ...


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and give the exit code. Raises nothing."""
    if sys.stderr is None:  # closed: `print` would take standard output for it
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  for as long as we run
    try:
        code = _dispatch(list(sys.argv[1:] if argv is None else argv))
        if sys.stdout is not None:
            with writing() as stdout:
                stdout.flush()  # here, where a reader that left can still be dealt with
    except SystemExit as error:  # argparse, after --help
        return error.code if isinstance(error.code, int) else 0
    except BaseException as error:  # noqa: BLE001  what nobody expected is what this is for
        return _explained(error)
    return code


def _dispatch(argv: list[str]) -> int:
    if argv[:1] in (["--version"], ["-V"], ["version"]):
        revision = f" ({ccrouter.__revision__})" if ccrouter.__revision__ else ""
        emit(f"ccrouter {ccrouter.__version__}{revision}\n")
        return 0
    if argv[:1] == ["help"] and argv[1:]:
        argv = [argv[1], "--help"]
    if argv[:1] in (["--help"], ["-h"], ["help"]):
        width = max(map(len, COMMANDS)) + 3
        listed = "\n".join(f"  {name:{width}}{meaning}" for name, meaning in COMMANDS.items())
        emit(OVERVIEW.format(commands=listed))
        return 0
    try:
        command, args = parse(argv)
    except UsageError:
        if _is_for_a_shell(argv):
            from ccrouter.cli import env

            env.fail(env.asked_format(argv))
        raise
    return command.run(args)


def _is_for_a_shell(argv: Sequence[str]) -> bool:
    """Whether ``env`` was meant by a command line with a mistake in it: what it prints is evaluated."""
    first = argv[0] if argv else ""
    return first == "env" or (first not in COMMANDS and ("env" in argv or _meant(first) == "env"))


def parse(argv: Sequence[str]) -> tuple[Command, argparse.Namespace]:
    """The command that is meant, with what it is to be given. Raises UsageError."""
    name, rest = (argv[0], argv[1:]) if argv and not argv[0].startswith("-") else ("serve", argv)
    if name not in COMMANDS:
        raise UsageError(_unknown(name))
    words: list[str] = []
    if name == "run":  # the only command line that is not all ours
        from ccrouter.cli import run as run_command

        rest, words = run_command.split(rest)
    command = _module(name)
    parser: argparse.ArgumentParser = Parser(prog="ccrouter", allow_abbrev=False)
    command.add_parser(parser.add_subparsers())
    args, unknown = parser.parse_known_args([name, *rest])
    if unknown:
        late = next((word for word in unknown if word in COMMANDS), None) if rest is argv else None
        hint = f"the command comes first, as in: ccrouter {late}" if late else f"see ccrouter {name} --help"
        raise UsageError(f"{name} knows no argument {unknown[0]!r}; {hint}")
    _refuse_bytes(args)
    args.words = words
    return command, args


def _refuse_bytes(args: argparse.Namespace) -> None:
    """Names are text, as JSON and TOML are, where they go.

    Paths may be any bytes: systems allow that. Prompts and the command of ``run`` are lists of words, and theirs
    to judge who take them.
    """
    for value in vars(args).values():
        if not isinstance(value, str):
            continue
        try:
            value.encode()
        except UnicodeEncodeError:  # what Python can't decode of an argument it keeps as halves of characters
            as_given = os.fsencode(value).decode("utf-8", "backslashreplace")
            raise UsageError(
                f"the argument '{as_given}' is not UTF-8 text; type it anew, in a terminal that sends UTF-8"
            ) from None


def _module(name: str) -> Command:
    """The command's module.

    Only the one that is needed is imported, since what serves takes long to; and in plain statements, so that
    the compiler of the executable sees them.
    """
    if name == "run":
        from ccrouter.cli import run

        return run
    if name == "env":
        from ccrouter.cli import env

        return env
    if name == "ask":
        from ccrouter.cli import ask

        return ask
    if name == "explain":
        from ccrouter.cli import explain

        return explain
    if name == "use":
        from ccrouter.cli import use

        return use
    if name in {"subagent", "classifier"}:
        from ccrouter.cli import background

        return background.SettingCommand("subagent" if name == "subagent" else "classifier")
    if name == "config":
        from ccrouter.cli import config

        return config
    if name == "upgrade":
        from ccrouter.cli import upgrade

        return upgrade
    from ccrouter.cli import serve

    return serve


def _unknown(name: str) -> str:
    meant = _meant(name)
    hint = f"did you mean `ccrouter {meant}`?" if meant else f"the commands are {', '.join(COMMANDS)}"
    return f"there is no command {name!r}; {hint}"


def _meant(name: str) -> str | None:
    """The command that was probably meant by a word that is none."""
    from difflib import get_close_matches  # for those who mistyped only

    if name in MEANT:
        return MEANT[name]
    near = get_close_matches(name, COMMANDS, n=1)
    return near[0] if near else None


class Parser(argparse.ArgumentParser):
    """Wrong use is an error like any other: one line that says what is wrong and where help is."""

    def error(self, message: str) -> NoReturn:
        """See `argparse.ArgumentParser.error`."""
        raise UsageError(f"{message}; see {self.prog} --help")

    def print_help(self, file: object = None) -> None:
        """To standard output, as every result; argparse would leave it to the interpreter's end, or drop it."""
        del file
        emit(self.format_help())


def _explained(error: BaseException) -> int:
    """Say what went wrong, in one line, and give the exit code."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:  # from a nursery
        error = error.exceptions[0]
    if os.environ.get("CCROUTER_DEBUG"):
        import traceback  # for those who look for a mistake of ours

        traceback.print_exception(error)
    if isinstance(error, BaseExceptionGroup):
        if error.subgroup(KeyboardInterrupt):
            return INTERRUPTED
        if all(isinstance(each, CcrouterError) for each in error.exceptions):
            error = error.exceptions[0]
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    if isinstance(error, BrokenPipeError):
        abandon()  # the reader of our output has left; nobody is there to be told
        return FAILED
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except (OSError, ValueError):
        abandon()
    if isinstance(error, CcrouterError):
        _complain(str(error))
        return WRONG_USE if isinstance(error, UsageError | ConfigError) else FAILED
    _complain(
        f"a mistake in ccrouter itself, {type(error).__name__}; please report it with what the same command "
        "says with CCROUTER_DEBUG=1 set"
    )
    return FAILED


def _complain(message: str) -> None:
    try:
        print(f"ccrouter: {message}", file=sys.stderr, flush=True)
    except (OSError, ValueError):  # nobody can read it
        return
