"""From a model's name to where it goes. Pure.

The rules, first match wins (the contract with users, "Model names"):

1. a discovery id is decoded: ``anthropic-via-ollama:qwen3:8b`` is ``ollama:qwen3:8b``;
2. an alias of the configuration, which may name several models in fallback order; ``haiku`` and its like are
   aliases of every model of that family;
3. ``PROVIDER:MODEL``, the longest provider name first; ``PROVIDER,MODEL`` and ``PROVIDER/MODEL`` too;
4. a Claude name goes to the provider for Claude models, when there is one: of several to the default, if that is
   one of them, else to the one that takes the Claude login, else to the first;
5. a model that exactly one provider lists;
6. ``PROVIDER:MODEL`` of a provider that is switched off, or of a preset that nobody has said the place of, is
   refused: whoever chose a provider gets no other's answer, nor does another get the prompt;
7. the default: a provider, one of its models, or an alias for such. A Claude name that came this far has no
   provider for Claude models to go to; the default provider does not know it either, and gets it as the
   first model that it lists.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence
from functools import partial

from ccrouter.errors import ApiError
from ccrouter.providers.provider import Provider, Target
from ccrouter.routing.aliases import alias_of, unfolded
from ccrouter.routing.barred import Barred, default_not_set_up, not_lent, not_set_up, switched_off
from ccrouter.routing.directory import Directory, Meaning
from ccrouter.routing.model_name import (
    DISCOVERY_PREFIX,
    FAMILIES,
    SMALLEST,
    bare,
    discovered,
    is_claude,
    separated,
    split,
)

#: How many names a directory remembers the targets of, and how long they may be: clients make them up.
_MOST = 256
_SHORT = 256


def meaning(
    name: str,
    directory: Directory,
    *,
    client_login: bool = False,
    lent: bool = False,
    background: bool = False,
) -> Meaning:
    """What ``name`` means.

    ``client_login``: the client brings a credential for Anthropic of its own, which makes that provider
    usable even when the router has none. ``lent``: the name is not the user's own word but a repository's, so it
    can't reach a server that nobody set up. ``background``: of the names of Claude's families only ``haiku``
    moves what nobody reads away from Claude. Raises ApiError 404 for a name that can't be meant.
    """
    key = (name, client_login, lent, background)
    known = directory.resolved.get(key)  # a conversation asks for the same a thousand times
    if known is not None:
        return known
    meant = _meant(_decoded(name, directory), directory, client_login, lent, background)
    without: list[str] = []
    found = _allowed(meant, partial(_targets, directory, client_login, without), without)
    known = Meaning(targets=found, names=tuple(each for each, _ in meant), without=tuple(without))
    if len(name) <= _SHORT:
        if len(directory.resolved) >= _MOST:
            directory.resolved.clear()
        directory.resolved[key] = known
    return known


def _allowed(
    meant: Iterable[tuple[str, bool]], find: Callable[[str, bool], Iterable[Target]], without: list[str]
) -> tuple[Target, ...]:
    """The targets of all names that may be followed; ``without`` gets a word for each other one.

    Raises Barred where none may.
    """
    found: list[Target] = []
    barred: Barred | None = None
    for name, lent in meant:
        try:
            more = find(name, lent)
        except Barred as error:
            barred = barred or error
            if error.message not in without:
                without.append(error.message)
        else:
            found += [target for target in more if target not in found]
    if barred is not None and not found:
        raise barred
    return tuple(found)


def is_plain(name: str, directory: Directory) -> bool:
    """Whether what a name means depends on what there is just now: nobody explains it, no provider is named."""
    name = _decoded(name, directory)
    if split(name, directory.addressable) or alias_of(name, directory.aliases) is not None:
        return False
    return not (is_claude(name) and directory.claude is not None)


def _decoded(name: str, directory: Directory) -> str:
    """The name that a discovery id is for; any other as it is."""
    made_of = discovered(name)
    if made_of is None:
        return name
    known = (directory.addressable, *map(_by_name, (directory.off, directory.homeless)))
    return made_of if any(split(made_of, each) for each in known) else name


def _meant(
    name: str, directory: Directory, client_login: bool, lent: bool, background: bool
) -> list[tuple[str, bool]]:
    """What a name stands for, with whether that is a repository's word."""
    claude = directory.claude_by_login if client_login else directory.claude
    if background and claude is not None and _is_moved_by_family(name, directory.aliases):
        return [(name, lent)]  # a safety check asks for a model that a conversation may have, too
    return _unalias(name, directory, lent=lent)


def _is_moved_by_family(name: str, aliases: Container[str]) -> bool:
    """Whether an alias means it for its family's sake alone, and not that of the smallest models."""
    alias = alias_of(name, aliases)
    return alias in FAMILIES and alias not in (SMALLEST, bare(name))


def _unalias(name: str, directory: Directory, *, lent: bool) -> list[tuple[str, bool]]:
    """What a name stands for, with whether that is a repository's word."""
    return unfolded(name, directory.aliases, directory.lent.aliases, lent=lent)


def _targets(
    directory: Directory, client_login: bool, without: list[str], name: str, lent: bool
) -> Sequence[Target]:
    """What a name that is no alias means: one target, or those of the default."""
    if named := _named(name, directory, lent, client_login):
        provider, model = named
        if not model:
            raise ApiError(404, "not_found_error", f"{name!r} names a provider but no model")
        return [_fit(provider, model)]
    # Not somebody else's, prompt and all, only because its owner is off.
    if off := split(name, _by_name(directory.off)):
        raise switched_off(name, off[0])
    claude = directory.claude_by_login if client_login else directory.claude
    if claude is not None and is_claude(name):
        return [_fit(claude, name)]
    owners = _owners(name, directory)
    if len(owners) == 1:
        return owners
    if not owners and (absent := _absent(name, directory)) is not None:
        raise not_set_up(name, absent)
    default = directory.default
    own = directory.lent.default
    defaults = [(default, own)] if default in directory.addressable else _unalias(default, directory, lent=own)
    return _allowed(defaults, lambda each, lent: [_by_default(name, each, directory, lent)], without)


def _owners(name: str, directory: Directory) -> list[Target]:
    """A model with each provider that has one of that name, or of that name without ``[1m]``."""
    return [
        Target(provider, model)
        for provider in directory.providers.values()
        if (model := next(filter(partial(_has, directory, provider), (name, bare(name))), None)) is not None
    ]


def _has(directory: Directory, provider: Provider, model: str) -> bool:
    return model in directory.listed.get(provider.name, ()) or provider.configured_model(model) is not None


def _absent(name: str, directory: Directory) -> str | None:
    """The provider that a name says, where that one has no address.

    A discovery id is the router's own, from a time when it had a provider of that name. A slash says no provider
    here: it stands in the names of gateways' models, and of presets without an address are those of such makers.
    """
    first, separator, _ = separated(discovered(name) or name)
    if name.startswith(DISCOVERY_PREFIX):
        return first if separator == ":" else None
    return first if separator != "/" and separator and first in directory.homeless else None


def _by_default(name: str, default: str, directory: Directory, lent: bool) -> Target:
    """``name`` as the default has it: ``PROVIDER``, or ``PROVIDER:MODEL`` for whatever nobody else claims."""
    if named := _named(default, directory, lent):
        provider, model = named
        return _fit(provider, model or name)
    off = split(f"{default}:", _by_name(directory.off))
    if off is not None:
        raise switched_off(default, off[0])
    known = directory.addressable.get(default)
    if known is not None and lent and not _is_lent(known, directory):
        raise not_lent(default, default)
    if known is None:
        raise default_not_set_up(name, default, separated(default)[0])
    if is_claude(name) and not known.preset.first_party:
        models = [model.id for model in known.models] or directory.listed.get(known.name, ())
        if models:
            return Target(known, models[0])
    return _fit(known, name)


def _named(name: str, directory: Directory, lent: bool, client_login: bool = False) -> tuple[Provider, str] | None:
    """Provider and model of a name that says its provider. Raises Barred where ``lent`` forbids that one."""
    named = split(name, directory.addressable)
    if named is not None and lent and not _is_lent(named[0], directory, client_login):
        raise not_lent(name, named[0].name)
    return named


def _is_lent(provider: Provider, directory: Directory, client_login: bool = False) -> bool:
    """Whether a repository may choose a provider: one that is set up, or that the client's login opens."""
    opened = client_login and provider.preset.first_party
    return opened or provider.name in directory.providers or provider.preset.transport != "http"


def _by_name(names: Iterable[str]) -> dict[str, str]:
    return {each: each for each in names}


def _fit(provider: Provider, model: str) -> Target:
    """No backend knows ``[1m]``."""
    return Target(provider, bare(model))
