"""The input items of a Responses request, from a `Conversation`.

Each item depends on nothing that comes after its turn, so a longer conversation begins with the same items. They
carry no ids: nothing is stored at the backend, and an id that it doesn't know is an error there.

Of a model's own reasoning that goes back which this provider's same model made, told by the payload in its
signature:

``{"f": "responses", "p": [[sort, length], …], "e": …}``   a reasoning item: how the text is cut into parts, of the
summary (``s``) or of the reasoning (``r``), and what is encrypted in it; ``"i"``, its id, where nothing is
``{"f": "phase", "p": …}``                                 the phase of the message that follows

Reasoning goes back in front of what followed it; when nothing did, it stays out: such an item is refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ccrouter.providers.provider import Target
from ccrouter.translate.chat_messages import compact
from ccrouter.translate.tools import Ids, Names
from ccrouter.translate.turns import Call, Conversation, Document, Image, Result, Text, Thinking, Turn

Item = dict[str, Any]

_PART_TYPES = {"s": ("summary", "summary_text"), "r": ("content", "reasoning_text")}


def render(conversation: Conversation, target: Target, names: Names) -> tuple[list[Item], list[str]]:
    """The items, and what was left out of them."""
    writer = _Writer(target, names)
    for turn in conversation.turns:
        if turn.role == "assistant":
            writer.assistant(turn)
        else:
            writer.told(turn)
    return writer.items, list(writer.left_out)


class _Writer:
    def __init__(self, target: Target, names: Names) -> None:
        self.items: list[Item] = []
        self.left_out: dict[str, None] = {}
        self._quirks = target.provider.preset.quirks
        self._maker = (target.provider.name, target.model)
        self._names = names
        self._ids = Ids(self._quirks.call_ids)
        blind = any(model.id == target.model and model.vision is False for model in target.provider.models)
        self._images = self._quirks.images and not blind

    # What the user, the tools and the system say

    def told(self, turn: Turn) -> None:
        """A turn of the user's or of the system's."""
        for part in turn.parts:
            if isinstance(part, Result):
                self._result(part)
        content = self._content(turn.parts)
        role: str = turn.role
        if role == "system":
            role = self._quirks.later_system
            if role == "user":
                content = [_reminder(part) for part in content]
            elif any(part["type"] != "input_text" for part in content):
                role = "user"  # nobody else can show anything
        self._message(role, content)

    def _message(self, role: str, content: list[Item]) -> None:
        if content:
            self.items.append({"type": "message", "role": role, "content": content})

    def _result(self, result: Result) -> None:
        content = self._content(result.parts)
        if result.is_error:
            content = [_text("[error]"), *content]
        output: Any = content
        if all(part["type"] == "input_text" for part in content):
            output = "\n\n".join(part["text"] for part in content)
        call_id = self._ids.there(result.call_id)
        self.items.append({"type": "function_call_output", "call_id": call_id, "output": output})

    def _content(self, parts: Iterable[object]) -> list[Item]:
        found = []
        for part in parts:
            match part:
                case Text():
                    found.append(_text(part.text))
                case Image():
                    found.append(self._image(part))
                case Document():
                    found.append(self._document(part))
        return found

    def _image(self, image: Image) -> Item:
        if not self._images:
            self.left_out["image: left out, the model takes only text"] = None
            return _text("[image omitted: current model is text-only]")
        url = image.url if image.url is not None else f"data:{image.media_type};base64,{image.data}"
        return {"type": "input_image", "image_url": url, "detail": "auto"}

    def _document(self, document: Document) -> Item:
        if document.text is not None:
            return _text(f"[document: {document.name}]\n{document.text}")
        if self._quirks.files and document.data is not None:
            # The name says what it is: without the ending it is refused.
            ended = document.media_type != "application/pdf" or document.name.lower().endswith(".pdf")
            name = document.name if ended else f"{document.name}.pdf"
            data = f"data:{document.media_type};base64,{document.data}"
            return {"type": "input_file", "filename": name, "file_data": data}
        if self._quirks.files and document.url is not None:
            return {"type": "input_file", "file_url": document.url}
        self.left_out["document: left out, the backend takes no such file"] = None
        place = f" at {document.url}" if document.url is not None else ""
        return _text(f"[document omitted: {document.name}{place} can't be read by the current model]")

    # What the assistant says

    def assistant(self, turn: Turn) -> None:
        """A turn of the model's."""
        waiting: list[Item] = []
        phase: str | None = None
        for part in turn.parts:
            if isinstance(part, Thinking):
                match self._own(part):
                    case {"f": "responses", "p": list(cuts), **rest}:
                        waiting += _reasoning(part.text, cuts, rest.get("e"), rest.get("i"))
                    case {"f": "phase", "p": str(phase)}:
                        pass
                    case _:
                        self.left_out["thinking: that of another model left out"] = None
                continue
            self.items += waiting
            waiting = []
            if isinstance(part, Call):
                self.items.append(
                    {
                        "type": "function_call",
                        "call_id": self._ids.there(part.id),
                        "name": self._names.there(part.name),
                        "arguments": compact(part.input),
                    }
                )
            elif isinstance(part, Text):
                said = {"type": "message", "role": "assistant", "content": part.text}
                self.items.append(said if phase is None else {**said, "phase": phase})
                phase = None
            else:  # a model has no way to show anything itself
                self._message("user", self._content([part]))
        if waiting:
            self.left_out["thinking: without anything that followed it left out"] = None

    def _own(self, thinking: Thinking) -> object:
        origin = thinking.origin
        return None if origin is None or (origin.provider, origin.model) != self._maker else origin.payload


def _reasoning(text: str, cuts: list[Any], encrypted: object, identity: object) -> list[Item]:
    """The reasoning item that a block was made of; none where it has no meaning to anybody."""
    item: Item = {"type": "reasoning", "summary": []}
    sizes = [cut[1] for cut in cuts if isinstance(cut, list) and len(cut) == 2 and type(cut[1]) is int]
    if sum(sizes) + 2 * (len(sizes) - 1) != len(text):  # what came back isn't what was cut; it stays in one piece
        cuts = [["s", len(text)]]
    place = 0
    for cut in cuts:
        match cut:
            case ["s" | "r" as sort, int(length)] if length > 0:
                where, kind = _PART_TYPES[sort]
                item.setdefault(where, []).append({"type": kind, "text": text[place : place + length]})
                place += length + 2  # a blank line is between the parts
    if isinstance(encrypted, str):
        return [{**item, "encrypted_content": encrypted}]
    # Without it, only a model that reasons in the open can do anything with it.
    return [{**item, "id": identity}] if isinstance(identity, str) and "content" in item else []


def _reminder(part: Item) -> Item:
    text = part.get("text")
    if not isinstance(text, str) or text.lstrip().startswith("<system-reminder>"):
        return part
    return _text(f"<system-reminder>\n{text}\n</system-reminder>")


def _text(text: str) -> Item:
    return {"type": "input_text", "text": text}
