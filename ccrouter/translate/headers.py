"""Headers on their way: what of the client's goes on, what a credential needs beside it, what comes back.

Of the client's, those of the connection, of the router and every credential stay behind; the target's own
credential is added by the caller. A header in which the key to some gateway may stand goes where the client's
login goes, and nowhere else. ``accept-encoding`` becomes ``identity``, since the router must be able to look
into a reply and to add a ping or an error to a stream. Who is spoken to by a bridge gets next to nothing of the
client's (`ccrouter.translate.foreign`).
"""

from __future__ import annotations

from ccrouter.providers.provider import Preset, Provider
from ccrouter.wire import headers as http
from ccrouter.wire.headers import Headers

#: The beta that comes with a Claude login; it goes where the login goes and nowhere else. Without it Anthropic
#: refuses the login's bearer.
OAUTH_BETA = "oauth-2025-04-20"

#: Headers of the client that are never copied: they speak of its connection to the router, or open doors.
_KEPT_BACK = (
    frozenset({b"host", b"content-length", b"expect", b"accept-encoding", http.PROJECT}) | http.CREDENTIALS
)

#: Why a header of the client's stays behind, for the log.
_NOT_YOURS = "left out, it may be a key of another's; if it is for this one, set it in `headers` of [providers.{}]"

#: Headers of a reply that speak of the user's plan at Anthropic; anybody else's would be shown as that.
_PLAN = b"anthropic-ratelimit-"


def forwarded(headers: Headers, provider: Provider) -> tuple[Headers, list[str]]:
    """What of the client's headers goes on to a backend in its own format; in words what of them does not."""
    # The client's login doesn't go where the user gave another credential for the provider.
    keeps_login = provider.preset.auth == "client" and not provider.has_own_key
    own = {name.lower() for name, _ in provider.headers}
    kept: Headers = []
    changes: list[str] = []
    for name, value in http.end_to_end(headers):
        if name in _KEPT_BACK:
            continue
        spelled = name.decode("latin-1")
        if not keeps_login and http.is_credential(spelled, value.decode("latin-1")):
            if spelled not in own:
                changes.append(f"header {spelled[:64]}: {_NOT_YOURS.format(provider.name)}")
            continue
        if name == b"anthropic-beta" and not keeps_login:
            remaining = _without_beta(value, OAUTH_BETA)
            if not remaining:
                continue
            kept.append((name, remaining))
        else:
            kept.append((name, value))
    kept.append((b"accept-encoding", b"identity"))
    return kept, changes


def _without_beta(value: bytes, beta: str) -> bytes:
    if beta.encode() not in value:
        return value
    return b",".join(each for each in value.split(b",") if each.strip() != beta.encode()).strip()


def with_betas(headers: Headers, betas: tuple[str, ...]) -> Headers:
    """``headers`` with each of ``betas`` in ``anthropic-beta``, added where it isn't yet."""
    present = {each.strip() for name, value in headers if name == b"anthropic-beta" for each in value.split(b",")}
    missing = [beta.encode() for beta in betas if beta.encode() not in present]
    if not missing:
        return headers
    result = list(headers)
    for position, (name, value) in enumerate(result):
        if name == b"anthropic-beta":
            result[position] = (name, b",".join([value, *missing]))
            return result
    return [*result, (b"anthropic-beta", b",".join(missing))]


def reply_headers(headers: Headers, preset: Preset, *, decoded: bool) -> Headers:
    """What the client gets of a reply's headers: the end-to-end ones.

    ``decoded``: the content coding was undone, and the headers that speak of it go with it.
    """
    kept = http.without(http.end_to_end(headers), (b"content-length",))
    if decoded:
        kept = http.without(kept, (b"content-encoding", b"content-md5", b"digest", b"content-digest"))
    if not preset.first_party:
        kept = [(name, value) for name, value in kept if not name.startswith(_PLAN) and name != b"set-cookie"]
    return kept
