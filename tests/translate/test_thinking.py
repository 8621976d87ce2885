from __future__ import annotations

import pytest
from hypothesis import given

from ccrouter.providers.presets import PRESETS
from ccrouter.providers.quirks import Quirks
from ccrouter.translate.conversation import read
from ccrouter.translate.thinking import Asked, asked, nearest, words
from tests.translate.dialogues import any_fields

ON, OFF, ADAPTIVE = {"type": "enabled", "budget_tokens": 31999}, {"type": "disabled"}, {"type": "adaptive"}


def ask(quirks, thinking=None, effort=None):
    fields = {}
    if thinking:
        fields["thinking"] = thinking
    if effort:
        fields["output_config"] = {"effort": effort}
    return words(asked(fields, read(fields)), quirks)


def test_the_last_message_that_names_an_effort_wins():
    fields = {
        "output_config": {"effort": "low"},
        "messages": [
            {"role": "system", "content": [], "output_config": {"effort": "max"}},
            {"role": "user", "content": "hi"},
        ],
    }
    assert asked(fields, read(fields)).effort == "max"
    assert asked({"output_config": {"effort": "low"}}, read({})).effort == "low"


@pytest.mark.parametrize(
    ("effort", "efforts", "word"),
    [
        ("medium", ("low", "medium", "high"), "medium"),
        ("max", ("low", "medium", "high"), "high"),
        ("low", ("high", "max"), "high"),
        ("xhigh", ("high", "max"), "max"),
        ("low", ("none", "minimal", "high"), "high"),
        ("low", (), None),
        (None, ("low",), None),
    ],
)
def test_the_nearest_effort_is_the_next_stronger_or_the_strongest(effort, efforts, word):
    assert nearest(effort, efforts) == word


@pytest.mark.parametrize(
    ("quirks", "thinking", "effort", "said"),
    [
        (Quirks(), ADAPTIVE, "high", {}),
        (Quirks(ask="reasoning_effort"), ADAPTIVE, "max", {"reasoning_effort": "high"}),
        (Quirks(ask="reasoning_effort"), ADAPTIVE, None, {}),
        (Quirks(ask="reasoning_effort"), None, None, {}),
        (Quirks(ask="reasoning_effort"), ON, None, {"reasoning_effort": "high"}),
        (
            Quirks(ask="reasoning_effort"),
            {"type": "enabled", "budget_tokens": 4096},
            None,
            {"reasoning_effort": "low"},
        ),
        (
            Quirks(ask="reasoning_effort"),
            {"type": "enabled", "budget_tokens": 9000},
            None,
            {"reasoning_effort": "medium"},
        ),
        (Quirks(ask="reasoning_effort"), OFF, "high", {"reasoning_effort": "low"}),
        (Quirks(ask="reasoning_effort", efforts=("none", "low")), OFF, None, {"reasoning_effort": "none"}),
        (Quirks(ask="reasoning_effort", efforts=("none", "low")), ADAPTIVE, None, {"reasoning_effort": "low"}),
        (Quirks(ask="reasoning_effort", efforts=("none", "low", "high")), ADAPTIVE, None, {}),
        (Quirks(ask="reasoning_effort", efforts=("low", "high")), ADAPTIVE, None, {}),
        (Quirks(ask="thinking", efforts=()), ADAPTIVE, "high", {"thinking": {"type": "enabled"}}),
        (
            Quirks(ask="thinking", efforts=("high", "max")),
            ADAPTIVE,
            "xhigh",
            {"thinking": {"type": "enabled"}, "reasoning_effort": "max"},
        ),
        (Quirks(ask="thinking"), OFF, "high", {"thinking": {"type": "disabled"}}),
        (Quirks(ask="thinking"), None, None, {}),
        (
            Quirks(ask="thinking", efforts=(), thinking_on="adaptive"),
            ON,
            "high",
            {"thinking": {"type": "adaptive"}},
        ),
        (
            Quirks(ask="thinking", efforts=(), keep_thinking="clear_thinking"),
            ADAPTIVE,
            None,
            {"thinking": {"type": "enabled", "clear_thinking": False}},
        ),
        (
            Quirks(ask="thinking", efforts=(), keep_thinking="keep"),
            ADAPTIVE,
            None,
            {"thinking": {"type": "enabled", "keep": "all"}},
        ),
        (Quirks(ask="thinking", efforts=(), keep_thinking="keep"), OFF, None, {"thinking": {"type": "disabled"}}),
        (Quirks(ask="reasoning"), ADAPTIVE, "medium", {"reasoning": {"effort": "medium"}}),
        (Quirks(ask="reasoning"), ADAPTIVE, None, {"reasoning": {"enabled": True}}),
        (Quirks(ask="reasoning"), OFF, "high", {"reasoning": {"enabled": False}}),
        (Quirks(ask="reasoning"), None, None, {}),
    ],
)
def test_each_vendor_is_asked_in_its_own_words(quirks, thinking, effort, said):
    assert ask(quirks, thinking, effort) == said


@pytest.mark.parametrize(
    ("preset", "model", "thinking", "effort", "said"),
    [
        ("moonshot", "kimi-k2.5", ADAPTIVE, "high", {"thinking": {"type": "enabled"}}),
        ("moonshot", "kimi-k2.6", ADAPTIVE, "high", {"thinking": {"type": "enabled", "keep": "all"}}),
        ("moonshot", "kimi-k2.6", OFF, "high", {"thinking": {"type": "disabled"}}),
        ("moonshot", "kimi-k3", ADAPTIVE, "medium", {"reasoning_effort": "high"}),
        ("moonshot", "kimi-k3", ADAPTIVE, "xhigh", {"reasoning_effort": "max"}),
        ("moonshot", "kimi-k3", ADAPTIVE, None, {}),
        ("moonshot", "kimi-k3", OFF, None, {"reasoning_effort": "low"}),
        ("zai", "glm-5", ADAPTIVE, None, {"thinking": {"type": "enabled", "clear_thinking": False}}),
        ("mistral", "mistral-small-latest", ADAPTIVE, None, {"reasoning_effort": "high"}),
        ("mistral", "mistral-small-2603", ON, "low", {"reasoning_effort": "high"}),
        ("mistral", "mistral-medium-3-5", OFF, "high", {"reasoning_effort": "none"}),
        ("mistral", "mistral-medium-3-5", None, None, {}),
        ("mistral", "mistral-medium-2508", ADAPTIVE, "high", {}),
        ("mistral", "magistral-medium-latest", ADAPTIVE, "high", {}),
        ("mistral", "codestral-latest", OFF, None, {}),
    ],
)
def test_a_vendors_models_are_asked_each_in_its_own_way(preset, model, thinking, effort, said):
    assert ask(PRESETS[preset].quirks.of(model), thinking, effort) == said


@pytest.mark.parametrize(
    ("thinking", "effort", "config"),
    [
        (ADAPTIVE, "max", {"include_thoughts": True, "thinking_budget": 24_576}),
        (ADAPTIVE, "low", {"include_thoughts": True, "thinking_budget": 1_024}),
        (ADAPTIVE, None, {"include_thoughts": True}),
        (ON, None, {"include_thoughts": True, "thinking_budget": 24_576}),
        (OFF, "high", {"include_thoughts": False, "thinking_budget": 512}),
    ],
)
def test_google_is_asked_for_a_budget(thinking, effort, config):
    assert ask(Quirks(ask="google"), thinking, effort) == {"extra_body": {"google": {"thinking_config": config}}}


@given(any_fields)
def test_whatever_is_asked_is_an_effort_that_we_know(fields):
    wanted = asked(fields, read(fields))
    assert isinstance(wanted, Asked)
    assert wanted.strength in {None, "low", "medium", "high", "xhigh", "max", "minimal"}
