"""A whole router over real loopback sockets."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import trio
from attrs import evolve

import ccrouter.service
from ccrouter.errors import ConfigError, SecretError, StartError
from ccrouter.file_lock import locked
from ccrouter.providers.presets import PRESETS
from ccrouter.remembered.choice import ChoiceFile
from ccrouter.routing.profiles import Choice
from ccrouter.service import Options, Running, serve
from ccrouter.wire import events
from tests.backend import Backend, Reply, Seen, backend
from tests.rig import Talk, event_types, message, request

SSE = [(b"content-type", b"text/event-stream")]
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def no_local_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    """What happens to run on this machine's default ports is not part of a test."""
    presets = {name: evolve(row, base_url=NOWHERE) if row.probe else row for name, row in PRESETS.items()}
    monkeypatch.setattr(ccrouter.service, "PRESETS", presets)


@asynccontextmanager
async def running(
    tmp_path: Path,
    config: str = "",
    environ: Mapping[str, str] | None = None,
    lines: list[str] | None = None,
    host: str | None = None,
) -> AsyncIterator[Running]:
    file = tmp_path / "config.toml"
    file.write_text(config)
    log = [] if lines is None else lines
    options = Options(config=file, port=0, host=host, log=log.append)
    async with trio.open_nursery() as nursery:
        it: Running = await nursery.start(
            lambda task_status: serve(
                options,
                environ={"HOME": str(tmp_path), **(environ or {})},
                platform="linux",
                task_status=task_status,
            )
        )
        yield it
        it.end()


def client(it: Running, **more: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=it.url, headers={"x-ccrouter-token": it.token}, trust_env=False, timeout=10, **more
    )


def body(**fields: Any) -> dict[str, Any]:
    base = {"model": "claude-opus-5-5", "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]}
    return base | fields


def anthropic(it: Backend) -> str:
    return f'[providers.anthropic]\nbase_url = "{it.url}"\napi_key = "sk-configured-key"\n'


async def test_with_nothing_configured_and_nothing_found_the_demo_model_answers(tmp_path: Path) -> None:
    lines: list[str] = []
    async with running(tmp_path, "[demo]\npace = 0", lines=lines) as it, client(it) as http:
        reply = (await http.post("/v1/messages", json=body())).json()
        assert "demo model" in reply["content"][0]["text"]
        models = (await http.get("/v1/models")).json()["data"]
        assert ["demo" in row["display_name"] for row in models] == [True]
        status = (await http.get("/status")).json()
    assert status["default"] == "demo"
    assert any("demo model" in line for line in lines)


async def test_the_demo_model_never_answers_in_place_of_a_provider(tmp_path: Path) -> None:
    config = f'[providers.lmstudio]\nbase_url = "{NOWHERE}"\n'
    async with running(tmp_path, config) as it, client(it) as http:
        for model in ("claude-opus-5-5", "anything", "lmstudio:x"):
            reply = await http.post("/v1/messages", json=body(model=model))
            assert reply.status_code == 502
            assert "lmstudio: cannot reach" in reply.json()["error"]["message"]
        asked_for = await http.post("/v1/messages", json=body(model="demo:demo"))
        assert asked_for.status_code == 200


async def test_who_names_a_preset_that_is_not_set_up_is_told_so_and_gets_nobody_elses_answer(
    tmp_path: Path,
) -> None:
    async with backend(answering) as upstream:
        config = f'default = "ollama:q"\n[providers.ollama]\nbase_url = "{upstream.url}"\n'
        async with running(tmp_path, config) as it, client(it) as http:
            reply = await http.post("/v1/messages", json=body(model="azure:gpt-x"))
            foretold = (await http.post("/explain", json=body(model="azure:gpt-x"))).json()
            (told,) = (await http.get("/explain")).json()["requests"]
    assert reply.status_code == 404
    error = reply.json()["error"]
    assert error["type"] == "not_found_error"
    assert "give it a base_url in [providers.azure]" in error["message"]
    assert error["message"] in told["failure"]
    assert error["message"] in foretold["failure"]
    assert not [each for each in upstream.seen if b"hi" in each.body]


async def test_a_key_in_the_environment_sets_its_provider_up(tmp_path: Path) -> None:
    async with running(tmp_path, environ={"OPENROUTER_API_KEY": "sk-or-aaaaaaaa", "ANTHROPIC_API_KEY": ""}) as it:
        async with client(it) as http:
            status = (await http.get("/status")).json()
    assert [row["name"] for row in status["providers"]] == ["openrouter"]
    assert status["default"] == "openrouter"


async def test_a_login_of_this_machine_sets_anthropic_up(tmp_path: Path) -> None:
    (tmp_path / ".claude").mkdir()
    login = {"claudeAiOauth": {"accessToken": "sk-ant-oat01-live", "expiresAt": 4102444800000}}
    (tmp_path / ".claude" / ".credentials.json").write_text(json.dumps(login))

    async def script(seen: Seen, reply: Reply) -> None:
        await reply.whole(200, [], b"{}")

    async with (
        backend(script) as upstream,
        running(tmp_path, f'[providers.anthropic]\nbase_url = "{upstream.url}"') as it,
    ):
        async with client(it) as http:
            await http.post("/v1/messages", json=body(), headers={"anthropic-beta": "a"})
    (seen,) = upstream.seen
    assert seen.header(b"authorization") == b"Bearer sk-ant-oat01-live"
    assert seen.header(b"anthropic-beta") == b"a,oauth-2025-04-20"


async def test_a_login_of_codex_sets_its_provider_up_without_being_refreshed(tmp_path: Path) -> None:
    tokens = {"access_token": "a.e30.c", "refresh_token": "r", "account_id": "acc"}  # long since due
    file = tmp_path / ".codex" / "auth.json"
    file.parent.mkdir()
    file.write_text(json.dumps({"auth_mode": "chatgpt", "tokens": tokens, "last_refresh": "2020-01-01T00:00:00Z"}))
    before = file.read_bytes()
    lines: list[str] = []
    async with running(tmp_path, lines=lines):
        with trio.fail_after(5):
            while not lines:
                await trio.sleep(0.01)
    assert "providers: codex; default: codex" in lines
    assert file.read_bytes() == before
    assert list(file.parent.iterdir()) == [file]


async def test_a_file_of_codex_without_a_login_sets_nothing_up(tmp_path: Path) -> None:
    (tmp_path / "auth.json").write_text('{"OPENAI_API_KEY": "sk-key"}')
    lines: list[str] = []
    async with running(tmp_path, environ={"CODEX_HOME": str(tmp_path)}, lines=lines):
        with trio.fail_after(5):
            while not lines:
                await trio.sleep(0.01)
    assert "demo model" in lines[0]


async def test_a_local_server_on_its_default_port_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ollama(seen: Seen, reply: Reply) -> None:
        if seen.target == "/api/tags":
            await reply.whole(200, [], b'{"models":[{"name":"qwen3:8b","model":"qwen3:8b"}]}')
        else:
            await reply.whole(200, [], b"{}")

    async with backend(ollama) as upstream:
        found = evolve(PRESETS["ollama"], base_url=upstream.url)
        # Another program on vLLM's port, with a list of the same shape, is not taken for it.
        other = evolve(PRESETS["vllm"], base_url=upstream.url, models_path="/api/tags", listing="ollama")
        monkeypatch.setattr(ccrouter.service, "PRESETS", {**PRESETS, "ollama": found, "vllm": other,
            **{name: evolve(PRESETS[name], base_url=NOWHERE) for name in ("lmstudio", "llamacpp")}})  # fmt: skip
        async with running(tmp_path) as it, client(it) as http:
            assert (await http.get("/status")).json()["default"] == "ollama"
            listed = await it.models(1.0)
            assert [(each.name, each.provider, each.anthropic) for each in listed] == [
                ("ollama:qwen3:8b", "ollama", False)
            ]
            await http.post("/v1/messages", json=body(model="claude-opus-5-5"))
    assert json.loads(upstream.seen[-1].body)["model"] == "qwen3:8b"


async def test_a_local_server_that_is_busy_when_the_router_starts_gets_the_first_conversation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ollama(seen: Seen, reply: Reply) -> None:
        if seen.target == "/api/tags":
            await trio.sleep(ccrouter.upstream.models.PROBE + 0.2)
            await reply.whole(200, [], b'{"models":[{"name":"up","model":"up"}]}')
        else:
            await answering(seen, reply)

    async with backend(ollama) as upstream:
        presets = {name: evolve(row, base_url=NOWHERE) if row.probe else row for name, row in PRESETS.items()}
        presets |= {"ollama": evolve(PRESETS["ollama"], base_url=upstream.url)}
        monkeypatch.setattr(ccrouter.service, "PRESETS", presets)
        async with running(tmp_path, environ={"OPENROUTER_API_KEY": "sk-or-aaaaaaaa"}) as it, client(it) as http:
            listed = await it.models(2.5)
            reply = (await http.post("/v1/messages", json=body())).json()
    assert reply["content"][0]["text"] == "up", "and not somebody else who is paid for it"
    assert "ollama:up" in [each.name for each in listed]


async def test_the_demo_does_not_answer_when_a_server_has_just_been_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ollama(seen: Seen, reply: Reply) -> None:
        if seen.target == "/api/tags":
            await reply.whole(200, [], b'{"models":[{"name":"up","model":"up"}]}')
        else:
            await answering(seen, reply)

    monkeypatch.setattr(ccrouter.upstream.machine, "LOOK_SOON", 0.0)
    presets = {name: evolve(row, base_url=NOWHERE) if row.probe else row for name, row in PRESETS.items()}
    monkeypatch.setattr(ccrouter.service, "PRESETS", presets)
    async with running(tmp_path, "[demo]\npace = 0") as it, client(it) as http:
        reply = (await http.post("/v1/messages", json=body())).json()
        assert "demo model" in reply["content"][0]["text"]
        async with backend(ollama) as upstream:
            presets["ollama"] = evolve(PRESETS["ollama"], base_url=upstream.url)
            reply = (await http.post("/v1/messages", json=body())).json()
    assert reply["content"][0]["text"] == "up"


@pytest.mark.parametrize("key", [True, False], ids=["beside a hosted provider", "with nothing else"])
async def test_a_local_server_that_is_busy_or_starts_anew_keeps_its_conversations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: bool
) -> None:
    monkeypatch.setattr(ccrouter.upstream.machine, "LOOK_AGAIN", 0.0)
    monkeypatch.setattr(ccrouter.upstream.machine, "PROBE", 0.05)
    monkeypatch.setattr(ccrouter.upstream.models, "PROBE", 0.05)
    looks = 0
    there = trio.Event()
    there.set()

    async def ollama(seen: Seen, reply: Reply) -> None:
        nonlocal looks
        if seen.target == "/api/tags":
            looks += 1
            await there.wait()
            await reply.whole(200, [], b'{"models":[{"name":"up","model":"up"}]}')
        else:
            await answering(seen, reply)

    async with backend(ollama) as upstream, trio.open_nursery() as nursery:
        vendor = evolve(PRESETS["openrouter"], base_url=NOWHERE)
        found = evolve(PRESETS["ollama"], base_url=upstream.url)
        presets = {name: evolve(row, base_url=NOWHERE) if row.probe else row for name, row in PRESETS.items()}
        presets |= {"ollama": found, "openrouter": vendor}
        monkeypatch.setattr(ccrouter.service, "PRESETS", presets)
        environ = {"OPENROUTER_API_KEY": "sk-or-aaaaaaaa"} if key else {}
        async with running(tmp_path, environ=environ) as it, client(it) as http:

            async def says() -> object:
                session = {"x-claude-code-session-id": "s1"}
                reply = (await http.post("/v1/messages", json=body(), headers=session)).json()
                await trio.sleep(0.1)  # whatever looked around meanwhile is back
                return reply["content"][0]["text"] if "content" in reply else reply["error"]["message"]

            assert await says() == "up"
            there = trio.Event()  # it loads a model, and answers nothing else meanwhile
            before = looks
            while looks < before + 3:
                assert await says() == "up"
            there.set()
            presets["ollama"] = evolve(found, base_url=NOWHERE)  # it is stopped
            for _ in range(4):
                assert "ollama: cannot reach" in str(await says())
            presets["ollama"] = found
            await says()
            assert await says() == "up"
        nursery.cancel_scope.cancel()


async def test_a_window_that_a_model_was_loaded_with_anew_holds_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ccrouter.upstream.facts, "FRESH", 0.05)
    loaded = 4_096

    async def ollama(seen: Seen, reply: Reply) -> None:
        rows = {
            "/api/tags": {"models": [{"name": "m:1"}]},
            "/api/ps": {"models": [{"name": "m:1", "context_length": loaded}]},
            "/api/show": {"model_info": {"x.context_length": 131_072}, "capabilities": ["completion", "tools"]},
        }
        answer = {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "m:1",
            "content": [{"type": "text", "text": "yes"}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": {"input_tokens": 1, "output_tokens": 1},
        }
        await reply.whole(200, [], json.dumps(rows.get(seen.target, answer)).encode())

    async with backend(ollama) as upstream:
        config = f'[providers.ollama]\nbase_url = "{upstream.url}"\n'
        async with running(tmp_path, config) as it, client(it) as http:
            long = body(model="ollama:m:1", messages=[{"role": "user", "content": "word " * 8_000}])
            refused = await http.post("/v1/messages", json=long)
            assert refused.status_code == 400
            assert " > 4096 maximum (the model could have 131072: " in refused.json()["error"]["message"]
            assert "/v1/messages" not in {seen.target for seen in upstream.seen}
            loaded = 32_768
            assert (await http.post("/v1/messages", json=long)).status_code == 200
            (row,) = await it.models(1.0)
            assert row.description == "Ollama · 32k of 128k · text only · local"
            asked = len([seen for seen in upstream.seen if seen.target == "/api/show"])
            with trio.fail_after(5):  # no request waits for it: it is asked behind their backs
                while len([seen for seen in upstream.seen if seen.target == "/api/show"]) == asked:
                    assert (await http.post("/v1/messages", json=body(model="ollama:m:1"))).status_code == 200
                    await trio.sleep(0.02)


async def test_an_edit_of_the_configuration_holds_from_the_next_request_on(tmp_path: Path) -> None:
    async def script(seen: Seen, reply: Reply) -> None:
        await reply.whole(200, [], json.dumps({"port": port_of(seen)}).encode())

    def port_of(seen: Seen) -> str:
        return (seen.header(b"host") or b"").decode().rpartition(":")[2]

    lines: list[str] = []
    async with (
        backend(script) as one,
        backend(script) as two,
        running(tmp_path, anthropic(one), lines=lines) as it,
    ):
        async with client(it) as http:
            assert (await http.post("/v1/messages", json=body())).json() == {"port": str(one.port)}
            (tmp_path / "config.toml").write_text(anthropic(two))
            assert (await http.post("/v1/messages", json=body())).json() == {"port": str(two.port)}
            (tmp_path / "config.toml").write_text(anthropic(one) + "\nprot = 5\n")
            assert (await http.post("/v1/messages", json=body())).json() == {"port": str(two.port)}
            problem = (await http.get("/status")).json()["config"]["problem"]
            assert "prot" in problem
            assert "5" in problem
            assert any("prot" in line for line in lines)
            (tmp_path / "config.toml").write_text(anthropic(one))
            assert (await http.post("/v1/messages", json=body())).json() == {"port": str(one.port)}
            assert (await http.get("/status")).json()["config"]["problem"] is None


async def test_an_edit_of_the_server_table_holds_or_is_told_not_to(tmp_path: Path) -> None:
    lines: list[str] = []
    server = '[demo]\npace = 0\n[server]\ntoken = "{}"\nhosts = {}\n'
    async with running(tmp_path, server.format("old", []), lines=lines) as it, client(it) as http:
        named = {"host": "router.lan"}
        refused = await http.get("/status", headers=named)
        assert refused.status_code == 403
        assert "add the name to server.hosts" in refused.json()["error"]["message"]
        (tmp_path / "config.toml").write_text(server.format("new", ["router.lan"]))
        status = await http.get("/status", headers=named)
        assert status.status_code == 200
        (problem,) = status.json()["problems"]
        assert "server.token does not hold before the router is started anew" in problem
        assert f"warning: {problem}" in lines
        assert (await http.get("/status", headers={"x-ccrouter-token": "new"})).status_code == 401


async def test_it_does_not_start_open_to_others_without_a_token(tmp_path: Path) -> None:
    with pytest.raises(StartError, match=r"server\.token"):
        await serve(Options(host="0.0.0.0", port=0), environ={"HOME": str(tmp_path)})


async def test_it_does_not_start_with_a_broken_configuration_or_a_token_that_cannot_be_had(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("[server]\nprot = 1\n")
    with pytest.raises(ConfigError, match="prot"):
        await serve(Options(config=file, port=0), environ={"HOME": str(tmp_path)})
    file.write_text('[server]\ntoken = { env = "NO_SUCH_VARIABLE" }\n')
    with pytest.raises(SecretError, match="NO_SUCH_VARIABLE"):
        await serve(Options(config=file, port=0), environ={"HOME": str(tmp_path)})
    with pytest.raises(ConfigError, match=r"missing\.toml"):
        await serve(Options(config=tmp_path / "missing.toml", port=0), environ={"HOME": str(tmp_path)})


async def test_a_configured_token_is_the_one_that_opens(tmp_path: Path) -> None:
    config = '[server]\ntoken = { env = "T" }\n[demo]\npace = 0\n'
    async with running(tmp_path, config, {"T": "a-token-of-the-team"}) as it, client(it) as http:
        assert it.token == "a-token-of-the-team"
        assert (await http.get("/v1/models")).status_code == 200
        assert (await http.get("/v1/models", headers={"x-ccrouter-token": "wrong"})).status_code == 401


async def test_bytes_are_the_same_on_both_sides_over_real_sockets(tmp_path: Path) -> None:
    sent = b'{"model":"claude-opus-5-5", "x" : [1.0,1e5,"\\u2028"],"messages":[ ] ,"stream":true}'
    frames = b"".join(message("\u2028\u0085 …"))

    async def script(seen: Seen, reply: Reply) -> None:
        await reply.start(200, [*SSE, (b"x-future", b"1")])
        for position in range(0, len(frames), 7):
            await reply.send(frames[position : position + 7])
        await reply.end()

    async with backend(script) as upstream, running(tmp_path, anthropic(upstream)) as it, client(it) as http:
        async with http.stream("POST", "/v1/messages?beta=true", content=sent) as reply:
            received = b"".join([chunk async for chunk in reply.aiter_raw()])
            assert reply.headers["x-future"] == "1"
    assert received == frames
    assert upstream.seen[0].body == sent
    assert upstream.seen[0].target == "/v1/messages?beta=true"


async def test_a_hang_up_reaches_the_backend(tmp_path: Path) -> None:
    async def script(seen: Seen, reply: Reply) -> None:
        await reply.start(200, SSE)
        await reply.send(message()[0])
        await trio.sleep_forever()

    async with backend(script) as upstream, running(tmp_path, anthropic(upstream)) as it:
        stream = await trio.open_tcp_stream("127.0.0.1", it.port)
        peer = Talk(stream)
        await peer.send(request(), token=it.token)
        assert await peer.head() == 200
        await peer.some()
        await stream.aclose()
        closed = time.monotonic()
        with trio.fail_after(5):
            await upstream.gone.wait()
        hung_up = upstream.seen[0].hung_up
        assert hung_up is not None
        assert hung_up - closed < 1  # figures: dist-scripts/bench


async def test_a_client_that_does_not_read_stops_the_backend(tmp_path: Path) -> None:
    piece = events.encode({"type": "ping", "pad": "x" * 10_000})
    total = 60_000_000

    async def script(seen: Seen, reply: Reply) -> None:
        await reply.start(200, SSE)
        await reply.send(message()[0])
        while reply.sent < total:
            await reply.send(piece)
        await reply.send(b"".join(message()[1:]))
        await reply.end()

    async with backend(script) as upstream, running(tmp_path, anthropic(upstream)) as it:
        async with client(it) as http, http.stream("POST", "/v1/messages", json=body(stream=True)) as reply:
            with trio.fail_after(10):
                sent = -1
                while sent != upstream.replies[0].sent:
                    sent = upstream.replies[0].sent
                    await trio.sleep(0.3)
            assert sent < total / 2  # what sockets hold, no more
            received = 0
            async for chunk in reply.aiter_raw():
                received += len(chunk)
            assert received == upstream.replies[0].sent > total


async def test_draining_lets_a_running_stream_come_to_its_end(tmp_path: Path) -> None:
    go_on = trio.Event()

    async def script(seen: Seen, reply: Reply) -> None:
        await reply.start(200, SSE)
        await reply.send(message()[0])
        await go_on.wait()
        await reply.send(b"".join(message()[1:]))
        await reply.end()

    async with backend(script) as upstream, running(tmp_path, anthropic(upstream)) as it, client(it) as http:
        async with http.stream("POST", "/v1/messages", json=body(stream=True)) as reply:
            chunks = reply.aiter_raw()
            received = await anext(chunks)
            it.drain()
            await trio.sleep(0.05)
            with pytest.raises(OSError):
                await trio.open_tcp_stream("127.0.0.1", it.port)
            go_on.set()
            async for chunk in chunks:
                received += chunk
        assert received == b"".join(message())


async def test_a_drain_that_takes_too_long_ends_the_stream_with_an_error_event(tmp_path: Path) -> None:
    async def script(seen: Seen, reply: Reply) -> None:
        await reply.start(200, SSE)
        await reply.send(message()[0])
        await trio.sleep_forever()

    async with backend(script) as upstream:
        config = '[server]\ndrain = "200ms"\n' + anthropic(upstream)
        async with running(tmp_path, config) as it, client(it) as http:
            async with http.stream("POST", "/v1/messages", json=body(stream=True)) as reply:
                chunks = reply.aiter_raw()
                received = await anext(chunks)
                it.drain()
                async for chunk in chunks:
                    received += chunk
        with trio.fail_after(5):
            await upstream.gone.wait()
    assert event_types(received) == ["message_start", "error"]


async def test_requests_side_by_side_do_not_mix(tmp_path: Path) -> None:
    async def script(seen: Seen, reply: Reply) -> None:
        name = json.loads(seen.body)["messages"][0]["content"]
        await reply.start(200, SSE)
        for frame in message(name):
            await reply.send(frame)
            await trio.sleep(0.001)
        await reply.end()

    results: dict[str, bytes] = {}
    async with backend(script) as upstream, running(tmp_path, anthropic(upstream)) as it, client(it) as http:

        async def one(name: str) -> None:
            reply = await http.post(
                "/v1/messages", json=body(stream=True, messages=[{"role": "user", "content": name}])
            )
            results[name] = reply.content

        async with trio.open_nursery() as nursery:
            for number in range(30):
                nursery.start_soon(one, f"name {number}")
    assert results == {f"name {number}": b"".join(message(f"name {number}")) for number in range(30)}


RESPONSES_STREAM = b"".join(
    b"event: %s\ndata: %s\n\n" % (str(event["type"]).encode(), json.dumps(event).encode())
    for event in (
        {"type": "response.created", "response": {"id": "r"}},
        {
            "type": "response.output_text.delta",
            "output_index": 0,
            "content_index": 0,
            "item_id": "m",
            "delta": "hello",
        },
        {
            "type": "response.completed",
            "response": {
                "id": "r",
                "status": "completed",
                "output": [],
                "usage": {"input_tokens": 7, "output_tokens": 3},
            },
        },
    )
)


async def test_a_codex_login_is_used_as_its_backend_wants_it(tmp_path: Path) -> None:
    expiry = base64.urlsafe_b64encode(b'{"exp": 4102444800}').decode().rstrip("=")
    tokens = {
        "id_token": "a.e30.c",
        "access_token": f"a.{expiry}.c",
        "refresh_token": "r-secret",
        "account_id": "acc",
    }
    login = {"auth_mode": "chatgpt", "tokens": tokens, "last_refresh": "2099-01-01T00:00:00Z"}
    (tmp_path / "auth.json").write_text(json.dumps(login))

    async def script(seen: Seen, reply: Reply) -> None:
        await reply.start(200, SSE)
        await reply.send(RESPONSES_STREAM)
        await reply.end()

    async with backend(script) as upstream:
        config = f'[providers.codex]\nbase_url = "{upstream.url}"\n'
        async with running(tmp_path, config, {"CODEX_HOME": str(tmp_path)}) as it, client(it) as http:
            own = {"authorization": "Bearer sk-ant-oat01-own", "x-claude-code-session-id": "session"}
            wanted = body(model="codex:gpt-5.1", temperature=1, stop_sequences=["END"])
            reply = await http.post("/v1/messages", json=wanted, headers=own)
    assert reply.json()["content"] == [{"type": "text", "text": "hello"}]
    assert reply.json()["usage"]["input_tokens"] == 7
    (seen,) = upstream.seen
    assert seen.target == "/responses"
    assert seen.header(b"authorization") == f"Bearer a.{expiry}.c".encode()
    assert seen.header(b"chatgpt-account-id") == b"acc"
    assert [name for name, _ in seen.headers].count(b"user-agent") == 1
    assert seen.header(b"session-id") == seen.header(b"thread-id") is not None
    everything = seen.body + b"".join(value for _, value in seen.headers)
    assert b"r-secret" not in everything
    assert b"sk-ant" not in everything
    sent = json.loads(seen.body)
    assert sent["stream"] is True
    assert sent["store"] is False
    assert "instructions" in sent
    assert not {"max_output_tokens", "temperature", "stream_options", "previous_response_id"} & set(sent)


# What is remembered

STATE = Path(".local/state/ccrouter")


async def answering(seen: Seen, reply: Reply) -> None:
    """A backend that says how many tokens it took, and which model was asked for."""
    model = json.loads(seen.body or b"{}").get("model", "")
    usage = {"input_tokens": 3, "output_tokens": 5}
    answer = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [{"type": "text", "text": model}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": usage,
    }
    status = 529 if model == "down" else 200
    await reply.whole(status, [(b"content-type", b"application/json")], json.dumps(answer).encode())


def answered(it: Backend) -> list[Seen]:
    """Of what a backend was asked, the messages."""
    return [seen for seen in it.seen if seen.target.endswith("/messages")]


def one_and_two(it: Backend) -> str:
    return f"""
[providers.one]
preset = "messages"
base_url = "{it.url}"
[providers.two]
preset = "messages"
base_url = "{it.url}"
[aliases]
big = ["one:down", "two:up"]
"""


async def test_a_session_stays_where_it_was_though_the_router_is_started_anew(tmp_path: Path) -> None:
    session = {"x-claude-code-session-id": "s1"}
    async with backend(answering) as upstream:
        async with running(tmp_path, one_and_two(upstream)) as it, client(it) as http:
            reply = await http.post("/v1/messages", json=body(model="big"), headers=session)
            assert reply.json()["content"][0]["text"] == "up"
        assert (tmp_path / STATE / "notebook.json").exists(), "written at the stop, whatever the time"
        async with running(tmp_path, one_and_two(upstream)) as it, client(it) as http:
            for headers, expected in ((session, ["up"]), ({"x-claude-code-session-id": "s2"}, ["down", "up"])):
                asked = len(upstream.seen)
                await http.post("/v1/messages", json=body(model="big"), headers=headers)
                assert [json.loads(each.body)["model"] for each in upstream.seen[asked:]] == expected
            (told,) = (await http.get("/explain?last=2")).json()["requests"][1:]
            assert told["pinned"] == "two:up"


async def test_a_budget_is_used_up_though_the_router_is_started_anew(tmp_path: Path) -> None:
    async with backend(answering) as upstream:
        config = anthropic(upstream) + "[providers.anthropic.budget]\ntokens_per_month = 10\n"
        statuses = []
        for _ in range(3):
            async with running(tmp_path, config) as it, client(it) as http:
                statuses.append((await http.post("/v1/messages", json=body())).status_code)
                budgets = (await http.get("/status")).json()["budgets"]
    assert statuses == [200, 200, 429]
    assert budgets["anthropic"]["tokens_this_month"] == 16
    assert len(answered(upstream)) == 2


async def test_two_routers_share_a_budget_after_a_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ccrouter.remembered.notebook.EVERY", 0.01)
    async with backend(answering) as upstream:
        config = anthropic(upstream) + "[providers.anthropic.budget]\ntokens_per_month = 1000\n"
        async with running(tmp_path, config) as one, running(tmp_path, config) as two:
            async with client(one) as first, client(two) as second:
                with trio.fail_after(5):
                    while True:
                        for http in (first, second):
                            assert (await http.post("/v1/messages", json=body())).status_code == 200
                        spent = [
                            (await http.get("/status")).json()["budgets"]["anthropic"]["tokens_this_month"]
                            for http in (first, second)
                        ]
                        if min(spent) > 8 * len(answered(upstream)) / 2:
                            break
                total = 8 * len(answered(upstream))
        async with running(tmp_path, config) as it, client(it) as http:
            budgets = (await http.get("/status")).json()["budgets"]
    assert budgets["anthropic"]["tokens_this_month"] == total


async def test_a_router_that_has_nothing_to_remember_leaves_no_trace(tmp_path: Path) -> None:
    async with running(tmp_path, "[demo]\npace = 0") as it, client(it) as http:
        assert (await http.post("/v1/messages", json=body())).status_code == 200
        await http.get("/status")
        await http.get("/explain")
    assert [each.name for each in tmp_path.iterdir()] == ["config.toml"]


async def test_a_router_that_is_cancelled_writes_down_what_it_has(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    async with backend(answering) as upstream:
        file.write_text(anthropic(upstream) + "[providers.anthropic.budget]\ntokens_per_day = 1000\n")
        async with trio.open_nursery() as nursery:
            it: Running = await nursery.start(
                lambda task_status: serve(
                    Options(config=file, port=0), environ={"HOME": str(tmp_path)}, task_status=task_status
                )
            )
            async with client(it) as http:
                await http.post("/v1/messages", json=body())
                while not (await http.get("/explain")).json()["requests"]:
                    await trio.sleep(0.01)
            nursery.cancel_scope.cancel()
    spent = json.loads((tmp_path / STATE / "notebook.json").read_text())["spent"]
    assert [tokens for tokens, _ in spent["anthropic"].values()] == [8]


@pytest.mark.parametrize("content", [b"{", b'{"spent": {"a": {"b": [Infinity, 1]}}}', b"[" * 100_000])
async def test_a_broken_notebook_or_choice_keeps_nobody_from_serving(tmp_path: Path, content: bytes) -> None:
    (tmp_path / STATE).mkdir(parents=True)
    for name in ("notebook.json", "choice.json"):
        (tmp_path / STATE / name).write_bytes(content)
    async with backend(answering) as upstream:
        config = anthropic(upstream) + "[providers.anthropic.budget]\ntokens_per_day = 1000\n"
        async with running(tmp_path, config) as it, client(it) as http:
            assert (await http.post("/v1/messages", json=body())).status_code == 200
            status = (await http.get("/status")).json()
            assert status["budgets"]["anthropic"]["tokens_today"] == 8
            (problem,) = status["problems"]
            assert "notebook.json: is damaged" in problem


@pytest.mark.parametrize("budget", ["[providers.demo.budget]\ntokens_per_day = 1000\n", ""])
async def test_where_nothing_can_be_kept_a_budget_is_told_so_at_the_start(tmp_path: Path, budget: str) -> None:
    (tmp_path / "file").touch()
    lines: list[str] = []
    environ = {"CCROUTER_STATE": str(tmp_path / "file" / "state")}
    async with running(tmp_path, "[demo]\npace = 0\n" + budget, environ, lines) as it, client(it) as http:
        problems = (await http.get("/status")).json()["problems"]
        said = [line for line in lines if "notebook.json: cannot be kept" in line]
        assert said == [f"warning: {each}" for each in problems]
        assert len(said) == bool(budget)


# Profiles and projects

PROFILES = """
[profiles.cloud]
default = "two"
[profiles.bare]
default = "two"
providers = { one = false }
"""


async def test_a_profile_that_is_chosen_holds_from_the_next_request_on(tmp_path: Path) -> None:
    async with backend(answering) as upstream:
        config = 'default = "one"\n' + one_and_two(upstream) + PROFILES
        choice = ChoiceFile(tmp_path / STATE)
        async with running(tmp_path, config) as it, client(it) as http:
            for profile, expected in (("", "one"), ("cloud", "two"), ("bare", "two"), ("", "one")):
                choice.write(Choice(profile=profile or None))
                wanted = body(model=f"{expected}-model") if profile != "bare" else body(model="two:x")
                assert (await http.post("/v1/messages", json=wanted)).status_code == 200
                (told,) = (await http.get("/explain")).json()["requests"]
                assert told["tries"][0]["target"].startswith(f"{expected}:")
                assert told["profile"] == (profile or None)
                assert (await http.get("/status")).json()["profile"] == (profile or None)


async def test_a_provider_that_is_switched_off_is_in_no_list(tmp_path: Path) -> None:
    config = (
        """
[providers.one]
preset = "messages"
base_url = "http://127.0.0.1:9"
models = ["a"]
[providers.two]
preset = "messages"
base_url = "http://127.0.0.1:9"
models = ["b"]
"""
        + PROFILES
    )
    choice = ChoiceFile(tmp_path / STATE)
    async with running(tmp_path, config) as it, client(it) as http:
        for profile, expected in ((None, ["one:a", "two:b"]), ("bare", ["two:b"]), (None, ["one:a", "two:b"])):
            choice.write(Choice(profile=profile))
            assert [row["id"] for row in (await http.get("/v1/models")).json()["data"]] == expected
            assert [row.name for row in await it.models(1.0)] == expected


PROJECT = 'default = "two"\n[[routes]]\nwhen = { class = "main" }\nuse = "two:theirs"\n'


@pytest.mark.parametrize(("host", "read"), [("127.0.0.1", True), ("0.0.0.0", False)])
async def test_a_projects_file_is_read_for_clients_of_this_machine_only(
    tmp_path: Path, host: str, read: bool
) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / ".ccrouter.toml").write_text(PROJECT)
    headers = {"x-ccrouter-project": str(project)}
    async with backend(answering) as upstream:
        config = 'default = "one"\n[server]\ntoken = "of-the-team"\n' + one_and_two(upstream)
        async with running(tmp_path, config, host=host) as it, client(it) as http:
            await http.post("/v1/messages", json=body(model="free"), headers=headers)
            judging = headers | {"x-claude-code-request-class": "auxiliary"}
            await http.post("/v1/messages", json=body(model="free"), headers=judging)
            background, main = (await http.get("/explain?last=2")).json()["requests"]
    assert main["tries"][0]["target"] == ("two:theirs" if read else "one:free")
    assert background["tries"][0]["target"] == "one:free"
    assert all(each.header(b"x-ccrouter-project") is None for each in upstream.seen)


async def test_notes_that_wait_for_their_lock_are_written_at_the_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ccrouter.remembered.notebook.EVERY", 0.0)
    lock = tmp_path / STATE / "notebook.lock"
    lock.parent.mkdir(parents=True)
    async with backend(answering) as upstream:
        config = anthropic(upstream) + "[providers.anthropic.budget]\ntokens_per_day = 1000\n"
        async with running(tmp_path, config) as it:
            async with locked(lock, 1):
                async with client(it) as http:
                    await http.post("/v1/messages", json=body())
                await trio.sleep(0.1)  # they wait by now; if not, the test shows less
                it.end()
                await trio.sleep(0.1)
    spent = json.loads((tmp_path / STATE / "notebook.json").read_text())["spent"]
    assert [tokens for tokens, _ in spent["anthropic"].values()] == [8]


@pytest.mark.only_on("linux", "darwin")
async def test_a_home_behind_a_link_is_the_one_that_clients_name(tmp_path: Path) -> None:
    (tmp_path / "disk" / "me").mkdir(parents=True)
    (tmp_path / "home").symlink_to(tmp_path / "disk")
    rule = '[[routes]]\nwhen = { project = "~/work" }\nuse = "demo:mine"\n'
    environ = {"HOME": str(tmp_path / "home" / "me")}
    async with running(tmp_path, f"[demo]\npace = 0\n{rule}", environ=environ) as it, client(it) as http:
        directory = quote(str(tmp_path.resolve() / "disk" / "me" / "work" / "deep"))
        await http.post("/v1/messages", json=body(), headers={"x-ccrouter-project": directory})
        (told,) = (await http.get("/explain?last=1")).json()["requests"]
    assert told["names"] == ["demo:mine"]
