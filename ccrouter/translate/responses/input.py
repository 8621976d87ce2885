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

from typing import Any

from ccrouter.providers.provider import Target
from ccrouter.translate.changes import ANOTHERS_THINKING, Changes
from ccrouter.translate.foreign import compact
from ccrouter.translate.shown import TOLD_BY_USER, Shapes, Shown, reminder
from ccrouter.translate.tools import Ids, Names, note_renamed
from ccrouter.translate.turns import Call, Conversation, Result, Text, Thinking, Turn

Item = dict[str, Any]

_PART_TYPES = {"s": ("summary", "summary_text"), "r": ("content", "reasoning_text")}


def render(conversation: Conversation, target: Target, names: Names) -> tuple[str | None, list[Item], list[str]]:
    """The instructions, the items, and what was changed for them.

    The system prompt is the instructions: every backend takes it there, ChatGPT's wants it there, and it stands in
    front of the prompt in either place. Only where cache marks are taken it is the first item, since instructions
    carry none; there are no instructions then.
    """
    writer = _Writer(target, names)
    for turn in conversation.turns:
        if turn.role == "assistant":
            writer.assistant(turn)
        else:
            writer.told(turn)
    items, changes = writer.items, list(writer.changes.listed())
    if not items or not writer.takes_marks:
        return "\n\n".join(part.text for part in conversation.system), items, changes
    return None, [*writer.system(conversation.system), *items], changes


class _Writer:
    def __init__(self, target: Target, names: Names) -> None:
        self.items: list[Item] = []
        self.changes = Changes()
        self._note = self.changes.note
        self._quirks = target.provider.preset.quirks
        self._maker = (target.provider.name, target.model)
        self._names = names
        self._ids = Ids(self._quirks.call_ids)
        self._shown = Shown(target, Shapes("responses", _text, _image, _file, _link), self.changes)

    @property
    def takes_marks(self) -> bool:
        """Whether parts may carry cache marks."""
        return self._shown.marks != "none"

    def system(self, texts: tuple[Text, ...]) -> list[Item]:
        """The system prompt as an item; none where there is no prompt."""
        content = self._shown.chunks(texts)
        return [{"type": "message", "role": self._quirks.system_role, "content": content}] if content else []

    # What the user, the tools and the system say

    def told(self, turn: Turn) -> None:
        """A turn of the user's or of the system's."""
        for part in turn.parts:
            if isinstance(part, Result):
                self._result(part)
        content = self._shown.chunks(turn.parts)
        role: str = turn.role
        if role == "system":
            role = self._quirks.later_system
            if role == "user":
                if content:
                    self._note(TOLD_BY_USER)
                content = [reminder(part) for part in content]
            elif any(part["type"] != "input_text" for part in content):
                role = "user"  # nobody else can show anything
                self._note(TOLD_BY_USER)
        self._message(role, content)

    def _message(self, role: str, content: list[Item]) -> None:
        if content:
            self.items.append({"type": "message", "role": role, "content": content})

    def _result(self, result: Result) -> None:
        content = self._shown.chunks(result.parts)
        if result.is_error:
            self._note("tool_result: that it failed told as text")
            content = [_text("[error]"), *content]
        output: Any = content
        if not self.takes_marks and all(part["type"] == "input_text" for part in content):
            output = "\n\n".join(part["text"] for part in content)
        call_id = self._ids.there(result.call_id)
        self.items.append({"type": "function_call_output", "call_id": call_id, "output": output})

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
                        self._note(ANOTHERS_THINKING)
                continue
            self.items += waiting
            waiting = []
            if isinstance(part, Call):
                name, call_id = self._names.there(part.name), self._ids.there(part.id)
                note_renamed(part, name, call_id, self._note)
                self.items.append(
                    {"type": "function_call", "call_id": call_id, "name": name, "arguments": compact(part.input)}
                )
            elif isinstance(part, Text):
                said = {"type": "message", "role": "assistant", "content": part.text}
                self.items.append(said if phase is None else {**said, "phase": phase})
                phase = None
            else:  # a model has no way to show anything itself
                self._note("assistant: an image or a file of its own told as the user's")
                self._message("user", self._shown.chunks([part]))
        for _ in waiting:
            self._note("thinking: without anything that followed it left out")

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


def _text(text: str) -> Item:
    return {"type": "input_text", "text": text}


def _image(url: str) -> Item:
    return {"type": "input_image", "image_url": url, "detail": "auto"}


def _file(name: str, data: str) -> Item:
    return {"type": "input_file", "filename": name, "file_data": data}


def _link(_name: str, url: str) -> Item:
    return {"type": "input_file", "file_url": url}
