"""What a chat backend says in place of an answer, inside a reply that began as a success.

An error comes as an object or a string under ``error``, in the chunk or in its choice; as an ``error`` event; as
the envelope of a web framework (``detail``); or as a result code beside the answer (``base_resp``), 0 when all is
well. `failure_in` finds it, for `ccrouter.translate.refusal` to classify; `words_of` says it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ccrouter.translate.members import as_object
from ccrouter.translate.overflow import envelope_objects
from ccrouter.wire import envelope


def failure_in(chunk: Mapping[str, Any], event: str | None = None) -> Mapping[str, Any] | None:
    """The error that a chunk or a whole reply is, or holds; None for what is none. ``event``: its frame's name."""
    if chunk.get("error"):
        return chunk
    result = as_object(chunk.get("base_resp"))
    if result.get("status_code") not in (0, "0", None):
        return {"base_resp": result}
    choices = chunk.get("choices")
    for choice in choices if isinstance(choices, list) else []:
        if isinstance(choice, dict) and choice.get("error") and choice.get("index") in (0, None):
            return choice
    if choices:
        return None
    named = (event, chunk.get("object"), chunk.get("type"))
    return chunk if "error" in named or chunk.get("detail") else None


def words_of(body: Mapping[str, Any]) -> str:
    """What an error says, with what a gateway was told by the backend behind it."""
    words = [envelope.message_in(json.dumps(body).encode()) or "an error without a word"]
    for each in envelope_objects(body):
        raw = as_object(each.get("metadata")).get("raw")
        if isinstance(raw, str) and raw:
            words.append(envelope.message_in(raw.encode("utf-8", "replace")))
    return ": ".join(words)
