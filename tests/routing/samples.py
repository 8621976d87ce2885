"""What the tests of routing draw from: targets, failures of every kind, requests and their headers."""

from __future__ import annotations

import json

from hypothesis import strategies as st

from ccrouter.errors import ApiError, CapabilityRefused, ConnectFailed, Stopping, UpstreamBroken, UpstreamTimeout
from ccrouter.providers.presets import PRESETS
from ccrouter.providers.provider import Model, Provider, Target
from ccrouter.routing.caller import Caller, caller
from ccrouter.routing.failure import Failure, Kind, Refusal
from ccrouter.routing.traits import Moment, Traits
from ccrouter.routing.values import CLASSES, DAYS, EFFORTS, PARTS
from ccrouter.wire import envelope
from ccrouter.wire.messages import MessagesRequest, read_request


def provider(name="work", preset=None, **more):
    row = PRESETS[preset or (name if name in PRESETS else "messages")]
    return Provider(name=name, preset=row, base_url=row.base_url or f"https://{name}.example.com", **more)


def target(name="m", of="work", **facts):
    return Target(provider(of), name, Model(name, **facts))


# Failures


def refused(status, words="no", **headers):
    """A backend's refusal. ``headers`` with ``_`` for ``-``."""
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Refusal(status, pairs, envelope.write(ApiError(status, envelope.kind_of(status), words), "req_1"))


def told(status, words="no", **headers):
    """The same as an exception, as the router words it itself."""
    pairs = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return ApiError(status, envelope.kind_of(status), words, pairs)


def both(status, words="no", **headers):
    return [refused(status, words, **headers), told(status, words, **headers)]


def plan_refused(claim, **more):
    """By a plan's limit of that name."""
    said = {"status": "rejected", "representative_claim": claim}
    unified = {f"anthropic_ratelimit_unified_{name}": value for name, value in said.items()}
    return both(429, "this week's limit", **unified, **more)


TOO_LONG = "prompt is too long: 201000 tokens > 200000 maximum"

#: Failures of each kind, as they come: a reply of the backend, an error in our words, a broken connection.
FAILURES: dict[Kind, list[Failure]] = {
    "connect": [ConnectFailed("no connection")],
    "timeout": [UpstreamTimeout("no first byte in 600 s", "first_byte"), *both(408), *both(504)],
    "broken": [UpstreamBroken("it hung up", before_reply=True)],
    "garbled": [UpstreamBroken("half a reply")],
    "rate_limit": [
        *both(429),
        *both(429, retry_after="7"),
        *both(429, retry_after="7200"),
        *both(429, x_should_retry="true"),
    ],
    "quota": [
        *both(402),
        *both(429, x_should_retry="false"),
        *both(429, anthropic_ratelimit_unified_status="rejected", retry_after="9000"),
        *plan_refused("five_hour"),
        *plan_refused("seven_day"),
    ],
    "model_quota": [*plan_refused("seven_day_opus"), *plan_refused("seven_day_sonnet", retry_after="400000")],
    "overloaded": [
        *both(409),
        *both(503),
        *both(529),
        *both(529, retry_after="2"),
        *both(503, retry_after="3600"),
    ],
    "server": [*both(500), *both(502), *both(520), *both(500, x_should_retry="false")],
    "missing_model": both(404),
    "overflow": [
        *both(400, TOO_LONG),
        *both(413, TOO_LONG),
        *both(400, "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000"),
    ],
    "capability": [CapabilityRefused(400, "invalid_request_error", "work:m can't call tools")],
    "credential": [*both(401), *both(403)],
    "request": [*both(400), *both(405), *both(413), *both(422), *both(302)],
    "stopped": [Stopping(529, "overloaded_error", "ccrouter is being stopped", (("retry-after", "5"),))],
}


# Requests


def request(**fields) -> MessagesRequest:
    """A request with these members beside what each has."""
    whole = {"model": "claude-opus-5-5", "messages": [{"role": "user", "content": "hi"}], **fields}
    return read_request(json.dumps(whole).encode())


def headers(**named):
    """Headers as h11 gives them, from names with ``_`` for ``-``."""
    return [(name.replace("_", "-").encode(), value.encode()) for name, value in named.items()]


def traits(
    whole: MessagesRequest | None = None, *, moment=None, of: Caller | None = None, said=(), **fields
) -> Traits:
    """A request as rules see it. ``of`` is who asks, found out by its signs unless it is given."""
    whole = request(**fields) if whole is None else whole
    said = list(said)
    return Traits(whole, said, of or caller(said, whole.fields), moment or Moment())


# Rules and what they are asked of


def full(**plans: int) -> Moment:
    """How many per cent of each provider's plan are used up."""
    return Moment(fullness=plans.get)


LONG_TALK = [{"role": "user", "content": "word " * 1000}]
SEARCH = {"type": "web_search_20250305", "name": "web_search"}

_patterns = st.lists(st.sampled_from(["Explore", "claude-*", "*", "local", "x"]), min_size=1, max_size=2).map(
    tuple
)
CONDITIONS = st.fixed_dictionaries(
    {},
    optional={
        "classes": st.lists(st.sampled_from(CLASSES), min_size=1, max_size=3).map(tuple),
        "agent": _patterns,
        "model": _patterns,
        "tokens_over": st.sampled_from([1, 500, 5000]),
        "tokens_under": st.sampled_from([2, 501, 5001]),
        "has": st.lists(st.sampled_from(PARTS), min_size=1, max_size=2).map(tuple),
        "server_tool": st.just(("web_search",)),
        "effort": st.sampled_from(EFFORTS),
        "headers": st.just((("x-team", "core"),)),
        "project": st.sampled_from([("~",), ("/srv",)]),
        "hours": st.sampled_from([(0, 720), (720, 1440), (1380, 60)]),
        "days": st.lists(st.sampled_from(DAYS), min_size=1).map(tuple),
        "profile": _patterns,
        "quota_over": st.sampled_from([(("anthropic", 50),), (("codex", 50),)]),
    },
)
CALLERS = st.builds(
    Caller,
    kind=st.sampled_from(["main", "subagent", "compaction", "auxiliary"]),
    task=st.sampled_from([None, "title", "classifier"]),
    agent=st.sampled_from([None, "Explore"]),
    project=st.sampled_from([None, "/home/me/x", "/srv"]),
)
MOMENTS = st.builds(
    Moment,
    minute=st.integers(0, 1439),
    weekday=st.integers(0, 6),
    profile=st.sampled_from([None, "local"]),
    home=st.just("/home/me"),
    fullness=st.sampled_from([{}.get, {"anthropic": 40, "codex": 60}.get]),
)
REQUESTS = st.sampled_from(
    [
        request(),
        request(messages=LONG_TALK, tools=[SEARCH], thinking={"type": "adaptive"}),
        request(tools=[{"name": "x"}], output_config={"effort": "high"}),
    ]
)
SOME_HEADERS = st.sampled_from([[], headers(x_team="core"), headers(x_team="other")])
