"""An agent's definition may name the model that it wants: a marker on a line of its own, in its prompt. Pure.

::

    <ccrouter-model>ollama:qwen3-coder:30b</ccrouter-model>

``<CCR-SUBAGENT-MODEL>PROVIDER,MODEL</CCR-SUBAGENT-MODEL>`` is read too, as claude-code-router has it. Only the
system prompt is searched, which is the text of the agent's file, also where an agent leads the conversation
(``claude --agent``; seen with 2.1.329 and 2.1.197, 2026-11): what was read or said in the conversation chooses no
model. The first marker counts; all are taken out of what is sent.
"""

from __future__ import annotations

import re

from attrs import frozen

from ccrouter.wire import spans
from ccrouter.wire.messages import MessagesRequest, read_request

# White space can be in one place only: a project's file may hold a prompt too, and none may take long.
_MARKER = re.compile(
    r"^[ \t]*<(ccrouter-model|CCR-SUBAGENT-MODEL)>"
    r"[ \t]*([^<>\s](?:[^<>\n]{0,254}[^<>\s])?)[ \t]*</\1>[ \t]*(?:\r?\n|$)",
    re.MULTILINE,
)
#: What JSON spells in more than one character.
_ESCAPE = re.compile(r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|.)")

#: How many further ones are taken out: one for each router that somebody uses.
_MOST = 7

_BEGINNINGS = ("ccrouter-model>", "CCR-SUBAGENT-MODEL>")


@frozen
class Marked:
    """The model that a request's prompt names, and the request without the marker."""

    model: str
    request: MessagesRequest


def marked(request: MessagesRequest) -> Marked | None:
    """The first marker in the system prompt; None where there is none. The others go with it."""
    first = _marked(request)
    if first is None:
        return None
    found = first
    for _ in range(_MOST):
        further = _marked(found.request)
        if further is None:
            break
        found = further
    return Marked(first.model, found.request)


def _marked(request: MessagesRequest) -> Marked | None:
    top = list(request.items)
    for position, item in enumerate(top):
        if item.key != "system" or not _may_hold_one(item.value):  # nearly always
            continue
        if isinstance(item.value, str) and (found := _MARKER.search(item.value)) is not None:
            return _without(request, found, [(top, position, item)])
        if not isinstance(item.value, list):
            continue
        blocks = spans.elements(request.text, item.start)
        for number, block in enumerate(blocks):
            if not isinstance(block.value, dict):
                continue
            for member in spans.members(request.text, block.start):
                if member.key != "text" or not isinstance(member.value, str):
                    continue
                if (found := _MARKER.search(member.value)) is not None:
                    return _without(request, found, [(blocks, number, member), (top, position, item)])
    return None


def _may_hold_one(system: object) -> bool:
    """A quick look, before places are searched for."""
    blocks = system if isinstance(system, list) else [system]
    texts = [each.get("text") if isinstance(each, dict) else each for each in blocks]
    return any(isinstance(text, str) and _begins_one(text) for text in texts)


def _begins_one(text: str) -> bool:
    """From one `<` to the next: prompts have few, and a single character is found ten times as fast as a word."""
    place = text.find("<")
    while place >= 0:
        if text.startswith(_BEGINNINGS, place + 1):
            return True
        place = text.find("<", place + 1)
    return False


_Place = tuple[list[spans.Item], int, spans.Item]


def _without(request: MessagesRequest, found: re.Match[str], places: list[_Place]) -> Marked:
    """The request without a marker. A block that was nothing else goes with it: empty texts are refused."""
    around, position, text = places[0]
    left = found.string[: found.start()] + found.string[found.end() :]
    if left.strip():
        begin, end = _places(request.text, text.start + 1, found.start(), found.end())
        edits = [spans.Edit(begin, end, "")]
    elif len(around) == 1 and len(places) > 1:
        edits = spans.remove(places[1][0], [places[1][1]])
    else:
        edits = spans.remove(around, [position])
    return Marked(found[2], read_request(spans.apply(request.text, edits).encode()))


def _places(text: str, start: int, *places: int) -> list[int]:
    """Where characters of a JSON string stand in its text, which begins at ``start``; in ascending order."""
    found = []
    escapes = _ESCAPE.finditer(text, start)
    escape = next(escapes, None)
    shift = start
    for place in places:
        while escape is not None and escape.start() < place + shift:
            shift += len(escape[0]) - 1
            escape = next(escapes, None)
        found.append(place + shift)
    return found
