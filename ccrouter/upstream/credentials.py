"""With which credentials one attempt goes to its provider.

This is the only place that puts a credential into a request. Nothing of the client's `Authorization` or keys
reaches a provider but by the one branch below that asks `routing.credentials.may_forward`; the router's own
token reaches none, because `ClientCredentials` never holds it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from attrs import field, frozen

from ccrouter.errors import ApiError, SecretError
from ccrouter.providers.provider import Auth, Preset, Provider
from ccrouter.providers.secret import FromEnv
from ccrouter.routing.credentials import ClientCredentials, is_guarded, may_forward
from ccrouter.translate.lane import OAUTH_BETA
from ccrouter.upstream.codex import CodexLogin, headers_of
from ccrouter.upstream.codex_file import NoLogin as NoCodexLogin
from ccrouter.upstream.dial import Dial
from ccrouter.upstream.secrets import Secrets, SingleFlight
from ccrouter.upstream.subscription import Login, NoLogin, read_login
from ccrouter.wire.headers import Headers

#: Shorter values are not searched for: no service gives out such keys, and the text would be shredded.
_SHORTEST_REDACTED = 8


@frozen
class Grant:
    """What one attempt is given: headers to send, and what ``anthropic-beta`` must name beside its own."""

    headers: Headers = field(factory=list, repr=False)
    betas: tuple[str, ...] = ()


class Credentials:
    """The credentials of this machine. ``now`` gives seconds since 1970; ``dial`` refreshes a login."""

    def __init__(
        self,
        secrets: Secrets,
        environ: Mapping[str, str],
        platform: str,
        *,
        dial: Dial | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._secrets = secrets
        self._environ = environ
        self._platform = platform
        self._now = now
        # Claude Code can ask for twenty counts at once; on macOS each would ask the Keychain.
        self._codex = CodexLogin(environ, dial, now=now)
        self._reading: SingleFlight[None, Login | NoLogin] = SingleFlight()

    async def grant(self, provider: Provider, client: ClientCredentials) -> Grant:
        """The credentials for ``provider``. Raises ApiError 401 where there are none."""
        try:
            named = [
                (name.lower().encode(), (await self._secrets.get(secret)).encode())
                for name, secret in provider.headers
            ]
            names = {name for name, _ in named}
            grant = await self._grant(provider, client)
        except SecretError as error:
            raise _refusal(f"No credentials for the provider {provider.name}: {error}.") from error
        return Grant([header for header in grant.headers if header[0] not in names] + named, grant.betas)

    async def _grant(self, provider: Provider, client: ClientCredentials) -> Grant:
        """Without the provider's own headers."""
        preset = provider.preset
        if preset.auth == "none":
            return Grant()
        if provider.api_key is not None:
            return Grant(_key_headers(preset.auth, await self._secrets.get(provider.api_key)))
        if provider.key_in_headers:
            return Grant()
        if preset.auth == "client":
            return await self._claude(provider, client)
        if preset.auth == "codex":
            return await self._chatgpt(provider)
        key = await self._key_of_environment(preset)
        if key is not None:
            return Grant(_key_headers(preset.auth, key))
        if preset.key_required:
            raise _refusal(f"No credentials for the provider {provider.name}: {_set_a_key(provider)}.")
        return Grant()

    async def _claude(self, provider: Provider, client: ClientCredentials) -> Grant:
        """The client's own login or key, else this machine's login, else its key."""
        forward = may_forward(provider)
        if forward and client:
            carried = ((b"authorization", client.authorization), (b"x-api-key", client.api_key))
            return Grant([(name, value) for name, value in carried if value is not None])
        why = ""
        if forward:
            login = await self._reading.join(None, self._read_login)
            if isinstance(login, Login):
                return Grant([(b"authorization", f"Bearer {login.token}".encode())], (OAUTH_BETA,))
            why = f" ({login.reason})" if login.reason else ""
        key = await self._key_of_environment(provider.preset)
        if key is not None:
            return Grant(_key_headers("client", key))
        if not forward:
            raise _refusal(
                f"A Claude login is sent over https or within this machine only, and the provider"
                f" {provider.name} has the base_url {_shown(provider.base_url)}: give it one with https, or"
                f" {_set_a_key(provider)}."
            )
        raise _refusal(
            f"No Claude login for the provider {provider.name}{why}: run `claude /login`, or"
            f" {_set_a_key(provider)}."
        )

    async def _chatgpt(self, provider: Provider) -> Grant:
        """The login of the Codex command line."""
        if not is_guarded(provider.base_url):
            raise _refusal(
                f"A ChatGPT login is sent over https or within this machine only, and the provider {provider.name}"
                f" has the base_url {_shown(provider.base_url)}: give it one with https."
            )
        login = await self._codex.get()
        if not isinstance(login, NoCodexLogin):
            return Grant(headers_of(login))
        told = f"No ChatGPT login for the provider {provider.name}: {login.reason}."
        if login.for_good:
            raise _refusal(told)
        raise ApiError(502, "api_error", told)

    async def _read_login(self) -> Login | NoLogin:
        return await read_login(self._environ, self._platform, self._now())

    async def _key_of_environment(self, preset: Preset) -> str | None:
        for name in preset.key_env:
            if self._environ.get(name):
                return await self._secrets.get(FromEnv(name))
        return None


def redact(text: str, grant: Grant) -> str:
    """``text`` without the credentials of ``grant``: some backends repeat a key when they refuse it."""
    values = set()
    for name, raw in grant.headers:
        value = raw.decode("utf-8", "replace").strip()
        if name in {b"authorization", b"proxy-authorization"}:
            scheme, _, rest = value.partition(" ")
            value = rest.strip() or scheme
        values |= {value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}
    for value in sorted(values, key=len, reverse=True):  # one may be a part of another
        if len(value) >= _SHORTEST_REDACTED:
            text = text.replace(value, "[redacted]")
    return text


def _key_headers(auth: Auth, key: str) -> Headers:
    in_x_api_key = (b"x-api-key", key.encode())
    as_bearer = (b"authorization", b"Bearer " + key.encode())
    match auth:
        case "none":
            return []
        case "x-api-key" | "client":
            return [in_x_api_key]
        case "bearer" | "codex":
            return [as_bearer]
        case "both":
            return [in_x_api_key, as_bearer]


def _set_a_key(provider: Provider) -> str:
    """What the user can do, as the end of a sentence."""
    in_configuration = f"api_key in [providers.{provider.name}]"
    variables = " or ".join(provider.preset.key_env)
    return f"set {variables} or {in_configuration}" if variables else f"set {in_configuration}"


def _shown(base_url: str) -> str:
    """Scheme, host and port; a URL can carry a password, a path a token."""
    try:
        url = urlsplit(base_url)
    except ValueError:
        return "that is no URL"
    return f"{url.scheme}://{url.netloc.rpartition('@')[2]}"


def _refusal(message: str) -> ApiError:
    # Claude Code repeats a 401 for minutes unless it is told that this is of no use.
    return ApiError(401, "authentication_error", message, (("x-should-retry", "false"),))
