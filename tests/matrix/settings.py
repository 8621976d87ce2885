"""What is asked for beside the conversation: limits, stops, thinking, forms of an answer, caches."""

from __future__ import annotations

from typing import Any

from tests.matrix.backends import Say
from tests.matrix.content import text, user
from tests.matrix.lab import MODEL, Exchange, Lab
from tests.matrix.outcomes import (
    BY_ROUTER,
    CLAMPED,
    IN_WORDS,
    JSON_ONLY,
    LEAST,
    LEFT_OUT,
    SUPPORTED,
    SWITCHED,
    UNSAID,
    right,
    wrong,
)

ADAPTIVE = {"type": "adaptive"}
SCHEMA = {
    "type": "object",
    "properties": {"title": {"type": "string"}},
    "required": ["title"],
    "additionalProperties": False,
}


def _members(found: Exchange) -> dict[str, Any]:
    """What the backend was asked for, wherever it stands."""
    return {**found.asked, **found.asked.get("options", {})}


async def _stops(lab: Lab, *stops: str) -> str:
    """The backend writes on beyond the last of the sequences, unless its own format has told it not to."""
    asked = user(text(lab.words("count to 9")))
    if lab.speaks_messages:
        found = await lab.ask(Say("one "), stop="stop_sequence", messages=[asked], stop_sequences=[*stops])
        return right(found.message["stop_reason"] == "stop_sequence", found.message)
    last = stops[-1]
    found = await lab.ask(Say(f"one {last} two"), messages=[asked], stop_sequences=[*stops])
    end = found.message["stop_reason"], found.message["stop_sequence"]
    if (found.text, *end) != ("one ", "stop_sequence", last):
        return wrong((found.text, *end))
    if _members(found).get("stop") == [*stops]:
        return SUPPORTED
    return BY_ROUTER if found.noted("stop_sequences") else wrong("nobody says who cuts")


async def stop_sequence(lab: Lab) -> str:
    return await _stops(lab, "5")


async def five_stop_sequences(lab: Lab) -> str:
    return await _stops(lab, "A", "B", "C", "D", "5")


def _limit(found: Exchange) -> str:
    names = ("max_tokens", "max_completion_tokens", "max_output_tokens", "num_predict")
    asked = [value for name, value in _members(found).items() if name in names]
    match asked:
        case []:
            return LEFT_OUT if found.noted("max_tokens") else UNSAID
        case [128_000]:
            return SUPPORTED
        case [int(less)] if less < 128_000 and found.noted("max_tokens"):
            return CLAMPED
    return wrong(asked)


async def max_tokens(lab: Lab) -> str:
    return _limit(await lab.ask(max_tokens=128_000))


async def max_tokens_beyond_the_models_own(lab: Lab) -> str:
    return _limit(await lab.ask(max_tokens=128_000, facts={"max_output": 8_192}))


async def ended_by_max_tokens(lab: Lab) -> str:
    word = {"chat": "length", "ollama": "length", "responses": "max_output_tokens"}.get(lab.wire, "max_tokens")
    found = await lab.ask(Say("one two"), stop=word, max_tokens=1, messages=[user(text(lab.words("count to 9")))])
    return right(found.message["stop_reason"] == "max_tokens", found.message)


def _difference(one: Exchange, other: Exchange) -> dict[str, Any]:
    """The members of the second request that are not those of the first."""
    return {name: value for name, value in other.asked.items() if one.asked.get(name) != value}


async def _asked_of(lab: Lab, without: dict[str, Any], wanted: dict[str, Any], *telling: str) -> str:
    """How a wish reaches the backend; ``telling`` are the words or numbers that fit it."""
    plain, found = await lab.ask(**without), await lab.ask(**wanted)
    more = _difference(plain, found)
    if not more:
        return LEFT_OUT if found.noted("thinking") else UNSAID
    if not telling or any(each in str(more) for each in telling):
        return SUPPORTED
    return SWITCHED if more.get("thinking") else wrong(more)


async def effort_high(lab: Lab) -> str:
    return await _asked_of(lab, {}, {"thinking": ADAPTIVE, "output_config": {"effort": "high"}}, "high", "24576")


async def thinking_adaptive(lab: Lab) -> str:
    return await _asked_of(lab, {}, {"thinking": ADAPTIVE})


async def thinking_with_a_budget(lab: Lab) -> str:
    budget = {"type": "enabled", "budget_tokens": 31_999}
    return await _asked_of(lab, {}, {"thinking": budget}, "high", "24576", "31999")


async def thinking_disabled(lab: Lab) -> str:
    plain, found = await lab.ask(), await lab.ask(thinking={"type": "disabled"})
    more = str(_difference(plain, found))
    if more == "{}":
        return LEFT_OUT if found.noted("thinking") else UNSAID
    if any(each in more for each in ("'none'", "disabled", "False")) and "thinking_budget" not in more:
        return SUPPORTED
    return LEAST if any(each in more for each in ("'minimal'", "'low'", "thinking_budget")) else wrong(more)


async def structured_output(lab: Lab) -> str:
    wanted = {"format": {"type": "json_schema", "schema": SCHEMA}}
    found = await lab.ask(Say('{"title":"t"}'), output_config=wanted)
    if not found.text.startswith("{"):
        return wrong(found.text)
    form = found.asked.get("response_format") or found.asked.get("text", {}).get("format") or {}
    asked = wanted in found.asked.values() or found.asked.get("format") == SCHEMA
    if asked or form.get("type") == "json_schema":
        return SUPPORTED
    in_words = "JSON schema" in found.wording and found.noted("output_config.format")
    if in_words and form.get("type") == "json_object":
        return JSON_ONLY
    return IN_WORDS if in_words else wrong(form)


async def temperature(lab: Lab) -> str:
    found = await lab.ask(temperature=0.5)
    if _members(found).get("temperature") == 0.5:
        return SUPPORTED
    return LEFT_OUT if found.noted("temperature") else UNSAID


async def session_as_cache_key(lab: Lab) -> str:
    """One key for all of an agent's requests, another for another agent's."""
    session = {"user_id": "user_1_session_2"}
    agent = [(b"x-claude-code-agent-id", b"agent-2")]
    first, second = await lab.ask(metadata=session), await lab.ask(metadata=session, max_tokens=7)
    third = await lab.ask(metadata=session, headers=agent)
    if first.asked.get("metadata") == session:
        return SUPPORTED
    headers = lab.preset.quirks.session_headers
    keys = [(x.asked.get("prompt_cache_key"), *map(x.sent_headers.get, headers)) for x in (first, second, third)]
    if keys[0][0] is None:
        return UNSAID
    return right(keys[0] == keys[1] and not {*keys[0]} & {*keys[2]}, keys)


async def cache_marks(lab: Lab) -> str:
    """By a model that takes them, where the preset knows of any."""
    mark = {"cache_control": {"type": "ephemeral"}}
    model = lab.preset.quirks.marked_models[0].removesuffix("+") or MODEL
    found = await lab.ask(
        model=f"{lab.column.name}:{model}",
        system=[{**text("be brief"), **mark}],
        messages=[user({**text("hi"), **mark})],
    )
    marked = "cache_control" in found.wording or "prompt_cache_breakpoint" in found.wording
    return SUPPORTED if marked else LEFT_OUT if found.noted("cache") else UNSAID


async def safeguards(lab: Lab) -> str:
    wanted = {"type": "auto"}
    found = await lab.ask(safeguards=wanted)
    return right(found.asked.get("safeguards") == wanted, found.asked)
