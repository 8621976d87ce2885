"""Whose a block is. What becomes of it stands in history/test_makers.py, and that it is marked in test_blocks.py."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve

from ccrouter.providers.presets import PRESETS
from ccrouter.providers.provider import Provider, Target
from ccrouter.translate import provenance
from ccrouter.translate.messages import makers
from ccrouter.translate.provenance import Origin

HERE = Target(Provider(name="here", preset=PRESETS["openrouter"], base_url="http://x"), "m")
TEXT = {"type": "text", "text": "a"}
CALL = {"type": "tool_use", "id": "a", "name": "Bash", "input": {}}


@pytest.mark.parametrize(
    "block",
    [
        TEXT,
        {**TEXT, "citations": []},
        {**CALL, "caller": {"type": "direct"}},
        {"type": "thinking", "thinking": "a", "odd": 1},
        {"type": "redacted_thinking", "data": "a"},
    ],
)
def test_what_everybody_understands_needs_no_mark(block: dict[str, Any]) -> None:
    assert not makers.needs_mark(block)


@pytest.mark.parametrize(
    "block",
    [
        {**TEXT, "annotations": []},
        {**CALL, "provider_specific_fields": {}},
        {"type": "reasoning"},
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}},
    ],
)
def test_all_else_does(block: dict[str, Any]) -> None:
    assert makers.needs_mark(block)
    marked = {**block, makers.MAKER: makers.signature(HERE)}
    assert makers.is_marked(marked)
    assert not makers.is_marked(block)
    assert makers.unmarked(marked) == block


def test_a_mark_within_a_mark_comes_out_again() -> None:
    mark = makers.signature(evolve(HERE, model="n"))
    inner = {**TEXT, "odd": 1, makers.MAKER: mark}
    marked = {**inner, makers.MAKER: makers.signature(HERE, s=mark)}
    assert makers.made_by(marked, HERE, strict=True)
    assert makers.unmarked(marked) == inner
    assert makers.plain(marked) == TEXT


def test_a_maker_is_a_provider_and_for_who_is_strict_a_model_of_it() -> None:
    marked = {**TEXT, makers.MAKER: makers.signature(HERE)}
    assert provenance.read(marked[makers.MAKER]) == Origin("here", "m", {"f": "messages"})
    sibling = evolve(HERE, model="n")
    elsewhere = evolve(HERE, provider=evolve(HERE.provider, name="there"))
    assert [makers.made_by(marked, HERE, strict=strict) for strict in (True, False)] == [True, True]
    assert [makers.made_by(marked, sibling, strict=strict) for strict in (True, False)] == [False, True]
    assert [makers.made_by(marked, elsewhere, strict=strict) for strict in (True, False)] == [False, False]
    assert not makers.made_by({**TEXT, makers.MAKER: "ccr1.x"}, HERE, strict=False)
    assert not makers.made_by({**TEXT, makers.MAKER: 5}, HERE, strict=False)


def test_a_plain_block_has_documented_members_only() -> None:
    assert makers.plain({**TEXT, "odd": 1, "cache_control": {}}) == {**TEXT, "cache_control": {}}
    assert makers.plain({**CALL, makers.MAKER: "x"}) == CALL
    assert makers.plain({"type": "reasoning", "text": "a"}) is None


def test_without_a_mark_only_what_certainly_isnt_anthropics_goes() -> None:
    assert makers.cleaned({**TEXT, "annotations": [], "yet_to_come": 1}) == {**TEXT, "yet_to_come": 1}
    assert makers.cleaned(CALL) is CALL


@pytest.mark.parametrize(
    ("block", "foreign"),
    [
        (TEXT, False),
        ({"type": "yet_to_come"}, False),
        ({"type": ["reasoning"]}, False),
        ({"type": "reasoning"}, True),
        ({"type": "output_text"}, True),
        ({"type": "server_tool_use", "id": "srvtoolu_01A"}, False),
        ({"type": "server_tool_use", "id": "call_1"}, True),
        ({"type": "server_tool_use"}, True),
        ({"type": "code_execution_tool_result", "tool_use_id": "call_9"}, True),
        ({"type": "code_execution_tool_result", "tool_use_id": "srvtoolu_01A"}, False),
        ({"type": "mcp_tool_use", "id": "mcptoolu_01A"}, False),
        ({"type": "mcp_tool_use", "id": "call.1"}, True),
        ({"type": "mcp_tool_result", "tool_use_id": "call.1"}, True),
    ],
)
def test_types_and_ids_that_anthropic_never_has(block: dict[str, Any], foreign: bool) -> None:
    assert makers.is_foreign(block) is foreign
