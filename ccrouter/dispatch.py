"""From a request to its targets, and what is learned from how it went.

`Dispatcher.choose` puts together what holds for one request at one moment (the configuration, a profile, a
project's file, what the plans of providers have left) and asks `ccrouter.routing.route`. All of it is taken once:
a request is served wholly by one version of the configuration. `Dispatcher.settle` takes note of the end: who
answered whom, and what `explain` can tell of it.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from datetime import datetime
from typing import Any

import trio
from attrs import evolve, frozen

from ccrouter.attempt.admission import LONG
from ccrouter.attempt.backends import Backends
from ccrouter.attempt.inbound import Inbound
from ccrouter.observe.log import Log, silent, words
from ccrouter.observe.trail import LONGEST, MOST, Candidate, Decision, Trail, Trails, brief, tried
from ccrouter.providers.provider import Target
from ccrouter.remembered.choice import ChoiceFile
from ccrouter.remembered.notebook import Notebook
from ccrouter.remembered.project import ProjectFiles
from ccrouter.routing import budget
from ccrouter.routing.account import account_at, held_to, login_of
from ccrouter.routing.caller import Caller, caller, texts_of
from ccrouter.routing.config import Config
from ccrouter.routing.directory import Directory
from ccrouter.routing.health import Health
from ccrouter.routing.plan import Outcome, Patience, Plan, Try
from ccrouter.routing.profiles import Choice, InForce, Project, in_force
from ccrouter.routing.route import Route, route
from ccrouter.routing.rules import counts_tokens
from ccrouter.routing.traits import Moment, Traits
from ccrouter.translate import tokens

#: By so many seconds the time of day runs ahead of the clock of waits at least where the machine slept. Less than
#: that is a clock that was set right.
_SLEPT = 5.0

#: Of how many directories it is remembered what holds there.
_DIRECTORIES = 256


@frozen(kw_only=True)
class Chosen:
    """What was decided for one request."""

    caller: Caller
    in_force: InForce
    route: Route
    plan: Plan
    candidates: tuple[Candidate, ...] = ()
    problems: tuple[str, ...] = ()

    def decision(self) -> Decision:
        """What of it is told to people, cut to what a router can keep of it."""
        made = self.route
        return Decision(
            caller=_cut(self.caller),
            model=made.request.model[:LONGEST],
            profile=self.in_force.profile,
            problems=self.problems,
            considered=made.considered,
            because=made.because,
            names=brief(made.names),
            pinned=made.pinned,
        )


class Dispatcher:
    """The router's policy with its memory.

    ``build`` makes the directory of a configuration, quickly; ``now`` gives local time; ``problems`` what else the
    user is to be told of.
    """

    def __init__(
        self,
        *,
        config: Callable[[], Config],
        build: Callable[[Config], Directory],
        backends: Backends,
        notebook: Notebook,
        choice: ChoiceFile,
        projects: ProjectFiles | None,
        home: str,
        warn: Log = silent,
        now: Callable[[], datetime] = datetime.now,
        problems: Callable[[], tuple[str, ...]] = tuple,
    ) -> None:
        self._config = config
        self._build = build
        self._backends = backends
        self._choice = choice
        self._projects = projects
        self._home = home
        self._warn = warn
        self._in_force: dict[tuple[str | None, bool], tuple[tuple[object, ...], InForce]] = {}
        self._now = now
        self._problems = problems
        self.health = Health()
        self._ahead = float("inf")
        self.notebook = notebook
        self.trails = Trails()

    def in_force(self, who: Caller) -> tuple[InForce, tuple[str, ...]]:
        """The configuration for who asks, and what is wrong with parts of it.

        A project's file has no say in background requests: a repository must not choose who judges its commands.
        """
        problems = []
        project: Project | None = None
        if self._projects is not None and who.project is not None and not who.background:
            found = self._projects.of(who.project)
            if found is not None:
                project = found.project
                problems += [found.problem] if found.problem is not None else []
        holds = self._put_together(self._config(), self._choice.current(), project, who.project)
        problems += [holds.problem] if holds.problem is not None else []
        for each in problems:
            self._warn(each)
        return holds, tuple(problems)

    def _put_together(
        self, config: Config, choice: Choice, project: Project | None, directory: str | None
    ) -> InForce:
        """The same as long as nothing changes: what rules remember is part of the configuration that holds."""
        made_of = (config, choice, project)
        key = directory, project is None  # background requests know none
        known = self._in_force.get(key)
        if known is not None and all(map(operator.is_, known[0], made_of)):
            return known[1]
        holds = in_force(config, choice, project, directory)
        self._in_force[key] = made_of, holds
        if len(self._in_force) > _DIRECTORIES:
            del self._in_force[next(iter(self._in_force))]
        return holds

    async def choose(self, inbound: Inbound) -> Chosen:
        """Decide. Where the request's model leads nowhere, the plan is at its end already."""
        self._wake(trio.current_time())
        who = caller(inbound.headers, inbound.request.fields)
        holds, problems = self.in_force(who)
        config = holds.config
        directory = self._build(config)
        login = login_of(inbound.request.fields, inbound.credentials)
        traits = Traits(inbound.request, inbound.headers, who, self._moment(holds, directory, login))
        if len(inbound.request.text) > LONG and counts_tokens(config.routes, inbound.request):
            await trio.to_thread.run_sync(tokens.of, inbound.request)
        made = route(traits, config, directory, self.notebook.pins, client_login=bool(inbound.credentials))
        plan = Plan(
            tuple(held_to(each, login) for each in made.targets),
            wanted=made.wanted,
            refused=made.refused,
            health=self.health,
            patience=Patience(tries=config.server.tries, seconds=config.server.patience),
            began=trio.current_time(),
            budget=self._backends.budgets.refusal,
            informed=self._backends.facts.informed,
        )
        candidates = tuple(self.candidate(each, plan.began) for each in plan.targets[:MOST])
        return Chosen(caller=who, in_force=holds, route=made, plan=plan, candidates=candidates, problems=problems)

    def _wake(self, now: float) -> None:
        """Notice that the machine slept: the time of day went on meanwhile, and the clock of waits did not."""
        ahead = self._backends.clock() - now
        if ahead - self._ahead > _SLEPT:
            self.health.slept(ahead - self._ahead)
        self._ahead = ahead

    def candidate(self, target: Target, now: float) -> Candidate:
        """A target, as it is known at this moment."""
        return Candidate(
            target=str(target)[:LONGEST],
            down=self.health.down(target, now),
            plan_used=self._backends.quotas.fullness(target.provider, self._backends.clock(), target.account),
        )

    def settle(self, inbound: Inbound, chosen: Chosen, outcome: Outcome, by: Try | None) -> None:
        """Take note of how it went. ``by``: the try that ended so; None: nobody's did."""
        now = self._backends.clock()
        if by is not None and outcome.result in {"done", "broken", "hung_up"}:
            session = chosen.route.session
            if session is not None and (outcome.result == "done" or outcome.usage):
                self.notebook.pins.hold(session, chosen.route.intent, by.target, now)
                self.notebook.pinned()
            if chosen.route.releases is not None and outcome.result == "done":
                self.notebook.pins.release(chosen.route.releases, now)
                self.notebook.pinned()
        self._remember(inbound, chosen, outcome, by)

    def summary(self, directory: Directory) -> dict[str, Any]:
        """What ``GET /status`` tells of all this."""
        now, clock = trio.current_time(), self._backends.clock()
        self._wake(now)
        self.notebook.look(clock)
        holds, problems = self.in_force(Caller())
        choice = self._choice.current()
        plans = {
            name: [{"window": each.name, "percent": each.percent, "resets": each.resets} for each in windows]
            for name, provider in directory.providers.items()
            if (windows := self._backends.quotas.windows(provider, clock))
        }
        lines = {
            name: dict(zip(("inside", "waiting"), self._backends.limiter.waiting(provider), strict=True))
            for name, provider in directory.providers.items()
            if provider.max_concurrent is not None
        }
        config = holds.config
        return {
            "profile": holds.profile,
            "projects": dict(choice.projects),
            "subagent": list(config.subagent),
            "classifier": list(config.classifier),
            "rules": [each.name for each in config.routes],
            "problems": [*problems, *self.notebook.problems, *self._problems()],
            "resting": {
                name: {"seconds": round(down.seconds, 1), "why": down.why}
                for name, down in self.health.resting(now)
            },
            "plans": plans,
            "budgets": self._backends.budgets.summary(directory.providers.values()),
            "lines": lines,
            "sessions": len(self.notebook.pins),
            "remembered": len(self.trails),
        }

    def _moment(self, holds: InForce, directory: Directory, login: int) -> Moment:
        now = self._now()
        backends = self._backends

        def fullness(name: str) -> int | None:
            if (provider := directory.addressable.get(name)) is None:
                return None
            return backends.quotas.fullness(provider, backends.clock(), account_at(provider, login))

        return Moment(
            minute=now.hour * 60 + now.minute,
            weekday=now.weekday(),
            profile=holds.profile,
            home=self._home,
            fullness=fullness,
        )

    def _remember(self, inbound: Inbound, chosen: Chosen, outcome: Outcome, by: Try | None) -> None:
        made, plan = chosen.route, chosen.plan
        price = next((each.target.known.price for each in reversed(plan.tries)), None)
        by_last = by is not None and by is plan.tries[-1]
        trail = Trail(
            at=self._backends.clock(),
            request_id=inbound.request_id,
            decision=chosen.decision(),
            candidates=chosen.candidates,
            passed=tuple((str(each.target)[:LONGEST], each.why[:LONGEST]) for each in plan.passed),
            tries=tuple(tried(each) for each in plan.tries),
            result=outcome.result,
            failure=None if by_last or outcome.failure is None else words(outcome.failure)[:LONGEST],
            changes=brief((*made.changes, *outcome.changes)),
            notes=brief(outcome.notes),
            usage=outcome.usage,
            dollars=budget.amount(outcome.usage, price).dollars if price is not None else None,
            seconds=trio.current_time() - plan.began,
            prompt=_prompt(inbound) if chosen.in_force.config.explain.prompts else None,
        )
        self.trails.keep(trail, chosen.in_force.config.explain.keep)


def placed(inbound: Inbound, chosen: Chosen) -> Inbound:
    """The request as it is sent on: without a marker, and with whose turn it is."""
    return evolve(inbound, request=chosen.route.request, session=chosen.caller.session or inbound.request_id)


def _cut(who: Caller) -> Caller:
    """Its directory comes out of a prompt, and is as long as that says."""
    if who.project is None or len(who.project) <= LONGEST:
        return who
    return evolve(who, project=who.project[:LONGEST])


#: Characters of a prompt that are remembered where its user wants that; said in the configuration's schema.
_PROMPT = 400


def _prompt(inbound: Inbound) -> str | None:
    """The end of what the user's side said last: what is put in front of it are reminders."""
    messages = inbound.request.fields.get("messages")
    for message in reversed(messages) if isinstance(messages, list) else ():
        if isinstance(message, dict) and message.get("role") == "user":
            return " ".join(texts_of(message.get("content")))[-_PROMPT:]
    return None
