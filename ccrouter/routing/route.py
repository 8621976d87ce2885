"""Which targets a request goes to, and why. Pure.

In this order, the first that has a word on it decides:

1. a marker in the definition of the agent that asks (`routing.marker`);
2. the rules, in their order (`routing.rules`);
3. the settings ``classifier`` and ``subagent``;
4. the model's name (`routing.names`), which is where nearly all requests get.

Of several targets a session stays with the one that it had (`routing.pins`).
"""

from __future__ import annotations

import hashlib

from attrs import field, frozen

from ccrouter.errors import ApiError
from ccrouter.providers.provider import Target
from ccrouter.routing.barred import Barred
from ccrouter.routing.caller import Caller
from ccrouter.routing.config import Config
from ccrouter.routing.directory import Directory
from ccrouter.routing.marker import marked
from ccrouter.routing.model_name import split
from ccrouter.routing.names import is_plain, meaning
from ccrouter.routing.pins import Pins, key
from ccrouter.routing.rules import Considered
from ccrouter.routing.traits import Traits
from ccrouter.wire.claude_code import RequestClass
from ccrouter.wire.messages import MessagesRequest

#: The classes of a conversation's own turns.
_CONVERSATIONS: frozenset[RequestClass] = frozenset({"main", "subagent", "workflow"})


@frozen(kw_only=True)
class Route:
    """Where a request goes. ``request`` is what is sent on: without its marker.

    Without ``targets``, ``refused`` says why: a name leads nowhere (404).
    """

    request: MessagesRequest
    targets: tuple[Target, ...]
    names: tuple[str, ...]
    because: str
    intent: str
    considered: tuple[Considered, ...] = ()
    changes: tuple[str, ...] = ()
    pinned: str | None = None
    wanted: Target | None = None
    """The target that comes first without the pin, where that is another."""
    session: str | None = field(default=None)
    """The key of its pin, where it has or is to have one."""
    refused: ApiError | None = None
    releases: str | None = None
    """The key of a pin that is over: its user has chosen a model of which there is but one."""


def route(
    traits: Traits, config: Config, directory: Directory, pins: Pins, *, client_login: bool = False
) -> Route:
    """Choose."""
    request, caller = traits.request, traits.caller
    changes: tuple[str, ...] = ()
    considered: tuple[Considered, ...] = ()
    names: tuple[str, ...] = ()
    because = ""
    lent = False
    if not caller.background and (found := marked(request)) is not None:
        request, names, because = found.request, (found.model,), "the marker in the agent's definition"
        changes = ("system: the marker of a model taken out",)
        lent = True
    if not names:
        considered, rule = config.rulebook.ask(traits)
        if rule is not None:
            names, because, lent = rule.names(request.model), f"the rule {rule.name}", rule.lent
    if not names and caller.task == "classifier" and config.classifier:
        names, because = config.classifier, "the setting `classifier`"
    if not names and caller.is_agent and config.subagent:
        names, because = config.subagent, "the setting `subagent`"
        lent = config.lent.subagent
    plain = background = False
    if not names:
        names, because = (request.model,), "the model's name"
        plain, background = is_plain(request.model, directory), caller.background
    meant = _meanings(names, traits, directory, client_login=client_login, lent=lent, background=background)
    targets = meant.targets
    intent, session, releases = "", None, None
    if caller.session is not None and targets:
        conversation = key(caller.session, caller.agent_id)
        if plain or len(targets) > 1:
            defaults = () if config.default is None else directory.default_names
            intent = _intent(traits.moment.profile or "", because, *names, "", *meant.names, "", *defaults)
            session = _pinned_as(caller, conversation, intent, pins)
        elif _chooses(traits) and pins.holds(conversation):
            releases = conversation
    held = None if session is None else pins.of(session, intent)
    stays = None if held is None else _staying(targets, held, directory, plain=plain)
    return Route(
        request=request,
        targets=targets if stays is None else stays.targets,
        names=names,
        because=because,
        intent=intent,
        considered=considered,
        changes=(*changes, *(f"candidates: without {each}" for each in meant.without)),
        pinned=None if stays is None else held,
        wanted=None if stays is None else stays.wanted,
        session=session,
        refused=meant.refused,
        releases=releases,
    )


@frozen(kw_only=True)
class _Meanings:
    """What several names mean together. ``refused``: why there are no ``targets``."""

    targets: tuple[Target, ...] = ()
    names: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    refused: ApiError | None = None


def _meanings(
    names: tuple[str, ...],
    traits: Traits,
    directory: Directory,
    *,
    client_login: bool,
    lent: bool,
    background: bool,
) -> _Meanings:
    targets: list[Target] = []
    stands_for: list[str] = []
    without: list[str] = []
    refused: ApiError | None = None
    for name in names:
        own = name == traits.request.model  # as its user asked for it
        try:
            meant = meaning(
                name, directory, client_login=client_login, lent=lent and not own, background=background
            )
        except Barred as error:  # the next of the list may be asked
            refused = refused or error
            without.append(error.message)
        except ApiError as error:
            return _Meanings(without=tuple(without), refused=error)
        else:
            without += meant.without
            targets += [each for each in meant.targets if each not in targets]
            stands_for += meant.names
    return _Meanings(
        targets=tuple(targets),
        names=tuple(stands_for),
        without=tuple(without),
        refused=None if targets else refused,
    )


def _pinned_as(caller: Caller, conversation: str, intent: str, pins: Pins) -> str:
    """The key of a pin. What a client asks in a conversation's midst takes nothing from the conversation's own.

    A compaction that is meant as the conversation is shares its pin, for the sake of its prompt cache. One that
    has a rule to itself has another, as has a title or a safety check.
    """
    if caller.kind in _CONVERSATIONS or pins.of(conversation, intent) is not None:
        return conversation
    return f"{conversation}#{caller.task or caller.kind}"


@frozen(kw_only=True)
class _Stays:
    """``targets`` with the one first that a session stays with; ``wanted`` as in `Route`."""

    targets: tuple[Target, ...]
    wanted: Target | None = None


def _staying(targets: tuple[Target, ...], held: str, directory: Directory, *, plain: bool) -> _Stays | None:
    """The target that the session stays with stands first; None where it is gone."""
    place = next((place for place, each in enumerate(targets) if str(each) == held), None)
    if place is not None:
        others = targets[:place] + targets[place + 1 :]
        return _Stays(targets=(targets[place], *others), wanted=targets[0])
    known, model = (split(held, directory.addressable) if plain else None) or (None, "")
    if known is None or not model:
        return None
    if known.name in directory.providers:
        return _Stays(targets=(Target(known, model), *targets))
    # A server of this machine that is not running: its conversation is no other vendor's for that.
    return _Stays(targets=(Target(known, model),)) if known.local else None


def _chooses(traits: Traits) -> bool:
    """Whether a request shows what its user chose for the conversation.

    What only looks like a turn of it (an older client does not say what is none) has no tools.
    """
    return traits.caller.kind == "main" and traits.has("tools")


def _intent(*parts: str) -> str:
    text = "\n".join(parts)
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]
