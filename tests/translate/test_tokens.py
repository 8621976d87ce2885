"""The token estimate: what counts, what it costs, and that nothing decoded from JSON upsets it."""

import base64
import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.providers.presets import PRESETS
from ccrouter.providers.provider import Model, Provider, Target
from ccrouter.translate import sight
from ccrouter.translate import tokens as module
from ccrouter.translate.messages import history
from ccrouter.translate.provenance import MAKER, Origin, sign
from ccrouter.translate.tokens import Count, estimate, estimate_text, of, texts_of
from ccrouter.wire.messages import read_request
from tests.translate.messages.settling import switched
from tests.translate.test_media import image, png

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)
KINDS = [
    "text", "thinking", "redacted_thinking", "tool_use", "server_tool_use", "tool_result", "mcp_tool_result",
    "web_search_tool_result", "tool_reference", "image", "document", "search_result", "not_yet_known",
]  # fmt: skip
BLOCK_KEYS = ["text", "thinking", "data", "name", "input", "content", "source", "title", "context", "signature"]
BLOCKS = st.builds(
    lambda kind, rest: {**rest, "type": kind},
    st.sampled_from(KINDS) | JSON,
    st.dictionaries(st.sampled_from(BLOCK_KEYS), JSON, max_size=4),
)
SOURCES = st.builds(
    lambda kind, source: {"type": kind, "source": source},
    st.sampled_from(["image", "document"]),
    st.fixed_dictionaries(
        {"type": st.sampled_from(["base64", "text", "content", "url", "file"])},
        optional={"data": JSON | st.binary(max_size=80).map(lambda raw: base64.b64encode(raw).decode())},
    ),
)
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "assistant", "system"]) | JSON},
        optional={"content": JSON | st.lists(BLOCKS | SOURCES | JSON, max_size=4)},
    )
    | JSON,
    max_size=3,
)
REQUESTS = st.fixed_dictionaries(
    {},
    optional={
        "system": JSON | st.lists(BLOCKS, max_size=2),
        "messages": MESSAGES | JSON,
        "tools": JSON | st.lists(st.dictionaries(st.sampled_from(["name", "description", "input_schema"]), JSON)),
        "output_config": JSON | st.fixed_dictionaries({"format": JSON}),
    },
)


def message(*blocks: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": list(blocks)}]}


def cost(block: Any) -> int:
    """What ``block`` adds to a message."""
    return estimate(message(block)) - estimate(message())


@given(REQUESTS)
def test_nothing_decoded_from_json_is_an_error(fields: dict[str, Any]) -> None:
    assert estimate(fields) >= 0
    assert all(isinstance(text, str) for text in texts_of(fields))


@given(st.text(st.characters()))
def test_a_text_costs_something_and_less_than_three_tokens_a_byte(text: str) -> None:
    tokens = estimate_text(text)
    assert (tokens > 0) == bool(text)
    assert tokens <= 3 * len(text.encode("utf-8", "surrogatepass"))


@given(st.text(), st.text())
def test_more_text_never_costs_less(text: str, more: str) -> None:
    assert estimate_text(text + more) >= estimate_text(text)


def test_halves_of_surrogate_pairs_are_counted() -> None:
    assert estimate(message({"type": "text", "text": "\ud83d alone"})) > estimate(message())


@pytest.mark.parametrize(
    ("text", "tokens"),
    # Counts of o200k_base and of Anthropic's published tokenizer, lowest and highest.
    [
        ("The router holds one connection open for each request and closes it with the client.", (16, 16)),
        ("def estimate_text(text: str) -> int:\n    return max(1, round(tokens))\n", (19, 23)),
        ('{"type":"object","properties":{"path":{"type":"string"}},"required":["path"]}', (18, 19)),
        ("drwxr-xr-x 2 root root 4096 Nov 20 16:21 translate", (17, 21)),
    ],
)
def test_short_texts_are_near_the_real_counts(text: str, tokens: tuple[int, int]) -> None:
    lowest, highest = tokens
    assert lowest * 0.75 <= estimate_text(text) <= highest * 1.25


def test_all_that_a_model_sees_is_counted_in_order() -> None:
    fields = {
        "system": [
            {"type": "text", "text": "x-anthropic-billing-header: a=b;"},
            {"type": "text", "text": "Be brief."},
        ],
        "tools": [{"name": "Read", "description": "Reads.", "input_schema": {"type": "object", "é": 1}}],
        "messages": [
            {"role": "user", "content": "hello"},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
                    {"type": "redacted_thinking", "data": "c2VjcmV0"},
                    {"type": "tool_use", "id": "toolu_1", "name": "Read", "input": {"path": "a b"}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": "toolu_1",
                        "content": [
                            {"type": "text", "text": "nested", "cache_control": {"type": "ephemeral"}},
                            {"type": "tool_reference", "tool_name": "Grep"},
                            {"type": "document", "title": "notes", "source": {"type": "text", "data": "inside"}},
                        ],
                    },
                    {"type": "tool_result", "tool_use_id": "toolu_2", "content": "plain"},
                    {
                        "type": "document",
                        "source": {"type": "content", "content": [{"type": "text", "text": "deep"}]},
                    },
                ],
            },
        ],
        "output_config": {"effort": "high", "format": {"type": "json_schema", "schema": {"type": "string"}}},
    }
    assert texts_of(fields) == [
        "Be brief.",
        "Read", "Reads.", '{"type":"object","é":1}',
        "user", "hello",
        "assistant", "hm", "Read", '{"path":"a b"}',
        "user", "nested", "Grep", "notes", "inside", "plain", "deep",
        '{"type":"string"}',
    ]  # fmt: skip


def test_a_system_prompt_counts_the_same_as_text_and_as_blocks() -> None:
    assert estimate({"system": "Be brief."}) == estimate({"system": [{"type": "text", "text": "Be brief."}]}) > 0


def test_a_system_prompt_of_the_attribution_alone_is_none() -> None:
    assert estimate({"system": [{"type": "text", "text": "x-anthropic-billing-header: a=b;"}]}) == 0
    assert estimate({}) == 0


def test_results_of_server_tools_count_without_their_encrypted_parts() -> None:
    found = {
        "type": "web_search_result",
        "url": "https://example.org/a",
        "title": "A",
        "encrypted_content": "x" * 9000,
    }
    block = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [found]}
    assert texts_of(message(block)) == ["user", "https://example.org/a", "A"]


def test_each_message_tool_call_and_result_costs_more_than_its_text() -> None:
    assert estimate(message()) > estimate_text("user")
    assert estimate({"tools": [{"name": "Read"}]}) > estimate_text("Read")
    assert cost({"type": "tool_use", "name": "Read", "input": {}}) > estimate_text("Read {}")
    assert cost({"type": "tool_result", "content": "done"}) > estimate_text("done")


def test_a_call_nested_deeper_than_the_json_encoder_goes_is_counted() -> None:
    value: Any = "leaf"
    for _ in range(100_000):
        value = {"key": [value]}
    assert estimate(message({"type": "tool_use", "name": "Read", "input": value})) > 100_000
    blocks: Any = "leaf"
    for _ in range(100_000):
        blocks = [{"type": "tool_result", "content": blocks}]
    assert texts_of(message(*blocks)) == ["user", "leaf"]


def test_an_image_costs_the_same_inside_a_tool_result() -> None:
    inside = cost({"type": "tool_result", "content": [image(png(750, 100))]})
    assert inside - cost({"type": "tool_result", "content": []}) == 100


def test_a_document_of_text_costs_its_text_and_title() -> None:
    block = {"type": "document", "title": "notes", "source": {"type": "text", "data": "one two three"}}
    assert cost(block) == cost({"type": "text", "text": "notes one two three"})


def test_signatures_and_ids_cost_nothing() -> None:
    bare = {"type": "thinking", "thinking": "hm"}
    assert cost({**bare, "signature": "x" * 5000, "id": "y" * 5000}) == cost(bare)


def test_the_mark_of_a_blocks_maker_costs_nothing() -> None:
    bare = {"type": "text", "text": "hm"}
    assert cost({**bare, MAKER: sign(Origin("somebody", "m", {"f": "messages"}))}) == cost(bare)


def test_the_time_is_linear() -> None:
    """One megabyte costs about 30 ms; the limit leaves room for a machine that is busy with other tests."""
    text = ("def of(self, name: str) -> int:\n    return self.known[name]  # 42\n" * 16_000)[:1_000_000]
    for shape in (text, "a" * 1_000_000, " " * 1_000_000, "({[" * 333_333, json.dumps(text)):
        start = time.process_time()
        estimate_text(shape)
        assert time.process_time() - start < 0.5


def test_the_estimate_for_a_request_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    fields = {"model": "m", "messages": [{"role": "user", "content": "Some words"}]}
    request = read_request(json.dumps(fields).encode())
    count = of(request)
    assert count == estimate(fields)
    monkeypatch.delattr(module, "Count")
    assert of(request) == count


# For a target


def asking(preset: str, model: str = "m", **facts: Any) -> Target:
    row = PRESETS[preset]
    provider = Provider(name=preset, preset=row, base_url=row.base_url or "https://x.example")
    return Target(provider, model, Model(model, **facts))


MESSAGES_PRESETS = sorted(name for name, row in PRESETS.items() if row.messages_path)


@given(switched(), st.sampled_from(MESSAGES_PRESETS), st.sampled_from([None, False]))
def test_what_is_counted_for_a_target_is_what_it_is_sent(messages: Any, preset: str, sees: bool | None) -> None:
    """But for the words in place of what isn't sent, and the marks of messages that become one."""
    to = asking(preset, vision=sees)
    asked = read_request(json.dumps({"model": "m", "messages": messages}).encode())
    sent = estimate({"messages": history.settle(messages, to)[0]})
    pieces = sum(len(each["content"]) if isinstance(each["content"], list) else 1 for each in messages)
    assert abs(of(asked, to) - sent) <= 30 * pieces


def test_a_request_is_read_once_for_all_targets(monkeypatch: pytest.MonkeyPatch) -> None:
    said = message(image(png(750, 100)), {"type": "thinking", "thinking": "hm " * 50, "signature": ""})
    request = read_request(json.dumps({"model": "m", **said}).encode())
    whole = of(request)
    monkeypatch.delattr(module, "Count")
    assert of(request, asking("anthropic")) == whole - estimate_text("hm " * 50)
    assert of(request, asking("ollama")) == whole
    assert whole - 100 < of(request, asking("ollama", vision=False)) < whole - 50
    assert of(request, asking("openai")) == whole - estimate_text("hm " * 50)


def test_of_what_a_target_is_all_shown_nothing_is_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    request = read_request(json.dumps({"model": "m", **message({"type": "text", "text": "hi"})}).encode())
    monkeypatch.delattr(sight, "of")
    assert of(request, asking("ollama")) == of(request)


@given(REQUESTS, st.sampled_from(sorted(PRESETS)), st.sampled_from([None, False]))
def test_nobody_is_shown_less_than_nothing(fields: dict[str, Any], preset: str, sees: bool | None) -> None:
    assert Count(fields, estimate_text).of(asking(preset, vision=sees)) >= 0
