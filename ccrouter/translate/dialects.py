"""The dialects that are spoken, by the name of their wire.

The client's own wire has two: Anthropic's replies, and those of our demo model, pass untouched; what other servers
send in the same format is put right on its way.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ccrouter.providers.provider import Target, Wire
from ccrouter.translate import whole
from ccrouter.translate.chat import request as chat_request
from ccrouter.translate.chat.reply import ChatReply
from ccrouter.translate.dialect import Bridge, Dialect, Stream
from ccrouter.translate.messages import lane
from ccrouter.translate.messages.reply import MessagesReply
from ccrouter.translate.messages.watch import StreamWatch
from ccrouter.translate.ollama import request as ollama_request
from ccrouter.translate.ollama.reply import OllamaReply
from ccrouter.translate.responses import request as responses_request
from ccrouter.translate.responses.reply import ResponsesReply
from ccrouter.wire import ndjson, sse
from ccrouter.wire.messages import MessagesRequest


def _untouched(request: MessagesRequest, target: Target, message_id: str) -> Stream:
    del request, target, message_id  # the backend's own stream passes through
    return StreamWatch()


def _messages(request: MessagesRequest, target: Target, message_id: str) -> Stream:
    return Bridge(MessagesReply(request, target, message_id), sse.Decoder())


def _chat(request: MessagesRequest, target: Target, message_id: str) -> Stream:
    return Bridge(ChatReply(request, target, message_id), sse.Decoder())


def _responses(request: MessagesRequest, target: Target, message_id: str) -> Stream:
    return Bridge(ResponsesReply(request, target, message_id), sse.Decoder())


def _ollama(request: MessagesRequest, target: Target, message_id: str) -> Stream:
    return Bridge(OllamaReply(request, target, message_id), ndjson.Decoder())


DIALECTS: Mapping[Wire, Dialect] = MappingProxyType(
    {
        "messages": Dialect(render=lane.render, stream=_messages, translates=False, unroll=whole.unroll_message),
        "chat": Dialect(render=chat_request.render, stream=_chat, translates=True, unroll=whole.unroll_completion),
        "responses": Dialect(
            render=responses_request.render, stream=_responses, translates=True, unroll=whole.unroll_response
        ),
        "ollama": Dialect(
            render=ollama_request.render,
            stream=_ollama,
            translates=True,
            media_type=ollama_request.MEDIA_TYPE,
            unroll=whole.unroll_line,
        ),
    }
)

#: The client's own wire, where nothing of a reply is touched.
NATIVE = Dialect(render=lane.render, stream=_untouched, translates=False)


def spoken(wire: Wire, target: Target) -> Dialect:
    """How a wire is spoken with a target."""
    return NATIVE if wire == "messages" and target.provider.preset.native else DIALECTS[wire]
