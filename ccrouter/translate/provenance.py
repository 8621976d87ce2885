"""Signatures of ccrouter's own: where a reasoning block came from, and what its maker needs back.

Claude Code carries a thinking block's signature along unread, so what a backend needs in the next turn travels
in it: ``ccr1.PROVIDER.BODY.CHECK``. ``BODY`` is compact JSON ``[model, payload]``, compressed where that is
shorter, in URL-safe base64; ``CHECK`` the first 12 hex digits of the SHA-256 of all before it. It is no secret and
no proof against its holder, who is the user: the check tells a cut or garbled signature from a whole one.

Half of a surrogate pair is legal in JSON, and what a backend signs may hold one: an emoji that it split over two
deltas. It is written in the three bytes that UTF-8 has no meaning for.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
import zlib
from typing import Any

from attrs import field, frozen

from ccrouter.errors import FrameError
from ccrouter.wire import json_text

VERSION = "ccr1"

#: The member of a content block that holds our signature where its format has no place for one.
MAKER = "ccrouter"

_LONGEST = 8 * 1024 * 1024

#: How Anthropic's look that were seen, 2026-11: base64 of a message, of its base64, or of an envelope around it.
_BEGINNINGS = ("E", "R", "C")
_GENUINE = re.compile(r"[ERC][A-Za-z0-9+/]+={0,2}")
#: What certainly isn't Anthropic's: anything but base64 in either alphabet, OpenAI's (Fernet), a UUID (vLLM's).
_FORGED = re.compile(
    r"gAAAA.*|[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?![A-Za-z0-9+/_-]+={0,2}\Z).*", re.DOTALL
)


@frozen
class Origin:
    """Who made a block: a provider of the configuration and its model, with what it wants to have back.

    The payload is None, or says in ``f`` which form of reasoning it is.
    """

    provider: str
    model: str
    payload: Any = field(default=None, repr=False)


def sign(origin: Origin) -> str:
    """The signature that carries ``origin``. The same origin always gives the same text."""
    plain = json.dumps(
        [origin.model, origin.payload], ensure_ascii=False, separators=(",", ":"), sort_keys=True
    ).encode("utf-8", "surrogatepass")
    packed = zlib.compress(plain, 9)
    body = b"z" + packed if len(packed) < len(plain) else b"p" + plain
    head = f"{VERSION}.{_text(origin.provider.encode())}.{_text(body)}"
    return f"{head}.{_check(head)}"


def read(signature: object) -> Origin | None:
    """The origin in a signature; None when it is somebody else's, or is not whole any more."""
    if not isinstance(signature, str) or not signature.startswith(f"{VERSION}.") or not signature.isascii():
        return None
    head, _, check = signature.rpartition(".")
    parts = head.split(".")
    if len(parts) != 3 or check != _check(head):
        return None
    try:
        provider = _bytes(parts[1]).decode()
        body = _bytes(parts[2])
        if body[:1] == b"z":
            unpack = zlib.decompressobj()
            plain = unpack.decompress(body[1:], _LONGEST)
            if unpack.unconsumed_tail:
                return None
        else:
            plain = body[1:]
        # Until 2026-11 infinite numbers of a backend's were signed, in a word that no backend reads.
        value = json_text.loads(plain, nan="null")
    except (ValueError, binascii.Error, zlib.error, FrameError):
        return None
    # Anybody can compute a check: what it is right for may be of any shape.
    match value:
        case [str(model), None]:
            return Origin(provider, model)
        case [str(model), {"f": str()} as payload]:
            return Origin(provider, model, payload)
        case _:
            return None


def is_ours(signature: object) -> bool:
    """Whether a signature claims to be ccrouter's, whole or not."""
    return isinstance(signature, str) and signature.startswith(f"{VERSION}.")


def is_anthropics(signature: str) -> bool:
    """Whether a signature looks like Anthropic's, all of it."""
    return _GENUINE.fullmatch(signature) is not None


def may_be_anthropics(signature: str) -> bool:
    """Whether a signature isn't certainly another's than Anthropic's."""
    return signature.startswith(_BEGINNINGS) or _FORGED.fullmatch(signature) is None


def _check(head: str) -> str:
    return hashlib.sha256(head.encode()).hexdigest()[:12]


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
