"""The messages of a Chat Completions request, from a `Conversation`.

Each message depends on nothing that comes after its turn, so a longer conversation begins with the same messages.
None is ever empty. User texts that follow each other are one message: many chat templates want the roles in turns.

Of a model's own reasoning that goes back which this provider asked for, told by the payload in its signature:

``{"f": "reasoning_content" | "reasoning"}``   the text of the thinking, in that member of the message
``{"f": "reasoning_details", "d": [...]}``     the list as it came
``{"f": "content", "d": [...]}``               these chunks in front of the content
``{"f": "google", "c": {call id: signature}}`` the signatures beside the calls that they came with
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from ccrouter.errors import ApiError
from ccrouter.providers.provider import Target
from ccrouter.providers.quirks import Quirks, Replay
from ccrouter.translate.tools import Ids, Names
from ccrouter.translate.turns import Call, Conversation, Document, Image, Result, Text, Thinking, Turn

Message = dict[str, Any]

#: What stands where an assistant's turn has nothing to show: its place must be kept, and can't be empty.
_NOTHING = "(no text)"

#: Gemini wants a signature at the first call of each step; this one, of its documents, is for foreign history.
_NO_SIGNATURE = "skip_thought_signature_validator"

_FIELDS = frozenset({"reasoning_content", "reasoning"})
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
    """The messages, and what was left out of them. ``also`` is said behind the client's own system prompt."""
    writer = _Writer(target, names)
    system = [part.text for part in conversation.system] + ([also] if also else [])
    if system:
        writer.add(writer.quirks.system_role, "\n\n".join(system))
    for turn in conversation.turns:
        writer.turn(turn)
    writer.flush()
    return writer.messages, writer.changes


class _Writer:
    def __init__(self, target: Target, names: Names) -> None:
        self.quirks: Quirks = target.provider.preset.quirks
        self.messages: list[Message] = []
        self._left_out: dict[str, None] = {}
        self._provider = target.provider.name
        self._names = names
        self._ids = Ids(self.quirks.call_ids)
        self._user: list[dict[str, Any]] = []
        blind = any(model.id == target.model and model.vision is False for model in target.provider.models)
        self._images = self.quirks.images and not blind

    @property
    def changes(self) -> list[str]:
        """What was left out, each kind once."""
        return list(self._left_out)

    def add(self, role: str, content: Any, **more: Any) -> None:
        """One message, behind whatever the user said before it."""
        self.flush()
        self.messages.append({"role": role, "content": content, **more})

    def flush(self) -> None:
        """The user's message that is being gathered, if any."""
        if self._user:
            self.messages.append({"role": "user", "content": _content(self._user)})
            self._user = []

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
                self._user += self._chunks(turn.parts)

    # What the user, the tools and the system say

    def _later_system(self, turn: Turn) -> None:
        texts = [part.text for part in turn.parts if isinstance(part, Text)]
        if self.quirks.later_system == "user":
            self._user += [_text(_reminder(text)) for text in texts]
        elif texts:
            self.add(self.quirks.later_system, "\n\n".join(texts))
        self._user += self._chunks(part for part in turn.parts if not isinstance(part, Text))

    def _result(self, result: Result) -> list[dict[str, Any]]:
        """Adds the tool's message. Returns what such a message can't hold, for the user's that follows."""
        chunks = self._chunks(result.parts)
        texts = [chunk for chunk in chunks if chunk["type"] == "text"]
        others = [chunk for chunk in chunks if chunk["type"] != "text"]
        if result.is_error:
            first = texts[0]["text"] if texts else "the tool failed"
            texts[:1] = [_text(f"[error] {first}")]
        call_id = self._ids.there(result.call_id)
        if others and self.quirks.result_images and all(chunk["type"] == "image_url" for chunk in others):
            kept = texts + others if result.is_error else chunks
            self.add("tool", kept, tool_call_id=call_id)
            return []
        if others:
            texts.append(_text("(see the attachment in the next message)"))
        self.add("tool", _content(texts), tool_call_id=call_id)
        return [_text(f"[attachment to the result of {call_id}]"), *others] if others else []

    def _chunks(self, parts: Iterable[object]) -> list[dict[str, Any]]:
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

    def _image(self, image: Image) -> dict[str, Any]:
        if not self._images:
            self._leave_out("image: left out, the model takes only text")
            return _text("[image omitted: current model is text-only]")
        url = image.url if image.url is not None else f"data:{image.media_type};base64,{image.data}"
        return {"type": "image_url", "image_url": {"url": url}}

    def _document(self, document: Document) -> dict[str, Any]:
        if document.text is not None:
            return _text(f"[document: {document.name}]\n{document.text}")
        if self.quirks.files and document.data is not None:
            data = f"data:{document.media_type};base64,{document.data}"
            return {"type": "file", "file": {"filename": document.name, "file_data": data}}
        self._leave_out("document: left out, the backend takes no such file")
        place = f" at {document.url}" if document.url is not None else ""
        return _text(f"[document omitted: {document.name}{place} can't be read by the current model]")

    def _leave_out(self, what: str) -> None:
        self._left_out[what] = None

    # What the assistant says

    def _assistant(self, turn: Turn) -> None:
        chunks = self._chunks(turn.parts)
        text = "\n\n".join(chunk["text"] for chunk in chunks if chunk["type"] == "text")
        if any(chunk["type"] != "text" for chunk in chunks):
            self._leave_out("assistant: an image or a file of its own left out")
        calls = [part for part in turn.parts if isinstance(part, Call)]
        more = self._reasoning(turn, has_calls=bool(calls))
        front = more.pop("content", [])
        signatures = more.pop("google", {})
        content: Any = text or (None if calls else _NOTHING)
        if front:
            content = [*front, _text(text)] if text else front
        if calls:
            more["tool_calls"] = [self._call(call, signatures.get(call.id)) for call in calls]
            if self.quirks.replay == "google" and not any(call.id in signatures for call in calls):
                more["tool_calls"][0]["extra_content"] = _signature(_NO_SIGNATURE)
        self.add("assistant", content, **more)

    def _call(self, call: Call, signature: str | None) -> dict[str, Any]:
        function = {"name": self._names.there(call.name), "arguments": compact(call.input)}
        found = {"id": self._ids.there(call.id), "type": "function", "function": function}
        return found if signature is None else {**found, "extra_content": _signature(signature)}

    def _reasoning(self, turn: Turn, *, has_calls: bool) -> dict[str, Any]:
        """What goes back of the reasoning in a turn, by the member that it goes to."""
        found: dict[str, Any] = {}
        for part in turn.parts:
            if not isinstance(part, Thinking) or part.origin is None or part.origin.provider != self._provider:
                continue
            match part.origin.payload:
                case {"f": str(kind)} if kind in _FIELDS & _REPLAYED[self.quirks.replay]:
                    found[kind] = found.get(kind, "") + part.text
                case {"f": str(kind), "d": list(chunks)} if kind in _REPLAYED[self.quirks.replay]:
                    found[kind] = found.get(kind, []) + chunks
                case {"f": "google", "c": dict(signatures)} if self.quirks.replay == "google":
                    said = {key: value for key, value in signatures.items() if isinstance(value, str)}
                    found["google"] = found.get("google", {}) | said
        if self.quirks.replay_always and has_calls and self.quirks.replay in _FIELDS:
            found.setdefault(self.quirks.replay, "")
        return {kind: said for kind, said in found.items() if said or kind == self.quirks.replay}


def compact(value: Any) -> str:
    """JSON without spaces. Raises ApiError for what came as JSON and can't be said in it again."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except ValueError:  # 1e999 is read as infinity
        words = "a number in the request is beyond what JSON can say"
    except RecursionError:
        words = "the request is nested too deeply"
    raise ApiError(400, "invalid_request_error", words)


def _reminder(text: str) -> str:
    if text.lstrip().startswith("<system-reminder>"):
        return text
    return f"<system-reminder>\n{text}\n</system-reminder>"


def _signature(signature: str) -> dict[str, Any]:
    return {"google": {"thought_signature": signature}}


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _content(chunks: list[dict[str, Any]]) -> Any:
    """A plain string when it is only text: every server and template takes that."""
    if all(chunk["type"] == "text" for chunk in chunks):
        return "\n\n".join(chunk["text"] for chunk in chunks)
    return chunks
