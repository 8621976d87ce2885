"""Limits, cache marks, the form of an answer, headers."""

from __future__ import annotations

import json
import re

import pytest

from ccrouter.errors import ApiError
from ccrouter.providers.provider import Model
from ccrouter.translate.responses import request as responses_request
from tests.translate.dialogues import PDF, without_marks
from tests.translate.responses.request.rendered import BASH, assistant, items, refused, render, text, user
from tests.translate.responses_wire import request, target


def test_max_tokens_keeps_to_what_the_backend_takes():
    models = (Model("m", max_output=128_000),)
    for asked, sent in ((5, 16), (100, 100), (500_000, 128_000)):
        assert render(max_tokens=asked, models=models)[0]["max_output_tokens"] == sent
    body, changes = render("chatgpt", max_tokens=100)
    assert "max_output_tokens" not in body
    assert "max_tokens: dropped, the backend sets its own limit" in changes


def test_chatgpts_backend_gets_nothing_that_it_refuses():
    body, _ = render("chatgpt", temperature=1, top_p=0.5, tools=[BASH], metadata={"user_id": "u"})
    assert sorted(body) == [
        "include",
        "input",
        "instructions",
        "model",
        "parallel_tool_calls",
        "prompt_cache_key",
        "store",
        "stream",
        "tool_choice",
        "tools",
    ]
    assert render("chatgpt")[0]["tools"] == []  # and what it wants to have


def test_instructions_are_there_even_if_there_are_none():
    assert render()[0]["instructions"] == ""
    assert render(system=[text("a"), text("b")])[0]["instructions"] == "a\n\nb"


CACHED = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
BREAK = {"prompt_cache_breakpoint": {"mode": "explicit"}}


def test_the_system_prompt_is_an_item_where_it_can_carry_marks():
    body, _ = render("marked", system=[{**text("a"), **CACHED}, text("b")])
    assert "instructions" not in body
    assert "prompt_cache_options" not in body
    assert body["input"][0] == {
        "type": "message",
        "role": "developer",
        "content": [{"type": "input_text", "text": "a", **BREAK}, {"type": "input_text", "text": "b"}],
    }
    assert [item["role"] for item in render("marked")[0]["input"]] == ["user"]
    assert refused(preset="marked", system="a", messages=[]).startswith("messages: at least one")


def test_marks_stand_on_parts_and_change_nothing_else():
    def told(**mark):
        call = {"type": "tool_use", "id": "t1", "name": "Read", "input": {}}
        result = {"type": "tool_result", "tool_use_id": "t1", "content": "x", **mark}
        return items(user(text("q")), assistant(call), user(result, {**PDF, **mark}), preset="marked")

    marked = told(**CACHED)
    assert marked[2]["output"] == [{"type": "input_text", "text": "x", **BREAK}]
    assert marked[3]["content"][0] == {**marked[3]["content"][0], "type": "input_file", **BREAK}
    assert without_marks(marked) == told()
    assert "prompt_cache_breakpoint" not in json.dumps(items(user({**text("q"), **CACHED})))


def test_more_than_a_model_can_say_is_not_asked_for():
    assert render(max_tokens=32_000, models=(Model("m", max_output=8192),))[0]["max_output_tokens"] == 8192
    body, changes = render(max_tokens=32_000, models=(Model("m", window=20_000),))
    assert 15_000 < body["max_output_tokens"] < 20_000
    assert f"max_tokens: 32000 -> {body['max_output_tokens']}" in changes


def test_an_answer_in_a_given_form_is_asked_for_or_refused():
    form = {
        "type": "object",
        "properties": {"title": {"type": "string"}},
        "required": ["title"],
        "additionalProperties": False,
    }
    wanted = {"format": {"type": "json_schema", "schema": form}}
    assert render(output_config=wanted)[0]["text"] == {
        "format": {"type": "json_schema", "name": "answer", "schema": form, "strict": True}
    }
    # The client's own rule of where the name of a class ends.
    assert re.match(
        r"capability_rejected: structured_outputs_unsupported(?![A-Za-z0-9_:.-])",
        refused(preset="small", output_config=wanted),
    )


def key(headers=(), **fields):
    return render(headers=headers, **fields)[0].get("prompt_cache_key")


def test_the_cache_key_is_that_of_session_and_agent():
    one, other = {"user_id": "a"}, {"user_id": "b"}
    agent = [(b"x-claude-code-agent-id", b"7")]
    assert key(metadata=one) == key(metadata=one, system="else")
    assert (
        len(
            {
                key(metadata=one),
                key(metadata=other),
                key(agent, metadata=one),
                key([(b"x-claude-code-session-id", b"s")]),
            }
        )
        == 4
    )
    assert len(key(metadata=one)) <= 64
    assert key() is None


def test_verdicts_on_safety_are_refused():
    assert refused(safeguards={}).startswith("safeguards: Extra inputs are not permitted")


def test_no_header_of_the_client_goes_on_but_its_name():
    out = responses_request.render(
        request(),
        target(),
        [(b"authorization", b"Bearer x"), (b"user-agent", b"claude-cli/2"), (b"anthropic-beta", b"b")],
        "",
        "messages",
    )
    assert out.headers == [
        (b"content-type", b"application/json"),
        (b"accept", b"text/event-stream"),
        (b"accept-encoding", b"identity"),
        (b"user-agent", b"claude-cli/2"),
    ]


def test_an_endpoint_that_the_wire_lacks_is_not_found():
    with pytest.raises(ApiError) as caught:
        responses_request.render(request(), target(), [], "", "count_tokens")
    assert caught.value.status == 404
