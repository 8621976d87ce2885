"""A model with a window of its own, which one wire alone can carry (`Target.wire`)."""

from __future__ import annotations

import json

import pytest

from ccrouter.attempt.parts import End, Failed, Head, Piece, Whole
from ccrouter.attempt.whole import STREAM_HEADERS
from ccrouter.errors import ApiError
from ccrouter.providers.provider import Model, Target
from ccrouter.wire.fold import fold
from ccrouter.wire.headers import Headers
from ccrouter.wire.sse import Decoder
from tests.attempt.calls import inbound, parts
from tests.rig import JSON, NDJSON, SSE, Rig, Script, message, provider, rig

# Models that Ollama's own wire is spoken to

WIDE = provider("ollama", models=(Model("wide", num_ctx=65_536, keep_alive=1800.0), Model("plain")))
OWN = Target(WIDE, "wide")


def lines(*texts: str) -> list[bytes]:
    """A stream of Ollama's own wire."""
    said = [{"message": {"role": "assistant", "content": text}, "done": False} for text in texts]
    end = {"message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop"}
    return [
        json.dumps(each).encode() + b"\n" for each in [*said, {**end, "prompt_eval_count": 7, "eval_count": 3}]
    ]


def own(*body: bytes, headers: Headers = NDJSON) -> Rig:
    return rig(Script(where="/api/chat", headers=list(headers), body=list(body)), providers=[WIDE])


@pytest.mark.parametrize("headers", [NDJSON, JSON, [(b"content-type", b"text/plain")]])
async def test_a_model_with_a_window_of_its_own_is_asked_by_the_wire_that_carries_it(headers: Headers) -> None:
    it = own(*lines("hel", "lo"), headers=headers)
    found = await parts(it, OWN, inbound())
    assert isinstance(found[0], Head)
    assert found[0].headers == STREAM_HEADERS
    told = [
        json.loads(frame.data or b"")
        for frame in Decoder().feed(b"".join(part.data for part in found if isinstance(part, Piece)))
    ]
    assert fold(told)["content"] == [{"type": "text", "text": "hello"}]
    sent = json.loads(it.dial.calls[0].body)
    assert (sent["options"]["num_ctx"], sent["keep_alive"]) == (65_536, 1800)


async def test_all_other_models_of_the_provider_stay_where_they_were() -> None:
    it = rig(Script(where="/v1/messages", body=list(message())), providers=[WIDE])
    asked = inbound()
    await parts(it, Target(WIDE, "plain"), asked)
    sent = json.loads(it.dial.calls[0].body)
    assert {**sent, "model": ""} == {**asked.request.fields, "model": ""}


async def test_a_reply_of_that_wire_may_be_whole_on_either_side() -> None:
    whole = {"message": {"role": "assistant", "content": "hello"}, "done": True, "done_reason": "stop"}
    for body, headers in (([json.dumps(whole, indent=1).encode()], JSON), (lines("hello"), NDJSON)):
        (found,) = await parts(own(*body, headers=headers), OWN, inbound(stream=False))
        assert isinstance(found, Whole)
        assert json.loads(found.body)["content"] == [{"type": "text", "text": "hello"}]
        streamed = await parts(own(*body, headers=headers), OWN, inbound())
        assert isinstance(streamed[-1], End)
        assert streamed[-1].failure is None


async def test_an_error_of_that_wire_has_a_status_before_the_stream_and_none_later() -> None:
    error = b'{"error":"the input length exceeds the context length"}\n'
    _, failed = await parts(own(error), OWN, inbound())
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, ApiError)
    assert (failed.error.status, failed.error.kind) == (400, "invalid_request_error")
    assert failed.error.message.startswith("prompt is too long")
    later = await parts(own(lines("hello")[0], error), OWN, inbound())
    assert isinstance(later[-1], End)
    assert later[-1].failure is not None
    cut = await parts(own(*lines("hello")[:1]), OWN, inbound())
    assert isinstance(cut[-1], Failed)


async def test_a_stream_of_events_is_none_of_that_wire() -> None:
    (failed,) = await parts(own(*message(), headers=SSE), OWN, inbound())
    assert isinstance(failed, Failed)
    assert "no reply" in str(failed.error)
