"""Which refusal of a backend's is which, and what the client must hear of it.

`classify` is the table: it goes by status, code and words, in whatever envelope they came, and gives Anthropic's
status and type, with the provider's name in front of the backend's own words. What becomes of a whole reply is
`ccrouter.translate.rewording`'s affair.

A prompt that is too long is told in exactly the client's words, so that it compacts (see `overflow`), and what it
can go on without in words at which it does (`healing`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

from ccrouter.errors import ApiError
from ccrouter.providers.provider import Provider, Target
from ccrouter.providers.secret import source
from ccrouter.translate import healing, retry, tokens
from ccrouter.translate.overflow import beyond_rate, codes, envelope_objects, input_overflow, output_overflow
from ccrouter.wire import envelope
from ccrouter.wire.headers import Headers
from ccrouter.wire.messages import MessagesRequest

#: Headers of a refusal that the client acts on and that stay when the body is reworded.
_ADVICE = (b"x-should-retry", b"request-id")

#: A status of its own says more than any words about tokens in the same breath.
_NEVER_OVERFLOW = frozenset({401, 402, 403, 404, 429})

#: Codes of a plan or a balance that is used up: no second try helps before its reset.
_USED_UP = frozenset(
    {
        "insufficient_quota",
        "billing_hard_limit_reached",
        "billing_error",
        "usage_limit_reached",  # Codex
        "usage_not_included",
        "exceeded_current_quota_error",  # Moonshot
    }
)
_NO_BALANCE = re.compile(r"insufficient (?:account )?balance|no resource package", re.IGNORECASE)

_OVERLOADED = frozenset(
    {"server_is_overloaded", "slow_down", "overloaded_error", "engine_overloaded", "engine_overloaded_error"}
)
_BUSY = re.compile(r"\bat capacity\b|overloaded|server (?:is )?busy|loading model", re.IGNORECASE)

#: What a 500 is no fault of the server's, and will be no other the next time: a request in another form than it
#: has, than its engine (LM Studio's "returned 400: …") or than a chat template takes (seen 2025-08 to 2026-09).
_NOT_SERVED = re.compile(
    r"\bdoes not support\b|\brequires --\w|\breturned 4(?:00|22)\b"
    r"|\bjinja exception\b|\braise_exception\b|\bsystem message must be at the beginning\b",
    re.IGNORECASE,
)

#: Codes of a refused key where the status is only 400.
_BAD_KEY = frozenset({"invalid_api_key", "api_key_invalid"})

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

#: A vendor's own code where it stands only in the words: ``usage limit exceeded (2056)``, ``[1308][Usage …``.
_CODE_IN_WORDS = re.compile(r"^\[(\d{3,6})\]|\((\d{3,6})\)\s*$")


@frozen(kw_only=True)
class Rejection:
    """What a backend sent in place of an answer.

    ``status`` is 200 for one inside a stream: then a status in the body decides, or the code alone. ``message`` is
    what the backend says; it is cut by whoever takes out the credential that was sent, which must come first.
    ``body`` is its envelope or event, decoded.
    """

    status: int
    message: str
    body: Any = field(repr=False)
    headers: Headers = field(factory=list, repr=False)


def classify(request: MessagesRequest, target: Target, rejection: Rejection) -> ApiError:
    """What the client is told of the refusal of its ``request``."""
    name, headers = target.provider.name, rejection.headers
    named = codes(rejection.body)
    own = _own_status(target, named, rejection.message)
    told = own or _told_status(rejection.status, named, rejection.body)
    words = overflow(request, target, rejection, told, sure=own == 413)
    if words is not None:
        return ApiError(400, "invalid_request_error", words, advice(headers))
    message = rejection.message or f"HTTP status {told} without a word"
    words = healing.words(request, told, named, message, name)
    if words is not None:
        return ApiError(400, "invalid_request_error", scrub(words), advice(headers))
    used_up = told == 402 or bool(named & _USED_UP) or bool(_NO_BALANCE.search(message))
    status = 429 if used_up else _true_status(told, message, named)
    seconds = retry.retry_after(headers, rejection.body, message) if status >= 429 else None
    said = f"{name}: {message}"
    again: bool | None = None
    if used_up:
        again = False
        if seconds is not None:
            said += f" (it resets in {retry.span(seconds)})"
    elif status == 401:
        again = False
        said += f" ({_credential_of(target.provider)})"
    elif status == 404 and target.provider.models and _NO_MODEL.search(message):
        said += f" ({_models_of(target.provider)})"
    given = advice(headers, again=again, seconds=seconds)
    return ApiError(status, envelope.kind_of(status), scrub(envelope.shown(said)), given)


def own_failure(target: Target, kind: str, words: str) -> ApiError:
    """What a reply came to, where the backend told no error of its own; with the status that it would have had."""
    return ApiError(envelope.status_of(kind), kind, f"{target.provider.name}: {words}"[: envelope.MAX_MESSAGE])


def overflow(
    request: MessagesRequest, target: Target, rejection: Rejection, status: int, *, sure: bool
) -> str | None:
    """The client's words, where this is an overflow of the input or of the output. ``sure``: it is one.

    The prompt is counted only then: that costs more than all the rest.
    """
    message, body = rejection.message, rejection.body
    beyond = beyond_rate(message)
    if status in _NEVER_OVERFLOW and not (status == 429 and beyond):
        return None
    found = body if isinstance(body, Mapping) else next(iter(envelope_objects(body)), {})
    if input_overflow(message, found, sure=sure) is None and output_overflow(message, found) is None:
        return None
    window = target.known.room
    count = tokens.of(request, target)
    most = request.fields.get("max_tokens")
    if beyond and isinstance(most, int):
        # Some count input and output together: then their own count is what to go by.
        count = max(count, beyond[1] - most)
    told = input_overflow(message, found, count=count, window=window, sure=sure)
    # With the numbers of the caller one may have become the other.
    return told or output_overflow(message, found, count=count, window=window)


def scrub(text: str) -> str:
    """``text`` without what looks like a credential."""
    return _CREDENTIAL.sub("[redacted]", text)


def _own_status(target: Target, named: frozenset[str], message: str) -> int | None:
    """What the vendor's own code stands for, by the table of the preset."""
    told = named.union(*_CODE_IN_WORDS.findall(message))
    return next((status for code, status in target.provider.preset.codes if code in told), None)


def _told_status(status: int, named: frozenset[str], body: Any) -> int:
    """The status that the body tells, where that of HTTP is a success or says nothing."""
    if status < 400:
        return _status_in(body)
    if status == 400 and named & _BAD_KEY:
        return 401
    if status == 500:
        return min(500, _status_in(body))
    return status


def _true_status(status: int, message: str, named: frozenset[str]) -> int:
    """The status that a refusal should have had."""
    if "model_not_found" in named or (status in {400, 404, 500} and _NO_MODEL.search(message)):
        return 404
    if status == 500 and _NOT_SERVED.search(message):
        return 400
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


#: Code or type inside a stream -> the status that it would have had before one. Google's are those of google.rpc.
_STATUSES = {
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "resource_exhausted": 429,
    "billing_error": 402,
    "invalid_api_key": 401,
    "api_key_invalid": 401,
    "token_expired": 401,
    "authentication_error": 401,
    "unauthenticated": 401,
    "permission_error": 403,
    "permission_denied": 403,
    "not_found_error": 404,
    "not_found": 404,
    "model_not_found": 404,
    "request_too_large": 413,
    "invalid_request_error": 400,
    "badrequesterror": 400,
    "invalid_argument": 400,
    "failed_precondition": 400,
    "invalid_prompt": 400,
    "content_filter": 400,
    "cyber_policy": 400,
    "bio_policy": 400,
    "misalignment_policy_violation": 400,
    "timeout_error": 504,
    "deadline_exceeded": 504,
}


def _status_in(body: Any) -> int:
    for held in envelope_objects(body):
        for key in ("status", "status_code", "code"):
            value = held.get(key)
            if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) == 3:
                value = int(value)
            if type(value) is int and 400 <= value < 600:
                return value
    named = codes(body)
    return next((status for code, status in _STATUSES.items() if code in named), 500)


def advice(
    headers: Headers, *, again: bool | None = None, seconds: int | None = None
) -> tuple[tuple[str, str], ...]:
    """What the client is to do next, in headers: what the backend says of it, and what is known better."""
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
    elif preset.log_in and not provider.key_in_headers:
        return preset.log_in
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
