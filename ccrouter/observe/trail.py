"""What happened to each of the last requests, and why: what ``ccrouter explain`` tells. In memory only.

No header, no credential and nothing of a prompt stands in a trail, unless its user asked for prompts
(``[explain] prompts = true``); of a failure its words do, which a backend may quote a prompt in.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

from attrs import evolve, field, frozen

from ccrouter.observe.log import printable, words
from ccrouter.routing.caller import Caller
from ccrouter.routing.failure import Kind, kind_of
from ccrouter.routing.health import Down
from ccrouter.routing.plan import Try
from ccrouter.routing.rules import Considered

#: How much of a text is kept, in characters.
LONGEST = 200

#: How many changes and notes of one request are kept; a request may have a thousand images.
MOST = 50


@frozen(kw_only=True)
class Tried:
    """One try, without what a backend sent: that may be long. ``began`` is in seconds since the request began."""

    target: str
    began: float
    seconds: float
    result: str
    kind: Kind | None = None
    status: int | None = None
    failure: str | None = None


def tried(one: Try) -> Tried:
    """What is kept of a try."""
    failure = one.outcome.failure
    made = Tried(
        target=str(one.target)[:LONGEST],
        began=one.began,
        seconds=one.ended - one.began,
        result=one.outcome.result,
    )
    if failure is None:
        return made
    status = getattr(failure, "status", None)
    return evolve(made, kind=kind_of(failure), status=status, failure=words(failure)[:LONGEST] or None)


@frozen(kw_only=True)
class Candidate:
    """A target that a request could go to, as it was known when that was decided.

    ``down`` where it was to be left alone; ``plan_used``: how many per cent of its provider's plan were used up.
    """

    target: str
    down: Down | None = None
    plan_used: int | None = None

    def to_json(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "target": printable(self.target),
            "rests": None if self.down is None else {"seconds": round(self.down.seconds, 1), "why": self.down.why},
            "plan_used": self.plan_used,
        }


def brief(texts: Sequence[str]) -> tuple[str, ...]:
    """Some of many, each cut: names and words come from outside, and may be long."""
    return tuple([each[:LONGEST] for each in texts[:MOST]])


@frozen(kw_only=True)
class Decision:
    """Where a request goes, and why.

    Whoever makes one keeps its texts short (`brief`): it stays in memory.
    """

    caller: Caller
    model: str
    profile: str | None = None
    problems: tuple[str, ...] = ()
    considered: tuple[Considered, ...] = ()
    because: str = ""
    names: tuple[str, ...] = ()
    pinned: str | None = None

    def to_json(self) -> dict[str, Any]:
        """For JSON."""
        who = self.caller
        return {
            "class": who.kind,
            "class_because": who.sign,
            "task": who.task,
            "agent": who.agent,
            "session": who.session,
            "agent_id": who.agent_id,
            "project": None if who.project is None else printable(who.project),
            "model": printable(self.model),
            "profile": self.profile,
            "problems": list(self.problems),
            "rules": [
                {"rule": each.rule, "objection": each.objection and printable(each.objection)}
                for each in self.considered
            ],
            "because": self.because,
            "names": _printable(self.names),
            "pinned": self.pinned,
        }


@frozen(kw_only=True)
class Trail:
    """One request. ``at`` is when it was over, in seconds since 1970; ``seconds`` how long it took.

    ``failure`` is what the client was told, where that is not how the last of ``tries`` ended.

    Its texts are short as those of a `Decision`.
    """

    at: float
    request_id: str
    decision: Decision
    candidates: tuple[Candidate, ...] = ()
    passed: tuple[tuple[str, str], ...] = ()
    tries: tuple[Tried, ...] = ()
    result: str = ""
    failure: str | None = None
    changes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    usage: dict[str, int] = field(factory=dict)
    dollars: float | None = None
    seconds: float = 0.0
    prompt: str | None = field(default=None, repr=False)

    def to_json(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "at": round(self.at, 3),
            "request_id": self.request_id,
            **self.decision.to_json(),
            "candidates": [each.to_json() for each in self.candidates],
            "passed_over": [{"target": printable(target), "why": printable(why)} for target, why in self.passed],
            "tries": [_try(each) for each in self.tries],
            "result": self.result,
            "failure": None if self.failure is None else printable(self.failure),
            "changes": _printable(self.changes),
            "notes": _printable(self.notes),
            "usage": self.usage,
            "dollars": self.dollars,
            "seconds": round(self.seconds, 3),
            **({} if self.prompt is None else {"prompt": self.prompt}),
        }


class Trails:
    """The trails of the last requests, the newest last."""

    def __init__(self) -> None:
        self._kept: deque[Trail] = deque()

    def keep(self, trail: Trail, most: int) -> None:
        """Keep one more, of ``most`` in all."""
        self._kept.append(trail)
        while len(self._kept) > most:
            self._kept.popleft()

    def last(self, number: int) -> list[Trail]:
        """The newest ``number``, the newest first."""
        return list(self._kept)[: -number - 1 : -1]

    def __len__(self) -> int:
        return len(self._kept)


def _printable(texts: Iterable[str]) -> list[str]:
    return [printable(each) for each in texts]


def _try(one: Tried) -> dict[str, Any]:
    told: dict[str, Any] = {
        "target": printable(one.target),
        "began": round(one.began, 3),
        "seconds": round(one.seconds, 3),
        "result": one.result,
    }
    if one.kind is not None:
        told |= {"kind": one.kind, "status": one.status, "failure": one.failure and printable(one.failure)}
    return told
