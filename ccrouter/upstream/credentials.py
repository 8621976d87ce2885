"""With which credentials one attempt goes to its provider.

This is the only place that puts a credential into a request. Nothing of the client's `Authorization` or keys
reaches a provider but by the one branch below that asks `routing.credentials.may_forward`; the router's own
token reaches none, because `ClientCredentials` never holds it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from attrs import evolve, field, frozen

from ccrouter.errors import ApiError, SecretError
from ccrouter.providers.provider import Auth, Preset, Provider
from ccrouter.providers.secret import FromEnv, Secret
from ccrouter.routing.credentials import ClientCredentials, is_guarded, may_forward
from ccrouter.translate.headers import OAUTH_BETA
from ccrouter.upstream.codex import CodexLogin, headers_of
from ccrouter.upstream.codex_file import Login as ChatGPTLogin
from ccrouter.upstream.codex_file import NoLogin as NoChatGPTLogin
from ccrouter.upstream.dial import Dial
from ccrouter.upstream.secrets import Secrets
from ccrouter.upstream.single_flight import SingleFlight
from ccrouter.upstream.subscription import Login, NoLogin, read_login
from ccrouter.wire.headers import Headers


@frozen
class Grant:
    """What one attempt is given: headers to send, and what ``anthropic-beta`` must name beside its own.

    The rest says where the headers come from, for `Credentials.renew`.
    """

    headers: Headers = field(factory=list, repr=False)
    betas: tuple[str, ...] = ()
    carried: bool = field(default=False, eq=False)
    """The client brought it along."""
    secrets: tuple[tuple[Secret, str], ...] = field(default=(), eq=False, repr=False)
    """The secrets in it, with their values."""
    login: ChatGPTLogin | None = field(default=None, eq=False, repr=False)


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
        self._codex = CodexLogin(environ, dial, now=now)
        # Claude Code can ask for twenty counts at once; on macOS each would ask the Keychain.
        self._reading: SingleFlight[None, Login | NoLogin] = SingleFlight()

    async def grant(self, provider: Provider, credentials: ClientCredentials) -> Grant:
        """The credentials for ``provider``. Raises ApiError 401 where there are none."""
        try:
            secrets = [(secret, await self._secrets.get(secret)) for _, secret in provider.headers]
            grant = await self._grant(provider, credentials)
        except SecretError as error:
            raise _refusal(f"No credentials for the provider {provider.name}: {error}.") from error
        names = [name.lower().encode() for name, _ in provider.headers]
        named = [(name, value.encode()) for name, (_, value) in zip(names, secrets, strict=True)]
        kept = [header for header in grant.headers if header[0] not in names]
        return evolve(grant, headers=[*kept, *named], secrets=(*grant.secrets, *secrets))

    async def renew(self, provider: Provider, credentials: ClientCredentials, refused: Grant) -> Grant | None:
        """The grant to try instead of one that the backend answered with 401; None where there is no other.

        What comes from a file or another program may have changed since: it is read anew, a command is run anew,
        a login that can be refreshed is. However many requests were refused the same, that happens once. What the
        client itself carried is its own affair. Raises ApiError where there is nothing left to send.
        """
        if refused.carried:
            return None
        for secret, value in refused.secrets:
            self._secrets.doubt(secret, value)
        if refused.login is not None:
            found = await self._codex.renew(refused.login)
            if isinstance(found, NoChatGPTLogin):
                raise _no_chatgpt_login(provider, found)
        better = await self.grant(provider, credentials)
        return None if better.headers == refused.headers else better

    async def _grant(self, provider: Provider, credentials: ClientCredentials) -> Grant:
        """Without the provider's own headers."""
        preset = provider.preset
        if preset.auth == "none":
            return Grant()
        if provider.api_key is not None:
            return await self._key(preset.auth, provider.api_key)
        if provider.key_in_headers:
            return Grant()
        if preset.auth == "client":
            return await self._claude(provider, credentials)
        if preset.auth == "codex":
            return await self._chatgpt(provider)
        if (variable := self._variable(preset)) is not None:
            return await self._key(preset.auth, variable)
        if preset.key_required:
            raise _refusal(f"No credentials for the provider {provider.name}: {_set_a_key(provider)}.")
        return Grant()

    async def _claude(self, provider: Provider, credentials: ClientCredentials) -> Grant:
        """The client's own login or key, else this machine's login, else its key."""
        forward = may_forward(provider)
        if forward and credentials:
            carried = ((b"authorization", credentials.authorization), (b"x-api-key", credentials.api_key))
            return Grant([(name, value) for name, value in carried if value is not None], carried=True)
        why = ""
        if forward:
            login = await self._reading.join(None, self._read_login)
            if isinstance(login, Login):
                return Grant([(b"authorization", f"Bearer {login.token}".encode())], (OAUTH_BETA,))
            why = f" ({login.reason})" if login.reason else ""
        if (variable := self._variable(provider.preset)) is not None:
            return await self._key("client", variable)
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
        if isinstance(login, NoChatGPTLogin):
            raise _no_chatgpt_login(provider, login)
        return Grant(headers_of(login), login=login)

    async def _read_login(self) -> Login | NoLogin:
        return await read_login(self._environ, self._platform, self._now())

    async def _key(self, auth: Auth, secret: Secret) -> Grant:
        value = await self._secrets.get(secret)
        return Grant(_key_headers(auth, value), secrets=((secret, value),))

    def _variable(self, preset: Preset) -> FromEnv | None:
        """The first variable that is set of those that can hold a key of the preset."""
        return next((FromEnv(name) for name in preset.key_env if self._environ.get(name)), None)


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


def _no_chatgpt_login(provider: Provider, found: NoChatGPTLogin) -> ApiError:
    told = f"No ChatGPT login for the provider {provider.name}: {found.reason}."
    return _refusal(told) if found.for_good else ApiError(502, "api_error", told)


def _refusal(message: str) -> ApiError:
    # Claude Code repeats a 401 for minutes unless it is told that this is of no use.
    return ApiError(401, "authentication_error", message, (("x-should-retry", "false"),))
