"""Why a reply ends: finish reasons of Chat Completions as the client's stop reasons, and stop sequences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

#: The model came to its end, with calls or without: some say ``stop`` after calls and ``tool_calls`` after none.
ENDED = "end_turn"

#: Finish reason, in lower case and up to a colon -> stop reason. One that is not here is an end like any other.
STOP_REASONS: Mapping[str, str] = {
    "stop": ENDED,
    "eos": ENDED,
    "tool_calls": ENDED,
    "function_call": ENDED,
    "length": "max_tokens",
    "max_tokens": "max_tokens",
    "model_length": "model_context_window_exceeded",  # Mistral: the window is full
    "model_context_window_exceeded": "model_context_window_exceeded",  # GLM
    "content_filter": "refusal",
    "sensitive": "refusal",  # GLM
}

#: Finish reasons that are no end of an answer -> error type and what to tell.
FAILURES: Mapping[str, tuple[str, str]] = {
    "error": ("api_error", "the backend failed while it answered"),
    "abort": ("api_error", "the backend gave the answer up"),  # vLLM
    "network_error": ("api_error", "the backend lost the connection to its model"),  # GLM
    "insufficient_system_resource": ("overloaded_error", "the backend ran out of resources"),  # DeepSeek
    # Ollama's own wire, to a conversation in which it finds nothing to answer.
    "load": ("api_error", "the backend loaded the model and answered nothing"),
    "unload": ("api_error", "the backend unloaded the model and answered nothing"),
    # Gemini's ``function_call_filter: MALFORMED_FUNCTION_CALL``, which comes with no call and no word (2026-09).
    "function_call_filter": ("api_error", "the backend threw a tool call away that it couldn't read"),
}


def stop_reason(finish: str) -> str:
    """The client's stop reason for a finish reason that is no failure, before calls and refusals are looked at."""
    return STOP_REASONS.get(_word(finish), ENDED)


def failure(finish: str) -> tuple[str, str] | None:
    """Error type and words for a finish reason that is a failure; None for one that is none."""
    return FAILURES.get(_word(finish))


class StopCutter:
    """Cuts a text at the first of ``stops``: `feed` text and pass on what it returns, `close` at the end.

    Text that may be the beginning of a stop sequence is held back until more is known. ``found`` is the sequence
    that ended the text; what comes after it is gone. Of two, the one counts that is whole first, as where a model
    is stopped while it writes; of two that end together, the longer.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = sorted(set(stops), key=len, reverse=True)
        self._held = ""
        self.found: str | None = None

    def feed(self, text: str) -> str:
        """The text that is certain not to belong to a stop sequence."""
        if not self._stops:
            return text
        if self.found is not None:
            return ""
        text = self._held + text
        self._held = ""
        ends = [(text.find(stop) + len(stop), stop) for stop in self._stops if stop in text]
        if ends:
            end, self.found = min(ends, key=lambda each: each[0])
            return text[: end - len(self.found)]
        certain = len(text) - max(begun(text, stop) for stop in self._stops)
        self._held = text[certain:]
        return text[:certain]

    def close(self) -> str:
        """What was held back and is text after all."""
        text, self._held = self._held, ""
        return text


def stop_sequences(fields: Mapping[str, Any]) -> tuple[str, ...]:
    """The stop sequences of a Messages request."""
    asked = fields.get("stop_sequences")
    return tuple(each for each in asked if isinstance(each, str) and each) if isinstance(asked, list) else ()


def _word(finish: str) -> str:
    """Gemini says more behind a colon."""
    return finish.lower().partition(":")[0].strip()


def begun(text: str, stop: str) -> int:
    """How many characters at the end of ``text`` may be the beginning of ``stop``."""
    return next((size for size in range(min(len(text), len(stop) - 1), 0, -1) if text.endswith(stop[:size])), 0)
