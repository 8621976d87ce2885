"""A model's reasoning in Chat Completions: where it stands, what of it can be read, and what must go back.

It comes in a text field, in OpenRouter's ``reasoning_details``, in parts of Mistral's content, or between tags of
the text itself (`ccrouter.translate.think_tags`). Gemini signs it, beside calls and beside the message. What goes
back travels in our signature, which ends a thinking block or stands in front of what it belongs to. The payload is

* ``{"f": "reasoning_content"}`` or ``{"f": "reasoning"}``: the block's text goes back in that field;
* ``{"f": "reasoning_details", "d": […]}``: the details that came since the last signature, fragments joined, ids
  of calls as the client has them. All of a message's lists in a row are what OpenRouter wants back;
* ``{"f": "content", "d": […]}``: Mistral's thinking parts, joined;
* ``{"f": "google", "c": {id of the client's: signature}, "t": signature}``: those of Gemini's calls, and the
  message's own, in front of the calls or of the text; each member only where there is one;
* null where nothing goes back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ccrouter.providers.quirks import Replay
from ccrouter.translate.members import objects

Payload = dict[str, Any]

#: Fields of a delta that hold reasoning as a text; some servers send the same in both.
_FIELDS = ("reasoning_content", "reasoning")

#: Type of a part of reasoning -> its field that comes in fragments.
_FRAGMENTED = {"reasoning.text": "text", "reasoning.summary": "summary", "thinking": "thinking", "text": "text"}

_NONE: Mapping[str, str] = {}


class Reasoning:
    """The reasoning since the last signature. What is read is readable text; `take` what goes back of it."""

    def __init__(self, replay: Replay) -> None:
        self._replay = replay
        self._field: str | None = None
        self._details: list[dict[str, Any]] = []
        self._signature = ""

    def read(self, delta: Mapping[str, Any]) -> str:
        """The reasoning that a delta has beside its content."""
        details = objects(delta.get("reasoning_details"))
        told = [(name, delta[name]) for name in _FIELDS if isinstance(delta.get(name), str) and delta[name]]
        name, text = told[0] if told else ("reasoning_details", "".join(map(_words, details)))
        if text:
            self._field = self._field or name
        if details:
            self._field = "reasoning_details"
            self._details += details
        self._signature = signature_of(delta) or self._signature
        return text

    def read_part(self, part: Mapping[str, Any]) -> str:
        """The reasoning in a part of the content."""
        self._field = "content"
        self._details.append(dict(part))
        return _words(part)

    def read_tagged(self) -> None:
        """Reasoning stood between tags; it goes back where the backend has a field for it."""
        if self._replay in _FIELDS:
            self._field = self._field or self._replay

    def take(self, signatures: Mapping[str, str] = _NONE, ids: Mapping[str, str] = _NONE) -> Payload | None:
        """What goes back of it, and it is over.

        ``signatures`` of calls, by the client's ids; ``ids`` the client's by the backend's: OpenRouter has a
        call's id in the details that belong to it, and looks for that when they come back.
        """
        field, details, signature = self._field, self._details, self._signature
        self._field, self._details, self._signature = None, [], ""
        if self._replay == "none":
            return None
        if self._replay == "google" and (signatures or signature):
            own = {"c": dict(signatures)} if signatures else {}
            return {"f": "google", **own, **({"t": signature} if signature else {})}
        if details:
            known = [{**each, "id": ids[each["id"]]} if _is_known(each, ids) else each for each in details]
            return {"f": field, "d": _joined(known)}
        return {"f": field} if field else None


def is_needed(payload: Payload | None) -> bool:
    """Whether a backend refuses its calls without this: it signed or encrypted something."""
    if payload is None:
        return False
    secrets = (each.get(key) for each in payload.get("d", ()) for key in ("data", "signature"))
    return payload["f"] == "google" or any(isinstance(each, str) and each for each in secrets)


def signature_of(holder: Mapping[str, Any]) -> str:
    """Gemini's signature beside a delta or a call; "" for none."""
    signature = _google(holder).get("thought_signature")
    return signature if isinstance(signature, str) else ""


def is_thought(delta: Mapping[str, Any]) -> bool:
    """Whether Gemini marks a delta's content as its thoughts."""
    return _google(delta).get("thought") is True


def _google(holder: Mapping[str, Any]) -> Mapping[str, Any]:
    extra = holder.get("extra_content")
    found = extra.get("google") if isinstance(extra, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _is_known(detail: Mapping[str, Any], ids: Mapping[str, str]) -> bool:
    return isinstance(detail.get("id"), str) and detail["id"] in ids


def _words(part: Mapping[str, Any]) -> str:
    """The readable text of a part: OpenRouter's ``text`` or ``summary``, Mistral's list of texts."""
    held = part.get(_fragmented(part))
    if isinstance(held, list):
        return "".join(map(_words, objects(held)))
    return held if isinstance(held, str) else ""


def _joined(parts: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Parts of reasoning as they were before they were cut: neighbours of one type and index are one."""
    found: list[dict[str, Any]] = []
    texts: list[list[Any]] = []
    for part in parts:
        name = _fragmented(part)
        last = found[-1] if found else {}
        if name and [last.get(key) for key in ("type", "index")] == [part.get(key) for key in ("type", "index")]:
            last.update({key: value for key, value in part.items() if value is not None})
        else:
            found.append(dict(part))
            texts.append([])
        if name and part.get(name):
            texts[-1].append(part[name])
    for part, pieces in zip(found, texts, strict=True):
        if pieces:
            part[_fragmented(part)] = _joined_texts(pieces)
    return found


def _joined_texts(pieces: list[Any]) -> Any:
    lists = [each for each in pieces if isinstance(each, list)]
    if lists:
        return _joined(part for each in lists for part in objects(each))
    return "".join(each for each in pieces if isinstance(each, str))


def _fragmented(part: Mapping[str, Any]) -> str:
    kind = part.get("type")
    return _FRAGMENTED.get(kind, "") if isinstance(kind, str) else ""
