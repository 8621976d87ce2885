"""The ChatGPT login of the Codex command line: read where Codex keeps it, refreshed when it grows old.

Codex keeps it in ``auth.json`` in its directory. Each request reads it anew, since Codex refreshes it behind our
back, and we refresh it behind Codex's. A refresh token is good for one use, and the one that comes back for it
must not be lost. So a refresh

* happens once at a time: within this process by a single flight, between processes of ours by a lock file. Codex
  itself asks for no lock; so the file is read again under it, and whatever Codex has put there meanwhile is used;
* begins only when the place for its result is there: the temporary file is made before the question is asked;
* is not abandoned half way when the request that needed it is cancelled, but has its own deadline;
* is not repeated for a token that is refused right after it came out of one;
* ends with a rename: there is the old file or the new one, with its mode and everything else that stood in it.

The refresh token goes into that one question and that one file, and nowhere else.
Source: codex-rs (login, storage) as of 2026-11.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
import tomllib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import trio
from attrs import frozen

import ccrouter
from ccrouter.errors import UpstreamError
from ccrouter.file_lock import locked
from ccrouter.files import Replacement, expand_home, read_regular
from ccrouter.providers.openai_format import CODEX_RELEASE
from ccrouter.providers.provider import Timeouts
from ccrouter.routing.credentials import is_guarded
from ccrouter.translate.overflow import codes
from ccrouter.upstream.codex_file import Login, NoLogin, is_token, parse_login, renewed
from ccrouter.upstream.dial import Call, Dial
from ccrouter.upstream.single_flight import SingleFlight
from ccrouter.wire.headers import Headers

ORIGINATOR = "codex_cli_rs"

REFRESH_URL = "https://auth.openai.com/oauth/token"
REFRESH_URL_VARIABLE = "CODEX_REFRESH_TOKEN_URL_OVERRIDE"
CLIENT_ID = "app_EMoamEEZ73f0CkXaXp7hrann"

#: A token is refreshed this long before it expires, and a login this long after its last refresh, in seconds.
EARLY = 300.0
OLD = 8 * 24 * 3600.0

#: How long the refresh may take, how long it may take to write down what it gave, and how long another process's
#: is waited for, in seconds.
DEADLINE = 20.0
WRITE_DEADLINE = 4.0
LOCK_DEADLINE = 25.0

#: After a refresh that failed for now, the token that is still good is used for so long without another try; and
#: a token that is refused is not refreshed before it is so old.
PAUSE = 60.0

_FILE_LIMIT = 1024 * 1024
_REPLY_LIMIT = 256 * 1024

#: Codex writes its file in place: what is no JSON now may be a file half written.
_READS = 4
_READ_AGAIN = 0.05

_PERMANENT = frozenset(
    {"refresh_token_expired", "refresh_token_reused", "refresh_token_invalidated", "invalid_grant"}
)

_TIMEOUTS = Timeouts(connect=10.0, first_byte=DEADLINE, idle=DEADLINE, total=DEADLINE)


@frozen
class _Failed:
    """A refresh that gave nothing. ``for_good``: only a new login helps."""

    reason: str
    for_good: bool


class CodexLogin:
    """The login of this machine. ``now`` gives seconds since 1970; ``dial`` carries the refresh."""

    def __init__(self, environ: Mapping[str, str], dial: Dial | None, *, now: Callable[[], float]) -> None:
        self._environ = environ
        self._dial = dial
        self._now = now
        self._refreshing: SingleFlight[str | None, Login | _Failed] = SingleFlight()
        self._spent: tuple[str, str] | None = None  # the digest of a refresh token that is no good, and why
        self._paused_until = -math.inf

    async def get(self) -> Login | NoLogin:
        """A login that can be used now, refreshed if it has to be; else why there is none."""
        found = await self._read()
        if isinstance(found, NoLogin) or not self._is_due(found):
            return found
        fresh = await self._refreshing.join(None, partial(self._refresh, None))
        if isinstance(fresh, Login):
            return fresh
        found = await self._read()
        if isinstance(found, Login) and not _is_over(found, self._now()):
            return found
        return self._over("has expired", fresh)

    async def renew(self, refused: Login) -> Login | NoLogin | None:
        """What there is in place of a login that the backend refused before its time, or why there is nothing.

        None where no try is worth it: it stands in the file as it is, and a refresh gave it a moment ago or has
        nothing to go by.
        """
        found = await self.get()
        if isinstance(found, NoLogin) or found.access_token != refused.access_token:
            return self._same_account(found, refused)
        now = self._now()
        young = found.last_refresh is not None and 0 <= now - found.last_refresh < PAUSE
        if found.refresh_token is None or young:
            return None
        if now < self._paused_until:
            return self._over("was refused", _Failed("the last try failed a moment ago", for_good=False))
        # Keyed by the token: who was refused the same one waits for the same refresh.
        token = refused.access_token
        fresh = await self._refreshing.join(token, partial(self._refresh, token))
        if isinstance(fresh, _Failed):
            return self._over("was refused", fresh)
        return self._same_account(fresh, refused)

    def _same_account(self, found: Login | NoLogin, refused: Login) -> Login | NoLogin:
        """A request that began with one account is not ended with another; the next one begins with it."""
        if isinstance(found, NoLogin) or found.account_id == refused.account_id:
            return found
        return NoLogin(f"{self._path} holds the login of another account since now: try again", for_good=False)

    def _over(self, what: str, failed: _Failed) -> NoLogin:
        hint = "run `codex login`" if failed.for_good else "try again soon"
        reason = f"the login in {self._path} {what} and cannot be refreshed: {failed.reason}; {hint}"
        return NoLogin(reason, failed.for_good)

    @property
    def _path(self) -> Path:
        return codex_home(self._environ) / "auth.json"

    def _is_due(self, login: Login) -> bool:
        """Whether a refresh is worth trying."""
        now = self._now()
        if login.refresh_token is None:
            return _is_over(login, now)
        if not _is_over(login, now) and (
            now < self._paused_until or (self._spent and self._spent[0] == _digest(login.refresh_token))
        ):
            return False
        return _is_old(login, now)

    async def _refresh(self, refused: str | None) -> Login | _Failed:
        """A login that is not old and whose access token is not ``refused``."""
        path = _real_file(self._environ)
        try:
            # It stands for as long as it is held: Codex's directory is not ours to leave files in.
            async with locked(path.with_name(f"{path.name}.ccrouter-lock"), LOCK_DEADLINE, remove=True):
                fresh = await self._refresh_locked(path, refused)
        except trio.TooSlowError:
            fresh = _Failed("another process holds on to it", for_good=False)
        except OSError as error:
            fresh = _Failed(f"{path} cannot be written ({error.strerror})", for_good=False)
        if isinstance(fresh, _Failed) and not fresh.for_good:
            self._paused_until = self._now() + PAUSE
        return fresh

    async def _refresh_locked(self, path: Path, refused: str | None) -> Login | _Failed:
        login = await self._read()
        if isinstance(login, NoLogin):
            return _Failed(login.reason, for_good=True)
        if not _is_old(login, self._now()) and login.access_token != refused:
            return login  # somebody else was faster
        if login.refresh_token is None:
            return _Failed("it holds no refresh token", for_good=True)
        digest = _digest(login.refresh_token)
        if self._spent is not None and self._spent[0] == digest:
            return _Failed(self._spent[1], for_good=True)
        # Each step that can take long inside has its own deadline.
        with trio.CancelScope(shield=True), Replacement(path, as_before=True) as replacement:
            answer = await self._ask(login.refresh_token)
            current = await self._read()
            if isinstance(current, Login) and current.refresh_token != login.refresh_token:
                return current  # Codex refreshed it at the same moment, or its user logged in anew
            if isinstance(answer, _Failed):
                if answer.for_good:
                    self._spent = digest, answer.reason
                return answer
            content = renewed(login.content, answer, self._now())
            text = json.dumps(content, indent=2, ensure_ascii=False).encode("utf-8", "backslashreplace")
            with trio.move_on_after(WRITE_DEADLINE) as writing:  # the thread goes on, and may come to its end
                await trio.to_thread.run_sync(replacement.put, text, abandon_on_cancel=True)
            if writing.cancelled_caught:
                return _Failed(f"{path} was not written within {WRITE_DEADLINE:g} s", for_good=False)
        fresh = parse_login(content, str(path))
        return fresh if isinstance(fresh, Login) else _Failed(fresh.reason, for_good=True)

    async def _ask(self, refresh_token: str) -> dict[str, str] | _Failed:
        """The tokens that the login's issuer gives for ``refresh_token``."""
        url = self._environ.get(REFRESH_URL_VARIABLE) or REFRESH_URL
        if not is_guarded(url):
            return _Failed(f"{REFRESH_URL_VARIABLE} must be a URL with https, or on this machine", for_good=False)
        if self._dial is None:
            return _Failed("there is no way to the network", for_good=False)
        body = {"client_id": CLIENT_ID, "grant_type": "refresh_token", "refresh_token": refresh_token}
        call = Call(
            method="POST",
            url=url,
            headers=[
                (b"content-type", b"application/json"),
                (b"accept", b"application/json"),
                (b"accept-encoding", b"identity"),
                (b"user-agent", user_agent().encode()),
            ],
            body=json.dumps(body).encode(),
            timeouts=_TIMEOUTS,
        )
        reply = bytearray()
        try:
            with trio.fail_after(DEADLINE):
                async with self._dial(call) as answer:
                    status = answer.status
                    while len(reply) <= _REPLY_LIMIT and (data := await answer.read()):
                        reply += data
        except trio.TooSlowError:
            return _Failed(f"no answer within {DEADLINE:g} s", for_good=False)
        except UpstreamError as error:
            return _Failed(str(error), for_good=False)
        return read_answer(status, bytes(reply))

    async def _read(self) -> Login | NoLogin:
        path = self._path
        for attempt in range(_READS):
            try:
                content = json.loads(read_regular(path, _FILE_LIMIT))
            except FileNotFoundError:
                return NoLogin(_why_missing(path))
            except OSError as error:
                return NoLogin(f"{path} cannot be read: {error.strerror}")
            except (ValueError, RecursionError):
                if attempt + 1 < _READS:
                    await trio.sleep(_READ_AGAIN)
                continue
            return parse_login(content, str(path))
        return NoLogin(f"{path} does not hold JSON: run `codex login`")


def has_login(environ: Mapping[str, str]) -> bool:
    """Whether Codex has a ChatGPT login here, fresh or not: it can be refreshed. Blocks for milliseconds."""
    path = codex_home(environ) / "auth.json"
    try:
        content = json.loads(read_regular(path, _FILE_LIMIT))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(parse_login(content, str(path)), Login)


def read_answer(status: int, body: bytes) -> dict[str, str] | _Failed:
    """The new tokens of an answer, those that there are; or how it failed. Its own words are never told."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        value = None
    if status != 200:
        named = set(codes(value))
        error = value.get("error") if isinstance(value, dict) else None
        if isinstance(error, str):
            named.add(error.lower())
        known = sorted(named & _PERMANENT)
        reason = known[0] if known else f"HTTP status {status}"
        return _Failed(reason, for_good=status == 401 or bool(known))
    names = ("id_token", "access_token", "refresh_token")
    tokens = {name: value.get(name) for name in names} if isinstance(value, dict) else {}
    good = {name: token for name, token in tokens.items() if isinstance(token, str) and is_token(token)}
    if "access_token" not in good:
        return _Failed("the answer holds no access token", for_good=False)
    return good


def headers_of(login: Login) -> Headers:
    """The headers by which ChatGPT's backend knows a login, and the program that it was made for."""
    headers = [(b"authorization", f"Bearer {login.access_token}".encode())]
    if login.account_id is not None:
        headers.append((b"chatgpt-account-id", login.account_id.encode()))
    if login.fedramp:
        headers.append((b"x-openai-fedramp", b"true"))
    # Cloudflare turns away programs that it does not know.
    return [*headers, (b"originator", ORIGINATOR.encode()), (b"user-agent", user_agent().encode())]


def user_agent() -> str:
    """As Codex writes it, but in the place of the terminal's name stands ours."""
    system = f"{platform.system()} {platform.release()}; {platform.machine()}"
    told = f"{ORIGINATOR}/{CODEX_RELEASE} ({system}) ccrouter/{ccrouter.__version__}"
    return "".join(char if " " <= char <= "~" else "_" for char in told)


def codex_home(environ: Mapping[str, str]) -> Path:
    """Codex's directory."""
    return expand_home(environ.get("CODEX_HOME") or "~/.codex", environ)


def _real_file(environ: Mapping[str, str]) -> Path:
    """The file itself, not a symbolic link to it: a rename would put a copy in the link's place."""
    return Path(os.path.realpath(codex_home(environ) / "auth.json"))


def _why_missing(path: Path) -> str:
    """Why there is no file: by its configuration Codex may keep the login where only it can read it."""
    settings = path.with_name("config.toml")
    try:
        store = tomllib.loads(read_regular(settings, _FILE_LIMIT).decode()).get("cli_auth_credentials_store")
    except (OSError, ValueError):
        store = None
    if store in {"keyring", "auto", "ephemeral"}:
        where = "in memory only" if store == "ephemeral" else "in the system's keyring, which nobody else can read"
        return (
            f'Codex keeps its login {where}: set cli_auth_credentials_store = "file" in {settings}'
            " and run `codex login`"
        )
    return f"there is no {path}: run `codex login`"


def _is_over(login: Login, now: float) -> bool:
    return login.expires is not None and login.expires <= now


def _is_old(login: Login, now: float) -> bool:
    if login.expires is not None and login.expires - EARLY <= now:
        return True
    return login.last_refresh is not None and login.last_refresh + OLD <= now


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
