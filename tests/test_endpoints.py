"""The routes of the port, their errors, the lists of models and the counts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
import trio
from attrs import evolve
from trio.testing import MockClock

from ccrouter.endpoints import Endpoints
from ccrouter.errors import ApiError, ConnectFailed, UpstreamTimeout
from ccrouter.providers.provider import Model, Target
from ccrouter.routing.config import Config, Explain
from ccrouter.routing.rules import Rule, When
from ccrouter.translate.dialect import Kept
from ccrouter.translate.messages.reply import MessagesReply
from ccrouter.translate.tokens import estimate
from ccrouter.wire import envelope
from ccrouter.wire.events import Event
from ccrouter.wire.sse import Frame
from tests.rig import JSON, Rig, Script, Sleep, Talk, event_types, message, provider, request, rig, talk


@pytest.mark.parametrize("path", ["/", "/api/hello", "/health"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_router_says_that_it_is_there_without_a_token(method: str, path: str) -> None:
    async with talk(rig(Script())) as client:
        await client.send(b"", method=method, target=path, token=None)
        body = await client.reply()
    assert client.status == 200
    assert client.headers["request-id"].startswith("req_")
    assert bool(body) is (method == "GET")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/v1/messages", 405),
        ("POST", "/v1/models", 405),
        ("DELETE", "/health", 405),
        ("GET", "/v1/", 404),
        ("OPTIONS", "/v1/messages", 405),
    ],
)
async def test_what_is_no_endpoint_is_refused_in_the_envelope(method: str, path: str, status: int) -> None:
    async with talk(rig(Script())) as client:
        await client.send(b"", method=method, target=path)
        body = await client.reply()
    assert client.status == status
    assert envelope.is_envelope(body)
    assert json.loads(body)["request_id"] == client.headers["request-id"]
    assert ("allow" in client.headers) is (status == 405)


@pytest.mark.parametrize(
    "path", ["/v1/messages", "/v1/models", "/status", "/nothing", "/v1/messages/count_tokens"]
)
async def test_every_other_path_asks_for_the_token(path: str) -> None:
    async with talk(rig(Script())) as client:
        await client.send(b"", method="GET", target=path, token=None)
        await client.reply()
    assert client.status == 401


async def test_a_client_without_the_token_is_told_how_to_get_it_and_so_is_the_log_now_and_then(
    mock_clock: MockClock,
) -> None:
    it = rig(Script())
    endpoints = Endpoints(it)
    told = []
    for path, seconds in (("/nothing", 0), ("/v1/messages", 0), ("/v1/messages", 59), ("/v1/messages", 2)):
        mock_clock.jump(seconds)
        async with talk(it, endpoints=endpoints) as client:
            await client.send(request(), target=path, token="ccr-of-an-earlier-start")
            said = json.loads(await client.reply())["error"]["message"]
        assert "`ccrouter env`" in said
        assert envelope.shown(said) == said
        told.append(len(it.lines))
    assert told == [0, 1, 1, 2]
    assert it.lines[0].startswith("refused POST /v1/messages: ")


@pytest.mark.parametrize("header", [(b"origin", b"https://evil.example"), (b"host", b"evil.example")])
@pytest.mark.parametrize("path", ["/", "/health", "/v1/models"])
async def test_web_pages_and_foreign_names_are_refused_everywhere(header: tuple[bytes, bytes], path: str) -> None:
    it = rig(Script())
    async with talk(it) as client:
        name, value = header
        host = value if name == b"host" else b"127.0.0.1"
        raw = b"GET %s HTTP/1.1\r\nhost: %s\r\nx-ccrouter-token: %s\r\n" % (path.encode(), host, it.token.encode())
        if name == b"origin":
            raw += b"origin: " + value + b"\r\n"
        await client.stream.send_all(raw + b"\r\n")
        received = bytes(await client.stream.receive_some())
        assert received.startswith(b"HTTP/1.1 403")


@pytest.mark.parametrize(
    "target", ["/v1/messages", "/v1/messages/", "//v1/messages", "/base/path/v1/messages?beta=true"]
)
async def test_a_base_url_with_a_path_or_a_slash_too_many_finds_its_endpoint(target: str) -> None:
    it = rig(Script(headers=JSON, body=[b"{}"]))
    async with talk(it) as client:
        await client.send(request(), target=target)
        await client.reply()
    assert client.status == 200
    assert it.dial.calls[0].url.startswith("https://api.anthropic.com/v1/messages")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "not JSON"),
        (b"[]", "not JSON"),
        (b'{"model": "x"', "at character 13"),
        (b'{"model": "x"} trailing', "unexpected text"),
        (b"{}", "model: a non-empty string is required"),
        (b'{"model": 5}', "model"),
        (b'{"model": ""}', "model"),
        (b'{"model": "\xff"}', "not UTF-8"),
        (b'{"model":"x","a":' + b"[" * 100_000, "nested too deeply"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens"])
async def test_a_body_that_is_no_request_is_told_what_to_mend(body: bytes, words: str, path: str) -> None:
    it = rig(Script())
    async with talk(it) as client:
        await client.send(body, target=path)
        error = json.loads(await client.reply())
    assert client.status == 400
    assert error["error"]["type"] == "invalid_request_error"
    assert words in error["error"]["message"]
    assert not it.dial.calls


async def test_a_compressed_request_is_refused_by_the_name_of_its_coding() -> None:
    async with talk(rig(Script())) as client:
        await client.send(b"\x1f\x8b...", [(b"content-encoding", b"gzip")])
        body = await client.reply()
    assert client.status == 415
    assert b"'gzip'" in body


async def test_a_provider_without_a_model_is_a_404() -> None:
    async with talk(rig(Script())) as client:
        await client.send(request(model="anthropic:"))
        await client.reply()
    assert client.status == 404


# count_tokens

COUNT = b'{"model":"claude-opus-5-5","messages":[{"role":"user","content":"hello there, how are you today?"}]}'


async def test_a_backend_that_counts_is_asked_and_its_answer_passed_on() -> None:
    it = rig(Script(headers=[*JSON, (b"x-a", b"1")], body=[b'{"input_tokens": 42,', b' "new": 1}']))
    async with talk(it) as client:
        await client.send(COUNT, target="/v1/messages/count_tokens?beta=true")
        assert await client.reply() == b'{"input_tokens": 42, "new": 1}'
    assert it.dial.calls[0].url == "https://api.anthropic.com/v1/messages/count_tokens?beta=true"
    assert it.dial.calls[0].body == COUNT
    assert "x-ccrouter-estimate" not in client.headers


@pytest.mark.parametrize(
    "script",
    [
        Script(before=[ConnectFailed("refused")]),
        Script(status=404, headers=JSON, body=[b"{}"]),
        Script(status=500, headers=JSON, body=[b"oops"]),
        Script(status=200, headers=JSON, body=[b"<html>"]),
        Script(before=[Sleep(1e6)]),
    ],
)
async def test_a_count_is_never_an_error(script: Script, autojump_clock: MockClock) -> None:
    it = rig(script)
    async with talk(it) as client:
        await client.send(COUNT, target="/v1/messages/count_tokens")
        body = json.loads(await client.reply())
        assert trio.current_time() < 12
    assert client.status == 200
    assert body == {"input_tokens": estimate(json.loads(COUNT))}
    assert client.headers["x-ccrouter-estimate"] == "1"
    assert it.dial.opened == it.dial.closed


async def test_a_backend_that_can_not_count_is_not_asked() -> None:
    it = rig(Script(), providers=[provider("ollama")])
    async with talk(it) as client:
        await client.send(COUNT.replace(b"claude-opus-5-5", b"ollama:q"), target="/v1/messages/count_tokens")
        assert json.loads(await client.reply())["input_tokens"] > 0
    assert not it.dial.calls


async def test_a_hang_up_ends_a_count() -> None:
    it = rig(Script(before=[Sleep(1e6)]))
    async with talk(it) as client:
        await client.send(COUNT, target="/v1/messages/count_tokens")
        await trio.testing.wait_all_tasks_blocked()
        assert it.dial.opened == 1
        await trio.aclose_forcefully(client.stream)
        await trio.testing.wait_all_tasks_blocked()
        assert it.dial.closed == 1


# models


def listing(*ids: str) -> Script:
    return Script(headers=JSON, body=[json.dumps({"data": [{"id": each} for each in ids]}).encode()])


async def test_the_models_of_all_providers_are_listed_within_two_seconds_whatever_a_backend_does(
    autojump_clock: MockClock,
) -> None:
    it = rig(
        evolve(listing("claude-a"), where="anthropic.com"),
        Script(where=":1234", before=[Sleep(1e6)]),
        Script(where=":8000", status=500),
        Script(where="openrouter", headers=JSON, body=[b"not json"]),
        providers=[
            provider("anthropic"),
            provider("lmstudio"),
            provider("vllm"),
            provider("openrouter"),
            provider("mine", "messages", models=(Model("glm", name="GLM", window=131072),)),
        ],
        environ={"HOME": "/nonexistent", "ANTHROPIC_API_KEY": "sk-aaaaaaaa", "OPENROUTER_API_KEY": "sk-bbbbbbb"},
    )
    async with talk(it) as client:
        await client.send(b"", method="GET", target="/v1/models?limit=1000")
        body = json.loads(await client.reply())
        assert trio.current_time() <= 2.0
    assert [row["id"] for row in body["data"]] == ["claude-a", "mine:glm"]
    assert body["has_more"] is False
    assert (body["first_id"], body["last_id"]) == ("claude-a", "mine:glm")
    assert body["data"][1]["display_name"] == "GLM"
    assert body["data"][1]["description"] == "Anthropic-format endpoint · 128k"
    assert it.dial.opened == it.dial.closed == 4


async def test_a_listed_model_has_its_true_window() -> None:
    it = rig(
        Script(where="/api/tags", headers=JSON, body=[b'{"models":[{"name":"qwen3:8b"}]}']),
        providers=[provider("ollama")],
    )
    loaded = b'{"models":[{"name":"qwen3:8b","context_length":4096}]}'
    it.questions.scripts = [Script(where="/api/ps", headers=JSON, body=[loaded])]
    async with talk(it) as client:
        await client.send(b"", method="GET", target="/v1/models")
        (row,) = json.loads(await client.reply())["data"]
    assert (row["max_input_tokens"], row["description"]) == (4096, "Ollama · 4k · local")


async def test_a_slow_provider_does_not_slow_the_next_question(autojump_clock: MockClock) -> None:
    it = rig(Script(before=[Sleep(1e6)]), providers=[provider("lmstudio")])
    async with talk(it) as client:
        for _ in range(3):
            await client.send(b"", method="GET", target="/v1/models")
            await client.reply()
        assert trio.current_time() <= 2.0
    assert len(it.dial.calls) == 1


async def test_a_list_is_kept_for_a_while_and_outlives_a_failure(autojump_clock: MockClock) -> None:
    it = rig(listing("a"), Script(before=[ConnectFailed("gone")]), providers=[provider("lmstudio")])
    async with talk(it) as client:
        for _ in range(3):
            await client.send(b"", method="GET", target="/v1/models")
            assert [row["id"] for row in json.loads(await client.reply())["data"]] == ["lmstudio:a"]
            await trio.sleep(35)
    assert len(it.dial.calls) == 2


async def test_an_older_client_gets_ids_that_it_accepts_and_that_decode_back() -> None:
    it = rig(listing("qwen3:8b"), Script(headers=JSON, body=[b"{}"]), providers=[provider("lmstudio")])
    async with talk(it) as client:
        await client.send(
            b"", [(b"user-agent", b"claude-code/2.1.197")], method="GET", target="/v1/models?limit=1000"
        )
        (row,) = json.loads(await client.reply())["data"]
        assert row["id"].startswith("anthropic")
        assert row["display_name"] == "qwen3:8b (lmstudio)"
        await client.send(request(model=row["id"]))
        await client.reply()
    assert json.loads(it.dial.calls[1].body)["model"] == "qwen3:8b"


async def test_status_tells_of_every_provider_and_of_no_secret() -> None:
    it = rig(
        Script(status=500), providers=[provider("openrouter")], environ={"OPENROUTER_API_KEY": "sk-secret-key-1"}
    )
    async with talk(it) as client:
        await client.send(b"", method="GET", target="/status")
        text = (await client.reply()).decode()
    (row,) = json.loads(text)["providers"]
    assert row["name"] == "openrouter"
    assert "500" in row["problem"]
    assert "sk-secret" not in text
    assert it.token not in text


async def test_a_request_is_told_in_one_line_without_its_prompt() -> None:
    it = rig(Script(headers=JSON, body=[b"{}"]))
    async with talk(it) as client:
        await client.send(request(model="claude-\x1b[31mred", messages=[{"role": "user", "content": "sesame"}]))
        await client.reply()
    (line,) = it.lines
    assert "anthropic:claude-" in line
    assert "done" in line
    assert "\x1b" not in line
    assert "sesame" not in line


def broken(it: Rig) -> Rig:
    """Its backend makes a mistake of ours in the middle of its work."""
    it.makes_mistakes = True
    return it


async def test_a_mistake_of_ours_ends_one_request_and_is_told_without_what_it_was_made_on() -> None:
    it = broken(rig(Script(before=[TypeError("sk-secret")]), Script(body=message())))
    async with talk(it) as client:
        await client.send(request())
        body = await client.reply()
    assert client.status == 500
    assert envelope.is_envelope(body)
    assert b"a mistake in ccrouter itself: TypeError at " in body
    assert client.headers["x-should-retry"] == "false"
    assert client.headers["connection"] == "close"  # nobody knows what was left behind on it
    assert any(line.startswith("a mistake in ccrouter itself: TypeError") for line in it.lines)
    assert "sk-secret" not in f"{body!r}{it.lines}"
    async with talk(it) as client:
        await client.send(request())
        assert b"message_stop" in await client.reply()


@pytest.mark.parametrize("preset", ["anthropic", "vllm"])
async def test_a_mistake_after_the_beginning_of_a_stream_ends_it_with_an_error(
    preset: str, autojump_clock: MockClock
) -> None:
    script = Script(body=[*message()[:3], Sleep(1), TypeError("sk-secret")])
    it = broken(rig(script, providers=[provider(preset)]))
    async with talk(it) as client:
        await client.send(request(model=f"{preset}:m"))
        body = await client.reply()
    assert client.status == 200
    assert event_types(body)[-1] == "error"
    told = json.loads(body.split(b"data: ")[-1])["error"]
    assert told["type"] == "api_error"
    assert told["message"].startswith("ccrouter: a mistake in ccrouter itself: TypeError at ")
    assert len([line for line in it.lines if line.startswith("a mistake in ccrouter itself: TypeError at ")]) == 1
    assert "sk-secret" not in f"{body!r}{it.lines}"


@pytest.mark.parametrize("after", [1, 3])
async def test_a_reply_that_raises_ends_the_stream_with_an_error(
    after: int, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed, fed = MessagesReply.feed, []

    def feeding(reply: MessagesReply, frame: Frame) -> Sequence[Event | Kept]:
        fed.append(frame)
        if len(fed) > after:
            raise UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed")
        return feed(reply, frame)

    monkeypatch.setattr(MessagesReply, "feed", feeding)
    frames = [step for frame in message() for step in (frame, Sleep(1))]
    it = broken(rig(Script(body=frames), providers=[provider("vllm")]))
    async with talk(it) as client:
        await client.send(request(model="vllm:m"))
        body = await client.reply()
    assert event_types(body)[0] == "message_start"
    assert event_types(body)[-1] == "error"
    assert b"a mistake in ccrouter itself: UnicodeEncodeError at " in body
    assert any(line.startswith("a mistake in ccrouter itself: UnicodeEncodeError") for line in it.lines)


async def test_a_mistake_while_nothing_came_yet_but_pings_is_an_error_event(autojump_clock: MockClock) -> None:
    it = broken(rig(Script(before=[Sleep(100), TypeError()])))
    async with talk(it) as client:
        await client.send(request())
        body = await client.reply()
    assert client.status == 200
    assert {*event_types(body)[:-1]} == {"ping"}
    assert event_types(body)[-1] == "error"


async def test_a_mistake_behind_the_end_of_a_stream_leaves_it_whole(autojump_clock: MockClock) -> None:
    it = broken(rig(Script(body=[*message(), Sleep(1), TypeError()])))
    async with talk(it) as client:
        await client.send(request())
        assert await client.reply() == b"".join(message())
    assert any(line.startswith("a mistake in ccrouter itself: TypeError") for line in it.lines)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("status", [200, 400])
async def test_the_log_names_what_was_changed_in_a_request(stream: bool, status: int) -> None:
    refused = Script(status=400, headers=JSON, body=[b'{"error":{"message":"no"}}'])
    it = rig(Script(body=message()) if status == 200 else refused, aliases={"big": ("anthropic:claude-opus-5-5",)})
    async with talk(it) as client:
        await client.send(request(model="big", stream=stream))
        await client.reply()
    assert client.status == status
    assert it.lines[-1].endswith("; 1 changed: model: big -> claude-opus-5-5"), it.lines


async def test_the_status_tells_which_models_are_spoken_to_by_another_wire() -> None:
    models = (Model("plain"), Model("wide", num_ctx=65_536))
    it = rig(Script(status=500), providers=[provider("ollama", models=models)])
    async with talk(it) as client:
        await client.send(b"", method="GET", target="/status")
        (row,) = json.loads(await client.reply())["providers"]
    assert (row["wire"], row["wires"]) == ("messages", {"wide": "ollama"})


async def test_the_status_tells_which_models_refuse_to_sum_up_their_reasoning() -> None:
    it = rig(Script(status=500), providers=[provider("openai"), provider("responses")])
    it.backends.unsummarize(Target(it.providers["openai"], "gpt-x"))
    async with talk(it) as client:
        await client.send(b"", method="GET", target="/status")
        rows = json.loads(await client.reply())["providers"]
    assert [row["unsummarized"] for row in rows] == [["gpt-x"], []]


async def test_a_model_with_a_window_of_its_own_is_listed_with_that() -> None:
    it = rig(Script(status=500), providers=[provider("ollama", models=(Model("wide", num_ctx=65_536),))])
    async with talk(it) as client:
        await client.send(b"", method="GET", target="/v1/models")
        (row,) = json.loads(await client.reply())["data"]
    assert row["max_input_tokens"] == 65_536
    assert "64k" in row["description"]


# explain


async def explained(client: Talk, query: str = "") -> list[dict[str, Any]]:
    await client.send(b"", method="GET", target=f"/explain{query}")
    body = json.loads(await client.reply())
    assert client.status == 200, body
    found: list[dict[str, Any]] = body["requests"]
    return found


@pytest.mark.parametrize(
    ("script", "status"),
    [
        (Script(before=[ConnectFailed("refused")]), 502),
        (Script(status=429, headers=JSON, body=[b"{}"]), 429),
        (Script(before=[TypeError("a mistake of ours")]), 500),
        (Script(headers=JSON, body=[b"{}"]), 200),
    ],
)
async def test_a_reply_has_the_name_by_which_the_log_and_explain_tell_of_its_request(
    script: Script, status: int
) -> None:
    it = rig(script)
    it.makes_mistakes = status == 500
    async with talk(it) as client:
        await client.send(request())
        body = json.loads(await client.reply())
        name = client.headers["request-id"]
        assert client.status == status
        assert body.get("request_id", name) == name
        await trio.testing.wait_all_tasks_blocked()
        assert any(f"({name})" in line for line in it.lines)
    async with talk(it) as client:
        assert [each["request_id"] for each in await explained(client)] == [name]


async def test_the_last_requests_are_told_the_newest_first() -> None:
    it = rig(Script(headers=JSON, body=[b"{}"]), config=Config(explain=Explain(keep=3)))
    async with talk(it) as client:
        assert await explained(client) == []
        ids = []
        for _ in range(4):
            await client.send(request())
            await client.reply()
            ids.append(client.headers["request-id"])
        assert [each["request_id"] for each in await explained(client)] == ids[-1:]
        assert [each["request_id"] for each in await explained(client, "?last=2")] == ids[:-3:-1]
        assert [each["request_id"] for each in await explained(client, "?last=999999")] == ids[:0:-1]
        assert await explained(client, "?last=0") == []
        (told,) = await explained(client)
    assert [each["target"] for each in told["candidates"]] == ["anthropic:claude-opus-5-5"]
    assert told["because"] == "the model's name"
    assert [each["result"] for each in told["tries"]] == ["done"]


@pytest.mark.parametrize("query", ["last=x", "last=-1", "last=1.5", "last=1000000", "last=%C2%B2"])
async def test_a_number_that_is_none_is_refused(query: str) -> None:
    async with talk(rig(Script())) as client:
        await client.send(b"", method="GET", target=f"/explain?{query}")
        body = await client.reply()
    assert client.status == 400
    assert b"?last=3" in body


async def test_a_request_that_leads_nowhere_is_told_too() -> None:
    it = rig(Script())
    async with talk(it) as client:
        await client.send(request(model="anthropic:"))
        await client.reply()
        assert client.status == 404
        (told,) = await explained(client)
    assert (told["result"], told["candidates"], told["tries"]) == ("failed", [], [])
    assert "names a provider but no model" in told["failure"]


async def test_each_try_is_told_with_what_it_was_passed_over_for(autojump_clock: MockClock) -> None:
    it = rig(
        Script(where="anthropic.com", before=[Sleep(2), ConnectFailed("refused")]),
        Script(where=":11434", body=message()),
        providers=[provider("anthropic"), provider("ollama")],
        aliases={"big": ("anthropic:claude-x", "ollama:q")},
    )
    async with talk(it) as client:
        await client.send(request(model="big"))
        await client.reply()
        await trio.testing.wait_all_tasks_blocked()
        (told,) = await explained(client)
    first, second = told["tries"]
    assert (first["target"], first["kind"], first["failure"]) == ("anthropic:claude-x", "connect", "refused")
    assert (first["began"], first["seconds"]) == (0.0, 2.0)
    assert (second["target"], second["result"], second["began"]) == ("ollama:q", "done", 2.0)
    assert told["usage"] == {"input_tokens": 3, "output_tokens": 5}
    assert told["changes"]


BUSY = Script(
    status=529, headers=JSON, body=[envelope.write(ApiError(529, "overloaded_error", "Overloaded"), "up")]
)
NO_HOST = Script(before=[ConnectFailed("refused")])
SILENT = Script(before=[UpstreamTimeout("silent", "first_byte")])
OWN = Script(status=503, headers=JSON, body=[b'{"error":"try later"}'])


@pytest.mark.parametrize(
    ("first", "second", "blamed", "said"),
    [
        (BUSY, NO_HOST, "anthropic:claude-x", "529 Overloaded"),
        (NO_HOST, BUSY, "vllm:q", "529 Overloaded"),
        (OWN, NO_HOST, "anthropic:claude-x", '502 {"error":"try later"}'),
        (SILENT, NO_HOST, "anthropic:claude-x", "anthropic: silent"),
        (NO_HOST, SILENT, "vllm:q", "vllm: silent"),
        (NO_HOST, NO_HOST, "anthropic:claude-x", "anthropic: refused"),
    ],
)
async def test_of_several_failures_the_log_and_explain_name_the_one_that_was_told_and_whose_it_is(
    first: Script, second: Script, blamed: str, said: str, autojump_clock: MockClock
) -> None:
    it = rig(
        evolve(first, where="anthropic.com"),
        evolve(second, where=":8000"),
        providers=[provider("anthropic"), provider("vllm")],
        aliases={"big": ("anthropic:claude-x", "vllm:q")},
    )
    async with talk(it) as client:
        await client.send(request(model="big"))
        await client.reply()
        await trio.testing.wait_all_tasks_blocked()
        (told,) = await explained(client)
    assert f" big -> {blamed} failed [{said}] " in it.lines[-1]
    assert all(each["failure"] for each in told["tries"])
    assert told["failure"] == (None if blamed == told["tries"][-1]["target"] else said.lstrip("0123456789 "))


async def test_a_request_that_is_explained_is_sent_nowhere_and_not_remembered() -> None:
    it = rig(Script(body=message()))
    async with talk(it) as client:
        await client.send(request(), target="/explain")
        told = json.loads(await client.reply())
        assert client.status == 200
        assert [each["target"] for each in told["candidates"]] == ["anthropic:claude-opus-5-5"]
        assert await explained(client) == []
    assert it.dial.calls == []
    assert it.lines == []


@pytest.mark.parametrize(("body", "status"), [(b"[]", 400), (b"{}", 400)])
async def test_what_can_not_be_explained_is_refused_as_the_request_would_be(body: bytes, status: int) -> None:
    async with talk(rig(Script())) as client:
        await client.send(body, target="/explain")
        assert envelope.is_envelope(await client.reply())
        assert client.status == status


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_explanations_are_for_who_has_the_token(method: str) -> None:
    async with talk(rig(Script())) as client:
        await client.send(request(), method=method, target="/explain", token=None)
        await client.reply()
    assert client.status == 401


async def test_a_hang_up_ends_an_explanation() -> None:
    it = rig(Script(), providers=[provider("ollama")])
    it.questions.scripts = [Script(before=[Sleep(1e6)])]
    async with talk(it) as client:
        await client.send(request(model="ollama:q"), target="/explain")
        await trio.testing.wait_all_tasks_blocked()
        assert it.questions.opened > it.questions.closed
        await trio.aclose_forcefully(client.stream)
        await trio.testing.wait_all_tasks_blocked()
        assert it.questions.opened == it.questions.closed


async def test_the_status_has_the_summary() -> None:
    it = rig(Script(headers=JSON, body=[b"{}"]), config=Config(subagent=("ollama:s",)))
    async with talk(it) as client:
        await client.send(request())
        await client.reply()
        await client.send(b"", method="GET", target="/status")
        told = json.loads(await client.reply())
    assert told["subagent"] == ["ollama:s"]
    assert told["remembered"] == 1
    assert (told["profile"], told["problems"], told["resting"]) == (None, [], {})


# A count goes where the request would go


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens"])
async def test_a_count_goes_where_the_request_would_go(path: str) -> None:
    rule = Rule(name="r", when=When(classes=("subagent",)), use=("llamacpp:q",))
    it = rig(
        Script(headers=JSON, body=[b'{"input_tokens": 42}']),
        providers=[provider("anthropic"), provider("llamacpp")],
        config=Config(routes=(rule,)),
    )
    marked = request(system="be\n<ccrouter-model>anthropic:claude-x</ccrouter-model>\nkind", stream=False)
    for headers, body, expected in (
        ([(b"x-claude-code-request-class", b"subagent")], COUNT, (":8080", "q")),
        ([(b"x-claude-code-request-class", b"main")], COUNT, ("api.anthropic.com", "claude-opus-5-5")),
        ([(b"x-claude-code-request-class", b"subagent")], marked, ("api.anthropic.com", "claude-x")),
    ):
        async with talk(it) as client:
            await client.send(body, [*headers, (b"x-ccrouter-project", b"/secret-project")], target=path)
            await client.reply()
        host, model = expected
        assert host in it.dial.calls[-1].url
        sent = it.dial.calls[-1]
        assert json.loads(sent.body)["model"] == model
        assert b"ccrouter-model" not in sent.body
        assert b"secret-project" not in b"".join(value for _, value in sent.headers)
