"""A real llama.cpp server behind the router, asked by plain HTTP and by the real Claude Code."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator

import httpx
import pytest
import trio

from tests.e2e import llama, router
from tests.e2e.llama import Llama
from tests.e2e.sandbox import Sandbox
from tests.e2e.stage import Client, Way, staged

pytestmark = pytest.mark.e2e

CONFIG = """
[providers.llamacpp]
base_url = "LLAMA"

[providers.bychat]
preset = "llamacpp"
base_url = "LLAMA"
wire = "chat"
"""

ASK = {"model": "llamacpp:tiny", "max_tokens": 50, "messages": [{"role": "user", "content": "Hello ü"}]}
#: What it was asked for directly has another name.
ASK_DIRECTLY = {**ASK, "model": llama.MODEL}
TOO_LONG = {**ASK, "messages": [{"role": "user", "content": "x " * llama.WINDOW}]}

#: Makes a request of the real client small enough for a tiny model.
SMALL = ("--system-prompt", "Be brief.", "--tools", "", "--strict-mcp-config", "--disable-slash-commands")


@pytest.fixture
def config(server: Llama) -> str:
    """The configuration that names the server."""
    return CONFIG.replace("LLAMA", server.url)


@pytest.fixture
async def through(sandbox: Sandbox, config: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a router in front of the server."""
    async with router.serve(sandbox, config) as running, running.client() as http:
        yield http


@pytest.fixture
async def direct(server: Llama) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the server itself."""
    async with httpx.AsyncClient(base_url=server.url, timeout=30, trust_env=False) as http:
        yield http


async def test_a_whole_reply_comes_through(through: httpx.AsyncClient) -> None:
    reply = await through.post("/v1/messages", json=ASK)
    assert reply.status_code == 200, reply.text
    message = reply.json()
    assert message["content"] == [{"type": "text", "text": llama.SENTENCE}]
    assert message["stop_reason"] == "end_turn"
    assert reply.headers["request-id"]


async def test_a_stream_comes_through_as_it_is(through: httpx.AsyncClient, direct: httpx.AsyncClient) -> None:
    def frames(body: bytes) -> list[dict]:
        events = [json.loads(line[6:]) for line in body.decode().splitlines() if line.startswith("data: ")]
        usage = events[0]["message"].pop("usage")
        assert usage["input_tokens"] + usage["cache_read_input_tokens"] > 20  # split by what it has cached
        start = events[0]["message"]
        del start["id"], start["model"]  # they are the router's
        return events

    theirs = await direct.post("/v1/messages", json={**ASK_DIRECTLY, "stream": True})
    ours = await through.post("/v1/messages", json={**ASK, "stream": True})
    assert ours.status_code == 200
    assert ours.headers["content-type"].startswith("text/event-stream")
    assert frames(ours.content) == frames(theirs.content)
    assert frames(ours.content)[-1] == {"type": "message_stop"}


async def test_tokens_are_counted_by_the_server(through: httpx.AsyncClient, direct: httpx.AsyncClient) -> None:
    for request in (ASK, TOO_LONG):
        ours = (await through.post("/v1/messages/count_tokens", json=request)).json()
        theirs = (await direct.post("/v1/messages/count_tokens", json={**request, "model": llama.MODEL})).json()
        assert ours == theirs
        assert ours["input_tokens"] > 20


async def test_its_model_is_listed_and_found_by_its_bare_name(through: httpx.AsyncClient) -> None:
    listed = (await through.get("/v1/models")).json()["data"]
    assert [model["id"] for model in listed if model["id"].startswith("llamacpp:")] == ["llamacpp:tiny"]
    reply = await through.post("/v1/messages", json=ASK_DIRECTLY)
    assert reply.json()["content"][0]["text"] == llama.SENTENCE


@pytest.mark.parametrize("streamed", [True, False])
async def test_an_overflow_comes_in_the_clients_words_with_the_servers_numbers(
    through: httpx.AsyncClient, streamed: bool
) -> None:
    reply = await through.post("/v1/messages", json={**TOO_LONG, "stream": streamed})
    counted = (await through.post("/v1/messages/count_tokens", json=TOO_LONG)).json()["input_tokens"]
    assert reply.status_code == 400
    body = reply.json()
    assert (body["type"], body["error"]["type"]) == ("error", "invalid_request_error")
    # The words by which Claude Code compacts; the server's own are others.
    assert body["error"]["message"] == f"prompt is too long: {counted} tokens > {llama.WINDOW} maximum"


async def test_the_server_is_asked_what_its_model_can_do(through: httpx.AsyncClient) -> None:
    assert (await through.post("/v1/messages", json=ASK)).status_code == 200
    (row,) = [row for row in (await through.get("/v1/models")).json()["data"] if row["id"] == "llamacpp:tiny"]
    assert row["max_input_tokens"] == llama.WINDOW
    assert row["description"] == "llama.cpp server · 8k · text only · local"
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}
    seen = [{"role": "user", "content": [picture, {"type": "text", "text": "what is it?"}]}]
    over_chat = await through.post("/v1/messages", json={**ASK, "model": "bychat:tiny", "messages": seen})
    assert over_chat.json()["content"][0]["text"] == llama.SENTENCE  # the server itself refuses pictures


async def test_what_cannot_fit_by_any_count_never_reaches_the_server(through: httpx.AsyncClient) -> None:
    words = "some words of a prompt " * llama.WINDOW
    reply = await through.post("/v1/messages", json={**ASK, "messages": [{"role": "user", "content": words}]})
    told = re.fullmatch(r"prompt is too long: (\d+) tokens > (\d+) maximum", reply.json()["error"]["message"])
    assert told is not None
    assert int(told[2]) == llama.WINDOW
    # Its tokens are bytes, so that its own count would be five times as large.
    assert int(told[1]) < len(words) / 2


async def test_a_client_that_hangs_up_stops_the_generation(
    through: httpx.AsyncClient, direct: httpx.AsyncClient
) -> None:
    # Only a stream: what is not streamed llama.cpp computes to its end, whoever asked and left (2026-11).
    async def busy() -> bool:
        [slot] = (await direct.get("/slots")).json()
        return bool(slot["is_processing"])

    async def until(wanted: bool, seconds: float) -> None:
        with trio.fail_after(seconds):
            while await busy() is not wanted:
                await trio.sleep(0.02)

    endless = {**ASK, "max_tokens": 8000, "messages": [{"role": "user", "content": llama.ENDLESS}], "stream": True}
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: through.post("/v1/messages", json=endless))
        await until(True, 5)
        await trio.sleep(0.3)
        assert await busy()
        nursery.cancel_scope.cancel()
    # All 8000 tokens would take it over ten seconds.
    await until(False, 2)


async def test_the_real_client_talks_to_the_real_server(
    client: Client, way: Way, sandbox: Sandbox, config: str
) -> None:
    async with staged(client, way, sandbox, config=config) as stage:
        ran = await stage.ask("hello", "--model", "llamacpp:tiny", *SMALL)
        assert ran.answer == llama.SENTENCE


async def test_the_real_client_tells_its_user_of_the_real_overflow(
    client: Client, sandbox: Sandbox, config: str
) -> None:
    async with staged(client, "printed", sandbox, config=config) as stage:
        ran = await stage.ask("x " * llama.WINDOW, "--model", "llamacpp:tiny", *SMALL)
        assert (ran.json["is_error"], ran.json["api_error_status"]) == (True, 400)
        assert str(llama.WINDOW) in ran.json["result"]
