"""``ccrouter subagent`` and ``ccrouter classifier``: the model for work that the client starts by itself."""

from __future__ import annotations

import argparse
import json
import os
import sys
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from attrs import evolve, frozen

from ccrouter.cli import interrupt, own_router
from ccrouter.cli.terminal import emit, say
from ccrouter.config_file import ConfigFile, choose
from ccrouter.errors import CcrouterError, ConfigError, UsageError
from ccrouter.observe.log import printable
from ccrouter.providers.presets import PRESETS
from ccrouter.remembered import place
from ccrouter.remembered.choice import ChoiceFile, unwritten
from ccrouter.routing.config import Config
from ccrouter.routing.profiles import in_force
from ccrouter.routing.remarks import odd

if TYPE_CHECKING:
    from ccrouter.service import Listed

#: Seconds for all providers to say which models they have.
_MODELS_WITHIN = 3.0

#: No menu has a number of more.
_DIGITS = 6

Setting = Literal["subagent", "classifier"]

_WHAT = {
    "subagent": "the agents that Claude Code starts (Explore, Plan, your own)",
    "classifier": "Claude Code's safety checks of commands",
}

_EXAMPLE = """\
examples:
  ccrouter {setting}                    the models, numbered; * marks the present one
  ccrouter {setting} 2                  the second of them
  ccrouter {setting} ollama:qwen3:8b    this one
  ccrouter {setting} default            what the configuration says
"""

WARNING = (
    "warning: a model that fails, or is not up to it, lets through commands that it should have stopped, or makes "
    "Bash and other tools stop with an error; `default` gives it back to Claude"
)


@frozen
class SettingCommand:
    """The command of one setting: what a module is for the other commands."""

    setting: Setting

    def add_parser(self, subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
        """Declare it."""
        _add_parser(subparsers, self.setting)

    def run(self, args: argparse.Namespace) -> int:
        """Show the menu, or set."""
        return _run(args, self.setting)


def _add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser], setting: Setting) -> None:
    parser = subparsers.add_parser(
        setting,
        description=f"Show or set the model for {_WHAT[setting]}.\n"
        "Rules of the configuration come first. Running routers follow with their next request.",
        epilog=_EXAMPLE.format(setting=setting),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "model",
        nargs="?",
        metavar="MODEL|N|default",
        help="a model's name, its number in the menu, or `default`: what the configuration says",
    )
    parser.add_argument("--json", action="store_true", help="the menu as JSON")
    parser.add_argument("--config", metavar="FILE", type=Path, help="this configuration")


def _run(args: argparse.Namespace, setting: Setting) -> int:
    file = ChoiceFile(place.find(os.environ, sys.platform))
    wanted = args.model
    if wanted is not None and (not wanted.strip() or wanted.startswith("-")):
        raise UsageError(f"{wanted!r} is no model; ccrouter {setting} shows which there are")
    if wanted is not None and wanted.isdecimal() and not wanted.strip("0"):
        wanted = "default"  # as the menu has it
    if wanted is None or wanted.isdecimal():
        listed, config = interrupt.run(partial(_models, args.config))
        names = [each.name for each in listed]
        if wanted is None:
            choice = file.current()
            # What would hold without the choice, in the profile of this moment.
            without = in_force(config, evolve(choice, subagent=None, classifier=None), None, None).config
            _menu(setting, listed, getattr(choice, setting), getattr(without, setting), as_json=args.json)
            return 0
        number = int(wanted[:_DIGITS])
        if number > len(names) or len(wanted) > _DIGITS:
            raise UsageError(
                f"there is no number {wanted}: the menu has 0 to {len(names)}; see ccrouter {setting}"
            )
        wanted = names[number - 1]
        doubt = None
    else:
        doubt = _doubt(wanted, _configuration(args.config))
    try:
        chosen = None if wanted == "default" else wanted
        before = file.current()
        file.write(evolve(before, subagent=chosen) if setting == "subagent" else evolve(before, classifier=chosen))
    except OSError as error:
        raise CcrouterError(unwritten(file.path, error)) from None
    if wanted == "default":
        say(f"{setting}: as the configuration says, from the next request on")
    else:
        say(f"{setting}: {wanted}, from the next request on")
        if doubt is not None:
            say(f"warning: {doubt}")
        if setting == "classifier":
            say(WARNING)
    return 0


def _configuration(file: Path | None) -> Config:
    """What is read here only for what it calls models. With a mistake in it, a choice can be made all the same."""
    path, required = choose(file, os.environ, sys.platform)
    try:
        return ConfigFile(path, required=required, presets=PRESETS).current()
    except ConfigError:
        return Config()


def _doubt(wanted: str, config: Config) -> str | None:
    """Why a name is probably not what was meant. Raises UsageError where it is none."""
    aliases = [config.aliases, *(profile.aliases for profile in config.profiles.values())]
    if wanted == "default" or any(wanted in each for each in aliases):
        return None
    if get_close_matches(wanted.lower(), ["default"], cutoff=0.8):
        raise UsageError(f"{wanted!r} is no model; did you mean `default`?")
    return odd(wanted, config, PRESETS)


async def _models(file: Path | None) -> tuple[list[Listed], Config]:
    """The models that can be had, and the configuration."""
    async with own_router.serving(file) as running:
        return await running.models(_MODELS_WITHIN), running.config


def _menu(
    setting: Setting, listed: list[Listed], chosen: str | None, configured: tuple[str, ...], *, as_json: bool
) -> None:
    if as_json:
        told: dict[str, Any] = {
            "setting": setting,
            "chosen": chosen,
            "configured": list(configured),
            "models": [{"name": each.name, "description": each.description} for each in listed],
        }
        emit(json.dumps(told, indent=2) + "\n")
        return
    default = " or ".join(configured) or "as they are asked for"
    rows = [("default", default), *((each.name, each.description) for each in listed)]
    width = max(len(name) for name, _ in rows)
    for number, (name, description) in enumerate(rows):
        mark = "*" if name == (chosen or "default") else " "
        emit(printable(f"{mark} {number:3}  {name:{width}}  {description}".rstrip(), 1000) + "\n")
    if chosen is not None and chosen not in [name for name, _ in rows]:
        emit(printable(f"*      {chosen}  (no provider lists it now)", 1000) + "\n")
