"""What rules look at in a request, found out when the first rule asks, and then kept. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

from attrs import define, field, frozen

from ccrouter.routing.caller import Caller
from ccrouter.routing.values import EFFORTS
from ccrouter.translate import tokens, window
from ccrouter.translate.conversation import server_tool
from ccrouter.translate.members import objects
from ccrouter.wire.headers import Headers
from ccrouter.wire.messages import MessagesRequest

#: How long what is kept about a conversation may be, in characters.
_LONGEST = 1_000


class Look(NamedTuple):
    """Something to look at in a request: a header or a part by its name, a provider's plan, …"""

    at: Literal["header", "minute", "weekday", "plan", "server_tools", "effort", "part"]
    name: str = ""


@frozen(kw_only=True)
class Moment:
    """What a rule may ask beside the request. ``minute`` of the day, ``weekday`` (Monday is 0): local time."""

    minute: int = 0
    weekday: int = 0
    profile: str | None = None
    home: str = ""
    fullness: Callable[[str], int | None] = field(default=lambda _: None, eq=False, repr=False)
    """How many per cent of a provider's plan are used up; None: not known."""


@define(eq=False)
class Traits:
    """One request. ``headers`` are those of the client."""

    request: MessagesRequest
    headers: Headers = field(repr=False)
    caller: Caller
    moment: Moment = field(factory=Moment)
    classes: frozenset[str] = field(init=False)
    """What a rule may call it."""
    lasting: str = field(init=False, repr=False)
    """What stays the same over a conversation, and so what rules say of it; empty if too long to keep."""
    _parts: dict[str, bool] = field(factory=dict, init=False)
    _types: set[str] | None = field(default=None, init=False)
    _said: dict[bytes, bytes] | None = field(default=None, init=False, repr=False)
    _server_tools: tuple[str, ...] | None = field(default=None, init=False)
    _effort: tuple[str | None] | None = field(default=None, init=False)

    @classes.default
    def _classes(self) -> frozenset[str]:
        return self.caller.classes

    @lasting.default
    def _lasting(self) -> str:
        who, moment = self.caller, self.moment
        facts = (who.kind, who.task, who.agent, moment.profile, self.request.model, who.project, moment.home)
        text = "\0".join(each or "" for each in facts)
        return text if len(text) <= _LONGEST else ""

    def seen(self, look: Look) -> object:
        """What is there to see: a value that two requests may be compared by."""
        match look.at:
            case "header":
                return self.header(look.name)
            case "part":
                return self.has(look.name)
            case "plan":
                return self.moment.fullness(look.name)
            case "minute":
                return self.moment.minute
            case "weekday":
                return self.moment.weekday
            case "effort":
                return self.effort
            case "server_tools":
                return self.server_tools

    def tokens_exceed(self, number: int) -> bool:
        """Whether the prompt has more tokens. They are counted only where its length in bytes leaves that open."""
        return not window.surely_fits(self.request, number) and tokens.of(self.request) > number

    def has(self, part: str) -> bool:
        """One of `routing.values.PARTS`."""
        if part not in self._parts:
            self._parts[part] = self._look_for(part)
        return self._parts[part]

    def _look_for(self, part: str) -> bool:
        fields = self.request.fields
        if part == "tools":
            return bool(fields.get("tools"))
        if part == "thinking":
            asked = fields.get("thinking")
            return isinstance(asked, dict) and asked.get("type") in ("enabled", "adaptive")
        if self._types is None:
            self._types = _types(fields.get("messages"))
        return part.removesuffix("s") in self._types

    @property
    def server_tools(self) -> tuple[str, ...]:
        """The tools that the backend runs itself: their names, and the types with their dates."""
        if self._server_tools is None:
            # Of the client's own tools, which are many, hardly one has a type.
            offered = [server_tool(each) for each in objects(self.request.fields.get("tools")) if "type" in each]
            self._server_tools = tuple(
                said for tool in offered if tool is not None for said in (tool.name, tool.type)
            )
        return self._server_tools

    @property
    def effort(self) -> str | None:
        """The effort that is asked for last: the conversation's, or that of its latest message that names one."""
        if self._effort is None:
            self._effort = (_latest_effort(self.request.fields),)
        return self._effort[0]

    def header(self, name: str) -> str | None:
        """The first value of a header."""
        if self._said is None:
            self._said = dict(reversed(self.headers))
        value = self._said.get(name.encode("latin-1", "replace"))
        return None if value is None else value.decode("latin-1")


def _latest_effort(fields: Mapping[str, object]) -> str | None:
    messages = fields.get("messages")
    for message in reversed(messages) if isinstance(messages, list) else ():
        if (
            isinstance(message, dict)
            and "output_config" in message
            and (said := _effort_in(message["output_config"])) is not None
        ):
            return said
    return _effort_in(fields.get("output_config"))


def _effort_in(config: object) -> str | None:
    said = config.get("effort") if isinstance(config, dict) else None
    return said if isinstance(said, str) and said in EFFORTS else None


def _types(messages: object) -> set[str]:
    """The types of all blocks, those inside of results too.

    A walk is faster than a search of the text for each type, which is a thousand times as long as it has blocks.
    """
    found: set[str] = set()
    for message in messages if isinstance(messages, list) else ():
        content = message.get("content") if isinstance(message, dict) else None
        for block in content if isinstance(content, list) else ():
            if not isinstance(block, dict):
                continue
            if isinstance(kind := block.get("type"), str):
                found.add(kind)
            inner = block.get("content")
            for each in inner if isinstance(inner, list) else ():
                if isinstance(each, dict) and isinstance(kind := each.get("type"), str):
                    found.add(kind)
    return found
