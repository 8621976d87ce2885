"""What backends are asked of their models, and what their answers mean. Shapes as the servers have them, 2026-11."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.providers.presets import PRESETS
from ccrouter.providers.provider import FactsFrom, Model
from ccrouter.providers.questions import loading, questions
from tests.strategies import json_values, mutated

PS = {
    "models": [
        {
            "name": "qwen3:latest",
            "model": "qwen3:latest",
            "size": 6_591_830_464,
            "size_vram": 5_333_539_264,
            "expires_at": "2026-11-20T14:38:31-08:00",
            "context_length": 4096,
        }
    ]
}
SHOW = {
    "details": {"family": "qwen3", "parameter_size": "8.2B", "quantization_level": "Q4_K_M"},
    "model_info": {"general.architecture": "qwen3", "qwen3.context_length": 40_960, "qwen3.block_count": 36},
    "capabilities": ["completion", "tools", "thinking"],
}
LMSTUDIO_V0 = {
    "object": "list",
    "data": [
        {
            "id": "qwen2-vl-7b-instruct",
            "type": "vlm",
            "arch": "qwen2_vl",
            "state": "loaded",
            "max_context_length": 32_768,
            "loaded_context_length": 4096,
        },
        {"id": "granite-embedding", "type": "embeddings", "state": "not-loaded", "max_context_length": 512},
    ],
}
LMSTUDIO_V1 = {
    "models": [
        {
            "type": "llm",
            "publisher": "qwen",
            "key": "qwen/qwen3.5-9b",
            "display_name": "Qwen3.5 9B",
            "loaded_instances": [
                {"id": "qwen/qwen3.5-9b", "config": {"context_length": 8192, "flash_attention": True}},
                {"id": "qwen/qwen3.5-9b:2", "config": {"context_length": 4096}},
            ],
            "max_context_length": 262_144,
            "capabilities": {"vision": True, "trained_for_tool_use": False},
        },
        {"type": "embedding", "key": "nomic", "max_context_length": 2048},
    ]
}
PROPS = {
    "default_generation_settings": {"id": 0, "n_ctx": 65_536, "params": {}},
    "total_slots": 4,
    "model_alias": "qwen",
    "modalities": {"vision": True, "audio": False},
}


def told(kind: FactsFrom, *answers: Any, model: str | None = "qwen3") -> list[Model]:
    """What follows from the answers to the questions, in their order."""
    asked = questions(kind, model)
    return [each for question, answer in zip(asked, answers, strict=True) for each in question.read(answer)]


def test_ollama_tells_the_loaded_window_and_what_the_model_can_do():
    assert told("ollama", PS, SHOW) == [
        Model("qwen3:latest", loaded=4096),
        Model("qwen3", loaded=4096),
        Model("qwen3", window=40_960, vision=False, tools=True, thinking=True),
    ]
    assert [(each.path, each.body) for each in questions("ollama", "a b")] == [
        ("/api/ps", b""),
        ("/api/show", b'{"model": "a b", "stream": false}'),
    ]


def test_a_model_of_ollamas_cloud_does_not_run_here():
    (model,) = told("ollama-show", {**SHOW, "remote_host": "https://ollama.com:443"})
    assert model.remote is True


def test_a_model_that_can_see_is_told_by_its_abilities():
    (model,) = told("ollama-show", {"capabilities": ["completion", "vision"]})
    assert (model.vision, model.tools, model.thinking, model.window) == (True, False, False, None)


def test_lm_studio_tells_each_instance_and_for_the_model_the_smallest():
    seen = Model("qwen/qwen3.5-9b", window=262_144, loaded=4096, vision=True)
    assert told("lmstudio", LMSTUDIO_V1, LMSTUDIO_V0) == [
        seen,
        Model("qwen/qwen3.5-9b:2", window=262_144, loaded=4096, vision=True),
        Model("qwen2-vl-7b-instruct", window=32_768, loaded=4096, vision=True),
    ]


def test_llamacpp_tells_the_window_of_a_slot_and_if_it_sees():
    assert told("llamacpp", PROPS) == [Model("qwen3", loaded=65_536, vision=True)]
    assert told("llamacpp", {"n_ctx": 512, "modalities": {"vision": False}}) == [
        Model("qwen3", loaded=512, vision=False)
    ]


def test_without_a_model_only_what_tells_of_all_is_asked():
    assert [each.path for each in questions("ollama", None)] == ["/api/ps"]
    assert [each.path for each in questions("lmstudio", None)] == ["/api/v1/models", "/api/v0/models"]
    assert questions("llamacpp", None) == questions("list", "m") == questions("none", "m") == ()


def test_only_a_server_that_cuts_prompts_is_asked_to_load_a_model():
    assert {name for name, row in PRESETS.items() if loading(row.facts_from, "m")} == {"ollama"}
    plain, staying = loading("ollama", "m")
    named = {"model": "m", "stream": False}  # no option: it must load as for a request
    assert json.loads(plain.body) == named
    assert json.loads(staying.body) == {**named, "keep_alive": 5}
    for question in (plain, staying):
        assert (question.path, question.then) == ("/api/generate", "/api/ps")
        there = {"models": [{"name": "m:latest", "context_length": 5}, {"name": "n", "context_length": 7}]}
        assert question.read(there) == (Model("m", loaded=5),)
        assert question.read({"models": [{"name": "n", "context_length": 7}]}) == ()
        assert question.read({"models": []}) == (Model("m"),)  # gone already


@pytest.mark.parametrize("kind", get_args(FactsFrom))
def test_two_questions_are_the_same_only_if_they_ask_the_same(kind):
    assert questions(kind, "m") == questions(kind, "m")
    assert len({*questions(kind, "m"), *questions(kind, "n")}) >= len(questions(kind, "m"))


bodies = json_values | st.sampled_from([PS, SHOW, LMSTUDIO_V0, LMSTUDIO_V1, PROPS]).map(json.dumps)


@given(bodies | bodies.map(str.encode).flatmap(mutated), st.sampled_from(get_args(FactsFrom)))
def test_any_answer_gives_models_or_none(body, kind):
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        value = None
    for question in (*questions(kind, "m"), *loading(kind, "m")):
        for model in question.read(value):
            for size in (model.window, model.loaded):
                assert size is None or (type(size) is int and size > 0)
            for answer in (model.vision, model.tools, model.thinking):
                assert answer in {None, True, False}
