"""How much a model is to think: what the client asks for, and the words in which each vendor is asked.

The client says ``thinking`` (adaptive, enabled with a budget, disabled, or nothing) and an effort, for the whole
request or from some message on. A vendor takes a word, a switch, a budget, or nothing of it: the table at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from attrs import frozen

from ccrouter.providers.quirks import Ask, Keep, Quirks
from ccrouter.translate.turns import Conversation

#: Every word for effort that the client or a vendor has, weakest first. ``none`` is no effort but the switch.
EFFORTS = ("minimal", "low", "medium", "high", "xhigh", "max")

#: What is told of a request for thinking to a model that is known not to think.
UNASKED = "thinking: not asked for, the model can't"

#: The largest budgets of thinking, in tokens, that count as so much effort; above them it is ``high``. Claude Code
#: asks models without efforts for 31999.
_BUDGETS = (("low", 4_096), ("medium", 16_384))

#: Google's own table from efforts to budgets for the models that have no levels; later ones take budgets too.
_GOOGLE_BUDGETS = {"minimal": 1_024, "low": 1_024, "medium": 8_192}
_GOOGLE_MOST = 24_576
#: Some of its models can't stop thinking; this is the least that all take.
_GOOGLE_LEAST = 512

#: The members of ``thinking`` that keep the reasoning of earlier turns before the model's eyes.
_KEPT: Mapping[Keep, dict[str, Any]] = {
    "none": {},
    "clear_thinking": {"clear_thinking": False},
    "keep": {"keep": "all"},
}

#: What the weakest effort is given, in tokens; as much as Claude Code's own word for a little thought.
_UNSTOPPABLE = 4_096


@frozen
class Asked:
    """What the client wants. ``on`` is None where it says nothing; ``budget`` in tokens."""

    on: bool | None = None
    effort: str | None = None
    budget: int | None = None

    @property
    def strength(self) -> str | None:
        """The effort in a word, from the budget if need be."""
        if self.effort is not None or self.budget is None:
            return self.effort
        return next((word for word, most in _BUDGETS if self.budget <= most), "high")


def asked(fields: Mapping[str, Any], conversation: Conversation) -> Asked:
    """What a request asks for. The last message that names an effort wins."""
    thinking, output = fields.get("thinking"), fields.get("output_config")
    kind = thinking.get("type") if isinstance(thinking, Mapping) else None
    budget = thinking.get("budget_tokens") if isinstance(thinking, Mapping) else None
    efforts = [output.get("effort") if isinstance(output, Mapping) else None]
    efforts += [turn.effort for turn in conversation.turns]
    return Asked(
        None if not isinstance(kind, str) else kind != "disabled",
        next((each for each in reversed(efforts) if each in EFFORTS), None),
        budget if kind == "enabled" and type(budget) is int and budget > 0 else None,
    )


def unstoppable(wanted: Asked, efforts: tuple[str, ...], ask: Ask = "reasoning_effort") -> int:
    """How many tokens a model may think for where the client wants none of it and the vendor has no word for that.

    They count as part of the answer.
    """
    if wanted.on is not False:
        return 0
    if ask == "google":
        return _GOOGLE_LEAST
    return _UNSTOPPABLE if ask == "reasoning_effort" and efforts and "none" not in efforts else 0


def words(wanted: Asked, quirks: Quirks) -> dict[str, Any]:
    """The members of a chat request that ask for it in the vendor's words."""
    return _WORDS[quirks.ask](wanted, quirks)


def unasked(wanted: Asked) -> list[str]:
    """What differs from what the client wants where the model is known not to think."""
    return [UNASKED] if wanted.on or wanted.effort else []


def nearest(effort: str | None, efforts: tuple[str, ...]) -> str | None:
    """The vendor's word for an effort: the same, else the next stronger, else its strongest."""
    if effort is None:
        return None
    known = [each for each in efforts if each in EFFORTS]
    rank = EFFORTS.index(effort)
    return next((each for each in known if EFFORTS.index(each) >= rank), known[-1] if known else None)


def _nothing(_wanted: Asked, _quirks: Quirks) -> dict[str, Any]:
    return {}


def _reasoning_effort(wanted: Asked, quirks: Quirks) -> dict[str, Any]:
    word = nearest(wanted.strength, quirks.efforts)
    if wanted.on is False and quirks.efforts:
        word = "none" if "none" in quirks.efforts else quirks.efforts[0]
    elif wanted.on and word is None and len(quirks.efforts) == 2 and quirks.efforts[0] == "none":
        word = quirks.efforts[-1]  # no measure but a switch, and off unless it is said
    return {} if word is None else {"reasoning_effort": word}


def _thinking(wanted: Asked, quirks: Quirks) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if wanted.on is not None:
        found["thinking"] = {"type": quirks.thinking_on if wanted.on else "disabled"}
    if wanted.on:
        found["thinking"] |= _KEPT[quirks.keep_thinking]
    word = nearest(wanted.strength, quirks.efforts)
    if wanted.on is not False and word is not None:
        found["reasoning_effort"] = word
    return found


def _reasoning(wanted: Asked, quirks: Quirks) -> dict[str, Any]:
    word = nearest(wanted.strength, quirks.efforts)
    if wanted.on is False:
        return {"reasoning": {"enabled": False}}
    if word is not None:
        return {"reasoning": {"effort": word}}
    return {"reasoning": {"enabled": True}} if wanted.on else {}


def _google(wanted: Asked, _quirks: Quirks) -> dict[str, Any]:
    config: dict[str, Any] = {}
    if wanted.on is False:
        config = {"include_thoughts": False, "thinking_budget": _GOOGLE_LEAST}
    elif wanted.on or wanted.effort is not None:
        config = {"include_thoughts": True}
        if wanted.effort is not None:
            config["thinking_budget"] = _GOOGLE_BUDGETS.get(wanted.effort, _GOOGLE_MOST)
        elif wanted.budget is not None:
            config["thinking_budget"] = min(max(wanted.budget, _GOOGLE_LEAST), _GOOGLE_MOST)
    return {"extra_body": {"google": {"thinking_config": config}}} if config else {}


_WORDS: Mapping[Ask, Callable[[Asked, Quirks], dict[str, Any]]] = {
    "none": _nothing,
    "reasoning_effort": _reasoning_effort,
    "thinking": _thinking,
    "reasoning": _reasoning,
    "google": _google,
}
