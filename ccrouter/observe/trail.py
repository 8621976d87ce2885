"""What happened to each of the last requests, and why: what ``ccrouter explain`` tells. In memory only.

No header, no credential and nothing of a prompt stands in a trail, unless its user asked for prompts
(``[explain] prompts = true``); of a failure its words do, which a backend may quote a prompt in.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from attrs import field, frozen

from ccrouter.observe.log import printable
from ccrouter.routing.caller import Caller
from ccrouter.routing.failure import Refusal, kind_of
from ccrouter.routing.plan import Try
from ccrouter.routing.route import Considered


@frozen(kw_only=True)
class Trail:
    """One request. ``at`` is when it was over, in seconds since 1970; ``seconds`` how long it took."""

    at: float
    request_id: str
    caller: Caller
    model: str
    profile: str | None = None
    problems: tuple[str, ...] = ()
    considered: tuple[Considered, ...] = ()
    because: str = ""
    names: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    pinned: str | None = None
    passed: tuple[tuple[str, str], ...] = ()
    tries: tuple[Try, ...] = ()
    result: str = ""
    failure: str | None = None
    changes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    usage: dict[str, int] = field(factory=dict)
    dollars: float | None = None
    seconds: float = 0.0
    prompt: str | None = field(default=None, repr=False)

    def told(self) -> dict[str, Any]:
        """For JSON."""
        who = self.caller
        return {
            "at": round(self.at, 3),
            "request_id": self.request_id,
            "class": who.kind,
            "class_because": who.sign,
            "task": who.task,
            "agent": who.agent,
            "session": who.session,
            "agent_id": who.agent_id,
            "project": who.project,
            "model": printable(self.model),
            "profile": self.profile,
            "problems": list(self.problems),
            "rules": [{"rule": each.rule, "objection": each.objection} for each in self.considered],
            "because": self.because,
            "names": [printable(each) for each in self.names],
            "candidates": list(self.targets),
            "pinned": self.pinned,
            "passed_over": [{"target": target, "why": why} for target, why in self.passed],
            "tries": [_try(each) for each in self.tries],
            "result": self.result,
            "failure": self.failure,
            "changes": list(self.changes),
            "notes": list(self.notes),
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


def _try(one: Try) -> dict[str, Any]:
    failure = one.outcome.failure
    told: dict[str, Any] = {
        "target": str(one.target),
        "began": round(one.began, 3),
        "seconds": round(one.ended - one.began, 3),
        "result": one.outcome.result,
    }
    if failure is not None:
        status = getattr(failure, "status", None)
        words = failure.original if isinstance(failure, Refusal) else str(failure)
        told |= {"kind": kind_of(failure), "status": status, "failure": printable(words) or None}
    return told
