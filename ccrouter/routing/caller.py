"""What the client says of a request: what it is for, which agent asks, in which session, in which directory. Pure.

Newer clients say it in headers, when they are asked to (``CLAUDE_CODE_GATEWAY_HINT_HEADERS``, which `ccrouter`
sets wherever it starts or points one). For the others there are signs: what such requests have looked like in
every version that was measured. A sign that fails makes a main request of a request, never another model's of the
safety checks'. Sources: the client's gateway guide, and requests of 2.1.329 and 2.1.197, 2026-11.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal, cast, get_args
from urllib.parse import unquote

from attrs import frozen

from ccrouter.wire import headers as http
from ccrouter.wire.headers import Headers
from ccrouter.wire.messages import attribution

RequestClass = Literal["main", "subagent", "workflow", "compaction", "auxiliary", "side_reply"]

#: Two kinds of auxiliary requests that the client doesn't tell apart, and its user may want to.
Task = Literal["classifier", "title"]

_CLASSES = frozenset(get_args(RequestClass))
_HINT = b"x-claude-code-request-class"
_AGENT_TYPE = b"x-claude-code-agent-type"
_AGENT_ID = b"x-claude-code-agent-id"
_SESSION = b"x-claude-code-session-id"

_COMPACTION = "CRITICAL: Respond with TEXT ONLY"

#: Where the safety check of either stage stops, as far as it says so, and how its system prompt begins.
_CHECK_STOPS = ("</block>", "</severity>")
_CHECK = "You are a security monitor for autonomous AI coding agents"

#: How the client's description of its surroundings begins, where a model takes no system role in messages.
_REMINDER = "<system-reminder>\n# Environment\n"

#: How the system prompts of the client's own agents begin, alike in both versions. The prompt of an agent that its
#: user made is the text of its file, and no version says its name: all of those are ``custom``, as newer clients
#: call them.
AGENTS = (
    ("Explore", "You are a file search specialist for Claude Code"),
    ("Plan", "You are a software architect and planning specialist for Claude Code"),
    ("general-purpose", "You are an agent for Claude Code, Anthropic's official CLI for Claude."),
    ("statusline-setup", "You are a status line setup agent for Claude Code."),
    ("claude", "This session is a background job. The user may be live or away"),
    ("claude-code-guide", "You are the Claude guide agent."),
    ("workflow-subagent", "You are a subagent spawned by a workflow orchestration script."),
)
CUSTOM = "custom"

_DIRECTORY = re.compile(r"(?: - )?(?:Primary working|Working) directory: (.+)")
#: What is in such a line, and hardly elsewhere: to search for it is far quicker than to look at each line.
_IN_DIRECTORY = "orking directory: "

#: Under what it stands, in the main conversation and in older agents: the client's own words, and their beginning.
_CLIENTS_WORDS = (
    "# Environment\nYou have been invoked in the following environment",
    "Here is useful information about the environment you are running in:\n<env>\n",
)
_HEADINGS = ("# Environment\n", "<env>\n")

#: No path of a directory is longer.
_LONGEST_PATH = 4096

#: What names a session or an agent is kept in memory and on disk; no id of the client's is longer.
_LONGEST = 128


_Said = Mapping[bytes, bytes]


@frozen(kw_only=True)
class Caller:
    """Who asks, and how that is known. ``sign`` is a clause for people."""

    kind: RequestClass = "main"
    sign: str = "nothing says otherwise"
    agent: str | None = None
    """The type of the agent, such as ``Explore``."""
    task: Task | None = None
    session: str | None = None
    agent_id: str | None = None
    project: str | None = None
    """The client's directory."""

    @property
    def classes(self) -> frozenset[str]:
        """The words of `routing.values.CLASSES` that fit."""
        return frozenset({self.kind} if self.task is None else {self.kind, self.task})

    @property
    def is_agent(self) -> bool:
        """Whether an agent asks that another one started, be it to compact its own conversation."""
        return self.kind == "subagent" or (self.agent_id is not None and not self.background)

    @property
    def background(self) -> bool:
        """Whether nobody reads the answer: titles, summaries, safety checks."""
        return self.kind == "auxiliary"


def caller(headers: Headers, fields: Mapping[str, Any]) -> Caller:
    """Who asks. ``fields`` are the request's, of any shape."""
    said = dict(reversed(headers))  # the first of each
    task = _task(fields)
    kind, sign = _kind(said, fields, task)
    return Caller(
        kind=kind,
        sign=sign,
        agent=_agent(said, fields) if kind in {"subagent", "workflow"} else None,
        task=task if kind == "auxiliary" else None,
        session=_id(said, _SESSION),
        agent_id=_id(said, _AGENT_ID),
        project=_project(said, fields),
    )


def _kind(headers: _Said, fields: Mapping[str, Any], task: Task | None) -> tuple[RequestClass, str]:
    hint = headers.get(_HINT, b"").decode("latin-1").strip()
    if hint in _CLASSES:
        return cast("RequestClass", hint), f"the client says so ({_HINT.decode()})"
    if _AGENT_ID in headers:
        return "subagent", f"it has the header {_AGENT_ID.decode()}"
    if "cc_is_subagent=true" in (attribution(fields.get("system")) or ""):
        return "subagent", "its attribution says cc_is_subagent"
    if task is not None:
        return "auxiliary", {
            "classifier": "it looks like a safety check (its prompt, or where its answer is to stop)",
            "title": "it looks like the question for a title (a schema with nothing but `title`)",
        }[task]
    if _last_words(fields).startswith(_COMPACTION):
        return "compaction", f"its last text begins with {_COMPACTION!r}"
    return "main", Caller().sign


def _task(fields: Mapping[str, Any]) -> Task | None:
    if fields.get("tools"):
        return None
    if not fields.get("stream"):
        stops = fields.get("stop_sequences")
        if isinstance(stops, list) and any(each in stops for each in _CHECK_STOPS):
            return "classifier"
        if any(text.startswith(_CHECK) for text in texts_of(fields.get("system"))):
            return "classifier"
    config = fields.get("output_config")
    form = config.get("format") if isinstance(config, dict) else None
    schema = form.get("schema") if isinstance(form, dict) else None
    properties = schema.get("properties") if isinstance(schema, dict) else None
    if isinstance(properties, dict) and list(properties) == ["title"]:
        return "title"
    return None


def _agent(headers: _Said, fields: Mapping[str, Any]) -> str:
    if (said := _id(headers, _AGENT_TYPE)) is not None:
        return said
    for text in texts_of(fields.get("system")):
        for name, beginning in AGENTS:
            if text.lstrip().startswith(beginning):
                return name
    return CUSTOM


def _id(headers: _Said, name: bytes) -> str | None:
    said = headers.get(name, b"").decode("latin-1").strip()
    return said if said and len(said) <= _LONGEST and said.isprintable() else None


def _project(headers: _Said, fields: Mapping[str, Any]) -> str | None:
    said = headers.get(http.PROJECT, b"").decode("latin-1")
    found = unquote(said).strip() if said else _told(fields)
    return found if 0 < len(found) <= _LONGEST_PATH else None


def _told(fields: Mapping[str, Any]) -> str:
    """What the client's description of its surroundings says.

    Other texts may hold such a line too: an agent's own, which stands before the description, and what a user
    adds, which stands behind it. The client's own words count most, then such a heading, then the first line.
    """
    best, found = -1, ""
    for text in _surroundings(fields):
        if _IN_DIRECTORY not in text:
            continue
        rank, place = _described(text)
        line = next((line.strip() for line in _directories(text, place) if line.strip()), "")
        if line and (rank > best or rank == best > 0):
            best, found = rank, line
    return found


def _described(text: str) -> tuple[int, int]:
    """How certainly a text describes the surroundings, and from where on."""
    for rank, headings in ((2, _CLIENTS_WORDS), (1, _HEADINGS)):
        place = max(_last_line(text, heading) for heading in headings)
        if place >= 0:
            return rank, place
    return 0, 0


def _last_line(text: str, beginning: str) -> int:
    """Where the last line stands that begins so; -1: there is none."""
    place = text.rfind("\n" + beginning)
    if place < 0:
        return 0 if text.startswith(beginning) else -1
    return place + 1


def _directories(text: str, end: int) -> Iterator[str]:
    """What the lines of a text name as the directory."""
    while end >= 0 and (place := text.find(_IN_DIRECTORY, end)) >= 0:
        if (found := _DIRECTORY.match(text, text.rfind("\n", end, place) + 1 or end)) is not None:
            yield found[1]
        end = text.find("\n", place)


def _surroundings(fields: Mapping[str, Any]) -> Iterator[str]:
    """Where the client describes its surroundings: the system prompt, or an early message.

    That has the system's role, or is a reminder in the user's, by the model.
    """
    yield from texts_of(fields.get("system"))
    messages = fields.get("messages")
    for message in messages[:3] if isinstance(messages, list) else ():
        if isinstance(message, dict):
            by_system = message.get("role") == "system"
            yield from (
                text for text in texts_of(message.get("content")) if by_system or text.startswith(_REMINDER)
            )


def texts_of(content: object) -> Iterator[str]:
    """The texts of a string or of a list of blocks."""
    if isinstance(content, str):
        yield content
    for block in content if isinstance(content, list) else ():
        text = block.get("text") if isinstance(block, dict) else None
        if isinstance(text, str):
            yield text


def _last_words(fields: Mapping[str, Any]) -> str:
    """The last text that the user's side said."""
    messages = fields.get("messages")
    for message in reversed(messages) if isinstance(messages, list) else ():
        if isinstance(message, dict) and message.get("role") == "user":
            words = ""
            for words in texts_of(message.get("content")):  # noqa: B007  the last one counts
                pass
            return words.lstrip()
    return ""
