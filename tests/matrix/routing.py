"""What a rule's conditions and a backend's failures lead to: one row for each of them, measured through a router.

`CONDITIONS` has for each key of ``[[routes]] when`` a condition, a request for which it holds, one for which it
doesn't, and a value that is none. `FAILURES` has for each kind of `ccrouter.routing.failure` what a backend does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import trio
from attrs import field, frozen

from ccrouter.errors import ConfigError, ConnectFailed, UpstreamBroken, UpstreamTimeout
from ccrouter.providers.presets import PRESETS
from ccrouter.providers.provider import Model
from ccrouter.routing.config import Config
from ccrouter.routing.load import parse
from ccrouter.wire import envelope
from tests.rig import JSON, Rig, Script, Sleep, Step, message, provider, request, rig, talk

# ------------------------------------------------------------------------------------------ conditions

#: A Saturday.
NOON = datetime(2026, 11, 28, 12, 0)


@frozen(kw_only=True)
class Asked:
    """A request: its fields, and its headers with ``_`` for ``-``."""

    fields: Mapping[str, Any] = field(factory=dict)
    headers: Mapping[str, str] = field(factory=dict)


def asked(*, fields: Mapping[str, Any] | None = None, **headers: str) -> Asked:
    return Asked(fields=fields or {}, headers=headers)


def of_class(name: str, **more: str) -> Asked:
    return Asked(headers={"x_claude_code_request_class": name, **more})


def with_block(**block: Any) -> Asked:
    return asked(fields={"messages": [{"role": "user", "content": [block]}]})


@frozen(kw_only=True)
class Condition:
    """``when`` and ``none`` are TOML; the latter is to be refused."""

    when: str
    holds: Asked = field(factory=Asked)
    fails: Asked = field(factory=Asked)
    none: str


_SEARCH = {"type": "web_search_20250305", "name": "web_search"}
_READ = {"name": "Read", "input_schema": {"type": "object"}}
_IMAGE = {"type": "base64", "media_type": "image/png", "data": "AAAA"}
_PLAIN = {"type": "text", "media_type": "text/plain", "data": "x"}
_LONG = {"messages": [{"role": "user", "content": "word " * 2000}]}
_TITLE = {
    "tools": [],
    "output_config": {"format": {"type": "json_schema", "schema": {"properties": {"title": {"type": "string"}}}}},
}

CONDITIONS: Mapping[str, Condition] = {
    "class": Condition(
        when='class = "compaction"',
        holds=of_class("compaction"),
        fails=of_class("main"),
        none='class = "hologram"',
    ),
    "class, by signs": Condition(
        when='class = "subagent"', holds=asked(x_claude_code_agent_id="a1"), none='class = ["main", "hologram"]'
    ),
    "class, of a task": Condition(
        when='class = "title"', holds=asked(fields=_TITLE), fails=of_class("auxiliary"), none="class = []"
    ),
    "agent": Condition(
        when='agent = "Expl*"',
        holds=of_class("subagent", x_claude_code_agent_type="Explore"),
        fails=of_class("subagent", x_claude_code_agent_type="Plan"),
        none="agent = 5",
    ),
    "model": Condition(
        when='model = "claude-*"',
        holds=asked(fields={"model": "claude-opus-5-5"}),
        fails=asked(fields={"model": "gpt"}),
        none='model = ""',
    ),
    "tokens_over": Condition(when="tokens_over = 1000", holds=asked(fields=_LONG), none="tokens_over = 0"),
    "tokens_under": Condition(when="tokens_under = 1000", fails=asked(fields=_LONG), none='tokens_under = "1k"'),
    "has images": Condition(
        when='has = "images"', holds=with_block(type="image", source=_IMAGE), none='has = "holograms"'
    ),
    "has documents": Condition(
        when='has = "documents"', holds=with_block(type="document", source=_PLAIN), none="has = true"
    ),
    "has tools": Condition(when='has = "tools"', holds=asked(fields={"tools": [_READ]}), none="has = []"),
    "has thinking": Condition(
        when='has = "thinking"',
        holds=asked(fields={"thinking": {"type": "adaptive"}}),
        fails=asked(fields={"thinking": {"type": "disabled"}}),
        none='has = ["thinking", 1]',
    ),
    "server_tool": Condition(
        when='server_tool = "web_search"',
        holds=asked(fields={"tools": [_SEARCH]}),
        fails=asked(fields={"tools": [_READ]}),
        none="server_tool = false",
    ),
    "effort": Condition(
        when='effort = "high"',
        holds=asked(fields={"output_config": {"effort": "max"}}),
        fails=asked(fields={"output_config": {"effort": "medium"}}),
        none='effort = "enormous"',
    ),
    "headers": Condition(
        when='headers = { x-team = "core*" }',
        holds=asked(x_team="core-two"),
        fails=asked(x_team="other"),
        none='headers = { authorization = "*" }',
    ),
    "project": Condition(
        when='project = "~/work"',
        holds=asked(x_ccrouter_project="/home/user/work/w%C3%B6rk%20dir"),
        fails=asked(x_ccrouter_project="/home/user/workshop"),
        none="project = 5",
    ),
    "hours": Condition(when='hours = "11:30-12:01"', none='hours = "11:30-25:00"'),
    "days": Condition(when='days = ["fri", "sat"]', none='days = "caturday"'),
    "profile": Condition(when='profile = "here"', none="profile = 1"),
    "quota_over": Condition(when="quota_over = { anthropic = 80 }", none="quota_over = { anthropic = 0 }"),
    "nothing": Condition(when="", fails=of_class("auxiliary"), none="hologram = 1"),
}

#: Of these the moment decides and not the request: another one.
LATER = {"hours": datetime(2026, 11, 28, 12, 1), "days": datetime(2026, 11, 29, 12, 0)}


def configuration(when: str, more: str = "") -> Config:
    text = f"""{more}
[providers.anthropic]
[providers.one]
preset = "messages"
base_url = "https://one.example"
[profiles.here]
[[routes]]
when = {{ {when} }}
use = "one:m"
"""
    return parse(text, where="config.toml", presets=PRESETS)


async def goes_to(name: str, *, holds: bool) -> str:
    """Who gets the request: the rule's target, or the one that it has without the rule."""
    row = CONDITIONS[name]
    config = configuration(row.when, 'profile = "here"' if name == "profile" and holds else "")
    moment = NOON if holds else LATER.get(name, NOON)
    providers = [provider("anthropic"), config.providers["one"]]
    it = rig(Script(body=message()), providers=providers, config=config, now=lambda: moment)
    if name == "quota_over":
        used = b"0.81" if holds else b"0.80"
        plan = [
            (b"anthropic-ratelimit-unified-5h-utilization", used),
            (b"anthropic-ratelimit-unified-5h-reset", b"9999999999"),
        ]
        it.backends.quotas.hear(providers[0], plan, it.backends.clock())
    wanted = row.holds if holds else row.fails
    headers = [(key.replace("_", "-").encode(), value.encode()) for key, value in wanted.headers.items()]
    async with talk(it) as client:
        await client.send(request(**wanted.fields), headers)
        await client.reply()
    return _served(it)


def refused(name: str) -> str:
    """What the configuration's user hears of a value that is none."""
    try:
        configuration(CONDITIONS[name].none)
    except ConfigError as error:
        return str(error).partition("routes[0].when.")[2] or str(error)
    return "taken"


# ------------------------------------------------------------------------------------------ failures

#: Beyond the point up to which a failure has a status of its own.
COMMITTED = Sleep(20)


@frozen(kw_only=True)
class Failing:
    """What a backend does with a call. ``facts``: what is known of its model."""

    error: Exception | None = None
    status: int = 0
    words: str = "no"
    headers: Mapping[str, str] = field(factory=dict)
    body: tuple[Step, ...] = ()
    facts: Mapping[str, Any] = field(factory=dict)

    def script(self, *, committed: bool) -> Script:
        before: list[Sleep | Exception] = [COMMITTED] if committed else []
        if self.error is not None:
            return Script(before=[*before, self.error], where="one")
        if not self.status:
            return Script(before=before, body=self.body, where="one")
        kind = envelope.kind_of(self.status)
        body = json.dumps({"type": "error", "error": {"type": kind, "message": self.words}}).encode()
        headers = [
            *JSON,
            *((key.replace("_", "-").encode(), value.encode()) for key, value in self.headers.items()),
        ]
        return Script(before=before, status=self.status, headers=headers, body=[body], where="one")


FAILURES: Mapping[str, Failing] = {
    "connect": Failing(error=ConnectFailed("no connection")),
    "timeout": Failing(error=UpstreamTimeout("no first byte in 600 s", "first_byte")),
    "broken": Failing(error=UpstreamBroken("it hung up", before_reply=True)),
    "garbled": Failing(body=(b"event: message_start\n", UpstreamBroken("half a reply"))),
    "rate_limit": Failing(status=429, headers={"retry_after": "1"}),
    "quota": Failing(status=429, headers={"x_should_retry": "false"}),
    "model_quota": Failing(
        status=429,
        headers={
            "anthropic_ratelimit_unified_status": "rejected",
            "anthropic_ratelimit_unified_representative_claim": "seven_day_opus",
        },
    ),
    "overloaded": Failing(status=529),
    "server": Failing(status=500),
    "missing_model": Failing(status=404),
    "overflow": Failing(status=400, words="prompt is too long: 201000 tokens > 200000 maximum"),
    "capability": Failing(facts={"tools": False}),
    "credential": Failing(status=401),
    "request": Failing(status=400),
    "stopped": Failing(body=(Sleep(1000),)),
}

#: The ways in which each is measured.
WAYS = ("alone", "in a list", "past the commit")


async def becomes(name: str, way: str) -> str:
    """What the client hears, and who was tried."""
    row = FAILURES[name]
    one = provider("one", "messages", models=(Model("m", **row.facts),))
    # Larger than the first one's, or it would not be tried after an overflow.
    two = provider("two", "messages", models=(Model("m", window=300_000),))
    names = ("one:m",) if way == "alone" else ("one:m", "two:m")
    script = row.script(committed=way == "past the commit")
    answer = Script(body=message(), where="two")
    it = rig(script, answer, providers=[one, two], aliases={"big": names})
    tools = [_READ] if row.facts else []
    async with talk(it) as client:
        await client.send(request(model="big", tools=tools))
        if name == "stopped":
            await trio.sleep(COMMITTED.seconds if way == "past the commit" else 1)
            it.ending.set()
        body = await client.reply()
    return f"{_heard(client.status, body)} by {_served(it)}"


def _heard(status: int, body: bytes) -> str:
    if status != 200:
        return f"{status} {json.loads(body)['error']['type']}"
    events = [json.loads(line[6:]) for line in body.decode().splitlines() if line.startswith("data: ")]
    last = events[-1]
    return f"event {last['error']['type']}" if last["type"] == "error" else "answer"


def _served(it: Rig) -> str:
    """The hosts that were called, in their order."""
    hosts = [call.url.split("/")[2].removesuffix(".example") for call in it.dial.calls]
    return ", ".join("claude" if host == "api.anthropic.com" else host for host in hosts) or "nobody"
