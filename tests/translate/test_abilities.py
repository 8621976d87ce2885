"""Requests for what a model can't do."""

from __future__ import annotations

import json

import pytest

from ccrouter.errors import ApiError, CapabilityRefused
from ccrouter.providers.presets import PRESETS
from ccrouter.providers.provider import Model, Provider, Target
from ccrouter.translate.abilities import check
from ccrouter.wire.messages import MessagesRequest, read_request

TOOL = {"name": "read", "input_schema": {"type": "object"}}


def request(**fields: object) -> MessagesRequest:
    body = {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "hi"}], **fields}
    return read_request(json.dumps(body).encode())


def target(**facts) -> Target:
    row = PRESETS["ollama"]
    return Target(Provider(name="home", preset=row, base_url="http://127.0.0.1:1"), "m", Model("m", **facts))


@pytest.mark.parametrize(
    ("source", "who"), [("backend", "home"), ("configuration", "the configuration"), ("table", "ccrouter")]
)
def test_tools_for_a_model_without_are_refused_by_the_word_of_who_said_so(source, who):
    with pytest.raises(ApiError, match=f"home:m can't call tools, as {who} says") as caught:
        check(request(tools=[TOOL]), target(tools=False, sources={"tools": source}))
    assert caught.value.status == 400
    assert '`{ id = "m", tools = true }`' in caught.value.message


def test_what_another_model_may_be_able_to_do_is_refused_as_such():
    with pytest.raises(CapabilityRefused) as caught:
        check(request(tools=[TOOL]), target(tools=False))
    assert (caught.value.status, caught.value.kind, caught.value.headers) == (400, "invalid_request_error", ())


@pytest.mark.parametrize("fields", [{}, {"tools": []}, {"tools": [TOOL], "tool_choice": {"type": "none"}}])
def test_a_request_that_calls_none_goes_on(fields):
    check(request(**fields), target(tools=False))


@pytest.mark.parametrize("tools", [True, None])
def test_only_a_no_refuses(tools):
    check(request(tools=[TOOL]), target(tools=tools))
