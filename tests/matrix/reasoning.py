"""Reasoning: shown, hidden, given back to its maker and to nobody else."""

from __future__ import annotations

from typing import Any

from ccrouter.translate.provenance import Origin, sign
from tests.matrix.backends import SEALED, THOUGHT, Say, Think, Use
from tests.matrix.content import assistant, result, text, user
from tests.matrix.lab import MODEL, Lab
from tests.matrix.outcomes import ANOTHERS, LEFT_OUT, SUPPORTED, UNSAID, right, wrong
from tests.matrix.settings import ADAPTIVE
from tests.matrix.tooling import BASH, LS

#: As Anthropic's look.
CLAUDES = "EqQBCkYIBBgCKkAz"


async def reasoning_in_the_reply(lab: Lab) -> str:
    found = await lab.ask(Think(), Say("so it is"), thinking=ADAPTIVE)
    first, last = found.content[0], found.content[-1]
    thought = first["type"] == "thinking" and first["signature"] and last["type"] == "text"
    shown = lab.wire == "demo" or (first.get("thinking"), last.get("text")) == (THOUGHT, "so it is")
    return right(thought and shown, found.content)


async def reasoning_that_nobody_asked_for(lab: Lab) -> str:
    """Claude Code's small questions say that thinking is disabled, and expect an answer of text only."""
    found = await lab.ask(Think(), Say("so it is"), thinking={"type": "disabled"})
    kinds = [block["type"] for block in found.content]
    return right(kinds == ["text"] or found.is_untouched, f"the client gets {kinds}")


async def own_reasoning_given_back(lab: Lab) -> str:
    asked = user(text(lab.words("use Bash: ls")))
    first = await lab.ask(Think(), Use("call_1", "Bash", LS), thinking=ADAPTIVE, messages=[asked], tools=[BASH])
    (call,) = first.calls
    messages = [asked, assistant(*first.content), user(result(call["id"], text("a.txt")))]
    found = await lab.ask(messages=messages, tools=[BASH])
    if found.is_untouched or any(each in found.wording for each in (THOUGHT, SEALED)):
        return SUPPORTED
    return LEFT_OUT if found.noted("thinking") else UNSAID


async def _back(lab: Lab, block: dict[str, Any], mark: str, name: str, *, own: bool) -> str:
    messages = [user(text("hi")), assistant(block, text("hello")), user(text("and now?"))]
    found = await lab.ask(messages=messages)
    if mark in found.wording:
        return SUPPORTED if own else ANOTHERS
    if "hello" not in found.wording:
        return wrong("the words beside it are gone, too")
    return LEFT_OUT if found.noted(name) else UNSAID


async def reasoning_of_another_provider(lab: Lab) -> str:
    signature = sign(Origin("elsewhere", "m", {"f": "reasoning_content"}))
    block = {"type": "thinking", "thinking": THOUGHT, "signature": signature}
    return await _back(lab, block, THOUGHT, "thinking", own=False)


async def thinking_of_claudes(lab: Lab) -> str:
    block = {"type": "thinking", "thinking": THOUGHT, "signature": CLAUDES}
    return await _back(lab, block, THOUGHT, "thinking", own=_may_be_claude(lab))


async def redacted_thinking_of_claudes(lab: Lab) -> str:
    block = {"type": "redacted_thinking", "data": CLAUDES}
    return await _back(lab, block, CLAUDES, "redacted_thinking", own=_may_be_claude(lab))


def _may_be_claude(lab: Lab) -> bool:
    """Whether a model of Claude's may be behind it, to which such thinking is its own."""
    return lab.speaks_messages and (lab.preset.first_party or MODEL.startswith(lab.preset.relays))
