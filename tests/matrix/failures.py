"""What backends say instead of an answer, in the words of each, and what the client hears.

Wordings and envelopes as recorded in tests/translate/test_overflow.py and tests/translate/test_refusal.py.
"""

from __future__ import annotations

import json
import re
from typing import Any

from ccrouter.wire import events
from tests.matrix import backends
from tests.matrix.backends import Say, broken, refusal
from tests.matrix.content import text, user
from tests.matrix.lab import Exchange, Lab
from tests.matrix.outcomes import BARE, BY_ROUTER, NEVER, SUPPORTED, right, wrong
from tests.rig import JSON, Script, Sleep
from tests.translate import responses_wire as responses

#: The model's window in the overflows, and what the prompt of one comes to; what the backends count, where they do.
WINDOW, COUNTED = 2000, 2600
LONG_PROMPT = "word " * 3000


def envelope(lab: Lab, kind: str, message: str, **more: Any) -> dict[str, Any]:
    """A refusal's body. ``more``: OpenAI's ``code``, and what other vendors have there."""
    if lab.wire == "messages":
        return events.error(kind, message)
    if lab.wire == "ollama":
        return {"error": message}
    return {"error": {"message": message, "type": kind, "param": None, "code": None, **more}}


def told(found: Exchange, status: int, kind: str, *words: str, **headers: str) -> str:
    """Whether the client hears what it should."""
    said = found.error.get("message", "")
    heard = (
        found.status,
        found.error.get("type"),
        {name: found.headers.get(name.replace("_", "-")) for name in headers},
    )
    fits = heard == (status, kind, headers) and all(word in said for word in words)
    return right(fits, f"{heard}: {said}")


async def _refused(lab: Lab, script: Script, prompt: str, **fields: Any) -> Exchange:
    """``prompt`` makes the demo model say the same."""
    said = user(text(lab.words(prompt)))
    return await lab.ask(script=script, fails=True, messages=[said], **fields)


async def count_of_tokens(lab: Lab) -> str:
    script = Script(headers=list(JSON), body=[b'{"input_tokens": 7}'])
    found = await lab.ask(script=script, count=True)
    counted = json.loads(found.body)["input_tokens"]
    if found.headers.get("x-ccrouter-estimate"):
        return BY_ROUTER if counted > 0 else wrong(counted)
    return right(counted == 7, counted)


async def credential_refused(lab: Lab) -> str:
    script = refusal(401, envelope(lab, "authentication_error", "invalid api key", code="invalid_api_key"))
    found = await _refused(lab, script, "fail 401")
    if lab.is_native:
        return told(found, 401, "authentication_error")
    where = "KEY" if lab.preset.key_env or lab.preset.auth == "codex" else "api_key"
    return told(found, 401, "authentication_error", lab.column.name, where, x_should_retry="false")


async def unknown_model(lab: Lab) -> str:
    words = "The model `model-1` does not exist or you do not have access to it."
    script = refusal(404, envelope(lab, "not_found_error", words, code="model_not_found"))
    return told(await _refused(lab, script, "fail 404"), 404, "not_found_error")


async def rate_limited(lab: Lab) -> str:
    script = refusal(429, envelope(lab, "rate_limit_error", "Slow down"), (b"retry-after", b"7"))
    wait = "1" if lab.wire == "demo" else "7"  # the router sits out a second by itself, once
    return told(await _refused(lab, script, "fail 429"), 429, "rate_limit_error", retry_after=wait)


async def quota_used_up(lab: Lab) -> str:
    """Told as a limit that no second try helps against; Anthropic has a status of its own for it."""
    if lab.wire in {"messages", "ollama"}:
        script = refusal(402, envelope(lab, "billing_error", "Your credit balance is too low"))
    elif lab.preset.auth == "codex":
        body = {"error": {"type": "usage_limit_reached", "message": "used up", "resets_in_seconds": 3600}}
        script = refusal(429, body)
    else:
        script = refusal(
            429, envelope(lab, "insufficient_quota", "You exceeded your quota", code="insufficient_quota")
        )
    found = await _refused(lab, script, "fail 402")
    if lab.is_native:
        return told(found, 402, "billing_error")
    reset = {"retry_after": "3600"} if lab.preset.auth == "codex" else {}
    return told(found, 429, "rate_limit_error", x_should_retry="false", **reset)


async def overloaded(lab: Lab) -> str:
    if lab.wire == "messages":
        script = refusal(529, envelope(lab, "overloaded_error", "Overloaded"))
    else:
        script = refusal(503, envelope(lab, "server_error", "Overloaded, try again", code="server_is_overloaded"))
    return told(await _refused(lab, script, "fail overloaded"), 529, "overloaded_error")


async def prompt_too_long(lab: Lab) -> str:
    status, body = _overflow(lab)
    prompt = LONG_PROMPT if lab.wire != "demo" else "fail overflow"
    messages = [user(text(prompt))]
    found = await lab.ask(script=refusal(status, body), fails=True, facts={"window": WINDOW}, messages=messages)
    if lab.preset.overflow == "truncates" and found.sent is not None:
        return wrong("it was sent to a backend that cuts it in silence")
    if (how := told(found, 400, "invalid_request_error", "prompt is too long")) != SUPPORTED:
        return how
    said = found.error["message"]
    if said == "prompt is too long":
        return BARE
    numbers = re.fullmatch(r"prompt is too long: (\d+) tokens > (\d+) maximum", said)
    return right(numbers and int(numbers[1]) >= int(numbers[2]), said)


def _overflow(lab: Lab) -> tuple[int, Any]:
    """Each backend's own words for it, with its numbers where it gives any."""
    n, m = COUNTED, WINDOW
    vllm = f"This model's maximum context length is {m} tokens. However, your prompt contains at least {n} input tokens"
    llamacpp = {
        "code": 400,
        "message": f"request ({n} tokens) exceeds the available context size ({m} tokens), try increasing it",
        "type": "exceed_context_size_error",
        "n_prompt_tokens": n,
        "n_ctx": m,
    }
    lmstudio = "The number of tokens to keep from the initial prompt is greater than the context length."
    gemini = f"The input token count ({n}) exceeds the maximum number of tokens allowed ({m})."
    openrouter = f"This endpoint's maximum context length is {m} tokens. However, you requested about {n} tokens."
    book = f"This model's maximum context length is {m} tokens. However, your messages resulted in {n} tokens."
    match lab.column.name, lab.wire:
        case "vllm", _:
            return 400, envelope(lab, "BadRequestError", vllm, code=400)
        case "llamacpp", _:
            return 400, {"error": llamacpp}
        case "lmstudio", _:
            return 500, {"error": lmstudio}
        case "gemini", _:
            return 400, [{"error": {"code": 400, "message": gemini, "status": "INVALID_ARGUMENT"}}]
        case "openrouter", "chat":
            return 400, {"error": {"code": 400, "message": openrouter}}
        case "mistral", _:
            words = f"Prompt contains {n} tokens and 0 draft tokens, too large for model with {m} maximum context length"
            return 400, {"object": "error", "message": words, "type": "invalid_request_prompt", "code": None}
        case "cerebras", _:
            return 400, envelope(lab, "invalid_request_error", f"Current length is {n} while limit is {m}")
        case "xai", _:
            words = f"This model's maximum prompt length is {m} but the request contains {n} tokens."
            return 400, {"code": "invalid-argument", "error": words}
        case "litellm", "chat" | "responses":
            words = f"litellm.ContextWindowExceededError: {book}"
            return 400, envelope(lab, "invalid_request_error", words, code="400")
        case _, "chat":
            return 400, envelope(lab, "invalid_request_error", book, code="context_length_exceeded")
        case _, "responses":
            words = "Your input exceeds the context window of this model."
            return 400, envelope(lab, "invalid_request_error", words, code="context_length_exceeded")
        case _, "ollama":
            return 400, envelope(lab, "invalid_request_error", "the input length exceeds the context length")
    return 400, envelope(lab, "invalid_request_error", f"prompt is too long: {n} tokens > {m} maximum")


async def output_too_long(lab: Lab) -> str:
    if lab.wire == "demo":
        return NEVER
    n, m = 700, WINDOW
    words = (
        f"This model's maximum context length is {m} tokens. However, you requested {n + m} tokens "
        f"({n} in the messages, {m} in the completion). Please reduce the length of the messages or completion."
    )
    if lab.wire == "messages":
        words = f"input length and `max_tokens` exceed context limit: {n} + {m} > {m}, decrease input length or `max_tokens` and try again"
    if lab.column.name == "vllm":
        words = (
            f"This model's maximum context length is {m} tokens. However, you requested {m} output tokens and "
            f"your prompt contains at least {n} input tokens, for a total of at least {n + m} tokens."
        )
    script = refusal(400, envelope(lab, "invalid_request_error", words))
    found = await _refused(lab, script, "", max_tokens=WINDOW)
    wanted = f"input length and `max_tokens` exceed context limit: {n} + {m} > {m}"
    return told(found, 400, "invalid_request_error", wanted)


async def server_error(lab: Lab) -> str:
    script = refusal(500, envelope(lab, "api_error", "Internal server error"))
    found = await _refused(lab, script, "fail 500")
    return told(found, found.status if found.status in {500, 502} else 502, "api_error")


async def cut_before_the_first_event(lab: Lab) -> str:
    found = await _refused(lab, broken(lab.wire), "fail cut 0")
    return told(found, 502, "api_error", lab.column.name)


def _begun(lab: Lab) -> list[bytes]:
    """The frames of a reply up to the middle of its text."""
    if lab.wire == "chat":
        return backends.chat(lab.preset, [Say("hello there")])[:2]
    if lab.wire == "responses":
        said = backends.of_responses([Say("hello there")])
        middle = next(place for place, event in enumerate(said) if event["type"].endswith("delta"))
        return [responses.encode(said[: middle + 1])]
    if lab.wire == "ollama":
        return backends.of_ollama([Say("hello there")])[:1]
    return [events.encode(event) for event in backends.of_messages([Say("hello there")])[:3]]


def _is_broken(found: Exchange, kind: str) -> str:
    """Whether a stream that had begun ended with an error of that type, and with nothing like an end."""
    kinds = [event["type"] for event in found.events]
    begun = kinds[0] == "message_start" and "content_block_delta" in kinds
    ended = kinds[-1] == "error" and "message_stop" not in kinds
    return right(begun and ended and found.error["type"] == kind, (kinds, found.error))


async def cut_in_mid_stream(lab: Lab) -> str:
    return _is_broken(await _refused(lab, broken(lab.wire, *_begun(lab)), "fail cut"), "api_error")


def _error_frame(lab: Lab) -> bytes:
    if lab.wire == "chat":
        return backends.chunk({"error": {"message": "Overloaded", "code": 529}})
    if lab.wire == "responses":
        error = {"code": "server_is_overloaded", "message": "Overloaded"}
        failed: bytes = responses.encode(responses.ended(status="failed", error=error))
        return failed
    if lab.wire == "ollama":
        return backends.line({"error": "Overloaded"})
    return events.encode(events.error("overloaded_error", "Overloaded"))


async def error_inside_a_200(lab: Lab) -> str:
    """As the whole stream. It gets the status that it should have had, but from Anthropic."""
    found = await _refused(lab, broken(lab.wire, _error_frame(lab)), "fail error 0")
    return told(found, 200 if lab.is_native else 529, "overloaded_error")


async def error_in_mid_stream(lab: Lab) -> str:
    found = await _refused(lab, broken(lab.wire, *_begun(lab), _error_frame(lab)), "fail error")
    return _is_broken(found, "overloaded_error")


def _whole(lab: Lab, *, counts: bool) -> list[bytes]:
    """All frames of a reply that says itself that it is whole; nothing behind them."""
    if lab.wire == "chat":
        return backends.chat(lab.preset, [Say("hello there")], counts=counts)
    if lab.wire == "responses":
        return [responses.encode(backends.of_responses([Say("hello there")]))]
    if lab.wire == "ollama":
        return backends.of_ollama([Say("hello there")])
    return [events.encode(event) for event in backends.of_messages([Say("hello there")])]


async def end_without_done(lab: Lab) -> str:
    """No ``[DONE]``, and no counts behind the finish reason: only the end of the body."""
    if lab.wire != "chat":
        return NEVER
    found = await lab.ask(script=broken(lab.wire, *_whole(lab, counts=False)))
    return right(found.text == "hello there" and found.message["usage"]["input_tokens"] > 0, found.message)


async def silence_after_the_end(lab: Lab) -> str:
    """The reply is whole, but its body is not ended."""
    if lab.wire == "demo":
        return NEVER
    found = await lab.ask(script=broken(lab.wire, *_whole(lab, counts=True), Sleep(3000)))
    return right(found.text == "hello there" and found.seconds < 5, f"after {found.seconds} s: {found.message}")
