"""What is said and shown: texts, searches, images, files."""

from __future__ import annotations

import json

import pytest

from ccrouter.translate import block_text
from ccrouter.translate.block_text import NOTHING
from tests.translate.dialogues import IMAGE, PDF
from tests.translate.messages.settling import (
    HI,
    MESSAGES,
    SEARCH,
    assistant,
    hits,
    reply,
    result,
    settle,
    text,
    use,
    user,
)


@pytest.mark.parametrize("blank", ["", " ", "\n\t"])
def test_blank_text_is_left_out_where_it_is_refused(blank):
    found, changes = settle(
        [user(text("hi"), text(blank)), assistant(text(blank)), user(result("x", [text(blank)]))]
    )
    assert found == [HI, user(text(block_text.ORPHANED))]
    assert changes[0] == "content: blank text left out (3 times)"
    assert settle([{"role": "user", "content": blank}])[0] == [user(text(NOTHING))]
    assert settle([user(text(blank))], "ollama")[1] == []


def test_the_systems_messages_stay_as_they_are():
    messages = [HI, {"role": "system", "content": []}, {"role": "system", "content": [text("")]}]
    assert settle(messages)[0] is messages


def test_searches_of_others_are_told_to_anthropic_as_text_and_its_own_pass():
    told_as = [text("[searched for: news]"), text("[search results]\n- X https://x.example")]
    assert reply(SEARCH, hits(""))[0] == told_as
    assert reply(SEARCH, hits("abc")) == ([SEARCH, hits("abc")], [])
    other = {**SEARCH, "id": "call_1"}
    assert reply(other, hits("abc", "call_1"))[0] == told_as
    cited = {"type": "web_search_result_location", "url": "https://x.example", "encrypted_index": ""}
    assert reply({**text("a"), "citations": [cited]})[0] == [text("a")]
    cited["encrypted_index"] = "x"
    assert reply({**text("a"), "citations": [cited]})[0] == [{**text("a"), "citations": [cited]}]


@pytest.mark.parametrize(
    ("preset", "model"),
    [
        ("anthropic", "claude-opus-5-5"),
        ("foundry", "claude-opus-5-5"),
        ("litellm", "bedrock/anthropic.claude-opus-5-5"),
        ("litellm", "claude-opus-5-5"),
        ("openrouter", "anthropic/claude-opus-5.5"),
        ("messages", "anthropic.claude-opus-5-5-v1:0"),
    ],
)
def test_claudes_own_citations_go_on_with_it_to_another_of_its_gateways(preset, model):
    page = {
        "type": "web_search_result_location",
        "url": "https://x.example/page",
        "title": "t",
        "cited_text": "c",
        "encrypted_index": "x",
    }
    place = {"type": "char_location", "cited_text": "c", "document_index": 0, "start_char_index": 0}
    for citations in ([page], [place, page], [], None):
        block = {**text("a"), "citations": citations}
        assert reply(block, preset=preset, model=model) == ([block], [])


def test_blocks_that_a_backend_doesnt_take_are_told_as_text_or_left_out_and_named():
    blocks = [
        {
            "type": "document",
            "title": "notes",
            "source": {"type": "text", "media_type": "text/plain", "data": "abc"},
        },
        {**PDF, "cache_control": {"type": "ephemeral"}},
        {"type": "search_result", "source": "https://x.example", "title": "X", "content": [text("found")]},
        {"type": "container_upload", "file_id": "file_1"},
    ]
    reference = {"type": "tool_reference", "tool_name": "Bash"}
    messages = [user(*blocks), assistant(use("a"), SEARCH, hits("x")), user(result("a", [reference]))]
    found, changes = settle(messages, "llamacpp")
    assert found[0] == user(
        text("[document: notes]\nabc"),
        {
            **text("[document omitted: document can't be read by the current model]"),
            "cache_control": {"type": "ephemeral"},
        },
        text("X\nhttps://x.example\nfound"),
        text("[container_upload omitted]"),
    )
    assert [block["type"] for block in found[1]["content"]] == ["tool_use", "text", "text"]
    assert found[2] == user(result("a", [text("The tool Bash is available from here on.")]))
    assert changes == [
        "document: told as text",
        "document: left out, the backend takes no such file",
        "search_result: told as text",
        "container_upload: left out, only its maker can use it",
        "server_tool_use: told as text",
        "web_search_tool_result: told as text",
        "tool_reference: told as text",
    ]
    assert settle(messages)[0] is messages
    assert settle([*messages[1:]], "vllm")[0][1] is messages[2]


def test_a_tool_of_anthropics_own_is_told_with_what_it_gave_where_only_searches_are_taken():
    ran = {"type": "server_tool_use", "id": "srvtoolu_2", "name": "code_execution", "input": {"code": "6*7"}}
    stdout = {"type": "code_execution_result", "stdout": "42", "stderr": "", "return_code": 0}
    gave = {"type": "code_execution_tool_result", "tool_use_id": "srvtoolu_2", "content": stdout}
    told_as = [text('[called code_execution: {"code": "6*7"}]'), text("42")]
    for preset in ("ollama", "zai", "deepseek"):
        found, changes = reply(SEARCH, hits("x"), ran, gave, preset=preset)
        assert found == [SEARCH, hits("x"), *told_as]
        assert changes == ["server_tool_use: told as text", "code_execution_tool_result: told as text"]
        assert reply(ran, preset=preset)[0] == told_as[:1]
        assert reply(SEARCH, preset=preset)[0] == [SEARCH]
    assert reply(ran, gave, preset="vllm")[0] == told_as
    assert reply(ran, gave)[1] == []


def test_a_model_without_eyes_is_told_of_images_in_results_too():
    messages = [user({**IMAGE, "cache_control": {}}), assistant(use("a")), user(result("a", [text("x"), IMAGE]))]
    unseen = text("[image omitted: current model is text-only]")
    for preset in MESSAGES:
        found, changes = settle(messages, preset, thinks=False, vision=False)
        assert found[0] == user({**unseen, "cache_control": {}})
        assert found[2] == user(result("a", [text("x"), unseen]))
        assert changes == ["image: left out, the model takes only text (2 times)"]
        assert settle(messages, preset, thinks=False)[0] is messages


def test_an_image_behind_a_link_is_told_of_where_links_are_refused():
    linked = {"type": "image", "source": {"type": "url", "url": "https://x.example/a.png"}}
    assert settle([user(linked)], "ollama")[0] == [user(text("[image omitted: it is at https://x.example/a.png]"))]
    assert settle([user(linked, IMAGE)], "vllm")[1] == []


def test_a_file_that_lies_at_anthropic_is_told_of_elsewhere():
    image, document = (
        {"type": each, "source": {"type": "file", "file_id": "f"}} for each in ("image", "document")
    )
    messages = [user(image, document, text("a"))]
    assert settle(messages)[0] is messages
    for preset in ("vllm", "zai", "openrouter"):
        found, changes = settle(messages, preset)
        told_of = "[document omitted: document can't be shown here]"
        assert found == [user(text("[image omitted: it can't be shown here]"), text(told_of), text("a"))]
        assert changes == [
            "image: left out, it can't be shown outside its maker's files",
            "document: left out, it can't be shown outside its maker's files",
        ]


@pytest.mark.parametrize("block", [PDF, {**IMAGE, "source": {"type": "file", "file_id": "f"}}])
def test_of_what_leaves_only_its_place_the_log_says_that_it_was_left_out(block):
    """Whoever doesn't get it; and a result that holds nothing else says the same."""
    for preset in MESSAGES:
        for shown in ([user(block)], [HI, assistant(use("a")), user(result("a", [block]))]):
            found, changes = settle(shown, preset, thinks=False)
            if found is not shown:
                assert " omitted: " in json.dumps(found)
                assert [each.split(",")[0] for each in changes] == [f"{block['type']}: left out"]
