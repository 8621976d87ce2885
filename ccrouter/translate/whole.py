"""Whole replies as the streams that were asked for, or that would have been asked for.

There are gateways that overlook ``stream: true``. What they send instead says the same at once; it is spelled here
as the shortest stream that says it, and read like any other. So both forms mean the same message, and there is one
reader. For other servers' Messages that holds even where the client wants no stream: their whole replies have the
same faults, and are folded from the stream once it is put right.

That the JSON is whole proves that the reply is: it needs no finish reason. An error in a reply's place is passed
on for that reader to tell. A stream that only calls itself JSON passes as it is. For everything else there is
FrameError, with the first words of it.

Source: Anthropic's *Create a Message*; OpenAI's *Chat completion object* and *Response object*; openai 3.52.0
(2026-11).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ccrouter.errors import FrameError
from ccrouter.translate.chat.failure import failure_in
from ccrouter.translate.refusal import scrub
from ccrouter.wire import envelope, events, json_text

#: How much is told of what is no reply, in characters.
_FIRST_WORDS = 200

#: How a stream begins, whatever its content type says.
_STREAM = (b"data:", b"event:", b":")

#: What stands in a message behind the reasoning, in this order.
_LAST = ("content", "refusal", "tool_calls", "function_call")

#: What a message's stream tells at its end.
_OF_END = ("stop_reason", "stop_sequence", "stop_details", "container")

#: Status of a whole response -> the event that ends its stream. A response without one is what it says.
_ENDS = {
    "completed": "response.completed",
    "incomplete": "response.incomplete",
    "failed": "response.failed",
    "cancelled": "response.failed",
    None: "response.completed",
}


def unroll_completion(body: bytes) -> bytes:
    """A ``chat.completion`` as the chunks that it would have been. Raises FrameError for anything else."""
    if _is_stream(body):
        return body
    reply = _read(body)
    choices = [each for each in _list(reply.get("choices")) if isinstance(each, dict)]
    choice = next((each for each in choices if each.get("index") in (0, None)), None)
    if choice is None or failure_in(reply) is not None:
        if choices or failure_in(reply) is not None:
            return _frame(reply)
        raise _no_reply(body)
    first, *rest = _deltas(choice.get("message"))
    end = {key: value for key, value in choice.items() if key != "message"}
    end |= {"delta": {}, "finish_reason": choice.get("finish_reason") or "stop"}
    chunks = [{**reply, "choices": [{"delta": first}]}, *({"choices": [{"delta": delta}]} for delta in rest)]
    return b"".join(map(_frame, [*chunks, {"choices": [end]}])) + b"data: [DONE]\n\n"


def unroll_message(body: bytes) -> bytes:
    """A message as the events that it would have been. Raises FrameError for anything else."""
    if _is_stream(body):
        return body
    reply = _read(body, nan="refuse")  # as its stream is read: the input of a call may be in it
    content = reply.get("content")
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    if not isinstance(content, list) or "error" in (reply.get("type"), reply.get("object")):
        if envelope.is_error(reply):
            return _frame(reply)
        raise _no_reply(body)
    end = {key: reply.get(key) for key in _OF_END if key in reply or key == "stop_reason"}
    start = {key: value for key, value in reply.items() if key not in _OF_END}
    found: list[dict[str, Any]] = [{"type": "message_start", "message": {**start, "content": []}}]
    for index, block in enumerate(content):
        found += [events.block_start(index, block), events.block_stop(index)]
    found += [{"type": "message_delta", "delta": end, "usage": reply.get("usage")}, events.message_stop()]
    return b"".join(map(_frame, found))


def unroll_response(body: bytes) -> bytes:
    """A ``response`` as the event that would have ended its stream. Raises FrameError for anything else."""
    if _is_stream(body):
        return body
    reply = _read(body)
    status = reply.get("status")
    # Of the items, the last event of a stream holds all that the events before it told.
    if isinstance(reply.get("output"), list) and (status is None or isinstance(status, str)):
        if (kind := _ENDS.get(status)) is not None:
            return _frame({"type": kind, "response": reply})
    elif envelope.is_error(reply):
        return _frame({**reply, "type": "error"})
    raise _no_reply(body)


def unroll_line(body: bytes) -> bytes:
    """A reply of Ollama's own wire as the one line that says it. Raises FrameError for anything else.

    Lines that only call themselves JSON pass as they are. One that says that it isn't ``done`` has an end to come.
    """
    first = body.lstrip().partition(b"\n")[0]
    for part, is_all in ((body, True), (first, False)):
        reply = json_text.loads_or_none(part, nan="null")
        if isinstance(reply, dict) and (isinstance(reply.get("message"), dict) or envelope.is_error(reply)):
            return json.dumps({"done": True, **reply}).encode() + b"\n" if is_all else body
    raise _no_reply(body)


def _deltas(message: object) -> list[dict[str, Any]]:
    """A message in the order in which a stream tells it: at a stop sequence, what follows was never said."""
    if not isinstance(message, dict):
        return [{}]
    found = [{key: value for key, value in message.items() if key not in _LAST}]
    for name in _LAST:
        value = message.get(name)
        if name == "tool_calls":
            calls = [each for each in _list(value) if isinstance(each, dict)]
            # In a chunk the index tells calls apart; here each entry is one, whatever its own index says.
            found.append({name: [{**call, "index": at} for at, call in enumerate(calls)]})
        elif isinstance(value, list):
            found += [{name: [part]} for part in value]
        else:
            found.append({name: value})
    return found


def _is_stream(body: bytes) -> bool:
    return body.lstrip(b"\xef\xbb\xbf\r\n").startswith(_STREAM)


def _read(body: bytes, nan: json_text.Nan = "null") -> dict[str, Any]:
    reply = json_text.loads_or_none(body, nan=nan)
    if not isinstance(reply, dict):
        raise _no_reply(body)
    return reply


def _frame(value: Mapping[str, Any]) -> bytes:
    try:
        return b"data: " + json.dumps(value).encode() + b"\n\n"
    except RecursionError:
        raise FrameError("the backend sent a reply that is nested too deep") from None


def _no_reply(body: bytes) -> FrameError:
    words = scrub(envelope.message_in(body)).strip()[:_FIRST_WORDS]
    return FrameError(f"the backend answered with something that is no reply: {words or '(empty)'}")


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
