"""The narrow door to a backend: one call out, one answer back. Whatever can do this is a transport."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from attrs import field, frozen

from ccrouter.providers.provider import Timeouts
from ccrouter.wire.headers import Headers


@frozen(kw_only=True)
class Call:
    """One HTTP request to a backend.

    ``url`` is absolute, with its query. ``headers`` are lower-case and complete but for ``host`` and
    ``content-length``, which the transport adds. The deadlines connect, first_byte and idle are the
    transport's to keep; total is the caller's.
    """

    method: str
    url: str
    headers: Headers = field(repr=False)
    body: bytes = field(repr=False)
    timeouts: Timeouts


class Answer(Protocol):
    """A backend's reply: status and headers have come, the body is read piece by piece."""

    @property
    def status(self) -> int:
        """The HTTP status."""
        ...

    @property
    def headers(self) -> Headers:
        """As they came: lower-case names, order kept, hop-by-hop ones included."""
        ...

    async def read(self) -> bytes:
        """What the next network read gives, at most about 64 KiB; ``b""`` once at the end of a whole body.

        Raises UpstreamTimeout (phase ``idle``) and UpstreamBroken (the connection ended before the body did).
        """
        ...


class Dial(Protocol):
    """Makes the call; leaving the context closes or returns the connection, also when cancelled.

    Entering raises ConnectFailed, UpstreamTimeout or UpstreamBroken.
    """

    def __call__(self, call: Call) -> AbstractAsyncContextManager[Answer]:
        """Enter to send the request and await the head of the reply."""
        ...
