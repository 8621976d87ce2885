"""What we send to chat backends, read by the types of the openai SDK: every request is one that it could send."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pytest
from hypothesis import given

from ccrouter.errors import ApiError
from ccrouter.providers.quirks import Quirks
from tests.translate.chat.test_request import sent
from tests.translate.dialogues import TOOLS, any_fields, dialogues

pydantic = pytest.importorskip("pydantic")
chat = pytest.importorskip("openai.types.chat.completion_create_params")
REQUEST = pydantic.TypeAdapter(chat.CompletionCreateParamsStreaming)

#: What OpenAI itself takes.
OPENAI = Quirks(
    max_tokens="max_completion_tokens",
    ask="reasoning_effort",
    efforts=("none", "low", "medium", "high", "xhigh"),
    system_role="developer",
    later_system="developer",
    files=True,
    strict_tools=True,
    cache_key=True,
    cache_marks="openai",
)


def plain(value):
    """A validated value as JSON has it. The SDK's lists are iterables, checked when they are walked through."""
    if isinstance(value, str | bytes):
        return value
    if isinstance(value, Mapping):
        return {key: plain(each) for key, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, Iterable) else value


def check(body):
    """Valid, and of nothing that the SDK doesn't know: what its types don't name is not in the validated value."""
    assert plain(REQUEST.validate_python(body)) == body


@pytest.mark.parametrize("quirks", [Quirks(), OPENAI])
def test_a_request_that_asks_for_everything_is_one_of_the_sdks(quirks):
    form = {"type": "json_schema", "schema": {"type": "object", "properties": {}}}
    check(
        sent(
            quirks,
            system=[{"type": "text", "text": "You are", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
            tools=TOOLS,
            tool_choice={"type": "tool", "name": TOOLS[1]["name"], "disable_parallel_tool_use": True},
            thinking={"type": "adaptive"},
            output_config={"effort": "max", "format": form},
            stop_sequences=["x"],
            temperature=0.5,
            metadata={"user_id": "u"},
        )
    )


@given(dialogues())
def test_every_conversation_of_claude_codes_is_one_of_the_sdks(dialogue):
    for quirks in (Quirks(), OPENAI):
        check(sent(quirks, messages=dialogue.requests[-1], tools=TOOLS))


@given(any_fields)
def test_whatever_is_rendered_is_one_of_the_sdks(fields):
    try:
        body = sent(OPENAI, **fields)
    except ApiError:
        return
    check(body)
