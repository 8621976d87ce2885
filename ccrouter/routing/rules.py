"""The rules of a configuration: what each asks of a request, and where it sends it. Pure.

A rule fits when all its conditions hold. Each condition is one row of `_STAGES`: the key that it is about, and who
says why it does not hold, or nothing. They are asked in this order, and the first that fails is the reason that is
told. Stages differ in how long an answer is good for: what the first looks at is the same for all requests of a
conversation, what the second looks at for most of them, and the third wants to know how long the prompt is.
`routing.rulebook` asks no more often than that.

Background requests (titles, summaries, safety checks) are special: a safety check by a model that is not up to it
lets through what it should have stopped, or stops everything. So a rule moves them only if it names them, by their
class or by the very name of the model that they ask for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property, lru_cache
from typing import NamedTuple

from attrs import field, frozen

from ccrouter.routing.patterns import covers, fits, one_fits
from ccrouter.routing.traits import Look, Traits
from ccrouter.routing.values import DAYS, EFFORTS
from ccrouter.translate import window
from ccrouter.wire.messages import MessagesRequest


@frozen(kw_only=True)
class When:
    """Conditions; what is empty or None asks nothing. Their meanings stand in `routing.tables.WhenTable`."""

    classes: tuple[str, ...] = ()
    agent: tuple[str, ...] = ()
    model: tuple[str, ...] = ()
    tokens_over: int | None = None
    tokens_under: int | None = None
    has: tuple[str, ...] = ()
    server_tool: tuple[str, ...] = ()
    effort: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    project: tuple[str, ...] = ()
    hours: tuple[int, int] | None = None
    days: tuple[str, ...] = ()
    profile: tuple[str, ...] = ()
    quota_over: tuple[tuple[str, int], ...] = ()


class Considered(NamedTuple):
    """One rule that was looked at; ``objection`` says why it did not fit, None: it did."""

    rule: str
    objection: str | None


@frozen(kw_only=True)
class Rule:
    """One rule. ``use`` are names in fallback order; ``{model}`` in one is what the client asks for."""

    name: str
    when: When = field(factory=When)
    use: tuple[str, ...]
    lent: bool = False
    """Whether it is a project's, and not its user's own."""

    @cached_property
    def _asks(self) -> tuple[tuple[_Ask, ...], ...]:
        """For each stage the conditions that this rule has."""
        stages = [tuple(each.ask for each in stage if getattr(self.when, each.key)) for stage in _STAGES]
        if not self.when.classes:
            stages[0] = (_background, *stages[0])
        return tuple(stages)

    @cached_property
    def last_stage(self) -> int:
        """The last stage at which it asks anything."""
        return max((stage for stage, asks in enumerate(self._asks) if asks), default=0)

    @cached_property
    def looks(self) -> frozenset[Look]:
        """What it looks at in a request, beside what lasts and its length."""
        return frozenset(
            look for each in _STAGES[1] if getattr(self.when, each.key) for look in each.looks(self.when)
        )

    def objection(self, traits: Traits) -> str | None:
        """Why the rule does not fit, as a clause for people; None: it fits."""
        stages = range(len(_STAGES))
        return next((why for stage in stages if (why := self.objection_at(stage, traits)) is not None), None)

    def objection_at(self, stage: int, traits: Traits) -> str | None:
        """The same by the conditions of one stage."""
        when = self.when
        for ask in self._asks[stage]:
            if (why := ask(when, traits)) is not None:
                return why
        return None

    def names(self, model: str) -> tuple[str, ...]:
        """The names that it sends a request for ``model`` to."""
        return tuple(each.replace("{model}", model) for each in self.use)


_Ask = Callable[[When, Traits], str | None]


def _background(when: When, traits: Traits) -> str | None:
    if not traits.caller.background:
        return None
    if any(pattern.lower() == traits.request.model.lower() for pattern in when.model):
        return None
    return "background requests are moved only by a rule that names their class"


def _class(when: When, traits: Traits) -> str | None:
    if not when.classes or not traits.classes.isdisjoint(when.classes):
        return None
    return f"the class is {traits.caller.kind}, not {_or(when.classes)}"


def _agent(when: When, traits: Traits) -> str | None:
    agent = traits.caller.agent
    if not when.agent or (agent is not None and one_fits(when.agent, agent)):
        return None
    return f"the agent is {agent or 'not known'}, not {_or(when.agent)}"


def _profile(when: When, traits: Traits) -> str | None:
    profile = traits.moment.profile
    if not when.profile or (profile is not None and one_fits(when.profile, profile)):
        return None
    return f"the profile is {profile or 'none'}, not {_or(when.profile)}"


def _model(when: When, traits: Traits) -> str | None:
    model = traits.request.model
    if not when.model or one_fits(when.model, model):
        return None
    return f"the model is {model}, not {_or(when.model)}"


def _project(when: When, traits: Traits) -> str | None:
    project, home = traits.caller.project, traits.moment.home
    if not when.project or (project is not None and any(covers(each, project, home) for each in when.project)):
        return None
    return f"the project is {project or 'not known'}, not {_or(when.project)}"


def _headers(when: When, traits: Traits) -> str | None:
    for name, pattern in when.headers:
        value = traits.header(name)
        if value is None or not fits(pattern, value):
            return f"the header {name} is {'not there' if value is None else 'another'}"
    return None


def _hours(when: When, traits: Traits) -> str | None:
    if when.hours is None:
        return None
    begin, end = when.hours
    now = traits.moment.minute
    if (begin <= now < end) if begin < end else (now >= begin or now < end):
        return None
    return f"it is {_clock(now)}, not between {_clock(begin)} and {_clock(end)}"


def _days(when: When, traits: Traits) -> str | None:
    today = DAYS[traits.moment.weekday]
    if not when.days or today in when.days:
        return None
    return f"it is {today}, not {_or(when.days)}"


def _quota(when: When, traits: Traits) -> str | None:
    for provider, percent in when.quota_over:
        used = traits.moment.fullness(provider)
        if used is None:
            return f"how much of {provider}'s plan is used up is not known"
        if used <= percent:
            return f"{used} % of {provider}'s plan are used up, not over {percent} %"
    return None


def _effort(when: When, traits: Traits) -> str | None:
    if when.effort is None:
        return None
    said = traits.effort
    if said is not None and EFFORTS.index(said) >= EFFORTS.index(when.effort):
        return None
    return f"the effort is {said or 'not said'}, not {when.effort} or more"


def _server_tool(when: When, traits: Traits) -> str | None:
    if not when.server_tool or any(fits(each, tool) for each in when.server_tool for tool in traits.server_tools):
        return None
    return f"it has no server tool {_or(when.server_tool)}"


def _has(when: When, traits: Traits) -> str | None:
    for part in when.has:
        if not traits.has(part):
            return f"it has no {part}"
    return None


def _tokens_over(when: When, traits: Traits) -> str | None:
    if when.tokens_over is None or traits.tokens_exceed(when.tokens_over):
        return None
    return f"it has no more than {when.tokens_over} tokens"


def _tokens_under(when: When, traits: Traits) -> str | None:
    if when.tokens_under is None or not traits.tokens_exceed(when.tokens_under - 1):
        return None
    return f"it has {when.tokens_under} tokens or more"


class _Condition(NamedTuple):
    """A key of `When`, who asks for it, and what it looks at in a request."""

    key: str
    ask: _Ask
    looks: Callable[[When], Iterable[Look]] = lambda _: ()


#: In this order they are asked. The first look at `Traits.lasting` alone, the second at what `Rule.looks` says.
_STAGES: tuple[tuple[_Condition, ...], ...] = (
    (
        _Condition("classes", _class),
        _Condition("agent", _agent),
        _Condition("profile", _profile),
        _Condition("model", _model),
        _Condition("project", _project),
    ),
    (
        _Condition("headers", _headers, lambda when: [Look("header", name) for name, _ in when.headers]),
        _Condition("hours", _hours, lambda _: [Look("minute")]),
        _Condition("days", _days, lambda _: [Look("weekday")]),
        _Condition("quota_over", _quota, lambda when: [Look("plan", name) for name, _ in when.quota_over]),
        _Condition("server_tool", _server_tool, lambda _: [Look("server_tools")]),
        _Condition("effort", _effort, lambda _: [Look("effort")]),
        _Condition("has", _has, lambda when: [Look("part", each) for each in when.has]),
    ),
    (
        _Condition("tokens_over", _tokens_over),
        _Condition("tokens_under", _tokens_under),
    ),
)


def counts_tokens(rules: tuple[Rule, ...], request: MessagesRequest | None = None) -> bool:
    """Whether any of them may want a count; for this request, where its length in bytes leaves that open."""
    limits = (limit for each in rules for limit in (each.when.tokens_over, each.when.tokens_under))
    return any(
        limit is not None and (request is None or not window.surely_fits(request, limit - 1)) for limit in limits
    )


@lru_cache(maxsize=1024)
def _or(words: tuple[str, ...]) -> str:
    return " or ".join(words)


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"
