"""Aliases: what a user's own names stand for. Pure."""

from __future__ import annotations

from collections.abc import Container, Mapping

from ccrouter.routing.model_name import FAMILIES, bare


def alias_of(name: str, aliases: Container[str]) -> str | None:
    """The alias that a name means, if it means one.

    An alias by the name of one of Claude's families (``haiku``) stands for every model of it: the client says
    ``claude-haiku-5-5`` where its user says ``haiku``.
    """
    short = bare(name)
    family = next((each for each in FAMILIES if f"-{each}-" in f"{short}-"), None)
    candidates = (name, short, family if short.startswith("claude-") else None)
    return next((each for each in candidates if each is not None and each in aliases), None)


def stands_for(name: str, aliases: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The names behind an alias, those behind aliases in it too; of any other name itself."""
    return tuple(each for each, _ in unfolded(name, aliases, frozenset(), lent=False))


def unfolded(
    name: str, aliases: Mapping[str, tuple[str, ...]], lent_aliases: frozenset[str], *, lent: bool
) -> list[tuple[str, bool]]:
    """Aliases may name aliases; a loop ends at the name that closes it.

    Of each name also whether it is a repository's word: what an alias stands for is the word of who made it.
    """
    found: dict[str, bool] = {}
    unfolding: dict[str, bool] = {}
    waiting = [(name, lent, False)]
    while waiting:
        each, borrowed, done = waiting.pop()
        if done:
            unfolding[each] = False
            continue
        short = alias_of(each, aliases) or each
        if not aliases.get(short) or unfolding.get(short):
            found[each] = found.get(each, True) and borrowed  # the user's own word counts
        elif short not in unfolding:
            unfolding[short] = True
            own = short in lent_aliases
            waiting += [(short, borrowed, True), *((inner, own, False) for inner in reversed(aliases[short]))]
    return list(found.items())
