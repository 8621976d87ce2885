"""A question to a backend about itself: which models it has, what they can do. The answer is one body of JSON.

It goes where the provider's requests go, as whoever they go as: the same credential, the same host.
"""

from __future__ import annotations

from collections.abc import Mapping

from attrs import evolve

from ccrouter.errors import UpstreamBroken, WrongAnswer
from ccrouter.providers.provider import Provider
from ccrouter.routing.credentials import ClientCredentials
from ccrouter.upstream.credentials import Credentials
from ccrouter.upstream.dial import Answer, Call, Dial

#: OpenRouter's list of some four hundred models is about 1 MB.
MAX_ANSWER = 16 * 1024 * 1024

#: In seconds, for the first byte and for each that follows; whoever asks sets the limit for the whole.
_PATIENCE = 10.0


class Inquiry:
    """Asks."""

    def __init__(self, dials: Mapping[str, Dial], credentials: Credentials) -> None:
        self._dials = dials
        self._credentials = credentials

    async def ask(
        self,
        provider: Provider,
        credentials: ClientCredentials,
        path: str,
        body: bytes = b"",
        *,
        root: bool = False,
        patience: float = _PATIENCE,
    ) -> bytes:
        """The answer to GET, or to POST with a body. ``root``: the path begins where the server's own ones do.

        Raises CcrouterError when there is none, or none with status 200.
        """
        grant = await self._credentials.grant(provider, credentials)
        preset = provider.preset
        headers = [*grant.headers, (b"accept", b"application/json"), (b"accept-encoding", b"identity")]
        query = ""
        if preset.first_party:
            headers.append((b"anthropic-version", b"2023-06-01"))
            query = "?limit=1000"
        if grant.betas:
            headers.append((b"anthropic-beta", ",".join(grant.betas).encode()))
        if body:
            headers.append((b"content-type", b"application/json"))
        base = provider.base_url.rstrip("/").removesuffix("/v1") if root else provider.base_url
        call = Call(
            method="POST" if body else "GET",
            url=f"{base}{path}{query}",
            headers=headers,
            body=body,
            timeouts=evolve(provider.timeouts, first_byte=patience, idle=_PATIENCE),
        )
        async with self._dials[preset.transport](call) as answer:
            found = await _read(answer)
            if answer.status != 200:
                raise WrongAnswer(f"HTTP status {answer.status} to the question for its models", answer.status)
        return found


async def _read(answer: Answer) -> bytes:
    body = bytearray()
    while data := await answer.read():
        body += data
        if len(body) > MAX_ANSWER:
            raise UpstreamBroken("its list of models is too long")
    return bytes(body)
