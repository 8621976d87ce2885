"""How many tokens an answer may have."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.providers.presets import PRESETS
from ccrouter.providers.provider import Model, Provider, Target
from ccrouter.translate import limits, tokens
from ccrouter.translate.dialects import DIALECTS
from ccrouter.wire.messages import read_request
from tests.translate.dialogues import any_fields


def target(**known):
    models = (Model("other", window=1, max_output=1), Model("m", **known))
    return Target(Provider(name="there", preset=PRESETS["chat"], base_url="https://x.example", models=models), "m")


def request(asked, words="hi"):
    fields = {"model": "m", "max_tokens": asked, "messages": [{"role": "user", "content": words}]}
    return read_request(json.dumps(fields, ensure_ascii=False).encode())


def output(asked, words="hi", **known):
    return limits.output(request(asked, words), target(**known))


@pytest.mark.parametrize("asked", ["many", True, None, 1.5])
def test_what_is_no_number_is_no_limit(asked):
    assert output(asked, window=2_000) is None


def test_the_least_of_what_is_known_holds():
    assert output(32_000) == 32_000
    assert output(32_000, max_output=8_192) == 8_192
    assert output(100, max_output=8_192) == 100
    assert output(32_000, max_output=8_192, window=6_000) < 6_000


def test_prompt_and_answer_fit_into_the_window_together():
    words = "some words of a prompt " * 2_000
    prompt = tokens.estimate(request(1, words).fields)
    assert output(32_000, words, window=prompt + 40_000) == 32_000
    assert output(32_000, words, window=prompt + 20_000) == 20_000


def test_a_prompt_that_leaves_next_to_nothing_is_for_the_backend_to_judge():
    words = "some words of a prompt " * 2_000
    prompt = tokens.estimate(request(1, words).fields)
    for left in (1_000, 0, -10_000):
        assert output(32_000, words, window=prompt + left) == 32_000


def test_what_the_model_is_not_shown_leaves_its_room_to_the_answer():
    pdf = {
        "type": "document",
        "source": {"type": "base64", "media_type": "application/pdf", "data": "QUFB" * 90_000},
    }
    fields = {
        "model": "m",
        "max_tokens": 32_000,
        "messages": [{"role": "user", "content": [pdf, {"type": "text", "text": "so?"}]}],
    }
    asked = read_request(json.dumps(fields).encode())
    assert tokens.of(asked) > 20_000
    assert limits.output(asked, target(window=40_000)) == 32_000


def test_what_surely_fits_is_not_estimated(monkeypatch):
    monkeypatch.setattr(tokens, "Count", lambda *_: pytest.fail("it was"))
    assert output(32_000, "word " * 1_000, window=40_000) == 32_000
    assert output(32_000, "字" * 1_000, window=40_000) == 32_000


@given(any_fields, st.integers(1, 4_000), st.integers(-5, 5_000))
def test_a_limit_is_never_raised_whatever_else_a_request_says(fields, window, asked):
    found = read_request(json.dumps({"model": "m", **fields, "max_tokens": asked}).encode())
    limit = limits.output(found, target(window=window))
    assert limit is not None
    assert limit == asked or 1_024 <= limit < asked


CHECK = {"thinking": {"type": "disabled"}, "max_tokens": 64, "messages": [{"role": "user", "content": "hi"}]}


@pytest.mark.parametrize(
    ("preset", "wire", "model", "most"),
    [
        ("gemini", "chat", "gemini-3-pro", 64 + 512),
        ("groq", "chat", "openai/gpt-oss-120b", 64 + 4_096),
        ("groq", "chat", "llama-3.3-70b", 64),
        ("moonshot", "chat", "kimi-k3", 64 + 4_096),
        ("moonshot", "chat", "kimi-k2.6", 64),
        ("mistral", "chat", "mistral-small-latest", 64),
        ("openai", "chat", "o3", 64 + 4_096),
        ("openai", "responses", "gpt-5-codex", 64 + 4_096),
        ("openai", "responses", "gpt-5.1", 64),
        ("deepseek", "chat", "deepseek-chat", 64),
    ],
)
def test_a_short_answer_has_room_for_the_reasoning_that_nobody_can_switch_off(preset, wire, model, most):
    """The client's safety checks ask for 64 tokens and no thinking."""
    provider = Provider(name="p", preset=PRESETS[preset], base_url="https://x.example", wire=wire)
    to = Target(provider, model)
    for asked, expected in ((64, most), (32_000, 32_000)):
        checked = read_request(json.dumps(CHECK | {"model": "m", "max_tokens": asked}).encode())
        sent = json.loads(DIALECTS[wire].render(checked, to, [], "", "messages").body)
        (found,) = [value for key, value in sent.items() if key in LIMITS]
        assert found == expected


def test_room_for_reasoning_does_not_pass_what_the_model_can_give():
    assert limits.output(request(64), target(max_output=1_000), thought=4_096) == 1_000


LIMITS = {"max_tokens", "max_completion_tokens", "max_output_tokens"}
