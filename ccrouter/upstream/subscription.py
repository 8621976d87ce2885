"""The Claude login of this machine, read where Claude Code keeps it and never written.

Looked at in this order: the variable ``CLAUDE_CODE_OAUTH_TOKEN``, on macOS the Keychain, then
``.credentials.json`` in Claude Code's directory. Each request reads anew: Claude Code refreshes the login
behind our back. Whatever is missing, unreadable or of an odd shape counts as no login, with a reason that a
message can give.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import subprocess
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import trio
from attrs import field, frozen

from ccrouter.files import home, read_regular
from ccrouter.upstream.program import run_program

TOKEN_VARIABLE = "CLAUDE_CODE_OAUTH_TOKEN"  # noqa: S105  the name of it

KEYCHAIN_ITEM = "Claude Code-credentials"

#: Seconds for macOS to answer; it may ask the user for leave.
KEYCHAIN_DEADLINE = 5.0

#: The exit code of ``security`` for an item that does not exist (errSecItemNotFound, shortened to a byte).
_NO_SUCH_ITEM = 44

#: The file also holds the logins of the user's MCP servers, so it can be larger than one login.
_FILE_LIMIT = 1024 * 1024

#: ``expiresAt`` is in milliseconds, in older versions in seconds. As seconds this is the year 5138, as
#: milliseconds 1973.
_MILLISECONDS_FROM = 1e11

_TOKEN = re.compile(r"[!-~]+")


@frozen
class Login:
    """A login that can be used now. ``source`` names where it was found."""

    token: str = field(repr=False)
    source: str


@frozen
class NoLogin:
    """There is none. ``reason`` is a clause for a message, empty if there was simply nothing."""

    reason: str = ""
    expired: bool = False


async def read_login(environ: Mapping[str, str], platform: str, now: float) -> Login | NoLogin:
    """The login as it is at ``now`` (seconds since 1970). ``platform`` is as in ``sys.platform``."""
    missed: list[NoLogin] = []
    if variable := environ.get(TOKEN_VARIABLE, "").strip():
        if _TOKEN.fullmatch(variable):
            return Login(variable, TOKEN_VARIABLE)
        missed.append(NoLogin(f"{TOKEN_VARIABLE} holds no token"))
    if platform == "darwin":
        found = await _from_keychain(environ, now)
        if isinstance(found, Login):
            return found
        missed.append(found)
    found = _from_file(environ, now)
    if isinstance(found, Login):
        return found
    missed.append(found)
    return _most_telling(missed)


def has_login(environ: Mapping[str, str], platform: str) -> bool:
    """Whether Claude Code has a login here, fresh or not: it refreshes its own. Blocks for milliseconds."""
    if environ.get(TOKEN_VARIABLE, "").strip():
        return True
    if platform == "darwin" and _keychain_has_item(environ):
        return True
    try:
        login = _login_in(read_regular(_file(environ), _FILE_LIMIT))
    except (OSError, ValueError):
        return False
    return login is not None and _token_of(login) is not None


def _most_telling(missed: list[NoLogin]) -> NoLogin:
    """Of several reasons the one that helps most: a login that expired, then one that cannot be read."""
    return max(missed, key=lambda none: (none.expired, bool(none.reason)))


def folder(environ: Mapping[str, str]) -> Path:
    """Claude Code's directory. To it a ``~`` in the variable is a name like any other (2.1.329)."""
    named = environ.get("CLAUDE_CONFIG_DIR")
    return Path(named) if named else home(environ) / ".claude"


def _file(environ: Mapping[str, str]) -> Path:
    return folder(environ) / ".credentials.json"


def _from_file(environ: Mapping[str, str], now: float) -> Login | NoLogin:
    path = _file(environ)
    try:
        content = read_regular(path, _FILE_LIMIT)
    except FileNotFoundError:
        return NoLogin()
    except OSError as error:
        return NoLogin(f"{path} cannot be read: {error.strerror}")
    return _judge(content, str(path), now)


def _judge(content: bytes, source: str, now: float) -> Login | NoLogin:
    """What a source holds, as its content says."""
    try:
        login = _login_in(content)
    except ValueError:
        return NoLogin(f"{source} does not hold JSON")
    token = None if login is None else _token_of(login)
    if login is None or token is None:
        return NoLogin(f"{source} holds no Claude login")
    expiry = login.get("expiresAt")
    if expiry is None:  # a token made to last
        return Login(token, source)
    if isinstance(expiry, bool) or not isinstance(expiry, int | float) or math.isnan(expiry):
        return NoLogin(f"{source} does not say when its login expires")
    if (expiry / 1000 if expiry >= _MILLISECONDS_FROM else expiry) <= now:
        return NoLogin(f"the login in {source} has expired", expired=True)
    return Login(token, source)


def _login_in(content: bytes) -> dict[str, Any] | None:
    """The object that holds the login, if there is one. Raises ValueError if this is no JSON at all."""
    try:
        value = json.loads(content)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    login = value.get("claudeAiOauth") if isinstance(value, dict) else None
    return login if isinstance(login, dict) else None


def _token_of(login: dict[str, Any]) -> str | None:
    token = login.get("accessToken")
    return token if isinstance(token, str) and _TOKEN.fullmatch(token) else None


def keychain_item(environ: Mapping[str, str]) -> str:
    """The name of the Keychain item.

    A directory of one's own is an account of one's own: with CLAUDE_CONFIG_DIR the name ends in the first
    eight hexadecimal digits of the path's SHA-256. The plain item would be somebody else's login then.
    """
    # 2026-11: read out of Claude Code's program by several projects, e.g. robinebers/openusage#424.
    directory = environ.get("CLAUDE_CONFIG_DIR")
    if not directory:
        return KEYCHAIN_ITEM
    digest = hashlib.sha256(unicodedata.normalize("NFC", directory).encode("utf-8", "surrogateescape"))
    return f"{KEYCHAIN_ITEM}-{digest.hexdigest()[:8]}"


async def _from_keychain(environ: Mapping[str, str], now: float) -> Login | NoLogin:
    ask = ("security", "find-generic-password", "-s", keychain_item(environ))
    # There can be a second item of this name that holds MCP logins only, under the account "unknown"; the one
    # with the login is under the user's name. (2026-11, uwuclxdy/clauth#1)
    user = environ.get("USER")
    questions = [(*ask, "-a", user, "-w")] if user else []
    missed: list[NoLogin] = []
    try:
        with trio.fail_after(KEYCHAIN_DEADLINE):
            for question in (*questions, (*ask, "-w")):
                finished = await run_program(question, environ, _FILE_LIMIT)
                if finished.code == 0:
                    found = _judge(finished.output, "the Keychain", now)
                    if isinstance(found, Login):
                        return found
                    missed.append(found)
                elif finished.code != _NO_SUCH_ITEM:
                    missed.append(NoLogin(f"the Keychain refused (security: exit code {finished.code})"))
    except trio.TooSlowError:
        missed.append(NoLogin(f"the Keychain did not answer within {KEYCHAIN_DEADLINE:g} s"))
    except OSError:  # no such tool
        pass
    return _most_telling([*missed, NoLogin()])


def _keychain_has_item(environ: Mapping[str, str]) -> bool:
    """Asks for the item without its secret, which needs nobody's leave."""
    try:
        finished = subprocess.run(
            ("security", "find-generic-password", "-s", keychain_item(environ)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=dict(environ),
            timeout=KEYCHAIN_DEADLINE,
            check=False,
        )
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return False
    return finished.returncode == 0
