"""The dialects that are spoken, by the name of their wire."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType

from ccrouter.providers.provider import Target, Wire
from ccrouter.translate import chat_request, lane, responses_count, tokens, whole
from ccrouter.translate.chat_reply import ChatReply
from ccrouter.translate.dialect import Bridge, Dialect, Stream
from ccrouter.translate.refusal import reword_event
from ccrouter.translate.responses_reply import ResponsesReply
from ccrouter.wire.messages import MessagesRequest


def _messages(request: MessagesRequest, target: Target, message_id: str) -> Stream:
    del message_id  # the backend's own stream passes through
    if target.provider.preset.native:
        return lane.StreamWatch()
    count = partial(tokens.estimate, request.fields)
    return lane.StreamWatch(partial(reword_event, target, count=count))


def _chat(request: MessagesRequest, target: Target, message_id: str) -> Stream:
    return Bridge(ChatReply(request, target, message_id))


def _responses(request: MessagesRequest, target: Target, message_id: str) -> Stream:
    return Bridge(ResponsesReply(request, target, message_id))


DIALECTS: Mapping[Wire, Dialect] = MappingProxyType(
    {
        "messages": Dialect(render=lane.render, stream=_messages, translates=False),
        "chat": Dialect(render=chat_request.render, stream=_chat, translates=True, unroll=whole.unroll_completion),
        "responses": Dialect(
            render=responses_count.render, stream=_responses, translates=True, unroll=whole.unroll_response
        ),
    }
)
