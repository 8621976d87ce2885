"""Replies that are no streams: read whole, folded from a stream, unrolled into one."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from ccrouter.attempt.parts import End, Failed, Head, Piece, Whole
from ccrouter.attempt.pump import ask
from ccrouter.attempt.whole import MAX_WHOLE, STREAM_HEADERS
from ccrouter.errors import ApiError, UpstreamBroken
from ccrouter.providers.provider import Target
from ccrouter.providers.secret import Literal
from tests.attempt.calls import (
    CHAT,
    CLAUDE,
    COMPLETION,
    RESPONSE,
    RESPONSES,
    bridged,
    chat_stream,
    inbound,
    parts,
)
from tests.rig import JSON, Script, event_types, provider, rig


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


async def test_a_refusal_does_not_repeat_the_credential() -> None:
    it = rig(Script(status=401, headers=JSON, body=[b'"the key sk-router-key is bad"']))
    whole = await ask(inbound(stream=False), CLAUDE, it.backends)
    assert whole.body == b'"the key [redacted] is bad"'


async def test_a_client_that_wants_no_stream_gets_the_message_that_it_means() -> None:
    it = bridged(Script(body=chat_stream("hello")), Script(body=chat_stream("hello")))
    first, second = [await ask(inbound(stream=False), CHAT, it.backends) for _ in range(2)]
    message = json.loads(first.body)
    assert message["content"] == [{"type": "text", "text": "hello"}]
    assert message["usage"]["output_tokens"] == 3
    assert message["id"] != json.loads(second.body)["id"]
    assert json.loads(it.dial.calls[0].body)["stream"] is True


async def test_a_message_is_whole_though_the_connection_fails_behind_its_end() -> None:
    it = bridged(Script(body=[*chat_stream("hello"), UpstreamBroken("reset")]))
    whole = await ask(inbound(stream=False), CHAT, it.backends)
    assert json.loads(whole.body)["content"] == [{"type": "text", "text": "hello"}]
    found = await parts(bridged(Script(body=[*chat_stream("hello"), UpstreamBroken("reset")])), CHAT, inbound())
    assert isinstance(found[-1], End)


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


@pytest.mark.parametrize(("target", "reply"), [(CHAT, COMPLETION), (RESPONSES, RESPONSE)])
@pytest.mark.parametrize("coded", [False, True])
async def test_a_backend_that_knows_no_streams_is_heard(
    target: Target, reply: dict[str, Any], coded: bool
) -> None:
    body = json.dumps(reply).encode()
    headers = [*JSON, (b"content-encoding", b"gzip")] if coded else JSON
    script = Script(headers=headers, body=[gzip.compress(body)] if coded else [body[:20], body[20:]])
    it = rig(script, providers=[target.provider])
    found = await parts(it, target, inbound())
    assert isinstance(found[0], Head)
    assert found[0].headers == STREAM_HEADERS
    assert isinstance(found[-1], End)
    stream = b"".join(part.data for part in found if isinstance(part, Piece))
    assert event_types(stream)[-1] == "message_stop"
    assert b"hello" in stream
    whole = json.loads((await ask(inbound(stream=False), target, it.backends)).body)
    assert whole["content"] == [{"type": "text", "text": "hello"}]
    assert (whole["usage"]["input_tokens"], whole["usage"]["output_tokens"]) == (7, 3)


@pytest.mark.parametrize("target", [CHAT, RESPONSES])
@pytest.mark.parametrize("streamed", [True, False])
async def test_an_error_in_a_whole_reply_has_a_status_and_advice(target: Target, streamed: bool) -> None:
    words = b'{"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}}'
    found = await parts(
        rig(Script(headers=JSON, body=[words]), providers=[target.provider]), target, inbound(stream=streamed)
    )
    assert isinstance(found[-1], Failed)
    assert isinstance(found[-1].error, ApiError)
    assert found[-1].error.status == 429
    assert ("x-should-retry", "false") in found[-1].error.headers
    assert not any(isinstance(part, Piece) for part in found)


@pytest.mark.parametrize("target", [CHAT, RESPONSES])
async def test_what_is_no_reply_is_told_by_its_first_words_without_the_credential(target: Target) -> None:
    key = Literal("key-of-the-gateway")
    page = b"Welcome to the portal of key-of-the-gateway, log in"
    to = Target(provider(target.provider.name, target.provider.preset.name, api_key=key), "m")
    script = Script(headers=[(b"content-type", b"text/plain")], body=[page])
    (found,) = await parts(rig(script, providers=[to.provider]), to, inbound())
    assert isinstance(found, Failed)
    assert isinstance(found.error, UpstreamBroken)
    assert "no reply: Welcome to the portal of [redacted], log in" in str(found.error)


@pytest.mark.parametrize(
    ("body", "usage"),
    [
        (b'{"usage":{"input_tokens":3,"output_tokens":5}}', {"input_tokens": 3, "output_tokens": 5}),
        (b'{"usage":{"input_tokens":"3"}}', {}),
        (b'{"usage":[]}', {}),
        (b"[]", {}),
        (b"not json", {}),
        (b"[" * 100_000, {}),
    ],
    ids=lambda value: repr(value)[:30],
)
async def test_the_usage_of_a_whole_reply_is_what_it_says(body: bytes, usage: dict[str, int]) -> None:
    whole = await ask(inbound(stream=False), CLAUDE, rig(Script(headers=JSON, body=[body])).backends)
    assert (whole.body, whole.usage) == (body, usage)


async def test_a_folded_stream_has_the_usage_of_the_message() -> None:
    whole = await ask(inbound(stream=False), CHAT, bridged(Script(body=chat_stream("hello"))).backends)
    told = json.loads(whole.body)["usage"]
    assert {name: told[name] for name in whole.usage} == whole.usage
    assert whole.usage["output_tokens"] == 3
