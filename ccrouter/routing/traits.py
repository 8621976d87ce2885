"""What rules look at in a request, found out when the first rule asks, and then kept. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from attrs import define, field, frozen

from ccrouter.routing.caller import Caller
from ccrouter.routing.values import EFFORTS
from ccrouter.translate import tokens, window
from ccrouter.wire import headers as http
from ccrouter.wire.headers import Headers
from ccrouter.wire.messages import MessagesRequest


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
    _parts: dict[str, bool] = field(factory=dict, init=False)
    _server_tools: tuple[str, ...] | None = field(default=None, init=False)

    def tokens_exceed(self, number: int) -> bool:
        """Whether the prompt has more tokens. They are counted only where its length in bytes leaves that open."""
        return not window.surely_fits(self.request, number) and tokens.of(self.request) > number

    def has(self, part: str) -> bool:
        """One of `routing.values.PARTS`."""
        if part not in self._parts:
            self._parts[part] = self._look_for(part)
        return self._parts[part]

    @property
    def server_tools(self) -> tuple[str, ...]:
        """The tools that the backend runs itself: their names, and the types with their dates."""
        if self._server_tools is None:
            offered = self.request.fields.get("tools")
            self._server_tools = tuple(
                str(tool[key])
                for tool in (offered if isinstance(offered, list) else ())
                if isinstance(tool, dict) and tool.get("type", "custom") != "custom" and "input_schema" not in tool
                for key in ("name", "type")
                if key in tool
            )
        return self._server_tools

    @property
    def effort(self) -> str | None:
        """The effort that is asked for last: the conversation's, or that of its latest message that names one."""
        messages = self.request.fields.get("messages")
        for message in reversed(messages) if isinstance(messages, list) else ():
            if isinstance(message, dict) and (said := _effort_in(message)) is not None:
                return said
        return _effort_in(self.request.fields)

    def header(self, name: str) -> str | None:
        """The first value of a header."""
        return http.get_text(self.headers, name.encode())

    def _look_for(self, part: str) -> bool:
        fields = self.request.fields
        if part == "tools":
            return bool(fields.get("tools"))
        if part == "thinking":
            asked = fields.get("thinking")
            return isinstance(asked, dict) and asked.get("type") in ("enabled", "adaptive")
        kind = part.removesuffix("s")
        # To search the text is a hundred times as fast as to walk through what was decoded from it.
        return f'"{kind}"' in self.request.text and any(
            block.get("type") == kind for block in _blocks(fields.get("messages"))
        )


def _effort_in(value: Any) -> str | None:
    config = value.get("output_config")
    said = config.get("effort") if isinstance(config, dict) else None
    return said if isinstance(said, str) and said in EFFORTS else None


def _blocks(messages: object) -> Iterator[dict[str, Any]]:
    """All blocks, those inside of results too."""
    for message in messages if isinstance(messages, list) else ():
        content = message.get("content") if isinstance(message, dict) else None
        for block in content if isinstance(content, list) else ():
            if not isinstance(block, dict):
                continue
            yield block
            inner = block.get("content")
            yield from (each for each in (inner if isinstance(inner, list) else ()) if isinstance(each, dict))
