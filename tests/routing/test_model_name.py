"""How the name of a model is taken apart: one table for all who do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.routing.model_name import bare, discovered, discovery_id, is_claude, separated, split

KNOWN = {name: name for name in ("ollama", "ollama-big", "openrouter", "azure")}


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("ollama:qwen3:8b", ("ollama", "qwen3:8b")),
        ("ollama,qwen3:8b", ("ollama", "qwen3:8b")),
        ("ollama/qwen3:8b", ("ollama", "qwen3:8b")),
        ("ollama:hf.co/unsloth/GLM-4.5:Q4_K_M", ("ollama", "hf.co/unsloth/GLM-4.5:Q4_K_M")),
        ("ollama-big:x", ("ollama-big", "x")),
        ("openrouter:anthropic/claude:free", ("openrouter", "anthropic/claude:free")),
        ("openrouter/anthropic/claude:free", ("openrouter", "anthropic/claude:free")),
        ("ollama:ollama:x", ("ollama", "ollama:x")),
        ("ollama:a name, with spaces", ("ollama", "a name, with spaces")),
        ("ollama: x ", ("ollama", " x ")),
        ("ollama:", ("ollama", "")),
        ("ollama::", ("ollama", ":")),
        ("ollama:x:", ("ollama", "x:")),
        ("ollama:x[1m]", ("ollama", "x[1m]")),
        ("ollama", None),
        ("ollama :x", None),
        (" ollama:x", None),
        ("Ollama:x", None),
        ("ollamas:x", None),
        ("anthropic/ollama:x", None),
        ("ollama[1m]:x", None),
        (":x", None),
        ("", None),
    ],
)
def test_a_name_is_split_behind_a_provider_that_is_known(name, parts):
    assert split(name, KNOWN) == parts
    first, separator, rest = separated(name)
    assert parts is None or (separator, parts) == (name[len(first)], (first, rest))


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("ollama:qwen3:8b", ("ollama", ":", "qwen3:8b")),
        ("z-ai/glm:free", ("z-ai", "/", "glm:free")),
        ("a,b", ("a", ",", "b")),
        ("plain", ("plain", "", "")),
        ("a:", ("a", ":", "")),
        (":a", ("", ":", "a")),
        ("", ("", "", "")),
    ],
)
def test_a_name_is_separated_at_its_first_separator(name, parts):
    assert separated(name) == parts


@given(st.text(alphabet="ab:,/"))
def test_nothing_of_a_name_is_lost(name):
    assert "".join(separated(name)) == name


@given(st.text("ab.-_", min_size=1, max_size=4), st.sampled_from(":,/"), st.text(alphabet="ab:,/[]1m "))
def test_who_knows_all_providers_and_who_knows_none_take_a_name_apart_alike(provider, separator, model):
    name = f"{provider}{separator}{model}"
    assert separated(name) == (provider, separator, model)
    assert split(name, {provider: provider}) == (provider, model)


@pytest.mark.parametrize(
    ("name", "without"),
    [
        ("opus[1m]", "opus"),
        ("ollama:qwen3:8b[1M]", "ollama:qwen3:8b"),
        ("x[1m][1m]", "x[1m]"),
        ("[1m]", ""),
        ("x[1m]y", "x[1m]y"),
        ("x", "x"),
    ],
)
def test_the_word_for_a_long_context_is_no_part_of_a_models_name(name, without):
    assert bare(name) == without


@pytest.mark.parametrize("name", ["ollama:qwen3:8b", "anthropic-via-big", "anthropic-via-", "claude-via-a:b", ""])
def test_what_is_no_discovery_id_is_not_read_as_one(name):
    assert discovered(name) is None


@given(st.text("ab.-_", min_size=1, max_size=4), st.text())
def test_a_discovery_id_is_read_without_a_table(provider, model):
    assert discovered(discovery_id(provider, model)) == f"{provider}:{model}"


@pytest.mark.parametrize(
    "name", ["claude-opus-5-5", "CLAUDE-opus", "opus", "Sonnet", "haiku[1m]", "fable", "opusplan", "default"]
)
def test_names_of_claude_models_are_known(name):
    assert is_claude(name)


@pytest.mark.parametrize("name", ["", "claude", "opus-5", "anthropic:claude-opus-5-5", "my-claude-opus", "[1m]"])
def test_other_names_are_not_taken_for_claude(name):
    assert not is_claude(name)
