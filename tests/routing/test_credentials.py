from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.providers.presets import PRESETS
from ccrouter.providers.provider import Provider
from ccrouter.routing.credentials import ClientCredentials, may_forward, of_client
from ccrouter.wire.headers import CREDENTIALS

TOKEN = "ccr-0123456789abcdef"
ROUTER = TOKEN.encode()
LOGIN = b"Bearer sk-ant-oat01-client"


def test_a_login_beside_the_routers_header_is_kept_as_it_came() -> None:
    headers = [(b"authorization", LOGIN), (b"x-ccrouter-token", ROUTER), (b"x-api-key", b"sk-ant-key")]
    assert of_client(headers, TOKEN) == (ClientCredentials(LOGIN, b"sk-ant-key"), True)


@pytest.mark.parametrize(
    "shown",
    [
        (b"authorization", b"Bearer " + ROUTER),
        (b"authorization", b"bearer " + ROUTER),
        (b"authorization", b"BEARER   " + ROUTER + b" "),
        (b"x-api-key", ROUTER),
        (b"x-api-key", b" " + ROUTER),
        (b"x-ccrouter-token", ROUTER),
    ],
)
def test_the_token_is_accepted_in_each_of_three_headers_and_never_kept(shown: tuple[bytes, bytes]) -> None:
    assert of_client([shown], TOKEN) == (ClientCredentials(), True)


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"authorization", LOGIN)],
        [(b"authorization", ROUTER)],
        [(b"authorization", b"Basic " + ROUTER)],
        [(b"authorization", b"Bearer " + ROUTER + b"x")],
        [(b"x-api-key", ROUTER[:-1])],
        [(b"x-ccrouter-token", b"")],
        [(b"cookie", ROUTER)],
    ],
)
def test_who_does_not_show_the_token_is_a_stranger_of_whom_nothing_is_kept(
    headers: list[tuple[bytes, bytes]],
) -> None:
    assert of_client(headers, TOKEN) == (ClientCredentials(), False)


def test_an_empty_router_token_lets_nobody_in() -> None:
    headers = [(b"authorization", b"Bearer "), (b"x-api-key", b""), (b"x-ccrouter-token", b"")]
    assert of_client(headers, "") == (ClientCredentials(), False)


def test_of_several_lines_the_first_that_is_the_clients_own_is_kept() -> None:
    headers = [
        (b"authorization", b"Bearer " + ROUTER),
        (b"authorization", LOGIN),
        (b"authorization", b"Basic other"),
        (b"x-api-key", b""),
        (b"x-api-key", ROUTER),
        (b"x-api-key", b"mine"),
    ]
    assert of_client(headers, TOKEN) == (ClientCredentials(LOGIN, b"mine"), True)


@pytest.mark.parametrize(
    "around",
    [b"%b", b"Basic %b", b"Bearer Bearer %b", b"Bearer a, Bearer %b", b"Bearer x%b", b"Digest token=%b;"],
)
def test_a_value_with_the_token_anywhere_inside_is_not_the_clients_own(around: bytes) -> None:
    hidden = around % ROUTER
    headers = [(b"x-ccrouter-token", ROUTER), (b"authorization", hidden), (b"x-api-key", hidden)]
    assert of_client(headers, TOKEN) == (ClientCredentials(), True)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(sorted(CREDENTIALS)),
            st.lists(st.sampled_from([ROUTER, b"Bearer", b" ", b",", b"sk-other", ROUTER[:5]])).map(b"".join),
        )
    )
)
def test_the_token_is_in_nothing_that_is_kept(headers: list[tuple[bytes, bytes]]) -> None:
    own, _ = of_client(headers, TOKEN)
    assert ROUTER not in (own.authorization or b"")
    assert ROUTER not in (own.api_key or b"")


def test_credentials_stay_out_of_reprs() -> None:
    assert "oat01" not in repr(ClientCredentials(LOGIN, b"sk-oat01"))


FORWARDED = [
    "https://api.anthropic.com",
    "https://llm.example.com/gateway",
    "HTTPS://LLM.EXAMPLE.COM",
    "http://localhost:8080",
    "http://LocalHost",
    "http://127.0.0.1:8080/v1",
    "http://127.8.9.10",
    "http://[::1]:8080",
]
WITHHELD = [
    "http://api.anthropic.com",
    "http://192.168.1.50:8000",
    "http://0.0.0.0:8000",
    "http://[::]:8000",
    "http://[::2]",
    "http://127.0.0.1.example.com",
    "http://localhost.example.com",
    "http://127.0.0.1@example.com",
    "http://example.com\\@127.0.0.1",
    "http://exam\tple.com",
    "http://127.0.0.1 .example.com",
    "http://2130706433",
    "http://[::1",
    "https://",
    "https:///v1",
    "ftp://127.0.0.1",
    "127.0.0.1:8080",
    "",
]


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("base_url", FORWARDED)
def test_a_login_may_go_by_https_or_within_the_machine_to_anthropics_kind_only(name: str, base_url: str) -> None:
    provider = Provider(name=name, preset=PRESETS[name], base_url=base_url)
    assert may_forward(provider) is (name == "anthropic")


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("base_url", WITHHELD)
def test_a_login_goes_nowhere_in_the_clear(name: str, base_url: str) -> None:
    assert not may_forward(Provider(name=name, preset=PRESETS[name], base_url=base_url))


def test_the_name_of_a_provider_proves_nothing() -> None:
    assert not may_forward(
        Provider(name="anthropic", preset=PRESETS["messages"], base_url="https://api.anthropic.com")
    )
