"""Who is to be left alone for a while, since it keeps failing. Pure; time is an argument, in seconds of any clock.

Theory of operation
-------------------
Each provider and each target has a *state*: failures in a row, and until when it rests. After as many failures in
a row as `failure.TREATMENTS` allows it rests, each time twice as long, `LONGEST` at most; a backend that says
itself for how long is taken at its word. When the rest is over, one request is let through: a *probe*. Until the
backend says a word, everybody else goes on leaving it alone; then it is there for all, be that word a refusal of
the request's own. If it went well to its end, all is forgotten, but for a rest that began after it did.

What the machine sleeps counts as rested: a plan that was used up in the evening is there in the morning.

Nobody is refused for what stands here: who has no other target tries the one it has.
"""

from __future__ import annotations

from collections.abc import Iterator

from attrs import define, frozen

from ccrouter.providers.provider import ProviderKey, Target
from ccrouter.routing.failure import TREATMENTS, Failure, Kind, Refusal, kind_of, rest_of

#: The longest rest that isn't the backend's own word, in seconds.
LONGEST = 60.0

#: The longest that is, in seconds: a weekly plan.
LONGEST_TOLD = 7 * 24 * 3600.0

#: How long a probe may be under way before another one is let through, in seconds.
PROBE = 30.0

#: How many states are kept. Clients choose the models' names, and so how many there are.
MOST = 1_000

#: A provider, an account there, and a model or "".
_Key = tuple[ProviderKey, int, str]


@frozen
class Down:
    """Somebody rests. ``seconds`` from now; ``why`` is the kind of its last failure."""

    seconds: float
    why: Kind


@define
class _State:
    failures: int = 0
    until: float = float("-inf")
    since: float = float("-inf")
    """When the rest began."""
    why: Kind = "broken"
    probing: float = float("-inf")
    """Until when a probe counts as under way."""


class Health:
    """What is known of all providers and targets."""

    def __init__(self) -> None:
        self._states: dict[_Key, _State] = {}

    def down(self, target: Target, now: float) -> Down | None:
        """Whether a target rests at this moment, or is being probed by somebody else."""
        if not self._states:  # nearly always
            return None
        for key in _keys(target):
            state = self._states.get(key)
            if state is None:
                continue
            seconds = max(state.until, state.probing) - now
            if seconds > 0:
                return Down(seconds, state.why)
        return None

    def begin(self, target: Target, now: float) -> None:
        """An attempt begins; where the target rested, it is the probe."""
        for key in _keys(target):
            state = self._states.get(key)
            if state is not None and state.until > float("-inf"):
                state.probing = now + PROBE

    def answers(self, target: Target, now: float) -> None:
        """The target has begun to answer: where its rest is over, it is over for all.

        How often it failed in a row is remembered. A rest that lasts began after what is being answered.
        """
        for key in _keys(target):
            if (state := self._states.get(key)) is not None and state.until <= now:
                state.until = state.probing = float("-inf")

    def well(self, target: Target, began: float, now: float) -> None:
        """The target answered to its end what it was asked at ``began``.

        That is no word on a rest which began after it and lasts: of a plan that is used up, what is being answered
        already comes to its end.
        """
        for key in _keys(target):
            state = self._states.get(key)
            if state is not None and (began >= state.since or state.until <= now):
                del self._states[key]

    def failed(self, target: Target, failure: Failure, now: float) -> None:
        """An attempt failed, before anything of a reply came or after."""
        kind = kind_of(failure)
        treatment = TREATMENTS[kind]
        provider, own = _keys(target)
        for key in (provider, own):
            if (state := self._states.get(key)) is not None:
                state.probing = float("-inf")
        if treatment.scope == "nobody":
            if isinstance(failure, Refusal):  # the backend's own word, on this request alone
                self.answers(target, now)
            return
        key = provider if treatment.scope == "provider" else own
        state = self._states.setdefault(key, _State())
        told = rest_of(failure)
        if told is None and state.until > now:
            return  # it began before the rest, or in spite of it: twenty that fail at once are one reason to rest
        state.failures = state.failures + 1 if state.why == kind else 1
        state.why = kind
        beyond = state.failures - treatment.patience
        if told is not None:
            state.since, state.until = now, now + min(told, LONGEST_TOLD)
        elif beyond >= 0:
            state.since, state.until = now, now + min(treatment.rest * 2 ** min(beyond, 10), LONGEST)
        if len(self._states) > MOST:
            del self._states[next(iter(self._states))]

    def gave_up(self, target: Target) -> None:
        """An attempt ended without a word on how the target is: its client went away, or the router stops."""
        for key in _keys(target):
            if (state := self._states.get(key)) is not None:
                state.probing = float("-inf")

    def slept(self, seconds: float) -> None:
        """The machine was asleep, and its clock with it: for everybody else so much time has passed."""
        for state in self._states.values():
            state.until -= seconds
            state.probing -= seconds

    def resting(self, now: float) -> Iterator[tuple[str, Down]]:
        """Everybody who rests: the provider's name, with the model's where only that does."""
        for ((name, _), _, model), state in self._states.items():
            if state.until > now:
                yield f"{name}:{model}" if model else name, Down(state.until - now, state.why)


def _keys(target: Target) -> tuple[_Key, _Key]:
    """Those of the provider and of the target itself."""
    key, account = target.provider.key, target.account
    return (key, account, ""), (key, account, target.model)
