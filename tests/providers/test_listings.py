"""Lists of models, as the backends write them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.errors import UpstreamBroken
from ccrouter.providers.listings import read_models
from ccrouter.providers.presets import PRESETS
from ccrouter.providers.provider import Model
from tests.strategies import json_values, mutated


def ids(body, preset):
    return [model.id for model in read_models(json.dumps(body).encode(), PRESETS[preset])]


def test_a_list_of_anthropics_is_read():
    body = {
        "data": [
            {
                "type": "model",
                "id": "claude-opus-5-5",
                "display_name": "Claude Opus 5.5",
                "max_input_tokens": 200_000,
            },
            {"type": "model", "id": "claude-haiku-4-5"},
        ],
        "has_more": False,
    }
    assert read_models(json.dumps(body).encode(), PRESETS["anthropic"]) == (
        Model("claude-opus-5-5", name="Claude Opus 5.5", window=200_000),
        Model("claude-haiku-4-5"),
    )


def test_a_list_of_openrouters_is_read():
    body = {"data": [{"id": "google/gemini-3-pro", "name": "Google: Gemini 3 Pro", "context_length": 1_048_576}]}
    assert read_models(json.dumps(body).encode(), PRESETS["openrouter"]) == (
        Model("google/gemini-3-pro", name="Google: Gemini 3 Pro", window=1_048_576),
    )


def test_a_list_of_ollamas_is_read():
    body = {
        "models": [
            {"name": "qwen3:8b", "model": "qwen3:8b", "capabilities": ["completion", "tools"]},
            {"name": "nomic-embed-text", "model": "nomic-embed-text", "capabilities": ["embedding"]},
            {"name": "only-named"},
        ]
    }
    assert read_models(json.dumps(body).encode(), PRESETS["ollama"]) == (
        Model("qwen3:8b", tools=True),
        Model("only-named"),
    )


def test_lists_of_local_servers_are_read():
    vllm = {"data": [{"id": "glm-5", "owned_by": "vllm", "max_model_len": 32768}]}
    assert read_models(json.dumps(vllm).encode(), PRESETS["vllm"]) == (Model("glm-5", window=32768),)
    lmstudio = {
        "data": [{"id": "a", "type": "llm", "max_context_length": 4096}, {"id": "b", "type": "embeddings"}]
    }
    assert read_models(json.dumps(lmstudio).encode(), PRESETS["lmstudio"]) == (
        Model("a", window=4096, vision=False),
    )
    llamacpp = {"data": [{"id": "q", "owned_by": "llamacpp", "meta": {"n_ctx_train": 40960, "n_ctx": 8192}}]}
    assert read_models(json.dumps(llamacpp).encode(), PRESETS["llamacpp"]) == (
        Model("q", window=40960, loaded=8192),
    )


@pytest.mark.parametrize(
    ("preset", "row", "model"),
    [
        (
            "openrouter",
            {
                "context_length": 202_752,
                "architecture": {"input_modalities": ["text"], "output_modalities": ["text"]},
                "top_provider": {"context_length": 202_752, "max_completion_tokens": 65_536},
                "supported_parameters": ["tools", "reasoning", "max_tokens"],
            },
            Model("m", window=202_752, max_output=65_536, vision=False, tools=True, thinking=True),
        ),
        (
            "openrouter",
            {
                "architecture": {"input_modalities": ["text", "image"]},
                "top_provider": {"max_completion_tokens": None},
                "supported_parameters": ["max_tokens"],
            },
            Model("m", vision=True, tools=False, thinking=False),
        ),
        (
            "anthropic",
            {
                "type": "model",
                "max_input_tokens": 200_000,
                "max_tokens": 64_000,
                "capabilities": {
                    "image_input": {"supported": True},
                    "thinking": {"supported": False, "types": {}},
                },
            },
            Model("m", window=200_000, max_output=64_000, vision=True, thinking=False),
        ),
        (
            "mistral",
            {"max_context_length": 131_072, "capabilities": {"vision": False, "function_calling": True}},
            Model("m", window=131_072, vision=False, tools=True),
        ),
        (
            "moonshot",
            {"context_length": 262_144, "supports_image_in": True, "supports_reasoning": True},
            Model("m", window=262_144, vision=True, thinking=True),
        ),
        (
            "groq",
            {"context_window": 131_072, "max_completion_tokens": 32_768},
            Model("m", window=131_072, max_output=32_768),
        ),
        (
            "lmstudio",
            {
                "type": "vlm",
                "max_context_length": 32_768,
                "loaded_context_length": 4096,
                "capabilities": ["tool_use"],
            },
            Model("m", window=32_768, loaded=4096, vision=True, tools=True),
        ),
        ("chat", {"max_tokens": 8192}, Model("m")),
    ],
)
def test_what_a_vendor_says_of_a_model_is_read(preset, row, model):
    assert read_models(json.dumps({"data": [{"id": "m", **row}]}).encode(), PRESETS[preset]) == (model,)


def test_what_is_said_of_codex_models_and_of_a_clouds_in_a_local_list_is_read():
    slugs = {
        "models": [
            {
                "slug": "m",
                "context_window": 272_000,
                "supported_reasoning_levels": [{"effort": "low"}, {"effort": 5}, "x", {"effort": "xhigh"}],
            },
            {"slug": "odd", "supported_reasoning_levels": "low"},
        ]
    }
    assert read_models(json.dumps(slugs).encode(), PRESETS["codex"]) == (
        Model("m", window=272_000, thinking=True, efforts=("low", "xhigh")),
        Model("odd", thinking=True),
    )
    far = {
        "models": [{"name": "m:cloud", "remote_host": "https://ollama.com:443", "details": {"context_length": 9}}]
    }
    assert read_models(json.dumps(far).encode(), PRESETS["ollama"]) == (Model("m:cloud", window=9, remote=True),)


def test_another_program_on_a_common_port_is_told_apart():
    body = {"data": [{"id": "x", "owned_by": "somebody"}]}
    for preset in ("vllm", "llamacpp"):
        with pytest.raises(UpstreamBroken, match=f"not {PRESETS[preset].title}"):
            ids(body, preset)
    assert ids(body, "messages") == ["x"]
    assert ids({"data": []}, "vllm") == []


@pytest.mark.parametrize(
    "row",
    [
        None,
        "x",
        [],
        {},
        {"id": None},
        {"id": ""},
        {"id": 5},
        {"id": ["x"]},
        {"id": "a\nb"},
        {"id": "\x1b[31m"},
        {"id": "\ud800"},
    ],
)
def test_rows_that_name_no_model_are_passed_over(row):
    assert ids({"data": [row, {"id": "good"}]}, "messages") == ["good"]


@pytest.mark.parametrize(
    ("more", "model"),
    [
        ({"context_length": True}, Model("m")),
        ({"context_length": 0, "max_model_len": 7}, Model("m", window=7)),
        ({"context_length": -1}, Model("m")),
        ({"context_length": "8192"}, Model("m")),
        ({"max_input_tokens": 1.5, "context_length": 5}, Model("m", window=5)),
        ({"display_name": 5}, Model("m")),
        ({"display_name": "a\nb"}, Model("m")),
        ({"display_name": "", "name": "M"}, Model("m", name="M")),
    ],
)
def test_what_is_said_of_a_model_is_taken_where_it_makes_sense(more, model):
    (found,) = read_models(json.dumps({"data": [{"id": "m", **more}]}).encode(), PRESETS["messages"])
    assert found == model
    assert found.window is None or type(found.window) is int


def test_of_a_model_that_stands_twice_the_first_row_counts():
    body = {"data": [{"id": "m", "context_length": 1}, {"id": "n"}, {"id": "m", "context_length": 2}]}
    assert read_models(json.dumps(body).encode(), PRESETS["messages"]) == (Model("m", window=1), Model("n"))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"data":{}}',
        b'{"models":[]}',
        b'{"data":null}',
        b"<html>",
        b"\xff",
        b"[" * 100_000,
    ],
)
def test_what_is_no_list_is_told(body):
    with pytest.raises(UpstreamBroken, match="its list of models cannot be read"):
        read_models(body, PRESETS["messages"])


rows = st.lists(json_values, max_size=3).map(
    lambda each: f'{{"data":[{",".join(each)}],"models":[{{"name":"x"}}]}}'.encode()
)


@given(rows | rows.flatmap(mutated), st.sampled_from(sorted(PRESETS)))
def test_any_body_gives_models_or_is_told(body, preset):
    try:
        found = read_models(body, PRESETS[preset])
    except UpstreamBroken:
        return
    assert all(model.id and model.id.isprintable() for model in found)
    assert len({model.id for model in found}) == len(found)
