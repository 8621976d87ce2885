"""Which variables point a program at the router, and which inherited ones would lead it past. Pure.

Two ways to carry the router's own token:

*token*
    in ``ANTHROPIC_AUTH_TOKEN``. Works for every client, and takes the place of a Claude login.
*login kept*
    as a header in ``ANTHROPIC_CUSTOM_HEADERS``. Claude Code goes on sending its own login or key, which the
    router forwards to Anthropic.

What is set and why is data here; where a line says *seen*, it was tried with Claude Code 2.1.329 and 2.1.197.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote, urlsplit

from attrs import frozen

from ccrouter.wire import headers as http
from ccrouter.wire.hosts import is_loopback

_TOKEN, _PROJECT = http.TOKEN.decode(), http.PROJECT.decode()

#: How a line of ``ANTHROPIC_CUSTOM_HEADERS`` begins that a router has set.
_OURS = (f"{_TOKEN}:", f"{_PROJECT}:")

DISCOVERY = "CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY"


@frozen
class Setting:
    """A variable that makes a client behave well behind a router. A user's value wins if it ``yields``."""

    name: str
    value: str
    why: str
    yields: bool = False


SETTINGS = (
    Setting(
        "CLAUDE_CODE_GATEWAY_HINT_HEADERS",
        "1",
        "requests say whether they are the main turn, a subagent's or a compaction; 2.1.273 and newer",
    ),
    Setting(
        "API_TIMEOUT_MS",
        "3600000",
        "the client's own ten minutes are short for a local model's reply that is not streamed; the router "
        "has deadlines for each phase, and this is the longest of them",
        yields=True,
    ),
)


@frozen
class Bypass:
    """A variable that leads requests past the router, or another gateway's credential to it."""

    name: str
    why: str


BYPASSES = (
    Bypass("ANTHROPIC_AUTH_TOKEN", "another gateway's token; it would take the place of the login"),
    Bypass("ANTHROPIC_UNIX_SOCKET", "requests go to that socket, whatever the base URL says (seen)"),
    Bypass("CLAUDE_CODE_USE_BEDROCK", "requests go to Amazon Bedrock (seen)"),
    Bypass("CLAUDE_CODE_USE_VERTEX", "requests go to Google Vertex AI (seen)"),
    Bypass("CLAUDE_CODE_USE_FOUNDRY", "requests go to Azure AI Foundry (seen)"),
    Bypass("CLAUDE_CODE_USE_MANTLE", "requests go to Amazon Bedrock (seen)"),
    Bypass("CLAUDE_CODE_USE_ANTHROPIC_AWS", "requests go to Anthropic on AWS (seen)"),
    Bypass("CLAUDE_CODE_USE_ANTHROPIC_GOOGLE_CLOUD", "requests go to Anthropic on Google Cloud (seen)"),
    Bypass("ANTHROPIC_BEDROCK_BASE_URL", "another gateway's address"),
    Bypass("ANTHROPIC_BEDROCK_MANTLE_BASE_URL", "another gateway's address"),
    Bypass("ANTHROPIC_VERTEX_BASE_URL", "another gateway's address"),
    Bypass("ANTHROPIC_FOUNDRY_BASE_URL", "another gateway's address"),
    Bypass("ANTHROPIC_AWS_BASE_URL", "another gateway's address"),
    Bypass("ANTHROPIC_GOOGLE_CLOUD_BASE_URL", "another gateway's address"),
)

_PROXIES = ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
_LOOPBACK = ("127.0.0.1", "localhost")
_OFF = frozenset({"", "0", "false", "no", "off"})


def strangers(environ: Mapping[str, str], url: str) -> tuple[str, ...]:
    """The variables that must not reach a client of the router at ``url``.

    ``ANTHROPIC_API_KEY`` is the user's own key and stays, unless it stands beside the address of some other
    host: then it is that host's key, and the router would forward it to Anthropic.
    """
    names = []
    address = environ.get("ANTHROPIC_BASE_URL", "").strip()
    if address and address.rstrip("/") != url:
        names.append("ANTHROPIC_BASE_URL")
        if environ.get("ANTHROPIC_API_KEY") and keys_are_foreign(environ):
            names.append("ANTHROPIC_API_KEY")
    names += [each.name for each in BYPASSES if environ.get(each.name, "").strip().lower() not in _OFF]
    return tuple(names)


def keys_are_foreign(environ: Mapping[str, str]) -> bool:
    """Whether keys in this environment are for a host that is neither Anthropic nor this machine."""
    address = environ.get("ANTHROPIC_BASE_URL", "").strip()
    if not address:
        return False
    try:
        host = urlsplit(address).hostname or ""
    except ValueError:
        return True
    return host != "api.anthropic.com" and not is_loopback(host)


def variables(
    url: str,
    token: str,
    environ: Mapping[str, str],
    *,
    login_kept: bool = False,
    discovery: bool = True,
    folder: str | None = None,
    windows: bool = False,
) -> dict[str, str]:
    """What to set on top of ``environ`` so that a client in it talks to the router at ``url``.

    ``folder`` is where the client is started, for rules about projects; percent-encoded, since the versions of the
    client disagree on how other letters travel in a header.
    """
    env = {"ANTHROPIC_BASE_URL": url}
    headers = [line.strip() for line in environ.get("ANTHROPIC_CUSTOM_HEADERS", "").split("\n")]
    sent = [line for line in headers if line and not line.lower().startswith(_OURS)]
    if folder is not None:
        sent.append(f"{_PROJECT}: {quote(folder, errors='surrogateescape')}")
    if login_kept:
        sent.append(f"{_TOKEN}: {token}")
    else:
        env["ANTHROPIC_AUTH_TOKEN"] = token
    inherited = any(line.lower().startswith(_OURS) for line in headers)  # of a router around us
    if login_kept or folder is not None or inherited:
        env["ANTHROPIC_CUSTOM_HEADERS"] = "\n".join(sent)
    if discovery and not login_kept:  # a client with nothing but a login does not ask for models
        env[DISCOVERY] = "1"
    env |= {
        setting.name: setting.value for setting in SETTINGS if not (setting.yields and environ.get(setting.name))
    }
    return env | _no_proxy(url, environ, windows=windows)


def printed(url: str, token: str, environ: Mapping[str, str], *, windows: bool = False) -> dict[str, str]:
    """What ``--print-env`` and ``env`` print: for any program, started by whoever reads it.

    A printed line can set a variable but not take one away; what must not stay is printed as empty, which
    Claude Code takes as unset (seen).
    """
    env = variables(url, token, environ, windows=windows)
    return env | {name: "" for name in strangers(environ, url) if name not in env}


def child_environ(environ: Mapping[str, str], env: Mapping[str, str], removed: tuple[str, ...]) -> dict[str, str]:
    """The whole environment of a process that is started with ``env``."""
    return {name: value for name, value in environ.items() if name not in removed} | dict(env)


def _no_proxy(url: str, environ: Mapping[str, str], *, windows: bool) -> dict[str, str]:
    """Keeps requests to the router away from a proxy.

    Seen: with a proxy set and no exception the client asks the proxy for 127.0.0.1. Of ``NO_PROXY`` and
    ``no_proxy`` one version reads both and the other the second first, so both get the same list.
    """
    if not any(environ.get(name) for name in _PROXIES):
        return {}
    names = ("NO_PROXY",) if windows else ("NO_PROXY", "no_proxy")
    listed = [host for name in names for host in re.split(r"[\s,]+", environ.get(name, "")) if host]
    if "*" in listed:
        return {}
    host = urlsplit(url).hostname or _LOOPBACK[0]
    merged = ",".join(dict.fromkeys([*listed, host, *_LOOPBACK]))
    return dict.fromkeys(names, merged)
