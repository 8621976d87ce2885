"""What is said: texts, pictures, files."""

from __future__ import annotations

from typing import Any

from ccrouter.wire.claude_code import ATTRIBUTION
from tests.matrix.backends import Say
from tests.matrix.lab import Exchange, Lab
from tests.matrix.outcomes import AS_TEXT, IN_WORDS, LEFT_OUT, MOVED, REMINDER, SUPPORTED, UNSAID, right, wrong
from tests.matrix.said import Kind

DATA = "iVBORw0KGgo="
LINK = "https://example.com/thing"
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": DATA}}


def user(*blocks: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def use(call_id: str, name: str = "Bash", **given: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": call_id, "name": name, "input": given}


def result(call_id: str, *blocks: Any, **more: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": call_id, "content": list(blocks), **more}


def arrived(exchange: Exchange, kind: Kind, value: str, name: str) -> str:
    """How ``value`` reached the backend; ``name`` is what `changes` would call it."""
    said = exchange.said
    if any(each.kind == kind and value in each.value for each in said):
        return SUPPORTED
    if any(each.kind == "text" and each.role != "system" and value in each.value for each in said):
        return IN_WORDS if exchange.noted(name) else AS_TEXT
    if not exchange.noted(name):
        return UNSAID
    return IN_WORDS if any(each.kind == "text" and "omitted" in each.value for each in said) else LEFT_OUT


async def text_streamed(lab: Lab) -> str:
    found = await lab.ask(Say("hello there"))
    return right((found.text and lab.wire == "demo") or found.text == "hello there", found.text)


async def text_not_streamed(lab: Lab) -> str:
    found = await lab.ask(Say("hello there"), stream=False)
    whole = found.message["stop_reason"] == "end_turn" and found.headers["content-type"] == "application/json"
    return right(whole and ((found.text and lab.wire == "demo") or found.text == "hello there"), found.message)


async def system_with_attribution_block(lab: Lab) -> str:
    blocks = [text(f"{ATTRIBUTION} cc_version=2.1.329;"), text("be brief")]
    found = await lab.ask(system=blocks)
    system = [each.value for each in found.said if each.role == "system"]
    if not any("be brief" in each for each in system):
        return wrong(system)
    kept = ATTRIBUTION in found.wording
    return right(kept == lab.preset.keep_attribution, "the block is " + ("kept" if kept else "gone"))


async def system_in_mid_conversation(lab: Lab) -> str:
    messages = [
        user(text("hi")),
        {"role": "system", "content": "speak up"},
        assistant(text("yes")),
        user(text("so")),
    ]
    found = await lab.ask(messages=messages)
    match [each.role for each in found.said if "speak up" in each.value]:
        case ["system"]:
            return SUPPORTED
        case ["user"]:
            return REMINDER
        case where:
            return wrong(where)


async def image_base64(lab: Lab) -> str:
    return arrived(await lab.ask(messages=[user(IMAGE, text("what?"))]), "image", DATA, "image")


async def image_by_url(lab: Lab) -> str:
    image = {"type": "image", "source": {"type": "url", "url": LINK}}
    return arrived(await lab.ask(messages=[user(image, text("what?"))]), "image", LINK, "image")


async def image_in_a_tool_result(lab: Lab) -> str:
    messages = [user(text("look")), assistant(use("call_1")), user(result("call_1", IMAGE))]
    found = await lab.ask(messages=messages)
    how = arrived(found, "image", DATA, "image")
    where = [each.role for each in found.said if each.kind == "image"]
    return MOVED if how == SUPPORTED and where == ["user"] else how


def _document(**source: str) -> dict[str, Any]:
    return {"type": "document", "title": "a file", "source": source}


async def pdf_base64(lab: Lab) -> str:
    document = _document(type="base64", media_type="application/pdf", data=DATA)
    return arrived(await lab.ask(messages=[user(document, text("what?"))]), "file", DATA, "document")


async def pdf_by_url(lab: Lab) -> str:
    document = _document(type="url", url=LINK)
    return arrived(await lab.ask(messages=[user(document, text("what?"))]), "file", LINK, "document")


async def text_document(lab: Lab) -> str:
    document = _document(type="text", media_type="text/plain", data="the words of the file")
    found = await lab.ask(messages=[user(document, text("what?"))])
    how = arrived(found, "file", document["source"]["data"], "document")
    return AS_TEXT if how == IN_WORDS else how


async def search_result(lab: Lab) -> str:
    block = {"type": "search_result", "source": LINK, "title": "a page", "content": [text("what it says")]}
    found = await lab.ask(messages=[user(block, text("what?"))])
    shown = "".join(each.value for each in found.said)
    lost = [each for each in (LINK, "a page", "what it says") if each not in shown]
    return wrong(lost) if lost else AS_TEXT
