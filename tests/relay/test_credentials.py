"""Credentials, through the whole router: each reaches its own host only."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from ccrouter.errors import ConnectFailed, UpstreamBroken
from ccrouter.providers.presets import PRESETS
from ccrouter.providers.secret import Literal
from ccrouter.wire import events
from tests.rig import JSON, Script, message, provider, request, rig, talk

OVERFLOW = b'{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 5 tokens > 4 maximum"},"request_id":"req_up"}'


# Credentials, through the whole router

BEARER = b"Bearer sk-ant-oat01-" + b"o" * 40


@pytest.mark.parametrize("name", [name for name in PRESETS if name != "demo"])
async def test_the_clients_login_reaches_anthropic_and_no_other_provider(name: str, tmp_path: Path) -> None:
    keys = dict.fromkeys(PRESETS[name].key_env, "sk-key-of-the-preset")
    if PRESETS[name].auth == "codex":
        keys["CODEX_HOME"] = str(tmp_path)
        expiry = base64.urlsafe_b64encode(b'{"exp": 4102444800}').decode().rstrip("=")
        tokens = {
            "id_token": "a.e30.c",
            "access_token": f"a.{expiry}.c",
            "refresh_token": "r",
            "account_id": "acc",
        }
        login = {"auth_mode": "chatgpt", "tokens": tokens, "last_refresh": "2099-01-01T00:00:00Z"}
        (tmp_path / "auth.json").write_text(json.dumps(login))
    it = rig(Script(body=message()), providers=[provider(name)], environ={"HOME": "/nonexistent", **keys})
    headers = [
        (b"authorization", BEARER),
        (b"x-api-key", b"sk-ant-own-key"),
        (b"cookie", b"a=b"),
        (b"x-litellm-api-key", b"sk-of-an-earlier-gateway"),
        (b"anthropic-beta", b"oauth-2025-04-20,x"),
    ]
    async with talk(it) as client:
        await client.send(request(model=f"{name}:some-model"), headers)
        await client.reply()
    (call,) = it.dial.calls
    sent = b"\n".join(name + b": " + value for name, value in call.headers)
    assert (BEARER in sent) is (name == "anthropic")
    assert (b"sk-ant-own-key" in sent) is (name == "anthropic")
    assert (b"sk-of-an-earlier-gateway" in sent) is (name == "anthropic")
    assert (b"oauth-2025-04-20" in sent) is (name == "anthropic")
    assert it.token.encode() not in sent
    assert b"a=b" not in sent


async def test_a_login_that_stays_refused_is_told_to_its_user_and_not_tried_again_by_the_client(
    tmp_path: Path,
) -> None:
    tokens = {"access_token": "a.e30.c", "account_id": "acc"}  # nothing to refresh it with
    (tmp_path / "auth.json").write_text(json.dumps({"auth_mode": "chatgpt", "tokens": tokens}))
    it = rig(
        Script(status=401, headers=JSON, body=[b'{"detail":"Unauthorized"}']),
        providers=[provider("codex")],
        environ={"HOME": "/nonexistent", "CODEX_HOME": str(tmp_path)},
    )
    async with talk(it) as client:
        await client.send(request(model="codex:gpt-x"))
        told = json.loads(await client.reply())["error"]
    assert client.status == 401
    assert client.headers["x-should-retry"] == "false"
    assert told["type"] == "authentication_error"
    assert "run `codex login`" in told["message"]
    assert len(it.dial.calls) == 1


async def test_the_clients_login_does_not_follow_an_alias_or_a_fallback_elsewhere() -> None:
    it = rig(
        Script(status=529, headers=JSON, body=[OVERFLOW]),
        Script(body=message()),
        providers=[provider("anthropic"), provider("messages", base_url="https://anthropic.example")],
        aliases={"opus": ("anthropic:claude-x", "messages:claude-x")},
    )
    async with talk(it) as client:
        await client.send(request(model="opus"), [(b"authorization", BEARER)])
        await client.reply()
    first, second = it.dial.calls
    assert (b"authorization", BEARER) in first.headers
    assert all(BEARER not in value for _, value in second.headers)


#: Providers of three wires: the one that the client's login is for, three with a key of their own, one that has none.
KEYS = {"anthropic": BEARER.decode(), "work": "sk-of-work", "deepseek": "sk-of-deepseek", "openai": "sk-of-openai"}
HOSTS = {
    "anthropic": "api.anthropic.com",
    "work": "work.example",
    "deepseek": "deepseek.com",
    "openai": "openai.com",
    "ollama": ":11434",
}
HOW = {
    "overloaded": Script(status=529, headers=JSON, body=[OVERFLOW]),
    "unauthorized": Script(status=401, headers=JSON, body=[b'{"error":{"message":"no"}}']),
    "missing": Script(status=404, headers=JSON, body=[b'{"error":{"message":"no such model"}}']),
    "moved": Script(status=307, headers=[(b"location", b"https://evil.example/v1/messages")], body=[]),
    "unreachable": Script(before=[ConnectFailed("x")]),
    "broken": Script(body=[UpstreamBroken("cut", before_reply=True)]),
    "error": Script(body=[events.encode(events.error("overloaded_error", "Overloaded"))]),
}


@settings(max_examples=60)
@given(
    st.permutations(sorted(HOSTS)),
    st.lists(st.sampled_from(sorted(HOW)), min_size=8, max_size=8),
    st.booleans(),
    st.sampled_from([b"authorization", b"x-api-key"]),
)
def test_whoever_is_tried_for_whatever_reason_each_credential_reaches_its_own_host_only(
    order: list[str], how: list[str], stream: bool, place: bytes
) -> None:
    async def main() -> None:
        providers = [
            provider("anthropic"),
            provider("ollama"),
            provider("work", "messages", api_key=Literal(KEYS["work"])),
            *(provider(name, api_key=Literal(KEYS[name])) for name in ("deepseek", "openai")),
        ]
        scripts = [HOW[each] for each in how]
        aliases = {"all": tuple(f"{name}:m" for name in order)}
        it = rig(*scripts, providers=providers, aliases=aliases, environ={"HOME": "/nonexistent"})
        own = BEARER if place == b"authorization" else BEARER.removeprefix(b"Bearer ")
        async with talk(it) as client:
            await client.send(request(model="all", stream=stream), [(place, own)])
            await client.reply()
        assert it.dial.calls
        for call in it.dial.calls:
            sent = b"\n".join([call.url.encode(), call.body, *(value for _, value in call.headers)]).decode(
                "latin-1"
            )
            (at,) = [name for name, host in HOSTS.items() if f"{host}/" in call.url]
            for name, key in KEYS.items():
                assert (key.removeprefix("Bearer ") in sent) is (name == at)

    trio.run(main, clock=MockClock(autojump_threshold=0))


async def test_the_clients_login_is_not_sent_in_the_clear() -> None:
    it = rig(
        Script(body=message()),
        providers=[provider("anthropic", base_url="http://gateway.example")],
        environ={"HOME": "/nonexistent"},
    )
    async with talk(it) as client:
        await client.send(request(), [(b"authorization", BEARER)])
        body = await client.reply()
    assert client.status == 401
    assert b"https" in body
    assert not it.dial.calls


@pytest.mark.parametrize("place", ["authorization", "x-api-key", "x-ccrouter-token"])
async def test_the_token_opens_the_port_from_each_of_its_places_and_goes_no_further(place: str) -> None:
    it = rig(Script(body=message()))
    value = it.token if place != "authorization" else f"Bearer {it.token}"
    async with talk(it) as client:
        await client.send(request(), [(place.encode(), value.encode())], token=None)
        await client.reply()
    assert client.status == 200
    (call,) = it.dial.calls
    assert all(it.token.encode() not in value for _, value in call.headers)
    assert (b"x-api-key", b"sk-router-key") in call.headers


@pytest.mark.parametrize("given_token", [None, "wrong", "", "ccr-" + "t" * 39, "ccr-" + "t" * 41])
async def test_a_stranger_is_turned_away_before_anything_is_sent(given_token: str | None) -> None:
    it = rig(Script(body=message()))
    async with talk(it) as client:
        await client.send(request(), [(b"authorization", BEARER)], token=given_token)
        await client.reply()
    assert client.status == 401
    assert client.headers["x-should-retry"] == "false"
    assert not it.dial.calls
