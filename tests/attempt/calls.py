"""One call to a backend: what is asked, of whom, and the parts that come down the channel."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Protocol

import trio

from ccrouter.attempt.backends import Backends
from ccrouter.attempt.inbound import Inbound
from ccrouter.attempt.parts import Part
from ccrouter.attempt.pump import pump
from ccrouter.providers.provider import Target
from ccrouter.routing.credentials import ClientCredentials
from ccrouter.wire.messages import read_request
from tests.rig import Rig, Script, provider, request, rig

NOBODY = ClientCredentials()
CLAUDE = Target(provider("anthropic"), "claude-opus-5-5")
CHAT = Target(provider("work", "chat"), "m")
RESPONSES = Target(provider("work", "responses"), "m")


def inbound(own: ClientCredentials = NOBODY, **fields: object) -> Inbound:
    return Inbound(
        request=read_request(request(**fields)),
        headers=[],
        query="",
        endpoint="messages",
        credentials=own,
        request_id="req_1",
    )


class HasBackends(Protocol):
    backends: Backends


async def parts(it: HasBackends, target: Target, wanted: Inbound) -> list[Part]:
    send, receive = trio.open_memory_channel[Part](0)
    found: list[Part] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pump, wanted, target, it.backends, send)
        async for part in receive:
            found.append(part)
    return found


def chat_stream(text: str) -> Sequence[bytes]:
    """A stream of Chat Completions."""
    chunks = [
        {"choices": [{"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": None}]},
        {
            "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 7, "completion_tokens": 3},
        },
    ]
    return [b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks] + [b"data: [DONE]\n\n"]


def bridged(*scripts: Script) -> Rig:
    return rig(*scripts, providers=[CHAT.provider])


COMPLETION = {
    "object": "chat.completion",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 7, "completion_tokens": 3},
}
RESPONSE = {
    "object": "response",
    "status": "completed",
    "output": [{"type": "message", "id": "m", "content": [{"type": "output_text", "text": "hello"}]}],
    "usage": {"input_tokens": 7, "output_tokens": 3},
}
