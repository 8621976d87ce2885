from __future__ import annotations

import pytest

from ccrouter.errors import ConnectFailed
from ccrouter.upstream.proxy import Origin, Proxy, Route, find_route, split_url

API = Origin("https", "api.example.com", 443)
PLAIN = Origin("http", "models.example.com", 8000)


@pytest.mark.parametrize(
    ("url", "origin", "target"),
    [
        ("http://127.0.0.1:11434/v1/messages", Origin("http", "127.0.0.1", 11434), "/v1/messages"),
        ("https://API.Example.com/v1/messages?beta=true", API, "/v1/messages?beta=true"),
        ("https://api.example.com:443", API, "/"),
        ("http://api.example.com", Origin("http", "api.example.com", 80), "/"),
        ("https://api.example.com:8443/a%2Fb/c", Origin("https", "api.example.com", 8443), "/a%2Fb/c"),
        ("http://[::1]:1234/v1", Origin("http", "::1", 1234), "/v1"),
        ("http://h:1/?q=a+b&x=%20;#part", Origin("http", "h", 1), "/?q=a+b&x=%20;"),
        ("http://h:1/ä b?ö", Origin("http", "h", 1), "/%C3%A4%20b?%C3%B6"),
        ("http://bücher.example/", Origin("http", "xn--bcher-kva.example", 80), "/"),
    ],
)
def test_a_url_is_an_origin_and_a_request_target(url, origin, target):
    assert split_url(url) == (origin, target)


@pytest.mark.parametrize(
    ("origin", "authority", "address", "text"),
    [
        (API, "api.example.com", "api.example.com:443", "https://api.example.com"),
        (Origin("http", "::1", 1234), "[::1]:1234", "[::1]:1234", "http://[::1]:1234"),
        (Origin("http", "::1", 80), "[::1]", "[::1]:80", "http://[::1]"),
    ],
)
def test_an_origin_is_written_with_its_port_where_the_scheme_does_not_imply_it(origin, authority, address, text):
    assert (origin.authority, origin.address, str(origin)) == (authority, address, text)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("https://user:hunter2@api.example.com/v1", "carries a user or password.*base_url"),
        ("https://hunter2@api.example.com/v1", "carries a user or password"),
        ("http://user:hun/ter2@host/", "cannot be read"),
        ("ftp://host/hunter2", "must begin with http:// or https://"),
        ("socks5://host:1/hunter2", "must begin with http:// or https://"),
        ("api.example.com/hunter2", "cannot be read"),
        ("", "cannot be read"),
        ("http://", "cannot be read"),
        ("http://host:99999/hunter2", "cannot be read"),
        ("http://host:0/hunter2", "cannot be read"),
        ("http://[::1/hunter2", "cannot be read"),
        ("http://" + "ü" * 70 + "/hunter2", "cannot be read"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_in_a_line_without_its_secrets(url, message):
    with pytest.raises(ConnectFailed, match=message) as caught:
        split_url(url)
    assert "hun" not in str(caught.value)
    assert "ter2" not in str(caught.value)


def chosen(origin: Origin, **environ: str) -> str | None:
    proxy = find_route(origin, environ).proxy
    return None if proxy is None else f"{proxy.variable}: {proxy}"


@pytest.mark.parametrize(
    ("origin", "environ", "expected"),
    [
        (API, {}, None),
        (API, {"HTTPS_PROXY": "http://p:1"}, "HTTPS_PROXY: http://p:1"),
        (API, {"https_proxy": "http://p:1"}, "https_proxy: http://p:1"),
        (API, {"https_proxy": "http://lower:1", "HTTPS_PROXY": "http://UPPER:2"}, "https_proxy: http://lower:1"),
        (API, {"https_proxy": " ", "HTTPS_PROXY": "http://UPPER:2"}, "HTTPS_PROXY: http://upper:2"),
        (API, {"HTTP_PROXY": "http://p:1"}, None),
        (PLAIN, {"HTTPS_PROXY": "http://p:1"}, None),
        (PLAIN, {"HTTP_PROXY": "http://p:1"}, "HTTP_PROXY: http://p:1"),
        (PLAIN, {"HTTP_PROXY": "http://p:1", "REQUEST_METHOD": "GET"}, "HTTP_PROXY: http://p:1"),
        (API, {"ALL_PROXY": "http://p:1"}, "ALL_PROXY: http://p:1"),
        (PLAIN, {"all_proxy": "https://p"}, "all_proxy: https://p"),
        (API, {"ALL_PROXY": "socks5://no:1", "HTTPS_PROXY": "http://p:1"}, "HTTPS_PROXY: http://p:1"),
        (API, {"HTTPS_PROXY": "p:3128"}, "HTTPS_PROXY: http://p:3128"),
        (API, {"HTTPS_PROXY": "http://[fd00::1]:3128/"}, "HTTPS_PROXY: http://[fd00::1]:3128"),
    ],
)
def test_the_environment_chooses_the_proxy(origin, environ, expected):
    assert chosen(origin, **environ) == expected


@pytest.mark.parametrize(
    ("host", "port", "exceptions", "direct"),
    [
        ("api.example.com", 443, "*", True),
        ("api.example.com", 443, "api.example.com", True),
        ("api.example.com", 443, "example.com", True),
        ("api.example.com", 443, ".example.com", True),
        ("api.example.com", 443, "*.example.com", True),
        ("example.com", 443, ".example.com", True),
        ("api.example.com", 443, "EXAMPLE.com", True),
        ("badexample.com", 443, "example.com", False),
        ("example.com.evil.net", 443, "example.com", False),
        ("api.example.com", 443, "other.org, example.com ,x", True),
        ("api.example.com", 443, "other.org example.com", True),
        ("api.example.com", 443, "example.com:443", True),
        ("api.example.com", 8443, "example.com:443", False),
        ("api.example.com", 443, ",, .", False),
        ("10.1.2.3", 80, "10.0.0.0/8", True),
        ("10.1.2.3", 80, "10.1.2.3", True),
        ("10.1.2.3", 80, "10.1.2.3:80", True),
        ("10.1.2.3", 80, "10.1.2.3:81", False),
        ("10.1.2.3", 80, "10.1.2.9/24", True),
        ("10.1.2.3", 80, "11.0.0.0/8", False),
        ("10.1.2.3", 80, "2.3", False),
        ("10.1.2.3", 80, "fd00::/8", False),
        ("fd00::7", 80, "fd00::/8", True),
        ("fd00::7", 80, "fd00::7", True),
        ("fd00::7", 80, "[fd00::7]", True),
        ("fd00::7", 80, "[fd00::7]:80", True),
        ("fd00::7", 80, "[fd00::7]:81", False),
        ("api.example.com", 443, "10.0.0.0/8", False),
    ],
)
@pytest.mark.parametrize("variable", ["NO_PROXY", "no_proxy"])
def test_no_proxy_lists_who_is_reached_directly(host, port, exceptions, direct, variable):
    origin = Origin("http", host, port)
    found = chosen(origin, HTTP_PROXY="http://p:1", **{variable: exceptions})
    assert found == (None if direct else "HTTP_PROXY: http://p:1")


@pytest.mark.parametrize("host", ["localhost", "x.localhost", "127.0.0.1", "127.8.8.8", "::1", "0.0.0.0", "::"])
def test_loopback_is_never_reached_through_a_proxy_even_an_unusable_one(host):
    environ = {"ALL_PROXY": "socks5://p:1", "HTTP_PROXY": "nonsense://", "HTTPS_PROXY": "http://p:1"}
    for origin in (Origin("http", host, 1), Origin("https", host, 1)):
        assert find_route(origin, environ) == Route(origin)


@pytest.mark.parametrize("scheme", ["socks", "socks4", "socks5", "socks5h", "SOCKS5"])
def test_socks_is_refused_with_what_to_set_instead(scheme):
    with pytest.raises(ConnectFailed) as caught:
        find_route(API, {"ALL_PROXY": f"{scheme}://user:hunter2@p:1080"})
    assert str(caught.value) == (
        "cannot reach https://api.example.com: ALL_PROXY names a SOCKS proxy, which is not supported; set "
        "HTTPS_PROXY to an http:// or https:// proxy, or add api.example.com to NO_PROXY"
    )


@pytest.mark.parametrize("value", ["ftp://user:hunter2@p", "http://", "http://user:hunter2@p:port", "::"])
def test_what_is_no_proxys_url_is_named_by_its_variable_and_never_shown(value):
    with pytest.raises(ConnectFailed, match="HTTPS_PROXY is not a proxy's URL") as caught:
        find_route(API, {"HTTPS_PROXY": value})
    assert "hunter2" not in str(caught.value)


def test_the_login_of_a_proxy_is_decoded_sent_and_never_shown():
    proxy = find_route(API, {"HTTPS_PROXY": "http://us%40er:p%3Ass@p:3128"}).proxy
    assert proxy is not None
    assert proxy.authorization == b"Basic dXNAZXI6cDpzcw=="
    for text in (repr(proxy), str(proxy), str(Route(API, proxy)), repr(Route(API, proxy)), proxy.refusal(407, "")):
        assert "us@er" not in text
        assert "us%40er" not in text
        assert "dXNAZXI6cDpzcw" not in text


def test_a_user_without_a_password_is_a_login_too():
    proxy = find_route(API, {"HTTPS_PROXY": "http://token@p:3128"}).proxy
    assert proxy is not None
    assert proxy.authorization == b"Basic dG9rZW46"


def test_a_proxy_reads_requests_for_http_and_only_passes_on_https():
    proxy = Proxy(Origin("http", "p", 3128), "HTTP_PROXY", b"Basic eA==")
    plain, tunnelled, direct = Route(PLAIN, proxy), Route(API, proxy), Route(PLAIN)
    assert plain.request_target("/v1?x") == "http://models.example.com:8000/v1?x"
    assert plain.headers == [(b"proxy-authorization", b"Basic eA==")]
    assert plain.forwarder is proxy
    assert not plain.tunnelled
    assert tunnelled.request_target("/v1?x") == "/v1?x"
    assert tunnelled.headers == []
    assert tunnelled.forwarder is None
    assert tunnelled.tunnelled
    assert (direct.request_target("/v1?x"), direct.headers, direct.tunnelled) == ("/v1?x", [], False)


def test_routes_with_different_proxies_or_logins_are_different():
    origin = Origin("http", "p", 3128)
    routes = {
        Route(API),
        Route(API, Proxy(origin, "HTTPS_PROXY")),
        Route(API, Proxy(origin, "HTTPS_PROXY", b"Basic eA==")),
        Route(PLAIN, Proxy(origin, "HTTPS_PROXY")),
    }
    assert len(routes) == 4
    assert Route(API, Proxy(origin, "HTTPS_PROXY")) in routes


def test_a_route_is_named_with_its_proxy():
    assert str(Route(API)) == "https://api.example.com"
    proxy = Proxy(Origin("http", "p", 3128), "HTTPS_PROXY")
    assert str(Route(API, proxy)) == "https://api.example.com (through the proxy http://p:3128)"
