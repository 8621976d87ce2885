"""Anthropic's SDK as a client of the router, in a thread for each call, since it has no trio."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import anthropic
import trio
from anthropic.types import Message

from tests.e2e.router import Router

#: Seconds for a call.
DEADLINE = 40.0

Answer = TypeVar("Answer")
Request = dict[str, Any]


async def talk(running: Router, say: Callable[[anthropic.Anthropic], Answer]) -> Answer:
    """What ``say`` makes of a client that tries nothing again."""

    def connected() -> Answer:
        with anthropic.Anthropic(
            base_url=running.url, auth_token=running.token, api_key=None, max_retries=0, timeout=DEADLINE / 2
        ) as sdk:
            return say(sdk)

    with trio.fail_after(DEADLINE):
        return await trio.to_thread.run_sync(connected)


async def whole(running: Router, request: Request) -> Message:
    """The message that answers."""

    def say(sdk: anthropic.Anthropic) -> Message:
        message = sdk.messages.create(**request)
        assert isinstance(message, Message), message  # what is no JSON comes back as a string
        return message

    return await talk(running, say)


async def streamed(running: Router, request: Request) -> Message:
    """The message that answers, out of a stream."""

    def say(sdk: anthropic.Anthropic) -> Message:
        with sdk.messages.stream(**request) as stream:
            return stream.get_final_message()

    return await talk(running, say)


async def listed(running: Router) -> set[str]:
    """The names of all models."""
    return await talk(running, lambda sdk: {model.id for model in sdk.models.list(limit=1000)})


def text(message: Message) -> str:
    """The text at the end of a message."""
    block = message.content[-1]
    assert block.type == "text", message
    return block.text
