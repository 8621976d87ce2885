"""The messages of a Chat Completions request, from a `Conversation`.

Each message depends on nothing that comes after its turn, so a longer conversation begins with the same messages.
None is ever empty. User texts that follow each other are one message: many chat templates want the roles in turns.

Of a model's own reasoning that goes back which this provider asked for, told by the payload in its signature:

``{"f": "reasoning_content" | "reasoning"}``   the text of the thinking, in that member of the message
``{"f": "reasoning_details", "d": [...]}``     the list as it came
``{"f": "content", "d": [...]}``               these chunks in front of the content
``{"f": "google", "c": {call id: signature}, "t": signature}`` the signatures beside the calls that they came with,
and the one of the message itself; either may be missing
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ccrouter.providers.provider import Target
from ccrouter.providers.quirks import Quirks, Replay
from ccrouter.translate.block_text import NO_REASONING
from ccrouter.translate.changes import ANOTHERS_THINKING, Changes
from ccrouter.translate.foreign import compact
from ccrouter.translate.shown import TOLD_BY_USER, Chunk, Shapes, Shown, reminder
from ccrouter.translate.tools import Ids, Names, note_renamed
from ccrouter.translate.turns import Call, Conversation, Result, Text, Thinking, Turn

Message = dict[str, Any]

#: What stands where an assistant's turn has nothing to show: its place must be kept, and can't be empty.
_NOTHING = "(no text)"

#: What an assistant says between the results of its calls and a user's words, where something must stand there.
_BETWEEN = "OK."

#: Gemini wants a signature at the first call of each step; this one, of its documents, is for foreign history.
_NO_SIGNATURE = "skip_thought_signature_validator"

_NOT_TAKEN_BACK = "thinking: left out, nothing that this backend takes back"

_FIELDS = frozenset({"reasoning_content", "reasoning"})
#: Payloads that only the model understands that made them.
_SIGNED = frozenset({"reasoning_details", "google"})
#: Which payloads go back, by how the provider wants reasoning replayed.
_REPLAYED: Mapping[Replay, frozenset[str]] = {
    "none": frozenset(),
    "reasoning_content": _FIELDS,
    "reasoning": _FIELDS,
    "reasoning_details": _FIELDS | {"reasoning_details"},
    "content": frozenset({"content"}),
    "google": frozenset({"google"}),
}


def render(
    conversation: Conversation, target: Target, names: Names, *, also: str | None = None
) -> tuple[list[Message], list[str]]:
    """The messages, and what was changed for them. ``also`` is said behind the client's own system prompt."""
    writer = _Writer(target, names)
    writer.system([*conversation.system, *([Text(also)] if also else [])])
    for turn in conversation.turns:
        writer.turn(turn)
    writer.end()
    return writer.messages, list(writer.changes.listed())


class _Writer:
    def __init__(self, target: Target, names: Names) -> None:
        self.messages: list[Message] = []
        self.changes = Changes()
        self._note = self.changes.note
        self._quirks: Quirks = target.quirks
        self._spaced = target.model.startswith(self._quirks.spaced_models)
        self._maker = (target.provider.name, target.model)
        self._names = names
        self._ids = Ids(self._quirks.call_ids)
        self._shown = Shown(target, Shapes("chat", _text, _image, _file, _file), self.changes)
        self._user: list[Chunk] = []

    def system(self, texts: list[Text]) -> None:
        """The system prompt, if there is one."""
        if texts:
            self._add(self._quirks.system_role, self._content(self._shown.chunks(texts)))

    def end(self) -> None:
        """Nothing more comes."""
        self._flush()
        if self._quirks.prefix and self.messages and self.messages[-1]["role"] == "assistant":
            self.messages[-1]["prefix"] = True

    def _add(self, role: str, content: Any, **more: Any) -> None:
        """One message, behind whatever the user said before it."""
        self._flush()
        self.messages.append({"role": role, "content": content, **more})

    def _flush(self) -> None:
        """The user's message that is being gathered, if any."""
        if self._user:
            if self._spaced and self.messages and self.messages[-1]["role"] == "tool":
                self._note("messages: a word of the assistant's put between results and the user's words")
                self.messages.append({"role": "assistant", "content": _BETWEEN})
            self.messages.append({"role": "user", "content": self._content(self._user)})
            self._user = []

    def _content(self, chunks: list[Chunk], *, marked: bool = True) -> Any:
        """A plain string when it is only text: every server and template takes that.

        Not where marks may stand: the prompt must be the same when a mark has moved on.
        """
        if any(chunk["type"] != "text" for chunk in chunks) or (marked and self._shown.marks != "none"):
            return chunks
        return "\n\n".join(chunk["text"] for chunk in chunks)

    def turn(self, turn: Turn) -> None:
        """The messages of one turn."""
        match turn.role:
            case "assistant":
                self._assistant(turn)
            case "system":
                self._later_system(turn)
            case "user":
                results = [part for part in turn.parts if isinstance(part, Result)]
                moved = [self._result(result) for result in results]
                for chunks in moved:
                    self._user += chunks
                self._user += self._shown.chunks(turn.parts)

    # What the user, the tools and the system say

    def _later_system(self, turn: Turn) -> None:
        texts = self._shown.chunks(part for part in turn.parts if isinstance(part, Text))
        if self._quirks.later_system == "user":
            if texts:
                self._note(TOLD_BY_USER)
            self._user += map(reminder, texts)
        elif texts:
            self._add(self._quirks.later_system, self._content(texts))
        self._user += self._shown.chunks(part for part in turn.parts if not isinstance(part, Text))

    def _result(self, result: Result) -> list[Chunk]:
        """Adds the tool's message. Returns what such a message can't hold, for the user's that follows."""
        marked = self._quirks.result_marks
        chunks = self._shown.chunks(result.parts, marked=marked)
        texts = [chunk for chunk in chunks if chunk["type"] == "text"]
        others = [chunk for chunk in chunks if chunk["type"] != "text"]
        if result.is_error:
            self._note("tool_result: that it failed told as text")
            first = texts[0] if texts else _text("the tool failed")
            texts[:1] = [{**first, "text": f"[error] {first['text']}"}]
        call_id = self._ids.there(result.call_id)
        if others and self._quirks.result_images and all(chunk["type"] == "image_url" for chunk in others):
            kept = texts + others if result.is_error else chunks
            self._add("tool", kept, tool_call_id=call_id)
            return []
        if others:
            self._note("tool_result: an image or a file moved behind the results")
            texts.append(_text("(see the attachment in the next message)"))
        self._add("tool", self._content(texts, marked=marked), tool_call_id=call_id)
        return [_text(f"[attachment to the result of {call_id}]"), *others] if others else []

    # What the assistant says

    def _assistant(self, turn: Turn) -> None:
        chunks = self._shown.chunks(turn.parts, marked=False)
        text = "\n\n".join(chunk["text"] for chunk in chunks if chunk["type"] == "text")
        if any(chunk["type"] != "text" for chunk in chunks):
            self._note("assistant: an image or a file of its own left out")
        calls = [part for part in turn.parts if isinstance(part, Call)]
        more = self._reasoning(turn)
        front = more.pop("content", [])
        signatures = more.pop("google", {})
        content: Any = text or (None if calls else _NOTHING)
        if front:
            content = [*front, _text(text)] if text else front
        if calls:
            more["tool_calls"] = [self._call(call, signatures.get(call.id)) for call in calls]
            if self._quirks.replay == "google" and not any(call.id in signatures for call in calls):
                more["tool_calls"][0]["extra_content"] = _signature(_NO_SIGNATURE)
        self._add("assistant", content, **more)

    def _call(self, call: Call, signature: str | None) -> dict[str, Any]:
        name, call_id = self._names.there(call.name), self._ids.there(call.id)
        note_renamed(call, name, call_id, self._note)
        function = {"name": name, "arguments": compact(call.input)}
        found = {"id": call_id, "type": "function", "function": function}
        return found if signature is None else {**found, "extra_content": _signature(signature)}

    def _reasoning(self, turn: Turn) -> dict[str, Any]:
        """What goes back of the reasoning in a turn, by the member that it goes to."""
        found: dict[str, Any] = {}
        for part in turn.parts:
            if not isinstance(part, Thinking):
                continue
            match self._own(part):
                case {"f": str(kind)} if kind in _FIELDS:
                    found[kind] = found.get(kind, "") + part.text
                case {"f": "google", **signed}:
                    calls, own = signed.get("c"), signed.get("t")
                    said = calls.items() if isinstance(calls, dict) else ()
                    found.setdefault("google", {}).update((key, one) for key, one in said if isinstance(one, str))
                    if isinstance(own, str):
                        found["extra_content"] = _signature(own)
                case {"f": str(kind), "d": list(chunks)}:
                    found[kind] = found.get(kind, []) + chunks
                case _:
                    own = part.origin is not None and part.origin.provider == self._maker[0]
                    self._note(_NOT_TAKEN_BACK if own else ANOTHERS_THINKING)
        replay = self._quirks.replay
        if self._quirks.replay_always and replay in _FIELDS and not found.get(replay):
            found[replay] = NO_REASONING
        return {kind: said for kind, said in found.items() if said or kind == replay}

    def _own(self, thinking: Thinking) -> object:
        """The payload that a block brought along, where the target is its maker and wants it; else None.

        Words are any model's of the provider; what is signed or encrypted is the one model's.
        """
        origin, replay = thinking.origin, self._quirks.replay
        if origin is None or not isinstance(origin.payload, dict) or origin.provider != self._maker[0]:
            return None
        kind = origin.payload.get("f")
        if (
            not isinstance(kind, str)
            or kind not in _REPLAYED[replay]
            or (kind in _SIGNED and origin.model != self._maker[1])
        ):
            return None
        return origin.payload


def _signature(signature: str) -> dict[str, Any]:
    return {"google": {"thought_signature": signature}}


def _text(text: str) -> Chunk:
    return {"type": "text", "text": text}


def _image(url: str) -> Chunk:
    return {"type": "image_url", "image_url": {"url": url}}


def _file(name: str, data: str) -> Chunk:
    return {"type": "file", "file": {"filename": name, "file_data": data}}
