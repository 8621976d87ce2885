"""``ccrouter use``: which profile is in force. Every router of this user follows with its next request."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from attrs import evolve

from ccrouter.config_file import ConfigFile, choose
from ccrouter.errors import CcrouterError, UsageError
from ccrouter.providers.presets import PRESETS
from ccrouter.remembered import place
from ccrouter.remembered.choice import ChoiceFile, with_project
from ccrouter.remembered.project import ProjectFiles
from ccrouter.routing.config import Config
from ccrouter.routing.profiles import Choice, InForce, in_force

_EXAMPLE = """\
examples:
  ccrouter use                         the profiles, and which one is in force here
  ccrouter use local                   this one, for everything
  ccrouter use cloud --for ~/work      this one, in that directory and below it
  ccrouter use --none                  no profile: the configuration as it is
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
    parser.add_argument("--none", action="store_true", help="use none")
    parser.add_argument("--for", dest="folder", metavar="DIR", type=Path, help="in this directory only")
    parser.add_argument("--show", action="store_true", help="print the name of the one in force, or nothing")
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.add_argument("--config", metavar="FILE", help="this configuration")


def run(args: argparse.Namespace) -> int:
    """Switch, or show."""
    path, required = choose(args.config, os.environ, sys.platform)
    config = ConfigFile(path, required=required, presets=PRESETS).current()
    file = ChoiceFile(place.find(os.environ, sys.platform))
    folder = None if args.folder is None else args.folder.expanduser().absolute()
    if args.profile is not None and (args.none or args.show):
        raise UsageError("either a PROFILE, or --none, or --show; see ccrouter use --help")
    if args.profile is None and not args.none:
        return _show(args, config, file.current(), folder or Path.cwd())
    name = args.profile
    if name is not None and name not in config.profiles:
        there = ", ".join(config.profiles)
        hint = f"there are: {there}" if there else f"{path} has none; add [profiles.{name}] to it"
        raise CcrouterError(f"there is no profile {name!r}; {hint}")
    if folder is not None and not folder.is_dir():
        raise CcrouterError(f"{folder}: is no directory")
    choice = file.current()
    choice = evolve(choice, profile=name) if folder is None else with_project(choice, str(folder), name)
    try:
        file.write(choice)
    except OSError as error:
        raise CcrouterError(f"{file.path}: cannot be written: {error.strerror or error}") from None
    where = "" if folder is None else f" in {folder}"
    print(f"{name or 'no profile'} is in force{where} from the next request on", file=sys.stderr)
    return 0


def _show(args: argparse.Namespace, config: Config, choice: Choice, folder: Path) -> int:
    found = ProjectFiles().of(str(folder))
    holds = in_force(config, choice, None if found is None else found.project, str(folder))
    for problem in filter(None, (found and found.problem, holds.problem)):
        print(f"warning: {problem}", file=sys.stderr)
    if args.json:
        told = {
            "profile": holds.profile,
            "profiles": list(config.profiles),
            "everywhere": choice.profile,
            "projects": dict(choice.projects),
        }
        print(json.dumps(told, indent=2, ensure_ascii=False))
    elif args.show:
        if holds.profile is not None:
            print(holds.profile)
    else:
        _list(config, choice, holds)
    return 0


def _list(config: Config, choice: Choice, holds: InForce) -> None:
    if not config.profiles:
        print("The configuration has no profiles; a [profiles.NAME] table makes one.", file=sys.stderr)
        return
    for name, profile in config.profiles.items():
        words = [f"default {profile.default}"] if profile.default else []
        words += [f"subagent {' or '.join(profile.subagent)}"] if profile.subagent else []
        words += [f"{len(profile.routes)} rules"] if profile.routes else []
        words += [f"without {', '.join(sorted(profile.off))}"] if profile.off else []
        print(f"{'*' if name == holds.profile else ' '} {name:16} {'; '.join(words)}".rstrip())
    for folder, name in choice.projects:
        print(f"  in {folder}: {name}")
