"""The parts of messages."""

from __future__ import annotations

import base64

from ccrouter.providers.provider import Model
from tests.translate.dialogues import IMAGE, PDF
from tests.translate.responses.request.rendered import assistant, items, render, text, user


def test_pictures_and_files_are_shown_inside_results_too():
    [_, _, result] = items(
        user(text("q")),
        assistant({"type": "tool_use", "id": "t1", "name": "Read", "input": {}}),
        user({"type": "tool_result", "tool_use_id": "t1", "content": [text("a"), IMAGE, PDF]}),
    )
    assert [part["type"] for part in result["output"]] == ["input_text", "input_image", "input_file"]
    assert result["output"][1]["image_url"] == "data:image/png;base64,iVBORw0KGgo="
    assert result["output"][2]["filename"] == "document.pdf"
    assert (
        base64.b64decode(result["output"][2]["file_data"].removeprefix("data:application/pdf;base64,")) == b"%PDF-"
    )


def test_what_a_model_cannot_see_leaves_its_place_in_words():
    for how in ({"preset": "small"}, {"models": (Model("m", vision=False),), "quirks": {"files": False}}):
        body, changes = render(messages=[user(IMAGE, PDF)], **how)
        assert [part["type"] for part in body["input"][0]["content"]] == ["input_text", "input_text"]
        assert {
            "image: left out, the model takes only text",
            "document: left out, the backend takes no such file",
        } <= set(changes)


def test_a_model_that_is_known_not_to_think_is_not_asked_to():
    wanted = {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}
    body, changes = render(models=(Model("m", thinking=False),), **wanted)
    assert "reasoning" not in body
    assert "reasoning.encrypted_content" not in body.get("include", [])
    assert "thinking: not asked for, the model can't" in changes
    assert "reasoning" in render(**wanted)[0]


def test_an_error_is_told_as_one():
    [_, _, result] = items(
        user(text("q")),
        assistant({"type": "tool_use", "id": "t1", "name": "Read", "input": {}}),
        user({"type": "tool_result", "tool_use_id": "t1", "content": "no such file", "is_error": True}),
    )
    assert result["output"] == "[error]\n\nno such file"


def test_a_system_message_in_mid_conversation_keeps_its_place_and_role():
    messages = [user(text("q")), {"role": "system", "content": "be brief"}]
    assert [item["role"] for item in items(*messages)] == ["user", "developer"]
    [_, told] = items(*messages, preset="small")
    assert (told["role"], told["content"][0]["text"]) == (
        "user",
        "<system-reminder>\nbe brief\n</system-reminder>",
    )
