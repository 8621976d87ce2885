"""How many tokens an answer may have: what the client asks for, cut to what the model can give.

Claude Code asks for 32000 whatever the model. A backend that has less refuses, in words that cost the client a try
or its turn, though a shorter answer would have done. So ``max_tokens`` is cut to the largest output that is known
of the model or of its vendor, and to what the prompt leaves of its window.

What the prompt takes is an estimate, of what the model is shown. Where it leaves next to nothing, the request goes
as it is: if it is too long indeed, the backend says so with true numbers, on which the client compacts.
"""

from __future__ import annotations

from ccrouter.providers.provider import Target
from ccrouter.translate import tokens, window
from ccrouter.wire.messages import MessagesRequest

#: An answer that is cut to less is of no use, and so near to the end an estimate says little.
_LEAST = 1_024


def output(request: MessagesRequest, target: Target, *, thought: int = 0) -> int | None:
    """The ``max_tokens`` to ask ``target`` for; None where the client names no number.

    ``thought``: tokens of reasoning that count among them and that the client did not ask for. An answer that is
    to be shorter than those would be empty: the client's safety checks have 64 tokens.
    """
    asked = request.fields.get("max_tokens")
    if type(asked) is not int:
        return None
    if 0 < asked < thought:
        asked += thought
    model = target.known
    most = asked if model.max_output is None else min(asked, model.max_output)
    if model.room is None or window.surely_fits(request, model.room, more=most):
        return most
    left = model.room - tokens.of(request, target)
    return min(most, left) if left >= _LEAST else most
