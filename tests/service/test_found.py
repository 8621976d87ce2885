"""What a router finds on its machine sets providers up: keys, logins, local servers; without any, the demo model."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
import trio
from attrs import evolve

import ccrouter.router
import ccrouter.upstream.machine
import ccrouter.upstream.models
from ccrouter.providers.presets import PRESETS
from tests.backend import Reply, Seen, backend
from tests.service.router import NOWHERE, SSE, answering, body, client, running


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
        monkeypatch.setattr(ccrouter.router, "PRESETS", {**PRESETS, "ollama": found, "vllm": other,
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
        monkeypatch.setattr(ccrouter.router, "PRESETS", presets)
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
    monkeypatch.setattr(ccrouter.router, "PRESETS", presets)
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
        monkeypatch.setattr(ccrouter.router, "PRESETS", presets)
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
