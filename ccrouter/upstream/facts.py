"""What the models can do, as their backends say it: asked, kept, asked again before it is old.

A request waits for an answer only where there is none yet or a very old one, and for `WITHIN` seconds at most. In
all other cases it goes by the last answer, and where that isn't fresh the question is asked again behind its back
(`Facts.keep_fresh`). A backend that doesn't answer leaves what was known standing, and no request fails for it.

With which window a model is loaded says little where each request may name its own, and one that names none has it
loaded anew with the server's: another program's wish is not what the next request gets. There it is loaded as for
a request first (`Facts.load`), and what it has then counts for as long as that isn't old.

What the answers and all other sources come to is `ccrouter.providers.known`'s to say.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NoReturn

import trio
from attrs import evolve, field, frozen

from ccrouter.errors import CcrouterError
from ccrouter.providers.known import known
from ccrouter.providers.listings import decoded
from ccrouter.providers.provider import Model, Provider, Target
from ccrouter.providers.questions import Question, loading, questions
from ccrouter.routing.credentials import ClientCredentials
from ccrouter.upstream.models import ModelLists
from ccrouter.upstream.single_flight import SingleFlight

#: A request waits no longer than this, in seconds.
WITHIN = 3.0

#: An answer is asked for again when it is older than this, in seconds: people load models with other windows.
FRESH = 30.0

#: An answer that is older than this is as good as none, in seconds.
OLD = 600.0

#: How many answers are kept. Clients choose the models' names, and so how many there are.
MOST = 1_000

_Key = tuple[str, str, Question]


@frozen
class _Answer:
    """What was told last. ``asked`` without an answer too, or a dead backend would cost each request its time."""

    asked: float
    models: tuple[Model, ...] = field(default=(), repr=False)


class Facts:
    """What is known of the models of all providers. ``lists`` are those of the same backends."""

    def __init__(self, lists: ModelLists) -> None:
        self._lists = lists
        self._answers: dict[_Key, _Answer] = {}
        self._asking: SingleFlight[_Key, None] = SingleFlight()
        self._stale: dict[_Key, Provider] = {}
        self._stale_lists: dict[str, Provider] = {}
        self._wake = trio.Event()

    def known(self, provider: Provider, model: str) -> Model:
        """All that is known of a model now; asks nobody."""
        answers = self._own(Target(provider, model))
        answers += [self._answer(provider, question) for question in questions(provider.preset.facts_from, model)]
        told = [each for answer in answers for each in answer.models if each.id == model]
        told += [each for each in self._lists.told(provider).models if each.id == model]
        return known(provider, model, told)

    async def inform(self, targets: Sequence[Target], credentials: ClientCredentials) -> tuple[Target, ...]:
        """The targets with what is known of their models, after at most `WITHIN` seconds. Never fails."""
        now = trio.current_time()
        async with trio.open_nursery() as nursery:
            for target in targets:
                provider = target.provider
                for question in questions(provider.preset.facts_from, target.model):
                    age = now - self._answer(provider, question).asked
                    if age > OLD:
                        nursery.start_soon(self._ask, provider, question, credentials, now - OLD)
                    elif age > FRESH:
                        self._stale[_key(provider, question)] = provider
                        self._wake.set()
                if provider.preset.facts_from == "list":
                    age = now - self._lists.told(provider).tried
                    if age > OLD:
                        nursery.start_soon(self._lists.refresh, [provider], credentials, WITHIN)
                    elif age > OLD / 2:
                        self._stale_lists[provider.name] = provider
                        self._wake.set()
        return tuple(self.informed(target) for target in targets)

    async def renew(self, target: Target, credentials: ClientCredentials, until: float = math.inf) -> Target:
        """The target with what its backend says of it at this moment, or said last if that takes too long.

        ``until``: the time at which a request that has waited for `inform` before has waited long enough.
        """
        now = trio.current_time()
        seconds = min(WITHIN, until - now)
        if seconds > 0:
            async with trio.open_nursery() as nursery:
                for question in questions(target.provider.preset.facts_from, target.model):
                    nursery.start_soon(self._ask, target.provider, question, credentials, now, seconds)
        return self.informed(target)

    async def load(
        self, target: Target, credentials: ClientCredentials, until: float = math.inf, *, anew: bool = False
    ) -> Target:
        """The target once its backend has loaded the model as for a request, which takes as long as it takes.

        Asked for again where that isn't `FRESH`, or ``anew``. Where a backend can't be asked to, or won't, it is
        as with `renew`, if it is wanted ``anew`` or no window is known.
        """
        provider, now = target.provider, trio.current_time()
        asked = loading(provider.preset.facts_from, target.model)
        if not asked:
            return await self.renew(target, credentials, until) if anew else target
        plain, staying = asked
        patience = provider.timeouts.first_byte
        since = now - (FRESH if anew else OLD)
        kept = self._answer(provider, staying)
        # A model that is unloaded at once is not loaded for each request only to be looked at.
        if kept.asked < since or not _windows([kept]):
            await self._ask(provider, plain, credentials, now - (0 if anew else FRESH), patience)
            if any(each.loaded is None for each in self._answer(provider, plain).models):
                await self._ask(provider, staying, credentials, since, patience)
        found = self.informed(target)
        if not _windows(self._own(target)) and (anew or found.known.loaded is None):
            return await self.renew(target, credentials, until)
        return found

    async def refresh(self, providers: Iterable[Provider], credentials: ClientCredentials, seconds: float) -> None:
        """Ask for what can be asked of all of a provider's models at once, where it isn't fresh."""
        since = trio.current_time() - FRESH
        async with trio.open_nursery() as nursery:
            for provider in providers:
                for question in questions(provider.preset.facts_from, None):
                    nursery.start_soon(self._ask, provider, question, credentials, since, seconds)

    async def keep_fresh(self) -> NoReturn:
        """Ask again for what requests found to be no longer fresh."""
        nobody = ClientCredentials()  # none of these backends takes a login of the client's
        while True:
            await self._wake.wait()
            self._wake = trio.Event()
            stale, self._stale = self._stale, {}
            lists, self._stale_lists = self._stale_lists, {}
            since = trio.current_time() - FRESH
            async with trio.open_nursery() as nursery:
                for (*_, question), provider in stale.items():
                    nursery.start_soon(self._ask, provider, question, nobody, since)
                nursery.start_soon(self._lists.refresh, lists.values(), nobody, WITHIN)

    def informed(self, target: Target) -> Target:
        """The target with what is known of its model now; asks nobody."""
        if (
            target.provider.preset.first_party
        ):  # its requests pass as they are, and it says itself what it can't do
            return target
        return Target(target.provider, target.model, self.known(target.provider, target.model))

    def _own(self, target: Target) -> list[_Answer]:
        """What the model was loaded with as for our requests, whatever others have it loaded with since."""
        oldest = trio.current_time() - OLD
        asked = loading(target.provider.preset.facts_from, target.model)
        answers = [self._answer(target.provider, question) for question in asked]
        return [each for each in answers if each.asked >= oldest]

    def _answer(self, provider: Provider, question: Question) -> _Answer:
        return self._answers.get(_key(provider, question), _Answer(asked=float("-inf")))

    async def _ask(
        self,
        provider: Provider,
        question: Question,
        credentials: ClientCredentials,
        since: float,
        seconds: float = WITHIN,
    ) -> None:
        """Ask, unless it was asked after ``since``. Whoever comes meanwhile waits for the same answer."""
        deadline = trio.current_time() + seconds

        async def run() -> None:
            answer = self._answer(provider, question)
            if answer.asked >= since:
                return
            answer = evolve(answer, asked=trio.current_time())
            with trio.move_on_at(deadline):
                try:
                    body = await self._lists.inquiry.ask(
                        provider, credentials, question.path, question.body, root=True, patience=seconds
                    )
                    if question.then:
                        body = await self._lists.inquiry.ask(provider, credentials, question.then, root=True)
                    answer = evolve(answer, models=question.read(decoded(body)))
                except CcrouterError:
                    pass
            self._keep(_key(provider, question), answer)

        await self._asking.join(_key(provider, question), run, deadline=deadline)

    def _keep(self, key: _Key, answer: _Answer) -> None:
        """The one that was not renewed for the longest time makes place."""
        self._answers.pop(key, None)
        self._answers[key] = answer
        if len(self._answers) > MOST:
            del self._answers[next(iter(self._answers))]


def _windows(answers: Iterable[_Answer]) -> list[int]:
    return [each.loaded for answer in answers for each in answer.models if each.loaded is not None]


def _key(provider: Provider, question: Question) -> _Key:
    return *provider.key, question
