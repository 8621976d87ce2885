"""A Messages conversation as the bridges see it: who says what, in an order that every chat wire takes.

`ccrouter.translate.conversation.read` makes it from the decoded request. What it settles once for all dialects:

* the attribution block is gone; ``role: "system"`` inside messages is a turn of its own, in its place;
* content as a string, a list, an empty list or nothing means the same;
* results stand next to their calls, in the order of the calls, one for each call; other parts of the same
  message come after them;
* names of deferred tools that a result refers to become words, since the tools themselves are sent plainly;
* blocks that only their maker can use (server tools, redacted thinking) are left out or become text, and
  ``changes`` says so.

It is a pure function of the request, and a longer conversation only adds at its end: what is read of turn n is
a prefix of what is read of turn n + 1. Prompt caches rest on that. Only the client's cache marks move from turn to
turn, so whatever is made of a part must be the same with and without one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from attrs import field, frozen

from ccrouter.translate.provenance import Origin


@frozen
class Mark:
    """The client's word that a prefix of the prompt ends here which is worth caching. No part of the prompt."""

    ttl: str | None = None
    """How long it is to be kept, in the client's words (``5m``, ``1h``); None for the backend's own time."""


@frozen
class Text:
    """Words."""

    text: str
    mark: Mark | None = None


@frozen
class Image:
    """A picture: base64 ``data`` with its media type, or a ``url``."""

    media_type: str | None
    data: str | None = field(default=None, repr=False)
    url: str | None = None
    mark: Mark | None = None


@frozen
class Document:
    """A file. ``text`` for plain text; base64 ``data`` or a ``url`` for a PDF."""

    media_type: str
    name: str
    text: str | None = field(default=None, repr=False)
    data: str | None = field(default=None, repr=False)
    url: str | None = None
    mark: Mark | None = None


#: What can be shown to any model.
Shown: TypeAlias = Text | Image | Document


@frozen
class Thinking:
    """Reasoning of a model. ``origin``: who made it, by ccrouter's own signature; None for anybody else's."""

    text: str
    origin: Origin | None


@frozen
class Call:
    """A tool call, its id as the client has it; an id that an earlier call has too is made unique by ``~2``."""

    id: str
    name: str
    input: Mapping[str, Any]


@frozen
class Result:
    """What a call gave. ``parts`` is never empty; a mark on the whole stands on the last of them."""

    call_id: str
    parts: tuple[Shown, ...]
    is_error: bool = False


Part: TypeAlias = Shown | Thinking | Call | Result


@frozen
class Turn:
    """One message, or several of the assistant's that followed each other.

    ``parts`` are empty where a system message only asks for an ``effort`` from here on, and where nothing can be
    shown of what the assistant said; its turn stays, so that those around it stay apart.
    """

    role: Literal["system", "user", "assistant"]
    parts: tuple[Part, ...]
    effort: str | None = None


@frozen
class Tool:
    """A tool with a schema that the client runs itself."""

    name: str
    description: str
    schema: Mapping[str, Any]
    strict: bool = False


@frozen
class ServerTool:
    """A tool that the backend itself is asked to run, such as ``web_search_20250305``."""

    type: str
    name: str
    fields: Mapping[str, Any]


@frozen(kw_only=True)
class Conversation:
    """All of a request that is said to the model, and the tools that it may use."""

    system: tuple[Text, ...]
    turns: tuple[Turn, ...]
    tools: tuple[Tool, ...]
    server_tools: tuple[ServerTool, ...]
    changes: tuple[str, ...]
    """What was left out or said in other words, for people."""
