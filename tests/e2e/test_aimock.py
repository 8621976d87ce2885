"""What a client sees of a backend that breaks its replies in every way: whole messages and errors, nothing between.

The backend is aimock, by each wire; `tests.e2e.aimock` says which model shows which fault.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

import anthropic
import httpx
import pytest
import trio
from anthropic.types import Message

from ccrouter.wire.grammar import Grammar, State
from ccrouter.wire.sse import Decoder
from tests.e2e import router
from tests.e2e.aimock import AFTER_TOOLS, FAULTS, HALVES, TEXT, THOUGHT, USAGE, ask, with_results
from tests.e2e.router import Router
from tests.e2e.sandbox import Sandbox
from tests.e2e.sdk import DEADLINE, listed, streamed, text, whole

pytestmark = pytest.mark.e2e

WIRES = ("chat", "responses", "messages")

#: The Messages lane hands a reply on as it came, so that a backend's own nonsense stays the backend's.
HANDED_ON = {"malformed", "half-a-call"}

CONFIG = """
default = "chat"
[server]
timeouts = { connect = "2s", first_byte = "2s", idle = "2s", total = "20s" }
[providers.chat]
base_url = "URL/v1"
api_key = "sk-scripted-key"
[providers.responses]
base_url = "URL/v1"
api_key = "sk-scripted-key"
[providers.messages]
base_url = "URL"
api_key = "sk-scripted-key"
"""

#: What the client is told of a fault, where it is more than that there was one.
TOLD: dict[str, tuple[type[anthropic.APIError], str]] = {
    "overflow": (anthropic.BadRequestError, "prompt is too long: 9000 tokens > 8192 maximum"),
    "limited": (anthropic.RateLimitError, "Rate limit reached"),
    "throttled": (anthropic.RateLimitError, "rate limit exceeded"),
    "failing": (anthropic.APIStatusError, "The engine is overloaded"),
    "dropped": (anthropic.InternalServerError, "request dropped"),
    "malformed": (anthropic.InternalServerError, "no reply: {malformed json"),
    "disconnected": (anthropic.InternalServerError, "closed the connection without a reply"),
    "mute": (anthropic.InternalServerError, "the timeout first_byte"),
    "stalled": (anthropic.APIStatusError, "the timeout idle"),
    "half-a-call": (anthropic.APIStatusError, "get_weather"),
}


@pytest.fixture(params=WIRES)
def wire(request: pytest.FixtureRequest) -> str:
    """Each wire in turn."""
    return str(request.param)


@pytest.fixture
async def running(stand_in: str, sandbox: Sandbox) -> AsyncIterator[Router]:
    """A router with a provider for each wire, which ends cleanly whatever it has seen."""
    async with router.serve(sandbox, CONFIG.replace("URL", stand_in)) as serving:
        yield serving


async def test_text_and_usage_are_the_same_streamed_and_whole(running: Router, wire: str) -> None:
    request = ask(f"{wire}:text")
    for message in (await whole(running, request), await streamed(running, request)):
        assert (text(message), message.stop_reason) == (TEXT, "end_turn")
        assert (message.usage.input_tokens, message.usage.output_tokens) == (USAGE["input"], USAGE["output"])


async def test_reasoning_is_thinking(running: Router, wire: str) -> None:
    message = await streamed(running, ask(f"{wire}:reasoning"))
    assert [block.type for block in message.content] == ["thinking", "text"]
    assert (getattr(message.content[0], "thinking", None), text(message)) == (THOUGHT, TEXT)


async def test_tools_are_called_and_their_results_arrive(running: Router, wire: str) -> None:
    request = ask(f"{wire}:tools")
    message = await streamed(running, request)
    assert message.stop_reason == "tool_use"
    assert text(await streamed(running, with_results(request, message))) == AFTER_TOOLS


async def test_a_slow_stream_outlasts_the_timeout_between_its_pieces(running: Router) -> None:
    async def listen(wire: str) -> None:
        message = await streamed(running, ask(f"{wire}:slow"))
        assert text(message) == TEXT

    await all_of(listen, WIRES)


async def test_the_models_of_each_provider_are_listed(running: Router) -> None:
    models = await listed(running)
    assert {f"{wire}:text" for wire in WIRES} <= models


async def test_no_fault_looks_like_an_answer(running: Router, wire: str) -> None:
    async def suffer(fault: str) -> None:
        request = ask(f"{wire}:{fault}")
        reply = await http.post("/v1/messages", json={**request, "stream": True})
        assert_broken(fault, reply)
        error = await error_of(streamed(running, request))
        assert_told(fault, error)

    faults = [fault for fault in FAULTS if wire != "messages" or fault not in HANDED_ON]
    async with running.client() as http:
        await all_of(suffer, faults)
    message = await streamed(running, ask(f"{wire}:text"))
    assert text(message) == TEXT


async def test_no_fault_looks_like_an_answer_that_was_asked_for_whole(running: Router) -> None:
    async def suffer(model: str) -> None:
        error = await error_of(whole(running, ask(model)))
        assert_told(model.partition(":")[2], error)

    # The Messages lane asks for it whole too, and then there is nothing to cut.
    await all_of(suffer, [f"{wire}:{fault}" for wire in ("chat", "responses") for fault in FAULTS])
    message = await whole(running, ask("chat:text"))
    assert text(message) == TEXT


async def all_of(do: Callable[[str], Awaitable[None]], names: Iterable[str]) -> None:
    """All of them, several at once, and soon."""
    at_once = trio.CapacityLimiter(8)

    async def one(name: str) -> None:
        async with at_once:
            await do(name)

    with trio.fail_after(DEADLINE):
        async with trio.open_nursery() as nursery:
            for name in names:
                nursery.start_soon(one, name)


async def error_of(answer: Awaitable[Message]) -> anthropic.APIError:
    """The error that the SDK raises for want of an answer."""
    with pytest.raises(anthropic.APIError) as caught:
        await answer
    return caught.value


def assert_broken(fault: str, reply: httpx.Response) -> None:
    """An error before the stream, or a stream that keeps the grammar and ends with one."""
    if reply.status_code != 200:
        assert reply.json()["type"] == "error", (fault, reply.text)
        return
    grammar = Grammar()
    for frame in Decoder().feed(reply.content):
        grammar.feed(json.loads(frame.data or b""))
    assert grammar.state is State.FAILED, (fault, reply.text)


def assert_told(fault: str, error: anthropic.APIError) -> None:
    """The error is of the kind and says the words that the fault asks for."""
    kind, words = TOLD.get(fault, (anthropic.APIStatusError, ""))
    assert isinstance(error, kind), (fault, error)
    assert words in str(error), (fault, error)


async def test_halves_of_an_emoji_in_two_events_are_the_emoji(running: Router) -> None:
    for wire in WIRES:
        message = await streamed(running, ask(f"{wire}:halves"))
        # A client in Python is left with the two halves, one in JavaScript has the emoji.
        joined = text(message).encode("utf-16", "surrogatepass").decode("utf-16")
        assert joined == HALVES


@pytest.mark.parametrize("bridge", ["chat", "responses"])
async def test_halves_of_an_emoji_are_the_emoji_of_a_whole_reply(running: Router, bridge: str) -> None:
    message = await whole(running, ask(f"{bridge}:halves"))
    assert text(message) == HALVES
