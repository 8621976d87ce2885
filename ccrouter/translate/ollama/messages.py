"""The messages of an ``/api/chat`` request, from a `Conversation`.

Each message depends on nothing that comes after its turn, so a longer conversation begins with the same messages.
A message is a text with pictures beside it; which stood first is lost, and the server puts pictures in front.

Reasoning goes back to the provider that made it, by whichever of its wires, as long as it is only words: templates
show a model the thinking of any. Told by the payload in its signature: ``{"f": "messages"}`` without a signature
of the server's (which is also what this wire signs), ``{"f": "reasoning"}`` and ``{"f": "reasoning_content"}``.
"""

from __future__ import annotations

from typing import Any

from ccrouter.providers.provider import Target
from ccrouter.translate.changes import ANOTHERS_THINKING, Changes
from ccrouter.translate.shown import TOLD_BY_USER, Chunk, Shapes, Shown, reminder
from ccrouter.translate.tools import Ids, Names, note_renamed
from ccrouter.translate.turns import Call, Conversation, Result, Text, Thinking, Turn

Message = dict[str, Any]

#: What stands where an assistant's turn has nothing to show: its place must be kept.
_NOTHING = "(no text)"

_WORDS = frozenset({"messages", "reasoning", "reasoning_content"})


def render(conversation: Conversation, target: Target, names: Names) -> tuple[list[Message], list[str]]:
    """The messages, and what was changed for them."""
    writer = _Writer(target, names)
    writer.system(conversation.system)
    for turn in conversation.turns:
        writer.turn(turn)
    writer.flush()
    return writer.messages, list(writer.changes.listed())


class _Writer:
    def __init__(self, target: Target, names: Names) -> None:
        self.messages: list[Message] = []
        self.changes = Changes()
        self._note = self.changes.note
        self._provider = target.provider.name
        self._names = names
        self._ids = Ids("any")
        self._called: dict[str, str] = {}
        """The names of the calls so far, by their ids."""
        self._shown = Shown(target, Shapes("ollama", _text, _image), self.changes)
        self._user: list[Chunk] = []

    def system(self, texts: tuple[Text, ...]) -> None:
        """The system prompt, if there is one."""
        if texts:
            self._add("system", self._chunks(texts))

    def flush(self) -> None:
        """The user's message that is being gathered, if any."""
        if self._user:
            gathered, self._user = self._user, []
            self._add("user", gathered)

    def _chunks(self, parts: Any) -> list[Chunk]:
        return self._shown.chunks(parts, marked=False)  # the wire has no marks

    def _add(self, role: str, chunks: list[Chunk], **more: Any) -> None:
        """One message, behind whatever the user said before it."""
        self.flush()
        message: Message = {"role": role, "content": _joined(chunks)}
        if pictures := [chunk["image"] for chunk in chunks if "image" in chunk]:
            message["images"] = pictures
        self.messages.append({**message, **more})

    def turn(self, turn: Turn) -> None:
        """The messages of one turn."""
        match turn.role:
            case "assistant":
                self._assistant(turn)
            case "system":
                self._later_system(turn)
            case "user":
                moved = [self._result(part) for part in turn.parts if isinstance(part, Result)]
                for chunks in moved:
                    self._user += chunks
                self._user += self._chunks(turn.parts)

    # What the user, the tools and the system say

    def _later_system(self, turn: Turn) -> None:
        """Most templates take a system prompt at the start only."""
        texts = self._chunks(part for part in turn.parts if isinstance(part, Text))
        if texts:
            self._note(TOLD_BY_USER)
        self._user += map(reminder, texts)
        self._user += self._chunks(part for part in turn.parts if not isinstance(part, Text))

    def _result(self, result: Result) -> list[Chunk]:
        """Adds the tool's message. Returns the pictures, for the user's message that follows: templates show none
        of a tool's.
        """
        chunks = self._chunks(result.parts)
        texts = [chunk for chunk in chunks if "image" not in chunk]
        pictures = [chunk for chunk in chunks if "image" in chunk]
        name, call_id = self._called.get(result.call_id, ""), self._ids.there(result.call_id)
        if result.is_error:
            self._note("tool_result: that it failed told as text")
            first = texts[0]["text"] if texts else "the tool failed"
            texts[:1] = [_text(f"[error] {first}")]
        if pictures:
            self._note("tool_result: an image or a file moved behind the results")
            texts.append(_text("(see the attachment in the next message)"))
        self._add("tool", texts, tool_name=name, tool_call_id=call_id)
        return [_text(f"[attachment to the result of {name}]"), *pictures] if pictures else []

    # What the assistant says

    def _assistant(self, turn: Turn) -> None:
        chunks = self._chunks(turn.parts)
        texts = [chunk for chunk in chunks if "image" not in chunk]
        if len(texts) < len(chunks):
            self._note("assistant: an image or a file of its own left out")
        calls = [part for part in turn.parts if isinstance(part, Call)]
        more: dict[str, Any] = {}
        if thoughts := "".join(map(self._own, [part for part in turn.parts if isinstance(part, Thinking)])):
            more["thinking"] = thoughts
        if calls:
            more["tool_calls"] = [self._call(call, index) for index, call in enumerate(calls)]
        self._add("assistant", texts if texts or calls else [_text(_NOTHING)], **more)

    def _call(self, call: Call, index: int) -> dict[str, Any]:
        name, call_id = self._names.there(call.name), self._ids.there(call.id)
        note_renamed(call, name, call_id, self._note)
        self._called[call.id] = name
        return {"id": call_id, "function": {"index": index, "name": name, "arguments": call.input}}

    def _own(self, thinking: Thinking) -> str:
        """The words of a block, where they are the provider's."""
        origin = thinking.origin
        if origin is not None and origin.provider == self._provider:
            match origin.payload:
                case {"f": str(kind), **rest} if kind in _WORDS and "s" not in rest:
                    return thinking.text
        self._note(ANOTHERS_THINKING)
        return ""


def _joined(chunks: list[Chunk]) -> str:
    return "\n\n".join(chunk["text"] for chunk in chunks if "text" in chunk)


def _text(text: str) -> Chunk:
    return {"text": text}


def _image(url: str) -> Chunk:
    """A picture is its base64 alone: what it is, the server sees itself."""
    return {"image": url.partition(",")[2]}
