"""One call to a backend, seen from the channel: the parts in their order, and one whole reply."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence

import pytest
import trio

from ccrouter.errors import ApiError, ConnectFailed, UpstreamBroken, UpstreamTimeout
from ccrouter.providers.provider import Target, Timeouts
from ccrouter.pump import MAX_WHOLE, STREAM_HEADERS, End, Failed, Head, Inbound, Part, Piece, Whole, ask, pump
from ccrouter.routing.credentials import ClientCredentials
from ccrouter.wire.messages import read_request
from tests.rig import JSON, SSE, Rig, Script, Sleep, event_types, message, provider, request, rig


def inbound(**fields: object) -> Inbound:
    return Inbound(
        request=read_request(request(**fields)),
        headers=[],
        query="",
        endpoint="messages",
        credentials=ClientCredentials(),
        request_id="req_1",
    )


async def parts(it: Rig, target: Target, wanted: Inbound) -> list[Part]:
    send, receive = trio.open_memory_channel[Part](0)
    found: list[Part] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pump, wanted, target, it.backends, send)
        async for part in receive:
            found.append(part)
    return found


CLAUDE = Target(provider("anthropic"), "claude-opus-5-5")


async def test_a_stream_comes_as_head_pieces_and_end() -> None:
    frames = message()
    first, rest = b"".join(frames[:2]), b"".join(frames[2:])
    found = await parts(rig(Script(body=[first, rest[:9], rest[9:]])), CLAUDE, inbound())
    assert isinstance(found[0], Head)
    assert isinstance(found[-1], End)
    pieces = [part for part in found if isinstance(part, Piece)]
    assert [part.data for part in pieces] == [first, rest]
    assert [part.ended for part in pieces] == [False, True]
    assert {part.first for part in pieces} == {"message_start"}


async def test_a_reply_that_is_no_stream_comes_whole() -> None:
    found = await parts(rig(Script(status=404, headers=JSON, body=[b"{", b"}"])), CLAUDE, inbound())
    assert found == [Whole(404, JSON, b"{}")]


async def test_a_failure_comes_down_the_channel_and_is_the_last() -> None:
    error = ConnectFailed("refused")
    assert await parts(rig(Script(before=[error])), CLAUDE, inbound()) == [Failed(error)]
    found = await parts(rig(Script(body=[message()[0]])), CLAUDE, inbound())
    assert [type(part) for part in found] == [Head, Piece, Failed]


async def test_a_missing_credential_is_a_failure_before_any_call() -> None:
    it = rig(Script(), environ={"HOME": "/nonexistent"})
    (found,) = await parts(it, CLAUDE, inbound())
    assert isinstance(found, Failed)
    assert isinstance(found.error, ApiError)
    assert found.error.status == 401
    assert not it.dial.calls


async def test_the_whole_call_has_a_deadline(autojump_clock: trio.testing.MockClock) -> None:
    slow = Target(provider("anthropic", timeouts=Timeouts(total=30)), "m")
    (found,) = await parts(rig(Script(before=[Sleep(1e6)])), slow, inbound())
    assert isinstance(found, Failed)
    assert isinstance(found.error, UpstreamTimeout)
    assert found.error.phase == "total"
    assert trio.current_time() == pytest.approx(30)


async def test_a_compressed_whole_reply_is_undone_with_its_header() -> None:
    headers = [*JSON, (b"content-encoding", b"gzip")]
    whole = await ask(
        inbound(stream=False), CLAUDE, rig(Script(headers=headers, body=[gzip.compress(b"{}")])).backends
    )
    assert whole == Whole(200, JSON, b"{}")


async def test_a_coding_that_is_not_known_passes_with_its_header() -> None:
    headers = [*JSON, (b"content-encoding", b"zstd")]
    whole = await ask(inbound(stream=False), CLAUDE, rig(Script(headers=headers, body=[b"???"])).backends)
    assert whole == Whole(200, headers, b"???")


async def test_a_reply_without_end_is_not_kept_in_memory() -> None:
    chunk = b"x" * (1024 * 1024)
    script = Script(headers=JSON, body=[chunk] * (MAX_WHOLE // len(chunk) + 10))
    it = rig(script)
    with pytest.raises(UpstreamBroken, match="64 MB"):
        await ask(inbound(stream=False), CLAUDE, it.backends)
    assert it.dial.closed == 1


async def test_asking_for_a_whole_reply_refuses_a_stream() -> None:
    it = rig(Script(headers=SSE, body=message()))
    with pytest.raises(UpstreamBroken, match="not asked for"):
        await ask(inbound(), CLAUDE, it.backends)
    assert it.dial.closed == 1


async def test_a_refusal_does_not_repeat_the_credential() -> None:
    it = rig(Script(status=401, headers=JSON, body=[b'"the key sk-router-key is bad"']))
    whole = await ask(inbound(stream=False), CLAUDE, it.backends)
    assert whole.body == b'"the key [redacted] is bad"'


# Bridges


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


CHAT = Target(provider("work", "chat"), "m")
RESPONSES = Target(provider("work", "responses"), "m")


def bridged(*scripts: Script) -> Rig:
    return rig(*scripts, providers=[CHAT.provider])


async def test_a_translated_stream_comes_in_the_clients_format() -> None:
    found = await parts(bridged(Script(body=chat_stream("hello"))), CHAT, inbound())
    assert isinstance(found[0], Head)
    assert found[0].headers == STREAM_HEADERS
    stream = b"".join(part.data for part in found if isinstance(part, Piece))
    assert event_types(stream)[0] == "message_start"
    assert event_types(stream)[-1] == "message_stop"
    assert isinstance(found[-1], End)


async def test_a_client_that_wants_no_stream_gets_the_message_that_it_means() -> None:
    it = bridged(Script(body=chat_stream("hello")), Script(body=chat_stream("hello")))
    first, second = [await ask(inbound(stream=False), CHAT, it.backends) for _ in range(2)]
    message = json.loads(first.body)
    assert message["content"] == [{"type": "text", "text": "hello"}]
    assert message["usage"]["output_tokens"] == 3
    assert message["id"] != json.loads(second.body)["id"]
    assert json.loads(it.dial.calls[0].body)["stream"] is True


async def test_an_error_in_a_stream_that_the_client_does_not_see_has_a_status() -> None:
    it = bridged(Script(body=[b'data: {"error": {"message": "Overloaded", "code": 529}}\n\n']))
    with pytest.raises(ApiError) as caught:
        await ask(inbound(stream=False), CHAT, it.backends)
    assert caught.value.status >= 500


async def test_a_stream_that_begins_with_an_error_has_a_status_and_advice() -> None:
    words = b'{"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}}'
    (head, failed) = await parts(bridged(Script(body=[b"data: " + words + b"\n\n"])), CHAT, inbound())
    assert isinstance(head, Head)
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, ApiError)
    assert failed.error.status == 429
    assert ("x-should-retry", "false") in failed.error.headers


async def test_a_translated_stream_that_is_cut_is_a_failure() -> None:
    found = await parts(bridged(Script(body=chat_stream("hello")[:1])), CHAT, inbound())
    assert isinstance(found[-1], Failed)
    assert not any(isinstance(part, End) for part in found)


async def test_a_missing_responses_endpoint_is_remembered_and_chat_is_spoken() -> None:
    it = rig(
        Script(where="/responses", status=404, headers=JSON, body=[b'{"detail":"Not Found"}']),
        Script(where="/chat/completions", body=chat_stream("hello")),
    )
    for _ in range(2):
        found = await parts(it, RESPONSES, inbound())
        assert isinstance(found[-1], End)
    paths = [call.url.rpartition("example")[2] for call in it.dial.calls]
    assert paths == ["/responses", "/chat/completions", "/chat/completions"]
    assert it.backends.wire(RESPONSES.provider) == "chat"


@pytest.mark.parametrize("insists", [True, False])
async def test_a_missing_model_or_a_user_who_insists_is_no_reason_to_fall_back(insists: bool) -> None:
    words = (
        b'{"error":{"message":"Not Found"}}' if insists else b'{"error":{"message":"The model m does not exist"}}'
    )
    target = Target(provider("work", "responses", wire="responses" if insists else None), "m")
    it = rig(Script(status=404, headers=JSON, body=[words]))
    (found,) = await parts(it, target, inbound())
    assert isinstance(found, Whole)
    assert found.status == 404
    assert len(it.dial.calls) == 1
