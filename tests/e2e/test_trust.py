"""Backends behind TLS, and the way to them through a corporate proxy, all on loopback."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme

from tests.e2e import router, sdk, tunnels, upstream
from tests.e2e.replies import Reply, Text
from tests.e2e.sandbox import Sandbox
from tests.e2e.upstream import Received

pytestmark = pytest.mark.e2e

HOST = "models.example.test"
QUESTION = {
    "model": "claude-sonnet-5-5",
    "max_tokens": 64,
    "messages": [{"role": "user", "content": "How far away are you?"}],
}


def script(received: Received) -> Reply:
    return upstream.usual(received) or received.say(Text("From afar."))


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def authority_file(authority: trustme.CA, sandbox: Sandbox) -> str:
    path = sandbox.root / "authority.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


@asynccontextmanager
async def secured(authority: trustme.CA, name: str) -> AsyncIterator[int]:
    """The port of a backend whose certificate is for ``name``."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(name).configure_cert(context)
    async with upstream.serve(script) as backend, tunnels.secured(backend.port, context) as port:
        yield port


def config(address: str) -> str:
    return f'[providers.anthropic]\nbase_url = "https://{address}"\napi_key = "sk-scripted"\n'


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"])
async def test_a_backend_is_trusted_whose_authority_a_variable_names(
    sandbox: Sandbox, authority: trustme.CA, authority_file: str, variable: str
) -> None:
    async with (
        secured(authority, "127.0.0.1") as port,
        router.serve(sandbox, config(f"127.0.0.1:{port}"), environ_more={variable: authority_file}) as running,
    ):
        assert sdk.text(await sdk.streamed(running, QUESTION)) == "From afar."


async def test_a_backend_is_refused_whose_authority_nobody_knows(sandbox: Sandbox, authority: trustme.CA) -> None:
    async with (
        secured(authority, "127.0.0.1") as port,
        router.serve(sandbox, config(f"127.0.0.1:{port}")) as running,
        running.client() as client,
    ):
        refused = await client.post("/v1/messages", json=QUESTION)
        assert refused.status_code >= 500
        assert "SSL_CERT_FILE" in refused.json()["error"]["message"]


async def test_a_file_of_authorities_that_is_not_there_is_named(
    sandbox: Sandbox, authority: trustme.CA, tmp_path: Path
) -> None:
    missing = str(tmp_path / "missing.pem")
    async with (
        secured(authority, "127.0.0.1") as port,
        router.serve(sandbox, config(f"127.0.0.1:{port}"), environ_more={"SSL_CERT_FILE": missing}) as running,
        running.client() as client,
    ):
        message = (await client.post("/v1/messages", json=QUESTION)).json()["error"]["message"]
        assert f"SSL_CERT_FILE: cannot read {missing}" in message


async def test_a_corporate_proxy_leads_to_a_backend_and_sees_nothing_but_its_name(
    sandbox: Sandbox, authority: trustme.CA, authority_file: str
) -> None:
    heads: list[bytes] = []
    async with (
        secured(authority, HOST) as port,
        tunnels.proxy(port, heads) as proxy,
        router.serve(
            sandbox,
            config(HOST),
            environ_more={
                "HTTPS_PROXY": f"http://user:word@127.0.0.1:{proxy}",
                "SSL_CERT_FILE": authority_file,
            },
        ) as running,
    ):
        assert sdk.text(await sdk.streamed(running, QUESTION)) == "From afar."
    assert heads
    for head in heads:
        first, *headers = head.decode().lower().split("\r\n")
        assert first == f"connect {HOST}:443 http/1.1"
        assert f"host: {HOST}:443" in headers
        assert "proxy-authorization: basic dxnlcjp3b3jk" in headers
        assert "sk-scripted" not in head.decode()
