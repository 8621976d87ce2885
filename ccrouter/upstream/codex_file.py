"""What stands in Codex's ``auth.json``.

``{auth_mode, OPENAI_API_KEY, tokens: {id_token, access_token, refresh_token, account_id}, last_refresh}``, all of
it optional, and more that is none of our business and stays. The tokens are JSON Web Tokens, read without a check
of their signatures: they are the user's own, and whoever they are sent to checks them.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from attrs import field, frozen

#: The claims of OpenAI's own.
_CLAIMS = "https://api.openai.com/auth"

_TOKEN = re.compile(r"[!-~]{1,16384}")


@frozen
class Login:
    """A ChatGPT login. Times are in seconds since 1970, None where they are not known."""

    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    account_id: str | None = field(repr=False)
    fedramp: bool
    expires: float | None
    last_refresh: float | None
    content: Mapping[str, Any] = field(repr=False)
    """The whole file, decoded."""


@frozen
class NoLogin:
    """There is none. ``reason`` is a clause for a message; ``for_good``: only the user can mend it."""

    reason: str
    for_good: bool = True


def parse_login(content: Any, path: str) -> Login | NoLogin:
    """The login in a file's decoded content; ``path`` is named where there is none."""
    if not isinstance(content, dict):
        return NoLogin(f"{path} holds no login: run `codex login`")
    mode = content.get("auth_mode")
    tokens = content.get("tokens")
    # A login of early releases has a key beside its tokens, and no mode.
    by_key = isinstance(mode, str) and mode.lower() == "apikey"
    if by_key or (not isinstance(tokens, dict) and content.get("OPENAI_API_KEY")):
        return NoLogin(
            f"{path} holds an API key, which opens api.openai.com and not ChatGPT: run `codex login`, "
            "or use the provider openai with that key in OPENAI_API_KEY"
        )
    access = _token(tokens, "access_token")
    if access is None:
        how = f" (its auth_mode is {mode})" if isinstance(mode, str) and mode.isalnum() else ""
        return NoLogin(f"{path} holds no ChatGPT login{how}: run `codex login`")
    of_access = _claims(access)
    own = [each for each in (_own(_claims(_token(tokens, "id_token"))), _own(of_access)) if each]
    account = _token(tokens, "account_id")
    if account is None:
        found = (_token(each, "chatgpt_account_id") for each in own)
        account = next((each for each in found if each), None)
    return Login(
        access_token=access,
        refresh_token=_token(tokens, "refresh_token"),
        account_id=account,
        fedramp=any(each.get("chatgpt_account_is_fedramp") is True for each in own),
        expires=_time(of_access.get("exp")),
        last_refresh=_moment(content.get("last_refresh")),
        content=content,
    )


def renewed(content: Mapping[str, Any], tokens: Mapping[str, str], now: float) -> dict[str, Any]:
    """``content`` with ``tokens`` in place of the old ones of the same name."""
    at = datetime.fromtimestamp(now, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return {**content, "tokens": {**content["tokens"], **tokens}, "last_refresh": at}


def is_token(text: str) -> bool:
    """Whether ``text`` can stand in a header."""
    return _TOKEN.fullmatch(text) is not None


def _token(holder: Any, name: str) -> str | None:
    value = holder.get(name) if isinstance(holder, dict) else None
    return value if isinstance(value, str) and is_token(value) else None


def _claims(token: str | None) -> dict[str, Any]:
    """What a JSON Web Token says; nothing if it is none."""
    parts = (token or "").split(".")
    if len(parts) != 3:
        return {}
    try:
        value = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _own(claims: Mapping[str, Any]) -> dict[str, Any]:
    own = claims.get(_CLAIMS)
    return own if isinstance(own, dict) else {}


def _time(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e15:  # nor NaN
        return None
    return float(value)


def _moment(value: Any) -> float | None:
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
        return None if at is None else (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
