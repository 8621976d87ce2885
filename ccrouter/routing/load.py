"""From the text of a configuration file to a `Config`, or to every mistake in it, each with its line.

Two passes: first the shape (`routing.schema`: keys, kinds of values), then, of a file whose shape is right, what
only the whole can show (presets, aliases, where credentials would travel). No message repeats the value of a key
that could hold a secret.
"""

from __future__ import annotations

from collections.abc import Mapping

from attrs import evolve

from ccrouter.errors import ConfigError
from ccrouter.providers.provider import Preset
from ccrouter.routing.builder import Builder, rules
from ccrouter.routing.config import Config
from ccrouter.routing.mistakes import Mistake, placed, tables
from ccrouter.routing.profiles import Project
from ccrouter.routing.tables import FileTable, ProjectTable


def parse(text: str, *, where: str, presets: Mapping[str, Preset]) -> Config:
    """The configuration that ``text`` is; ``where`` names the file.

    Raises ConfigError, one line for each mistake.
    """
    found = examine(text, presets=presets)
    if isinstance(found, Config):
        return found
    raise ConfigError("\n".join(mistake.told(where) for mistake in found))


def examine(text: str, *, presets: Mapping[str, Preset]) -> Config | tuple[Mistake, ...]:
    """The configuration that ``text`` is, or what is wrong with it, in the order of the lines."""
    file = tables(text, FileTable)
    if isinstance(file, tuple):
        return file
    builder = Builder(file, presets)
    config = builder.config()
    return placed(builder.wrong, text) if builder.wrong else config


def project(text: str) -> Project | tuple[Mistake, ...]:
    """What a project's own file says, or what is wrong with it."""
    file = tables(text, ProjectTable)
    if isinstance(file, tuple):
        return file
    wrong: list[Mistake] = []
    made = Project(
        profile=file.profile,
        default=file.default,
        subagent=tuple(file.subagent or ()),
        aliases={alias: tuple(targets) for alias, targets in file.aliases.items()},
        routes=tuple(
            evolve(each, lent=True)
            for each in rules(
                file.routes, (), lambda path, words: wrong.append(Mistake(words, path)), "the project's "
            )
        ),
    )
    return placed(wrong, text) if wrong else made
