"""The question for the number of a request's tokens, against the members that OpenAI's own library lets in."""

from __future__ import annotations

import json
from typing import Any, get_type_hints

import pytest
from openai.types.responses import InputTokenCountParams

from ccrouter.errors import ApiError
from ccrouter.providers.provider import Target
from ccrouter.translate.responses import request as responses_request
from ccrouter.wire.messages import MessagesRequest, read_request
from tests.rig import provider, request

OPENAI = Target(provider("openai"), "gpt-x")

FULL: dict[str, Any] = {
    "system": "Be brief.",
    "max_tokens": 4096,
    "thinking": {"type": "enabled", "budget_tokens": 2000},
    "metadata": {"user_id": "u"},
    "tools": [
        {"name": "Read", "description": "reads", "input_schema": {"type": "object", "properties": {}}},
        {"type": "web_search_20250305", "name": "web_search"},
    ],
    "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
    "output_config": {"format": {"type": "json_schema", "schema": {"type": "object", "properties": {}}}},
}


def asked(**fields: Any) -> MessagesRequest:
    return read_request(request(**fields))


def test_the_question_is_the_request_without_what_only_an_answer_needs() -> None:
    wanted = asked(**FULL)
    counted = responses_request.render(wanted, OPENAI, [], "beta=true", "count_tokens")
    answered = responses_request.render(wanted, OPENAI, [], "beta=true", "messages")
    assert counted.url == "https://api.openai.com/v1/responses/input_tokens"
    assert dict(counted.headers)[b"accept"] == b"application/json"
    sent, whole = json.loads(counted.body), json.loads(answered.body)
    assert sent.items() <= whole.items()
    assert set(whole) - set(sent) == {
        "store",
        "stream",
        "stream_options",
        "include",
        "max_output_tokens",
        "prompt_cache_key",
    }
    assert set(sent) <= set(get_type_hints(InputTokenCountParams))
    assert {"input", "instructions", "tools", "tool_choice", "parallel_tool_calls", "reasoning", "text"} <= set(
        sent
    )


def test_a_request_that_only_asks_for_a_count_needs_no_limit() -> None:
    wanted = read_request(b'{"model": "m", "messages": [{"role": "user", "content": "\\ud800"}]}')
    sent = json.loads(responses_request.render(wanted, OPENAI, [], "", "count_tokens").body)
    assert set(sent) == {"model", "instructions", "input", "tools"}


@pytest.mark.parametrize("name", ["codex", "responses", "litellm", "azure"])
def test_who_is_not_known_to_count_is_not_asked(name: str) -> None:
    with pytest.raises(ApiError, match="does not count tokens"):
        responses_request.render(asked(), Target(provider(name, wire="responses"), "m"), [], "", "count_tokens")


def test_half_a_surrogate_pair_is_no_error() -> None:
    wanted = asked(messages=[{"role": "user", "content": "a\ud83db"}])
    counted = responses_request.render(wanted, OPENAI, [], "", "count_tokens")
    assert "a\ufffdb" in counted.body.decode()
