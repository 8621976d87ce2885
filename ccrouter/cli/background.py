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
from ccrouter.routing.profiles import Choice, in_force
from ccrouter.routing.remarks import odd

if TYPE_CHECKING:
    from ccrouter.menu import Listed

#: Seconds for all providers to say which models they have.
_MODELS_WITHIN = 3.0

#: The word for no choice of one's own: what the configuration says holds.
_DEFAULT = "default"

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
    if args.model is None:
        return _show(args, setting, file.current())
    wanted, doubt = _wanted(args.model, setting, args.config)
    before = file.current()
    try:
        file.write(evolve(before, subagent=wanted) if setting == "subagent" else evolve(before, classifier=wanted))
    except OSError as error:
        raise CcrouterError(unwritten(file.path, error)) from None
    say(f"{setting}: {wanted or 'as the configuration says'}, from the next request on")
    if doubt is not None:
        say(f"warning: {doubt}")
    if wanted is not None and setting == "classifier":
        say(WARNING)
    return 0


def _show(args: argparse.Namespace, setting: Setting, choice: Choice) -> int:
    listed, config = interrupt.run(partial(_models, args.config))
    # What would hold without the choice, in the profile of this moment.
    without = in_force(config, evolve(choice, subagent=None, classifier=None), None, None).config
    _menu(setting, listed, getattr(choice, setting), getattr(without, setting), as_json=args.json)
    return 0


def _wanted(said: str, setting: Setting, config: Path | None) -> tuple[str | None, str | None]:
    """The model that is meant, None for the default, and why it is probably not. Raises UsageError for none."""
    if not said.strip() or said.startswith("-"):
        raise UsageError(f"{said!r} is no model; ccrouter {setting} shows which there are")
    if not (said.isascii() and said.isdecimal()):
        return None if said == _DEFAULT else said, _doubt(said, _configuration(config))
    number = int(said) if len(said) <= _DIGITS else sys.maxsize
    if number == 0:  # as the menu has it
        return None, None
    listed, _ = interrupt.run(partial(_models, config))
    if number > len(listed):
        raise UsageError(f"there is no number {said}: the menu has 0 to {len(listed)}; see ccrouter {setting}")
    return listed[number - 1].name, None


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
    if wanted == _DEFAULT or any(wanted in each for each in aliases):
        return None
    if get_close_matches(wanted.lower(), [_DEFAULT], cutoff=0.8):
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
    rows = [(_DEFAULT, default), *((each.name, each.description) for each in listed)]
    width = max(len(name) for name, _ in rows)
    for number, (name, description) in enumerate(rows):
        mark = "*" if name == (chosen or _DEFAULT) else " "
        emit(printable(f"{mark} {number:3}  {name:{width}}  {description}".rstrip(), 1000) + "\n")
    if chosen is not None and chosen not in [name for name, _ in rows]:
        emit(printable(f"*      {chosen}  (no provider lists it now)", 1000) + "\n")
