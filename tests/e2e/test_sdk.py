"""Anthropic's own SDK as a client: of the demo model, and of a scripted upstream."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import trio

from tests.e2e import replies, router, upstream
from tests.e2e.replies import Text, Thinking, Use
from tests.e2e.sandbox import Sandbox
from tests.e2e.stage import Stage

anthropic = pytest.importorskip("anthropic", reason="the anthropic SDK is not installed")

pytestmark = pytest.mark.e2e

QUICK_DEMO = """
default = "demo"

[providers.demo]

[demo]
pace = "0s"
"""

ASK = {"max_tokens": 500, "messages": [{"role": "user", "content": "good morning"}]}


def sdk(running: router.Router):
    """A client of the router, in a thread of its own for each call."""
    return anthropic.Anthropic(
        base_url=running.url, auth_token=running.token, api_key=None, max_retries=0, timeout=20
    )


@pytest.fixture
async def demo(sandbox: Sandbox) -> AsyncIterator[router.Router]:
    """A router with the demo model and nothing else."""
    async with router.serve(sandbox, QUICK_DEMO) as running:
        yield running


async def test_the_demo_answers_streamed_and_not_alike(demo: router.Router) -> None:
    def talk():
        with sdk(demo) as client:
            whole = client.messages.create(model="demo", **ASK)
            with client.messages.stream(model="demo", **ASK) as stream:
                words = "".join(stream.text_stream)
                return whole, words, stream.get_final_message()

    whole, words, streamed = await trio.to_thread.run_sync(talk)
    assert whole.content[0].text == words == streamed.content[0].text
    assert whole.content[0].text.startswith("You said: good morning")
    assert whole.usage == streamed.usage
    assert whole.id != streamed.id
    assert streamed.stop_reason == "end_turn"


async def test_the_demo_counts_and_is_listed_as_a_demo(demo: router.Router) -> None:
    def talk():
        with sdk(demo) as client:
            counted = client.messages.count_tokens(model="demo", messages=ASK["messages"])
            return (
                counted.input_tokens,
                client.messages.create(model="demo", **ASK).usage,
                list(client.models.list()),
            )

    counted, usage, models = await trio.to_thread.run_sync(talk)
    assert counted == usage.input_tokens > 0
    assert [(model.id, "demo" in model.display_name) for model in models] == [("demo:demo", True)]


async def test_the_demo_fails_with_the_sdk_s_own_errors(demo: router.Router) -> None:
    def talk(words: str):
        with sdk(demo) as client:
            return client.messages.create(
                model="demo", max_tokens=9, messages=[{"role": "user", "content": f"fail {words}"}]
            )

    with pytest.raises(anthropic.RateLimitError):
        await trio.to_thread.run_sync(talk, "429")
    with pytest.raises(anthropic.BadRequestError, match=r"prompt is too long: [0-9]+ tokens > 200000 maximum"):
        await trio.to_thread.run_sync(talk, "overflow")


async def test_a_stranger_is_refused(demo: router.Router) -> None:
    def talk():
        with anthropic.Anthropic(base_url=demo.url, auth_token="wrong", api_key=None, max_retries=0) as client:
            client.messages.create(model="demo", **ASK)

    with pytest.raises(anthropic.AuthenticationError):
        await trio.to_thread.run_sync(talk)


async def test_a_scripted_stream_means_the_same_to_the_sdk(serving: Stage) -> None:
    blocks = Thinking("Hm.", "signature"), Text("Words: ü 🙂"), Use("toolu_1", "Bash", {"command": "ls"})
    serving.upstream.script = lambda received: upstream.usual(received) or received.say(*blocks).recut(5)

    def talk():
        assert serving.router is not None
        with sdk(serving.router) as client:
            with client.messages.stream(model="claude-sonnet-5-5", **ASK) as stream:
                streamed = stream.get_final_message()
            whole = client.messages.create(model="claude-sonnet-5-5", **ASK)
            counted = client.messages.count_tokens(model="claude-sonnet-5-5", messages=ASK["messages"])
            return streamed, whole, counted, list(client.models.list())

    streamed, whole, counted, models = await trio.to_thread.run_sync(talk)
    assert [block.model_dump(exclude_none=True) for block in streamed.content] == [
        block.model_dump(exclude_none=True) for block in whole.content
    ]
    assert streamed.content[2].input == {"command": "ls"}
    assert counted.input_tokens == 4321
    assert [model.id for model in models] == ["claude-sonnet-5-5", "claude-opus-5-5"]


async def test_an_error_in_mid_stream_is_an_error_to_the_sdk(serving: Stage) -> None:
    serving.upstream.script = lambda received: received.message(Text("half of it")).broken("cut", frames=4)

    def talk():
        assert serving.router is not None
        with sdk(serving.router) as client, client.messages.stream(model="claude-sonnet-5-5", **ASK) as stream:
            stream.get_final_message()

    with pytest.raises(anthropic.APIStatusError, match="anthropic"):
        await trio.to_thread.run_sync(talk)


async def test_a_failure_before_the_stream_has_its_status(serving: Stage) -> None:
    serving.upstream.script = lambda received: replies.error(529, "overloaded_error", "Overloaded")

    def talk():
        assert serving.router is not None
        with sdk(serving.router) as client, client.messages.stream(model="claude-sonnet-5-5", **ASK) as stream:
            stream.get_final_message()

    with pytest.raises(anthropic.APIStatusError) as caught:
        await trio.to_thread.run_sync(talk)
    assert caught.value.status_code == 529
