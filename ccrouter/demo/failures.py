"""The ways in which the demo model can be asked to fail: ``fail WHAT``.

=================  ==========================================================================
``429`` and so on  any HTTP status from 400 to 599, with the error type that belongs to it
`REFUSALS`         errors with a name of their own
`STREAMS`          a stream that goes wrong after it began; a number says after how many events
`WAITS`            a first byte that comes late (a number says after how many seconds) or never
=================  ==========================================================================

A stream can only go wrong where there is one: asked for the same without streaming, or for the rest of a
broken stream, the model answers. So the ways in which a client recovers can be watched to their end.
"""

from __future__ import annotations

import math

from attrs import evolve

from ccrouter.demo.script import Piece, Refusal, Script
from ccrouter.demo.words import Fail
from ccrouter.wire import claude_code, envelope, events

#: Name -> (HTTP status, message); the message of ``overflow`` takes the tokens of the request.
REFUSALS = {
    "overloaded": (529, "Overloaded (the demo model was asked to fail)"),
    "overflow": (400, claude_code.PROMPT_TOO_LONG_BY),
}

#: Name -> what happens.
STREAMS = {
    "cut": "the connection breaks",
    "silent": "nothing comes any more",
    "error": "an error event ends the stream",
}

#: Name -> seconds before the first byte.
WAITS = {"slow": 20.0, "hang": math.inf}

WINDOW = 200_000


def known(wish: Fail) -> bool:
    """Whether the failure is one of the tables, or a status."""
    return wish.what in REFUSALS or wish.what in STREAMS or wish.what in WAITS or _status(wish.what) is not None


def names() -> str:
    """What can follow ``fail``, for the user."""
    return ", ".join(["400 to 599", *REFUSALS, *STREAMS, *WAITS])


def refusal(wish: Fail, input_tokens: int) -> Refusal | None:
    """The refusal that was asked for; None where the failure comes with a stream or with time."""
    if wish.what in REFUSALS:
        status, message = REFUSALS[wish.what]
        tokens = max(input_tokens, WINDOW + 1)
        return _refusal(status, message.format(tokens=tokens, window=WINDOW))
    status_asked = _status(wish.what)
    if status_asked is None:
        return None
    return _refusal(status_asked, f"The demo model was asked to fail with status {status_asked}")


def spoil(script: Script, wish: Fail, *, streamed: bool) -> Script:
    """The answer with its failure built in. A stream that fails never comes as far as its last event."""
    if wish.what in WAITS:
        usual = WAITS[wish.what]
        return evolve(script, delay=usual if wish.amount is None or math.isinf(usual) else wish.amount)
    if not streamed or wish.what not in STREAMS:
        return script
    count = len(script.pieces) // 2 if wish.amount is None else int(wish.amount)
    pieces = script.pieces[: min(count, len(script.pieces) - 2)]
    match wish.what:
        case "cut":
            return evolve(script, pieces=pieces, end="cut")
        case "silent":
            return evolve(script, pieces=pieces, end="silent")
    broken = events.error("overloaded_error", "Overloaded (the demo model was asked for an error in mid-stream)")
    return evolve(script, pieces=(*pieces, Piece(broken, 1)))


def _status(what: str) -> int | None:
    status = int(what) if what.isdecimal() and len(what) == 3 else 0
    return status if 400 <= status <= 599 else None


def _refusal(status: int, message: str) -> Refusal:
    headers = (("retry-after", "1"),) if status == 429 else ()
    return Refusal(status=status, kind=envelope.kind_of(status), message=message, headers=headers)
