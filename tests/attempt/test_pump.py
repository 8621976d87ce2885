"""One call to a backend, seen from the channel: the parts in their order, and one whole reply."""

from __future__ import annotations

import base64
import gzip
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from attrs import evolve

from ccrouter.attempt.backends import Backends, Inbound
from ccrouter.attempt.parts import End, Failed, Head, Part, Piece, Whole
from ccrouter.attempt.pump import ask, pump
from ccrouter.attempt.whole import MAX_WHOLE, STREAM_HEADERS
from ccrouter.errors import ApiError, ConnectFailed, UpstreamBroken, UpstreamTimeout
from ccrouter.providers.provider import Model, Target, Timeouts
from ccrouter.providers.secret import FromCommand, FromFile, Literal
from ccrouter.routing.credentials import ClientCredentials
from ccrouter.upstream import codex
from ccrouter.upstream.credentials import Credentials
from ccrouter.upstream.dial import Answer, Call
from ccrouter.upstream.secrets import Secrets
from ccrouter.wire.fold import fold
from ccrouter.wire.headers import Headers
from ccrouter.wire.messages import read_request
from ccrouter.wire.sse import Decoder
from tests.rig import (
    JSON,
    NDJSON,
    SSE,
    Rig,
    Script,
    ScriptedAnswer,
    Sleep,
    event_types,
    message,
    provider,
    request,
    rig,
)

NOBODY = ClientCredentials()


def inbound(own: ClientCredentials = NOBODY, **fields: object) -> Inbound:
    return Inbound(
        request=read_request(request(**fields)),
        headers=[],
        query="",
        endpoint="messages",
        credentials=own,
        request_id="req_1",
    )


async def parts(it: Rig | Locked, target: Target, wanted: Inbound) -> list[Part]:
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
    assert it.backends.wire(RESPONSES) == "chat"


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


# Whole replies to who asked for a stream

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


# A credential that is refused


class Locked:
    """A backend that lets in one ``authorization`` only, and the issuer of logins beside it."""

    def __init__(self, environ: dict[str, str], right: bytes, issued: dict[str, str] | None = None) -> None:
        self.seen: list[bytes] = []
        self.issued = 0
        self._right = right
        self._answer = issued
        credentials = Credentials(Secrets(environ), environ, "linux", dial=self.dial)
        self.backends = Backends(dials={"http": self.dial}, credentials=credentials)

    @asynccontextmanager
    async def dial(self, call: Call) -> AsyncIterator[Answer]:
        await trio.testing.wait_all_tasks_blocked()  # all who ask at once are refused before one asks again
        if "/issuer" in call.url:
            self.issued += 1
            yield ScriptedAnswer(200, JSON, [json.dumps(self._answer).encode()])
            return
        shown = dict(call.headers).get(b"authorization", b"")
        self.seen.append(shown)
        if shown != self._right:
            yield ScriptedAnswer(401, JSON, [b'{"detail":"Unauthorized"}'])
        elif call.url.endswith("/responses"):
            yield ScriptedAnswer(200, JSON, [json.dumps(RESPONSE).encode()])
        else:
            yield ScriptedAnswer(200, SSE, list(message()))


def access(name: str) -> str:
    claims = json.dumps({"exp": time.time() + 90_000, "name": name}).encode()
    return f"a.{base64.urlsafe_b64encode(claims).decode().rstrip('=')}.c"


STALE, FRESH = access("stale"), access("fresh")
CODEX = Target(provider("codex"), "gpt-x")


def write_login(home: Path, token: str, refreshed: str = "2026-01-01T00:00:00Z") -> None:
    tokens = {"access_token": token, "refresh_token": "rt", "account_id": "acc"}
    login = {"auth_mode": "chatgpt", "tokens": tokens, "last_refresh": refreshed}
    (home / "auth.json").write_text(json.dumps(login))


def chatgpt(home: Path, right: str) -> Locked:
    """With a login that was refreshed just short of the time when one is refreshed by itself."""
    refreshed = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - codex.OLD + 3600))
    write_login(home, STALE, refreshed)
    environ = {"CODEX_HOME": str(home), codex.REFRESH_URL_VARIABLE: "http://127.0.0.1/issuer"}
    return Locked(environ, f"Bearer {right}".encode(), {"access_token": FRESH, "refresh_token": "rt-2"})


def bearer(*tokens: str) -> list[bytes]:
    return [f"Bearer {token}".encode() for token in tokens]


async def test_a_refused_login_is_refreshed_and_tried_once_more(tmp_path: Path) -> None:
    it = chatgpt(tmp_path, FRESH)
    found = await parts(it, CODEX, inbound())
    assert [type(part) for part in found] == [Head, Piece, End]
    assert it.seen == bearer(STALE, FRESH)
    assert it.issued == 1
    assert json.loads((tmp_path / "auth.json").read_text())["tokens"]["refresh_token"] == "rt-2"


async def test_twenty_requests_that_are_refused_at_once_cause_one_refresh(tmp_path: Path) -> None:
    it = chatgpt(tmp_path, FRESH)
    found: list[Whole] = []

    async def one() -> None:
        found.append(await ask(inbound(stream=False), CODEX, it.backends))

    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(one)
    assert [each.status for each in found] == [200] * 20
    assert it.issued == 1
    assert sorted(it.seen) == sorted(bearer(*[STALE] * 20, *[FRESH] * 20))


async def test_a_login_that_is_still_refused_is_told_after_the_second_try(tmp_path: Path) -> None:
    it = chatgpt(tmp_path, "nobody's")
    (found,) = await parts(it, CODEX, inbound())
    assert isinstance(found, Whole)
    assert found.status == 401
    assert it.seen == bearer(STALE, FRESH)
    await parts(it, CODEX, inbound())  # the next request refreshes nothing so soon
    assert it.seen == bearer(STALE, FRESH, FRESH)
    assert it.issued == 1


async def test_a_refused_login_that_was_renewed_by_its_owner_is_read_again(tmp_path: Path) -> None:
    login = tmp_path / ".claude" / ".credentials.json"
    login.parent.mkdir()

    def log_in(token: str) -> None:
        expires = (time.time() + 3600) * 1000
        login.write_text(json.dumps({"claudeAiOauth": {"accessToken": token, "expiresAt": expires}}))

    log_in("old-login")
    it = Locked({"HOME": str(tmp_path)}, b"Bearer new-login")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(parts, it, CLAUDE, inbound())
        await trio.testing.wait_all_tasks_blocked()
        log_in("new-login")
    assert it.seen == bearer("old-login", "new-login")


@pytest.mark.parametrize("own", [ClientCredentials(b"Bearer client"), ClientCredentials(None, b"sk-client")])
async def test_the_clients_own_credential_is_not_replaced(own: ClientCredentials, tmp_path: Path) -> None:
    login = tmp_path / ".claude" / ".credentials.json"
    login.parent.mkdir()
    expires = (time.time() + 3600) * 1000
    login.write_text(json.dumps({"claudeAiOauth": {"accessToken": "machine", "expiresAt": expires}}))
    it = Locked({"HOME": str(tmp_path), "ANTHROPIC_API_KEY": "sk-machine"}, b"Bearer machine")
    (found,) = await parts(it, CLAUDE, inbound(own))
    assert found == Whole(401, JSON, b'{"detail":"Unauthorized"}')
    assert it.seen == [own.authorization or b""]


@pytest.mark.parametrize("place", ["api_key", "headers"])
async def test_a_command_whose_key_is_refused_is_run_anew_once(tmp_path: Path, place: str) -> None:
    counter = tmp_path / "counter"
    counter.touch()
    script = 'printf x >> "$0"; printf "%skey-" "$1"; cat "$0"'
    command = FromCommand(("sh", "-c", script, str(counter), "" if place == "api_key" else "Bearer "))
    more: Any = {"api_key": command} if place == "api_key" else {"headers": (("Authorization", command),)}
    to = Target(provider("work", "responses", **more), "m")
    it = Locked({"PATH": "/usr/bin:/bin"}, b"Bearer key-xx")

    async def one() -> None:
        assert isinstance((await parts(it, to, inbound()))[-1], End)

    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(one)
    assert sorted(it.seen) == sorted(bearer(*["key-x"] * 20, *["key-xx"] * 20))
    assert counter.read_text() == "xx"


async def test_a_key_in_a_file_is_tried_again_only_when_it_changed(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("old")
    to = Target(provider("work", "responses", api_key=FromFile(str(file))), "m")
    it = Locked({}, b"Bearer new")
    (found,) = await parts(it, to, inbound())
    assert isinstance(found, Whole)
    assert it.seen == bearer("old")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(parts, it, to, inbound())
        await trio.testing.wait_all_tasks_blocked()
        file.write_text("new")
    assert it.seen == bearer("old", "old", "new")


@pytest.mark.parametrize("status", [400, 402, 403, 404, 407, 500])
async def test_no_other_status_is_a_reason_to_look_for_another_credential(status: int, tmp_path: Path) -> None:
    write_login(tmp_path, STALE, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 3600)))
    it = rig(Script(status=status, headers=JSON, body=[b"{}"]), environ={"CODEX_HOME": str(tmp_path)})
    (found,) = await parts(it, CODEX, inbound())
    assert isinstance(found, Whole)
    assert len(it.dial.calls) == 1


# What is known of a model before it is asked

LONG_PROMPT = [{"role": "user", "content": "word " * 6_000}]


def ollama(it: Rig, *, loaded: int | None = None, loads: int | None = None) -> Rig:
    """Its backend is an Ollama with a model that is loaded with this window, or will be when it is asked to."""

    def running(size: int) -> Script:
        body = json.dumps({"models": [{"name": "m:latest", "context_length": size}]}).encode()
        return Script(where="/api/ps", headers=JSON, body=[body])

    scripts = [] if loads is None else [Script(where="/api/generate", headers=JSON, body=[b"{}"]), running(loads)]
    if loaded is not None:
        scripts.append(running(loaded))
    it.questions.scripts = [*scripts, Script(status=404)]
    return it


LOCAL = Target(provider("ollama"), "m")


async def failure(it: Rig, target: Target, wanted: Inbound) -> str:
    found = await parts(it, target, wanted)
    assert [type(part) for part in found] == [Failed]
    assert isinstance(found[0], Failed)
    error = found[0].error
    assert isinstance(error, ApiError)
    assert error.status == 400
    return error.message


async def test_what_would_be_cut_in_silence_is_refused_and_never_sent() -> None:
    it = ollama(rig(Script(body=message()), providers=[LOCAL.provider]), loaded=4_096)
    (target,) = await it.backends.facts.inform([LOCAL], NOBODY)
    assert "tokens > 4096 maximum" in await failure(it, target, inbound(messages=LONG_PROMPT))
    assert it.dial.calls == []
    assert isinstance((await parts(it, target, inbound()))[-1], End)


async def test_no_request_is_refused_for_a_window_of_the_past() -> None:
    it = ollama(rig(Script(body=message()), providers=[LOCAL.provider]), loaded=32_768)
    old = Target(LOCAL.provider, "m", Model("m", loaded=4_096, local=True))
    assert isinstance((await parts(it, old, inbound(messages=LONG_PROMPT)))[-1], End)


async def test_a_model_that_is_not_loaded_is_loaded_before_a_prompt_that_it_might_cut() -> None:
    it = ollama(rig(Script(body=message()), providers=[LOCAL.provider]))
    (target,) = await it.backends.facts.inform([LOCAL], NOBODY)
    ollama(it, loads=4_096)
    await trio.sleep(0)
    assert "tokens > 4096 maximum" in await failure(it, target, inbound(messages=LONG_PROMPT))
    assert it.dial.calls == []
    paths = [call.url.removeprefix("http://127.0.0.1:11434") for call in it.questions.calls]
    assert paths.index("/api/generate") < len(paths) - 1 - paths[::-1].index("/api/ps")


async def test_a_small_prompt_loads_nothing_by_itself() -> None:
    it = ollama(rig(Script(body=message()), providers=[LOCAL.provider]), loads=4_096)
    assert isinstance((await parts(it, Target(LOCAL.provider, "m", Model("m", local=True)), inbound()))[-1], End)
    assert it.questions.calls == []


async def test_a_count_of_tokens_is_never_refused_for_its_length() -> None:
    it = rig(Script(headers=JSON, body=[b'{"input_tokens":1}']))
    target = Target(provider("llamacpp"), "m", Model("m", loaded=10, tools=False))
    counted = evolve(
        inbound(messages=LONG_PROMPT, tools=[{"name": "t", "input_schema": {}}]), endpoint="count_tokens"
    )
    assert isinstance((await parts(it, target, counted))[0], Whole)


async def test_a_very_long_prompt_is_measured_the_same_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    it = rig(Script(body=message()))
    target = Target(provider("lmstudio", models=(Model("m", window=2_000),)), "m")
    wanted = inbound(messages=LONG_PROMPT)
    said = await failure(it, target, wanted)
    monkeypatch.setattr("ccrouter.attempt.checks.LONG", 10)
    assert await failure(it, target, wanted) == said


async def test_tools_for_a_model_without_are_refused_and_never_sent() -> None:
    it = rig(Script(body=message()))
    target = Target(LOCAL.provider, "m", Model("m", tools=False))
    said = await failure(it, target, inbound(tools=[{"name": "read", "input_schema": {"type": "object"}}]))
    assert "can't call tools" in said
    assert it.dial.calls == []
