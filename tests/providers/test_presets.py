from __future__ import annotations

import ipaddress
from typing import get_args
from urllib.parse import urlsplit

import pytest

from ccrouter.providers.presets import PRESETS
from ccrouter.providers.provider import Auth, Model, Provider, Target
from ccrouter.providers.provider import Listing as Shape
from ccrouter.routing.model_name import is_claude
from ccrouter.routing.values import KINDS, EnvName, ProviderName
from ccrouter.translate.changes import Changes
from ccrouter.translate.shown import Shown
from ccrouter.translate.thinking import EFFORTS
from tests.translate.test_shown import SHAPES

ROWS = [pytest.param(row, id=name) for name, row in PRESETS.items()]


@pytest.mark.parametrize("row", ROWS)
def test_paths_stand_below_the_base_url(row):
    wires = (row.messages_path, row.chat_path, row.responses_path, row.ollama_path)
    for path in (*wires, row.count_path, row.models_path):
        assert path is None or (path.startswith("/") and not path.endswith("/"))
    assert row.base_url is None or not row.base_url.endswith("/")


@pytest.mark.parametrize("row", ROWS)
def test_a_default_place_is_on_this_machine_or_encrypted(row):
    if row.base_url is None or row.transport == "demo":
        return
    url = urlsplit(row.base_url)
    if row.probe:
        assert ipaddress.ip_address(url.hostname or "").is_loopback
        assert url.port is not None
    else:
        assert url.scheme == "https"


@pytest.mark.parametrize("row", ROWS)
def test_a_key_is_looked_for_only_where_it_is_used(row):
    assert row.auth in get_args(Auth)
    if row.auth == "none":
        assert not row.key_env
    if not row.key_env:
        assert not row.key_required
    for name in row.key_env:
        assert KINDS[EnvName].read(name) == name


@pytest.mark.parametrize("row", ROWS)
def test_what_is_looked_for_by_itself_is_local_and_can_be_asked(row):
    assert row.listing in get_args(Shape)
    if row.probe:
        assert row.base_url is not None
        assert row.models_path is not None
        assert not row.key_required
    if row.owner is not None:
        assert row.probe


@pytest.mark.parametrize("row", ROWS)
def test_the_clients_login_is_for_anthropic_alone(row):
    assert (row.auth == "client") is (row.name == "anthropic")


@pytest.mark.parametrize("row", ROWS)
def test_a_verdict_on_safety_is_anthropics_alone(row):
    if row.first_party:
        assert not row.refuse_fields
        assert not row.drop_fields
        assert row.keep_attribution
    elif row.transport == "http":
        assert "safeguards" in row.refuse_fields
        assert not row.keep_attribution


@pytest.mark.parametrize("row", ROWS)
def test_a_field_is_dropped_or_refused_and_never_both(row):
    assert not set(row.drop_fields) & set(row.refuse_fields)
    assert "model" not in {*row.drop_fields, *row.refuse_fields}


@pytest.mark.parametrize("row", ROWS)
def test_each_row_says_when_its_facts_were_seen_or_why_they_are_so(row):
    assert row.noted
    assert row.title


def test_names_can_be_written_in_a_configuration_and_stand_for_one_row_each():
    for name, row in PRESETS.items():
        assert KINDS[ProviderName].read(name) == name == row.name
        assert not is_claude(name)
    assert len({row.title for row in PRESETS.values()}) == len(PRESETS)


def test_no_two_presets_share_a_place_or_a_key():
    places = [row.base_url for row in PRESETS.values() if row.base_url is not None]
    keys = [name for row in PRESETS.values() for name in row.key_env]
    assert len(set(places)) == len(places)
    assert len(set(keys)) == len(keys)


def test_nobody_can_change_the_table():
    with pytest.raises(TypeError):
        PRESETS["x"] = PRESETS["ollama"]  # type: ignore[index]


def test_the_presets_of_the_contract_are_there():
    assert set(PRESETS) == {
        *("anthropic", "foundry", "ollama", "ollama-cloud", "lmstudio", "vllm", "llamacpp", "openrouter"),
        *("zai", "minimax", "moonshot", "deepseek", "litellm", "messages", "demo"),
        *("openai", "codex", "mistral", "gemini", "xai", "groq", "cerebras", "azure", "chat", "responses"),
    }


@pytest.mark.parametrize(
    ("preset", "model", "marks"),
    [
        ("openai", "gpt-5.6-sol", "openai"),
        ("openai", "gpt-6", "openai"),
        ("openai", "gpt-5.5", "none"),
        ("openai", "gpt-5-2025-08-07", "none"),
        ("openai", "gpt-4.1", "none"),
        ("openai", "o3", "none"),
        ("codex", "gpt-5.6", "none"),
        ("openrouter", "anthropic/claude-opus-5", "anthropic"),
        ("openrouter", "openai/gpt-5.6", "anthropic"),
        ("openrouter", "openai/gpt-5.5", "none"),
        ("openrouter", "z-ai/glm-5", "none"),
        ("litellm", "claude-opus-5", "anthropic"),
        ("litellm", "qwen3", "none"),
        ("vllm", "qwen3", "none"),
    ],
)
def test_cache_marks_go_to_the_models_that_take_them(preset, model, marks):
    row = PRESETS[preset]
    target = Target(Provider(name=preset, preset=row, base_url="https://x.example"), model)
    assert Shown(target, SHAPES, Changes()).marks == marks


LOW_TO_HIGH = ("low", "medium", "high")


@pytest.mark.parametrize(
    ("preset", "model", "efforts"),
    [
        ("openai", "o3", LOW_TO_HIGH),
        ("openai", "o4-mini-2025-04-16", LOW_TO_HIGH),
        ("openai", "gpt-5", ("minimal", *LOW_TO_HIGH)),
        ("openai", "gpt-5-mini", ("minimal", *LOW_TO_HIGH)),
        ("openai", "gpt-5-pro-2025-10-06", ("high",)),
        ("openai", "gpt-5.1", ("none", *LOW_TO_HIGH)),
        ("openai", "gpt-5.1-codex", LOW_TO_HIGH),
        ("openai", "gpt-5.1-codex-max", (*LOW_TO_HIGH, "xhigh")),
        ("openai", "gpt-5.2-chat-latest", ("medium",)),
        ("openai", "gpt-5.4-mini", ("none", *LOW_TO_HIGH, "xhigh")),
        ("openai", "gpt-5.5-pro", ("medium", "high", "xhigh")),
        ("openai", "gpt-5.6-sol", ("none", *LOW_TO_HIGH, "xhigh", "max")),
        ("azure", "gpt-5.1-codex", LOW_TO_HIGH),
        ("azure", "our-own", LOW_TO_HIGH),
        ("codex", "gpt-5.1-codex", LOW_TO_HIGH),
        ("codex", "gpt-5.1", LOW_TO_HIGH),
        ("codex", "gpt-9", (*LOW_TO_HIGH, "xhigh", "max")),
        ("xai", "grok-4", ()),
        ("xai", "grok-4-fast-reasoning", ()),
        ("xai", "grok-4.20-reasoning", ()),
        ("xai", "grok-4.20-multi-agent-0309", (*LOW_TO_HIGH, "xhigh")),
        ("xai", "grok-4.3", ("none", *LOW_TO_HIGH)),
        ("xai", "grok-5", LOW_TO_HIGH),
    ],
)
def test_a_model_has_words_for_effort_of_its_own(preset, model, efforts):
    row = PRESETS[preset]
    provider = Provider(name=preset, preset=row, base_url="https://x.example")
    assert Target(provider, model).quirks.efforts == efforts
    told = Model(model, efforts=("low", "ultra"))
    assert Target(provider, model, told).quirks.efforts == ("low", "ultra")


@pytest.mark.parametrize(
    ("model", "replay"),
    [
        ("openai/gpt-oss-120b", "reasoning"),
        ("qwen/qwen3-32b", "reasoning"),
        ("llama-3.3-70b-versatile", "none"),
        ("meta-llama/llama-4-scout-17b-16e-instruct", "none"),
        ("moonshotai/kimi-k2-instruct", "none"),
    ],
)
def test_of_one_vendor_only_the_models_that_reason_are_given_reasoning_back(model, replay):
    assert PRESETS["groq"].quirks.of(model).replay == replay


@pytest.mark.parametrize("row", ROWS)
def test_words_for_effort_are_the_clients_or_a_vendors_weakest_first(row):
    for words in (row.quirks.efforts, *(words for _, words in row.quirks.model_efforts)):
        assert sorted(words, key=("none", *EFFORTS).index) == list(words)
    for rows in (row.quirks.model_efforts, row.quirks.model_asks):
        assert len({name for name, _ in rows}) == len(rows)


@pytest.mark.parametrize("row", ROWS)
def test_a_preset_speaks_the_wire_that_it_names(row):
    assert row.path(row.wire) is not None
    assert all(
        path is None or path.startswith("/") for path in (row.chat_path, row.responses_path, row.messages_path)
    )
