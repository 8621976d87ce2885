"""What of the client's headers goes on, and what comes back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.providers.presets import PRESETS
from ccrouter.providers.provider import Provider, Target
from ccrouter.providers.secret import Literal
from ccrouter.translate.headers import OAUTH_BETA, reply_headers, with_betas
from ccrouter.translate.messages import lane
from ccrouter.wire import headers as http
from ccrouter.wire.headers import CREDENTIALS
from ccrouter.wire.messages import read_request


def target(preset="anthropic", model="m", **more):
    row = PRESETS[preset]
    provider = Provider(name=preset, preset=row, base_url=row.base_url or "https://gateway.example.com", **more)
    return Target(provider, model)


def render(body, to, headers=(), query="", endpoint="messages"):
    return lane.render(read_request(body), to, list(headers), query, endpoint)


names = st.sampled_from(
    [
        *sorted(CREDENTIALS),
        b"connection",
        b"te",
        b"host",
        b"content-length",
        b"accept-encoding",
        b"anthropic-version",
        b"anthropic-beta",
        b"x-app",
        b"user-agent",
        b"x-new",
    ]
)


@given(
    st.lists(st.tuples(names, st.sampled_from([b"close", b"x-new", b"a,b", b"secret"]))),
    st.sampled_from(sorted(PRESETS)),
)
def test_no_credential_and_nothing_of_the_connection_is_copied(headers, preset):
    sent = render(b'{"model":"m"}', target(preset), headers).headers
    assert {name for name, _ in sent} <= {
        b"anthropic-version",
        b"anthropic-beta",
        b"x-app",
        b"user-agent",
        b"x-new",
        b"accept-encoding",
    }
    assert [value for name, value in sent if name == b"accept-encoding"] == [b"identity"]
    kept = [(name, value) for name, value in http.end_to_end(headers) if name in {b"anthropic-version", b"x-app"}]
    assert [(name, value) for name, value in sent if name in {b"anthropic-version", b"x-app"}] == kept


@given(
    st.lists(
        st.tuples(
            st.sampled_from([b"x-gateway-key", b"x-gateway", b"x-team"]), st.sampled_from([b"Bearer s", b"t"])
        )
    ),
    st.sampled_from(sorted(PRESETS)),
    st.sampled_from([{}, {"api_key": Literal("k")}, {"headers": (("x-gateway-key", Literal("k")),)}]),
)
def test_a_key_to_some_gateway_goes_where_the_login_goes_and_is_told_where_it_stays_behind(headers, preset, more):
    to = target(preset, **more)
    outbound = render(b'{"model":"m"}', to, headers)
    goes = preset == "anthropic" and "api_key" not in more
    keys = [(name, value) for name, value in headers if name == b"x-gateway-key" or value == b"Bearer s"]
    assert outbound.headers[:-1] == [each for each in headers if goes or each not in keys]
    told = {each.split(":")[0] for each in outbound.changes if each.startswith("header ")}
    missed = set() if goes else {name.decode() for name, _ in keys} - {name for name, _ in to.provider.headers}
    assert told == {f"header {name}" for name in missed}


OAUTH = OAUTH_BETA.encode()


def betas_sent(to, *values):
    sent = render(b'{"model":"m"}', to, [(b"anthropic-beta", value) for value in values]).headers
    return [value for name, value in sent if name == b"anthropic-beta"]


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_the_logins_beta_goes_where_the_login_goes(preset):
    goes = PRESETS[preset].auth == "client"
    assert betas_sent(target(preset), b"a," + OAUTH + b",b") == [b"a," + OAUTH + b",b" if goes else b"a,b"]


@pytest.mark.parametrize(
    "more",
    [
        {"api_key": Literal("k")},
        {"headers": (("authorization", Literal("Bearer k")),)},
        {"headers": (("x-api-key", Literal("k")),)},
    ],
)
def test_the_logins_beta_stays_behind_where_the_user_gave_another_credential(more):
    assert betas_sent(target("anthropic", **more), OAUTH + b",a") == [b"a"]
    assert betas_sent(target("anthropic", headers=(("x-team", Literal("core")),)), OAUTH) == [OAUTH]


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (OAUTH, []),
        (OAUTH + b", a", [b"a"]),
        (b"a, " + OAUTH, [b"a"]),
        (b"a , " + OAUTH + b" , b", [b"a , b"]),
        (b" " + OAUTH + b" ", []),
        (OAUTH + b"-2", [OAUTH + b"-2"]),
        (b"a,  b", [b"a,  b"]),
    ],
)
def test_a_list_of_betas_without_the_logins_is_still_a_header(value, sent):
    assert betas_sent(target("ollama"), value) == sent


@pytest.mark.parametrize(
    ("headers", "added"),
    [
        ([], [(b"anthropic-beta", b"x,y")]),
        ([(b"a", b"1")], [(b"a", b"1"), (b"anthropic-beta", b"x,y")]),
        ([(b"anthropic-beta", b"a, x")], [(b"anthropic-beta", b"a, x,y")]),
        (
            [(b"anthropic-beta", b"a"), (b"anthropic-beta", b"y")],
            [(b"anthropic-beta", b"a,x"), (b"anthropic-beta", b"y")],
        ),
        ([(b"anthropic-beta", b"y,x")], [(b"anthropic-beta", b"y,x")]),
    ],
)
def test_betas_are_added_where_they_are_missing(headers, added):
    before = list(headers)
    assert with_betas(headers, ("x", "y")) == added
    assert headers == before


# Replies

REPLY = [
    (b"content-type", b"application/json"),
    (b"content-length", b"10"),
    (b"transfer-encoding", b"chunked"),
    (b"connection", b"x-hop"),
    (b"x-hop", b"1"),
    (b"content-encoding", b"gzip"),
    (b"content-digest", b"sha-256=:x:"),
    (b"request-id", b"req_1"),
    (b"retry-after", b"5"),
    (b"anthropic-ratelimit-unified-status", b"allowed"),
    (b"set-cookie", b"a=b"),
]


def test_anthropics_reply_headers_are_passed_on_but_for_those_of_the_connection():
    kept = reply_headers(REPLY, PRESETS["anthropic"], decoded=False)
    assert kept == [REPLY[0], *REPLY[5:]]


def test_headers_of_a_coding_go_with_it():
    kept = reply_headers(REPLY, PRESETS["anthropic"], decoded=True)
    assert kept == [REPLY[0], *REPLY[7:]]


@pytest.mark.parametrize("preset", sorted(name for name, row in PRESETS.items() if not row.first_party))
def test_nobody_elses_limits_are_shown_as_the_users_plan(preset):
    kept = reply_headers(REPLY, PRESETS[preset], decoded=True)
    assert kept == [REPLY[0], REPLY[7], REPLY[8]]
