"""What a client asked for."""

from __future__ import annotations

from attrs import field, frozen

from ccrouter.routing.credentials import ClientCredentials
from ccrouter.translate.dialect import Endpoint
from ccrouter.wire.headers import Headers
from ccrouter.wire.messages import MessagesRequest


@frozen(kw_only=True)
class Inbound:
    """One request, with what its client sent beside it."""

    request: MessagesRequest
    headers: Headers = field(repr=False)
    query: str
    endpoint: Endpoint
    credentials: ClientCredentials = field(repr=False)
    request_id: str
    session: str | None = None
    """Whose turn it is where requests wait for a place; None: nobody's in particular."""

    @property
    def streamed(self) -> bool:
        """Whether the client waits for a stream."""
        return self.request.stream and self.endpoint == "messages"
