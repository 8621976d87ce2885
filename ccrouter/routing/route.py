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

from attrs import evolve, field, frozen

from ccrouter.providers.provider import Target
from ccrouter.routing.caller import Caller, RequestClass
from ccrouter.routing.config import Config
from ccrouter.routing.marker import marked
from ccrouter.routing.names import Directory, NotLent, is_plain, resolve
from ccrouter.routing.pins import Pins, key
from ccrouter.routing.rules import Considered
from ccrouter.routing.traits import Traits
from ccrouter.wire.messages import MessagesRequest

#: The classes of a conversation's own turns.
_CONVERSATIONS: frozenset[RequestClass] = frozenset({"main", "subagent", "workflow"})


@frozen(kw_only=True)
class Route:
    """Where a request goes. ``request`` is what is sent on: without its marker."""

    request: MessagesRequest
    targets: tuple[Target, ...]
    names: tuple[str, ...]
    because: str
    intent: str
    considered: tuple[Considered, ...] = ()
    changes: tuple[str, ...] = ()
    pinned: str | None = None
    session: str | None = field(default=None)
    """The key of its pin, where it has or is to have one."""


def route(
    traits: Traits, config: Config, directory: Directory, pins: Pins, *, client_login: bool = False
) -> Route:
    """Choose. Raises ApiError 404 where a name leads nowhere."""
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
    targets: list[Target] = []
    refused: NotLent | None = None
    for name in names:
        own = name == request.model  # as its user asked for it
        try:
            meant = resolve(
                name, directory, client_login=client_login, lent=lent and not own, background=background
            )
        except NotLent as error:
            refused = refused or error
            changes += (f"candidates: without {error.message}",)
        else:
            targets += [each for each in meant if each not in targets]
    if not targets and refused is not None:
        raise refused
    intent, session = "", None
    if caller.session is not None and (plain or len(targets) > 1):
        intent = _intent(because, names, config.default)
        session = _pinned_as(caller, key(caller.session, caller.agent_id), intent, pins)
    made = Route(
        request=request,
        targets=tuple(targets),
        names=names,
        because=because,
        intent=intent,
        considered=considered,
        changes=changes,
        session=session,
    )
    return made if session is None else _pinned(made, session, directory, pins, plain=plain)


def _pinned_as(caller: Caller, conversation: str, intent: str, pins: Pins) -> str:
    """The key of a pin. What a client asks in a conversation's midst takes nothing from the conversation's own.

    A compaction that is meant as the conversation is shares its pin, for the sake of its prompt cache. One that
    has a rule to itself has another, as has a title or a safety check.
    """
    if caller.kind in _CONVERSATIONS or pins.of(conversation, intent) is not None:
        return conversation
    return f"{conversation}#{caller.task or caller.kind}"


def _pinned(made: Route, session: str, directory: Directory, pins: Pins, *, plain: bool) -> Route:
    """The target that the session stays with stands first."""
    held = pins.of(session, made.intent)
    if held is None:
        return made
    target = next((each for each in made.targets if str(each) == held), None)
    if target is None and plain:
        provider, _, model = held.partition(":")
        known = directory.addressable.get(provider) if model else None
        if known is not None and provider in directory.providers:
            target = Target(known, model)
        elif known is not None and known.local:
            # A server of this machine that is not running: its conversation is no other vendor's for that.
            return evolve(made, targets=(Target(known, model),), pinned=held)
    if target is None:
        return made
    others = tuple(each for each in made.targets if each != target)
    return evolve(made, targets=(target, *others), pinned=held)


def _intent(because: str, names: tuple[str, ...], default: str | None) -> str:
    text = "\n".join([because, *names, default or ""])
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]
