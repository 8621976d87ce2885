"""What any model can be shown of a block that only some can take: texts, images and files.

The bridges show all of a conversation so; the Messages lane those blocks that its target doesn't take. What can't
be shown leaves a marker with its type, so that the model does not wonder, and is noted; reasoning leaves nothing:
the model would take it for its own words. No function here raises for what JSON can hold.

What a tool of the backend's gave is told as text, and so is the call that it answers, whatever became of it: an
answer without its question would be as odd as a question without its answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

from attrs import evolve

from ccrouter.translate.turns import Document, Image, Mark, Shown, Text

#: What stands where a call's answer is missing, or said nothing: no wire takes a call without a result.
UNFINISHED = "(no result: the call was not finished)"
SILENT = "(no output)"
#: What is left of a message when nothing of it can be shown; its place keeps the roles in turns.
NOTHING = "(no text)"
#: What stands before a result whose call is gone.
ORPHANED = "[result of a call that is not in this conversation]"
#: What stands for an image that the model can't see.
UNSEEN = "[image omitted: current model is text-only]"
#: What stands for reasoning that a backend insists on where there is none. Some refuse an empty
#: one (Moonshot, DeepSeek's V4 Pro): llmgateway#2093, hermes-agent#18263 and #17341, 2026.
NO_REASONING = " "

#: Told of each change, in words that name what was changed.
Note: TypeAlias = Callable[[str], None]

#: Blocks that say nothing to a model, or only to their maker's. ``reasoning`` and ``thought`` are other vendors'
#: names for thinking (seen in front of Messages endpoints, 2026-11).
_UNSAID = frozenset({"fallback", "thinking", "redacted_thinking", "reasoning", "thought"})
#: Other vendors' names for a text, 2026-11.
_TEXTS = frozenset({"text", "output_text", "input_text"})
_CALLS = frozenset({"server_tool_use", "mcp_tool_use"})
#: What a backend's own tool gave, but for searches: Anthropic's *Messages*, 2026-11.
RESULTS = frozenset(
    {
        "web_fetch_tool_result",
        "code_execution_tool_result",
        "bash_code_execution_tool_result",
        "text_editor_code_execution_tool_result",
        "tool_search_tool_result",
        "advisor_tool_result",
        "mcp_tool_result",
    }
)
#: Where their words stand, in the order in which they are told.
_WORDS = ("text", "content", "stdout", "stderr", "error_message")


def shown(block: object, note: Note, inline: list[Any] | None = None) -> list[Shown]:
    """What can be shown of a block to any model, wherever it stands; its mark is on the last of it.

    Definitions of tools that it brings along are added to ``inline``.
    """
    kind = block.get("type") if isinstance(block, Mapping) else None
    if not isinstance(block, Mapping) or not isinstance(kind, str):
        note("content: a block without a type left out")
        return []
    return marked(list(_said(kind, block, note, [] if inline is None else inline)), block)


def _said(kind: str, block: Mapping[str, Any], note: Note, inline: list[Any]) -> Iterator[Shown]:
    match kind:
        case _ if kind in _TEXTS:
            yield from words(block.get("text"))
        case "image":
            yield _image(block.get("source"), note)
        case "document":
            yield from _document(block, note)
        case "search_result":
            yield from _search_result(block, note)
        case "tool_reference":
            note("tool_reference: told as text")
            yield Text(_available(block))
        case "tool_addition":
            definition = _inside(block, "tool").get("definition")
            if isinstance(definition, Mapping):
                inline.append(definition)
            note("tool_addition: told as text")
            yield Text(_available(_inside(block, "tool")))
        case "tool_removal":
            note("tool_removal: told as text")
            yield Text(f"The tool {_tool_named(_inside(block, 'tool'))} must not be called from here on.")
        case "compaction":
            note("compaction: told as text")
            yield from words(block.get("content"))
        case "web_search_tool_result":
            note("web_search_tool_result: told as text")
            yield from words(_hits(block.get("content")))
        case _ if kind in _CALLS:
            note(f"{kind}: told as text")
            yield Text(_asked(kind, block))
        case _ if kind in RESULTS:
            note(f"{kind}: told as text")
            yield from list(_given(block.get("content"))) or [Text(omitted(kind))]
        case _ if kind in _UNSAID:
            note(f"{kind}: left out")
        case _:
            note(f"{kind[:64]}: left out, only its maker can use it")
            yield Text(omitted(kind))


def omitted(kind: str) -> str:
    """The marker in place of a block that only its maker can use."""
    return f"[{re.sub(r'[^a-zA-Z0-9_.-]+', '_', kind[:64])} omitted]"


def _asked(kind: str, call: Mapping[str, Any]) -> str:
    """What a tool of the backend's was asked."""
    name, given = call.get("name"), _inside(call, "input")
    if kind == "server_tool_use" and isinstance(given.get("query"), str):
        return f"[searched for: {given['query']}]"
    try:
        said = f": {json.dumps(given, ensure_ascii=False)}" if given else ""
    except RecursionError:
        said = ""
    return f"[called {name if isinstance(name, str) and name else 'a tool'}{said}]"


def _given(content: object) -> Iterator[Shown]:
    """What a tool of the backend's gave: one object, a list of blocks, or a text."""
    if isinstance(content, str):
        yield from words(content)
    for each in content if isinstance(content, list) else [content]:
        if not isinstance(each, Mapping):
            continue
        if isinstance(each.get("error_code"), str):
            yield Text(f"[the tool failed: {each['error_code']}]")
        if isinstance(each.get("url"), str):
            yield Text(f"[from {each['url']}]")
        if each.get("type") == "image":
            yield _image(each.get("source"), unheard)
        page = each if each.get("type") == "document" else _inside(each, "content")
        if page.get("type") == "document":
            yield from map(_in_line, _document(page, unheard))
        said = [text for place in _WORDS for text in words(each.get(place))]
        yield from said or ([Text(SILENT)] if "stdout" in each else [])
        if isinstance(lines := each.get("lines"), list):
            yield from words("\n".join(line for line in lines if isinstance(line, str)))
        if isinstance(tools := each.get("tool_references"), list):
            for tool in tools:
                yield Text(_available(tool if isinstance(tool, Mapping) else {}))


def _in_line(part: Shown) -> Shown:
    """A page as words: the model's own turn has no place for files on some wires."""
    if isinstance(part, Document) and part.text is not None:
        return Text(f"[document: {part.name}]\n{part.text}")
    return part


def unheard(_what: str) -> None:
    """Takes notes on the parts of a block that is noted as a whole."""


def _image(source: object, note: Note) -> Image | Text:
    said: Mapping[str, Any] = source if isinstance(source, Mapping) else {}
    kind, media_type, data, url = (said.get(each) for each in ("type", "media_type", "data", "url"))
    if kind == "base64" and isinstance(data, str) and data and isinstance(media_type, str):
        return Image(media_type, data=data)
    if kind == "url" and isinstance(url, str) and url:
        return Image(None, url=url)
    note("image: left out, it can't be shown outside its maker's files")
    return Text("[image omitted: it can't be shown here]")


def _document(block: Mapping[str, Any], note: Note) -> Iterator[Shown]:
    yield from words(block.get("context"))
    source, title = _inside(block, "source"), block.get("title")
    kind, data, url, content = (source.get(each) for each in ("type", "data", "url", "content"))
    name = title if isinstance(title, str) and title else "document"
    text = {"text": data, "content": content}.get(kind) if isinstance(kind, str) else None
    if isinstance(text, str) and text:
        yield Document("text/plain", name, text=text)
    elif kind == "content" and isinstance(content, list):
        yield Text(f"[document: {name}]")
        for each in content:
            # One level, as the wire has it: a document in a document is none.
            if isinstance(each, Mapping) and each.get("type") in ("text", "image"):
                yield from shown(each, note)
    elif kind == "base64" and isinstance(data, str) and data:
        media_type = source.get("media_type")
        yield Document(media_type if isinstance(media_type, str) else "application/pdf", name, data=data)
    elif kind == "url" and isinstance(url, str) and url:
        yield Document("application/pdf", name, url=url)
    else:
        note("document: left out, it can't be shown outside its maker's files")
        yield Text(f"[document omitted: {name} can't be shown here]")


def _search_result(block: Mapping[str, Any], note: Note) -> Iterator[Text]:
    texts = [
        each["text"]
        for each in listed(block.get("content"), "search_result", note)
        if isinstance(each, Mapping) and isinstance(each.get("text"), str)
    ]
    head = [each for each in (block.get("title"), block.get("source")) if isinstance(each, str)]
    note("search_result: told as text")
    yield from words("\n".join([*head, *texts]))


def words(text: object) -> Iterator[Text]:
    """Nothing for what is blank: most wires refuse it."""
    if isinstance(text, str) and text.strip():
        yield Text(text)


def listed(value: object, where: str, note: Note) -> list[Any]:
    """``value`` if it is a list; else an empty one, noted unless there is nothing."""
    if isinstance(value, list):
        return value
    if value is not None:
        note(f"{where}: left out, it is no list")
    return []


def without_file(document: Document) -> str:
    """The words in place of a file that can't be read, with its address, for a model that can fetch it."""
    place = f" at {document.url}" if document.url is not None else ""
    return f"[document omitted: {document.name}{place} can't be read by the current model]"


def without_image(url: str) -> str:
    """The words in place of an image that the backend won't fetch, with its address."""
    return f"[image omitted: it is at {url}]"


def mark(block: Mapping[str, Any]) -> Mark | None:
    """The client's cache mark on a block."""
    said = block.get("cache_control")
    ttl = said.get("ttl") if isinstance(said, Mapping) else None
    return Mark(ttl if isinstance(ttl, str) else None) if isinstance(said, Mapping) else None


def marked(parts: list[Shown], block: Mapping[str, Any]) -> list[Shown]:
    """The parts of a block, its mark on the last of them: nothing of the block comes after it."""
    found = mark(block)
    return [*parts[:-1], evolve(parts[-1], mark=found)] if parts and found is not None else parts


def _inside(block: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = block.get(key)
    return value if isinstance(value, Mapping) else {}


def _available(reference: Mapping[str, Any]) -> str:
    return f"The tool {_tool_named(reference)} is available from here on."


def _tool_named(reference: Mapping[str, Any]) -> str:
    for place in (reference, _inside(reference, "definition")):
        for key in ("tool_name", "name"):
            name = place.get(key)
            if isinstance(name, str) and name:
                return name
    return "(unnamed)"


def _hits(content: object) -> str:
    """The results of a search as lines; an error as its code."""
    if isinstance(content, Mapping):
        return f"[the search failed: {content.get('error_code') or 'no reason given'}]"
    lines = [
        f"- {each.get('title') or ''} {each['url']}"
        for each in (content if isinstance(content, list) else [])
        if isinstance(each, Mapping) and isinstance(each.get("url"), str)
    ]
    return "\n".join(["[search results]", *lines] if lines else ["[the search found nothing]"])
