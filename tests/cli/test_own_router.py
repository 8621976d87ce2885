"""A router of a command's own: there while it is needed, and its errors are the command's."""

from __future__ import annotations

import pytest
import trio

from ccrouter.cli import own_router
from ccrouter.errors import CcrouterError, ConfigError, StartError
from tests.cli.routers import FakeRouter


@pytest.fixture
def router(monkeypatch: pytest.MonkeyPatch) -> FakeRouter:
    it = FakeRouter()
    monkeypatch.setattr("ccrouter.service.serve", it.serve)
    return it


async def test_it_serves_while_the_block_runs_on_a_free_port_of_this_machine(router: FakeRouter) -> None:
    async with own_router.serving(None) as running:
        assert (running.url, running.token) == (router.running.url, router.running.token)
        assert router.running.asked == []
    assert router.running.asked == ["end"]
    assert router.options is not None
    assert (router.options.host, router.options.port) == ("127.0.0.1", 0)


@pytest.mark.parametrize("failure", [StartError("taken"), ConfigError("line 3")])
async def test_why_it_does_not_start_is_told_in_no_group(router: FakeRouter, failure: CcrouterError) -> None:
    router.failure, router.fails_at_start = failure, True
    with pytest.raises(type(failure), match=str(failure)):
        async with own_router.serving(None):
            raise AssertionError


async def test_what_fails_in_the_block_ends_it_and_is_told_in_no_group(router: FakeRouter) -> None:
    with pytest.raises(CcrouterError, match="standard output"):
        async with own_router.serving(None):
            raise CcrouterError("standard output: no space left")


async def test_a_block_that_is_cancelled_ends_it(router: FakeRouter) -> None:
    with trio.move_on_after(0.01) as scope:
        async with own_router.serving(None):
            await trio.sleep_forever()
    assert scope.cancelled_caught
