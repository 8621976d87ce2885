"""Chunks of a reply, and what is told of them."""

from __future__ import annotations

import json

from ccrouter.errors import WireError
from ccrouter.providers.presets import PRESETS
from ccrouter.providers.provider import Preset, Provider, Target
from ccrouter.providers.quirks import Quirks
from ccrouter.translate import provenance
from ccrouter.translate.chat.reply import ChatReply
from ccrouter.translate.dialect import Bridge
from ccrouter.wire.fold import fold
from ccrouter.wire.messages import read_request
from ccrouter.wire.sse import Decoder


def target(name="p", model="m", models=(), **quirks):
    codes = PRESETS[name].codes if name in PRESETS else ()
    preset = Preset(name=name, title=name, codes=codes, quirks=Quirks(**quirks))
    return Target(Provider(name=name, preset=preset, base_url="https://example.com", models=models), model)


REQUEST = {"model": "claude-sonnet-4-5", "messages": [{"role": "user", "content": "Hello"}]}


def bridge(to, request=None):
    return Bridge(ChatReply(read_request(json.dumps(request or REQUEST).encode()), to, "msg_1"), Decoder())


def answer(chunks, to, request=None):
    """The bytes that the client gets, and how the stream ended."""
    reply = bridge(to, request)
    out = b""
    try:
        for chunk in chunks:
            out += reply.feed(chunk)
        out += reply.close()
    except WireError as error:
        return out, f"{type(error).__name__}: {error}"
    if b"event: error\n" in out:
        assert_told_as_a_status(reply, events_in(out)[-1]["error"])
        return out, "failed at once" if reply.first == "error" else "failed"
    return out, "whole"


def assert_told_as_a_status(reply, error):
    """An error that is all of a reply is told before it begins, and counts as a failure wherever it comes."""
    assert reply.failure is not None
    assert (reply.failure.kind, reply.failure.message) == (error["type"], error["message"])
    assert reply.failure.status >= 400


def events_in(out):
    return [json.loads(frame.data or b"") for frame in Decoder().feed(out)]


def spelled(*chunks, done=True):
    frames = [
        chunk if isinstance(chunk, bytes) else b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks
    ]
    return b"".join(frames) + (b"data: [DONE]\n\n" if done else b"")


def chunk(delta=None, finish=None, **more):
    return {"choices": [{"index": 0, "delta": delta or {}, "finish_reason": finish}], **more}


def message(*chunks, to=None, done=True, **asked):
    out, verdict = answer([spelled(*chunks, done=done)], to or target(), REQUEST | asked)
    assert verdict == "whole"
    return fold(events_in(out))


def failure(*chunks, to=None, done=True, **asked):
    """The error that the stream ends with, and whether it is all there is."""
    out, verdict = answer([spelled(*chunks, done=done)], to or target(), REQUEST | asked)
    last = events_in(out)[-1]
    assert last["type"] == "error"
    return last["error"], verdict == "failed at once"


def call(name="Read", arguments='{"x":1}', index=0, call_id="call_1", **more):
    return {
        "tool_calls": [{"index": index, "id": call_id, "function": {"name": name, "arguments": arguments}, **more}]
    }


def origins(folded):
    return [provenance.read(block["signature"]) for block in folded["content"] if block["type"] == "thinking"]


def payloads(folded):
    return [origin and origin.payload for origin in origins(folded)]
