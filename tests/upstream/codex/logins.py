"""Logins of Codex, who reads them, and an issuer of new ones."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ccrouter.upstream import codex
from ccrouter.upstream.codex import CodexLogin
from ccrouter.upstream.codex_file import Login, NoLogin
from tests.backend import Reply, Seen

NOW = 1_800_000_000.0
HOUR = 3600.0
REFRESH = "rt-first"


def jwt(**claims: Any) -> str:
    def part(value: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return f"{part({'alg': 'none'})}.{part(claims)}.c2lnbmF0dXJl"


def access(expires: float, **more: Any) -> str:
    return jwt(exp=expires, **more)


def own(**claims: Any) -> dict[str, Any]:
    return {"https://api.openai.com/auth": claims}


def content(expires: float = NOW + HOUR, refreshed: float = NOW, **more: Any) -> dict[str, Any]:
    return {
        "auth_mode": "chatgpt",
        "OPENAI_API_KEY": None,
        "tokens": {
            "id_token": jwt(**own(chatgpt_account_id="acc-claim")),
            "access_token": access(expires),
            "refresh_token": REFRESH,
            "account_id": "acc-1",
            "unknown": [1, "ü"],
        },
        "last_refresh": datetime.fromtimestamp(refreshed, UTC).isoformat().replace("+00:00", "Z"),
        "agent_identity": {"kept": True},
        **more,
    }


def write(home: Path, value: Any) -> Path:
    path = home / "auth.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    path.chmod(0o600)
    return path


def machine(home: Path, url: str = "", dial: Any = None) -> CodexLogin:
    return CodexLogin({"CODEX_HOME": str(home), codex.REFRESH_URL_VARIABLE: url}, dial, now=lambda: NOW)


NEW_ACCESS = access(NOW + 10 * 24 * HOUR)


async def renew(seen: Seen, reply: Reply) -> None:
    body = {"access_token": NEW_ACCESS, "refresh_token": "rt-second", "id_token": "not.a.jwt", "expires_in": 5}
    await reply.whole(200, [], json.dumps(body).encode())


def refuse(status: int, body: Any) -> Any:
    async def script(seen: Seen, reply: Reply) -> None:
        await reply.whole(status, [], json.dumps(body).encode())

    return script


def good(found: Login | NoLogin) -> Login:
    assert isinstance(found, Login), found
    return found


def no_login(found: Login | NoLogin) -> NoLogin:
    assert isinstance(found, NoLogin)
    assert "\n" not in found.reason
    return found


def stale(**more: Any) -> dict[str, Any]:
    """A login that looks good and was refreshed an hour ago."""
    return content(expires=NOW + 99 * HOUR, refreshed=NOW - HOUR, **more)
