"""What all sources together know of a model."""

from __future__ import annotations

import pytest

from ccrouter.providers.known import TABLE, guessed, known, tabled
from ccrouter.providers.presets import PRESETS
from ccrouter.providers.provider import Model, Provider


def provider(preset: str = "deepseek", *models: Model, base_url: str = "https://x.example") -> Provider:
    return Provider(name="there", preset=PRESETS[preset], base_url=base_url, models=models)


def test_of_each_fact_the_best_source_is_heard():
    mine = Model("deepseek-v4-pro", window=5)
    told = [
        Model("deepseek-v4-pro", window=7, max_output=3),
        Model("deepseek-v4-pro", max_output=4, tools=False, efforts=("low",)),
    ]
    found = known(provider("deepseek", mine), "deepseek-v4-pro", told)
    assert (found.window, found.max_output, found.tools, found.vision) == (5, 3, False, False)
    assert found.efforts == ("low",)
    assert found.sources == {
        "window": "configuration",
        "max_output": "backend",
        "tools": "backend",
        "efforts": "backend",
        "vision": "table",
        "thinking": "table",
    }


def test_what_requests_ask_for_comes_from_the_configuration_alone():
    mine = Model("qwen3:8b", num_ctx=65_536, keep_alive=60.0)
    found = known(provider("ollama", mine), "qwen3:8b", [Model("qwen3:8b", loaded=4_096, window=262_144)])
    assert (found.num_ctx, found.keep_alive, found.loaded, found.room) == (65_536, 60.0, 4_096, 65_536)
    assert found.sources["num_ctx"] == found.sources["keep_alive"] == "configuration"


def test_a_no_of_a_better_source_is_not_overruled_by_a_yes():
    found = known(provider("deepseek", Model("deepseek-flash", vision=False)), "deepseek-flash")
    assert found.vision is False


def test_the_table_is_for_hosted_models_only():
    assert known(provider("zai"), "glm-5.2").window == 1_000_000
    assert known(provider("vllm"), "glm-5.2").window is None


@pytest.mark.parametrize(
    ("model", "row"),
    [
        ("glm-5", "glm-5"),
        ("GLM-5.1", "glm-5.1"),
        ("glm-5-turbo", "glm-5"),
        ("z-ai/glm-5.2:batch", "glm-5.2"),
        ("gpt-5-mini", "gpt-5"),
        ("gpt-5.2-2025-12-11", "gpt-5.2"),
        ("gpt-5-chat-latest", "gpt-5-chat"),
        ("MiniMax-M2.1", "minimax-m2.1"),
        ("glm-5v-turbo", None),
        ("gpt-5.3", None),
        ("gpt-55", None),
        ("minimax-m3", None),
        ("", None),
    ],
)
def test_a_row_is_found_by_the_longest_whole_name(model, row):
    assert getattr(tabled(model), "id", None) == row


def test_no_two_rows_are_for_the_same_name():
    assert len({row.id for row in TABLE}) == len(TABLE)
    assert all(row.id == row.id.lower() for row in TABLE)


@pytest.mark.parametrize(
    ("model", "facts"),
    [
        ("moonshot-v1-128k", Model("moonshot-v1-128k", window=131_072)),
        ("qwen2.5-vl:7b", Model("qwen2.5-vl:7b", vision=True)),
        ("kimi-k2-thinking", Model("kimi-k2-thinking", thinking=True)),
        ("qwen3:8b", Model("qwen3:8b")),
        ("k2", Model("k2")),
        ("evl-1", Model("evl-1")),
    ],
)
def test_a_name_says_what_it_says(model, facts):
    assert guessed(model) == facts


def test_a_window_that_is_a_guess_is_shown_but_not_held_to():
    found = known(provider("chat"), "some-32k")
    assert (found.window, found.sources["window"], found.room) == (32_768, "guess", None)


def test_what_fits_is_the_smaller_of_the_models_own_window_and_the_loaded_one():
    assert Model("m", window=8, loaded=4).room == 4
    assert Model("m", window=8, loaded=9).room == 8
    assert Model("m", loaded=4).room == 4
    assert Model("m", window=8).room == 8
    assert Model("m").room is None


@pytest.mark.parametrize(
    ("preset", "url", "local"),
    [
        ("ollama", "http://127.0.0.1:11434", True),
        ("lmstudio", "http://localhost:1234", True),
        ("vllm", "http://[::1]:8000", True),
        ("ollama", "http://192.168.1.5:11434", False),
        ("ollama", "https://models.example", False),
        ("litellm", "http://127.0.0.1:4000", False),
        ("deepseek", "https://api.deepseek.com", False),
    ],
)
def test_a_model_is_local_where_its_server_is(preset, url, local):
    assert known(provider(preset, base_url=url), "m").local is local


def test_a_clouds_model_is_not_local_though_its_server_is():
    there = provider("ollama", base_url="http://127.0.0.1:11434")
    assert known(there, "m:cloud", [Model("m:cloud", remote=True)]).local is False
