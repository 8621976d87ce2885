"""What the client says of a request: what it is for, which agent asks, in which session, in which directory. Pure.

Newer clients say it in headers, when they are asked to (``CLAUDE_CODE_GATEWAY_HINT_HEADERS``, which `ccrouter`
sets wherever it starts or points one). For the others there are signs, in `ccrouter.wire.claude_code`: what such
requests have looked like in every version that was measured. A sign that fails makes a main request of a request,
never another model's of the safety checks'. Sources: the client's gateway guide, and requests of 2.1.329 and
2.1.197, 2026-11.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal, cast, get_args
from urllib.parse import unquote

from attrs import frozen

from ccrouter.wire import claude_code
from ccrouter.wire import headers as http
from ccrouter.wire.claude_code import (
    AGENT_ID_HEADER,
    AGENT_TYPE_HEADER,
    CLASS_HEADER,
    SESSION_HEADER,
    SURROUNDINGS_REMINDER,
    RequestClass,
)
from ccrouter.wire.headers import Headers
from ccrouter.wire.messages import attribution

#: Two kinds of auxiliary requests that the client doesn't tell apart, and its user may want to.
Task = Literal["classifier", "title"]

_CLASSES = frozenset(get_args(RequestClass))

#: No description of the surroundings is more certain than one in the client's own words.
_CERTAIN = 2

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
        session=_id(said, SESSION_HEADER),
        agent_id=_id(said, AGENT_ID_HEADER),
        project=_project(said, fields),
    )


def _kind(headers: _Said, fields: Mapping[str, Any], task: Task | None) -> tuple[RequestClass, str]:
    hint = headers.get(CLASS_HEADER, b"").decode("latin-1").strip()
    if hint in _CLASSES:
        return cast("RequestClass", hint), f"the client says so ({CLASS_HEADER.decode()})"
    if AGENT_ID_HEADER in headers:
        return "subagent", f"it has the header {AGENT_ID_HEADER.decode()}"
    if claude_code.OF_SUBAGENT in (attribution(fields.get("system")) or ""):
        return "subagent", f"its attribution says {claude_code.OF_SUBAGENT.removesuffix('=true')}"
    if task is not None:
        return "auxiliary", {
            "classifier": "it looks like a safety check (its prompt, or where its answer is to stop)",
            "title": "it looks like the question for a title (a schema with nothing but `title`)",
        }[task]
    if _last_words(fields).startswith(claude_code.COMPACTION):
        return "compaction", f"its last text begins with {claude_code.COMPACTION!r}"
    return "main", Caller().sign


def _task(fields: Mapping[str, Any]) -> Task | None:
    if fields.get("tools"):
        return None
    if not fields.get("stream"):
        stops = fields.get("stop_sequences")
        if isinstance(stops, list) and any(each in stops for each in claude_code.CHECK_STOPS):
            return "classifier"
        if any(text.startswith(claude_code.CHECK) for text in texts_of(fields.get("system"))):
            return "classifier"
    config = fields.get("output_config")
    form = config.get("format") if isinstance(config, dict) else None
    schema = form.get("schema") if isinstance(form, dict) else None
    properties = schema.get("properties") if isinstance(schema, dict) else None
    if isinstance(properties, dict) and tuple(properties) == claude_code.TITLE:
        return "title"
    return None


def _agent(headers: _Said, fields: Mapping[str, Any]) -> str:
    if (said := _id(headers, AGENT_TYPE_HEADER)) is not None:
        return said
    for text in texts_of(fields.get("system")):
        for name, beginning in claude_code.AGENTS:
            if text.lstrip().startswith(beginning):
                return name
    return claude_code.CUSTOM


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
    adds, which stands behind it. The client's own words count most, the last ones; then such a heading; then the
    first line. Newer clients describe them behind a long system prompt, which need not be searched then.
    """
    best, found = 0, ""
    for text in _surroundings(fields):
        if claude_code.IN_DIRECTORY not in text:
            continue
        rank, place = _described(text)
        line = next((line.strip() for line in _directories(text, place) if line.strip()), "")
        if line and (rank > best or rank == best == 0):
            best, found = rank, line
        if best == _CERTAIN:
            break
    return found


def _described(text: str) -> tuple[int, int]:
    """How certainly a text describes the surroundings, and from where on."""
    for rank, headings in ((_CERTAIN, claude_code.SURROUNDINGS), (1, claude_code.SURROUNDINGS_HEADINGS)):
        place = max([_last_line(text, heading) for heading in headings])
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
    while end >= 0 and (place := text.find(claude_code.IN_DIRECTORY, end)) >= 0:
        if (found := claude_code.DIRECTORY.match(text, text.rfind("\n", end, place) + 1 or end)) is not None:
            yield found[1]
        end = text.find("\n", place)


def _surroundings(fields: Mapping[str, Any]) -> Iterator[str]:
    """Where the client describes its surroundings, from the last on: an early message, or the system prompt.

    That has the system's role, or is a reminder in the user's, by the model.
    """
    messages = fields.get("messages")
    for message in reversed(messages[:3]) if isinstance(messages, list) else ():
        if isinstance(message, dict):
            by_system = message.get("role") == "system"
            for text in reversed(texts_of(message.get("content"))):
                if by_system or text.startswith(SURROUNDINGS_REMINDER):
                    yield text
    yield from reversed(texts_of(fields.get("system")))


def texts_of(content: object) -> list[str]:
    """The texts of a string or of a list of blocks."""
    if isinstance(content, str):
        return [content]
    blocks = content if isinstance(content, list) else ()
    texts = [block.get("text") for block in blocks if isinstance(block, dict)]
    return [text for text in texts if isinstance(text, str)]


def _last_words(fields: Mapping[str, Any]) -> str:
    """The last text that the user's side said."""
    messages = fields.get("messages")
    for message in reversed(messages) if isinstance(messages, list) else ():
        if isinstance(message, dict) and message.get("role") == "user":
            texts = texts_of(message.get("content"))
            return texts[-1].lstrip() if texts else ""
    return ""
