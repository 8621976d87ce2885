"""What a model is shown, in the terms of a wire: texts, images, files, and the client's cache marks on them.

Both of OpenAI's wires show the same things in parts of other names; `Shapes` has the names.

**What can't be shown** leaves its place in words, and a file its address, for a model that can fetch it; the
change is named. A refusal would be no better: a document stays in the conversation, so all of its later turns
would be refused with it.

**Cache marks.** The client marks up to four ends of prefixes that it wants cached. A mark is no part of the
prompt, and the parts are the same with and without it: the client moves it on with every turn.

* ``anthropic``: ``cache_control`` on texts as it came, with its time to live (OpenRouter, LiteLLM; on other parts
  of a chat message it has no documented meaning, 2026-11).
* ``openai``: ``prompt_cache_breakpoint`` on any part, in addition to the one that OpenAI sets itself at the newest
  message. So ``prompt_cache_options`` stay unsaid: ``mode: explicit`` would take that one away, and since a cache
  is found again only at breakpoints, a mark that moves on might take the conversation's cache with it. Nor is a
  time to live asked for: the least is 30 minutes, and the next is 12 hours (openai SDK 3.52.0, 2026-11).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from attrs import frozen

from ccrouter.providers.provider import Target, Wire
from ccrouter.translate import block_text, sight
from ccrouter.translate.changes import Changes
from ccrouter.translate.turns import Document, Image, Mark, Text
from ccrouter.wire.claude_code import REMINDER

Chunk: TypeAlias = dict[str, Any]

_VERSION = re.compile(r"(.*?)(\d{1,9})(?:\.(\d{1,9}))?")


@frozen
class Shapes:
    """The parts of a wire: ``image`` of a URL, ``file`` of a name and a data URL, ``link`` of a name and a URL.

    None where it has no such part. Which of them a target is shown, `ccrouter.translate.sight` says.
    """

    wire: Wire
    text: Callable[[str], Chunk]
    image: Callable[[str], Chunk]
    file: Callable[[str, str], Chunk] | None = None
    link: Callable[[str, str], Chunk] | None = None


class Shown:
    """Shows things to ``target``; what it can't be shown, or not as what it is, is noted in ``changes``."""

    def __init__(self, target: Target, shapes: Shapes, changes: Changes) -> None:
        quirks = target.provider.preset.quirks
        taken = _is_one_of(target.model, quirks.marked_models)
        self.marks = quirks.cache_marks if taken else "none"
        """How marks are written; where they are, texts must stay apart, marked or not."""
        self._shapes = shapes
        self._note = changes.note
        self._seeing = sight.of(target, shapes.wire)

    def chunks(self, parts: Iterable[object], *, marked: bool = True) -> list[Chunk]:
        """The parts that can be shown, with their marks unless they may not be ``marked``."""
        found = []
        for part in parts:
            match part:
                case Text():
                    chunk = self._shapes.text(part.text)
                case Image():
                    chunk = self._image(part)
                case Document():
                    chunk = self._document(part)
                case _:
                    continue
            found.append(self._marked(chunk, part.mark) if marked and part.mark else chunk)
        return found

    def _image(self, image: Image) -> Chunk:
        if not self._seeing.shows_image("base64"):
            self._note("image: left out, the model takes only text")
            return self._shapes.text(block_text.UNSEEN)
        if image.url is not None and not self._seeing.shows_image("url"):
            self._note("image: told as text")
            return self._shapes.text(block_text.without_image(image.url))
        return self._shapes.image(
            image.url if image.url is not None else f"data:{image.media_type};base64,{image.data}"
        )

    def _document(self, document: Document) -> Chunk:
        if document.text is not None:
            self._note("document: told as text")
            return self._shapes.text(f"[document: {document.name}]\n{document.text}")
        shows = self._seeing.shows_file
        if document.data is not None and self._shapes.file is not None and shows("base64"):
            return self._shapes.file(_ended(document), f"data:{document.media_type};base64,{document.data}")
        if document.url is not None and self._shapes.link is not None and shows("url"):
            return self._shapes.link(_ended(document), document.url)
        self._note(NO_SUCH_FILE)
        return self._shapes.text(block_text.without_file(document))

    def _marked(self, chunk: Chunk, mark: Mark) -> Chunk:
        if self.marks == "openai":
            return {**chunk, "prompt_cache_breakpoint": {"mode": "explicit"}}
        if self.marks == "anthropic" and "text" in chunk:
            lasting = {} if mark.ttl is None else {"ttl": mark.ttl}
            return {**chunk, "cache_control": {"type": "ephemeral", **lasting}}
        return chunk


#: In every dialect, of a file that has no text.
NO_SUCH_FILE = "document: left out, the backend takes no such file"
#: In every dialect, of a message that goes on as the user's `reminder`.
TOLD_BY_USER = "system: a later message told as the user's"


def reminder(chunk: Chunk) -> Chunk:
    """What the system says in mid-conversation, where only the user can say it."""
    text = chunk.get("text")
    if not isinstance(text, str) or text.lstrip().startswith(f"<{REMINDER}>"):
        return chunk
    return {**chunk, "text": f"<{REMINDER}>\n{text}\n</{REMINDER}>"}


def _ended(document: Document) -> str:
    """The name of a file. It says what it is: without the ending OpenAI refuses a PDF."""
    name = document.name
    return name if document.media_type != "application/pdf" or name.lower().endswith(".pdf") else f"{name}.pdf"


def _is_one_of(model: str, beginnings: Iterable[str]) -> bool:
    """Whether a model's name begins so; with a ``+`` at the end, with this version or a later one."""
    return any(
        _is_since(model, each[:-1]) if each.endswith("+") else model.startswith(each) for each in beginnings
    )


def _is_since(model: str, first: str) -> bool:
    least, found = _VERSION.fullmatch(first), _VERSION.match(model)
    if least is None or found is None or found[1] != least[1]:
        return False
    return (int(found[2]), int(found[3] or 0)) >= (int(least[2]), int(least[3] or 0))
