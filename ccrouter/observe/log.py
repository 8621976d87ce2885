"""One line for each request, for a person reading along.

No header and no credential is ever in it, and nothing of a prompt but what a backend quotes in an error.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from ccrouter.providers.provider import Target
from ccrouter.routing.failure import Failure, Refusal
from ccrouter.routing.plan import Outcome
from ccrouter.translate.refusal import scrub
from ccrouter.wire import envelope

#: Takes one line without its end.
Log = Callable[[str], None]


def silent(line: str) -> None:
    """A Log that nobody reads."""
    del line


@frozen(kw_only=True)
class Done:
    """What is said of a request that is over. ``seconds`` from its head to its last byte."""

    request_id: str
    what: str
    model: str
    target: Target | None
    outcome: Outcome
    seconds: float

    def line(self) -> str:
        """``messages claude-opus-5-5 -> anthropic:claude-opus-5-5 done 1.24 s (req_…)``"""
        target = "nowhere" if self.target is None else printable(str(self.target))
        result = f"{self.outcome.result}{_why(self.outcome)}"
        told = [printable(note) for note in self.outcome.notes]
        if changes := self.outcome.changes:
            told.append(f"{len(changes)} changed: {', '.join(map(printable, changes))}")
        notes = "".join(f"; {each}" for each in told)
        what = f"{self.what} {printable(self.model)} -> {target}"
        return f"{what} {result} {self.seconds:.2f} s ({self.request_id}){notes}"


def _why(outcome: Outcome) -> str:
    match outcome.failure:
        case None:
            return ""
        case Refusal(status) as refusal:
            said = words(refusal)
            return f" [{status} {printable(said)}]" if said else f" [{status}]"
        case failure:
            return f" [{printable(words(failure))}]"


def words(failure: Failure) -> str:
    """What a failure says, without credentials and of any length: of a refusal, what the backend said itself."""
    if not isinstance(failure, Refusal):
        return str(failure)
    if failure.original or not envelope.is_envelope(failure.body):
        return failure.original
    return scrub(envelope.message_in(failure.body))


def printable(text: str, most: int = 200) -> str:
    """Without characters that a terminal would act on, in at most ``most`` characters.

    Model names and a backend's words come from outside.
    """
    return "".join(char if char.isprintable() else "?" for char in text[:most])
