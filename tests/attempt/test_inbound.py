"""What a client asked for."""

from __future__ import annotations

import pytest
from attrs import evolve

from ccrouter.routing.credentials import ClientCredentials
from ccrouter.translate.dialect import Endpoint
from tests.attempt.calls import inbound


@pytest.mark.parametrize(
    ("stream", "endpoint", "streamed"),
    [(True, "messages", True), (False, "messages", False), (True, "count_tokens", False)],
)
def test_a_client_waits_for_a_stream_where_it_said_so_and_there_can_be_one(
    stream: bool, endpoint: Endpoint, streamed: bool
) -> None:
    assert evolve(inbound(stream=stream), endpoint=endpoint).streamed is streamed


def test_neither_its_login_nor_its_headers_are_in_its_repr() -> None:
    secret = "sk-ant-oat01-secret"
    asked = evolve(
        inbound(ClientCredentials(authorization=f"Bearer {secret}".encode())),
        headers=[(b"authorization", secret.encode())],
    )
    assert secret not in repr(asked)
