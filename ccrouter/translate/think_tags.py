"""Reasoning that stands in the answer's own text, between tags.

Servers without a parser for their model's format, and Gemini when it is asked for its thoughts, write
``<think>…</think>`` or ``<thought>…</thought>`` in front of the answer. `ThinkTags` takes the two apart, however
the text is cut.

Only in front: a tag counts at the very start, after white space, or right behind another such part. Anywhere else
it is what the answer is about, as in this file. White space behind a tag belongs to it.

**A closing tag without its opening one** comes where a chat template opens the reasoning in the prompt and the
server has no parser for it (Qwen3, DeepSeek and GLM under such servers, 2026-11). In front it ends an empty
reasoning, and is passed over. Behind a text it stays as it is, and so does the text: that was shown long before,
nothing in it says which of the two it is, and the same templates cut what they get back at this very tag, so that
the model sees no reasoning that it should not. `lone_closing_tag` is for telling the user, who can switch the
server's parser on.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from ccrouter.translate.stops import begun

Piece: TypeAlias = tuple[Literal["thinking", "text"], str]

_TAGS = {"<think>": "</think>", "<thought>": "</thought>"}


def lone_closing_tag(text: str) -> bool:
    """Whether a whole answer has a closing tag on a line's end that nothing before it opened."""
    before, tag, after = text.partition("</think>")
    return bool(tag) and "<think>" not in before and after.startswith("\n")


class ThinkTags:
    """Takes one answer apart: `feed` its text, `close` at its end or when it is known to hold no tags."""

    def __init__(self) -> None:
        self._held = ""
        self._space: list[str] = []
        """The white space in front of that, in pieces: a model that is stuck writes no end of it."""
        self._closing = ""
        """The tag that ends the reasoning, while inside."""
        self._after_tag = False
        self._plain = False

    def feed(self, text: str) -> list[Piece]:
        """What is certain by now. No piece is empty."""
        self._held += text
        found: list[Piece] = []
        moved = True
        while moved and not self._plain:
            moved = self._think(found) if self._closing else self._look()
        return found + self._rest("text") if self._plain else found

    def restart(self) -> None:
        """What comes next stands in front of an answer again."""
        self._plain = False

    def close(self) -> list[Piece]:
        """What is left. From here on all is text."""
        rest = self._rest("thinking" if self._closing else "text")
        self._closing = ""
        self._plain = True
        return rest

    def _rest(self, kind: Literal["thinking", "text"]) -> list[Piece]:
        text, self._held = "".join([*self._space, self._held]), ""
        self._space.clear()
        if self._after_tag:
            text = text.lstrip()
            self._after_tag = not text
        return [(kind, text)] if text else []

    def _look(self) -> bool:
        """Look for an opening tag; True when one was passed."""
        start = self._held.lstrip()
        self._space.append(self._held[: len(self._held) - len(start)])
        self._held = start
        for tag, closing in _TAGS.items():
            for passed, inside in ((tag, closing), (closing, "")):
                if start.startswith(passed):
                    self._space.clear()
                    self._held = start[len(passed) :]
                    self._closing = inside
                    self._after_tag = True
                    return True
        self._plain = not any(tag.startswith(start) for pair in _TAGS.items() for tag in pair)
        return False

    def _think(self, found: list[Piece]) -> bool:
        """Pass on the reasoning; True when its end was passed."""
        if self._after_tag:
            self._held = self._held.lstrip()
            self._after_tag = not self._held
        text, tag, rest = self._held.partition(self._closing)
        if not tag:
            held = begun(text, self._closing)
            text, rest = text[: len(text) - held], text[len(text) - held :]
        if text:
            found.append(("thinking", text))
        self._held = rest
        if tag:
            self._closing = ""
            self._after_tag = True
        return bool(tag)
