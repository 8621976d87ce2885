"""Token counts of every vendor, in Anthropic's accounting.

OpenAI's wires count the whole prompt and tell how much of it was read from a cache; Anthropic counts apart what
was read from a cache, what was written to one, and the rest. Claude Code adds the three up to know how full the
context is, so they must add up to the prompt.

`PLACES` says where a count stands, most telling first; the first place that holds a number counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ccrouter.providers.provider import Target
from ccrouter.translate import tokens
from ccrouter.wire.messages import MessagesRequest

PLACES: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "prompt": (
        ("prompt_tokens",),
        ("input_tokens",),  # Responses
        ("prompt_eval_count",),  # Ollama's own wire
    ),
    "cached": (
        ("prompt_tokens_details", "cached_tokens"),
        ("input_tokens_details", "cached_tokens"),  # Responses
        ("prompt_cache_hit_tokens",),  # DeepSeek
        ("cached_tokens",),  # Moonshot
    ),
    "written": (
        ("prompt_tokens_details", "cache_write_tokens"),  # OpenAI since GPT-5.6, OpenRouter
        ("input_tokens_details", "cache_write_tokens"),  # Responses
    ),
    "output": (
        ("completion_tokens",),
        ("output_tokens",),  # Responses
        ("eval_count",),  # Ollama's own wire
    ),
    "reasoning": (
        ("completion_tokens_details", "reasoning_tokens"),
        ("output_tokens_details", "reasoning_tokens"),  # Responses
        ("reasoning_tokens",),  # Perplexity, older xAI
    ),
}

#: Where a chunk of Chat Completions can hold its usage.
_IN_CHUNK = (
    ("usage",),
    ("choices", 0, "usage"),  # Moonshot
    ("x_groq", "usage"),  # Groq
)


class Counting:
    """The usage of one reply: what the backend tells, and estimates where it tells nothing."""

    def __init__(self, request: MessagesRequest, target: Target, *, reasoning_apart: bool = False) -> None:
        """``reasoning_apart`` as in `read`."""
        self._request = request
        self._target = target
        self._apart = reasoning_apart
        self.told: dict[str, Any] = {}
        """What the backend counted itself."""
        self._said: list[str] = []

    def tell(self, usage: object) -> None:
        """What the backend counted; the last word of it stands."""
        if isinstance(usage, dict):
            self.told = read(usage, reasoning_apart=self._apart)

    def hear(self, text: str) -> None:
        """A text that the model wrote."""
        self._said.append(text)

    def at_start(self) -> dict[str, Any]:
        """The usage when the message begins.

        The prompt's size is estimated even if the backend tells it at the end. It is all that a turn tells which
        breaks off or is interrupted, and the client decides by it when to compact: after a zero it takes its
        context for empty. The price is 26 µs a kilobyte, once, when the backend has thought for far longer.
        """
        return {**self._estimated(), "output_tokens": 0, **self.told}

    def at_end(self) -> dict[str, Any]:
        """The usage of the whole reply."""
        output = {} if "output_tokens" in self.told else {"output_tokens": self.output}
        return {**self._estimated(), **output, **self.told}

    @property
    def prompt(self) -> int:
        """An estimate of the prompt's tokens, made once."""
        return tokens.of(self._request, self._target)

    @property
    def output(self) -> int:
        """An estimate of what was written so far."""
        return tokens.estimate_text("".join(self._said))

    def _estimated(self) -> dict[str, Any]:
        return {} if "input_tokens" in self.told else {"input_tokens": self.prompt}


def read(usage: dict[str, Any], *, reasoning_apart: bool = False) -> dict[str, Any]:
    """``usage`` of either of OpenAI's wires as Anthropic has it: the fields that it tells anything about.

    ``reasoning_apart``: reasoning is counted beside the output. It is taken to be when the total says so, too.
    """
    counts = {name: _first(usage, places) for name, places in PLACES.items()}
    prompt, output = counts["prompt"], counts["output"]
    cached, written, reasoning = counts["cached"] or 0, counts["written"] or 0, counts["reasoning"] or 0
    found: dict[str, Any] = {}
    if prompt is not None:
        cached = min(cached, prompt)
        written = min(written, prompt - cached)
        found["input_tokens"] = prompt - cached - written
        found["cache_read_input_tokens"] = cached
        found["cache_creation_input_tokens"] = written
    if output is not None:
        total = _number(usage.get("total_tokens"))
        if reasoning and (reasoning_apart or total == (prompt or 0) + output + reasoning):
            output += reasoning
        found["output_tokens"] = output
        if counts["reasoning"] is not None:
            found["output_tokens_details"] = {"thinking_tokens": min(reasoning, output)}
    return found


def in_chunk(chunk: dict[str, Any]) -> dict[str, Any] | None:
    """The usage that a chunk of Chat Completions brings, wherever; None for none, or nothing but zeros."""
    for path in _IN_CHUNK:
        usage = _at(chunk, path)
        if isinstance(usage, dict) and (_first(usage, PLACES["prompt"]) or _first(usage, PLACES["output"])):
            return usage
    return None


def _first(usage: dict[str, Any], places: tuple[tuple[str, ...], ...]) -> int | None:
    numbers = (_number(_at(usage, path)) for path in places)
    return next((number for number in numbers if number is not None), None)


def _at(value: Any, path: tuple[str | int, ...]) -> Any:
    for step in path:
        if isinstance(step, str):
            value = value.get(step) if isinstance(value, dict) else None
        else:
            value = value[step] if isinstance(value, list) and len(value) > step else None
    return value


def _number(value: Any) -> int | None:
    """A count; some write it as a float."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if type(value) is int and value >= 0 else None
