"""What a backend says when it doesn't answer, as the client must hear it.

A well-formed error envelope of Anthropic's passes as it is: the client's recovery matches its words. Anything
else (another envelope, a page of some proxy, a redirect) gets the envelope around its own words, naming the
provider.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from ccrouter.errors import ApiError
from ccrouter.wire import envelope
from ccrouter.wire import headers as http
from ccrouter.wire.headers import Headers

#: Headers of a refusal that the client acts on and that stay when the body is reworded.
_ADVICE = (b"retry-after", b"x-should-retry", b"request-id")


def is_refusal(status: int, headers: Headers) -> bool:
    """Whether a whole reply is not what was asked for: no success, or a web page."""
    return not 200 <= status < 300 or _is_page(headers)


def reword(provider: str, status: int, headers: Headers, body: bytes) -> ApiError | None:
    """A refusal in the client's envelope; None when it may pass as it is."""
    if status >= 400 and envelope.is_envelope(body):
        return None
    advice = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in headers if name in _ADVICE)
    if 300 <= status < 400:
        place = _host(http.get_text(headers, b"location") or "")
        whither = f" to {place}" if place else ""
        return ApiError(
            502,
            "api_error",
            f"{provider}: the backend redirects{whither}, which is not followed; "
            "set the provider's base_url to where it should go",
            advice,
        )
    words = envelope.message_in(body) or f"HTTP status {status} without a word"
    if status < 400:
        return ApiError(502, "api_error", f"{provider}: the backend answered with a web page: {words}", advice)
    return ApiError(status, envelope.kind_of(status), f"{provider}: {words}", advice)


def _host(location: str) -> str:
    """Host and port of an address; not what stands before an ``@``, which can be a password."""
    try:
        return urlsplit(location).netloc.rpartition("@")[2]
    except ValueError:  # such as half an IPv6 address
        return ""


def _is_page(headers: Headers) -> bool:
    return (http.get(headers, b"content-type") or b"").strip().lower().startswith(b"text/html")
