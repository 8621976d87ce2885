"""The fixtures of the end-to-end tests: clients, a home for them, the stage."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.e2e import aimock, claude_code, litellm_proxy, llama
from tests.e2e.child import Missing
from tests.e2e.llama import Llama
from tests.e2e.sandbox import Sandbox
from tests.e2e.stage import WAYS, Client, Stage, Way, staged


def _client(version: str) -> Client:
    try:
        return Client(version, claude_code.program(version))
    except Missing as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def new_client() -> Client:
    """Claude Code as it is today."""
    return _client(claude_code.NEW)


@pytest.fixture(scope="session")
def old_client() -> Client:
    """The last Claude Code that a plain installation on Node 20 gives."""
    return _client(claude_code.OLD)


@pytest.fixture(scope="session", params=[claude_code.NEW, claude_code.OLD])
def client(request: pytest.FixtureRequest) -> Client:
    """Each version in turn."""
    return _client(request.param)


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> Way:
    """Each way in turn."""
    found: Way = request.param
    return found


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    """An empty home."""
    return Sandbox(tmp_path).make()


@pytest.fixture
async def stage(client: Client, way: Way, sandbox: Sandbox) -> AsyncIterator[Stage]:
    """A client, a router and an upstream that the test gives a script."""
    async with staged(client, way, sandbox) as put_together:
        yield put_together


@pytest.fixture
async def serving(sandbox: Sandbox) -> AsyncIterator[Stage]:
    """A router and an upstream, for a client that the test is itself."""
    nobody = Client("0.0.0", Path("/nonexistent"))
    async with staged(nobody, "printed", sandbox) as put_together:
        yield put_together


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Llama]:
    """One server for all tests: each of them leaves it idle."""
    try:
        llama.python()
    except Missing as missing:
        pytest.skip(str(missing))
    with llama.serve(tmp_path_factory.mktemp("llama")) as running:
        yield running


@pytest.fixture(scope="session")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of aimock with the fixtures of `tests.e2e.aimock`."""
    try:
        package = aimock.package()
    except Missing as missing:
        pytest.skip(str(missing))
    with aimock.serve(package, tmp_path_factory.mktemp("aimock")) as url:
        yield url


@pytest.fixture(scope="session")
def litellm(stand_in: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of LiteLLM's proxy, some of whose deployments lie on the stand-in."""
    try:
        python = litellm_proxy.python()
    except Missing as missing:
        pytest.skip(str(missing))
    with litellm_proxy.serve(python, stand_in, tmp_path_factory.mktemp("litellm")) as url:
        yield url
