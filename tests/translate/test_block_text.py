"""Blocks in words: what the tools of a backend gave, and what is left of those that nobody else can read."""

from __future__ import annotations

from typing import Any

import pytest

from ccrouter.translate import block_text
from ccrouter.translate.turns import Text

PAGE = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "PAGE"}}
REFERENCE = {"type": "tool_reference", "tool_name": "Read"}


def show(block: object) -> tuple[list[Any], list[str]]:
    """What is shown, texts as strings; and the notes."""
    notes: list[str] = []
    return [part.text if isinstance(part, Text) else part for part in block_text.shown(block, notes.append)], notes


def ran(**content: Any) -> dict[str, Any]:
    return {"type": "code_execution_tool_result", "content": {"type": "code_execution_result", **content}}


@pytest.mark.parametrize(
    ("block", "words"),
    [
        (ran(stdout="42\n", stderr="", return_code=0), ["42\n"]),
        (ran(stdout="", stderr="no such file", return_code=1), ["no such file"]),
        (ran(stdout="", stderr="", return_code=0), [block_text.SILENT]),
        (ran(encrypted_stdout="Eq"), ["[code_execution_tool_result omitted]"]),
        (ran(error_code="unavailable"), ["[the tool failed: unavailable]"]),
        ({"type": "bash_code_execution_tool_result", "content": {"stdout": "a", "stderr": "b"}}, ["a", "b"]),
        ({"type": "text_editor_code_execution_tool_result", "content": {"lines": ["a", 5, "b"]}}, ["a\nb"]),
        ({"type": "text_editor_code_execution_tool_result", "content": {"content": "text"}}, ["text"]),
        (
            {"type": "web_fetch_tool_result", "content": {"url": "http://x", "content": PAGE}},
            ["[from http://x]", "[document: document]\nPAGE"],
        ),
        ({"type": "mcp_tool_result", "content": [{"type": "text", "text": "found"}, 5]}, ["found"]),
        ({"type": "mcp_tool_result", "content": "found"}, ["found"]),
        ({"type": "mcp_tool_result", "content": [{"type": "image"}]}, ["[image omitted: it can't be shown here]"]),
        ({"type": "advisor_tool_result", "content": {"text": "advice"}}, ["advice"]),
        (
            {"type": "tool_search_tool_result", "content": {"tool_references": [REFERENCE, 5]}},
            ["The tool Read is available from here on.", "The tool (unnamed) is available from here on."],
        ),
        ({"type": "mcp_tool_result"}, ["[mcp_tool_result omitted]"]),
        ({"type": "output_text", "text": "abc"}, ["abc"]),
    ],
)
def test_what_a_backends_own_tool_gave_is_told(block: dict[str, Any], words: list[Any]) -> None:
    assert show(block)[0] == words


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ({"type": "server_tool_use", "name": "web_search", "input": {"query": "news"}}, "[searched for: news]"),
        (
            {"type": "server_tool_use", "name": "code_execution", "input": {"code": "é"}},
            '[called code_execution: {"code": "é"}]',
        ),
        ({"type": "mcp_tool_use", "name": "q", "input": {"query": "x"}}, '[called q: {"query": "x"}]'),
        ({"type": "mcp_tool_use", "input": 5}, "[called a tool]"),
    ],
)
def test_and_so_is_what_it_was_asked(call: dict[str, Any], words: str) -> None:
    assert show(call) == ([words], [f"{call['type']}: told as text"])


def test_what_only_its_maker_can_use_leaves_its_name() -> None:
    assert show({"type": "container_upload", "file_id": "f"})[0] == ["[container_upload omitted]"]
    found, notes = show({"type": "a\n\ud800 b", "text": "x"})
    assert found == ["[a_b omitted]"]
    assert notes == ["a\n\ud800 b: left out, only its maker can use it"]


@pytest.mark.parametrize("kind", ["thinking", "redacted_thinking", "reasoning", "thought", "fallback"])
def test_reasoning_leaves_no_words(kind: str) -> None:
    assert show({"type": kind, "text": "plan", "thinking": "plan"}) == ([], [f"{kind}: left out"])
