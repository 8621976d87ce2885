from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.providers.presets import PRESETS
from ccrouter.providers.provider import Provider, Target
from ccrouter.translate import tokens, usage
from ccrouter.wire.messages import read_request

TARGET = Target(Provider(name="p", preset=PRESETS["chat"], base_url="https://x.example"), "m")


def counted(fresh, read, written, output, thinking=None):
    found = {
        "input_tokens": fresh,
        "cache_read_input_tokens": read,
        "cache_creation_input_tokens": written,
        "output_tokens": output,
    }
    return found if thinking is None else found | {"output_tokens_details": {"thinking_tokens": thinking}}


@pytest.mark.parametrize(
    ("vendors", "expected"),
    [
        pytest.param({"prompt_tokens": 10, "completion_tokens": 3, "total_tokens": 13}, counted(10, 0, 0, 3), id="plain"),
        pytest.param(
            {"prompt_tokens": 100, "completion_tokens": 30, "total_tokens": 130, "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 15}, "completion_tokens_details": {"reasoning_tokens": 20}},
            counted(25, 60, 15, 30, 20),
            id="OpenAI",
        ),
        pytest.param(
            {"prompt_tokens": 100, "completion_tokens": 30, "prompt_cache_hit_tokens": 64, "prompt_cache_miss_tokens": 36, "completion_tokens_details": {"reasoning_tokens": 0}},
            counted(36, 64, 0, 30, 0),
            id="DeepSeek",
        ),
        pytest.param({"prompt_eval_count": 100, "eval_count": 30, "eval_duration": 7}, counted(100, 0, 0, 30), id="Ollama"),
        pytest.param({"prompt_tokens": 100, "completion_tokens": 30, "cached_tokens": 40}, counted(60, 40, 0, 30), id="Moonshot"),
        pytest.param(
            {"prompt_tokens": 100, "completion_tokens": 30, "total_tokens": 180, "completion_tokens_details": {"reasoning_tokens": 50}},
            counted(100, 0, 0, 80, 50),
            id="xAI, told by the total",
        ),
        pytest.param(
            {"input_tokens": 100, "output_tokens": 30, "input_tokens_details": {"cached_tokens": 10, "cache_write_tokens": 5}, "output_tokens_details": {"reasoning_tokens": 20}},
            counted(85, 10, 5, 30, 20),
            id="Responses",
        ),
        pytest.param({"prompt_tokens": 10.0, "completion_tokens": 3.0}, counted(10, 0, 0, 3), id="floats"),
        pytest.param({"prompt_tokens": 10, "completion_tokens": 3, "prompt_tokens_details": None, "completion_tokens_details": None}, counted(10, 0, 0, 3), id="nulls"),
        pytest.param({"prompt_tokens": 10, "completion_tokens": 3, "cached_tokens": 40}, counted(0, 10, 0, 3), id="more cached than there is"),
        pytest.param({"completion_tokens": 3}, {"output_tokens": 3}, id="no prompt"),
        pytest.param({"prompt_tokens": -1, "completion_tokens": True}, {}, id="no counts"),
        pytest.param({}, {}, id="nothing"),
    ],
)  # fmt: skip
def test_every_vendors_usage_is_told_in_anthropics_accounting(vendors, expected):
    assert usage.read(vendors) == expected


def test_reasoning_beside_the_output_is_added_to_it():
    vendors = {"prompt_tokens": 10, "completion_tokens": 3, "completion_tokens_details": {"reasoning_tokens": 4}}
    assert usage.read(vendors)["output_tokens"] == 3
    assert usage.read(vendors, reasoning_apart=True)["output_tokens"] == 7


counts = st.integers(0, 1000)


@given(counts, counts, counts)
def test_the_parts_of_the_prompt_add_up_to_it(prompt, cached, written):
    found = usage.read(
        {
            "prompt_tokens": prompt,
            "prompt_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written},
        }
    )
    parts = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    assert sum(found[name] for name in parts) == prompt
    assert min(found.values()) >= 0


USAGE = {"prompt_tokens": 1, "completion_tokens": 2}


@pytest.mark.parametrize(
    "chunk",
    [
        {"choices": [], "usage": USAGE},
        {"choices": [{"index": 0, "usage": USAGE}], "usage": None},
        {"choices": [{"index": 0}], "x_groq": {"usage": USAGE}},
    ],
)
def test_usage_is_found_wherever_a_chunk_holds_it(chunk):
    assert usage.in_chunk(chunk) == USAGE


@pytest.mark.parametrize(
    "chunk",
    [{}, {"usage": None}, {"usage": {}}, {"usage": {"prompt_tokens": 0, "completion_tokens": 0}}, {"usage": [USAGE]}, {"choices": {}, "x_groq": 5}, {"choices": [[USAGE]]}],
)  # fmt: skip
def test_a_chunk_without_counts_has_no_usage(chunk):
    assert usage.in_chunk(chunk) is None


FIELDS = {"model": "m", "messages": [{"role": "user", "content": "Some words"}]}


def test_what_nobody_told_is_estimated():
    counting = usage.Counting(read_request(json.dumps(FIELDS).encode()), TARGET)
    assert counting.at_start() == {"input_tokens": tokens.estimate(FIELDS), "output_tokens": 0}
    counting.hear("Some ")
    counting.hear("words")
    told = {"input_tokens": tokens.estimate(FIELDS), "output_tokens": tokens.estimate_text("Some words")}
    assert counting.at_end() == told


def test_what_was_told_stands_at_the_start_and_at_the_end():
    counting = usage.Counting(read_request(json.dumps(FIELDS).encode()), TARGET, reasoning_apart=True)
    counting.hear("Some words")
    counting.tell(None)
    counting.tell({"prompt_tokens": 10, "completion_tokens": 3, "reasoning_tokens": 4})
    assert counting.at_start() == counting.at_end() == counted(10, 0, 0, 7, 4)
    counting.tell({"completion_tokens": 9})
    assert counting.at_end()["output_tokens"] == 9


def test_a_prompt_whose_size_is_told_is_not_estimated(monkeypatch):
    counting = usage.Counting(read_request(json.dumps(FIELDS).encode()), TARGET)
    counting.tell({"prompt_tokens": 10})
    monkeypatch.delattr(tokens, "estimate")
    assert counting.at_start() == counted(10, 0, 0, 0)
    assert counting.at_end()["input_tokens"] == 10
