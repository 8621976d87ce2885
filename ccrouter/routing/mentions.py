"""The names of models that a configuration speaks of, with the places where they stand. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ccrouter.routing.config import Config, Profile
from ccrouter.routing.rules import Rule
from ccrouter.routing.spelling import KeyPath
from ccrouter.routing.tables import FileTable, ProfileTable, RouteTable


def mentions(
    table: Config | Profile | FileTable | ProfileTable, place: KeyPath = ()
) -> Iterator[tuple[KeyPath, str]]:
    """Those of one table at ``place``, but for its default, which may be a provider alone."""
    settings = {"subagent": table.subagent, "classifier": table.classifier}
    for key, names in settings.items():
        yield from (((*place, key), name) for name in names or ())
    for alias, names in table.aliases.items():
        yield from (((*place, "aliases", alias), name) for name in names)
    routes: Sequence[Rule | RouteTable] = table.routes
    for number, rule in enumerate(routes):
        yield from (((*place, "routes", number, "use"), name) for name in rule.use or ())
