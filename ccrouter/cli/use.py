"""``ccrouter use``: which profile is in force. Every router of this user follows with its next request."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from pathlib import Path

from attrs import evolve

from ccrouter.cli.here import here
from ccrouter.cli.terminal import emit, say
from ccrouter.config_file import ConfigFile, choose
from ccrouter.errors import CcrouterError, UsageError
from ccrouter.observe.log import printable
from ccrouter.providers.presets import PRESETS
from ccrouter.remembered import place as state
from ccrouter.remembered.choice import ChoiceFile, unwritten, with_project
from ccrouter.remembered.project import Found, ProjectFiles
from ccrouter.routing.config import Config
from ccrouter.routing.profiles import Choice, InForce, in_force
from ccrouter.routing.remarks import checks_told

_EXAMPLE = """\
examples:
  ccrouter use                         the profiles, and which one is in force here
  ccrouter use local                   this one, for everything
  ccrouter use cloud --for ~/work      this one, in that directory and below it
  ccrouter use --for ~/work --none     there again what holds everywhere
  ccrouter use --none                  none of these choices: the configuration as it is
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare ``use``."""
    parser = subparsers.add_parser(
        "use",
        description="Switch the active profile, a [profiles.NAME] of the configuration. Running routers follow "
        "with their next request.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("profile", nargs="?", metavar="PROFILE", help="the profile to use")
    parser.add_argument("--none", action="store_true", help="take the choice back")
    parser.add_argument("--for", dest="folder", metavar="DIR", type=Path, help="in this directory only")
    parser.add_argument("--show", action="store_true", help="print the name of the one in force, or nothing")
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.add_argument("--config", metavar="FILE", type=Path, help="this configuration")


def run(args: argparse.Namespace) -> int:
    """Switch, or show."""
    path, required = choose(args.config, os.environ, sys.platform)
    config = ConfigFile(path, required=required, presets=PRESETS).current()
    file = ChoiceFile(state.find(os.environ, sys.platform))
    folder = None if args.folder is None else _resolved(args.folder)
    if (args.profile is not None) + args.none + args.show > 1:
        raise UsageError("either a PROFILE, or --none, or --show; see ccrouter use --help")
    if args.profile is None and not args.none:
        return _show(args, config, file.current(), folder or here())
    name = args.profile
    if name is not None and name not in config.profiles:
        there = ", ".join(config.profiles)
        hint = f"there are: {there}" if there else f"{path} has none; add [profiles.{name}] to it"
        raise UsageError(f"there is no profile {name!r}; {hint}")
    choice = file.current()
    taken_back = name is None and str(folder) in dict(choice.projects)  # the directory may be gone meanwhile
    if folder is not None and not taken_back and not _is_directory(folder):
        raise UsageError(f"{folder}: is no directory")
    choice = evolve(choice, profile=name) if folder is None else with_project(choice, str(folder), name)
    try:
        file.write(choice)
    except OSError as error:
        raise CcrouterError(unwritten(file.path, error)) from None
    _say_what_holds(config, choice, folder, none=args.none)
    return 0


def _say_what_holds(config: Config, choice: Choice, folder: Path | None, *, none: bool) -> None:
    """What was chosen need not be what holds: the file has a profile too, and so have projects."""
    everywhere = in_force(config, choice, None, None).profile
    place = folder or here()
    in_there, found = _in(place, config, choice)
    there = in_there.profile
    holds = everywhere if folder is None else there
    where = "" if folder is None else f" in {folder}"
    why = ""
    if none and holds is not None:
        why = ", as everywhere" if folder is not None and holds == everywhere else ", as a file says"
    say(f"{holds or 'no profile'} is in force{where} from the next request on{why}")
    if folder is None and there != everywhere:
        by = "by what was said for that directory"
        if found is not None and found.project is not None and found.project.profile == there:
            by = f"by {found.path}"
        say(printable(f"but {there or 'none'} in {place}, {by}", 1000))
    for path, words in checks_told(config, PRESETS):
        if path[:2] == ("profiles", holds):
            say(f"warning: {printable(words, 1000)}")


def _resolved(folder: Path) -> Path:
    """A directory as clients name theirs."""
    try:
        return folder.expanduser().resolve()
    except (OSError, RuntimeError) as error:  # links in a circle; a user whom nobody knows
        raise UsageError(printable(f"{folder}: is no directory: {error}", 1000)) from None


def _is_directory(folder: Path) -> bool:
    return os.path.isdir(folder)  # noqa: PTH112  it has no error for what cannot be seen


def _in(folder: Path | None, config: Config, choice: Choice) -> tuple[InForce, Found | None]:
    """What holds in a directory, with its project's file."""
    directory = None if folder is None else str(folder)
    found = None if directory is None else ProjectFiles().of(directory)
    return in_force(config, choice, None if found is None else found.project, directory), found


def _show(args: argparse.Namespace, config: Config, choice: Choice, folder: Path | None) -> int:
    holds, found = _in(folder, config, choice)
    for problem in (found.problem if found is not None else None, holds.problem):
        if problem is not None:
            say(f"warning: {printable(problem, 1000)}")
    if args.json:
        told = {
            "profile": holds.profile,
            "profiles": list(config.profiles),
            "everywhere": choice.profile,
            "projects": dict(choice.projects),
        }
        emit(json.dumps(told, indent=2) + "\n")
    elif args.show:
        if holds.profile is not None:
            emit(f"{holds.profile}\n")
    else:
        _list(config, choice, holds)
        _tell_of_what_is_gone(config, choice)
    return 0


def _tell_of_what_is_gone(config: Config, choice: Choice) -> None:
    """A choice outlasts the profile or the directory that it was about; how it is taken back."""
    if choice.profile is not None and choice.profile not in config.profiles:
        say(printable(f"`ccrouter use --none` takes back the choice of {choice.profile}", 1000))
    for folder, name in choice.projects:
        if name not in config.profiles or not _is_directory(Path(folder)):
            command = f"ccrouter use --for {shlex.quote(folder)} --none"
            say(printable(f"`{command}` takes back the choice of {name} there", 1000))


def _list(config: Config, choice: Choice, holds: InForce) -> None:
    if not config.profiles:
        say("The configuration has no profiles; a [profiles.NAME] table makes one.")
        return
    for name, profile in config.profiles.items():
        words = [f"default {profile.default}"] if profile.default else []
        words += [f"subagent {' or '.join(profile.subagent)}"] if profile.subagent else []
        words += [f"{len(profile.routes)} rule{'s' * (len(profile.routes) > 1)}"] if profile.routes else []
        words += [f"without {', '.join(sorted(profile.off))}"] if profile.off else []
        mark = "*" if name == holds.profile else " "
        emit(printable(f"{mark} {name:16} {'; '.join(words)}".rstrip(), 1000) + "\n")
    for folder, name in choice.projects:
        emit(printable(f"  in {folder}: {name}", 1000) + "\n")
