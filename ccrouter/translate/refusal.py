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

#: How much of a web page is told, in characters.
_PAGE_WORDS = 300

#: A vendor's own code where it stands only in the words: ``usage limit exceeded (2056)``, ``[1308][Usage …``.
_CODE_IN_WORDS = re.compile(r"^\[(\d{3,6})\]|\((\d{3,6})\)\s*$")

#: What a whole reply has that is an answer, or a count, whatever else it says.
_REPLY_FIELDS = frozenset({"content", "choices", "output", "input_tokens", "data"})


def is_refusal(status: int, headers: Headers, body: bytes = b"") -> bool:
    """Whether a whole reply is not what was asked for: no success, a web page, or a success that is an error."""
    return not 200 <= status < 300 or _is_page(headers) or _is_error(body)


def reword(
    target: Target, status: int, headers: Headers, body: bytes, *, count: Callable[[], int] | None = None
) -> ApiError | None:
    """A refusal in the client's envelope; None when it may pass as it is.

    ``count`` estimates the tokens of the prompt, and is asked only where an overflow needs it.
    """
    enveloped = (status >= 400 or 200 <= status < 300) and envelope.is_envelope(body)
    if enveloped and target.provider.preset.native:
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
    words = scrub(envelope.message_in(body))
    if status < 400 and _is_page(headers):
        said = f"{name}: the backend answered with a web page: {words[:_PAGE_WORDS] or '(empty)'}"
        return ApiError(502, "api_error", said, _advice(headers))
    if _is_page(headers):
        words = words[:_PAGE_WORDS]
    told = classify(target, status, words, _decoded(body), headers=headers, count=count)
    if enveloped and _understood(told, status, headers, body):
        return None
    return ApiError(told.status, told.kind, _cut(told.message), told.headers)


def reword_event(
    target: Target, payload: bytes, *, count: Callable[[], int] | None = None
) -> tuple[ApiError, bool]:
    """What an error inside a stream in the client's own format tells, and whether it may pass as it is."""
    value = _decoded(payload)
    told = classify(target, 200, scrub(envelope.message_in(payload)), value, count=count)
    if not envelope.is_envelope(payload):
        return told, False
    # The type is the client's own where it leads to the status that it tells.
    same = told.status == envelope.status_of(value["error"]["type"]) or told.status >= 500
    return told, same and _repeats(told, payload)


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
    what the backend says, ``body`` its envelope or event, decoded. It is cut by whoever takes out the credential
    that was sent, which must come first.
    """
    headers = headers or []
    named = codes(body)
    own = _own_status(target, named, message)
    status = own or _told_status(status, named, body)
    words = overflow(target, status, message, body, count, sure=own == 413)
    if words is not None:
        return ApiError(400, "invalid_request_error", words, _advice(headers))
    message = message or f"HTTP status {status} without a word"
    used_up = status == 402 or bool(named & _USED_UP) or bool(_NO_BALANCE.search(message))
    status = _true_status(status, message, named)
    seconds = retry_after(headers, body, message) if status >= 429 or used_up else None
    said = f"{target.provider.name}: {message}"
    again: bool | None = None
    if used_up:
        status, again = 429, False
        if seconds is not None:
            said += f" (it resets in {_span(seconds)})"
    elif status == 401:
        again = False
        said += f" ({_credential_of(target.provider)})"
    elif status == 404 and target.provider.models and _NO_MODEL.search(message):
        said += f" ({_models_of(target.provider)})"
    advice = _advice(headers, again=again, seconds=seconds)
    return ApiError(status, envelope.kind_of(status), scrub(said), advice)


def own_failure(target: Target, kind: str, words: str) -> ApiError:
    """What a reply came to, where the backend told no error of its own; with the status that it would have had."""
    return ApiError(envelope.status_of(kind), kind, f"{target.provider.name}: {words}"[: envelope.MAX_MESSAGE])


def overflow(
    target: Target,
    status: int,
    message: str,
    body: Any,
    count: Callable[[], int] | None = None,
    *,
    sure: bool = False,
) -> str | None:
    """The client's words, where this is an overflow of the input or of the output. ``sure``: it is one."""
    if status in _NEVER_OVERFLOW:
        return None
    found = body if isinstance(body, Mapping) else next(iter(facts(body)), {})
    if input_overflow(message, found, sure=sure) is None and output_overflow(message, found) is None:
        return None
    window = target.known.room
    tokens = None if count is None else count()
    told = input_overflow(message, found, count=tokens, window=window, sure=sure)
    # With the numbers of the caller one may have become the other.
    return told or output_overflow(message, found, count=tokens, window=window)


def scrub(text: str) -> str:
    """``text`` without what looks like a credential."""
    return _CREDENTIAL.sub("[redacted]", text)


def original(body: bytes) -> str:
    """A refusal as it came, for the log: without credentials, cut."""
    return _cut(scrub(body[: envelope.MAX_READ].decode("utf-8", "replace")))


def _cut(text: str) -> str:
    return text[: envelope.MAX_MESSAGE]


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
    for held in facts(body):
        for key in ("status", "status_code", "code"):
            value = held.get(key)
            if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) == 3:
                value = int(value)
            if type(value) is int and 400 <= value < 600:
                return value
    named = codes(body)
    return next((status for code, status in _STATUSES.items() if code in named), 500)


def _understood(told: ApiError, status: int, headers: Headers, body: bytes) -> bool:
    """Whether the client acts on an envelope of another server's as it would on ours."""
    if told.status != status and min(told.status, status) < 500:
        return False
    ours = dict(told.headers).get("x-should-retry")
    if ours is not None and http.get_text(headers, b"x-should-retry") != ours:
        return False
    return _repeats(told, body)


def _repeats(told: ApiError, body: bytes) -> bool:
    """Whether the client may read the backend's own words: no credential, not too long, no overflow of another."""
    words = envelope.message_in(body)
    if scrub(words) != words or len(words) > envelope.MAX_MESSAGE:
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


def _is_error(body: bytes) -> bool:
    """Whether JSON of a success says that it is none. Some gateways have one status for everything."""
    if len(body) > envelope.MAX_READ:
        return False
    value = _decoded(body)
    return envelope.is_error(value) and not (isinstance(value, dict) and _REPLY_FIELDS & value.keys())


def _is_page(headers: Headers) -> bool:
    return (http.get(headers, b"content-type") or b"").strip().lower().startswith(b"text/html")
