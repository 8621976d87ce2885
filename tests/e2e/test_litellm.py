"""ccrouter on LiteLLM's proxy, the real one, by each of its wires: it mocks replies, or translates for a stand-in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import anthropic
import pytest
import trio

from tests.e2e import router
from tests.e2e.aimock import AFTER_TOOLS, TEXT, THOUGHT, USAGE, ask, with_results
from tests.e2e.litellm_proxy import KEY, MOCKED
from tests.e2e.router import Router
from tests.e2e.sandbox import Sandbox
from tests.e2e.sdk import listed, streamed, talk, text, whole
from tests.e2e.stage import ARGUMENTS, Client

pytestmark = pytest.mark.e2e

WIRES = ("chat", "responses", "messages")

PROVIDER = """
[providers.{wire}]
preset = "litellm"
wire = "{wire}"
base_url = "{url}"
api_key = "{key}"
"""


def config(url: str, *, key: str = KEY) -> str:
    """A provider for each wire."""
    return "".join(PROVIDER.format(wire=wire, url=url, key=key) for wire in WIRES)


@pytest.fixture
async def running(litellm: str, sandbox: Sandbox) -> AsyncIterator[Router]:
    """A router with LiteLLM behind it, three times."""
    async with router.serve(sandbox, config(litellm)) as serving:
        yield serving


@pytest.mark.parametrize("wire", WIRES)
async def test_answers_mean_the_same_streamed_and_whole(running: Router, wire: str) -> None:
    request = ask(f"{wire}:text")
    for message in (await whole(running, request), await streamed(running, request)):
        assert (text(message), message.stop_reason) == (TEXT, "end_turn")
        assert (message.usage.input_tokens, message.usage.output_tokens) == (USAGE["input"], USAGE["output"])
    message = await streamed(running, ask(f"{wire}:reasoning"))
    assert [block.type for block in message.content] == ["thinking", "text"]
    assert (getattr(message.content[0], "thinking", None), text(message)) == (THOUGHT, TEXT)


async def test_its_mock_replies_arrive(running: Router) -> None:
    # By Responses it can't stream a mock, and by Messages it answers with JSON whether it is to stream or not.
    for message in (
        await streamed(running, ask("chat:mocked-text")),
        await whole(running, ask("chat:mocked-text")),
        await whole(running, ask("messages:mocked-text")),
    ):
        assert text(message) == MOCKED
        assert message.usage.output_tokens > 0


@pytest.mark.parametrize("wire", WIRES)
async def test_tools_are_called_and_their_results_arrive(running: Router, wire: str) -> None:
    request = ask(f"{wire}:tools")
    message = await streamed(running, request)
    assert message.stop_reason == "tool_use"
    assert text(await streamed(running, with_results(request, message))) == AFTER_TOOLS


async def test_its_models_are_listed(running: Router) -> None:
    models = await listed(running)
    assert {f"{wire}:{model}" for wire in WIRES for model in ("text", "mocked-text")} <= models


async def test_its_errors_are_the_client_s(running: Router) -> None:
    overflow = anthropic.BadRequestError, "prompt is too long"
    limit = anthropic.RateLimitError, "litellm.RateLimitError"
    told: dict[str, tuple[type[anthropic.APIError], str]] = {
        **{f"{wire}:overflow": (overflow[0], f"{overflow[1]}: 9000 tokens > 8192 maximum") for wire in WIRES},
        **{f"{wire}:limited": limit for wire in WIRES},
        **{f"{wire}:cut-3": (anthropic.APIStatusError, "payload is not completed") for wire in WIRES},
        "chat:mocked-overflow": overflow,
        "messages:mocked-overflow": overflow,
        "chat:mocked-limit": limit,
        "messages:mocked-limit": limit,
        "chat:mocked-failure": (anthropic.InternalServerError, "mock internal server error"),
        "messages:mocked-failure": (anthropic.InternalServerError, "mock internal server error"),
        "chat:nobody": (anthropic.APIStatusError, "nobody"),
    }
    for model, (error, words) in told.items():
        with pytest.raises(error, match=words):
            await streamed(running, ask(model))


async def test_a_key_that_it_misses_is_told_with_the_provider_to_mend(litellm: str, sandbox: Sandbox) -> None:
    without = config(litellm).replace(f'api_key = "{KEY}"', "")
    async with router.serve(sandbox, without) as running:
        for wire in WIRES:
            with pytest.raises(anthropic.AuthenticationError) as caught:
                await streamed(running, ask(f"{wire}:text"))
            assert wire in caught.value.message


async def test_a_wrong_key_is_an_error_that_does_not_tell_it(litellm: str, sandbox: Sandbox) -> None:
    async with router.serve(sandbox, config(litellm, key="sk-of-somebody-else")) as running:
        for wire in WIRES:
            # Without a database of keys LiteLLM has no 401 for this, but "No connected db." (1.106).
            with pytest.raises(anthropic.APIStatusError) as caught:
                await streamed(running, ask(f"{wire}:text"))
            assert "No connected db" in caught.value.message
            assert "somebody-else" not in caught.value.message


@pytest.mark.parametrize("wire", WIRES)
async def test_a_client_that_hangs_up_ends_its_request_alone(running: Router, wire: str) -> None:
    def leave(sdk: anthropic.Anthropic) -> None:
        with sdk.messages.stream(**ask(f"{wire}:slow")) as stream:
            next(event for event in stream if event.type == "text")

    await talk(running, leave)
    with trio.fail_after(2):  # all of the reply takes longer
        while not any(f"{wire}:slow" in line for line in running.log):
            await trio.sleep(0.01)
    (ended,) = [line for line in running.log if f"{wire}:slow" in line]
    assert " done " not in ended
    message = await streamed(running, ask(f"{wire}:text"))
    assert text(message) == TEXT


async def test_claude_code_gets_its_answer(new_client: Client, litellm: str, sandbox: Sandbox) -> None:
    path = router.write_config(sandbox, config(litellm))
    argv: list[str | Path] = [*router.command(), "run", "--config", path, "--model", "chat:text", "--"]
    argv += [new_client.program, "-p", "say something", *ARGUMENTS]
    ran = await sandbox.run(argv, router.environ(sandbox))
    assert ran.answer == TEXT
