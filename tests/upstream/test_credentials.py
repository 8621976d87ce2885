from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.errors import ApiError
from ccrouter.providers.presets import PRESETS
from ccrouter.providers.provider import Provider
from ccrouter.providers.secret import FromCommand, FromEnv, FromFile, Literal
from ccrouter.routing.credentials import ClientCredentials, of_client
from ccrouter.translate.headers import OAUTH_BETA
from ccrouter.upstream import credentials as module
from ccrouter.upstream.credentials import Credentials, Grant
from ccrouter.upstream.secrets import Secrets
from ccrouter.upstream.subscription import Login, NoLogin
from ccrouter.wire.headers import Headers

TOKEN = "ccr-0123456789abcdef"
BEARER = b"Bearer sk-ant-oat01-client"
OWN_KEY = b"sk-ant-api03-client"
CLIENT = ClientCredentials(BEARER, OWN_KEY)
NOBODY = ClientCredentials()
SUBSCRIPTION = "sk-ant-oat01-machine"
#: Every key that a preset looks for, as if the user had them all.
KEYS = {name: f"key-of-{name}" for preset in PRESETS.values() for name in preset.key_env}

SAFE = [
    "https://llm.example.com/anthropic",
    "http://127.0.0.1:9999",
    "http://localhost:9999",
    "http://[::1]:9999",
]
UNSAFE = [
    "http://llm.example.com",
    "http://192.168.1.50:8000",
    "http://127.0.0.1@example.com",
    "http://[::2]",
]


def provider(preset: str, base_url: str | None = None, **more: Any) -> Provider:
    row = PRESETS[preset]
    return Provider(
        name=preset, preset=row, base_url=base_url or row.base_url or "https://gateway.example.com", **more
    )


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / ".claude").mkdir()
    return tmp_path


def log_in(home: Path, **more: Any) -> None:
    login = {"accessToken": SUBSCRIPTION, "expiresAt": (time.time() + 3600) * 1000, **more}
    (home / ".claude" / ".credentials.json").write_text(json.dumps({"claudeAiOauth": login}))


def machine(home: Path | str = "/nonexistent", **variables: str) -> Credentials:
    environ = {"HOME": str(home), "USERPROFILE": str(home), **variables}
    return Credentials(Secrets(environ), environ, "linux")


async def refused(credentials: Credentials, to: Provider, client: ClientCredentials = NOBODY) -> str:
    with pytest.raises(ApiError) as caught:
        await credentials.grant(to, client)
    error = caught.value
    assert (error.status, error.kind) == (401, "authentication_error")
    assert error.headers == (("x-should-retry", "false"),)
    assert "\n" not in error.message
    return error.message


def everything(grant: Grant) -> bytes:
    return b"\n".join(value for _, value in grant.headers)


async def outcome(credentials: Credentials, to: Provider, client: ClientCredentials) -> bytes:
    """All that leaves: the credentials that are granted, or the words of the refusal."""
    try:
        return everything(await credentials.grant(to, client))
    except ApiError as error:
        return error.message.encode()


# The login reaches Anthropic and nobody else


@pytest.mark.parametrize("keys", [{}, KEYS], ids=["no keys", "all keys"])
@pytest.mark.parametrize("base_url", [None, *SAFE, *UNSAFE])
@pytest.mark.parametrize("preset", PRESETS)
async def test_a_clients_login_is_in_the_grant_of_anthropic_over_a_safe_way_and_in_no_other(
    preset: str, base_url: str | None, keys: dict[str, str], home: Path
) -> None:
    log_in(home)
    credentials = machine(home, **keys)
    safe = preset == "anthropic" and base_url not in UNSAFE
    row = PRESETS[preset]
    if (row.key_required and not keys and not safe) or row.auth == "codex":  # there is no Codex login here
        assert "sk-ant" not in await refused(credentials, provider(preset, base_url), CLIENT)
        return
    grant = await credentials.grant(provider(preset, base_url), CLIENT)
    if safe:
        assert grant.headers == [(b"authorization", BEARER), (b"x-api-key", OWN_KEY)]
        assert grant.betas == ()
    else:
        assert b"sk-ant" not in everything(grant)
        wanted = {f"key-of-{row.key_env[0]}"} if keys and row.key_env else set()
        assert {value.decode().removeprefix("Bearer ") for _, value in grant.headers} == wanted


@pytest.mark.parametrize("base_url", [None, *SAFE, *UNSAFE])
@pytest.mark.parametrize("preset", PRESETS)
async def test_this_machines_login_takes_no_other_way_than_the_clients(
    preset: str, base_url: str | None, home: Path
) -> None:
    log_in(home)
    safe = preset == "anthropic" and base_url not in UNSAFE
    if (PRESETS[preset].key_required or PRESETS[preset].auth == "codex") and not safe:
        assert SUBSCRIPTION not in await refused(machine(home), provider(preset, base_url))
        return
    grant = await machine(home).grant(provider(preset, base_url), NOBODY)
    if safe:
        assert grant == Grant([(b"authorization", f"Bearer {SUBSCRIPTION}".encode())], (OAUTH_BETA,))
    else:
        assert grant == Grant()


CARRIERS = [
    b"authorization",
    b"x-api-key",
    b"x-ccrouter-token",
    b"cookie",
    b"proxy-authorization",
    b"api-key",
]
PIECES = [TOKEN.encode(), b"Bearer", b"bearer", b"Basic", b" ", b",", b"sk-ant-own", TOKEN[:7].encode()]


@given(
    headers=st.lists(st.tuples(st.sampled_from(CARRIERS), st.lists(st.sampled_from(PIECES)).map(b"".join))),
    preset=st.sampled_from(sorted(PRESETS)),
    base_url=st.sampled_from([None, *SAFE, *UNSAFE]),
    keys=st.sampled_from([{}, KEYS]),
)
def test_the_routers_token_is_in_no_grant(
    headers: Headers, preset: str, base_url: str | None, keys: dict[str, str]
) -> None:
    own, _ = of_client(headers, TOKEN)
    assert TOKEN.encode() not in trio.run(outcome, machine(**keys), provider(preset, base_url), own)


@pytest.mark.parametrize(
    "carried",
    [ClientCredentials(BEARER), ClientCredentials(None, OWN_KEY), ClientCredentials(b"bearer  odd ")],
)
async def test_what_a_client_carries_goes_on_untouched(carried: ClientCredentials) -> None:
    grant = await machine().grant(provider("anthropic"), carried)
    assert [value for _, value in grant.headers] == [v for v in (carried.authorization, carried.api_key) if v]


# The order for Anthropic


async def test_credentials_for_anthropic_have_an_order(home: Path) -> None:
    log_in(home)
    anthropic = provider("anthropic")
    with_key = provider("anthropic", api_key=Literal("sk-configured"))
    credentials = machine(home, ANTHROPIC_API_KEY="sk-environment")
    assert (await credentials.grant(with_key, CLIENT)).headers == [(b"x-api-key", b"sk-configured")]
    assert (await credentials.grant(anthropic, CLIENT)).headers == [
        (b"authorization", BEARER),
        (b"x-api-key", OWN_KEY),
    ]
    assert everything(await credentials.grant(anthropic, NOBODY)) == f"Bearer {SUBSCRIPTION}".encode()
    (home / ".claude" / ".credentials.json").unlink()
    assert await credentials.grant(anthropic, NOBODY) == Grant([(b"x-api-key", b"sk-environment")])


async def test_without_any_credential_the_client_is_told_how_to_log_in() -> None:
    message = await refused(machine(), provider("anthropic"))
    assert "No Claude login for the provider anthropic: run `claude /login`" in message
    assert "ANTHROPIC_API_KEY" in message
    assert "[providers.anthropic]" in message


async def test_a_login_that_has_expired_is_told_as_such(home: Path) -> None:
    log_in(home, expiresAt=1_700_000_000)
    message = await refused(machine(home), provider("anthropic"))
    assert "has expired" in message
    assert "claude /login" in message
    assert SUBSCRIPTION not in message


async def test_a_login_file_that_is_broken_is_the_reason_given(home: Path) -> None:
    path = home / ".claude" / ".credentials.json"
    path.write_text("{")
    assert f"{path} does not hold JSON" in await refused(machine(home), provider("anthropic"))


async def test_an_unsafe_base_url_is_told_without_the_password_in_it(home: Path) -> None:
    log_in(home)
    to = provider("anthropic", "http://me:sesame@10.0.0.5:8080/v1?token=sesame")
    for client in (CLIENT, NOBODY):
        message = await refused(machine(home), to, client)
        assert "over https or within this machine only" in message
        assert "http://10.0.0.5:8080:" in message
        assert "sesame" not in message
    assert "that is no URL" in await refused(machine(home), provider("anthropic", "http://[::1"), CLIENT)


async def test_requests_at_the_same_time_read_the_login_once(monkeypatch: pytest.MonkeyPatch) -> None:
    reads = 0
    answered = trio.Event()

    async def slow(*_: object) -> Login | NoLogin:
        nonlocal reads
        reads += 1
        await answered.wait()
        return Login(f"sk-{reads}", "the Keychain")

    monkeypatch.setattr(module, "read_login", slow)
    credentials = machine()
    got: list[bytes] = []

    async def ask() -> None:
        got.append(everything(await credentials.grant(provider("anthropic"), NOBODY)))

    async with trio.open_nursery() as nursery:
        for _ in range(26):
            nursery.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked()
        answered.set()
    assert got == [b"Bearer sk-1"] * 26
    await ask()
    assert got[-1] == b"Bearer sk-2", "nothing is kept"


# Everybody else


@pytest.mark.parametrize(
    ("preset", "names"),
    [
        ("foundry", [b"x-api-key"]),
        ("openrouter", [b"authorization"]),
        ("deepseek", [b"x-api-key", b"authorization"]),
        ("anthropic", [b"x-api-key"]),
        ("ollama", [b"authorization"]),
        ("demo", []),
    ],
)
async def test_a_configured_key_goes_into_the_headers_of_the_preset(preset: str, names: list[bytes]) -> None:
    grant = await machine(**KEYS).grant(provider(preset, api_key=Literal("sk-mine")), CLIENT)
    values = {b"x-api-key": b"sk-mine", b"authorization": b"Bearer sk-mine"}
    assert grant == Grant([(name, values[name]) for name in names])


async def test_the_first_variable_that_is_set_is_used() -> None:
    zai = provider("zai")
    assert everything(await machine(ZAI_API_KEY="one", Z_AI_API_KEY="two").grant(zai, NOBODY)) == b"Bearer one"
    assert everything(await machine(ZAI_API_KEY="", Z_AI_API_KEY="two").grant(zai, NOBODY)) == b"Bearer two"


async def test_a_missing_key_is_refused_only_where_one_is_needed() -> None:
    message = await refused(machine(), provider("zai"), CLIENT)
    assert "provider zai" in message
    assert "ZAI_API_KEY or Z_AI_API_KEY" in message
    assert "[providers.zai]" in message
    assert await machine().grant(provider("vllm"), CLIENT) == Grant()


@pytest.mark.parametrize(
    ("secret", "named"),
    [
        (FromEnv("NO_SUCH_KEY"), "NO_SUCH_KEY"),
        (FromFile("/no/such/key"), "/no/such/key"),
        (FromCommand(("no-such-program", "sk-argument")), "no-such-program"),
    ],
)
async def test_a_secret_that_cannot_be_had_is_told_by_provider_and_source(secret: Any, named: str) -> None:
    for to in (provider("messages", api_key=secret), provider("messages", headers=(("x-team", secret),))):
        message = await refused(machine(PATH="/nonexistent"), to)
        assert "provider messages" in message
        assert named in message
        assert "sk-argument" not in message


async def test_a_key_of_the_environment_that_is_no_header_value_is_refused_without_showing_it() -> None:
    message = await refused(machine(OPENROUTER_API_KEY="sk-or\r\nx: y"), provider("openrouter"))
    assert "OPENROUTER_API_KEY" in message
    assert "sk-or" not in message


# A provider's own headers


async def test_a_providers_own_headers_are_resolved_and_replace_those_of_the_same_name() -> None:
    headers = (("X-Team", Literal("core")), ("Authorization", FromEnv("GATEWAY")))
    to = provider("messages", headers=headers, api_key=Literal("sk-mine"))
    assert await machine(GATEWAY="Basic Zm9v").grant(to, CLIENT) == Grant(
        [(b"x-api-key", b"sk-mine"), (b"x-team", b"core"), (b"authorization", b"Basic Zm9v")]
    )


@pytest.mark.parametrize("preset", ["anthropic", "openrouter", "deepseek"])
async def test_a_credential_among_a_providers_own_headers_is_the_credential(preset: str) -> None:
    to = provider(preset, headers=(("Authorization", Literal("Bearer mine")),))
    for credentials in (machine(), machine(**KEYS)):
        assert await credentials.grant(to, CLIENT) == Grant([(b"authorization", b"Bearer mine")])


# After a refusal


async def test_what_the_client_carried_is_never_replaced_whatever_else_changed(home: Path) -> None:
    team = home / "team"
    team.write_text("blue")
    to = provider("anthropic", headers=(("x-team", FromFile(str(team))),))
    credentials = machine(home, ANTHROPIC_API_KEY="sk-environment")
    grant = await credentials.grant(to, CLIENT)
    log_in(home)
    team.write_text("red")
    assert await credentials.renew(to, CLIENT, grant) is None


async def test_a_refused_grant_that_would_be_given_again_is_not_replaced(home: Path) -> None:
    log_in(home)
    for to in (provider("anthropic"), provider("ollama"), provider("openrouter", api_key=Literal("sk-or"))):
        credentials = machine(home)
        assert await credentials.renew(to, NOBODY, await credentials.grant(to, NOBODY)) is None


async def test_a_login_that_was_renewed_meanwhile_replaces_the_refused_one(home: Path) -> None:
    log_in(home)
    credentials = machine(home)
    grant = await credentials.grant(provider("anthropic"), NOBODY)
    log_in(home, accessToken="sk-ant-oat01-renewed")
    better = await credentials.renew(provider("anthropic"), NOBODY, grant)
    assert better == Grant([(b"authorization", b"Bearer sk-ant-oat01-renewed")], (OAUTH_BETA,))


async def test_a_login_that_is_gone_since_is_told(home: Path) -> None:
    log_in(home)
    credentials = machine(home)
    grant = await credentials.grant(provider("anthropic"), NOBODY)
    (home / ".claude" / ".credentials.json").unlink()
    with pytest.raises(ApiError, match="claude /login"):
        await credentials.renew(provider("anthropic"), NOBODY, grant)


async def test_the_values_of_secrets_stay_out_of_reprs() -> None:
    grant = await machine(KEY="sk-of-environment").grant(provider("openrouter", api_key=FromEnv("KEY")), NOBODY)
    assert grant.secrets == ((FromEnv("KEY"), "sk-of-environment"),)
    assert "sk-of-environment" not in repr(grant)


def test_credentials_stay_out_of_reprs() -> None:
    assert "sk-ant" not in repr(Grant([(b"x-api-key", OWN_KEY)]))
