"""How the name of a model is written: ``PROVIDER:MODEL`` and what else stands in one. Pure.

What such a name leads to is `routing.names`. Whoever takes a name apart does it here, so that no two read the same
name in two ways.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from ccrouter.wire.claude_code import LONG_CONTEXT, MODEL_WORDS

#: What discovery ids begin with. Older clients accept ids that begin with ``claude`` or ``anthropic`` only, and
#: ids that begin with ``claude-`` are taken for models that the client knows.
DISCOVERY_PREFIX = "anthropic-via-"

#: The family of titles and summaries: whoever gives that name to another model means those.
SMALLEST = "haiku"
FAMILIES = ("opus", "sonnet", SMALLEST, "fable")

#: What stands between a provider's name and a model's. No provider's name has one of them.
_SEPARATORS = ":,/"
#: No provider's name is longer, with what separates it from a model's.
_LONGEST_PROVIDER = 256
_CLAUDE_WORDS = frozenset({*FAMILIES, *MODEL_WORDS})

_Known = TypeVar("_Known")


def separated(name: str) -> tuple[str, str, str]:
    """What stands before a name's first separator, the separator and what follows; the last two may be ""."""
    place = next((place for place, each in enumerate(name) if each in _SEPARATORS), len(name))
    return name[:place], name[place : place + 1], name[place + 1 :]


def split(name: str, known: Mapping[str, _Known]) -> tuple[_Known, str] | None:
    """What is known by the beginning of a name, the longest that there is, and the rest: the model."""
    places = [place for place, character in enumerate(name[:_LONGEST_PROVIDER]) if character in _SEPARATORS]
    for place in reversed(places):
        found = known.get(name[:place])
        if found is not None:
            return found, name[place + 1 :]
    return None


def bare(name: str) -> str:
    """Without ``[1m]``, a word between the user and the client, which sends it along at times."""
    return name[: -len(LONG_CONTEXT)] if name.lower().endswith(LONG_CONTEXT) else name


def discovery_id(provider: str, model: str) -> str:
    """The id under which older clients accept a model; `discovered` reads it back without a table."""
    return f"{DISCOVERY_PREFIX}{provider}:{model}"


def discovered(name: str) -> str | None:
    """The ``PROVIDER:MODEL`` that a discovery id is made of; None for any other name."""
    made_of = name.removeprefix(DISCOVERY_PREFIX)
    return None if made_of == name or not separated(made_of)[1] else made_of


def is_claude(model: str) -> bool:
    """Whether a name is one of Anthropic's own models or of Claude Code's words for them."""
    name = bare(model).lower()
    return name.startswith("claude-") or name in _CLAUDE_WORDS
