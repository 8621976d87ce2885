"""A Responses stream as a Messages stream.

Theory of operation
-------------------
`Gathering` knows the items as far as they have come. They wait in a line, in the order in which they came up, and
only the first of the line is written: its words as they come, or, for a call, all of it once it is done. When it is
done, the next one steps up with what it has gathered meanwhile. So blocks never interleave, whatever the items do.

What becomes of an item:

* a message: a text block for each part, refusals among them; its ``phase``, which the backend wants back, goes in
  front in a thinking block of nothing but a signature;
* reasoning: one thinking block, its parts joined by blank lines, signed with what the backend needs back;
* a function call: a ``tool_use`` block, under the client's name for the tool;
* a web search: ``server_tool_use``, and its results where the text that cites them begins. Titles of pages stand
  only in the citations, so that this text is written when it is whole.

A reply ends with ``response.completed`` or ``response.incomplete``. A call that an incomplete reply broke off is left
out: half of a command must not be run. Nothing is written before the first item says something, so that a backend
that fails at once can still be replaced by another.

Source: OpenAI's *Responses streaming events* and openai 3.52.0; ChatGPT's backend, LM Studio, vLLM (2026-11).
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from ccrouter.errors import FrameError, TruncatedStream
from ccrouter.providers.provider import Target
from ccrouter.translate import provenance
from ccrouter.translate.blocks import Blocks
from ccrouter.translate.calls import arguments_of
from ccrouter.translate.conversation import read
from ccrouter.translate.provenance import Origin
from ccrouter.translate.responses_failure import failure
from ccrouter.translate.responses_items import CALLS, Gathering, Item, Part, text_of
from ccrouter.translate.tools import Names, client_id
from ccrouter.wire import events
from ccrouter.wire.events import Event
from ccrouter.wire.messages import MessagesRequest
from ccrouter.wire.sse import Frame

_ENDS = frozenset({"response.completed", "response.done", "response.incomplete"})
_FAILURES = frozenset({"response.failed", "error", "response.error"})


class ResponsesReply:
    """A `ccrouter.translate.dialect.Reply` of the Responses wire."""

    def __init__(self, request: MessagesRequest, target: Target, message_id: str) -> None:
        self._request = request
        self._target = target
        self._message_id = message_id
        self._blocks = Blocks(message_id, request.model)
        self._gathering = Gathering()
        self._seen = 0
        self._line: deque[Item] = deque()
        self._phased: Item | None = None
        self._writing: Part | None = None
        self._calls = 0
        self._refused = False
        self._ended = False
