"""The dialects that are spoken, by the name of their wire."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ccrouter.providers.provider import Target, Wire
from ccrouter.translate import chat_request, lane, responses_request
from ccrouter.translate.chat_reply import ChatReply
from ccrouter.translate.dialect import Bridge, Dialect, Stream
from ccrouter.translate.responses_reply import ResponsesReply
from ccrouter.wire.messages import MessagesRequest


def _messages(request: MessagesRequest, target: Target, message_id: str) -> Stream:
    del request, target, message_id  # the backend's own stream passes through
    return lane.StreamWatch()


def _chat(request: MessagesRequest, target: Target, message_id: str) -> Stream:
    return Bridge(ChatReply(request, target, message_id))


def _responses(request: MessagesRequest, target: Target, message_id: str) -> Stream:
    return Bridge(ResponsesReply(request, target, message_id))


DIALECTS: Mapping[Wire, Dialect] = MappingProxyType(
    {
        "messages": Dialect(render=lane.render, stream=_messages, translates=False),
        "chat": Dialect(render=chat_request.render, stream=_chat, translates=True),
        "responses": Dialect(render=responses_request.render, stream=_responses, translates=True),
    }
)
