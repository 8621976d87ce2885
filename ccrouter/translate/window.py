"""Whether a request fits into the window of its model, before it is sent. Pure.

Most backends say themselves that a prompt is too long, and with their own count: they are left to it. Some don't:
one cuts the prompt in silence, so that the model answers without having read its instructions or its tools; others
lose minutes over it or fail in a way that makes the client try again. For those the answer is given here, in the
words on which the client compacts its conversation.

The prompt's size is an estimate, of what the model would be shown (`ccrouter.translate.sight`): a conversation
must not end for a file that it carries along and the backend never gets. Where that cuts in silence, a request
must fit by the most that local models' tokenizers make of it (`ccrouter.translate.most_tokens`), even if that is
too low by its margin. Where it would fail, which costs time but can be reworded, a request is refused only if it
can't fit even if the ordinary estimate is too high by `MARGIN`.
"""

from __future__ import annotations

import math
import re

from attrs import evolve

from ccrouter.errors import ApiError
from ccrouter.providers.provider import Target
from ccrouter.translate import most_tokens, tokens
from ccrouter.wire import claude_code
from ccrouter.wire.messages import MessagesRequest

#: How far the ordinary estimate is from what real tokenizers count, at most, on what the client sends: measured by
#: tests/e2e/test_tokens_against_real_tokenizers.py on 2026-11-20.
MARGIN = 0.15

_BY_URL = re.compile(r'"type"\s*:\s*"url"')

#: No server gives a model that it loads by itself a smaller window than this (Ollama without a GPU, 2026-11).
_SMALLEST = 4_096


def too_long(request: MessagesRequest, target: Target) -> ApiError | None:
    """What to answer to a request that its target must not get; None for one that it may have."""
    preset, room = target.provider.preset, target.known.room
    if target.overflow == "tells" or room is None or surely_fits(request, room):
        return None
    if target.overflow == "truncates":
        counted = _surely(request, target)
    else:
        counted = math.ceil(tokens.of(request, target) * (1 - MARGIN))
    if counted <= room:
        return None
    count = tokens.of(request, target)
    if count <= room:  # the likeliest number, as long as it says what is meant
        count = counted
    words = claude_code.PROMPT_TOO_LONG_BY.format(tokens=count, window=room)
    own = target.known.window
    if preset.widen and own is not None and own > room:
        words += f" (the model could have {own}: {preset.widen})"
    return ApiError(400, "invalid_request_error", words)


def wants_loading(request: MessagesRequest, target: Target) -> bool:
    """Whether only the model shows if the request fits, once it is loaded as for this request.

    So it is where the window might cut the prompt, or is too small as it is: what a server has loaded may be
    another program's wish. Not where the request names the window itself, or can't fit whatever that is. On which
    machine it is loaded makes no difference. What the server passes on to a cloud it can't load.
    """
    known = target.known
    if target.overflow == "tells" or known.num_ctx is not None or known.remote is True:
        return False
    if too_long(request, evolve(target, facts=evolve(known, loaded=None))) is not None:
        return False
    return too_long(request, target) is not None or (
        target.overflow == "truncates"
        and not surely_fits(request, _SMALLEST)
        and _surely(request, target) > _SMALLEST
    )


def _surely(request: MessagesRequest, target: Target) -> int:
    """The tokens that a request has at most, whatever tokenizer its model has."""
    return math.ceil(most_tokens.of(request, target) * (1 + most_tokens.MARGIN))


def surely_fits(request: MessagesRequest, room: float, more: int = 0) -> bool:
    """Whether no count is needed, which costs more than all the rest: no token is shorter than a byte.

    But for images and documents by their URLs, whose bytes are elsewhere.
    """
    text = request.text
    fits = more + len(text) * (1 if text.isascii() else 4) <= room
    return fits and not _points_elsewhere(request)


def _points_elsewhere(request: MessagesRequest) -> bool:
    """Whether something of it is given by its URL."""
    sizes = request.sizes
    if sizes.by_url is None:
        sizes.by_url = '"url"' in request.text and _BY_URL.search(request.text) is not None
    return sizes.by_url
