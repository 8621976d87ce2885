"""The plan of one request: who is tried next, and what the client hears when nobody is left. Pure.

Theory of operation
-------------------
A plan has its targets in the order in which they are wanted, and is asked for the `next_target` again and again:
one to try now, a `Wait` to sit out first, or None when it is at its end. After each try it is told how that went.

* A target is given up for the next one only as long as the client has seen nothing of a reply (before the commit
  point), and only for a failure that may be another's luck (`failure.TREATMENTS`).
* Passed over, at no cost, is who rests after failures (`health`), who has used up its budget, and who is known not
  to have what just failed: after an overflow only a larger window helps.
* A budget is asked for once more when a try has its place: who has used it up while that stood in the line is
  passed over too, and it is no word on the backend.
* The first target is the one that was wanted, the others stand in for it. What is final to a stand-in (it has no
  key, no such model, nothing left of its plan, a limit for hours, or refuses the request) is no word on the wanted
  one: the next is tried, and it is what the client hears only where nobody said anything else. A moment's overload
  that the client would sit out must not end its turn because there is no key for the second of the list.
* Nor is a stand-in's window, while the wanted one is back in a moment: the client would compact its conversation,
  which can't be undone.
* Nobody is refused for the sake of health: when all rest, or all who do not were stand-ins to whom it was final,
  the first of those that rest is tried all the same.
* Where no other target is left, the last one is tried once more if that may help; and before any other, if it
  says itself that it wants but a moment.
* All that is bounded by a number of tries and by time, well inside the client's own patience.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from attrs import define, field, frozen

from ccrouter.errors import ApiError, BudgetSpent, UpstreamError, UpstreamTimeout
from ccrouter.providers.provider import Target
from ccrouter.routing.failure import TREATMENTS, Failure, Kind, Refusal, kind_of, may_ask_again, rest_of
from ccrouter.routing.health import Down, Health
from ccrouter.translate import overflow
from ccrouter.wire import envelope

#: A backend that wants to be left alone for longer is not waited for, in seconds: the client waits, and shows it.
SHORT = 2.0

#: A client that is told to wait for longer shows the failure and stops, in seconds (Claude Code 2.1.329, 2026-11).
LONGEST_WAIT = 60.0


@frozen(kw_only=True)
class Outcome:
    """How an attempt went.

    ``done``: the reply is whole. ``failed``: nothing of it reached the client; ``failure`` says why.
    ``broken``: it failed after the commit point; the client was told in the stream. ``hung_up``: the client
    went away. ``ended``: the router was stopped. ``notes`` are for the log: what the client can't be told;
    ``changes`` were made to the request. ``usage`` is what the reply says of its tokens.
    """

    result: Literal["done", "failed", "broken", "hung_up", "ended"]
    failure: Failure | None = None
    notes: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    usage: dict[str, int] = field(factory=dict)


@frozen
class Wait:
    """Nobody is to be tried for so many seconds."""

    seconds: float


@frozen(kw_only=True)
class Try:
    """One try, for who wants to know. Times are in seconds since the plan began."""

    target: Target
    began: float
    ended: float
    outcome: Outcome


@frozen(kw_only=True)
class Verdict:
    """What the client is told where nobody answered, and of which try; None: it is no try's."""

    reply: Refusal | ApiError
    of: Try | None = None


@frozen(kw_only=True)
class Passed:
    """A target that was passed over, and why, as a clause."""

    target: Target
    why: str


@frozen(kw_only=True)
class Patience:
    """How much one request may cost before anything of a reply came. ``seconds``: no try begins later."""

    tries: int = 5
    seconds: float = 120.0


def _no_objection(_: Target) -> ApiError | None:
    return None


def _as_it_is(target: Target) -> Target:
    return target


@define(eq=False)
class Plan:
    """See above. ``began`` and every ``now`` are seconds of one clock.

    ``wanted`` where that is not the first of ``targets``: a session may stay with a stand-in. ``refused``: what
    the client is told where there are no targets at all.

    ``budget`` says for a target whether its provider's budget is used up, as the refusal that the client would
    get; ``informed`` gives it with what is known of its model, which few requests need.
    """

    targets: tuple[Target, ...]
    wanted: Target | None = None
    refused: ApiError | None = None
    health: Health = field(factory=Health)
    patience: Patience = field(factory=Patience)
    began: float = 0.0
    budget: Callable[[Target], ApiError | None] = _no_objection
    informed: Callable[[Target], Target] = _as_it_is
    tries: list[Try] = field(factory=list, init=False)
    _passed: list[Passed] = field(factory=list, init=False)
    _left: list[Target] = field(init=False)
    _resting: list[tuple[Target, Down]] = field(factory=list, init=False)
    _trying: tuple[Target, float] | None = field(default=None, init=False)
    _waited: bool = field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        self._left = list(self.targets)

    def next_target(self, now: float) -> Target | Wait | None:
        """What to do now."""
        if self.tries and (self.tries[-1].outcome.result != "failed" or not self._may_go_on(now)):
            return None
        again = self._again(now) if self.tries and _kind(self.tries[-1]) == "rate_limit" else None
        target = again or self._next(now) or self._again(now)
        if target is None or isinstance(target, Wait):
            return target
        self._trying = (target, now)
        self._waited = False
        self.health.begin(target, now)
        return target

    @property
    def more(self) -> bool:
        """Whether another target may follow the present one."""
        stands_in = self._trying is not None and self._stands_in(self._trying[0])
        others = self._left or (stands_in and self._resting)
        return len(self.tries) + 1 < self.patience.tries and bool(others)

    @property
    def passed(self) -> list[Passed]:
        """Who was passed over so far."""
        resting = [
            Passed(target=target, why=f"left alone for {down.seconds:.3g} s more after failures ({down.why})")
            for target, down in self._resting
        ]
        return [*self._passed, *resting]

    def begun(self, now: float) -> None:
        """The present try has begun to be answered."""
        if self._trying is not None:
            self.health.answers(self._trying[0], now)

    def record(self, outcome: Outcome, now: float) -> None:
        """Take note of how the present try went."""
        if self._trying is None:
            raise ValueError("nothing is being tried")
        target, began = self._trying
        self._trying = None
        if outcome.result == "failed" and isinstance(outcome.failure, BudgetSpent):
            self.health.gave_up(target)
            self._over_budget(target, outcome.failure)
            return
        self.tries.append(Try(target=target, began=began - self.began, ended=now - self.began, outcome=outcome))
        match outcome:
            case Outcome(result="done"):
                self.health.well(target, began, now)
            case Outcome(failure=BudgetSpent()):  # behind the commit point: no word on the backend
                self.health.gave_up(target)
            # Past the commit point too: who is silent for so long that the stream was begun without it, or breaks
            # off again and again, keeps failing.
            case Outcome(result="failed" | "broken", failure=failure) if failure is not None:
                self.health.failed(target, failure, now)
            case _:  # how it is was not found out, or not to its end
                self.health.gave_up(target)

    def verdict(self) -> Verdict:
        """What the client is told when the plan is at its end without a reply: the most useful of all failures."""
        failures = [each for each in self.tries if each.outcome.failure is not None]
        if self.refused is not None and all(map(self._is_no_word, failures)):
            return Verdict(reply=self.refused)
        if not failures:
            raise ValueError("nothing was tried")
        best = max(failures, key=self._usefulness)
        failure = best.outcome.failure
        told = failure if isinstance(failure, Refusal | ApiError) else api_error(failure, best.target)
        return Verdict(reply=told, of=best)

    def _may_go_on(self, now: float) -> bool:
        if len(self.tries) >= self.patience.tries or now - self.began >= self.patience.seconds:
            return False
        return TREATMENTS[_kind(self.tries[-1])].elsewhere or self._is_no_word(self.tries[-1])

    def _stands_in(self, target: Target) -> bool:
        return target != (self.wanted or self.targets[0])

    def _usefulness(self, one: Try) -> tuple[bool, int, bool]:
        """The greater, the rather the client is told; of equals the first, before all the one that was wanted."""
        return not self._is_no_word(one), TREATMENTS[_kind(one)].rank, not self._stands_in(one.target)

    def _is_no_word(self, one: Try) -> bool:
        """Whether a failure is a stand-in's own trouble, and says nothing of the target that was wanted."""
        if not self._stands_in(one.target):
            return False
        return _is_final(one) or (_kind(one) == "overflow" and self._is_back_soon())

    def _is_back_soon(self) -> bool:
        """Whether the wanted target failed, or rests, for what is over in a moment."""
        failed = [each for each in self.tries if not self._stands_in(each.target)]
        rests = [down for target, down in self._resting if not self._stands_in(target)]
        return any(TREATMENTS[_kind(each)].passing and not _is_final(each) for each in failed) or any(
            TREATMENTS[down.why].passing and down.seconds <= LONGEST_WAIT for down in rests
        )

    def _next(self, now: float) -> Target | None:
        """The first of those left that has a chance, who rests only where nobody else has one."""
        while self._left:
            target = self._left.pop(0)
            if self._is_out(target):
                continue
            if (down := self.health.down(target, now)) is None:
                return target
            self._resting.append((target, down))
        while self._resting and all(map(self._is_no_word, self.tries)):
            target, _ = self._resting.pop(0)
            if self._is_out(target):
                continue
            self._left = [each for each, _ in self._resting]
            self._resting.clear()
            return target
        return None

    def _is_out(self, target: Target) -> bool:
        """Whether a target can't be tried, or in vain; that is noted."""
        if (refusal := self.budget(target)) is not None:
            self._over_budget(target, refusal)
        elif (why := self._hopeless(target)) is not None:
            self._passed.append(Passed(target=target, why=why))
        else:
            return False
        return True

    def _over_budget(self, target: Target, refusal: ApiError) -> None:
        self.refused = self.refused or refusal
        self._passed.append(Passed(target=target, why=refusal.message))

    def _hopeless(self, target: Target) -> str | None:
        """Why a target can't do better than those that were tried, as far as that is known."""
        for each in self.tries:
            match _kind(each):
                case "overflow":
                    room, needed = self.informed(target).known.room, self._needed(each)
                    if room is None and target.provider.preset.overflow != "tells":
                        return "its window is not known, and it would cut the prompt in silence"
                    if room is not None and needed is not None and room < needed:
                        return f"its window of {room} tokens is too small"
                case "capability" if self.informed(target).known.tools is False:
                    return "it can't call tools either"
                case _:
                    pass
        return None

    def _needed(self, one: Try) -> int | None:
        """How large a window must be after an overflow: as the prompt, else larger than the one that failed."""
        failure = one.outcome.failure
        words = ""
        if isinstance(failure, ApiError):
            words = failure.message
        elif isinstance(failure, Refusal):
            words = envelope.message_in(failure.body)
        if (told := overflow.tokens_told(words)) is not None:
            return told
        room = self.informed(one.target).known.room
        return None if room is None else room + 1

    def _again(self, now: float) -> Target | Wait | None:
        """The last target once more, where that may help; after a pause."""
        if not self.tries or self.tries[-1].outcome.result != "failed":
            return None
        last = self.tries[-1]
        treatment = TREATMENTS[_kind(last)]
        failure = last.outcome.failure
        if failure is None or treatment.again < sum(each.target == last.target for each in self.tries):
            return None
        if _is_final(last):
            return None
        if self.budget(last.target) is not None:
            return None
        told = rest_of(failure)
        pause = treatment.pause if told is None else told
        if self._waited:
            pause = 0.0
        if pause > SHORT or now + pause - self.began >= self.patience.seconds:
            return None
        if pause > 0:
            self._waited = True
            return Wait(pause)
        return last.target


def _kind(one: Try) -> Kind:
    failure = one.outcome.failure
    return "broken" if failure is None else kind_of(failure)


def _is_final(one: Try) -> bool:
    """Whether it is not over while a client waits: who is told of it asks no more, and its turn ends."""
    failure = one.outcome.failure
    if failure is None:
        return False
    return TREATMENTS[_kind(one)].final or not may_ask_again(failure) or (rest_of(failure) or 0.0) > LONGEST_WAIT


def api_error(failure: UpstreamError | None, target: Target) -> ApiError:
    """A backend's failure in the words of the envelope, naming the provider."""
    words = f"{target.provider.name}: {failure}"
    if isinstance(failure, UpstreamTimeout):
        return ApiError(504, "timeout_error", words)
    return ApiError(502, "api_error", words)
