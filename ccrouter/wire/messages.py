"""A Messages request as ccrouter looks at it: the text that came, and where its members stand in it.

Only what a decision needs is read out. The text itself goes on to the backend, changed by edits at the
places that must change (see `ccrouter.wire.spans`).
Source: Anthropic's *Create a Message*.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from attrs import define, field, frozen

from ccrouter.errors import FrameError
from ccrouter.wire import spans
from ccrouter.wire.claude_code import ATTRIBUTION


class Count(Protocol):
    """How many tokens a request has."""

    def of(self, target: Any = None) -> int:
        """For a target, which this layer knows nothing of; for nobody in particular where it is None."""
        ...


@define
class Sizes:
    """What was found out about a request's size at some cost, once: whoever asks next takes it from here."""

    tokens: Count | None = None
    """The ordinary estimate."""
    most_tokens: Count | None = None
    """As tokenizers count that make the most of it."""
    by_url: bool | None = None
    """Whether something of it is elsewhere, and only its URL in the text."""


@frozen
class MessagesRequest:
    """The body of ``POST /v1/messages`` or of ``count_tokens``."""

    text: str = field(repr=False)
    items: tuple[spans.Item, ...] = field(repr=False)
    fields: Mapping[str, Any] = field(repr=False)
    """Decoded top-level members. A repeated key has its last value, as in every common JSON parser."""
    model: str
    sizes: Sizes = field(factory=Sizes, eq=False, repr=False, init=False)

    @property
    def stream(self) -> bool:
        """Whether the client wants server-sent events."""
        return self.fields.get("stream") is True


def attribution(system: object) -> str | None:
    """The text of Claude Code's attribution: the first of the system's blocks, which no model is to see, or None.

    Only that one: what else begins so (a later block, a prompt that is one string) somebody wrote for the model.
    """
    first = system[0] if isinstance(system, list) and system else None
    text = first.get("text") if isinstance(first, dict) else None
    return text if isinstance(text, str) and text.startswith(ATTRIBUTION) else None


def read_request(body: bytes) -> MessagesRequest:
    """The request in ``body``. Raises FrameError, in words that tell its sender what to mend."""
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise FrameError(f"the body is not UTF-8: {error.reason} at byte {error.start}") from None
    items = spans.document(text)
    fields = {str(item.key): item.value for item in items}
    model = fields.get("model")
    if not isinstance(model, str) or not model:
        raise FrameError("model: a non-empty string is required")
    return MessagesRequest(text, tuple(items), fields, model)
