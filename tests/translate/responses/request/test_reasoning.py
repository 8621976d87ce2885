"""Reasoning on its way back, and how much of it is asked for."""

from __future__ import annotations

import json

import pytest

from ccrouter.translate.provenance import Origin, sign
from ccrouter.wire.fold import fold
from tests.translate.responses.request.rendered import assistant, items, render, text, user
from tests.translate.responses_wire import bridge, encode, events_of, message, reasoning, whole

# Reasoning on its way back


def said(*blocks_of_items, **how):
    """What the client carries of a reply."""
    running, rest = bridge([encode(whole(*blocks_of_items))], **how)
    return fold(events_of(running + rest))["content"]


def test_reasoning_goes_back_in_its_parts_in_front_of_what_followed():
    content = said(reasoning("one", "two", encrypted="E"), message("hi", phase="final_answer"))
    assert items(user(text("q")), assistant(*content))[1:] == [
        {
            "type": "reasoning",
            "summary": [{"type": "summary_text", "text": "one"}, {"type": "summary_text", "text": "two"}],
            "encrypted_content": "E",
        },
        {"type": "message", "role": "assistant", "content": "hi", "phase": "final_answer"},
    ]


def test_a_phase_goes_back_with_each_text_of_its_message_and_no_other():
    content = said(message("a", "b", phase="commentary"), message("c", identity="msg_b"))
    told = items(user(text("q")), assistant(*content))[1:]
    assert [(item["content"], item.get("phase")) for item in told] == [
        ("a", "commentary"),
        ("b", "commentary"),
        ("c", None),
    ]


def test_reasoning_in_the_open_goes_back_as_such():
    content = said(reasoning(texts=["thought"]), message("hi"))
    assert items(user(text("q")), assistant(*content))[1] == {
        "type": "reasoning",
        "summary": [],
        "content": [{"type": "reasoning_text", "text": "thought"}],
        "id": "rs_a",
    }


def test_a_mere_summary_does_not_go_back():
    content = said(reasoning("one"), message("hi"))
    assert [item["type"] for item in items(user(text("q")), assistant(*content))] == ["message", "message"]


def test_reasoning_that_nothing_followed_stays_out():
    content = said(reasoning("one", encrypted="E"))
    body, changes = render(messages=[user(text("q")), assistant(*content), user(text("go on"))])
    assert [item["type"] for item in body["input"]] == ["message", "message"]
    assert "thinking: without anything that followed it left out" in changes


@pytest.mark.parametrize(("provider", "model"), [("elsewhere", "m"), ("there", "other")])
def test_reasoning_goes_back_to_nobody_but_its_maker(provider, model):
    signature = sign(Origin(provider, model, {"f": "responses", "p": [], "e": "SECRET"}))
    block = {"type": "thinking", "thinking": "", "signature": signature}
    body, changes = render(messages=[user(text("q")), assistant(block, text("a"))])
    assert "SECRET" not in json.dumps(body)
    assert "thinking: of another model, left out" in changes


def test_a_summary_that_is_not_what_was_cut_stays_in_one_piece():
    [block, hi] = said(reasoning("one", "two", encrypted="E"), message("hi"))
    item = items(user(text("q")), assistant({**block, "thinking": "changed"}, hi))[1]
    assert item["summary"] == [{"type": "summary_text", "text": "changed"}]


# Thinking


@pytest.mark.parametrize(
    ("fields", "asked"),
    [
        ({}, None),
        ({"thinking": {"type": "disabled"}}, {"effort": "none"}),
        ({"thinking": {"type": "adaptive"}}, {"summary": "auto"}),
        (
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "xhigh"}},
            {"effort": "xhigh", "summary": "auto"},
        ),
        (
            {"thinking": {"type": "adaptive", "display": "omitted"}, "output_config": {"effort": "low"}},
            {"effort": "low"},
        ),
        ({"thinking": {"type": "enabled", "budget_tokens": 2048}}, {"effort": "low", "summary": "auto"}),
        ({"output_config": {"effort": "max"}}, {"effort": "max"}),
    ],
)
def test_how_much_to_think_is_asked_for(fields, asked):
    assert render(**fields)[0].get("reasoning") == asked


def test_a_model_that_does_not_reason_is_not_asked_about_it():
    body, _ = render(model="gpt-4.1", thinking={"type": "adaptive"})
    assert "reasoning" not in body
    assert "include" not in body


def test_a_model_is_asked_in_the_words_that_it_has():
    quirks = {"model_efforts": (("m", ("medium", "high")), ("m-plain", ()))}
    off, most = {"thinking": {"type": "disabled"}}, {"output_config": {"effort": "max"}}
    assert render(quirks=quirks, **off)[0]["reasoning"] == {"effort": "medium"}
    assert render(quirks=quirks, **most)[0]["reasoning"] == {"effort": "high"}
    body, changes = render(model="m-plain-2", quirks=quirks, **most)
    assert "reasoning" not in body
    assert body["include"] == ["reasoning.encrypted_content"]
    assert "thinking: left to the backend" in changes


def test_the_weakest_effort_stands_for_none_where_thinking_cannot_be_switched_off():
    assert render("chatgpt", thinking={"type": "disabled"})[0]["reasoning"] == {"effort": "low"}
