"""What a backend sends when it doesn't answer, whole, as the client gets it.

From Anthropic itself every envelope passes as it is: the client's recovery matches its words. From other servers
of Anthropic's format those pass whose words and status the client understands. Everything else (another
envelope, a page of some proxy, a redirect) becomes Anthropic's envelope around the backend's own words; which
refusal is which `ccrouter.translate.refusal` knows.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from ccrouter.errors import ApiError
from ccrouter.providers.provider import Target
from ccrouter.translate.refusal import Rejection, advice, classify, scrub
from ccrouter.wire import envelope, json_text
from ccrouter.wire import headers as http
from ccrouter.wire.headers import Headers
from ccrouter.wire.messages import MessagesRequest

#: How much of a web page is told, in characters.
_PAGE_WORDS = 300

#: What a whole reply has that is an answer, or a count, whatever else it says.
_REPLY_FIELDS = frozenset({"content", "choices", "output", "input_tokens", "data"})


def is_refusal(status: int, headers: Headers, body: bytes = b"") -> bool:
    """Whether a whole reply is not what was asked for: no success, a web page, or a success that is an error."""
    return not 200 <= status < 300 or _is_page(headers) or _is_error(body)


def reword(
    request: MessagesRequest, target: Target, status: int, headers: Headers, body: bytes
) -> ApiError | None:
    """The refusal of a request in the client's envelope; None when it may pass as it is."""
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
            advice(headers),
        )
    words = scrub(envelope.shown(envelope.message_in(body)))
    if status < 400 and _is_page(headers):
        said = f"{name}: the backend answered with a web page: {words[:_PAGE_WORDS] or '(empty)'}"
        return ApiError(502, "api_error", said, advice(headers))
    if _is_page(headers):
        words = words[:_PAGE_WORDS]
    value = json_text.loads_or_none(body, nan="null")
    rejection = Rejection(status=status, message=words, body=value, headers=headers)
    told = classify(request, target, rejection)
    if enveloped and _understood(told, status, headers, body):
        return None
    return ApiError(told.status, told.kind, _cut(told.message), told.headers)


def reword_event(request: MessagesRequest, target: Target, payload: bytes) -> tuple[ApiError, bool]:
    """What an error inside a stream in the client's own format tells, and whether it may pass as it is."""
    value = json_text.loads_or_none(payload, nan="null")
    words = scrub(envelope.message_in(payload))
    told = classify(request, target, Rejection(status=200, message=words, body=value))
    if not envelope.is_envelope(payload):
        return told, False
    # The type is the client's own where it leads to the status that it tells.
    same = told.status == envelope.status_of(value["error"]["type"]) or told.status >= 500
    return told, same and _repeats(told, payload)


def original(body: bytes) -> str:
    """A refusal as it came, for the log: without credentials, cut."""
    return _cut(scrub(body[: envelope.MAX_READ].decode("utf-8", "replace")))


def _cut(text: str) -> str:
    return text[: envelope.MAX_MESSAGE]


def _understood(told: ApiError, status: int, headers: Headers, body: bytes) -> bool:
    """Whether the client acts on an envelope of another server's as it would on ours."""
    if told.status != status and min(told.status, status) < 500:
        return False
    ours = dict(told.headers).get("x-should-retry")
    if ours is not None and http.get_text(headers, b"x-should-retry") != ours:
        return False
    return _repeats(told, body)


def _repeats(told: ApiError, body: bytes) -> bool:
    """Whether the client may read the backend's own words: no credential, not too long, no overflow of another.

    And whether it would: there are words for which it shows others.
    """
    words = envelope.message_in(body)
    if scrub(words) != words or envelope.shown(words) != words or len(words) > envelope.MAX_MESSAGE:
        return False
    return told.status != 400 or told.message in words or told.message.endswith(words)


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
    value = json_text.loads_or_none(body, nan="null")
    return envelope.is_error(value) and not (isinstance(value, dict) and _REPLY_FIELDS & value.keys())


def _is_page(headers: Headers) -> bool:
    return (http.get(headers, b"content-type") or b"").strip().lower().startswith(b"text/html")
