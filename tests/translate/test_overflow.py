from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.translate.overflow import (
    beyond_rate,
    codes,
    envelope_objects,
    input_overflow,
    output_overflow,
    tokens_told,
)
from tests.strategies import json_values


def too_long(n: int, m: int) -> str:
    return f"prompt is too long: {n} tokens > {m} maximum"


def too_much(n: int, o: int, m: int) -> str:
    return (
        f"input length and `max_tokens` exceed context limit: {n} + {o} > {m}, "
        "decrease input length or `max_tokens` and try again"
    )


#: What servers say of a prompt that is too long, and the numbers in it; None where there are none.
INPUT = [
    (
        "OpenAI Chat",
        (
            "This model's maximum context length is 128000 tokens. However, your messages resulted in 131002 tokens. "
            "Please reduce the length of the messages."
        ),
        (131002, 128000),
    ),
    (
        "OpenAI Chat with output",
        (
            "This model's maximum context length is 8192 tokens. However, you requested 10000 tokens (8500 in the "
            "messages, 1500 in the completion). Please reduce the length of the messages or completion."
        ),
        (8500, 8192),
    ),
    (
        "OpenAI Chat with tools",
        (
            "This model's maximum context length is 8192 tokens. However, you requested 10000 tokens (8000 in the "
            "messages, 500 in the functions, and 1500 in the completion)."
        ),
        (8500, 8192),
    ),
    (
        "OpenAI without a split",
        "This model's maximum context length is 8192 tokens. However, you requested 10,000 tokens.",
        (10000, 8192),
    ),
    (
        "OpenAI, the newer words",
        (
            "Input tokens exceed the configured limit of 272000 tokens. Your messages resulted in 302000 tokens. "
            "Please reduce the length of the messages."
        ),
        (302000, 272000),
    ),
    (
        "OpenAI Responses",
        "Your input exceeds the context window of this model. Please adjust your input and try again.",
        None,
    ),
    (
        "vLLM",
        (
            "This model's maximum context length is 32768 tokens. However, your prompt contains at least 32769 input "
            "tokens, which is too long. Please reduce the length of the input prompt."
        ),
        (32769, 32768),
    ),
    (
        "vLLM with output",
        (
            "This model's maximum context length is 32768 tokens. However, you requested 1000 output tokens and your "
            "prompt contains 40000 input tokens, for a total of 41000 tokens."
        ),
        (40000, 32768),
    ),
    (
        "llama.cpp",
        "request (24071 tokens) exceeds the available context size (8192 tokens), try increasing it",
        (24071, 8192),
    ),
    (
        "llama.cpp, older",
        "the request exceeds the available context size. try increasing the context size or enable context shift",
        None,
    ),
    (
        "LM Studio",
        (
            "Trying to keep the first 9172 tokens when context the overflows. However, the model is loaded with context "
            "length of only 4096 tokens, which is not enough. Try to load the model with a larger context length, or "
            "provide a shorter input"
        ),
        (9172, 4096),
    ),
    (
        "LM Studio, newer",
        (
            "The number of tokens to keep from the initial prompt is greater than the context length "
            "(n_keep: 15460>= n_ctx: 4096). Try to load the model with a larger context length, or provide a shorter input"
        ),
        (15460, 4096),
    ),
    (
        "LM Studio without numbers",
        (
            "The number of tokens to keep from the initial prompt is greater than the context length. Try to load the "
            "model with a larger context length, or provide a shorter input"
        ),
        None,
    ),
    (
        "LiteLLM",
        (
            "litellm.ContextWindowExceededError: litellm.BadRequestError: OpenAIException - This model's maximum context "
            "length is 16385 tokens. However, your messages resulted in 16400 tokens.\nmodel=gpt-3.5-turbo"
        ),
        (16400, 16385),
    ),
    (
        "LiteLLM over Anthropic",
        (
            'litellm.BadRequestError: AnthropicException - {"type":"error","error":{"type":"invalid_request_error",'
            '"message":"prompt is too long: 208310 tokens > 200000 maximum"}}'
        ),
        (208310, 200000),
    ),
    ("Bedrock", "Input is too long for requested model.", None),
    ("Bedrock with numbers", "prompt tokens (210000) exceed model maximum (200000)", (210000, 200000)),
    (
        "Gemini",
        "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
        (1200000, 1048576),
    ),
    ("Cerebras", "Please reduce the length. Current length is 9000 while limit is 8192", (9000, 8192)),
    ("Copilot", "prompt token count of 130001 exceeds the limit of 128000", (130001, 128000)),
    (
        "Mistral",
        "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length",
        (40000, 32768),
    ),
    (
        "xAI",
        "This model's maximum prompt length is 131072 but the request contains 200000 tokens.",
        (200000, 131072),
    ),
    (
        "Moonshot",
        "Invalid request: Your request exceeded model token limit: 262144 (requested: 300000)",
        (300000, 262144),
    ),
    ("MiniMax", "invalid params, context window exceeds limit (2013)", None),
    ("GLM", "Prompt exceeds max length", None),
    (
        "SGLang",
        "The input (40000 tokens) is longer than the model's context length (32768 tokens).",
        (40000, 32768),
    ),
    (
        "Cohere",
        "too many tokens: total number of tokens in the prompt cannot exceed 4096 - received 5000.",
        (5000, 4096),
    ),
    ("Ollama with truncate: false", "the input length exceeds the context length", None),
]

#: And of a prompt that would fit alone.
OUTPUT = [
    (
        "Anthropic's own",
        (
            "input length and `max_tokens` exceed context limit: 190000 + 32000 > 200000, decrease input length or "
            "`max_tokens` and try again"
        ),
        (190000, 32000, 200000),
    ),
    (
        "OpenAI Chat",
        (
            "This model's maximum context length is 8192 tokens. However, you requested 10000 tokens (7000 in the "
            "messages, 3000 in the completion). Please reduce the length of the messages or completion."
        ),
        (7000, 3000, 8192),
    ),
    (
        "OpenRouter",
        (
            "This endpoint's maximum context length is 131072 tokens. However, you requested about 196000 tokens "
            "(110000 of text input, 16000 of tool input, 70000 in the output). Please reduce the length of either one"
        ),
        (126000, 70000, 131072),
    ),
    (
        "vLLM",
        (
            "This model's maximum context length is 32768 tokens. However, you requested 32000 output tokens and your "
            "prompt contains at least 769 input tokens, for a total of at least 32769 tokens."
        ),
        (769, 32000, 32768),
    ),
    (
        "vLLM, older",
        (
            "'max_tokens' or 'max_completion_tokens' is too large: 40000. This model's maximum context length is 32768 "
            "tokens and your request has 100 input tokens (40000 > 32768 - 100)."
        ),
        (100, 40000, 32768),
    ),
    (
        "SGLang",
        (
            "Requested token count exceeds the model's maximum context length of 32768 tokens. You requested a total of "
            "40000 tokens: 8000 tokens from the input messages and 32000 tokens for the completion."
        ),
        (8000, 32000, 32768),
    ),
    (
        "TGI",
        (
            "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 8193. Given: 7000 `inputs` tokens and "
            "2000 `max_new_tokens`"
        ),
        (7000, 2000, 8193),
    ),
]

#: What speaks of tokens or lengths and is no overflow of the window.
NEITHER = [
    (
        (
            "Invalid 'messages[0].content': string too long. Expected a string with maximum length 10485760, but got a "
            "string with length 11000000 instead."
        ),
        {"error": {"code": "string_above_max_length"}},
    ),
    ("maximum context length of a string exceeded", {"error": {"code": "string_above_max_length"}}),
    *(
        (f"Rate limit reached for gpt-5.4 on {words}. Please try again in 1.574s.", {"error": {"type": "tokens"}})
        for words in (
            "tokens per min (TPM): Limit 30000, Used 29000, Requested 4000",
            "tokens per min (TPM): Limit 30000, Used 60000, Requested 30000",
            "requests per min (RPM): Limit 3, Used 3, Requested 4",
            "input-images per min: Limit 250, Requested 300",
        )
    ),
    ("Too many tokens, please wait before trying again.", {}),
    ("Too many tokens per day, please wait before trying again.", {}),
    ("You exceeded 1000000 tokens per minute for the context length tier", {}),
    ("max_tokens must be at least 1, got -500 (maximum context length is 32768)", {}),
    ("max_tokens is too large: 40000. This model supports at most 16384 completion tokens", {}),
    ("Unsupported parameter: 'max_context_length'", {}),
    ("Extra inputs are not permitted: context_length", {}),
    ("Failed to load model with a context length of 131072: the memory needed exceeds what there is", {}),
    ("You exceeded your current quota, please check your plan", {"error": {"code": "insufficient_quota"}}),
    ("Invalid schema for function 'f': too long", {}),
    ("messages: text content blocks must be non-empty", {}),
    ("Incorrect API key provided", {}),
    ("", {}),
]


@pytest.mark.parametrize(("message", "numbers"), [row[1:] for row in INPUT], ids=[row[0] for row in INPUT])
def test_a_prompt_that_is_too_long_is_told_in_the_clients_words(message, numbers) -> None:
    for text in (message, message.upper()):
        assert input_overflow(text, {}) == (too_long(*numbers) if numbers else "prompt is too long")
        assert output_overflow(text, {}) is None
    if numbers is None:
        assert input_overflow(message, {}, count=300, window=200) == too_long(300, 200)


@pytest.mark.parametrize(("message", "numbers"), [row[1:] for row in OUTPUT], ids=[row[0] for row in OUTPUT])
def test_a_prompt_that_fits_without_its_output_is_told_in_the_clients_words(message, numbers) -> None:
    assert output_overflow(message, {}) == too_much(*numbers)
    assert input_overflow(message, {}) is None


@pytest.mark.parametrize(("message", "body"), NEITHER)
def test_what_only_resembles_an_overflow_is_none(message, body) -> None:
    assert input_overflow(message, body, count=10, window=5) is None
    assert output_overflow(message, body, count=10, window=5) is None
    assert beyond_rate(message) is None


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"code": "context_length_exceeded", "message": "no"}},
        {"type": "response.failed", "response": {"error": {"code": "context_length_exceeded"}}},
        {"type": "error", "error": {"type": "exceed_context_size_error"}},
        {"type": "error", "code": "context_length_exceeded", "message": "no"},
        {"code": "model_max_prompt_tokens_exceeded"},
    ],
)
def test_a_code_decides_whatever_the_words(body) -> None:
    assert input_overflow("rate limit, please wait", body) == "prompt is too long"
    assert input_overflow("no", body, count=9, window=8) == too_long(9, 8)


def test_numbers_come_from_fields_before_words() -> None:
    body = {"error": {"type": "exceed_context_size_error", "n_prompt_tokens": 24071, "n_ctx": 8192}}
    assert input_overflow("request (1 tokens) exceeds the available context size (2 tokens)", body) == too_long(
        24071, 8192
    )


def test_a_window_of_the_callers_fills_a_gap() -> None:
    said = "Your input exceeds the context window of this model."
    assert input_overflow(said, {}, window=100) == "prompt is too long"
    assert input_overflow(said, {}, count=100) == "prompt is too long"
    assert input_overflow("maximum context length is 100", {}, count=120, window=999) == too_long(120, 100)


def test_an_estimate_that_contradicts_the_refusal_gives_no_numbers() -> None:
    assert (
        input_overflow("Input is too long for requested model.", {}, count=10, window=100) == "prompt is too long"
    )


def test_a_lower_bound_gives_way_to_a_larger_estimate() -> None:
    said = "maximum context length is 100 tokens. However, your prompt contains at least 101 input tokens"
    assert input_overflow(said, {}, count=500) == too_long(500, 100)
    assert input_overflow(said, {}, count=50) == too_long(101, 100)
    exact = said.replace("at least ", "")
    assert input_overflow(exact, {}, count=500) == too_long(101, 100)


def test_output_that_is_more_than_the_window_is_told_with_the_estimate_or_the_least_prompt() -> None:
    said = "max_tokens=40000 cannot be greater than max_model_len=32768"
    assert output_overflow(said, {}) == too_much(1, 40000, 32768)
    assert output_overflow(said, {}, count=5000) == too_much(5000, 40000, 32768)
    assert input_overflow(said, {}, count=33000) == too_long(33000, 32768)
    assert output_overflow(said, {}, count=33000) is None


@pytest.mark.parametrize(
    "said",
    [
        (
            "Request too large for gpt-5.4 in organization org-x on tokens per min (TPM): Limit 30000, Requested 49012. "
            "The input or output tokens must be reduced in order to run successfully."
        ),
        (
            "Request too large for model `llama` in organization `org_x` service tier `on_demand` on tokens per minute "
            "(TPM): Limit 30,000, Requested 49,012, please reduce your message size and try again."
        ),
        (
            "Rate limit reached for model `m` on tokens per day (TPD): Limit 30000, Used 900, Requested 49012. "
            "Please try again in 9.9s."
        ),
    ],
)
def test_more_than_a_limit_for_a_time_is_an_overflow_of_what_the_estimate_says(said) -> None:
    body = {"error": {"type": "tokens", "code": "rate_limit_exceeded"}}
    assert beyond_rate(said) == (30000, 49012)
    assert input_overflow(said, body) == too_long(49012, 30000)
    for count in (30000, 40000, 60000):
        assert input_overflow(said, body, count=count, window=400_000) == too_long(count, 30000)
        assert output_overflow(said, body, count=count, window=400_000) is None
    assert output_overflow(said, body, count=17012, window=400_000) == too_much(17012, 32000, 30000)
    assert input_overflow(said, body, count=17012, window=400_000) is None


def test_facts_are_the_innermost_first_and_codes_are_all_there_are() -> None:
    body = [{"error": {"code": 400, "status": "INVALID_ARGUMENT", "error": {"type": "Inner"}}, "type": "outer"}]
    assert [sorted(each) for each in envelope_objects(body)] == [
        ["type"],
        ["code", "error", "status"],
        ["error", "type"],
    ]
    assert codes(body) == {"400", "invalid_argument", "inner", "outer"}


@given(st.text(max_size=200), st.dictionaries(st.sampled_from(["error", "code", "type"]), json_values))
def test_any_refusal_is_at_most_one_of_the_two(message, body) -> None:
    found = input_overflow(message, body), output_overflow(message, body)
    assert None in found


@pytest.mark.parametrize(
    "piece",
    ["context length ", "maximum context length is 1 tokens. ", "(1 tokens", "prompt tokens (", "tokens, <n> 1, "],
)
def test_long_messages_are_judged_in_no_time(piece) -> None:
    start = time.process_time()
    input_overflow(piece * 100_000, {})
    assert time.process_time() - start < 0.2


@pytest.mark.parametrize(
    ("message", "tokens"),
    [
        ("prompt is too long: 201000 tokens > 200000 maximum", 201_000),
        ("work: prompt is too long: 7 tokens > 5 maximum (as the backend says)", 7),
        ("prompt is too long", None),
        ("", None),
    ],
)
def test_the_clients_words_say_how_long_a_prompt_is(message, tokens):
    assert tokens_told(message) == tokens
