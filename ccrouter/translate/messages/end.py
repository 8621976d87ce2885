"""How another server's Messages stream begins and ends: its usage, and why it stops.

Servers of the format write zeros where they don't count, count only at the end or only at the beginning, know
three stop reasons or spell them as OpenAI does. What follows from the rest of the reply is put right; a reason
that nobody knows means an end like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ccrouter.translate import stops, usage
from ccrouter.translate.members import as_object
from ccrouter.wire import events
from ccrouter.wire.events import Event

#: Anthropic's stop reasons, 2026-11.
_REASONS = frozenset(
    {
        "end_turn",
        "max_tokens",
        "stop_sequence",
        "tool_use",
        "pause_turn",
        "refusal",
        "model_context_window_exceeded",
        "compaction",
    }
)

#: Reasons after which the message is whole to its last word.
_WHOLE = frozenset({"end_turn", "tool_use", "pause_turn"})

_INPUT = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")


def message(given: object, message_id: str, model: str, prompt: Callable[[], int]) -> dict[str, Any]:
    """What a ``message_start`` says, under the router's own id. ``prompt`` counts the request's tokens.

    ``model`` is the name that the client asked for, whatever the server calls it: with each new prompt the client
    leaves out the thinking of messages whose model has another name than the one it asks now (2.1.329, 2026-11).
    """
    found = dict(given) if isinstance(given, dict) else {}
    told = _counts(found.get("usage"))
    if not _input(told):
        told = {**told, "input_tokens": prompt()}
    told.setdefault("input_tokens", 0)
    told.setdefault("output_tokens", 0)
    return {**found, **events.message_start(message_id, model, told)["message"]}


class End:
    """What the ``message_delta`` events of a stream say, together: `tell` each, then `settle`."""

    def __init__(self) -> None:
        self._events: list[Event] = []

    @property
    def told(self) -> bool:
        """Whether there was one at all."""
        return bool(self._events)

    @property
    def reason(self) -> str | None:
        """The stop reason as the backend has it."""
        reason = self._said("stop_reason")
        return reason if isinstance(reason, str) and reason else None

    @property
    def broken_off(self) -> bool:
        """Whether the message may end in the middle of something."""
        return _reason(self.reason) not in _WHOLE

    def tell(self, event: Event) -> None:
        """One more event; what it says overrides what was said before."""
        self._events.append(event)

    def settle(
        self,
        *,
        start: Mapping[str, Any],
        called: bool,
        asked: Sequence[str],
        text: str,
        output: Callable[[], int],
    ) -> Event | None:
        """The event that must stand for all of them, None if they are right as they are.

        ``start`` is the message as it began, ``called`` whether it calls tools, ``asked`` the stop sequences of
        the request, ``text`` what the message ends with; ``output`` counts what was said.
        """
        sequence = self._said("stop_sequence")
        right = _why(self.reason, sequence, called=called, asked=asked, text=text)
        told: dict[str, Any] = {}
        for event in self._events:
            told |= {key: value for key, value in _counts(event.get("usage")).items() if value is not None}
        counts = dict(told)
        if "input_tokens" in counts and not _input(counts):
            counts |= {key: start["usage"].get(key) or 0 for key in _INPUT if key in counts}
        if not counts.get("output_tokens"):
            counts["output_tokens"] = output()
        shaped = all(isinstance(event.get("delta"), dict) and _has_output(event) for event in self._events)
        if self._events and shaped and right == (self.reason, sequence) and counts == told:
            return None
        merged: Event = {}
        delta: dict[str, Any] = {}
        for event in self._events:
            merged |= event
            delta |= {key: value for key, value in as_object(event.get("delta")).items() if value is not None}
        delta |= {"stop_reason": right[0], "stop_sequence": right[1]}
        return {**merged, "type": "message_delta", "delta": delta, "usage": counts}

    def _said(self, key: str) -> Any:
        said = [as_object(event.get("delta")).get(key) for event in self._events]
        return next((each for each in reversed(said) if each is not None), None)


def _why(
    told: str | None, sequence: object, *, called: bool, asked: Sequence[str], text: str
) -> tuple[str, str | None]:
    reason = _reason(told)
    named = sequence if isinstance(sequence, str) and sequence in asked else None
    if reason == "stop_sequence" and named is None:
        if len(asked) == 1:
            return reason, asked[0]
        if not asked:
            reason = stops.ENDED  # Ollama's word for whatever it has no other for
    if called and reason == stops.ENDED:
        reason = "tool_use"
    elif reason == "tool_use" and not called:
        reason = stops.ENDED
    if reason == stops.ENDED:
        # llama.cpp names the sequence beside the plain reason. Others let it through, but write nothing behind it.
        named = named or next((each for each in asked if text.endswith(each)), None)
        if named is not None:
            return "stop_sequence", named
    return reason, sequence if isinstance(sequence, str) else None


def _reason(told: str | None) -> str:
    return told if told in _REASONS else stops.stop_reason(told or stops.ENDED)


def _counts(told: object) -> dict[str, Any]:
    """A usage without counts that are none, in Anthropic's accounting."""
    if not isinstance(told, dict):
        return {}
    if "prompt_tokens" in told or "completion_tokens" in told:
        return usage.read(told)
    none = [key for key in (*_INPUT, "output_tokens") if key in told and not _is_count(told[key], key)]
    return {key: value for key, value in told.items() if key not in none}


def _is_count(value: object, key: str) -> bool:
    return (type(value) is int and value >= 0) or (value is None and key.startswith("cache_"))


def _input(counts: Mapping[str, Any]) -> int:
    return sum(counts.get(key) or 0 for key in _INPUT)


def _has_output(event: Event) -> bool:
    """Whether an event has the one count that the client's SDK reads without looking."""
    return isinstance(event.get("usage"), dict) and "output_tokens" in _counts(event["usage"])
