"""A prompt that is too long, or asks for too much: many servers' words for it, turned into the client's.

Claude Code compacts the conversation when it hears `prompt is too long`, and asks again for less output when it
hears that input and `max_tokens` together exceed the limit; both times it reads the numbers. `input_overflow` and
`output_overflow` give those words for what a backend said, with its own numbers where it names them.

Where it does not, the caller's are taken: ``count``, an estimate of the prompt's tokens, and ``window``, how many
the model can hold. Where the numbers still are not all known, or contradict each other, there are none: the
client compacts at the words alone, and from false numbers it would compute how much to cut.

A request of more tokens than a limit has for a whole minute is an overflow, too: no patience helps, and a shorter
one does. Such refusals name input and output together, so it goes by the caller's count which of them it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from attrs import frozen

from ccrouter.wire import claude_code

#: How much of a message is searched, in characters. All known wordings stand at the beginning.
_SEARCHED = 4096

#: Codes and types that mean an input overflow, whatever the words.
_CODES = frozenset(
    {
        "context_length_exceeded",  # OpenAI, Azure, Groq, Codex
        "exceed_context_size_error",  # llama.cpp
        "model_max_prompt_tokens_exceeded",  # Copilot
    }
)

#: Codes and words of refusals that speak of tokens and lengths, but of another limit.
_OTHER_CODES = frozenset({"string_above_max_length", "rate_limit_exceeded", "insufficient_quota"})
_OTHER = re.compile(
    r"string_above_max_length|\bper (?:second|minute|min|hour|day)\b|\b[tr]p[md]\b|rate[ _-]?limit|throttl"
    r"|please wait|quota|must be at least|(?:failed|unable|error) (?:to )?load"
)

_NUMBER = r"(?<!\d)(?:\d{1,3}(?:,\d{3})+|\d{1,12})"

#: Of OpenAI and Groq: one request asks for more or less than there is for a time, whatever is used of that.
_BEYOND_RATE = re.compile(
    rf"\btokens per .{{0,40}}?limit:? ({_NUMBER})(?:, used:? {_NUMBER})?, requested:? ({_NUMBER})"
)

#: Of vLLM, OpenAI and whoever copied their words.
_LENGTH_IS = "maximum context length is <m> tokens.{0,40}"

#: Wordings in lower case; the first that fits gives the numbers. ``<n>`` is the prompt's tokens, ``<t>`` what
#: tools add to them, ``<o>`` the output's, ``<m>`` the limit. With the output's tokens in it, a wording is an
#: output overflow as long as the prompt alone would fit. ``least`` marks a number that is a lower bound.
_WORDINGS = (
    # The client's own, from gateways in front of Claude.
    claude_code.PROMPT_TOO_LONG + ": <n> tokens? > <m> maximum",
    claude_code.OUTPUT_TOO_LONG + r": <n> \+ <o> > <m>",
    # vLLM 0.32, then older ones
    _LENGTH_IS + r"requested <o> output tokens and your prompt contains (?P<least>at least )?<n> input tokens",
    _LENGTH_IS + r"your prompt contains (?P<least>at least )?<n> input tokens",
    r"max_tokens=<o> cannot be greater than (?:max_model_len=|max_total_tokens=)+<m>",
    r"is too large: <o>\. this model's " + _LENGTH_IS + "and your request has <n> input tokens",
    # OpenAI, Azure, DeepSeek; OpenRouter
    _LENGTH_IS + r"requested (?:about )?\d+ tokens \(<n> (?:in the messages|of text input|in your prompt)"
    r"(?:, <t> (?:in the functions|of tool input))?[;,] (?:and )?<o> (?:in|for) the (?:comple|out)",
    _LENGTH_IS + r"(?:resulted in|requested) (?:about )?<n> tokens",
    r"input tokens exceed the configured limit of <m> tokens.{0,40}resulted in <n> tokens",
    # SGLang
    r"maximum context length of <m> tokens.{0,80}?<n> tokens from the input messages and <o> tokens for",
    r"\(<n> tokens\) is longer than the model's context length \(<m> tokens\)",
    # Text Generation Inference, Together
    r"`inputs` tokens \+ `max_new_tokens` must be <= <m>\. given: <n> `inputs` tokens and <o> `",
    # llama.cpp
    r"\(<n> tokens\) exceeds the available context size \(<m> tokens\)",
    # LM Studio: what it must keep of the prompt is a part of it
    r"(?P<least>keep the first )<n> tokens.{0,80}context length of only <m> tokens",
    r"(?P<least>tokens to keep from the initial prompt).{0,40}\(n_keep: ?<n> ?>= ?n_ctx: ?<m>\)",
    # Bedrock, Gemini, Cerebras, Copilot, Mistral, xAI, Moonshot, Cohere, DashScope
    r"prompt tokens \(<n>\) exceed model maximum \(<m>\)",
    r"input token count \(?<n>\)? exceeds the maximum number of tokens allowed \(?<m>\)?",
    r"exceeds the maximum number of tokens allowed \(?<m>\)?",
    r"current length is <n> while limit is <m>",
    r"prompt token count of <n> exceeds the limit of <m>",
    r"prompt contains <n> tokens.{0,40}too large for model with <m> maximum context length",
    r"too large for model with <m> maximum context length",
    r"maximum prompt length is <m> but the request contains <n> tokens",
    r"exceeded model token limit: <m> \(requested: <n>\)",
    r"tokens in the prompt cannot exceed <m> - received <n>",
    r"range of input length should be \[\d+, ?<m>\]",
    # what most of them share
    r"maximum context length (?:is|of) <m>",
    r"maximum input length is <m>",
)

#: What is an overflow without one of the wordings above.
_NEEDLES = re.compile(
    r"maximum context|tokens to keep|exceeds the available context size|exceed_context_size"
    r"|exceeds the maximum number of tokens allowed|input tokens exceed|maximum input length is"
    r"|current length is \d+ while limit|model_max_prompt_tokens_exceeded|prompt tokens \([^)]*\) exceed"
    r"|contextwindowexceeded|(?:input|prompt) is too long|prompt exceeds max(?:imum)? length|too many tokens"
)

#: Words for a window are one only together with words for too much: parameters have such names too.
_WINDOW = re.compile(r"context[ _]length|context window|context limit|context size")
_EXCEEDED = re.compile(r"exceed|too (?:long|large|many|big)|(?:greater|longer|larger) than|not enough|overflow")


@cache
def _wordings() -> tuple[re.Pattern[str], ...]:
    """`_WORDINGS` compiled, which takes longer than all the rest of the start and is seldom needed."""

    def spelled(wording: str) -> str:
        return re.sub("<([nmot])>", lambda name: f"(?P<{name[1]}>{_NUMBER})", wording)

    return tuple(re.compile(spelled(wording)) for wording in _WORDINGS)


def beyond_rate(message: str) -> tuple[int, int] | None:
    """A rate limit and the tokens of a request, input and output, where it is refused as more than the limit."""
    found = _BEYOND_RATE.search(_text(message))
    limit, asked = (0, 0) if found is None else (int(each.replace(",", "")) for each in found.groups())
    return (limit, asked) if asked > limit else None


_TOLD = re.compile(claude_code.PROMPT_TOO_LONG_BY.format(tokens=r"(\d+)", window=r"\d+"))


def tokens_told(message: str) -> int | None:
    """How many tokens a prompt has, as far as the client's words for an overflow say it."""
    found = _TOLD.search(message)
    return None if found is None else int(found[1])


@frozen
class _Found:
    """What a refusal says of its overflow."""

    prompt: int | None = None
    window: int | None = None
    output: int | None = None
    at_least: bool = False


def input_overflow(
    message: str,
    body: Mapping[str, Any],
    *,
    count: int | None = None,
    window: int | None = None,
    sure: bool = False,
) -> str | None:
    """The client's words for a prompt that does not fit; None where the backend says something else.

    ``message`` is what the backend says, ``body`` its envelope or the event that carries it, decoded. ``sure``:
    that it is one is known already, from a code of the vendor's own.
    """
    found = _find(message, body, count, sure=sure)
    if found is None or _is_of_output(found, count, window):
        return None
    prompt, limit = _prompt(found, count), found.window or window
    # Not "more than": some refuse a prompt that fills the window exactly.
    if prompt is not None and limit is not None and prompt >= limit:
        return claude_code.PROMPT_TOO_LONG_BY.format(tokens=prompt, window=limit)
    return claude_code.PROMPT_TOO_LONG


def output_overflow(
    message: str, body: Mapping[str, Any], *, count: int | None = None, window: int | None = None
) -> str | None:
    """The client's words for a prompt that fits, but not with the output that was asked for; else None."""
    found = _find(message, body, count)
    if found is None or not _is_of_output(found, count, window):
        return None
    # Without any number for the prompt, one token: the next refusal then names it, as output alone fits.
    prompt = _prompt(found, count) or 1
    numbers = f"{prompt} + {found.output} > {found.window or window}"
    return f"{claude_code.OUTPUT_TOO_LONG}: {numbers}, decrease input length or `max_tokens` and try again"


def envelope_objects(body: Any) -> Iterator[Mapping[str, Any]]:
    """The objects of an error envelope that can hold a code, a type or numbers, the innermost first."""
    inside: list[Mapping[str, Any]] = []
    for _ in range(8):  # deeper than any envelope is
        if isinstance(body, list) and body:
            body = body[0]
        if not isinstance(body, Mapping):
            break
        inside.append(body)
        held = (body.get(key) for key in ("error", "response", "detail", "base_resp"))
        body = next((each for each in held if isinstance(each, Mapping | list) and each), None)
    yield from reversed(inside)


def codes(body: Any) -> frozenset[str]:
    """Codes, types, statuses and reasons of an error envelope, in lower case."""
    found = list(envelope_objects(body))
    named = [held.get(key) for held in found for key in ("code", "type", "status", "status_code")]
    # Google: [{"@type": "…ErrorInfo", "reason": "API_KEY_INVALID"}]
    details = [each for held in found if isinstance(held.get("details"), list) for each in held["details"]]
    named += [each.get("reason") for each in details if isinstance(each, Mapping)]
    return frozenset(str(each).lower() for each in named if isinstance(each, str | int))


def _text(message: str) -> str:
    return " ".join(message[:_SEARCHED].lower().split())


def _find(message: str, body: Mapping[str, Any], count: int | None, *, sure: bool = False) -> _Found | None:
    if (rate := beyond_rate(message)) is not None:
        limit, asked = rate
        return _Found(asked if count is None else count, limit, None if count is None else max(asked - count, 1))
    named = codes(body)
    text = _text(message)
    sure = sure or bool(named & _CODES)
    if not sure and (named & _OTHER_CODES or _OTHER.search(text)):
        return None
    found = next((each for each in (pattern.search(text) for pattern in _wordings()) if each), None)
    if not (sure or found or _NEEDLES.search(text) or (_WINDOW.search(text) and _EXCEEDED.search(text))):
        return None
    numbers = {} if found is None else found.groupdict()
    prompt = _integer(numbers.get("n"))
    if prompt is not None:
        prompt += _integer(numbers.get("t")) or 0
    return _Found(
        prompt=_field(body, "n_prompt_tokens") or prompt,
        window=_field(body, "n_ctx") or _integer(numbers.get("m")),
        output=_integer(numbers.get("o")),
        at_least=bool(numbers.get("least")),
    )


def _is_of_output(found: _Found, count: int | None, window: int | None) -> bool:
    limit = found.window or window
    return found.output is not None and limit is not None and (_prompt(found, count) or 0) < limit


def _prompt(found: _Found, count: int | None) -> int | None:
    if found.prompt is None:
        return count
    return max(found.prompt, count or 0) if found.at_least else found.prompt


def _integer(text: str | None) -> int | None:
    return None if text is None else int(text.replace(",", ""))


def _field(body: Mapping[str, Any], name: str) -> int | None:
    found = (held.get(name) for held in envelope_objects(body))
    return next((each for each in found if type(each) is int and each > 0), None)
