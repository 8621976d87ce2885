"""What a backend says when it doesn't answer, as the client must hear it.

From Anthropic itself every envelope passes as it is: the client's recovery matches its words. From other servers
of Anthropic's format those pass whose words and status the client understands. Everything else (another
envelope, a page of some proxy, a redirect) becomes Anthropic's envelope around the backend's own words, with the
provider's name in front; `classify` is the table of which refusal is which.

A prompt that is too long is told in exactly the client's words, so that it compacts; see `overflow`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from ccrouter.errors import ApiError
from ccrouter.providers.provider import Provider, Target
from ccrouter.providers.secret import source
from ccrouter.translate.overflow import codes, facts, input_overflow, output_overflow
from ccrouter.translate.retry import retry_after
from ccrouter.wire import envelope
from ccrouter.wire import headers as http
from ccrouter.wire.headers import Headers

#: Headers of a refusal that the client acts on and that stay when the body is reworded.
_ADVICE = (b"x-should-retry", b"request-id")

#: A status of its own says more than any words about tokens in the same breath.
_NEVER_OVERFLOW = frozenset({401, 402, 403, 404, 429})

#: Codes of a plan or a balance that is used up: no second try helps before its reset.
_USED_UP = frozenset(
    {
        "insufficient_quota",
        "billing_hard_limit_reached",
        "usage_limit_reached",  # Codex
        "usage_not_included",
        "exceeded_current_quota_error",  # Moonshot
        "1113",  # GLM
    }
)

_OVERLOADED = frozenset(
    {"server_is_overloaded", "slow_down", "overloaded_error", "engine_overloaded", "engine_overloaded_error"}
)
_BUSY = re.compile(r"\bat capacity\b|overloaded|server (?:is )?busy|loading model", re.IGNORECASE)

_NO_MODEL = re.compile(
    r"\bmodel\b.{0,120}?(?:not found|not exist|not loaded|not supported when using codex)"
    r"|\bno models? (?:is |are )?(?:currently )?loaded|unknown model\b|model_not_found",
    re.IGNORECASE | re.DOTALL,
)

#: What looks like a credential. The one that was sent is taken out before; a gateway can repeat its own.
_CREDENTIAL = re.compile(
    r"(?<=bearer )[^\s\"',]{8,}|\b(?:sk|rk|gsk|xai|pplx|nvapi|csk|hf|ghp|gho)[-_][\w-]{12,}|\bAIza[\w-]{30,}"
    r"|\beyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?",
    re.IGNORECASE,
)

#: How many models of a provider are named to a client that asked for none of them.
_NAMED_MODELS = 8

#: How much of a web page is told, in characters.
_PAGE_WORDS = 300


def is_refusal(status: int, headers: Headers) -> bool:
    """Whether a whole reply is not what was asked for: no success, or a web page."""
    return not 200 <= status < 300 or _is_page(headers)


def reword(
    target: Target, status: int, headers: Headers, body: bytes, *, count: Callable[[], int] | None = None
) -> ApiError | None:
    """A refusal in the client's envelope; None when it may pass as it is.

    ``count`` estimates the tokens of the prompt, and is asked only where an overflow needs it.
    """
    native = target.provider.preset.first_party or target.provider.preset.transport == "demo"
    enveloped = status >= 400 and envelope.is_envelope(body)
    if enveloped and native:
        return None
    name = target.provider.name
    if 300 <= status < 400:
        place = _host(http.get_text(headers, b"location") or "")
        whither = f" to {place}" if place else ""
        return ApiError(
            502,
            "api_error",
            f"{name}: the backend redirects{whither}, which is not followed; "
            "set the provider's base_url to where it should go",
            _advice(headers),
        )
    words = envelope.message_in(body)
    if status < 400:
        said = f"{name}: the backend answered with a web page: {words[:_PAGE_WORDS] or '(empty)'}"
        return ApiError(502, "api_error", scrub(said), _advice(headers))
    if _is_page(headers):
        words = words[:_PAGE_WORDS]
    told = classify(target, status, words, _decoded(body), headers=headers, count=count)
    if enveloped and _understood(told, status, headers, words):
        return None
    return told


def classify(
    target: Target,
    status: int,
    message: str,
    body: Any,
    *,
    headers: Headers | None = None,
    count: Callable[[], int] | None = None,
) -> ApiError:
    """What the client is told of a refusal.

    ``status`` is 200 for one inside a stream: then a status in the body decides, or the code alone. ``message`` is
    what the backend says, ``body`` its envelope or event, decoded.
    """
    headers = headers or []
    if status < 400:
        status = _status_in(body)
    words = overflow(target, status, message, body, count)
    if words is not None:
        return ApiError(400, "invalid_request_error", words, _advice(headers))
    message = message or f"HTTP status {status} without a word"
    status = _true_status(status, message, codes(body))
    seconds = retry_after(headers, body, message) if status >= 429 or _used_up(status, body) else None
    said = f"{target.provider.name}: {message}"
    again: bool | None = None
    if _used_up(status, body):
        status, again = 429, False
        if seconds is not None:
            said += f" (it resets in {_span(seconds)})"
    elif status == 401:
        again = False
        said += f" ({_credential_of(target.provider)})"
    elif status == 404 and target.provider.models and _NO_MODEL.search(message):
        said += f" ({_models_of(target.provider)})"
    advice = _advice(headers, again=again, seconds=seconds)
    return ApiError(status, envelope.kind_of(status), scrub(said)[: envelope.MAX_MESSAGE], advice)


def overflow(
    target: Target, status: int, message: str, body: Any, count: Callable[[], int] | None = None
) -> str | None:
    """The client's words, where this is an overflow of the input or of the output."""
    if status in _NEVER_OVERFLOW:
        return None
    found = body if isinstance(body, Mapping) else next(iter(facts(body)), {})
    if input_overflow(message, found) is None and output_overflow(message, found) is None:
        return None
    known = next((model for model in target.provider.models if model.id == target.model), None)
    window = None if known is None else known.window
    tokens = None if count is None else count()
    told = input_overflow(message, found, count=tokens, window=window)
    # With the numbers of the caller one may have become the other.
    return told or output_overflow(message, found, count=tokens, window=window)


def scrub(text: str) -> str:
    """``text`` without what looks like a credential."""
    return _CREDENTIAL.sub("[redacted]", text)


def original(body: bytes) -> str:
    """A refusal as it came, for the log: without credentials, cut."""
    return scrub(body[: 2 * envelope.MAX_MESSAGE].decode("utf-8", "replace"))[: envelope.MAX_MESSAGE]


def _true_status(status: int, message: str, named: frozenset[str]) -> int:
    """The status that a refusal should have had."""
    if "model_not_found" in named or (status in {400, 404, 500} and _NO_MODEL.search(message)):
        return 404
    if named & _OVERLOADED or status == 529 or (status in {429, 500, 503} and _BUSY.search(message)):
        return 529
    match status:
        case 408:
            return 504
        case 422:
            return 400
        case 504:
            return 504
        case _ if status >= 500:
            return 502
        case _:
            return status


def _used_up(status: int, body: Any) -> bool:
    return status == 402 or bool(codes(body) & _USED_UP)


#: Code or type inside a stream -> the status that it would have had before one.
_STATUSES = {
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "invalid_api_key": 401,
    "token_expired": 401,
    "authentication_error": 401,
    "permission_error": 403,
    "not_found_error": 404,
    "invalid_request_error": 400,
    "invalid_prompt": 400,
    "content_filter": 400,
    "cyber_policy": 400,
    "bio_policy": 400,
    "misalignment_policy_violation": 400,
    "timeout_error": 504,
}


def _status_in(body: Any) -> int:
    for held in facts(body):
        for key in ("status", "status_code", "code"):
            value = held.get(key)
            if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) == 3:
                value = int(value)
            if type(value) is int and 400 <= value < 600:
                return value
    named = codes(body)
    return next((status for code, status in _STATUSES.items() if code in named), 500)


def _understood(told: ApiError, status: int, headers: Headers, words: str) -> bool:
    """Whether the client acts on an envelope of another server's as it would on ours."""
    if scrub(words) != words or (told.status != status and min(told.status, status) < 500):
        return False
    ours = dict(told.headers).get("x-should-retry")
    if ours is not None and http.get_text(headers, b"x-should-retry") != ours:
        return False
    return told.status != 400 or told.message in words or told.message.endswith(words)


def _advice(
    headers: Headers, *, again: bool | None = None, seconds: int | None = None
) -> tuple[tuple[str, str], ...]:
    given = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers if name in _ADVICE}
    if again is not None:
        given["x-should-retry"] = str(again).lower()
    if seconds is not None:
        given["retry-after"] = str(seconds)
    return tuple(given.items())


def _credential_of(provider: Provider) -> str:
    """Where the credential comes from that was refused."""
    preset = provider.preset
    if provider.api_key is not None:
        place = source(provider.api_key)
    elif preset.auth == "client":
        return "the Claude login or key was refused: run `claude /login`"
    elif preset.auth == "codex":
        return "the Codex login was refused: run `codex login`"
    elif provider.headers:
        place = f"the headers of [providers.{provider.name}]"
    elif preset.key_env:
        place = f"the environment variable {' or '.join(preset.key_env)}"
    else:
        return f"no credential was sent: set api_key in [providers.{provider.name}]"
    return f"the credential comes from {place}"


def _models_of(provider: Provider) -> str:
    named = ", ".join(model.id for model in provider.models[:_NAMED_MODELS])
    more = len(provider.models) - _NAMED_MODELS
    return f"there are: {named}" + (f" and {more} more" if more > 0 else "")


def _span(seconds: int) -> str:
    """A time to wait, for people."""
    if seconds < 120:
        return f"{seconds} s"
    minutes = -(-seconds // 60)
    if minutes < 120:
        return f"{minutes} min"
    hours = -(-minutes // 60)
    return f"{hours} h" if hours < 48 else f"{-(-hours // 24)} days"


def _decoded(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _host(location: str) -> str:
    """Host and port of an address; not what stands before an ``@``, which can be a password."""
    try:
        return urlsplit(location).netloc.rpartition("@")[2]
    except ValueError:  # such as half an IPv6 address
        return ""


def _is_page(headers: Headers) -> bool:
    return (http.get(headers, b"content-type") or b"").strip().lower().startswith(b"text/html")
